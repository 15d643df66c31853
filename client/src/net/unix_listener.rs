//! A unix stream socket that waits for connections.

use farsock_proto::v1;

use tokio_stream::Stream;

use super::{BACKLOG, bound, over_remote_socket};
use crate::{
    Address, Client, Domain, RemoteSocket, Result, SocketOptions, SocketType, UnixStream,
    flow::connections::Incoming,
};

/// A unix stream socket of the daemon that waits for connections.
#[derive(Debug)]
pub struct UnixListener {
    socket: RemoteSocket,
    local: Address,
}

over_remote_socket!(UnixListener);

impl UnixListener {
    /// Creates a unix stream socket, binds it to `address`, such as "unix:/run/a.sock" or
    /// "unix-abstract:name", and lets up to 1,024 connections wait for an accept; in one round trip.
    /// Corresponds to socket(2), bind(2) and listen(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::bind`] and [`RemoteSocket::listen`].
    pub async fn bind(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let options = SocketOptions::new();
        let (domain, kind) = (Domain::Unix, SocketType::Stream);
        let address = address.into();
        let (socket, local) = bound(client, domain, kind, options, address, Some(BACKLOG)).await?;
        Ok(Self { socket, local })
    }

    /// Waits for the next connection, and tells its peer. Corresponds to accept(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::accept`].
    pub async fn accept(&self) -> Result<(UnixStream, Address)> {
        let (socket, peer) = self.socket.accept().await?;
        Ok((UnixStream::from_socket(socket), peer))
    }

    /// The connections, one after the other, accepted ahead: for many of them, where [`accept`](Self::accept) would cost a round
    /// trip each. Corresponds to accept(2), again and again.
    ///
    /// Up to 64 connections wait here to be taken; each comes exactly once, even if the connection to the daemon breaks. Errors of
    /// accept(2), such as EMFILE, are items, and do not end it. It ends after the error that no connection can follow, such as
    /// [`Reason::HandleClosed`](crate::Reason::HandleClosed) when the listener is closed.
    ///
    /// While it is there, [`accept`](Self::accept) is refused as [`Reason::StreamInUse`](crate::Reason::StreamInUse), and for a
    /// moment longer when it was dropped; that closes the connections that were accepted and not taken.
    pub fn incoming(
        &self,
    ) -> impl Stream<Item = Result<(UnixStream, Address)>> + Send + Unpin + use<> {
        Incoming::new(&self.socket, |(socket, peer)| {
            Ok((UnixStream::from_socket(socket), peer))
        })
    }

    /// The address that it is bound to, with the name that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        &self.local
    }
}
