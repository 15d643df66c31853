//! Bytes by the daemon beside the same bytes by other relays: what `stream-up`, `stream-down` and `splice` share.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{
    Failure,
    case::Plan,
    cpu,
    far_end::{Ask, FarEnd},
    pattern::{Arrived, Pattern},
    relay::{Naive, Ours, Relay, Socat, Splice, Ssh},
    report::{Row, Target},
    rounds::{Rounds, take_turns},
    stats,
};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// From here to the far end.
    Up,
    /// From the far end to here.
    Down,
}

/// How many bytes go by in a round.
const BYTES: u64 = 2 << 30;

/// The same with --quick.
const QUICK_BYTES: u64 = 128 << 20;

/// How many bytes go by before the first round.
const WARM_UP: u64 = 32 << 20;

/// A slow relay gets this part of the bytes, lest all wait for it: what counts is bytes per second.
const SLOW_SHARE: u64 = 4;

/// A round takes seconds, and so says more than one of a few milliseconds.
const MOST_ROUNDS: usize = 7;

/// Somebody else who relays bytes.
struct Peer {
    name: &'static str,
    target: Target,
    /// The part of a round's bytes that it gets.
    share: u64,
    relay: Result<Box<dyn Relay>, Failure>,
}

/// What one relay did in one round.
#[derive(Clone, Copy)]
struct Measured {
    /// MiB/s.
    rate: f64,
    /// CPU seconds of the relay per GiB, if it can be told.
    cpu: Option<f64>,
}

/// Measures the daemon's streams and all of the others, and makes a row for each of these.
///
/// # Errors
/// The daemon does not do it, or what arrived is not what was sent.
pub(crate) fn rows(
    case: &'static str,
    plan: &Plan,
    direction: Direction,
) -> Result<Vec<Row>, Failure> {
    let runtime = Arc::new(Runtime::new()?);
    let mut far_end = FarEnd::start()?;
    let address = far_end.address();
    let mut ours = Ours::new(Arc::clone(&runtime), &plan.daemon, address)?;
    let peers = vec![
        Peer {
            name: "socat -b262144",
            target: Target::AtLeast(0.75),
            share: 1,
            relay: Socat::new(address).map(boxed),
        },
        Peer {
            name: "naive tonic relay",
            target: Target::AtLeast(1.2),
            share: 1,
            relay: Naive::new(runtime, address).map(boxed),
        },
        Peer {
            name: "ssh -L",
            target: Target::AtLeast(1.5),
            share: SLOW_SHARE,
            relay: Ssh::new(address).map(boxed),
        },
    ];
    against(case, plan, direction, &mut far_end, &mut ours, peers)
}

/// Measures the daemon's Splice and socat, both between two TCP connections of their own, in one direction.
///
/// # Errors
/// As of [`rows`].
pub(crate) fn spliced(case: &'static str, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let runtime = Arc::new(Runtime::new()?);
    let mut far_end = FarEnd::start()?;
    let address = far_end.address();
    let mut ours = Splice::new(runtime, &plan.daemon, address)?;
    let peers = vec![Peer {
        name: "socat -b262144",
        // Neither has anything between the two: no HTTP/2 and no client.
        target: Target::AtLeast(0.9),
        share: 1,
        relay: Socat::new(address).map(boxed),
    }];
    against(case, plan, Direction::Up, &mut far_end, &mut ours, peers)
}

