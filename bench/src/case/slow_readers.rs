//! `slow-readers`: what ten thousand streams cost the daemon of each of which a byte is read every second, and whether others feel them.
//!
//! Behind each stream is a source that always has more. Memory is what the daemon has ever had, from before the first of their handles
//! was created, held against their windows: those of clients that acknowledge what has arrived, and those of clients that acknowledge
//! only what was read, for which the daemon must keep all of it.
//!
//! There are two daemons, one with the readers and one without, and the same clients of both. All are measured while the readers read, so
//! that what these cost the machine (and this program, whose readers they are) falls on both; the note has what calls took before there
//! were any.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use farsock_client::{Client, RemoteSocket};
use tonic::transport::Channel;

use super::{Case, Plan};
use crate::{
    Failure,
    connection::{self, Client as Unary},
    daemon_process,
    far_end::{Ask, FarEnd},
    operation,
    process::{Process, parse_kibibytes},
    readers::{self, Acknowledge, Manner, Readers},
    report::{Row, Target},
    rounds::Rounds,
    stats,
    tail::{MESSAGES, Tail},
    watch::Watch,
};

pub(crate) const CASE: Case = Case {
    name: "slow-readers",
    about: "10,000 streams read at 1 byte/s: the daemon's memory against their windows, and p99 of send_to on another connection \
            and on theirs against without them",
    run,
};

/// How many readers there are, and with --quick.
const READERS: usize = 10_000;
const QUICK_READERS: usize = 500;

/// How long they read before anything is looked at.
const READING: Duration = Duration::from_secs(5);

/// How long after the readers have gone what stays with the daemon is looked at: it gives memory back when it is quiet.
const AFTER: Duration = Duration::from_secs(5);

/// What the daemon holds is less than what it was granted.
const WITHIN: Target = Target::AtMost(1.0);

/// The daemon must keep all that it was granted, and has the streams themselves besides.
const BESIDE: Target = Target::AtMost(1.1);

const TAIL: Target = Target::AtMost(1.1);

/// Rounds of two thousand calls that have not met what else the machine does.
const QUIET_ROUNDS: usize = 5;

/// How calls reach a daemon, the lengths of their messages, and what their rows are called.
const CALLS: [(Way, usize, &str); 2 * MESSAGES.len()] = [
    (Way::Own, MESSAGES[0].1, "us p99, 1 B, own connection"),
    (Way::Shared, MESSAGES[0].1, "us p99, 1 B, the readers'"),
    (Way::Own, MESSAGES[1].1, "us p99, 300 B, own connection"),
    (Way::Shared, MESSAGES[1].1, "us p99, 300 B, the readers'"),
    (Way::Own, MESSAGES[2].1, "us p99, 60 KB, own connection"),
    (Way::Shared, MESSAGES[2].1, "us p99, 60 KB, the readers'"),
];

/// How calls reach a daemon.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As operations of the Rust client, over its own connection.
    Own,
    /// As unary calls on the connection of the readers; without readers, on one like it.
    Shared,
}

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let manner = |window, acknowledge| Manner {
        count: if plan.quick { QUICK_READERS } else { READERS },
        window,
        acknowledge,
    };
    let crowd = |unit, target, manner| Crowd {
        plan,
        unit,
        target,
        manner,
    };
    let (small, usual) = (64 << 10, 1 << 20);
    // The calls are measured beside the readers for whom the daemon holds most, and has most to do.
    let hoarding = crowd(
        "KiB/reader, 64 KiB kept",
        BESIDE,
        manner(small, Acknowledge::Read),
    );
    let mut rows = runtime.block_on(hoarding.measure(&CALLS))?;
    for (unit, window) in [("KiB/reader, 64 KiB", small), ("KiB/reader, 1 MiB", usual)] {
        let arrived = crowd(unit, WITHIN, manner(window, Acknowledge::Arrived));
        rows.extend(runtime.block_on(arrived.measure(&[]))?);
    }
    Ok(rows)
}

/// Readers of one manner, and what is measured of them.
struct Crowd<'a> {
    plan: &'a Plan,
    unit: &'static str,
    target: Target,
    manner: Manner,
}

