//! Bytes both ways, and how each direction ends.

use std::io::Read as _;

use farsock_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Stream, channel, connected, credit, noise, opening, sockets};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_both_ways_at_once_and_each_direction_ends_by_itself() {
    const COUNT: usize = 8 << 20;
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let (up, down) = (noise(1, COUNT), noise(2, COUNT));
    let far = tokio::spawn({
        let (up, down) = (up.clone(), down.clone());
        async move {
            let (mut reader, mut writer) = peer.split();
            let mut all = Vec::new();
            let (read, written) = tokio::join!(reader.read_to_end(&mut all), async {
                writer.write_all(&down).await?;
                writer.shutdown().await
            });
            read.unwrap();
            written.unwrap();
            assert!(all == up, "what was sent is what came");
        }
    });

    let mut stream = Stream::open(&channel, opening(handle, 1 << 20))
        .await
        .unwrap();
    assert_eq!(
        (stream.opened.send_offset, stream.opened.receive_offset),
        (0, 0)
    );
    let mut limit = usize::try_from(stream.opened.send_limit).unwrap();
    let (mut sent, mut all) = (0, Vec::new());
    let (mut received, mut told) = (None, false);
    while received.is_none() || !told {
        while sent < COUNT && sent < limit {
            let end = COUNT.min(limit).min(sent + 100_000);
            stream.send(up[sent..end].to_vec());
            sent = end;
            if sent == COUNT {
                stream.finish(COUNT as u64);
            }
        }
        match stream.next().await {
            v1::stream_response::Message::Data(data) => {
                all.extend_from_slice(&data);
                stream.say(credit(all.len() as u64, all.len() as u64 + (1 << 20)));
            }
            v1::stream_response::Message::Credit(credit) => {
                limit = usize::try_from(credit.limit).unwrap();
            }
            v1::stream_response::Message::ReceivingEnded(end) => {
                assert_eq!(end.error, None);
                received = Some(end.offset);
            }
            v1::stream_response::Message::SendingEnded(end) => {
                assert_eq!((end.offset, end.error), (COUNT as u64, None));
                told = true;
            }
            v1::stream_response::Message::Opened(_) => panic!("opened twice"),
        }
    }
    assert_eq!(received, Some(COUNT as u64));
    assert!(all == down, "what came is what was sent");
    far.await.unwrap();
    stream.end();
    assert_eq!(stream.end_reason().await, None);

    let report = v1::GetSocketRequest { handle };
    let report = sockets(&channel).get_socket(report).await.unwrap();
    let socket = report.into_inner().socket.unwrap();
    let counters = socket.counters.unwrap();
    assert_eq!(
        (counters.bytes_sent, counters.bytes_received),
        (COUNT as u64, COUNT as u64)
    );
}

#[tokio::test]
async fn a_reset_comes_after_the_bytes_before_it() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 1 << 20))
        .await
        .unwrap();
    peer.write_all(b"before").await.unwrap();
    assert_eq!(stream.read(6).await, b"before");
    socket2::SockRef::from(&peer)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(peer);
    let end = stream.receiving_end().await;
    assert_eq!(end, (vec![], 6, Some("ECONNRESET".to_owned())));
    stream.send("lost");
    assert_eq!(stream.sending_end().await, (0, Some("EPIPE".to_owned())));
    // What is still sent is dropped, and the stream is as open as before.
    stream.send("lost as well");
    stream.say(credit(6, 6));
    stream.end();
    assert_eq!(stream.end_reason().await, None);

    let mut again = Stream::open(&channel, opening(handle, 1)).await.unwrap();
    assert_eq!(again.opened.receive_offset, 6);
    let mut ends = [false; 2];
    while ends != [true; 2] {
        match again.next().await {
            v1::stream_response::Message::ReceivingEnded(end) => ends[0] = end.error.is_some(),
            v1::stream_response::Message::SendingEnded(end) => ends[1] = end.error.is_some(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn one_direction_goes_on_after_the_other_has_ended() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    stream.finish(0);
    assert_eq!(stream.sending_end().await, (0, None));
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    peer.write_all(b"still").await.unwrap();
    assert_eq!(stream.read(5).await, b"still");
    peer.shutdown().await.unwrap();
    assert_eq!(stream.receiving_end().await, (vec![], 5, None));

    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(stream.receiving_end().await, (vec![], 0, None));
    stream.send("still");
    stream.finish(5);
    let mut all = String::new();
    peer.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "still");
}

#[tokio::test]
async fn what_the_daemon_has_received_reaches_the_socket_though_the_client_has_ended_the_stream() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    let window = usize::try_from(stream.opened.send_limit).unwrap();
    let all = noise(3, window);
    stream.send(all.clone());
    stream.finish(window as u64);
    stream.end();
    assert_eq!(stream.end_reason().await, None);
    let mut peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut read = Vec::new();
        peer.read_to_end(&mut read).unwrap();
        read
    });
    assert!(read.await.unwrap() == all);
}

#[tokio::test]
async fn a_unix_stream_works_like_a_tcp_one() {
    use v1::create_socket_pair_request::{DomainChoice, TypeChoice};
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Stream.into())),
        ..Default::default()
    };
    let pair = sockets(&channel).create_socket_pair(request).await;
    let pair = pair.unwrap().into_inner();
    let mut near = Stream::open(&channel, opening(pair.first, 100))
        .await
        .unwrap();
    let mut far = Stream::open(&channel, opening(pair.second, 100))
        .await
        .unwrap();
    near.send("to and");
    assert_eq!(far.read(6).await, b"to and");
    far.send("fro");
    far.finish(3);
    assert_eq!(near.receiving_end().await, (b"fro".to_vec(), 3, None));
}
