//! Memory that streams held goes back to the kernel when they have gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use farsock_proto::v1;
use tokio::io::AsyncWriteExt as _;

use crate::{
    slow_readers::{self, start_daemon, status},
    support::{PATIENCE, Stream, connected, opening, sockets},
};

const STREAMS: usize = 200;
/// What each keeps, since its client acknowledges nothing.
const WINDOW: u64 = 256 << 10;
/// One of so many stays: its memory lies between that of the others.
const STAYING: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_daemon_gives_back_what_streams_held_and_those_that_stay_lose_nothing() {
    let (daemon, address) = start_daemon().await;
    let channel = slow_readers::channel(address, Arc::default()).await;
    let resident = || status(&daemon, "VmRSS:");
    let mut streams = Vec::with_capacity(STREAMS);
    let window = usize::try_from(WINDOW).unwrap();
    let mut before = 0;
    for number in 0..STREAMS {
        let (handle, mut peer) = connected(&channel).await;
        tokio::spawn(async move { while peer.write_all(&[0xf1; 16 << 10]).await.is_ok() {} });
        let open = v1::OpenStream {
            stream_id: handle,
            ..opening(handle, WINDOW)
        };
        let mut stream = Stream::open(&channel, open).await.expect("it opens");
        stream.read(window).await;
        if number == STAYING {
            // Buffers that are used again are there by now.
            before = resident();
        }
        streams.push((open, stream));
    }
    let most = resident();
    let held = (STREAMS - STAYING) as u64 * WINDOW;
    assert!(most - before > held / 2, "{before} and then {most}");

    let mut staying = Vec::new();
    for (number, (open, stream)) in streams.into_iter().enumerate() {
        drop(stream);
        if number % STAYING == 0 {
            staying.push(open);
            continue;
        }
        let close = v1::CloseRequest {
            handle: open.handle,
            abort: true,
        };
        sockets(&channel).close(close).await.expect("it is there");
    }
    // It waits until it is quiet. What stays is a tenth.
    let end = Instant::now() + PATIENCE;
    while resident().saturating_sub(before) > (most - before) / 3 {
        assert!(
            Instant::now() < end,
            "{before}, then {most}, and still {}",
            resident()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    for open in staying {
        let open = v1::OpenStream {
            received: Some(0),
            ..open
        };
        let mut stream = Stream::open(&channel, open).await.expect("it opens again");
        assert_eq!(stream.read(window).await, vec![0xf1; window]);
    }
}
