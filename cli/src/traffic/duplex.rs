//! A connection as a stream of bytes, whichever side of the daemon it is on, and its two ends: in good order, or by reset.
//!
//! Every connection here is one that its kernel resets, unless [`Duplex::end`] said otherwise: SO_LINGER is 0 from before its first byte. So
//! whatever ends it too early (a signal, an error, the end of the session, the death of this process or of the daemon) is an error to
//! its peer, and never looks like the end of what was to be sent. A unix socket has no such option: its peer sees a reset where bytes are left
//! unread, and else an end.

use std::{
    future::{self, Future},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use farsock_client::{OptionValue, PollEvents, RemoteSocket, SocketOptions};
use farsock_proto::v1::SocketOption;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net,
};

/// Bytes both ways, a half-close, and the two ways to end. Its drop is a reset.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Closes it in good order: what was written is still delivered.
    fn end(self: Box<Self>) -> Ending;

    /// Resets it.
    fn reset(self: Box<Self>) -> Ending;

    /// Waits until its peer has ended its sending direction, or without `half` until the connection is broken, and reads nothing. Dropping
    /// the future loses nothing.
    fn left(&self, half: bool) -> Leaving<'_>;
}

/// A connection of either side.
pub(crate) type Stream = Box<dyn Duplex>;

/// Ends when the connection is closed.
pub(crate) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends when a peer has left.
pub(crate) type Leaving<'a> = Pin<Box<dyn Future<Output = Left> + Send + 'a>>;

/// What a peer has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It will neither send nor receive.
    Gone,
    /// It will send no more; what it does besides, TCP does not say. `unread`: what it has sent may still be to be read.
    Half { unread: bool },
}

/// A TCP connection of the daemon's host, whose socket has [`reset_on_close`].
pub(crate) fn tcp(stream: farsock_client::TcpStream) -> Stream {
    Box::new(Remote {
        stream,
        is_tcp: true,
        into_socket: farsock_client::TcpStream::into_socket,
    })
}

/// A unix connection of the daemon's host.
pub(crate) fn unix(stream: farsock_client::UnixStream) -> Stream {
    Box::new(Remote {
        stream,
        is_tcp: false,
        into_socket: farsock_client::UnixStream::into_socket,
    })
}

/// A TCP connection of this host.
pub(crate) fn tcp_here(stream: net::TcpStream) -> Stream {
    // What is carried was put together by its sender already. One that takes no option is broken.
    let _ = stream.set_nodelay(true);
    let _ = stream.set_zero_linger();
    Box::new(stream)
}

/// A unix connection of this host.
pub(crate) fn unix_here(stream: net::UnixStream) -> Stream {
    Box::new(stream)
}

/// Adds the option by which the daemon's kernel resets a TCP connection, however it is closed; of a listener, those that it accepts.
pub(crate) fn reset_on_close(options: SocketOptions) -> SocketOptions {
    options.option(
        SocketOption::SoLinger,
        OptionValue::Linger(Some(Duration::ZERO)),
    )
}

/// Ends the sending direction. A connection that is no more has nothing to end: how it went, receiving tells.
pub(crate) async fn half_close(writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    match writer.shutdown().await {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

impl Duplex for net::TcpStream {
    fn end(self: Box<Self>) -> Ending {
        // One that takes no option is broken already.
        #[expect(deprecated, reason = "what it warns of is a time to linger")]
        let _ = self.set_linger(None);
        Box::pin(future::ready(()))
    }

    fn reset(self: Box<Self>) -> Ending {
        Box::pin(future::ready(()))
    }

    fn left(&self, half: bool) -> Leaving<'_> {
        Box::pin(async move {
            match local::left(|interest| self.ready(interest), half).await {
                Left::Gone => Left::Gone,
                // At the end of what was sent, this has nothing to wait for.
                Left::Half { .. } => match self.peek(&mut [0]).await {
                    Ok(read) => Left::Half { unread: read > 0 },
                    Err(_) => Left::Gone,
                },
            }
        })
    }
}

impl Duplex for net::UnixStream {
    fn end(self: Box<Self>) -> Ending {
        Box::pin(future::ready(()))
    }

    fn reset(self: Box<Self>) -> Ending {
        Box::pin(future::ready(()))
    }

    fn left(&self, half: bool) -> Leaving<'_> {
        Box::pin(local::left(|interest| self.ready(interest), half))
    }
}

