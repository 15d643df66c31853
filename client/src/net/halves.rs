//! The halves of a connection, for tasks of their own.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::connection::{Connection, reads, writes};
use crate::RemoteSocket;

/// The reading half of a [`TcpStream`](crate::TcpStream) or [`UnixStream`](crate::UnixStream), of
/// [`into_split`](crate::TcpStream::into_split). The socket is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf {
    connection: Arc<Connection>,
}

/// The writing half of a [`TcpStream`](crate::TcpStream) or [`UnixStream`](crate::UnixStream), of
/// [`into_split`](crate::TcpStream::into_split).
///
/// Dropping it ends the sending direction after what was written, as
/// [`shutdown`](tokio::io::AsyncWriteExt::shutdown) does; [`forget`](Self::forget) does not.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    connection: Arc<Connection>,
    finish_on_drop: bool,
}

pub(super) fn split(connection: Connection) -> (OwnedReadHalf, OwnedWriteHalf) {
    let connection = Arc::new(connection);
    let reading = OwnedReadHalf {
        connection: Arc::clone(&connection),
    };
    let writing = OwnedWriteHalf {
        connection,
        finish_on_drop: true,
    };
    (reading, writing)
}

reads!(OwnedReadHalf);
writes!(OwnedWriteHalf);

impl OwnedReadHalf {
    /// The socket under it; see [`TcpStream::socket`](crate::TcpStream::socket).
    #[must_use]
    pub fn socket(&self) -> &RemoteSocket {
        self.connection.socket()
    }

    /// See [`TcpStream::read_chunk`](crate::TcpStream::read_chunk).
    ///
    /// # Errors
    ///
    /// As of [`AsyncRead`](tokio::io::AsyncRead) on it.
    pub async fn read_chunk(&mut self, max: usize) -> io::Result<Bytes> {
        self.connection.read_chunk(max).await
    }
}

impl OwnedWriteHalf {
    /// The socket under it; see [`TcpStream::socket`](crate::TcpStream::socket).
    #[must_use]
    pub fn socket(&self) -> &RemoteSocket {
        self.connection.socket()
    }

    /// See [`TcpStream::write_chunk`](crate::TcpStream::write_chunk).
    ///
    /// # Errors
    ///
    /// As of [`AsyncWrite`](tokio::io::AsyncWrite) on it.
    pub async fn write_chunk(&mut self, data: Bytes) -> io::Result<()> {
        self.connection.write_chunk(data).await
    }

    /// Drops it and leaves the sending direction open, until the reading half is dropped as well.
    pub fn forget(mut self) {
        self.finish_on_drop = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // The last half closes the socket, which ends both directions.
        let is_last = Arc::strong_count(&self.connection) == 1 && !self.connection.has_flow();
        if self.finish_on_drop && !is_last {
            self.connection.finish();
        }
    }
}
