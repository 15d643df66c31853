//! The ledger of a session: which request ids it knows, what waits for what, and the results that are kept until they are
//! acknowledged. Pure: it holds no task and no time.
//!
//! Invariants: an id is new, known (held, running, ended) or gone (acknowledged), and only ever moves on. `running + kept` results and
//! `bytes` stay within the limits, since the room for a result is taken before its operation starts.

use std::collections::hash_map::Entry as MapEntry;

use super::by_id::{ById, trim};
use crate::id_set::IdSet;

/// How much a ledger takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LedgerLimits {
    /// Operations that have not ended.
    pub(crate) in_flight: usize,
    /// Operations that are known: in flight, or ended and not acknowledged.
    pub(crate) results: usize,
    /// Bytes of results, kept or to come.
    pub(crate) bytes: usize,
}

/// What a ledger makes of a new request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun<R> {
    /// Start it.
    Start,
    /// Keep it until the operation before it has ended.
    Hold,
    /// The operation before it has failed: it ends now, in failure.
    DependencyFailed,
    /// It is known and has not ended: there is nothing to do.
    InFlight,
    /// It has ended so: say it again.
    Ended(R),
}

/// Why a ledger refuses a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An id is 0.
    Zero,
    /// The id belongs to another operation.
    Mismatch,
    /// Its result was acknowledged.
    Forgotten,
    /// There is no such operation.
    Unknown,
    /// There is no room for another operation in flight.
    InFlightFull,
    /// There is no room for another result.
    ResultsFull,
}

/// An operation whose turn has come, since the one before it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) id: u64,
    /// Whether the one before it succeeded; otherwise this one ends now, in failure.
    pub(crate) start: bool,
}

/// A session's operations and their results.
#[derive(Debug)]
pub(crate) struct Ledger<R> {
    limits: LedgerLimits,
    entries: ById<Entry<R>>,
    in_flight: usize,
    bytes: usize,
    /// Acknowledged, or skipped long ago.
    gone: IdSet,
    /// Of those, the failed, for operations that are to follow them. At most [`MAX_FAILED`] ranges: what is forgotten counts as failed
    /// for nobody, and a client that acknowledges a failure knows better than to build on it.
    failed: IdSet,
}

/// How many ranges of failed ids are remembered past their acknowledgement.
const MAX_FAILED: usize = 1024;

#[derive(Debug)]
struct Entry<R> {
    fingerprint: u64,
    /// Bytes taken for the result.
    bytes: usize,
    /// Those that are to follow it.
    followers: Vec<u64>,
    state: State<R>,
}

#[derive(Debug)]
enum State<R> {
    Held,
    Running,
    Ended { result: R, succeeded: bool },
}

impl<R: Clone> Ledger<R> {
    pub(crate) fn new(limits: LedgerLimits) -> Self {
        Self {
            limits,
            entries: ById::default(),
            in_flight: 0,
            bytes: 0,
            gone: IdSet::default(),
            failed: IdSet::default(),
        }
    }

    /// A request: `fingerprint` tells one operation from another, `after` is the id that must succeed first (0 for none), and `bytes`
    /// the room that its result may take.
    pub(crate) fn begin(
        &mut self,
        id: u64,
        fingerprint: u64,
        after: u64,
        bytes: usize,
    ) -> Result<Begun<R>, Refusal> {
        if id == 0 {
            return Err(Refusal::Zero);
        }
        if let Some(entry) = self.entries.get(&id) {
            return match &entry.state {
                _ if entry.fingerprint != fingerprint => Err(Refusal::Mismatch),
                State::Ended { result, .. } => Ok(Begun::Ended(result.clone())),
                State::Held | State::Running => Ok(Begun::InFlight),
            };
        }
        if self.gone.contains(id) {
            return Err(Refusal::Forgotten);
        }
        let begun = self.turn(id, after)?;
        if self.in_flight >= self.limits.in_flight {
            return Err(Refusal::InFlightFull);
        }
        if self.entries.len() >= self.limits.results || self.bytes + bytes > self.limits.bytes {
            return Err(Refusal::ResultsFull);
        }
        self.in_flight += 1;
        self.bytes += bytes;
        if matches!(begun, Begun::Hold)
            && let Some(before) = self.entries.get_mut(&after)
        {
            before.followers.push(id);
        }
        let state = match begun {
            Begun::Hold => State::Held,
            _ => State::Running,
        };
        self.entries.insert(
            id,
            Entry {
                fingerprint,
                bytes,
                followers: Vec::new(),
                state,
            },
        );
        Ok(begun)
    }

