//! Exactly once, over connections that break at any byte.

use std::{collections::BTreeSet, sync::Arc};

use farsock_client::{Client, Error, Reason, RecvOptions, UnixDatagram};
use farsock_daemon::Embedded;
use tokio::task::JoinSet;

use crate::pipes::{Budgets, Pipes};

const SENDERS: u32 = 4;
const EACH: u32 = 500;

fn brittle(daemon: &Embedded, seed: u64) -> Pipes {
    let budgets = Budgets {
        first: Some(20_000),
        others: 200..=20_000,
    };
    Pipes::to(daemon.connector()).brittle(seed, budgets)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_datagrams_arrive_once_each_over_connections_that_break() -> Result<(), Error>
{
    let daemon = farsock_daemon::embedded();
    let pipes = brittle(&daemon, 1);
    let client = Client::connect_with(pipes.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let (near, far) = (Arc::new(near), Arc::new(far));

    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let near = Arc::clone(&near);
        senders.spawn(async move {
            for number in sender * EACH..(sender + 1) * EACH {
                let sent = near.send(number.to_be_bytes().to_vec()).await?;
                assert_eq!(sent, 4);
            }
            Ok::<_, Error>(())
        });
    }
    let mut receivers = JoinSet::new();
    for _ in 0..SENDERS {
        let far = Arc::clone(&far);
        receivers.spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..EACH {
                let datagram = far.recv(64).await?;
                let number = datagram.as_ref().try_into().expect("4 bytes");
                numbers.push(u32::from_be_bytes(number));
            }
            Ok::<_, Error>(numbers)
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.expect("no panic")?;
    }
    let mut numbers = Vec::new();
    while let Some(receiver) = receivers.join_next().await {
        numbers.extend(receiver.expect("no panic")?);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..SENDERS * EACH).collect::<Vec<_>>());

    let options = RecvOptions {
        timeout: Some(std::time::Duration::ZERO),
        ..RecvOptions::default()
    };
    let error = far.socket().recv_with(64, options).await;
    assert_eq!(
        error.expect_err("nothing is left").reason(),
        Some(Reason::TimedOut)
    );
    assert!(pipes.connections() >= 20, "{}", pipes.connections());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_are_accepted_once_each_over_connections_that_break()
-> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let pipes = brittle(&daemon, 2);
    let client = Client::connect_with(pipes.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let address = listener.local_addr();

    let accepting = tokio::spawn(async move {
        let mut accepted = Vec::new();
        for _ in 0..100 {
            accepted.push(listener.accept().await?);
        }
        Ok::<_, Error>((listener, accepted))
    });
    let mut near = Vec::new();
    let mut ports = BTreeSet::new();
    for _ in 0..100 {
        let stream = client.tcp_stream(address).await?;
        assert!(ports.insert(stream.local_addr().await?));
        near.push(stream);
    }
    let (_listener, accepted) = accepting.await.expect("no panic")?;
    let peers: BTreeSet<_> = accepted.iter().map(|(_, peer)| *peer).collect();
    assert_eq!(peers, ports);
    // A listener, and both ends of each: nothing was made twice.
    assert_eq!(client.sockets().await?.len(), 201);
    assert!(pipes.connections() >= 3, "{}", pipes.connections());
    Ok(())
}

#[tokio::test]
async fn a_call_that_waits_goes_on_when_the_connection_is_back() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let pipes = Pipes::to(daemon.connector());
    let client = Client::connect_with(pipes.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let address = listener.local_addr();
    let mut accept = farsock_client::Operation::new(listener.accept()).notify_waiting();
    assert!(accept.waiting().await);
    pipes.cut();
    let near = client.tcp_stream(address).await?;
    let (_far, peer) = accept.await?;
    assert_eq!(near.local_addr().await?, peer);
    assert_eq!(pipes.connections(), 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_found_out_and_each_call_happens_once()
-> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let pipes = Pipes::to(daemon.connector());
    let soon = std::time::Duration::from_millis(50);
    let builder = Client::builder().keep_alive(soon, soon);
    let client = builder.connect_with(pipes.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    for number in 0..5_u8 {
        pipes.silence();
        near.send(vec![number]).await?;
        assert_eq!(far.recv(64).await?, vec![number]);
    }
    assert!(pipes.connections() > 5);
    Ok(())
}
