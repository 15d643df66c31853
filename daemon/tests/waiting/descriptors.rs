//! A daemon that runs out of descriptors: the kernel's EMFILE, told as such, and nothing lost by it.

use std::process::Stdio;

use farsock_client::{Client, Code, Error, RemoteSocket};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{in_time, listener};

/// farsockd with few descriptors, and more handles than that; killed when dropped.
async fn farsockd(descriptors: usize) -> (Child, Client) {
    let program = env!("CARGO_BIN_EXE_farsockd");
    let script = format!(
        "ulimit -n {descriptors} && exec {program} --max-handles 10000 --listen tcp://127.0.0.1:0"
    );
    let mut child = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let stderr = child.stderr.take().expect("it is piped");
    let mut log = BufReader::new(stderr).lines();
    let address = loop {
        let line = in_time(log.next_line()).await.expect("it can be read");
        let line = line.expect("it says where it listens");
        if let Some((_, address)) = line.split_once("listening on ") {
            break address.trim().to_owned();
        }
    };
    let client = in_time(Client::connect(&address)).await.expect("it serves");
    (child, client)
}

fn assert_out_of_descriptors(error: &Error, syscall: &str) {
    assert_eq!(error.errno_name(), Some("EMFILE"), "{error}");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.to_string().starts_with(syscall), "{error}");
}

#[tokio::test]
async fn a_relay_without_a_pipe_is_refused_and_one_that_has_ended_has_none() {
    let (_daemon, client) = farsockd(64).await;
    let (socket, peer) = client
        .socket_pair(
            farsock_client::Domain::Unix,
            farsock_client::SocketType::Stream,
            farsock_client::Protocol::Default,
        )
        .await
        .expect("there are descriptors");
    peer.send("hello").await.expect("connected");
    let at_once = farsock_client::SpliceOptions {
        timeout: Some(std::time::Duration::ZERO),
    };
    // More often than there are descriptors.
    for _ in 0..100 {
        let echo = in_time(socket.splice_with(&socket, at_once.clone())).await;
        let echo = echo.expect("there are descriptors").first_to_second;
        assert_eq!((echo.bytes, echo.undelivered), (5, 0));
        let received = peer.recv(8).await.expect("sent back");
        peer.send(received.data).await.expect("connected");
    }
    let mut sockets: Vec<RemoteSocket> = Vec::new();
    while let Ok(one) = client.udp_socket().await {
        sockets.push(one);
    }
    let error = in_time(socket.splice(&socket)).await;
    assert_out_of_descriptors(&error.expect_err("none is left"), "pipe2");
    let received = socket.recv(8).await.expect("it was not taken");
    assert_eq!(received.data, "hello");
}

#[tokio::test]
async fn a_failed_accept_keeps_its_errno_and_the_connection() {
    let (_daemon, client) = farsockd(64).await;
    let listener = listener(&client).await;
    let near = client.tcp_socket().await.expect("there is a descriptor");
    let address = listener.socket_name().await.expect("it is bound");
    near.connect(address).await.expect("it listens");

    let mut sockets: Vec<RemoteSocket> = Vec::new();
    let error = loop {
        match client.udp_socket().await {
            Ok(socket) => sockets.push(socket),
            Err(error) => break error,
        }
    };
    assert_out_of_descriptors(&error, "socket");
    let error = in_time(listener.accept()).await.expect_err("none is left");
    assert_out_of_descriptors(&error, "accept");
    let error = client
        .socket_pair(
            farsock_client::Domain::Unix,
            farsock_client::SocketType::Stream,
            farsock_client::Protocol::Default,
        )
        .await
        .expect_err("none is left");
    assert_out_of_descriptors(&error, "socketpair");

    let last = sockets.pop().expect("there were some");
    last.close().await.expect("it is open");
    let (far, peer) = in_time(listener.accept()).await.expect("it was kept");
    assert_eq!(peer, near.socket_name().await.expect("connected"));
    near.send("still here").await.expect("connected");
    assert_eq!(far.recv(16).await.expect("sent").data, "still here");
}
