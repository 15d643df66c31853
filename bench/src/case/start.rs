//! `start`: how long a new daemon takes from fork(2) to its first answer.

use farsock_proto::v1::ListSocketsRequest;

use super::{Case, Plan};
use crate::{
    Failure, connection, daemon_process,
    report::{Row, Target},
    rounds::Rounds,
};

pub(crate) const CASE: Case = Case {
    name: "start",
    about: "time from running the daemon to its first answer, against 30 ms",
    run,
};

const TARGET: Target = Target::AtMost(1.0);

/// The limit in milliseconds.
const LIMIT: f64 = 30.0;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    // The first one reads the program from the disk.
    runtime.block_on(first_answer(plan))?;
    let times = (0..plan.rounds)
        .map(|_| runtime.block_on(first_answer(plan)))
        .collect::<Result<Vec<f64>, Failure>>()?;
    Ok(vec![Row::compared(
        CASE.name,
        "ms",
        &Rounds::against_limit(&times, LIMIT)?,
        "the limit",
        TARGET,
        "from fork to the answer of ListSockets, connecting included",
    )])
}

/// Milliseconds.
async fn first_answer(plan: &Plan) -> Result<f64, Failure> {
    let daemon = daemon_process::start(&plan.daemon)?;
    let mut client = connection::connect(daemon.address()).await?;
    client.list_sockets(ListSocketsRequest::default()).await?;
    Ok(daemon.started().elapsed().as_secs_f64() * 1e3)
}