#[cfg(test)]
impl Duplex for tokio::io::DuplexStream {
    fn end(self: Box<Self>) -> Ending {
        Box::pin(future::ready(()))
    }

    fn reset(self: Box<Self>) -> Ending {
        Box::pin(future::ready(()))
    }

    fn left(&self, _half: bool) -> Leaving<'_> {
        Box::pin(future::pending())
    }
}

#[cfg(target_os = "linux")]
mod local {
    use std::{future::Future, io};

    use tokio::io::{Interest, Ready};

    use super::Left;

    /// Waits for what poll(2) calls POLLRDHUP, POLLHUP or POLLERR.
    pub(super) async fn left<F: Future<Output = io::Result<Ready>>>(
        ready: impl Fn(Interest) -> F,
        half: bool,
    ) -> Left {
        // POLLPRI itself is not waited for: with it, the end of reading is reported without what is to be read.
        let ended = match half {
            true => Interest::PRIORITY | Interest::ERROR,
            false => Interest::ERROR,
        };
        match ready(ended).await {
            Ok(now) if now.is_error() => return Left::Gone,
            Ok(_) => {}
            Err(_) => return Left::Gone,
        }
        match ready(ended | Interest::WRITABLE).await {
            Ok(now) if !now.is_error() && !now.is_write_closed() => Left::Half { unread: true },
            _ => Left::Gone,
        }
    }
}

/// Elsewhere a peer's leaving is only seen by reading.
#[cfg(not(target_os = "linux"))]
mod local {
    use std::{future::Future, io};

    use tokio::io::{Interest, Ready};

    use super::Left;

    pub(super) async fn left<F: Future<Output = io::Result<Ready>>>(
        _ready: impl Fn(Interest) -> F,
        _half: bool,
    ) -> Left {
        std::future::pending().await
    }
}

/// A connection of the daemon's host. Both directions are used by one task.
struct Remote<T> {
    stream: T,
    is_tcp: bool,
    into_socket: fn(T) -> RemoteSocket,
}

impl<T> Duplex for Remote<T>
where
    T: AsyncRead + AsyncWrite + AsRef<RemoteSocket> + Send + Sync + Unpin + 'static,
{
    fn end(self: Box<Self>) -> Ending {
        let socket = (self.into_socket)(self.stream);
        let is_tcp = self.is_tcp;
        Box::pin(async move {
            let still = socket.client().adopt(socket.handle());
            let linger = async {
                if is_tcp {
                    let none = OptionValue::Linger(None);
                    let _ = still.set_option(SocketOption::SoLinger, none).await;
                }
            };
            // One after the other at the daemon, in one round trip. One that is closed already has nothing to end.
            let _ = tokio::join!(linger, socket.close());
        })
    }

    fn reset(self: Box<Self>) -> Ending {
        let socket = (self.into_socket)(self.stream);
        Box::pin(async move {
            // One that is closed already needs no reset.
            let _ = socket.abort().await;
        })
    }

    fn left(&self, half: bool) -> Leaving<'_> {
        let socket: &RemoteSocket = self.stream.as_ref();
        let (client, handle) = (socket.client().clone(), socket.handle());
        Box::pin(async move {
            // ERR and HUP are reported in any case.
            let events = if half {
                PollEvents::RDHUP
            } else {
                PollEvents::NONE
            };
            let ready = match client.poll(&[(handle, events)], None).await {
                Ok(ready) => ready,
                // Whatever it is that fails here, the connection's own calls meet it too.
                Err(_) => return future::pending().await,
            };
            let gone = PollEvents::ERR | PollEvents::HUP | PollEvents::NVAL;
            if ready.iter().any(|one| one.events.intersects(gone)) {
                Left::Gone
            } else {
                Left::Half { unread: true }
            }
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
