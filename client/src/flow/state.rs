//! What one side of a flow must remember: offsets, credit, and what was sent and is not acknowledged. Pure.

use std::collections::VecDeque;

use farsock_proto::{Violation, v1};

#[cfg(test)]
mod tests;

/// What is kept for a daemon at most, however far it lets the client send.
const MOST_KEPT: u64 = 4 << 20;
/// After a break so much goes out in small parts: a connection that never carries a whole large one would never get further.
const CAREFULLY: u64 = 256 << 10;
/// What a small part costs at most.
const SMALL_PART: u64 = 16 << 10;
/// So many small items are kept as they are; more are joined.
const SMALL_ITEMS: usize = 256;

/// What is sent: one or more units of a direction's offset.
pub(crate) trait Item: Clone {
    /// By how much it moves the offset; never 0.
    fn cost(&self) -> u64;

    /// Cuts off a first part that costs at most `most`, and keeps the rest; none if no first part is that small.
    fn cut(&mut self, most: u64) -> Option<Self>;

    /// Takes in the item that follows, if both are small. Only for what was sent: it may lose what speeds sending up.
    fn join(&mut self, _following: &Self) -> bool {
        false
    }
}

/// The direction to the daemon.
///
/// Invariants: `base <= cursor <= end`, and `items` cost `end - base` together, those before `next` of them
/// `cursor - base`. Nothing beyond `limit` was sent. `base` and `limit` never fall.
#[derive(Debug)]
pub(super) struct Sending<T> {
    /// What was sent and is not acknowledged, then what was not sent.
    items: VecDeque<T>,
    /// The first item that was not sent.
    next: usize,
    /// Where `items` begin: all before that is acknowledged.
    base: u64,
    /// Where `next` begins.
    cursor: u64,
    /// Where `items` end.
    end: u64,
    /// How far the daemon lets us send.
    limit: u64,
    /// How far the socket has taken it.
    taken: u64,
    /// Where this flow began; none before the daemon has said.
    origin: Option<u64>,
    /// The end was asked for.
    finishing: bool,
    /// It was sent, on the connection of now.
    finish_sent: bool,
    /// How much is still to go out in small parts.
    careful: u64,
}

impl<T> Default for Sending<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            next: 0,
            base: 0,
            cursor: 0,
            end: 0,
            limit: 0,
            taken: 0,
            origin: None,
            finishing: false,
            finish_sent: false,
            careful: 0,
        }
    }
}

impl<T: Item> Sending<T> {
    /// Appends.
    pub(super) fn push(&mut self, item: T) {
        self.end += item.cost();
        self.items.push_back(item);
    }

    /// How much waits to be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.end - self.cursor
    }

    /// Whether the daemon lets more be sent.
    pub(super) fn has_credit(&self) -> bool {
        self.cursor < self.bound()
    }

    /// What goes out now, if the daemon lets it.
    pub(super) fn next(&mut self) -> Option<T> {
        let room = self.bound().saturating_sub(self.cursor);
        let careful = self.careful;
        let item = self.items.get_mut(self.next)?;
        let cut = if careful > 0 && item.cost() > SMALL_PART {
            item.cut(room.min(SMALL_PART))
        } else {
            None
        };
        let item = match cut {
            None if item.cost() <= room => item.clone(),
            cut => {
                let first = cut.or_else(|| item.cut(room))?;
                self.items.insert(self.next, first.clone());
                first
            }
        };
        self.careful = careful.saturating_sub(item.cost());
        self.cursor += item.cost();
        self.next += 1;
        self.join_last();
        Some(item)
    }

    /// The connection broke: all that is kept goes out again, once the daemon has said from where.
    pub(super) fn detached(&mut self) {
        self.next = 0;
        self.cursor = self.base;
        self.finish_sent = false;
        if self.origin.is_some() {
            self.careful = CAREFULLY;
        }
    }

    /// The daemon has opened the flow, and goes on from `offset`.
    pub(super) fn opened(&mut self, offset: u64, limit: u64) -> Result<(), Violation> {
        if self.origin.is_none() {
            self.origin = Some(offset);
            self.end += offset;
            self.base = offset;
        }
        if offset < self.base || offset > self.end {
            return Err(Violation::new(
                "opened.send_offset",
                format!("{offset} is not within {}-{}", self.base, self.end),
            ));
        }
        self.forget("opened.send_offset", offset)?;
        self.next = 0;
        self.cursor = self.base;
        self.limit = self.limit.max(limit);
        self.finish_sent = false;
        Ok(())
    }

    /// The daemon acknowledges and grants.
    pub(super) fn credit(&mut self, credit: &v1::Credit) -> Result<(), Violation> {
        let v1::Credit {
            received,
            limit,
            taken,
            ..
        } = *credit;
        if received > self.cursor || taken > self.cursor {
            return Err(Violation::new(
                "credit.received",
                format!(
                    "{} was not sent: that is {}",
                    received.max(taken),
                    self.cursor
                ),
            ));
        }
        self.limit = self.limit.max(limit);
        self.taken = self.taken.max(taken);
        self.forget("credit.received", received)
    }

    /// The daemon takes no more: what is kept is for nobody.
    pub(super) fn abandon(&mut self) {
        self.items.clear();
        self.next = 0;
        self.base = self.end;
        self.cursor = self.end;
    }

    /// Asks for the end after all that was pushed.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Whether the end was asked for.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing
    }

    /// The end, when it is due: told once on each connection.
    pub(super) fn finish_now(&mut self) -> Option<u64> {
        let due = self.finishing && !self.finish_sent && self.cursor == self.end;
        self.finish_sent |= due;
        due.then_some(self.end)
    }

    /// Whether the socket has taken all that was pushed.
    pub(super) fn is_taken(&self) -> bool {
        self.taken >= self.end || self.end == self.origin.unwrap_or(0)
    }

    /// How far the socket has taken it.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What is kept because it is not acknowledged.
    #[cfg(test)]
    pub(super) fn kept(&self) -> u64 {
        self.cursor - self.base
    }

    fn bound(&self) -> u64 {
        self.limit.min(self.base + MOST_KEPT)
    }

    /// Drops what is before `offset`, if it is beyond what was dropped before.
    fn forget(&mut self, field: &str, offset: u64) -> Result<(), Violation> {
        while self.base < offset {
            let Some(first) = self.items.front_mut() else {
                break;
            };
            let wanted = offset - self.base;
            let cost = first.cost();
            if cost <= wanted {
                self.items.pop_front();
                self.next = self.next.saturating_sub(1);
                self.base += cost;
            } else {
                let part = first
                    .cut(wanted)
                    .filter(|part| part.cost() == wanted)
                    .ok_or_else(|| Violation::new(field, format!("{offset} is no item's end")))?;
                self.base += part.cost();
            }
        }
        Ok(())
    }

    /// Many small items are kept as few large ones: each has a cost in memory beside its own.
    fn join_last(&mut self) {
        if self.next > SMALL_ITEMS
            && let Some(last) = self.items.get(self.next - 1).cloned()
            && self.items[self.next - 2].join(&last)
        {
            self.items.remove(self.next - 1);
            self.next -= 1;
        }
    }
}

