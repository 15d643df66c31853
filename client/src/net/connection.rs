//! What connections have in common: a socket, and the flow of its bytes, which begins when it is first used.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use crate::{
    RemoteSocket, Result,
    flow::{Flow, Hears, bytes::ByteFlow},
};

/// A connected stream socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: RemoteSocket,
    kind: ByteFlow,
    flow: OnceLock<Arc<Flow<ByteFlow>>>,
}

impl Connection {
    pub(super) fn new(socket: RemoteSocket, hears: Hears) -> Self {
        Self {
            socket,
            kind: ByteFlow { hears },
            flow: OnceLock::new(),
        }
    }

    pub(super) fn socket(&self) -> &RemoteSocket {
        &self.socket
    }

    pub(super) fn into_socket(mut self) -> RemoteSocket {
        if let Some(flow) = self.flow.take() {
            flow.release(None);
        }
        self.take_socket()
    }

    /// Waits until what was written is taken, then closes.
    pub(super) async fn close(self) -> Result<()> {
        // As long as this waits, the drop of `self` leaves the socket to the flow.
        if let Some(flow) = self.flow.get() {
            flow.release(None);
            flow.ended().await;
        }
        self.into_socket().close().await
    }

    /// Whether the flow was ever used.
    pub(super) fn has_flow(&self) -> bool {
        self.flow.get().is_some()
    }

    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let taken = self.flow().poll_receive(context, |queue| {
            let before = buffer.remaining();
            while buffer.remaining() > 0
                && let Some((data, cost)) = queue.front_mut()
            {
                let part = data.len().min(buffer.remaining());
                buffer.put_slice(&data[..part]);
                if part == data.len() {
                    queue.pop_front();
                } else {
                    data.advance(part);
                    *cost = data.len() as u64;
                }
            }
            ((), (before - buffer.remaining()) as u64)
        });
        Poll::Ready(ready!(taken).map(drop).map_err(io::Error::from))
    }

    pub(super) async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        let chunk = poll_fn(|context| {
            self.flow().poll_receive(context, |queue| {
                let Some((data, cost)) = queue.front_mut() else {
                    return (Bytes::new(), 0);
                };
                let part = data.split_to(max.min(data.len()));
                *cost = data.len() as u64;
                if data.is_empty() {
                    queue.pop_front();
                }
                let taken = part.len() as u64;
                (part, taken)
            })
        });
        Ok(chunk.await?.unwrap_or_default())
    }

    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let given = self.flow().poll_send(context, |outgoing| {
            let room = usize::try_from(outgoing.room).unwrap_or(usize::MAX);
            let mut written = 0;
            for buffer in buffers {
                let part = &buffer[..buffer.len().min(room - written)];
                outgoing.copy(part);
                written += part.len();
            }
            written
        });
        Poll::Ready(written(ready!(given)))
    }

    pub(super) async fn write_chunk(&self, data: Bytes) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut data = Some(data);
        poll_fn(|context| {
            let given = self.flow().poll_send(context, |outgoing| {
                outgoing.give(data.take().unwrap_or_default());
            });
            Poll::Ready(written(ready!(given)))
        })
        .await
    }

    /// Ends the sending direction, and does not wait for that.
    pub(super) fn finish(&self) {
        self.flow().finish();
    }

    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flow = self.flow();
        flow.finish();
        Poll::Ready(written(ready!(flow.poll_finished(context))))
    }

    fn flow(&self) -> &Arc<Flow<ByteFlow>> {
        self.flow
            .get_or_init(|| Flow::start(&self.socket, self.kind))
    }

    /// Takes the socket out, and leaves its number.
    fn take_socket(&mut self) -> RemoteSocket {
        let placeholder = self.socket.client().adopt(self.socket.handle());
        mem::replace(&mut self.socket, placeholder)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            let socket = self.take_socket();
            flow.release(Some(socket));
        }
    }
}

