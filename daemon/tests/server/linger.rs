//! Closes that linger: they wait for their peers, and nobody else waits for them.

use std::time::Duration;

use farsock_client::{
    Client, MessageFlags, OptionValue, PollEvents, RemoteSocket, SendOptions, SocketOption,
};
use socket2::SockRef;
use tokio::time::timeout;

use crate::support::{Daemon, PATIENCE, Serving, at};

const HOURS: Duration = Duration::from_secs(100_000);

/// Accepts nothing, so that nobody reads what is sent to it.
fn mute() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    SockRef::from(&listener)
        .set_recv_buffer_size(4096)
        .expect("it is open");
    listener
}

/// A connection with more in it than its peer takes, whose close waits for that for hours.
async fn lingering(client: &Client, peer: &std::net::TcpListener) -> RemoteSocket {
    let socket = client.tcp_socket().await.expect("a socket");
    socket
        .set_option(SocketOption::SoSndbuf, OptionValue::Integer(4096))
        .await
        .expect("it is open");
    socket
        .set_option(SocketOption::SoLinger, OptionValue::Linger(Some(HOURS)))
        .await
        .expect("it is open");
    let address = peer.local_addr().expect("it listens");
    socket.connect(address).await.expect("it listens");
    let at_once = SendOptions {
        flags: MessageFlags::DONTWAIT,
        timeout: None,
    };
    loop {
        while socket
            .send_with(vec![0; 4096], at_once.clone())
            .await
            .is_ok()
        {}
        // What the peer's window still takes has gone by then; if not, the close lingers all the same, or this test proves less.
        let entry = [(&socket, PollEvents::OUT)];
        let writable = client.poll(&entry, Some(Duration::from_millis(50))).await;
        if writable.expect("it is open").is_empty() {
            return socket;
        }
    }
}

/// Begins to close a socket, and returns when its handle is gone.
async fn begin_to_close(client: &Client, socket: RemoteSocket) -> tokio::task::JoinHandle<()> {
    let handle = socket.handle();
    let close = tokio::spawn(async move {
        // The daemon ends first.
        let _ = socket.close().await;
    });
    let gone = async {
        loop {
            let sockets = client.sockets().await.expect("it answers");
            if sockets.iter().all(|socket| socket.handle != handle) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone)
        .await
        .expect("it is taken out first");
    close
}

async fn client(serving: &Serving) -> Client {
    let address = serving.addresses[0].to_string();
    Client::connect(&address).await.expect("it serves")
}

#[tokio::test]
async fn a_shutdown_waits_for_closes_that_linger_no_longer_than_for_calls() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = Duration::from_millis(100);
    let serving = Serving::start(config).await;
    let client = client(&serving).await;
    let peer = mute();
    let closed = lingering(&client, &peer).await;
    let _closing = begin_to_close(&client, closed).await;
    let _open = lingering(&client, &peer).await;
    serving.shutdown.drain();
    serving.ended().await;
}

#[tokio::test]
async fn an_order_to_end_at_once_does_not_wait_for_a_close_that_lingers() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = PATIENCE * 10;
    let serving = Serving::start(config).await;
    let client = client(&serving).await;
    let peer = mute();
    let _open = lingering(&client, &peer).await;
    serving.shutdown.now();
    serving.ended().await;
}

#[tokio::test]
async fn a_second_signal_ends_a_daemon_whose_close_lingers() {
    let mut daemon = Daemon::start(&["--listen=tcp://127.0.0.1:0", "--drain-timeout=1h"]);
    let address = daemon.address().await.to_string();
    let client = Client::connect(&address).await.expect("it serves");
    let peer = mute();
    let socket = lingering(&client, &peer).await;
    let _closing = begin_to_close(&client, socket).await;
    daemon.signal("TERM").await;
    daemon.logs("draining").await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[test]
fn closes_that_linger_stop_no_look_up() {
    const BLOCKING_THREADS: usize = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .expect("threads");
    runtime.block_on(async {
        let serving = Serving::start(at("tcp://127.0.0.1:0")).await;
        let client = client(&serving).await;
        let peer = mute();
        let mut closing = Vec::new();
        for _ in 0..=BLOCKING_THREADS {
            let socket = lingering(&client, &peer).await;
            closing.push(begin_to_close(&client, socket).await);
        }
        let found = timeout(PATIENCE, client.resolve("localhost", "")).await;
        found.expect("it is not held up").expect("everybody has it");
        // Its end resets the connections, and so ends the closes.
        drop(peer);
        for close in closing {
            timeout(PATIENCE, close)
                .await
                .expect("it ends")
                .expect("in order");
        }
        serving.shutdown.now();
        serving.ended().await;
    });
    runtime.shutdown_background();
}
