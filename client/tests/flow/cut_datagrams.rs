//! Each datagram once, over connections that break: of unix sockets, whose datagrams the kernel does not drop.

use farsock_client::{ControlMessage, Datagrams, Error, OutgoingMessage, UnixDatagram};

use crate::{cut::cut_again_and_again, datagrams::all_of, pattern::Pattern, world::World};

/// The datagram of a number, which it begins with. Most are short, and one in a hundred is up to `longest`.
fn numbered(n: u64, longest: u64) -> Vec<u8> {
    let most = if n % 100 == 99 { longest } else { 1_500 };
    let length = n.wrapping_mul(2_654_435_761) % most;
    let mut data = n.to_le_bytes().to_vec();
    data.extend(Pattern::new(n).take(usize::try_from(length).unwrap()));
    data
}

/// Sends the first so many, in batches of many sizes.
async fn send(datagrams: &Datagrams, count: u64, longest: u64) {
    let mut numbers = 0..count;
    let mut size = 1;
    while !numbers.is_empty() {
        let batch = numbers.by_ref().take(size);
        let batch = batch.map(|n| OutgoingMessage::new(numbered(n, longest)));
        datagrams.send(batch).await.unwrap();
        size = if size > 500 { 1 } else { size * 3 };
    }
    datagrams.flush().await.unwrap();
}

/// Receives the first so many, each in its turn.
async fn check(datagrams: &Datagrams, count: u64, longest: u64) {
    let mut next = 0;
    while next < count {
        for message in datagrams.recv().await.unwrap() {
            assert!(message.data == numbered(next, longest), "not {next}");
            next += 1;
        }
    }
    assert_eq!(next, count);
}

/// Sends so many each way at the same time, and checks each of them.
async fn both_ways(near: &UnixDatagram, far: &UnixDatagram, count: u64, longest: u64) {
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    tokio::join!(
        send(&near, count, longest),
        send(&far, count, longest),
        check(&near, count, longest),
        check(&far, count, longest)
    );
    // Nothing is left that came twice.
    for (one, other) in [(&near, &far), (&far, &near)] {
        one.send([OutgoingMessage::new("the end")]).await.unwrap();
        let last = other.recv().await.unwrap();
        assert_eq!(last[0].data, "the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_datagrams_arrive_once_over_connections_that_break_at_any_byte() {
    let (world, pipes) = World::brittle(5, Some(2 << 20)).await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    both_ways(&near, &far, 10_000, 60_000).await;
    assert!(pipes.connections() >= 12, "{}", pipes.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_datagrams_arrive_although_no_connection_carries_many() {
    let (world, pipes) = World::brittle(6, Some(60_000)).await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    both_ways(&near, &far, 500, 1_500).await;
    assert!(pipes.connections() >= 20, "{}", pipes.connections());
}

/// Sends the first so many, each behind `each` that are invalid, and checks that each of those is told once, in its turn.
async fn send_with_failures(datagrams: &Datagrams, count: u64, each: i32) {
    let mut numbers = (0..).flat_map(|n| {
        let first = i32::try_from(n).unwrap() * each;
        // What is wrong with it names it.
        let invalid = (first..first + each)
            .map(|n| OutgoingMessage::new("lost").control(ControlMessage::Ttl(1_000 + n)));
        invalid.chain([OutgoingMessage::new(numbered(n, 1_500))])
    });
    let total = i32::try_from(count).unwrap() * each;
    let mut told = 0;
    let mut tell = |error: Error| {
        let expected = format!("control[0].ttl: {} is not from 0 to 255", 1_000 + told);
        assert_eq!(error.violations()[0].to_string(), expected, "{error}");
        told += 1;
    };
    let mut batch = numbers
        .by_ref()
        .take(usize::try_from(total).unwrap() + usize::try_from(count).unwrap());
    while let Err(error) = datagrams.send(&mut batch).await {
        tell(error);
    }
    while let Err(error) = datagrams.flush().await {
        tell(error);
    }
    assert_eq!(told, total);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_once_over_connections_that_break_at_any_byte() {
    for seed in [8, 9] {
        let (world, pipes) = World::brittle(seed, Some(200_000)).await;
        let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
        let (near, far) = (all_of(near.socket()), all_of(far.socket()));
        tokio::join!(
            send_with_failures(&near, 1_000, 4),
            check(&far, 1_000, 1_500)
        );
        assert!(pipes.connections() >= 6, "{}", pipes.connections());
    }
}

/// `FARSOCK_CUT_TEST=full`: a million each way, and the connections are cut every 1-500 ms. Best with `--release`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_datagrams_arrive_each_way_while_the_connections_are_cut_all_the_time() {
    if std::env::var("FARSOCK_CUT_TEST").as_deref() != Ok("full") {
        return;
    }
    let (world, pipes) = World::brittle(7, None).await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let cutting = tokio::spawn(cut_again_and_again(pipes.clone()));
    both_ways(&near, &far, 1_000_000, 60_000).await;
    cutting.abort();
    assert!(pipes.connections() >= 50, "{}", pipes.connections());
}