/// After the end of one's own side, and of a connection that is known to be gone, a write is what it is on a local socket.
fn written<T>(given: Result<Option<T>>) -> io::Result<T> {
    given?.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

/// What connections have in common, for users.
macro_rules! over_connection {
    ($type:ident, $hears:ident) => {
        impl $type {
            /// A connection that exists already. Nothing is checked: calls tell what the socket is.
            #[must_use]
            pub fn from_socket(socket: crate::RemoteSocket) -> Self {
                Self {
                    connection: super::connection::Connection::new(
                        socket,
                        crate::flow::Hears::$hears,
                    ),
                }
            }

            /// The socket under it, with every system call and option; its shutdown(2) for one.
            ///
            /// Once bytes were read or written by [`AsyncRead`](tokio::io::AsyncRead) or
            /// [`AsyncWrite`](tokio::io::AsyncWrite), sends and receives on the socket itself are refused as
            /// [`Reason::StreamInUse`](crate::Reason::StreamInUse): they would come between.
            #[must_use]
            pub fn socket(&self) -> &crate::RemoteSocket {
                self.connection.socket()
            }

            /// Lets the socket under it go on alone.
            ///
            /// If bytes were read or written by [`AsyncRead`](tokio::io::AsyncRead) or
            /// [`AsyncWrite`](tokio::io::AsyncWrite), those that were received ahead are lost, and sends and receives are
            /// refused until those written are taken.
            #[must_use = "the socket is closed when it is dropped"]
            pub fn into_socket(self) -> crate::RemoteSocket {
                self.connection.into_socket()
            }

            /// Waits until the daemon's kernel has taken what was written, closes the socket, and returns when the kernel has.
            /// Corresponds to close(2).
            ///
            /// # Errors
            ///
            /// As of close(2). What could not be written is not told here: see
            /// [`shutdown`](tokio::io::AsyncWriteExt::shutdown).
            pub async fn close(self) -> crate::Result<()> {
                self.connection.close().await
            }

            /// Receives the next bytes, 1 to `max`, without copying them; none at the end. Dropping the future loses nothing.
            ///
            /// # Errors
            ///
            /// As of [`AsyncRead`](tokio::io::AsyncRead) on it.
            pub async fn read_chunk(&mut self, max: usize) -> std::io::Result<bytes::Bytes> {
                self.connection.read_chunk(max).await
            }

            /// Sends all of `data` without copying it, as soon as less than 512 KiB wait to be sent. Dropping the future before
            /// its end sends nothing of it.
            ///
            /// # Errors
            ///
            /// As of [`AsyncWrite`](tokio::io::AsyncWrite) on it.
            pub async fn write_chunk(&mut self, data: bytes::Bytes) -> std::io::Result<()> {
                self.connection.write_chunk(data).await
            }

            /// Halves that can be read and written by different tasks. Dropping the writing one ends the sending direction;
            /// see [`OwnedWriteHalf`](crate::OwnedWriteHalf).
            #[must_use]
            pub fn into_split(self) -> (crate::OwnedReadHalf, crate::OwnedWriteHalf) {
                super::halves::split(self.connection)
            }
        }

        impl AsRef<crate::RemoteSocket> for $type {
            fn as_ref(&self) -> &crate::RemoteSocket {
                self.connection.socket()
            }
        }

        impl crate::AsHandle for $type {
            fn as_handle(&self) -> u64 {
                self.connection.socket().handle()
            }
        }

        super::connection::reads!($type);
        super::connection::writes!($type);
    };
}
pub(super) use over_connection;

/// [`AsyncRead`](tokio::io::AsyncRead) over a `connection`.
macro_rules! reads {
    ($type:ident) => {
        impl tokio::io::AsyncRead for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.connection.poll_read(context, buffer)
            }
        }
    };
}
pub(super) use reads;

/// [`AsyncWrite`](tokio::io::AsyncWrite) over a `connection`.
macro_rules! writes {
    ($type:ident) => {
        impl tokio::io::AsyncWrite for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                data: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.connection
                    .poll_write(context, &[std::io::IoSlice::new(data)])
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.connection.poll_write(context, buffers)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Nothing is held back: what was written is on its way. As on a local socket, this does not wait for it.
            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            /// Ends the sending direction, and waits until the daemon's kernel has taken all that was written and the end.
            /// Corresponds to shutdown(2) with SHUT_WR.
            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.connection.poll_shutdown(context)
            }
        }
    };
}
pub(super) use writes;
