//! `accept-rate`: how many connections a second are accepted, handed over to the Rust client and closed, against a bare loop of
//! accept(2) in tokio.

use std::time::Instant;

use futures_util::StreamExt;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use super::{Case, Plan};
use crate::{
    Failure, daemon_process,
    far_end::{Ask, Connections, FarEnd, PATIENCE},
    operation,
    report::{Row, Target},
    rounds::Rounds,
};

pub(crate) const CASE: Case = Case {
    name: "accept-rate",
    about: "connections a second accepted, handed over to a client and closed, against a bare tokio accept loop",
    run,
};

const TARGET: Target = Target::AtLeast(0.3);

/// How many connections the far end has at once.
const IN_FLIGHT: usize = 32;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let count = if plan.quick { 1_000 } else { 5_000 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let far_end = FarEnd::start()?;
    let rounds = tokio::runtime::Runtime::new()?.block_on(async {
        let client = operation::connect(daemon.address()).await?;
        let ours = client.tcp_listener("127.0.0.1:0").await?;
        let theirs = TcpListener::bind("127.0.0.1:0").await?;
        let ask = |to| {
            Ask::Connections(Connections {
                to,
                count,
                in_flight: IN_FLIGHT,
            })
        };
        let (to_ours, to_theirs) = (ask(ours.local_addr()), ask(theirs.local_addr()?));

        // Both loops run in a task, like those of a program with more to do.
        let mut incoming = Some(ours.incoming());
        let mut listener = Some(theirs);
        // Asking and hearing that all is done is the same for both, and one has its turn after the other.
        let far_end = std::cell::RefCell::new(far_end);
        let rounds = Rounds::interleave(
            plan.rounds + 1,
            async || {
                let mut connections = incoming.take().ok_or("the listener is gone")?;
                let start = Instant::now();
                far_end.borrow_mut().ask(&to_ours)?;
                let accepting = tokio::spawn(async move {
                    let mut closing = JoinSet::new();
                    for _ in 0..count {
                        let next = connections.next().await.ok_or("accepting has ended")?;
                        closing.spawn(next?.0.close());
                    }
                    while let Some(closed) = closing.join_next().await {
                        closed??;
                    }
                    Ok::<_, Failure>(connections)
                });
                incoming = Some(timeout(PATIENCE, accepting).await???);
                far_end.borrow_mut().done()?;
                Ok(count as f64 / start.elapsed().as_secs_f64())
            },
            async || {
                let accepted = listener.take().ok_or("the listener is gone")?;
                let start = Instant::now();
                far_end.borrow_mut().ask(&to_theirs)?;
                let accepting = tokio::spawn(async move {
                    for _ in 0..count {
                        drop(accepted.accept().await?);
                    }
                    Ok::<_, Failure>(accepted)
                });
                listener = Some(timeout(PATIENCE, accepting).await???);
                far_end.borrow_mut().done()?;
                Ok(count as f64 / start.elapsed().as_secs_f64())
            },
        )
        .await?;
        // The first round warms up both.
        rounds.without_first()
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "connections/s",
        &rounds,
        "bare tokio loop",
        TARGET,
        format_args!(
            "{count} connections a round, {IN_FLIGHT} at once, each seen to its end by a process of its own"
        ),
    )])
}
