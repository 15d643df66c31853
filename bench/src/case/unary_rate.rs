//! `unary-rate`: how many SendTo a second go over one connection with 64 in flight, against the bare echo.

use std::{sync::Arc, time::Instant};

use tokio::task::JoinSet;

use super::{Case, Plan};
use crate::{
    Failure,
    connection::{self, Client},
    cpu::CpuPerCall,
    daemon_process, echo,
    report::{Row, Target},
    rounds::Rounds,
    sink::{self, Sink},
};

pub(crate) const CASE: Case = Case {
    name: "unary-rate",
    about: "SendTo of 64 B a second, 64 in flight on one connection, against a bare tonic echo",
    run,
};

const TARGET: Target = Target::AtLeast(0.85);

/// How many calls are under way at any time.
pub(super) const IN_FLIGHT: usize = 64;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = IN_FLIGHT * if plan.quick { 40 } else { 200 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let floor = echo::start()?;
    let (rounds, cpu) = tokio::runtime::Runtime::new()?.block_on(async {
        let sink = Arc::new(Sink::new(calls)?);
        let mut ours = connection::connect(daemon.address()).await?;
        let theirs = connection::connect(floor.address()).await?;
        let handle = connection::create_udp_socket(&mut ours).await?;

        // Warms up both.
        rate(&ours, handle, &sink, calls).await?;
        sink.check(calls)?;
        rate(&theirs, handle, &sink, calls).await?;
        let cpu = CpuPerCall::begin(&daemon, &floor)?;
        let rounds = Rounds::interleave(
            plan.rounds,
            async || {
                let rate = rate(&ours, handle, &sink, calls).await?;
                sink.check(calls)?;
                Ok(rate)
            },
            async || rate(&theirs, handle, &sink, calls).await,
        )
        .await?;
        let cpu = cpu.end(plan.rounds * calls)?;
        Ok::<_, Failure>((rounds, cpu))
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "calls/s",
        &rounds,
        "bare tonic echo",
        TARGET,
        format_args!(
            "{calls} calls a round on one socket, {IN_FLIGHT} in flight, every datagram arrived; {cpu}"
        ),
    )])
}

/// Sends the datagrams 0 to `calls` - 1, a share of them by each of the tasks in flight; calls a second.
pub(super) async fn rate(
    client: &Client,
    handle: u64,
    sink: &Arc<Sink>,
    calls: usize,
) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for first in 0..IN_FLIGHT {
        let mut client = client.clone();
        let sink = Arc::clone(sink);
        tasks.spawn(async move {
            let addresses = sink.addresses();
            for number in (first..calls).step_by(IN_FLIGHT) {
                let to = addresses[number % addresses.len()];
                let datagram = sink::datagram(number);
                connection::send_to(&mut client, handle, to, &datagram).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}
