//! `handle-scale`: whether one send_to takes longer when the daemon has many handles.

use farsock_client::{Client, Domain, Protocol, RemoteSocket, SocketType};
use tonic::Code;

use super::{Case, Plan, operation_latency::sent};
use crate::{
    Failure, daemon_process, operation,
    report::{Row, Target},
    rounds::Rounds,
    sink::Sink,
};

pub(crate) const CASE: Case = Case {
    name: "handle-scale",
    about: "p50 of one send_to after the other with 8,000 open handles, against 10",
    run,
};

const TARGET: Target = Target::AtMost(1.1);

const MANY: usize = 8_000;
const FEW: usize = 10;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = if plan.quick { 500 } else { 2_000 };
    // One daemon for each, so that rounds can take turns.
    let crowded = daemon_process::start(&plan.daemon)?;
    let empty = daemon_process::start(&plan.daemon)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let sink = Sink::new(calls)?;
        let many = operation::connect(crowded.address()).await?;
        let few = operation::connect(empty.address()).await?;
        let Some((_idle_many, ours)) = handles(&many, MANY).await? else {
            let why = format!("the machine's limits refuse {MANY} handles");
            return Ok(vec![Row::unmeasured(CASE.name, why)]);
        };
        let Some((_idle_few, theirs)) = handles(&few, FEW).await? else {
            return Err(format!("the daemon refuses {FEW} handles").into());
        };

        // Warms up both.
        for socket in [&ours, &theirs] {
            sent(socket, &sink, calls).await?;
            sink.check(calls)?;
        }
        let measured = async |socket| {
            let p50 = sent(socket, &sink, calls).await?;
            sink.check(calls)?;
            Ok(p50)
        };
        let rounds = Rounds::interleave(
            plan.rounds,
            async || measured(&ours).await,
            async || measured(&theirs).await,
        )
        .await?;
        Ok(vec![Row::compared(
            CASE.name,
            "us p50",
            &rounds,
            format!("{FEW} handles"),
            TARGET,
            format_args!(
                "{MANY} handles in one session, {calls} calls a round, every datagram arrived"
            ),
        )])
    })
}

/// Opens `count` handles: idle TCP sockets, and the last one to send from. None if there cannot be so many.
async fn handles(
    client: &Client,
    count: usize,
) -> Result<Option<(Vec<RemoteSocket>, RemoteSocket)>, Failure> {
    let mut idle = Vec::with_capacity(count);
    for _ in 1..count {
        let created = client
            .socket(Domain::Inet, SocketType::Stream, Protocol::Default)
            .await;
        match created {
            Ok(socket) => idle.push(socket),
            Err(error) if error.code() == Code::ResourceExhausted => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some((idle, operation::create_udp_socket(client).await?)))
}
