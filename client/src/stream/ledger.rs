//! The client's side of the exactly-once promise: which operations are under way, what must be said
//! to the daemon next, and what again after a broken connection. Pure: time is passed in.
//!
//! Invariants: ids count up from 1 and name one operation each. An operation is unsent, sent or
//! gone; it goes with its one result, and never twice. One that took something stays until its caller has
//! the result, or the daemon has said that it is undone: only then is the result acknowledged. Unsent operations go out in the order of
//! their ids as far as the daemon has room, and nothing goes out before the daemon has told what it
//! knows. A result is acknowledged after it was delivered, again and again until the daemon has
//! forgotten it.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

/// How many results may wait for their acknowledgement to be sent.
const MOST_UNACKNOWLEDGED: usize = 64;
/// How long a result may wait for its acknowledgement to be sent.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(20);

/// What the daemon has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Operations in flight.
    pub(crate) in_flight: usize,
    /// Operations in flight and results kept, together.
    pub(crate) results: usize,
    /// Bytes of both.
    pub(crate) bytes: usize,
    /// How long the session lives without a message of the client's.
    pub(crate) lease: Duration,
}

/// What to say to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saying<O> {
    /// Start this operation.
    Start(u64, O),
    /// End it.
    Cancel {
        id: u64,
        /// And undo it, if it has ended.
        give_back: bool,
    },
    /// Let these results go.
    Acknowledge(Vec<u64>),
    /// The client lives.
    KeepAlive,
}

/// An operation that its caller asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<O, W> {
    pub(crate) operation: O,
    /// Who gets the result.
    pub(crate) waiter: W,
    /// Bytes that the daemon keeps free for its result.
    pub(crate) room: usize,
    /// Whether it may use the room that is kept for operations that make room.
    pub(crate) urgent: bool,
    /// Whether it takes or makes something that is given back if nobody waits for it any more.
    pub(crate) gives_back: bool,
    /// The socket that it takes from; 0 for none.
    pub(crate) takes_from: u64,
}

/// What becomes of an operation that nobody waits for any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled<W> {
    /// It was never sent: it is gone.
    Unsent(W),
    /// Its result will come.
    Sent,
    /// There is no such operation: its result has come.
    Unknown,
}

/// See the file's text.
#[derive(Debug)]
pub(crate) struct Ledger<O, W> {
    limits: Limits,
    last_id: u64,
    entries: HashMap<u64, Entry<O, W>, RandomState>,
    unsent: BTreeSet<u64>,
    /// Of those, the ones that make room.
    urgent: BTreeSet<u64>,
    cancels: VecDeque<u64>,
    /// Delivered results that the daemon keeps, with the bytes they take there.
    unacknowledged: Vec<u64>,
    unacknowledged_bytes: usize,
    unacknowledged_since: Option<Instant>,
    /// Bytes of what is sent and has not ended.
    in_flight_bytes: usize,
    /// Whether messages may be sent: the daemon has told what it knows.
    attached: bool,
    /// When the last message was sent.
    said: Instant,
}

#[derive(Debug)]
struct Entry<O, W> {
    asked: Asked<O, Option<W>>,
    cancelled: bool,
    /// When its result came, which its caller does not have yet.
    ended: Option<Instant>,
}

