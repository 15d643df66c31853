//! `operation-latency`: how long one send_to of the Rust client takes when nothing else is asked, against a unary call of the bare
//! echo with the same message.

use std::time::Instant;

use farsock_client::RemoteSocket;

use super::{Case, Plan, unary_latency};
use crate::{
    Failure, connection,
    cpu::CpuPerCall,
    daemon_process, echo, operation,
    report::{Row, Target},
    rounds::Rounds,
    sink::{self, Sink},
    stats,
};

pub(crate) const CASE: Case = Case {
    name: "operation-latency",
    about: "p50 of one send_to of 64 B after the other on a session's stream, against a bare tonic echo",
    run,
};

const TARGET: Target = Target::AtMost(0.5);

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = if plan.quick { 500 } else { 2_000 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let floor = echo::start()?;
    let (rounds, cpu) = tokio::runtime::Runtime::new()?.block_on(async {
        let sink = Sink::new(calls)?;
        let ours = operation::connect(daemon.address()).await?;
        let mut theirs = connection::connect(floor.address()).await?;
        let socket = operation::create_udp_socket(&ours).await?;
        // The floor takes any number for a handle.
        let handle = socket.handle();

        // Warms up both.
        sent(&socket, &sink, calls).await?;
        sink.check(calls)?;
        unary_latency::sent(&mut theirs, handle, &sink, calls).await?;
        let cpu = CpuPerCall::begin(&daemon, &floor)?;
        let rounds = Rounds::interleave(
            plan.rounds,
            async || {
                let p50 = sent(&socket, &sink, calls).await?;
                sink.check(calls)?;
                Ok(p50)
            },
            async || unary_latency::sent(&mut theirs, handle, &sink, calls).await,
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
pub(super) async fn sent(socket: &RemoteSocket, sink: &Sink, calls: usize) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(calls);
    for (number, to) in (0..calls).zip(sink.addresses().iter().cycle()) {
        let datagram = sink::datagram(number);
        let start = Instant::now();
        operation::send_to(socket, *to, &datagram).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    stats::median(&times).ok_or_else(|| "no calls".into())
}
