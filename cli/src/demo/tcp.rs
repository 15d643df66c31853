//! TCP: both directions, half-close, and a refused connection.

use farsock_client::{Domain, PollEvents, Protocol, ShutdownHow, SocketType};

use super::tracer::Tracer;
use crate::exit::Failure;

/// A connection from its first call to its last.
pub(super) async fn exchange(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("TCP: a connection, both directions, half-close")?;
    let listener = t
        .socket(Domain::Inet, SocketType::Stream, Protocol::Tcp)
        .await?;
    t.bind(&listener, "127.0.0.1:0").await?;
    let address = t.getsockname(&listener).await?;
    t.listen(&listener, 16).await?;

    let near = t
        .socket(Domain::Inet, SocketType::Stream, Protocol::Tcp)
        .await?;
    t.connect(&near, &address).await?;
    let (far, peer) = t.accept(&listener).await?;
    let own = t.getsockname(&near).await?;
    t.same("the accepted connection's peer", &own, &peer)?;

    t.send(&near, b"hello over TCP").await?;
    t.poll(&far, PollEvents::IN).await?;
    t.recv(&far, b"hello over TCP").await?;
    t.send(&far, b"hello back").await?;
    t.recv(&near, b"hello back").await?;

    t.shutdown(&near, ShutdownHow::Write).await?;
    t.recv_end(&far).await?;
    t.send(&far, b"this way is still open").await?;
    t.recv(&near, b"this way is still open").await?;
    t.close(far).await?;
    t.recv_end(&near).await?;
    t.close(near).await?;
    t.close(listener).await
}

/// A connection to a port where nobody listens.
pub(super) async fn refused(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("TCP: nobody listens")?;
    // Bound, so that nobody else can have the port, but not listening.
    let silent = t
        .socket(Domain::Inet, SocketType::Stream, Protocol::Tcp)
        .await?;
    t.bind(&silent, "127.0.0.1:0").await?;
    let address = t.getsockname(&silent).await?;
    let near = t
        .socket(Domain::Inet, SocketType::Stream, Protocol::Tcp)
        .await?;
    t.connect_refused(&near, &address).await?;
    t.close(near).await?;
    t.close(silent).await
}
