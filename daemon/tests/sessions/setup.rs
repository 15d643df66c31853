//! A server is set up in one round trip: the daemon has it all before the client has read a single answer.

use std::sync::Arc;

use farsock_client::{Client, Domain, Operation, Protocol, SocketType};
use farsock_proto::v1;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    time::timeout,
};

use crate::support::*;

#[tokio::test]
async fn create_bind_listen_and_an_armed_accept_cost_one_round_trip() {
    let daemon = farsock_daemon::embedded();
    let observer = channel(&daemon).await;
    // A proxy that holds the daemon's answers back while the gate is closed.
    let gate = Arc::new(watch::Sender::new(true));
    let (connector, gates) = (daemon.connector(), Arc::clone(&gate));
    let client = Client::connect_with(move || {
        let (opening, mut open) = (connector(), gates.subscribe());
        async move {
            let (near, proxied) = tokio::io::duplex(1 << 16);
            let (mut near_read, mut near_write) = tokio::io::split(proxied);
            let (mut far_read, mut far_write) = tokio::io::split(opening.await?);
            tokio::spawn(async move { tokio::io::copy(&mut near_read, &mut far_write).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 8192];
                while let Ok(count @ 1..) = far_read.read(&mut buffer).await {
                    let _ = open.wait_for(|open| *open).await;
                    if near_write.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
            Ok(near)
        }
    });
    let client = client.await.expect("it connects");
    let id = client.session_id().expect("it has a session").to_owned();
    until(&observer, &id, |session| {
        session.is_some_and(|session| session.attached)
    })
    .await;

    gate.send_replace(false);
    let mut pipeline = client.pipeline();
    let socket = pipeline.socket(Domain::Inet, SocketType::Stream, Protocol::Default);
    let socket = socket.await.expect("nothing was asked for yet");
    let bound = pipeline.then(socket.bind("127.0.0.1:0"));
    let listening = pipeline.then(socket.listen(16));
    let accepting = pipeline.then(socket.accept());
    // No answer has passed, and the accept is there: its three predecessors have ended in success.
    until(&observer, &id, |session| {
        session.is_some_and(|session| session.in_flight == 1 && session.kept_results == 3)
    })
    .await;
    let request = v1::GetSocketRequest {
        handle: socket.handle(),
    };
    let state = sockets(&observer).get_socket(request).await;
    let state = state.expect("it exists").into_inner().socket;
    let state = state.expect("its state");
    assert_eq!(state.state(), v1::SocketState::Listen);
    assert_eq!(state.waiting_operations, 1);

    gate.send_replace(true);
    let address = bound.await.expect("it is bound");
    listening.await.expect("it listens");
    let near = client
        .socket(Domain::Inet, SocketType::Stream, Protocol::Default)
        .await;
    let near = near.expect("a socket");
    near.connect(address).await.expect("it connects");
    let (_, peer) = timeout(PATIENCE, accepting)
        .await
        .expect("in time")
        .expect("it accepts");
    assert_eq!(peer, near.socket_name().await.expect("a name"));
}

#[tokio::test]
async fn an_accept_that_waits_says_so_and_then_one_connects() {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector())
        .await
        .expect("it connects");
    let listener = client
        .tcp_listener("127.0.0.1:0")
        .await
        .expect("it listens");
    let mut accept = Operation::new(listener.accept()).notify_waiting();
    assert!(timeout(PATIENCE, accept.waiting()).await.expect("in time"));
    let near = std::net::TcpStream::connect(listener.local_addr()).expect("it listens");
    let (_, peer) = (&mut accept).await.expect("it accepts");
    assert_eq!(peer, near.local_addr().expect("it is connected"));
    let timing = accept.timing().expect("it has ended");
    assert!(timing.waited <= timing.end - timing.start);
    assert_eq!(timing.late, None);
}
