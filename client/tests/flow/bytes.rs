//! Bytes of connections, through a daemon's sockets.

use std::{future::Future, io::ErrorKind, pin::pin, task::Poll, time::Duration};

use farsock_client::{Bytes, Client, TcpListener, TcpStream, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{pattern::Pattern, world::World};

pub(crate) const MIB: u64 = 1 << 20;

/// Both ends of a connection.
pub(crate) async fn pair(client: &Client) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(client, "127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(client, listener.local_addr())
        .await
        .unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_arrive_each_way_at_the_same_time() {
    let world = World::new().await;
    let (near, far) = pair(&world.client).await;
    let (mut near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, mut far_writes) = far.into_split();
    let up = async {
        Pattern::new(1).write(&mut near_writes, 16 * MIB).await;
        near_writes.shutdown().await.unwrap();
    };
    let down = async {
        Pattern::new(2)
            .write_chunks(&mut far_writes, 16 * MIB)
            .await;
        far_writes.shutdown().await.unwrap();
    };
    let ((), (), up, down) = tokio::join!(
        up,
        down,
        Pattern::new(1).check(&mut far_reads),
        Pattern::new(2).check(&mut near_reads)
    );
    assert_eq!((up, down), (16 * MIB, 16 * MIB));
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let world = World::new().await;
    let (mut near, mut far) = UnixStream::pair(&world.client).await.unwrap();
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut all = String::new();
    far.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "question");
    far.write_all(b"answer").await.unwrap();
    let mut part = [0; 6];
    near.read_exact(&mut part).await.unwrap();
    assert_eq!(&part, b"answer");
    far.close().await.unwrap();
    assert_eq!(near.read(&mut part).await.unwrap(), 0);
    assert_eq!(near.read_chunk(10).await.unwrap(), "");
}

#[tokio::test]
async fn a_reset_comes_after_the_bytes_before_it() {
    let world = World::new().await;
    let (mut near, far) = pair(&world.client).await;
    far.send("last words").await.unwrap();
    // They are here before the reset makes the kernel forget them.
    assert_eq!(near.read_chunk(4).await.unwrap(), "last");
    far.into_socket().abort().await.unwrap();
    let mut rest = String::new();
    let error = near.read_to_string(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let source = error
        .get_ref()
        .and_then(|source| source.downcast_ref::<farsock_client::Error>());
    assert_eq!(
        source.and_then(farsock_client::Error::errno_name),
        Some("ECONNRESET")
    );
}

#[tokio::test]
async fn what_was_written_arrives_although_the_stream_was_dropped() {
    let world = World::new().await;
    let (mut near, mut far) = pair(&world.client).await;
    let writing = tokio::spawn(async move {
        Pattern::new(3).write(&mut near, 4 * MIB).await;
        drop(near);
    });
    assert_eq!(Pattern::new(3).check(&mut far).await, 4 * MIB);
    writing.await.unwrap();
}

#[tokio::test]
async fn close_waits_until_what_was_written_is_taken() {
    let world = World::new().await;
    let (mut near, mut far) = pair(&world.client).await;
    near.write_chunk(Bytes::from_static(b"the end"))
        .await
        .unwrap();
    near.close().await.unwrap();
    let mut all = String::new();
    far.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "the end");
}

#[tokio::test]
async fn close_returns_when_a_slow_reader_has_made_room_for_the_last() {
    let world = World::new().await;
    let (mut near, far) = UnixStream::pair(&world.client).await.unwrap();
    // More than a unix socket holds.
    near.write_all(&[7; 1 << 19]).await.unwrap();
    let reading = async {
        let mut left = 1 << 19;
        while left > 0 {
            left -= far.socket().recv(2_048).await.unwrap().data.len();
        }
    };
    let (closed, ()) = tokio::join!(near.close(), reading);
    closed.unwrap();
}

#[tokio::test]
async fn reads_and_writes_that_are_given_up_lose_nothing() {
    let world = World::new().await;
    let (near, far) = pair(&world.client).await;
    let (mut reads, mut writes) = near.into_split();
    let (mut far_reads, mut far_writes) = far.into_split();
    let echo = tokio::spawn(async move { tokio::io::copy(&mut far_reads, &mut far_writes).await });
    let mut sent = Pattern::new(4);
    let mut heard = Pattern::new(4);
    let (mut written, mut read) = (0_u64, 0_u64);
    let mut polls = 0;
    while read < 2 * MIB || read < written {
        let data = sent.peek(10_000);
        // Each is polled a few times and dropped, whether it is ready or not.
        if written < 2 * MIB
            && let Some(result) = poll_for(writes.write(&data), polls % 3).await
        {
            let count = result.unwrap();
            sent.skip(count);
            written += count as u64;
        }
        if let Some(result) = poll_for(reads.read_chunk(7_001), polls % 5).await {
            let chunk = result.unwrap();
            heard.expect(&chunk);
            read += chunk.len() as u64;
        }
        polls += 1;
    }
    assert_eq!(read, written);
    drop(writes);
    assert_eq!(echo.await.unwrap().unwrap(), written);
}

/// Polls a future up to so many times more than once, and gives it up then.
async fn poll_for<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        polls += 1;
        if polls > times {
            // The runtime goes on between two attempts.
            return Poll::Ready(None);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[tokio::test]
async fn operations_go_on_beside_a_stream_that_is_stuck() {
    let world = World::new().await;
    let (mut near, far) = pair(&world.client).await;
    let stuck = async { Pattern::new(5).write(&mut near, 64 * MIB).await };
    let others = async {
        for _ in 0..50 {
            far.socket().socket_name().await.unwrap();
        }
    };
    tokio::select! {
        _ = stuck => panic!("nobody reads"),
        () = others => {}
    }
    let waiting = tokio::time::timeout(Duration::ZERO, near.write_all(&[0; 1 << 20]));
    assert!(waiting.await.is_err());
}
