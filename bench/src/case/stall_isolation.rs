//! `stall-isolation`: whether an operation takes longer because the reader of somebody else's stream has stopped.
//!
//! There are two daemons, and a client of each. One of the clients has a byte stream as well, whose far end writes without end, and
//! which nobody reads any more: its window is full, and so is everything behind it.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use farsock_client::{Client, RemoteSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::{Case, Plan};
use crate::{
    Failure, daemon_process,
    far_end::{Ask, FarEnd, PATIENCE},
    operation,
    process::Process,
    report::{Row, Target},
    rounds::Rounds,
    tail::{MESSAGES, Tail},
};

pub(crate) const CASE: Case = Case {
    name: "stall-isolation",
    about: "p99 of send_to while another stream's reader has stopped, against without it; messages of 1 B, 300 B, 60 KB",
    run,
};

const TARGET: Target = Target::AtMost(1.1);

/// How often to look whether the stalled stream's source waits.
const LOOK: Duration = Duration::from_millis(20);

/// In how many looks nothing must have moved.
const LOOKS: usize = 5;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let calls = if plan.quick { 500 } else { 2_000 };
    let runtime = tokio::runtime::Runtime::new()?;
    MESSAGES
        .into_iter()
        .map(|(unit, length)| {
            let (rounds, stalled) = runtime.block_on(compare(plan, length, calls))?;
            Ok(Row::compared(
                CASE.name,
                unit,
                &rounds,
                "no stream",
                TARGET,
                format_args!(
                    "{calls} calls a round, every datagram arrived; the stream stands still {:.1} MiB ahead of its reader",
                    stalled as f64 / f64::from(1 << 20)
                ),
            ))
        })
        .collect()
}

/// Measures messages of one length, which those of the stalled stream have as well, and tells how many bytes the stalled stream's source could write.
async fn compare(plan: &Plan, length: usize, calls: usize) -> Result<(Rounds, u64), Failure> {
    let mut stalled = Party::new(&plan.daemon).await?;
    let alone = Party::new(&plan.daemon).await?;
    let ahead = stalled.stall(length).await?;
    let message = Bytes::from(vec![0xa5; length]);
    // Warms up both.
    stalled.p99(&message, calls).await?;
    alone.p99(&message, calls).await?;
    let rounds = Rounds::interleave(
        plan.rounds,
        async || stalled.p99(&message, calls).await,
        async || alone.p99(&message, calls).await,
    )
    .await?;
    // Nothing has broken meanwhile: the stream goes on where it was.
    let after = stalled.read_on().await?;
    if after < ahead {
        return Err(format!("{after} bytes of {ahead} were there").into());
    }
    Ok((rounds, ahead))
}

/// A daemon and a client of it.
struct Party {
    client: Client,
    socket: RemoteSocket,
    tail: Tail,
    stream: Option<(TcpStream, FarEnd)>,
    _daemon: Process,
}

impl Party {
    async fn new(daemon: &Path) -> Result<Self, Failure> {
        let daemon = daemon_process::start(daemon)?;
        let client = operation::connect(daemon.address()).await?;
        let socket = operation::create_udp_socket(&client).await?;
        Ok(Self {
            client,
            socket,
            tail: Tail::new()?,
            stream: None,
            _daemon: daemon,
        })
    }

    /// Opens a stream, reads a little and no more, and waits until its source cannot write any more; how much it could.
    async fn stall(&mut self, length: usize) -> Result<u64, Failure> {
        let mut far_end = FarEnd::start()?;
        far_end.ask(&Ask::Flood(length))?;
        let mut stream = self
            .client
            .tcp_stream(far_end.address().to_string())
            .await?;
        timeout(PATIENCE, stream.read_chunk(1)).await??;
        far_end.done()?;
        let (mut written, mut still) = (0, 0);
        while still < LOOKS {
            sleep(LOOK).await;
            let now = far_end.flooded()?;
            still = if now == written && now > 0 {
                still + 1
            } else {
                0
            };
            written = now;
        }
        self.stream = Some((stream, far_end));
        Ok(written)
    }

    /// The 99th percentile of what so many calls take, in microseconds.
    async fn p99(&self, message: &Bytes, calls: usize) -> Result<f64, Failure> {
        self.tail
            .p99(message, calls, async |data, to| {
                Ok(self.socket.send_to(data, to).await?)
            })
            .await
    }

    /// Reads all that the stalled stream's source has written; how much that was.
    async fn read_on(&mut self) -> Result<u64, Failure> {
        let (stream, far_end) = self.stream.as_mut().ok_or("no stream")?;
        let before = far_end.flooded()?;
        // The first byte was read already.
        let mut read = 1;
        while read < before {
            let chunk = timeout(PATIENCE, stream.read_chunk(65_536)).await??;
            if chunk.is_empty() || chunk.iter().any(|byte| *byte != 0xf1) {
                return Err("the stalled stream broke".into());
            }
            read += chunk.len() as u64;
        }
        Ok(read)
    }
}