    /// An operation has ended. Returns those that were to follow it, in the order in which they came. False if it was not in flight.
    pub(crate) fn end(
        &mut self,
        id: u64,
        result: R,
        bytes: usize,
        succeeded: bool,
    ) -> Option<Vec<Released>> {
        let entry = self.entries.get_mut(&id)?;
        if matches!(entry.state, State::Ended { .. }) {
            return None;
        }
        self.in_flight -= 1;
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        entry.state = State::Ended { result, succeeded };
        let followers = std::mem::take(&mut entry.followers);
        Some(
            followers
                .into_iter()
                .filter(|id| self.release(*id))
                .map(|id| Released {
                    id,
                    start: succeeded,
                })
                .collect(),
        )
    }

    /// An operation that has ended is undone: it has failed, with this result.
    pub(crate) fn replace(&mut self, id: u64, result: R, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&id)
            && matches!(entry.state, State::Ended { .. })
        {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
            entry.state = State::Ended {
                result,
                succeeded: false,
            };
        }
    }

    /// Lets the result of an ended operation go.
    pub(crate) fn acknowledge(&mut self, id: u64) -> Result<(), Refusal> {
        let MapEntry::Occupied(entry) = self.entries.entry(id) else {
            // A repeated acknowledgement: the first one's answer was lost with its stream.
            return if self.gone.contains(id) {
                Ok(())
            } else {
                Err(Refusal::Unknown)
            };
        };
        let State::Ended { succeeded, .. } = entry.get().state else {
            return Err(Refusal::Unknown);
        };
        self.bytes -= entry.remove().bytes;
        self.gone.insert_used(id);
        if !succeeded {
            self.failed.insert(id);
            if self.failed.ranges() > MAX_FAILED {
                self.failed.forget_lowest();
            }
        }
        trim(&mut self.entries);
        Ok(())
    }

    /// The result of an ended operation that was not acknowledged.
    pub(crate) fn result(&self, id: u64) -> Option<&R> {
        match &self.entries.get(&id)?.state {
            State::Ended { result, .. } => Some(result),
            State::Held | State::Running => None,
        }
    }

    /// The ids that are known, upwards.
    pub(crate) fn known(&self) -> impl Iterator<Item = u64> {
        let mut known: Vec<u64> = self.entries.keys().copied().collect();
        known.sort_unstable();
        known.into_iter()
    }

    /// How many operations have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many results wait for acknowledgement.
    pub(crate) fn kept(&self) -> usize {
        self.entries.len() - self.in_flight
    }

    /// What a new operation after `after` does first.
    fn turn(&self, id: u64, after: u64) -> Result<Begun<R>, Refusal> {
        if after == 0 {
            return Ok(Begun::Start);
        }
        if after == id {
            return Err(Refusal::Unknown);
        }
        Ok(match self.entries.get(&after).map(|entry| &entry.state) {
            Some(State::Held | State::Running) => Begun::Hold,
            Some(State::Ended {
                succeeded: true, ..
            }) => Begun::Start,
            Some(State::Ended { .. }) => Begun::DependencyFailed,
            None if self.failed.contains(after) => Begun::DependencyFailed,
            None if self.gone.contains(after) => Begun::Start,
            None => return Err(Refusal::Unknown),
        })
    }

    /// Moves a held operation on; false if it has ended meanwhile.
    fn release(&mut self, id: u64) -> bool {
        match self.entries.get_mut(&id) {
            Some(entry) if matches!(entry.state, State::Held) => {
                entry.state = State::Running;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
