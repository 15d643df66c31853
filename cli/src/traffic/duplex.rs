//! A connection as a stream of bytes, whichever side of the daemon it is on.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Bytes both ways, and a half-close.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection of either side.
pub(crate) type Stream = Box<dyn Duplex>;

/// A connection of the daemon's host.
pub(crate) fn tcp(stream: farsock_client::TcpStream) -> Stream {
    Box::new(stream)
}

/// A unix connection of the daemon's host.
pub(crate) fn unix(stream: farsock_client::UnixStream) -> Stream {
    Box::new(stream)
}

/// Ends the sending direction. A connection that is no more has nothing to end: how it went, receiving tells.
pub(crate) async fn half_close(writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    match writer.shutdown().await {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