/// The direction from the daemon.
///
/// Invariants: `consumed <= received <= told_limit`, and none of them ever falls: what lies between the first two waits
/// for the user, at most `window`, which is at most `widest`.
#[derive(Debug)]
pub(super) struct Receiving {
    /// How far ahead of the user the daemon may be.
    window: u64,
    widest: u64,
    /// How far the user was when that was decided.
    decided: u64,
    received: u64,
    consumed: u64,
    /// What the daemon was told last.
    told_received: u64,
    told_limit: u64,
    started: bool,
    /// The user wants no more: nothing is granted any more.
    closed: bool,
}

impl Receiving {
    pub(super) fn new(window: u64, widest: u64) -> Self {
        Self {
            window,
            widest,
            decided: 0,
            received: 0,
            consumed: 0,
            told_received: 0,
            told_limit: 0,
            started: false,
            closed: false,
        }
    }

    /// What opening says: how far it has come, if that is known, and how much further the daemon may send.
    pub(super) fn opening(&mut self) -> (Option<u64>, u64) {
        if !self.started {
            return (None, if self.closed { 0 } else { self.window });
        }
        let credit = self.tell();
        (Some(credit.received), credit.limit - credit.received)
    }

    /// The daemon has opened the flow, and goes on from `offset`.
    pub(super) fn opened(&mut self, offset: u64) -> Result<(), Violation> {
        if !self.started {
            self.started = true;
            self.received = offset;
            self.consumed = offset;
            self.decided = offset;
            self.told_received = offset;
            self.told_limit = offset.saturating_add(self.window);
        }
        if offset == self.received {
            return Ok(());
        }
        Err(Violation::new(
            "opened.receive_offset",
            format!("{offset} is not {}", self.received),
        ))
    }

    /// Something has arrived.
    pub(super) fn arrived(&mut self, cost: u64) -> Result<(), Violation> {
        let received = self.received.saturating_add(cost);
        if received > self.told_limit {
            return Err(Violation::new(
                "data",
                format!("goes to {received} where {} was granted", self.told_limit),
            ));
        }
        self.received = received;
        Ok(())
    }

    /// The user has taken something.
    pub(super) fn consumed(&mut self, cost: u64) {
        self.consumed += cost;
    }

    /// The user waits for what has not arrived. One who does so and has taken a window's worth since it was last decided is
    /// faster than what comes, be it for want of credit: the window grows.
    pub(super) fn waited(&mut self) {
        if self.consumed - self.decided >= self.window {
            self.decided = self.consumed;
            self.window = self.widest.min(self.window.saturating_mul(2));
        }
    }

    /// The user wants no more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.consumed = self.received;
    }

    /// Whether so much is free again that the daemon should hear of it.
    pub(super) fn is_credit_due(&self) -> bool {
        self.started && self.limit() - self.told_limit >= self.window.div_ceil(4)
    }

    /// Whether something arrived that was not acknowledged.
    pub(super) fn is_unacknowledged(&self) -> bool {
        self.received > self.told_received
    }

    /// What to tell the daemon now.
    pub(super) fn tell(&mut self) -> v1::Credit {
        self.told_received = self.received;
        self.told_limit = self.limit();
        v1::Credit {
            received: self.told_received,
            limit: self.told_limit,
            ..v1::Credit::default()
        }
    }

    /// Where the next item begins.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    fn limit(&self) -> u64 {
        if self.closed {
            return self.told_limit;
        }
        self.consumed
            .saturating_add(self.window)
            .max(self.told_limit)
    }
}
