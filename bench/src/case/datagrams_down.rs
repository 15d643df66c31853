//! `datagrams-down`: how many datagrams a second the Rust client receives in batches through the daemon, against a loop of recv(2).
//!
//! They come from a process of its own, which never has more under way than the receiver's queue holds, so that none is dropped.

use std::time::Instant;

use farsock_client::{Datagrams, DatagramsOptions, OptionValue, SocketOption};
use tokio::time::timeout;

use super::{Case, Plan};
use crate::{
    Failure, daemon_process,
    far_end::{self, Ask, FarEnd, PATIENCE},
    operation,
    queue::{self, Queue},
    report::{Row, Target},
    rounds::Rounds,
};

pub(crate) const CASE: Case = Case {
    name: "datagrams-down",
    about: "datagrams of 64 B a second to a client in batches, against a loop of recv(2)",
    run,
};

const TARGET: Target = Target::AtLeast(0.5);

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let count = if plan.quick { 20_000 } else { 200_000 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let far_end = FarEnd::start()?;
    let queue = Queue::new()?;
    let (rounds, window) = tokio::runtime::Runtime::new()?.block_on(async {
        let client = operation::connect(daemon.address()).await?;
        let socket = farsock_client::UdpSocket::bind(&client, "127.0.0.1:0").await?;
        let to = socket.local_addr().await?;
        let remote = socket.socket();
        remote
            .set_option(SocketOption::SoRcvbuf, queue::ROOM)
            .await?;
        let OptionValue::Integer(room) = remote.option(SocketOption::SoRcvbuf).await? else {
            return Err("SO_RCVBUF is no number".into());
        };
        let window = queue::capacity(usize::try_from(room)?).min(queue.capacity());
        let ask = |to| Ask::Datagrams(far_end::Datagrams { to, count, window });
        let (to_ours, to_theirs) = (ask(to), ask(queue.address()?));

        let mut ours = Some((far_end, socket.datagrams(&DatagramsOptions::default())));
        let mut theirs = FarEnd::start()?;
        let rounds = Rounds::interleave(
            plan.rounds + 1,
            async || {
                let (mut far_end, datagrams) = ours.take().ok_or("the datagrams are gone")?;
                far_end.ask(&to_ours)?;
                let start = Instant::now();
                // In a task, like a program with more to do.
                let received = tokio::spawn(batches(far_end, datagrams, count, window));
                let (mut far_end, datagrams) = timeout(PATIENCE, received).await???;
                let took = start.elapsed();
                far_end.done()?;
                if datagrams.dropped() > 0 {
                    return Err(format!("{} datagrams were dropped", datagrams.dropped()).into());
                }
                ours = Some((far_end, datagrams));
                Ok(count as f64 / took.as_secs_f64())
            },
            async || {
                theirs.ask(&to_theirs)?;
                let start = Instant::now();
                let mut told = 0;
                queue.receive(count, |received| {
                    tell(&mut theirs, &mut told, received, count, window)
                })?;
                let took = start.elapsed();
                theirs.done()?;
                queue.check_empty()?;
                Ok(count as f64 / took.as_secs_f64())
            },
        )
        .await?;
        // The first round warms up both.
        Ok::<_, Failure>((rounds.without_first()?, window))
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "datagrams/s",
        &rounds,
        "a loop of recv()",
        TARGET,
        format_args!(
            "{count} a round, {window} at most under way, from a process of its own; every datagram arrived, in order"
        ),
    )])
}

/// Receives them all.
async fn batches(
    mut far_end: FarEnd,
    datagrams: Datagrams,
    count: usize,
    window: usize,
) -> Result<(FarEnd, Datagrams), Failure> {
    let (mut received, mut told) = (0, 0);
    while received < count {
        for message in datagrams.recv().await? {
            queue::check(received, &message.data)?;
            received += 1;
        }
        tell(&mut far_end, &mut told, received, count, window)?;
    }
    Ok((far_end, datagrams))
}

/// Tells the source how many have come, now and then: a line on a connection, which does not wait.
fn tell(
    far_end: &mut FarEnd,
    told: &mut usize,
    received: usize,
    count: usize,
    window: usize,
) -> Result<(), Failure> {
    if received - *told >= window.div_ceil(4) || received == count {
        *told = received;
        far_end.received(received)?;
    }
    Ok(())
}
