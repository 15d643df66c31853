//! `operation-rate`: how many send_to a second the Rust client has done on one stream, many of them under way, against unary calls
//! of the bare echo with 64 in flight.

use std::{sync::Arc, time::Instant};

use farsock_client::RemoteSocket;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Case, Plan, unary_rate};
use crate::{
    Failure, connection,
    cpu::CpuPerCall,
    daemon_process, echo, operation,
    report::{Row, Target},
    rounds::Rounds,
    sink::{self, Sink},
};

pub(crate) const CASE: Case = Case {
    name: "operation-rate",
    about: "pipelined send_to of 64 B a second on one session's stream, against a bare tonic echo",
    run,
};

const TARGET: Target = Target::AtLeast(3.0);

/// How many futures are under way at any time. A stream has no cost per call in flight, so there may be many.
const IN_FLIGHT: usize = 512;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = IN_FLIGHT * if plan.quick { 20 } else { 50 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let floor = echo::start()?;
    let (rounds, cpu) = tokio::runtime::Runtime::new()?.block_on(async {
        let sink = Arc::new(Sink::new(calls)?);
        let ours = operation::connect(daemon.address()).await?;
        let theirs = connection::connect(floor.address()).await?;
        let socket = operation::create_udp_socket(&ours).await?;
        // The floor takes any number for a handle.
        let handle = socket.handle();

        // Warms up both.
        rate(&socket, &sink, calls).await?;
        sink.check(calls)?;
        unary_rate::rate(&theirs, handle, &sink, calls).await?;
        let cpu = CpuPerCall::begin(&daemon, &floor)?;
        let rounds = Rounds::interleave(
            plan.rounds,
            async || {
                let rate = rate(&socket, &sink, calls).await?;
                sink.check(calls)?;
                Ok(rate)
            },
            async || unary_rate::rate(&theirs, handle, &sink, calls).await,
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
            "{calls} calls a round on one socket, {IN_FLIGHT} in flight against {}, every datagram arrived; {cpu}",
            unary_rate::IN_FLIGHT
        ),
    )])
}

/// Sends the datagrams 0 to `calls` - 1 from one task; calls a second.
async fn rate(socket: &RemoteSocket, sink: &Sink, calls: usize) -> Result<f64, Failure> {
    let addresses = sink.addresses();
    let start = Instant::now();
    stream::iter(0..calls)
        .map(async |number| {
            let to = addresses[number % addresses.len()];
            operation::send_to(socket, to, &sink::datagram(number)).await
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |()| Ok(()))
        .await?;
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}
