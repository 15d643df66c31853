//! Connections of a listener, accepted ahead.

use std::collections::BTreeSet;

use farsock_client::{Reason, TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;

use crate::world::World;

#[tokio::test]
async fn two_hundred_connections_come_once_each_over_connections_that_break() {
    let (world, _pipes) = World::brittle(4, Some(20_000)).await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    let mut connections = listener.incoming();
    let mut near = Vec::new();
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..20 {
        for _ in 0..10 {
            let stream = TcpStream::connect(&world.client, listener.local_addr())
                .await
                .unwrap();
            ours.insert(stream.local_addr().await.unwrap());
            near.push(stream);
        }
        while theirs.len() < 10 * (round + 1) {
            let (_stream, peer) = connections.next().await.unwrap().unwrap();
            assert!(theirs.insert(peer), "{peer} came twice");
        }
    }
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn accepted_unix_connections_carry_bytes() {
    let world = World::new().await;
    let name = format!("unix-abstract:farsock-incoming-{}", std::process::id());
    let listener = UnixListener::bind(&world.client, name.as_str())
        .await
        .unwrap();
    let mut connections = listener.incoming();
    let mut near = UnixStream::connect(&world.client, name.as_str())
        .await
        .unwrap();
    near.write_all(b"hello").await.unwrap();
    near.shutdown().await.unwrap();
    let (mut far, _) = connections.next().await.unwrap().unwrap();
    let mut all = String::new();
    far.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "hello");
}

#[tokio::test]
async fn connections_that_nobody_took_are_closed_when_the_stream_of_them_is_dropped() {
    let world = World::new().await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    let mut connections = listener.incoming();
    let _first = TcpStream::connect(&world.client, listener.local_addr())
        .await
        .unwrap();
    let (_taken, _) = connections.next().await.unwrap().unwrap();
    let mut second = TcpStream::connect(&world.client, listener.local_addr())
        .await
        .unwrap();
    // The listener, and both ends of each.
    while world.client.sockets().await.unwrap().len() < 5 {}
    drop(connections);
    assert_eq!(second.read_chunk(1).await.unwrap(), "");

    // Once the daemon has let go of the listener, accepts are its own again.
    let third = TcpStream::connect(&world.client, listener.local_addr())
        .await
        .unwrap();
    let (_, peer) = loop {
        match listener.accept().await {
            Ok(accepted) => break accepted,
            Err(error) => assert_eq!(error.reason(), Some(Reason::StreamInUse), "{error}"),
        }
    };
    assert_eq!(peer, third.local_addr().await.unwrap());
}

#[tokio::test]
async fn it_ends_when_the_listener_is_closed() {
    let world = World::new().await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    let mut connections = listener.incoming();
    let _near = TcpStream::connect(&world.client, listener.local_addr())
        .await
        .unwrap();
    connections.next().await.unwrap().unwrap();
    listener.close().await.unwrap();
    assert!(connections.next().await.unwrap().is_err());
    assert!(connections.next().await.is_none());
}
