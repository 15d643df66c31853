//! Sessions with on_expiry ABORT: their TCP connections are reset whatever ends the session, and the peer sees that.

use std::{net::SocketAddr, time::Duration};

use farsock_client::{
    Client, Domain, OnExpiry, Protocol, RemoteSocket, SessionOptions, SocketOptions, SocketType,
};
use farsock_daemon::Embedded;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::PATIENCE;

/// Linux's IPPROTO_MPTCP.
const MPTCP: i32 = 262;

/// How a test ends the daemon or the session.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As at the first SIGTERM.
    Drain,
    /// As at the second.
    AtOnce,
    /// CloseSession, with this `abort`.
    Close(bool),
    /// The lease is over.
    Lease,
}

/// A client of the session alone, which renews its lease with its calls and at no other time.
async fn client_of(daemon: &Embedded, session: &str) -> Client {
    let client = Client::builder()
        .connect_timeout(PATIENCE)
        .unary(true)
        .join_session(session)
        .connect_with(daemon.connector())
        .await;
    client.expect("it is served")
}

/// Three connections of the daemon's with this process: two that it made, of TCP and MPTCP, and one that it accepted.
async fn connections(client: &Client) -> (Vec<RemoteSocket>, Vec<TcpStream>) {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    for protocol in [Protocol::Tcp, Protocol::Other(MPTCP)] {
        let made = client
            .socket_with(
                Domain::Inet,
                SocketType::Stream,
                protocol,
                SocketOptions::new(),
            )
            .await;
        // Not every kernel has MPTCP.
        let Ok(socket) = made else {
            assert_ne!(protocol, Protocol::Tcp);
            continue;
        };
        socket.connect(address).await.expect("it listens");
        near.push(socket);
        far.push(listener.accept().await.expect("it is connected").0);
    }

    let listening = client.tcp_socket().await.expect("a socket");
    let bound = listening.bind("127.0.0.1:0").await.expect("a port");
    listening.listen(1).await.expect("it is bound");
    let bound: SocketAddr = bound.as_ip().expect("an internet address");
    far.push(TcpStream::connect(bound).await.expect("it listens"));
    near.push(listening.accept().await.expect("it is connected").0);
    near.push(listening);
    (near, far)
}

/// Whether each connection's peer sees it reset, or ended in good order.
async fn seen_at(peers: Vec<TcpStream>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for mut peer in peers {
        let end = timeout(PATIENCE, peer.read(&mut [0; 16])).await;
        seen.push(match end.expect("it ends") {
            Ok(0) => "end",
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => "reset",
            other => panic!("{other:?}"),
        });
    }
    seen
}

async fn what_peers_see(on_expiry: OnExpiry, end: End) -> Vec<&'static str> {
    let daemon = farsock_daemon::embedded();
    let observer = Client::builder()
        .unary(true)
        .connect_with(daemon.connector())
        .await
        .expect("it is served");
    let lease = match end {
        End::Lease => Duration::from_secs(1),
        _ => Duration::from_secs(3600),
    };
    let terms = SessionOptions::new().on_expiry(on_expiry).lease(lease);
    let session = observer
        .open_session_detached(terms)
        .await
        .expect("it opens");
    let client = client_of(&daemon, &session).await;
    let (_near, far) = connections(&client).await;
    match end {
        End::Drain => timeout(PATIENCE, daemon.shutdown()).await.expect("it ends"),
        End::AtOnce => drop(daemon),
        End::Close(abort) => {
            let closed = observer.close_session(&session, abort).await;
            assert!(closed.expect("it is open") as usize >= far.len());
            return seen_at(far).await;
        }
        End::Lease => return seen_at(far).await,
    }
    seen_at(far).await
}

#[tokio::test]
async fn peers_of_a_session_that_aborts_are_reset_whatever_ends_it() {
    for end in [End::Drain, End::AtOnce, End::Lease, End::Close(true)] {
        let seen = what_peers_see(OnExpiry::Abort, end).await;
        assert!(
            seen.iter().all(|seen| *seen == "reset"),
            "{end:?}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn peers_of_a_session_that_closes_see_the_end_whatever_ends_it() {
    for end in [End::Drain, End::AtOnce, End::Lease, End::Close(false)] {
        let seen = what_peers_see(OnExpiry::Close, end).await;
        assert!(seen.iter().all(|seen| *seen == "end"), "{end:?}: {seen:?}");
    }
}

/// on_expiry is about the end of the lease and of the daemon; CloseSession has an `abort` of its own.
#[tokio::test]
async fn close_session_does_as_its_own_abort_says() {
    let seen = what_peers_see(OnExpiry::Abort, End::Close(false)).await;
    assert!(seen.iter().all(|seen| *seen == "end"), "{seen:?}");
    let seen = what_peers_see(OnExpiry::Close, End::Close(true)).await;
    assert!(seen.iter().all(|seen| *seen == "reset"), "{seen:?}");
}
