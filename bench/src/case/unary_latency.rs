//! `unary-latency`: how long one SendTo takes when nothing else is asked, against the same message to the bare echo.

use std::time::Instant;

use super::{Case, Plan};
use crate::{
    Failure,
    connection::{self, Client},
    cpu::CpuPerCall,
    daemon_process, echo,
    report::{Row, Target},
    rounds::Rounds,
    sink::{self, Sink},
    stats,
};

pub(crate) const CASE: Case = Case {
    name: "unary-latency",
    about: "p50 of one SendTo of 64 B after the other, against a bare tonic echo",
    run,
};

const TARGET: Target = Target::AtMost(1.15);

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = if plan.quick { 500 } else { 2_000 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let floor = echo::start()?;
    let (rounds, cpu) = tokio::runtime::Runtime::new()?.block_on(async {
        let sink = Sink::new(calls)?;
        let mut ours = connection::connect(daemon.address()).await?;
        let mut theirs = connection::connect(floor.address()).await?;
        let handle = connection::create_udp_socket(&mut ours).await?;

        // Warms up both.
        sent(&mut ours, handle, &sink, calls).await?;
        sink.check(calls)?;
        sent(&mut theirs, handle, &sink, calls).await?;
        let cpu = CpuPerCall::begin(&daemon, &floor)?;
        let rounds = Rounds::interleave(
            plan.rounds,
            async || {
                let p50 = sent(&mut ours, handle, &sink, calls).await?;
                sink.check(calls)?;
                Ok(p50)
            },
            async || sent(&mut theirs, handle, &sink, calls).await,
        )
        .await?;
        let cpu = cpu.end(plan.rounds * calls)?;
        Ok::<_, Failure>((rounds, cpu))
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "us p50",
        &rounds,
        "bare tonic echo",
        TARGET,
        format_args!("{calls} calls a round, every datagram arrived; {cpu}"),
    )])
}

/// Sends the datagrams 0 to `calls` - 1, one after the other; the median of the times that the calls took, in microseconds.
pub(super) async fn sent(
    client: &mut Client,
    handle: u64,
    sink: &Sink,
    calls: usize,
) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(calls);
    for (number, to) in (0..calls).zip(sink.addresses().iter().cycle()) {
        let datagram = sink::datagram(number);
        let start = Instant::now();
        connection::send_to(client, handle, *to, &datagram).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    stats::median(&times).ok_or_else(|| "no calls".into())
}
