//! The connection is cut again and again, while bytes pass both ways: each passes once.

use farsock_proto::v1::{self, stream_response::Message as Hear};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Random, Stream, channel, connected, credit, noise, opening, reason};

const WINDOW: u64 = 256 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_every_byte_passes_once_and_in_order() {
    for seed in [1, 2, 3] {
        pass(seed, 3 << 20, 60).await;
    }
}

/// Bytes both ways while the connection is cut up to so many times, at points that the seed gives.
async fn pass(seed: u64, count: usize, cuts: usize) {
    let daemon = farsock_daemon::embedded();
    let control = channel(&daemon).await;
    let (handle, mut peer) = connected(&control).await;
    let (up, down) = (noise(seed, count), noise(seed + 100, count));
    let far = tokio::spawn({
        let (up, down) = (up.clone(), down.clone());
        async move {
            let (mut reader, mut writer) = peer.split();
            let mut all = Vec::new();
            let (read, written) = tokio::join!(reader.read_to_end(&mut all), async {
                writer.write_all(&down).await?;
                writer.shutdown().await
            });
            read.expect("it goes on");
            written.expect("it goes on");
            assert!(all == up, "seed {seed}: what was sent is what came");
        }
    });

    let mut random = Random(seed);
    let mut all = Vec::new();
    let mut ended = [false; 2];
    for cut in 0.. {
        let last = cut == cuts;
        let channel = channel(&daemon).await;
        let open = v1::OpenStream {
            stream_id: 9,
            received: Some(all.len() as u64),
            ..opening(handle, WINDOW)
        };
        let mut stream = Stream::open(&channel, open).await.expect("it goes on");
        let mut sent = usize::try_from(stream.opened.send_offset).expect("it goes on");
        let mut limit = usize::try_from(stream.opened.send_limit).expect("it goes on");
        assert_eq!(stream.opened.receive_offset, all.len() as u64);
        let mut told = stream.opened.receive_offset;
        let messages = if last { u64::MAX } else { random.below(12) };
        for _ in 0..messages {
            while sent < count && sent < limit {
                let size = usize::try_from(1 + random.below(60_000)).expect("it goes on");
                let end = count.min(limit).min(sent + size);
                stream.send(up[sent..end].to_vec());
                sent = end;
            }
            if sent == count {
                stream.finish(count as u64);
            }
            match stream.next().await {
                Hear::Data(data) => {
                    all.extend_from_slice(&data);
                    let received = all.len() as u64;
                    if random.below(3) == 0 || received >= told + WINDOW / 4 {
                        told = received;
                        stream.say(credit(received, received + WINDOW));
                    }
                }
                Hear::Credit(credit) => limit = usize::try_from(credit.limit).expect("it goes on"),
                Hear::ReceivingEnded(end) => {
                    assert_eq!((end.offset, end.error), (count as u64, None));
                    ended[0] = true;
                }
                Hear::SendingEnded(end) => {
                    assert_eq!((end.offset, end.error), (count as u64, None));
                    ended[1] = true;
                }
                Hear::Opened(_) => panic!("opened twice"),
            }
            if ended == [true; 2] {
                break;
            }
        }
        // Both go without a word, as when a connection breaks.
        drop(stream);
        drop(channel);
        if ended == [true; 2] {
            break;
        }
    }
    assert!(all == down, "seed {seed}: what came is what was sent");
    far.await.expect("it goes on");
}

#[tokio::test]
async fn what_the_socket_has_taken_is_told_again_on_the_next_connection() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    let open = v1::OpenStream {
        stream_id: 9,
        ..opening(handle, WINDOW)
    };
    let mut stream = Stream::open(&channel, open).await.expect("it opens");
    stream.send("hello");
    let taken = |heard| matches!(heard, Hear::Credit(credit) if credit.taken == 5);
    assert!(taken(stream.next().await));
    // It was told; whether it was heard, the daemon does not know.
    let mut again = Stream::open(&channel, open).await.expect("it goes on");
    assert_eq!(again.opened.send_offset, 5);
    assert!(taken(again.next().await));
}

#[tokio::test]
async fn an_opening_that_was_delayed_is_refused_and_the_newer_one_goes_on() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let open = |stream_id, attempt| v1::OpenStream {
        stream_id,
        attempt,
        ..opening(handle, WINDOW)
    };
    let mut second = Stream::open(&channel, open(9, 2)).await.unwrap();
    for delayed in [1, 2] {
        let refused = Stream::open(&channel, open(9, delayed)).await.err();
        assert_eq!(reason(&refused.unwrap()), "STREAM_TAKEN");
    }
    peer.write_all(b"hello").await.unwrap();
    assert_eq!(second.read(5).await, b"hello");

    let mut third = Stream::open(&channel, open(9, 3)).await.unwrap();
    assert_eq!(second.end_reason().await.as_deref(), Some("STREAM_TAKEN"));
    // Whoever does not count comes last, and the count stays.
    let mut other = Stream::open(&channel, open(9, 0)).await.unwrap();
    assert_eq!(third.end_reason().await.as_deref(), Some("STREAM_TAKEN"));
    let refused = Stream::open(&channel, open(9, 3)).await.err();
    assert_eq!(reason(&refused.unwrap()), "STREAM_TAKEN");
    // The delayed one is refused as well when nobody has the stream.
    other.say(credit(5, 5 + WINDOW));
    other.end();
    assert_eq!(other.end_reason().await, None);
    let refused = Stream::open(&channel, open(9, 1)).await.err();
    assert_eq!(reason(&refused.unwrap()), "STREAM_TAKEN");
    // Another stream counts for itself.
    Stream::open(&channel, open(10, 1)).await.unwrap();
}
