//! What one client cannot do to the others: too many connections, too few descriptors, another protocol, many waiting calls.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{Daemon, FARSOCKD, PATIENCE, Serving, at, connect, health};
use farsock_daemon::listener::ListenAddress;

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_next_one_after_a_free_place_is_served() {
    let mut config = at("tcp://127.0.0.1:0");
    config.max_connections = 2;
    let serving = Serving::start(config).await;
    let first = serving.client().await;
    assert_eq!(health(first.clone()).await.unwrap(), 1);
    let second = serving.client().await;
    assert_eq!(health(second.clone()).await.unwrap(), 1);

    let mut third = serving.raw().await;
    let read = timeout(PATIENCE, third.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    assert_eq!(health(first.clone()).await.unwrap(), 1);

    drop(second);
    let served = async {
        // The daemon learns of the free place in its own time.
        while connect(&serving.addresses[0]).await.is_err() {}
    };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn without_descriptors_connections_are_turned_away_and_later_ones_served() {
    const LIMIT: usize = 48;
    const CLIENTS: usize = 80;
    let script = format!("ulimit -n {LIMIT} && exec {FARSOCKD} --listen tcp://127.0.0.1:0");
    let mut daemon = Daemon::spawn(Daemon::command("/bin/sh").args(["-c", &script]));
    let listening = daemon.address().await;
    let ListenAddress::Tcp(address) = listening else {
        panic!("it listens at TCP");
    };

    let (report, mut turned_away) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let report = report.clone();
        clients.push(tokio::spawn(async move {
            let _ = stream.read(&mut [0; 1]).await;
            let _ = report.send(());
        }));
    }
    for _ in 0..CLIENTS - LIMIT {
        timeout(PATIENCE, turned_away.recv()).await.unwrap();
    }
    daemon.logs("cannot accept connections").await;

    for client in &clients {
        client.abort();
    }
    let served = async {
        loop {
            if let Ok(channel) = connect(&listening).await
                && health(channel).await.is_ok()
            {
                return;
            }
        }
    };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_hung_up_on_at_once() {
    let serving = Serving::tcp().await;
    let mut stream = serving.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_thousand_calls_wait_on_one_connection_and_another_is_answered() {
    let serving = Serving::tcp().await;
    let channel = serving.client().await;
    let mut watches = Vec::new();
    for _ in 0..1_100 {
        let mut client = HealthClient::new(channel.clone());
        let watch = client.watch(HealthCheckRequest::default()).await.unwrap();
        watches.push(watch.into_inner());
    }
    assert_eq!(health(channel.clone()).await.unwrap(), 1);
    // All cancelled at once, which the connection survives.
    drop(watches);
    assert_eq!(health(channel).await.unwrap(), 1);
}
