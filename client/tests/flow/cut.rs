//! Each byte once, over connections that break.

use std::time::Duration;

use farsock_client::TcpStream;
use tokio::io::AsyncWriteExt;

use crate::{
    bytes::{MIB, pair},
    pattern::Pattern,
    pipes::Pipes,
    world::World,
};

/// Sends so many bytes each way at the same time, and checks each of them; both ends have one SHA-256.
async fn both_ways(near: TcpStream, far: TcpStream, count: u64) {
    let (mut near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, mut far_writes) = far.into_split();
    let up = tokio::spawn(async move {
        let sum = Pattern::new(1).write(&mut near_writes, count).await;
        near_writes.shutdown().await.unwrap();
        sum
    });
    let down = tokio::spawn(async move {
        let sum = Pattern::new(2).write_chunks(&mut far_writes, count).await;
        far_writes.shutdown().await.unwrap();
        sum
    });
    let checking = tokio::spawn(async move { Pattern::new(1).check_and_sum(&mut far_reads).await });
    let received = Pattern::new(2).check_and_sum(&mut near_reads).await;
    assert_eq!(received, (count, down.await.unwrap()));
    assert_eq!(checking.await.unwrap(), (count, up.await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bytes_arrive_once_over_connections_that_break_at_any_byte() {
    let (world, pipes) = World::brittle(1, Some(8 << 20)).await;
    let (near, far) = pair(&world.client).await;
    both_ways(near, far, 32 * MIB).await;
    assert!(pipes.connections() >= 12, "{}", pipes.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bytes_arrive_although_no_connection_carries_many() {
    let (world, pipes) = World::brittle(2, Some(60_000)).await;
    let (near, far) = pair(&world.client).await;
    both_ways(near, far, MIB).await;
    assert!(pipes.connections() >= 20, "{}", pipes.connections());
}

/// `FARSOCK_CUT_TEST=full`: 10 GiB each way, and the connections are cut every 1-500 ms. Best with `--release`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gibibytes_arrive_each_way_while_the_connections_are_cut_all_the_time() {
    if std::env::var("FARSOCK_CUT_TEST").as_deref() != Ok("full") {
        return;
    }
    let (world, pipes) = World::brittle(3, None).await;
    let (near, far) = pair(&world.client).await;
    let cutting = tokio::spawn(cut_again_and_again(pipes.clone()));
    let before = resident();
    both_ways(near, far, 10 * 1_024 * MIB).await;
    cutting.abort();
    assert!(pipes.connections() >= 50, "{}", pipes.connections());
    // Four directions here and four in the daemon, of at most 4 MiB, and HTTP/2's own buffers.
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 * MIB, "{grown} bytes more");
}

pub(crate) async fn cut_again_and_again(pipes: Pipes) {
    loop {
        tokio::time::sleep(Duration::from_millis(pipes.draw(1..=500))).await;
        pipes.cut();
    }
}

/// The most memory that this process has had, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kib| kib.parse().ok())
        .unwrap();
    kib << 10
}