impl Crowd<'_> {
    async fn measure(&self, calls: &[(Way, usize, &'static str)]) -> Result<Vec<Row>, Failure> {
        let plan = self.plan;
        let each = if plan.quick { 500 } else { 2_000 };
        let mut crowded = Party::new(&plan.daemon).await?;
        let mut empty = Party::new(&plan.daemon).await?;
        let mut quiet = Vec::new();
        for (way, length, _) in calls {
            let message = Bytes::from(vec![0xa5; *length]);
            let mut rounds = Vec::new();
            for _ in 0..QUIET_ROUNDS {
                crowded.p99(*way, &message, each).await?;
                rounds.push(empty.p99(*way, &message, each).await?);
            }
            quiet.push(stats::median(&rounds).ok_or("no rounds")?);
        }

        let memory = Memory::before(&crowded.daemon)?;
        let (mut readers, _source) = crowded.readers(self.manner).await?;
        let connections = crowded.watch.opened();
        readers.start();
        let (start, cpu) = (Instant::now(), crowded.daemon.cpu_time()?);
        tokio::time::sleep(READING).await;
        let cpu = crowded.daemon.cpu_time()?.saturating_sub(cpu);
        let cpu = 100.0 * cpu.as_secs_f64() / start.elapsed().as_secs_f64();

        let mut rows = Vec::new();
        for ((way, length, unit), quiet) in calls.iter().zip(quiet) {
            let message = Bytes::from(vec![0xa5; *length]);
            let rounds = Rounds::interleave(
                plan.rounds,
                async || crowded.p99(*way, &message, each).await,
                async || empty.p99(*way, &message, each).await,
            )
            .await?;
            rows.push(Row::compared(
                CASE.name,
                unit,
                &rounds,
                "no readers",
                TAIL,
                format_args!(
                    "{each} calls a round beside {} readers; {quiet:.0} us before there were any",
                    self.manner.count
                ),
            ));
        }

        let rate = readers.check()?;
        crowded.watch.check(connections)?;
        let lost = crowded.tail.lost() + empty.tail.lost();
        let grown = Rounds::against_limit(
            &[memory.grown(&crowded.daemon)? / self.manner.count as f64],
            self.manner.window as f64 / 1024.0,
        )?;
        let note = memory.note(&crowded.daemon)?;
        readers.close(&crowded.channel).await?;
        tokio::time::sleep(AFTER).await;
        let left = crowded.daemon.resident_bytes()? >> 20;
        let memory = Row::compared(
            CASE.name,
            self.unit,
            &grown,
            "the window",
            self.target,
            format_args!(
                "{} readers on one connection, {rate:.2} B/s each; no GOAWAY, and none of {connections} connections ended; {note}, \
                 {left} MiB {} s after the readers had gone; {cpu:.0} % of a core; {lost} datagrams lost",
                self.manner.count,
                AFTER.as_secs(),
            ),
        );
        rows.insert(0, memory);
        Ok(rows)
    }
}

/// A daemon, and clients of it.
struct Party {
    socket: RemoteSocket,
    unary: Unary,
    handle: u64,
    channel: Channel,
    tail: Tail,
    watch: Watch,
    daemon: Process,
}

impl Party {
    async fn new(daemon: &Path) -> Result<Self, Failure> {
        let daemon = daemon_process::start(daemon)?;
        let address = daemon.address();
        let watch = Watch::default();
        let client = {
            let watch = watch.clone();
            Client::connect_with(move || watch.clone().connect(address)).await?
        };
        let socket = operation::create_udp_socket(&client).await?;
        let channel = readers::channel(address, &watch).await?;
        let mut unary = Unary::new(channel.clone());
        let handle = connection::create_udp_socket(&mut unary).await?;
        Ok(Self {
            socket,
            unary,
            handle,
            channel,
            tail: Tail::new()?,
            watch,
            daemon,
        })
    }

    /// Readers on the connection of the unary calls, and their source, when all windows are full.
    async fn readers(&self, manner: Manner) -> Result<(Readers, FarEnd), Failure> {
        let mut far_end = FarEnd::start()?;
        far_end.ask(&Ask::Sources(manner.count))?;
        let readers = Readers::open(&self.channel, far_end.address(), manner).await?;
        far_end.done()?;
        Ok((readers, far_end))
    }

    /// The 99th percentile of what so many calls take, in microseconds.
    async fn p99(&mut self, way: Way, message: &Bytes, calls: usize) -> Result<f64, Failure> {
        let (socket, unary, handle) = (&self.socket, &mut self.unary, self.handle);
        self.tail
            .p99(message, calls, async |data, to| match way {
                Way::Own => Ok(socket.send_to(data, to).await?),
                Way::Shared => connection::send_bytes_to(unary, handle, to, data).await,
            })
            .await
    }
}

/// Memory before there were readers, in bytes.
struct Memory {
    daemon: u64,
    kernel: u64,
}

impl Memory {
    fn before(daemon: &Process) -> Result<Self, Failure> {
        Ok(Self {
            daemon: daemon.resident_bytes()?,
            kernel: kernel_memory()?,
        })
    }

    /// By how much the daemon has grown, at most, in KiB.
    fn grown(&self, daemon: &Process) -> Result<f64, Failure> {
        let grown = daemon.peak_resident_bytes()?.saturating_sub(self.daemon);
        Ok(grown as f64 / 1024.0)
    }

    fn note(&self, daemon: &Process) -> Result<String, Failure> {
        let mebibytes = |bytes: u64| bytes >> 20;
        Ok(format!(
            "resident {} MiB at most, {} in the end; the kernel has {} MiB in all buffers of TCP, where SO_RCVBUF is {} KiB",
            mebibytes(daemon.peak_resident_bytes()?),
            mebibytes(daemon.resident_bytes()?),
            mebibytes(kernel_memory()?.saturating_sub(self.kernel)),
            readers::RECEIVE_BUFFER >> 10,
        ))
    }
}

/// What the kernel holds for all TCP sockets of this machine, in bytes: from /proc/net/sockstat, which counts pages.
fn kernel_memory() -> Result<u64, Failure> {
    let sockstat = fs::read_to_string("/proc/net/sockstat")?;
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    parse_kernel_memory(&sockstat)
        .zip(parse_kibibytes(&smaps, "KernelPageSize:"))
        .map(|(pages, page)| pages * page)
        .ok_or_else(|| "/proc/net/sockstat tells no memory of TCP".into())
}

fn parse_kernel_memory(sockstat: &str) -> Option<u64> {
    let tcp = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_ascii_whitespace();
    words.find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_memory_is_the_pages_of_tcp() {
        let sockstat =
            "sockets: used 14\nTCP: inuse 1 orphan 0 tw 4 alloc 1 mem 282\nUDP: inuse 0 mem 7\n";
        assert_eq!(parse_kernel_memory(sockstat), Some(282));
        assert_eq!(parse_kernel_memory("UDP: inuse 0 mem 7\n"), None);
        assert!(kernel_memory().is_ok());
    }
}