impl<O: Clone, W> Ledger<O, W> {
    /// The ledger of a session without operations, with nothing attached.
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            last_id: 0,
            entries: HashMap::default(),
            unsent: BTreeSet::new(),
            urgent: BTreeSet::new(),
            cancels: VecDeque::new(),
            unacknowledged: Vec::new(),
            unacknowledged_bytes: 0,
            unacknowledged_since: None,
            in_flight_bytes: 0,
            attached: false,
            said: now,
        }
    }

    /// Takes an operation up, and tells its id.
    pub(crate) fn ask(&mut self, asked: Asked<O, W>) -> u64 {
        self.last_id += 1;
        self.queue(self.last_id, asked.urgent);
        let asked = Asked {
            operation: asked.operation,
            waiter: Some(asked.waiter),
            room: asked.room,
            urgent: asked.urgent,
            gives_back: asked.gives_back,
            takes_from: asked.takes_from,
        };
        let entry = Entry {
            asked,
            cancelled: false,
            ended: None,
        };
        self.entries.insert(self.last_id, entry);
        self.last_id
    }

    /// The id of an operation that is never sent. The daemon refuses those that are to follow it.
    pub(crate) fn skip(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Nobody waits for the operation any more.
    pub(crate) fn cancel(&mut self, id: u64) -> Cancelled<W> {
        if self.unqueue(id) {
            return match self.entries.remove(&id).and_then(|it| it.asked.waiter) {
                Some(waiter) => Cancelled::Unsent(waiter),
                None => Cancelled::Unknown,
            };
        }
        let Some(entry) = self.entries.get_mut(&id) else {
            return Cancelled::Unknown;
        };
        if !entry.cancelled {
            entry.cancelled = true;
            self.cancels.push_back(id);
        }
        Cancelled::Sent
    }

    /// A result of `bytes` has come. Returns who gets it; nobody, if it came before or if nobody waits.
    pub(crate) fn ended(
        &mut self,
        id: u64,
        bytes: usize,
        succeeded: bool,
        now: Instant,
    ) -> Option<W> {
        let entry = self.entries.get_mut(&id)?;
        if entry.asked.gives_back && succeeded {
            if entry.cancelled || entry.ended.is_some() {
                // Undone, it ends once more.
                return None;
            }
            entry.ended = Some(now);
            let waiter = entry.asked.waiter.take();
            let room = std::mem::replace(&mut entry.asked.room, bytes);
            self.in_flight_bytes = self.in_flight_bytes - room + bytes;
            return waiter;
        }
        let entry = self.take(id)?;
        self.unacknowledge(id, bytes, now);
        entry.asked.waiter
    }

    /// The caller has the result of an operation that could have been given back until now.
    pub(crate) fn accepted(&mut self, id: u64) {
        let ended = self
            .entries
            .get(&id)
            .and_then(|entry| entry.ended.filter(|_| !entry.cancelled));
        if let Some(ended) = ended
            && let Some(entry) = self.take(id)
        {
            self.unacknowledge(id, entry.asked.room, ended);
        }
    }

    /// Whether the daemon has said of all cancelled operations that took from the socket that they are undone.
    pub(crate) fn is_settled(&self, handle: u64) -> bool {
        let mut entries = self.entries.values();
        entries.all(|entry| !entry.cancelled || entry.asked.takes_from != handle)
    }

    fn unacknowledge(&mut self, id: u64, bytes: usize, since: Instant) {
        self.unacknowledged.push(id);
        self.unacknowledged_bytes += bytes;
        self.unacknowledged_since.get_or_insert(since);
    }

    /// The daemon has refused to start the operation. Tells whose it was; nobody's, if another
    /// message was refused.
    pub(crate) fn refused(&mut self, id: u64) -> Option<W> {
        self.take(id).and_then(|entry| entry.asked.waiter)
    }

    /// Whether no operation is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who waits for the operation.
    pub(crate) fn waiter(&mut self, id: u64) -> Option<&mut W> {
        self.entries
            .get_mut(&id)
            .and_then(|entry| entry.asked.waiter.as_mut())
    }

    /// The stream is attached, and the daemon knows these ids. Returns those who waited for
    /// operations that were cancelled and had never reached the daemon: they are gone.
    pub(crate) fn attached(&mut self, known: &[u64], now: Instant) -> Vec<W> {
        let known: HashSet<u64> = known.iter().copied().collect();
        self.attached = true;
        self.said = now;
        self.cancels.clear();

        let mut gone = Vec::new();
        for id in self.sent() {
            let entry = &self.entries[&id];
            match (known.contains(&id), entry.cancelled) {
                (true, true) => self.cancels.push_back(id),
                (true, false) => {}
                (false, true) => gone.extend(self.take(id).and_then(|it| it.asked.waiter)),
                // Its result is here.
                (false, false) if entry.ended.is_some() => {}
                (false, false) => {
                    let asked = &self.entries[&id].asked;
                    self.in_flight_bytes -= asked.room;
                    self.queue(id, asked.urgent);
                }
            }
        }
        // What the daemon keeps and nobody waits for was delivered: its acknowledgement was lost.
        let mut kept: Vec<u64> = known
            .into_iter()
            .filter(|id| !self.entries.contains_key(id))
            .collect();
        kept.sort_unstable();
        // How much they take is known no more: the acknowledgement goes out before anything that needs room.
        self.unacknowledged_bytes = if kept.is_empty() {
            0
        } else {
            self.limits.bytes
        };
        self.unacknowledged_since = (!kept.is_empty()).then_some(now);
        self.unacknowledged = kept;
        gone
    }

    /// The stream is broken.
    pub(crate) fn detached(&mut self) {
        self.attached = false;
    }

    /// What to say next, if anything, at once.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Saying<O>> {
        if !self.attached {
            return None;
        }
        let saying = self.due(now)?;
        self.said = now;
        Some(saying)
    }

    /// When [`next`](Self::next) has something to say even if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.attached {
            return None;
        }
        let renewal = self.said + self.limits.lease / 3;
        Some(match self.unacknowledged_since {
            Some(since) => renewal.min(since + ACKNOWLEDGE_WITHIN),
            None => renewal,
        })
    }

    /// The session is over: gives up all operations, and tells who waited.
    pub(crate) fn give_up(&mut self) -> Vec<W> {
        self.attached = false;
        self.unsent.clear();
        self.urgent.clear();
        std::mem::take(&mut self.entries)
            .into_values()
            .filter_map(|entry| entry.asked.waiter)
            .collect()
    }

    fn due(&mut self, now: Instant) -> Option<Saying<O>> {
        if let Some(id) = self.cancels.pop_front() {
            let entry = self.entries.get(&id);
            let give_back = entry.is_some_and(|entry| entry.asked.gives_back);
            return Some(Saying::Cancel { id, give_back });
        }
        let next = self.next_unsent();
        if self.acknowledgement_is_due(now, next) {
            return Some(self.acknowledge());
        }
        if let Some(id) = next.filter(|id| self.has_room(*id)) {
            self.unqueue(id);
            let asked = &self.entries[&id].asked;
            self.in_flight_bytes += asked.room;
            return Some(Saying::Start(id, asked.operation.clone()));
        }
        (now >= self.said + self.limits.lease / 3).then_some(Saying::KeepAlive)
    }

    /// Whose turn it is: the oldest, or if that one must wait for room, the oldest that makes room.
    fn next_unsent(&self) -> Option<u64> {
        let first = *self.unsent.first()?;
        if self.has_room(first) {
            return Some(first);
        }
        self.urgent.first().copied().or(Some(first))
    }

    fn acknowledgement_is_due(&self, now: Instant, next: Option<u64>) -> bool {
        let Some(since) = self.unacknowledged_since else {
            return false;
        };
        self.unacknowledged.len() >= MOST_UNACKNOWLEDGED
            || self.unacknowledged_bytes >= self.limits.bytes / 8
            || now >= since + ACKNOWLEDGE_WITHIN
            || next.is_some_and(|id| !self.has_room(id))
    }

    fn acknowledge(&mut self) -> Saying<O> {
        self.unacknowledged_bytes = 0;
        self.unacknowledged_since = None;
        Saying::Acknowledge(std::mem::take(&mut self.unacknowledged))
    }

    fn has_room(&self, id: u64) -> bool {
        let asked = &self.entries[&id].asked;
        let in_flight = self.entries.len() - self.unsent.len();
        let reserve = if asked.urgent {
            0
        } else {
            (self.limits.in_flight / 4).min(16)
        };
        let bytes = self.in_flight_bytes + self.unacknowledged_bytes;
        in_flight + reserve < self.limits.in_flight
            && in_flight + self.unacknowledged.len() + reserve < self.limits.results
            // One that alone is too large is the daemon's to refuse.
            && (bytes == 0 || bytes + asked.room <= self.limits.bytes)
    }

    fn queue(&mut self, id: u64, urgent: bool) {
        self.unsent.insert(id);
        if urgent {
            self.urgent.insert(id);
        }
    }

    fn unqueue(&mut self, id: u64) -> bool {
        self.urgent.remove(&id);
        self.unsent.remove(&id)
    }

    /// What was sent, in the order of the ids.
    fn sent(&self) -> Vec<u64> {
        let mut sent: Vec<u64> = self
            .entries
            .keys()
            .copied()
            .filter(|id| !self.unsent.contains(id))
            .collect();
        sent.sort_unstable();
        sent
    }

    fn take(&mut self, id: u64) -> Option<Entry<O, W>> {
        let entry = self.entries.remove(&id)?;
        if !self.unqueue(id) {
            self.in_flight_bytes -= entry.asked.room;
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
