//! A connection as a stream of bytes, whichever side of the daemon it is on.

use std::{
    future::{self, Future},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use farsock_client::RemoteSocket;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net,
};

/// Bytes both ways, a half-close, and a reset.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether its drop, and the death of this process, is a reset, as far as this host's kernel closes it and has resets for it.
    fn set_reset_on_drop(&self, _reset: bool) {}

    /// Ends it at once and not in good order, as far as the kernel that closes it has resets for it.
    fn reset(self: Box<Self>) -> Resetting;
}

/// A connection of either side.
pub(crate) type Stream = Box<dyn Duplex>;

/// Ends when the connection is closed.
pub(crate) type Resetting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection of the daemon's host.
pub(crate) fn tcp(stream: farsock_client::TcpStream) -> Stream {
    Box::new(Remote {
        stream,
        into_socket: farsock_client::TcpStream::into_socket,
    })
}

/// A unix connection of the daemon's host.
pub(crate) fn unix(stream: farsock_client::UnixStream) -> Stream {
    Box::new(Remote {
        stream,
        into_socket: farsock_client::UnixStream::into_socket,
    })
}

/// Ends the sending direction. A connection that is no more has nothing to end: how it went, receiving tells.
pub(crate) async fn half_close(writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    match writer.shutdown().await {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

impl Duplex for net::TcpStream {
    fn set_reset_on_drop(&self, reset: bool) {
        // One that takes no option is broken already.
        let _ = if reset {
            self.set_zero_linger()
        } else {
            #[expect(deprecated, reason = "what it warns of is a time to linger")]
            self.set_linger(None)
        };
    }

    fn reset(self: Box<Self>) -> Resetting {
        self.set_reset_on_drop(true);
        Box::pin(future::ready(()))
    }
}

/// What is left unread is what makes its close a reset.
impl Duplex for net::UnixStream {
    fn reset(self: Box<Self>) -> Resetting {
        Box::pin(future::ready(()))
    }
}

#[cfg(test)]
impl Duplex for tokio::io::DuplexStream {
    fn reset(self: Box<Self>) -> Resetting {
        Box::pin(future::ready(()))
    }
}

/// A connection of the daemon's host. Both directions are used by one task.
struct Remote<T> {
    stream: T,
    into_socket: fn(T) -> RemoteSocket,
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for Remote<T> {
    fn reset(self: Box<Self>) -> Resetting {
        let socket = (self.into_socket)(self.stream);
        Box::pin(async move {
            // One that is closed already needs no reset.
            let _ = socket.abort().await;
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Remote<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        use io::ErrorKind::{BrokenPipe, NotConnected};
        let before = buffer.remaining();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if before > 0 && buffer.remaining() == before {
            // The kernel tells an error once. If that was to a send, what comes after it looks like an end in good order;
            // EPIPE is the one that an end in good order came before.
            match Pin::new(&mut self.stream).poll_write(context, &[]) {
                Poll::Ready(Err(error)) if !matches!(error.kind(), BrokenPipe | NotConnected) => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Remote<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
