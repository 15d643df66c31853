//! `idle`: what the daemon takes of memory and CPU while nobody asks anything of it.

use std::time::{Duration, Instant};

use farsock_proto::v1::ListSocketsRequest;

use super::{Case, Plan};
use crate::{
    Failure, connection, daemon_process,
    report::{Row, Target},
    rounds::Rounds,
};

pub(crate) const CASE: Case = Case {
    name: "idle",
    about: "resident memory and CPU of the idle daemon, against 12 MiB and 0.1 %",
    run,
};

const TARGET: Target = Target::AtMost(1.0);

/// The limit of resident memory in MiB.
const MEMORY_LIMIT: f64 = 12.0;

/// The limit of CPU time in percent of one CPU.
const CPU_LIMIT: f64 = 0.1;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let span = Duration::from_secs(if plan.quick { 1 } else { 5 });
    let daemon = daemon_process::start(&plan.daemon)?;
    let (memory, cpu) = tokio::runtime::Runtime::new()?.block_on(async {
        // One client that has been answered stays connected: the more frequent way to be idle, and the dearer one.
        let mut client = connection::connect(daemon.address()).await?;
        client.list_sockets(ListSocketsRequest::default()).await?;

        let before = daemon.cpu_time()?;
        let start = Instant::now();
        tokio::time::sleep(span).await;
        let used = daemon.cpu_time()?.saturating_sub(before);
        let cpu = 100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64();
        let memory = daemon.resident_bytes()? as f64 / f64::from(1 << 20);
        Ok::<_, Failure>((memory, cpu))
    })?;

    let note = format!(
        "over {} s with one client connected, after one call",
        span.as_secs()
    );
    let row = |unit, ours, limit| -> Result<Row, Failure> {
        let rounds = Rounds::against_limit(&[ours], limit)?;
        Ok(Row::compared(
            CASE.name,
            unit,
            &rounds,
            "the limit",
            TARGET,
            &note,
        ))
    };
    Ok(vec![
        row("MiB resident", memory, MEMORY_LIMIT)?,
        row("% of a CPU", cpu, CPU_LIMIT)?,
    ])
}
