//! `datagrams-up`: how many datagrams a second the Rust client sends in batches through the daemon, against a loop of send(2).
//!
//! Nobody receives while the clock runs: the receiver's queue holds all that is sent at a time, and is emptied and checked after it.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use farsock_client::{Bytes, Datagrams, DatagramsOptions, OutgoingMessage};

use super::{Case, Plan};
use crate::{
    Failure, daemon_process, operation,
    queue::Queue,
    report::{Row, Target},
    rounds::Rounds,
    sink,
};

pub(crate) const CASE: Case = Case {
    name: "datagrams-up",
    about: "datagrams of 64 B a second from a client's batches, against a loop of send(2)",
    run,
};

const TARGET: Target = Target::AtLeast(0.5);

/// How many datagrams a program hands over at a time.
const BATCH: usize = 512;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let times = if plan.quick { 5 } else { 25 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let queue = Queue::new()?;
    let rounds = tokio::runtime::Runtime::new()?.block_on(async {
        let client = operation::connect(daemon.address()).await?;
        let socket = farsock_client::UdpSocket::bind(&client, "127.0.0.1:0").await?;
        socket.connect(queue.address()?.to_string()).await?;
        let mut ours = socket.datagrams(&DatagramsOptions::default());
        let theirs = UdpSocket::bind("127.0.0.1:0")?;
        theirs.connect(queue.address()?)?;
        let all: Bytes = (0..queue.capacity()).flat_map(sink::datagram).collect();

        // Warms up both.
        ours = batches(ours, all.clone()).await?.1;
        emptied(&queue)?;
        plain(&theirs, &all)?;
        emptied(&queue)?;
        let mut ours = Some(ours);
        Rounds::interleave(
            plan.rounds,
            async || {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    let datagrams = ours.take().ok_or("the datagrams are gone")?;
                    // In a task, like a program with more to do.
                    let sent = tokio::spawn(batches(datagrams, all.clone()));
                    let (time, datagrams) = sent.await??;
                    ours = Some(datagrams);
                    took += time;
                    emptied(&queue)?;
                }
                Ok((times * queue.capacity()) as f64 / took.as_secs_f64())
            },
            async || {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    took += plain(&theirs, &all)?;
                    emptied(&queue)?;
                }
                Ok((times * queue.capacity()) as f64 / took.as_secs_f64())
            },
        )
        .await
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "datagrams/s",
        &rounds,
        "a loop of send()",
        TARGET,
        format_args!(
            "{times} times {} a round, until the kernel has taken them; {BATCH} handed over at a time; every datagram arrived",
            queue.capacity()
        ),
    )])
}

/// Sends them all, and waits until the daemon's kernel has taken them; how long that took.
async fn batches(datagrams: Datagrams, all: Bytes) -> Result<(Duration, Datagrams), Failure> {
    let length = sink::datagram(0).len();
    let start = Instant::now();
    let mut left = all;
    while !left.is_empty() {
        let batch = left.split_to(left.len().min(BATCH * length));
        let messages = (0..batch.len())
            .step_by(length)
            .map(|at| OutgoingMessage::new(batch.slice(at..at + length)));
        datagrams.send(messages).await?;
    }
    datagrams.flush().await?;
    Ok((start.elapsed(), datagrams))
}

/// Sends them all, each with one send(2); how long that took.
fn plain(socket: &UdpSocket, all: &[u8]) -> Result<Duration, Failure> {
    let start = Instant::now();
    for datagram in all.chunks(sink::datagram(0).len()) {
        socket.send(datagram)?;
    }
    Ok(start.elapsed())
}

fn emptied(queue: &Queue) -> Result<(), Failure> {
    queue.receive(queue.capacity(), |_| Ok(()))?;
    queue.check_empty()
}
