//! Unix sockets: a stream by path, datagrams by abstract names, and a pair.

use farsock_client::{Domain, Protocol, ShutdownHow, SocketType};

use super::{Paths, tracer::Tracer};
use crate::exit::Failure;

/// A stream to a path in a private directory.
pub(super) async fn stream(t: &mut Tracer<'_>, paths: &Paths) -> Result<(), Failure> {
    t.title("Unix stream: a path")?;
    let listener = t
        .socket(Domain::Unix, SocketType::Stream, Protocol::Default)
        .await?;
    t.bind(&listener, &paths.address("stream")).await?;
    let address = t.getsockname(&listener).await?;
    t.listen(&listener, 16).await?;

    let near = t
        .socket(Domain::Unix, SocketType::Stream, Protocol::Default)
        .await?;
    t.connect(&near, &address).await?;
    let (far, _) = t.accept(&listener).await?;
    t.send(&near, b"hello over a unix stream").await?;
    t.recv(&far, b"hello over a unix stream").await?;
    t.send(&far, b"bytes \0\x01\xfe\xff too").await?;
    t.recv(&near, b"bytes \0\x01\xfe\xff too").await?;
    t.shutdown(&near, ShutdownHow::Write).await?;
    t.recv_end(&far).await?;
    t.close(near).await?;
    t.close(far).await?;
    t.close(listener).await
}

/// Datagrams between names that the kernel chose.
pub(super) async fn datagrams(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("Unix datagrams: abstract names, chosen by the kernel (autobind)")?;
    let one = t
        .socket(Domain::Unix, SocketType::Dgram, Protocol::Default)
        .await?;
    t.bind(&one, "unix:").await?;
    let one_address = t.getsockname(&one).await?;
    let other = t
        .socket(Domain::Unix, SocketType::Dgram, Protocol::Default)
        .await?;
    t.bind(&other, "unix:").await?;
    let other_address = t.getsockname(&other).await?;

    t.sendto(&one, b"ping", &other_address).await?;
    let sender = t.recvfrom(&other, b"ping").await?;
    t.same("the datagram's sender", &one_address, &sender)?;
    t.sendto(&other, b"pong", &sender).await?;
    let sender = t.recvfrom(&one, b"pong").await?;
    t.same("the answer's sender", &other_address, &sender)?;
    t.close(other).await?;
    t.connect_refused(&one, &other_address).await?;
    t.close(one).await
}

/// Two sockets without names that know each other.
pub(super) async fn pair(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("Unix pair: messages over a connection")?;
    let (one, other) = t.socketpair(Domain::Unix, SocketType::Seqpacket).await?;
    t.send(&one, b"first").await?;
    t.send(&one, b"second").await?;
    // Two messages stay two, whatever room there is.
    t.recv_message(&other, b"first").await?;
    t.recv_message(&other, b"second").await?;
    t.close(one).await?;
    t.recv_end(&other).await?;
    t.close(other).await
}
