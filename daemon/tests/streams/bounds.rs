//! Credit is kept to the byte, and memory within it.

use farsock_proto::v1::stream_response::Message as Hear;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Stream, channel, connected, credit, noise, opening};

#[tokio::test]
async fn exactly_what_is_granted_comes() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let all = noise(4, 5_000);
    peer.write_all(&all).await.unwrap();
    let mut stream = Stream::open(&channel, opening(handle, 1_000))
        .await
        .unwrap();
    assert_eq!(stream.read(1_000).await, all[..1_000]);
    // Nothing comes until more is granted: what comes next is the answer to what is sent next.
    stream.send("x");
    stream.taken(1).await;
    stream.say(credit(500, 1_001));
    assert_eq!(stream.read(1).await, all[1_000..1_001]);
    // Less than before has no effect.
    stream.say(credit(10, 900));
    stream.send("y");
    stream.taken(2).await;
    stream.say(credit(1_001, 5_000));
    assert_eq!(stream.read(3_999).await, all[1_001..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_grants_and_never_acknowledges_gets_no_more_than_the_daemon_keeps() {
    const KEPT: usize = 4 << 20;
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let all = noise(5, KEPT + (1 << 20));
    let writing = tokio::spawn({
        let all = all.clone();
        async move {
            peer.write_all(&all).await.unwrap();
            peer
        }
    });
    let mut stream = Stream::open(&channel, opening(handle, 16 << 20))
        .await
        .unwrap();
    assert!(stream.read(KEPT).await == all[..KEPT]);
    stream.send("x");
    stream.taken(1).await;
    stream.say(credit(KEPT as u64, 16 << 20));
    assert!(stream.read(1 << 20).await == all[KEPT..]);
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_hold_up_nobody_on_the_same_connection() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let mut stalled = Vec::new();
    for seed in 0..20 {
        let (handle, mut peer) = connected(&channel).await;
        let stream = Stream::open(&channel, opening(handle, 512 << 10))
            .await
            .unwrap();
        // It sends all it may to a peer that does not read, and reads nothing.
        let window = usize::try_from(stream.opened.send_limit).unwrap();
        stream.send(noise(seed, window));
        peer.write_all(&noise(seed, 64 << 10)).await.unwrap();
        stalled.push((stream, peer));
    }
    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 1 << 20))
        .await
        .unwrap();
    for round in 0..50_u64 {
        peer.write_all(&noise(round, 10_000)).await.unwrap();
        assert!(stream.read(10_000).await == noise(round, 10_000));
        let received = (round + 1) * 10_000;
        stream.say(credit(received, received + (1 << 20)));
    }
    for (mut stream, _peer) in stalled {
        assert!(matches!(
            stream.next().await,
            Hear::Data(_) | Hear::Credit(_)
        ));
    }
}