/// Measures ours and the peers, and makes a row for each of these.
fn against(
    case: &'static str,
    plan: &Plan,
    direction: Direction,
    far_end: &mut FarEnd,
    ours: &mut dyn Relay,
    mut peers: Vec<Peer>,
) -> Result<Vec<Row>, Failure> {
    let bytes = if plan.quick { QUICK_BYTES } else { BYTES };
    let mut course = Course::new(direction);
    let (rounds, warm_up) = (plan.rounds.min(MOST_ROUNDS), WARM_UP.min(bytes));
    course.run(far_end, ours, warm_up)?;
    // Ours first, then the peers that are here.
    let mut contestants: Vec<(&mut dyn Relay, u64)> = vec![(ours, bytes)];
    for peer in &mut peers {
        if let Ok(relay) = &mut peer.relay {
            course.run(far_end, relay.as_mut(), warm_up)?;
            contestants.push((relay.as_mut(), bytes / peer.share));
        }
    }
    let measured = take_turns(rounds, &mut contestants, |(relay, bytes)| {
        course.run(far_end, *relay, *bytes)
    })?;
    let (ours, mut theirs) = measured.split_first().ok_or("nobody was measured")?;

    let mut rows = Vec::new();
    for peer in peers {
        rows.push(match peer.relay {
            Err(why) => Row::unmeasured(case, format!("against {}: {why}", peer.name)),
            Ok(_) => {
                let (peers, rest) = theirs.split_first().ok_or("a peer was not measured")?;
                theirs = rest;
                let note = Note {
                    bytes,
                    share: peer.share,
                    ours: cpu_per_gibibyte(ours),
                    theirs: cpu_per_gibibyte(peers),
                };
                let rates = ours.iter().zip(peers).map(|(o, t)| (o.rate, t.rate));
                let rounds = Rounds::of(rates.collect())?;
                Row::compared(case, "MiB/s", &rounds, peer.name, peer.target, note)
            }
        });
    }
    Ok(rows)
}

fn boxed(relay: impl Relay + 'static) -> Box<dyn Relay> {
    Box::new(relay)
}

fn cpu_per_gibibyte(rounds: &[Measured]) -> Option<f64> {
    let costs: Option<Vec<f64>> = rounds.iter().map(|measured| measured.cpu).collect();
    stats::median(&costs?)
}

/// What all of them have to do.
struct Course {
    direction: Direction,
    pattern: Pattern,
    /// What is to arrive of so many bytes, as far as it was reckoned before.
    expected: Vec<(u64, Arrived)>,
}

impl Course {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            pattern: Pattern::new(),
            expected: Vec::new(),
        }
    }

    /// Moves so many bytes. The clock runs from an open connection until the receiver has seen its end.
    fn run(
        &mut self,
        far_end: &mut FarEnd,
        relay: &mut dyn Relay,
        bytes: u64,
    ) -> Result<Measured, Failure> {
        let expected = self.expected(bytes);
        far_end.ask(&match self.direction {
            Direction::Up => Ask::Sink,
            Direction::Down => Ask::Source(bytes),
        })?;
        let mut connection = relay.connect()?;
        let before = relay.cpu_time();
        let start = Instant::now();
        let arrived = match self.direction {
            Direction::Up => {
                connection.send(&self.pattern, bytes)?;
                far_end.arrived()?
            }
            Direction::Down => connection.receive()?,
        };
        let took = start.elapsed();
        // As long as the connection is there: socat ends with it.
        let after = relay.cpu_time();
        arrived.check(expected)?;
        drop(connection);
        if let Direction::Down = self.direction {
            far_end.done()?;
        }
        let used = |before: Duration| Some(after.ok()?.saturating_sub(before));
        Ok(Measured {
            rate: bytes as f64 / f64::from(1 << 20) / took.as_secs_f64(),
            cpu: before
                .ok()
                .and_then(used)
                .map(|used| cpu::per_gibibyte(used, bytes)),
        })
    }

    fn expected(&mut self, bytes: u64) -> Arrived {
        if let Some((_, arrived)) = self.expected.iter().find(|(length, _)| *length == bytes) {
            return *arrived;
        }
        let arrived = self.pattern.expected(bytes);
        self.expected.push((bytes, arrived));
        arrived
    }
}

/// How it was measured, and what it cost.
struct Note {
    bytes: u64,
    share: u64,
    ours: Option<f64>,
    theirs: Option<f64>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes >> 20;
        write!(f, "{} MiB a round", mebibytes(self.bytes))?;
        if self.share > 1 {
            write!(f, ", {} of them by it", mebibytes(self.bytes / self.share))?;
        }
        write!(f, ", every byte arrived")?;
        if let (Some(ours), Some(theirs)) = (self.ours, self.theirs) {
            write!(
                f,
                "; CPU per GiB {ours:.2} s in the daemon, {theirs:.2} s in it"
            )?;
        }
        Ok(())
    }
}
