//! UDP: datagrams with their senders' addresses, truncation, and connected sockets.

use farsock_client::{Address, Domain, MessageFlags, Protocol, RemoteSocket, SocketType};

use super::tracer::Tracer;
use crate::exit::Failure;

/// A datagram, and the answer to its sender.
pub(super) async fn exchange(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("UDP: a datagram, and the answer to its sender")?;
    let (one, one_address) = bound(t).await?;
    let (other, other_address) = bound(t).await?;
    t.sendto(&one, b"ping", &other_address).await?;
    let sender = t.recvfrom(&other, b"ping").await?;
    t.same("the datagram's sender", &one_address, &sender)?;
    t.sendto(&other, b"pong", &sender).await?;
    let sender = t.recvfrom(&one, b"pong").await?;
    t.same("the answer's sender", &other_address, &sender)?;
    t.sendto(&one, b"", &other_address).await?;
    t.recvfrom(&other, b"").await?;
    t.close(one).await?;
    t.close(other).await
}

/// A datagram that is longer than the room for it.
pub(super) async fn truncated(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("UDP: a datagram longer than the room for it")?;
    let (one, _) = bound(t).await?;
    let (other, address) = bound(t).await?;
    t.sendto(&one, b"sixteen bytes ok", &address).await?;
    t.recvmsg_truncated(&other, b"sixteen bytes ok", 7).await?;
    // The rest of it is gone.
    t.recv_fails(&other, MessageFlags::DONTWAIT, "EAGAIN")
        .await?;
    t.close(one).await?;
    t.close(other).await
}

/// Connected sockets hear their peer alone, and learn that nobody is there.
pub(super) async fn connected(t: &mut Tracer<'_>) -> Result<(), Failure> {
    t.title("Connected UDP: only the peer is heard, and its absence is told")?;
    let (one, one_address) = bound(t).await?;
    let (other, other_address) = bound(t).await?;
    t.connect(&one, &other_address).await?;
    t.connect(&other, &one_address).await?;
    let peer = t.getpeername(&one).await?;
    t.same("the peer", &other_address, &peer)?;

    t.send(&one, b"to my peer").await?;
    t.recv_message(&other, b"to my peer").await?;
    t.send(&other, b"and back").await?;
    t.recv_message(&one, b"and back").await?;

    let (stranger, _) = bound(t).await?;
    t.sendto(&stranger, b"not for you", &one_address).await?;
    t.recv_fails(&one, MessageFlags::DONTWAIT, "EAGAIN").await?;
    t.close(stranger).await?;

    t.close(other).await?;
    t.send(&one, b"anybody there?").await?;
    t.recv_fails(&one, MessageFlags::NONE, "ECONNREFUSED")
        .await?;
    t.close(one).await
}

async fn bound(t: &mut Tracer<'_>) -> Result<(RemoteSocket, Address), Failure> {
    let socket = t
        .socket(Domain::Inet, SocketType::Dgram, Protocol::Udp)
        .await?;
    t.bind(&socket, "127.0.0.1:0").await?;
    let address = t.getsockname(&socket).await?;
    Ok((socket, address))
}
