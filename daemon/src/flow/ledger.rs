//! Offsets, credit and retention of one direction: pure state machines, without I/O and without time.
//!
//! [`Delivery`] is the direction in which the daemon sends to the client, [`Intake`] the one in which it receives. The units are the
//! call's: bytes, the cost of datagrams, connections.

use std::{collections::VecDeque, ops::Range};

#[cfg(test)]
mod tests;

/// What a direction carries.
pub(crate) trait Item: Clone {
    /// How far it moves the direction's offset; never 0.
    fn cost(&self) -> u64;

    /// The part of it within `range` of its own offsets; none if it cannot be divided there.
    fn part(&self, range: Range<u64>) -> Option<Self>;

    /// Takes the next one into itself, if both are so small that keeping them apart would cost more than they are worth.
    fn absorb(&mut self, _next: &Self) -> bool {
        false
    }
}

/// An offset that was never reached, is acknowledged already, or is no item's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetUnknown(pub(crate) u64);

/// More was sent than granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditExceeded {
    /// The offset at which it would end.
    pub(crate) end: u64,
    /// The offset that was granted.
    pub(crate) limit: u64,
}

/// The direction in which the daemon sends: items are kept until they are acknowledged, and never sent beyond the limit.
///
/// Invariants: `acknowledged <= sent <= reached <= end`; the kept items lie one behind the other from `acknowledged` to `end`; and
/// `sent` is at most `limit`, unless the limit of this opening is below what an earlier one has reached.
#[derive(Debug)]
pub(crate) struct Delivery<T> {
    /// Each with the offset at which it begins.
    kept: VecDeque<(u64, T)>,
    acknowledged: u64,
    /// What this opening has sent.
    sent: u64,
    /// What any opening has sent.
    reached: u64,
    end: u64,
    limit: u64,
    /// How much may be kept.
    most: u64,
}

impl<T: Item> Delivery<T> {
    /// A direction that has carried nothing, and keeps at most `most`.
    pub(crate) fn new(most: u64) -> Self {
        Self {
            kept: VecDeque::new(),
            acknowledged: 0,
            sent: 0,
            reached: 0,
            end: 0,
            limit: 0,
            most,
        }
    }

    /// A client opens the stream that has received everything before `received` (none: what it last acknowledged) and grants
    /// `window` beyond. Returns where it goes on.
    pub(crate) fn open(
        &mut self,
        received: Option<u64>,
        window: u64,
    ) -> Result<u64, OffsetUnknown> {
        let from = received.unwrap_or(self.acknowledged);
        if from < self.acknowledged {
            return Err(OffsetUnknown(from));
        }
        self.forget(from)?;
        self.sent = from;
        self.limit = from.saturating_add(window);
        Ok(from)
    }

    /// How much may be taken from the socket now.
    pub(crate) fn room(&self) -> u64 {
        self.limit
            .min(self.acknowledged.saturating_add(self.most))
            .saturating_sub(self.end)
    }

    /// Adds what was taken from the socket.
    pub(crate) fn push(&mut self, item: T) {
        let cost = item.cost();
        let absorbed = self
            .kept
            .back_mut()
            .is_some_and(|last| last.1.absorb(&item));
        if !absorbed {
            self.kept.push_back((self.end, item));
        }
        self.end += cost;
    }

    /// Says that all that was pushed is sent, for a sender that hands on each item as it pushes it.
    pub(crate) fn sent_all(&mut self) {
        self.sent = self.end;
        self.reached = self.reached.max(self.end);
    }

    /// The next that is to be sent and may be; it counts as sent.
    pub(crate) fn next(&mut self) -> Option<T> {
        let until = self.end.min(self.limit);
        if self.sent >= until {
            return None;
        }
        let at = self.at(self.sent)?;
        let (start, item) = self.kept.get(at)?;
        let stop = (start + item.cost()).min(until);
        let part = item.part(self.sent - start..stop - start)?;
        self.sent = stop;
        self.reached = self.reached.max(stop);
        Some(part)
    }

    /// Whether all that was taken from the socket is sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.end
    }

    /// Whether nothing waits for acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.acknowledged == self.end
    }

    /// Everything before this offset is acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The offset of what is taken from the socket next.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The client says what it has received, and what may be sent. Less than before has no effect.
    pub(crate) fn credit(&mut self, received: u64, limit: u64) -> Result<Vec<T>, OffsetUnknown> {
        let forgotten = if received > self.acknowledged {
            self.forget(received)?
        } else {
            Vec::new()
        };
        self.sent = self.sent.max(self.acknowledged);
        self.limit = self.limit.max(limit);
        Ok(forgotten)
    }

    /// Forgets everything before `offset`, and returns the items that are gone.
    fn forget(&mut self, offset: u64) -> Result<Vec<T>, OffsetUnknown> {
        if offset > self.reached {
            return Err(OffsetUnknown(offset));
        }
        if offset < self.end {
            let at = self.at(offset).ok_or(OffsetUnknown(offset))?;
            let (start, item) = &mut self.kept[at];
            if *start < offset {
                let rest = item.part(offset - *start..item.cost());
                (*start, *item) = (offset, rest.ok_or(OffsetUnknown(offset))?);
            }
            self.acknowledged = offset;
            Ok(self.kept.drain(..at).map(|(_, item)| item).collect())
        } else {
            self.acknowledged = offset;
            Ok(self.kept.drain(..).map(|(_, item)| item).collect())
        }
    }

    /// The place of the item that `offset` lies in.
    fn at(&self, offset: u64) -> Option<usize> {
        self.kept
            .partition_point(|(start, _)| *start <= offset)
            .checked_sub(1)
    }
}

/// What the daemon tells of the direction in which it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    /// Everything before this offset has arrived.
    pub(crate) received: u64,
    /// The offset up to which the client may send.
    pub(crate) limit: u64,
    /// Everything before this offset was taken by the socket, or has failed.
    pub(crate) taken: u64,
}

/// The direction in which the daemon receives: what arrives is queued until the socket takes it, and the queue never holds more than
/// the window.
///
/// Invariant: `taken <= received <= limit`, and the queue holds what lies between `taken` and `received`.
#[derive(Debug)]
pub(crate) struct Intake<T> {
    queue: VecDeque<T>,
    received: u64,
    taken: u64,
    limit: u64,
    window: u64,
    told: Credit,
}

impl<T: Item> Intake<T> {
    /// A direction that has carried nothing, and lets the client be `window` ahead of the socket.
    pub(crate) fn new(window: u64) -> Self {
        let told = Credit {
            received: 0,
            limit: window,
            taken: 0,
        };
        Self {
            queue: VecDeque::new(),
            received: 0,
            taken: 0,
            limit: window,
            window,
            told,
        }
    }

    /// What arrives next lies at this offset.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// What the socket has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Something of `cost` has arrived; it is either queued or taken next.
    pub(crate) fn arrive(&mut self, cost: u64) -> Result<(), CreditExceeded> {
        let end = self.received.saturating_add(cost);
        if end > self.limit {
            let limit = self.limit;
            return Err(CreditExceeded { end, limit });
        }
        self.received = end;
        Ok(())
    }

    /// Queues what has arrived.
    pub(crate) fn queue(&mut self, item: T) {
        if !self.queue.back_mut().is_some_and(|last| last.absorb(&item)) {
            self.queue.push_back(item);
        }
    }

    /// Queues what has arrived without putting it together with others: the socket may take it at once.
    pub(crate) fn queue_as_is(&mut self, item: T) {
        self.queue.push_back(item);
    }

    /// Puts together what is small in the queue, each item first seen by `each`.
    pub(crate) fn pack(&mut self, mut each: impl FnMut(T) -> T) {
        for item in std::mem::take(&mut self.queue) {
            self.queue(each(item));
        }
    }

    /// What the socket has not taken, in order.
    pub(crate) fn queued(&self) -> &VecDeque<T> {
        &self.queue
    }

    /// The socket has taken `cost` of what had arrived and was not queued, or it has failed there.
    pub(crate) fn took(&mut self, cost: u64) {
        self.taken += cost;
        debug_assert!(self.taken <= self.received, "taken before it arrived");
    }

    /// The socket has taken the first `cost` of the queue.
    pub(crate) fn took_queued(&mut self, cost: u64) {
        self.took(cost);
        let mut rest = cost;
        while rest > 0 {
            let Some(first) = self.queue.front_mut() else {
                return;
            };
            let whole = first.cost();
            if whole > rest
                && let Some(left) = first.part(rest..whole)
            {
                *first = left;
                return;
            }
            self.queue.pop_front();
            rest = rest.saturating_sub(whole);
        }
    }

    /// Drops what is queued: the socket takes nothing any more.
    pub(crate) fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.taken = self.received;
    }

    /// Whether the client should hear of it: a quarter of the window was taken since it last did.
    pub(crate) fn is_due(&self) -> bool {
        self.taken.saturating_add(self.window) - self.told.limit >= self.window / 4
    }

    /// Whether there is anything at all that the client has not heard.
    pub(crate) fn is_untold(&self) -> bool {
        (self.received, self.taken) != (self.told.received, self.told.taken)
    }

    /// What there is to tell; from here on it is told and granted.
    pub(crate) fn tell(&mut self) -> Credit {
        self.limit = self.limit.max(self.taken.saturating_add(self.window));
        self.told = Credit {
            received: self.received,
            limit: self.limit,
            taken: self.taken,
        };
        self.told
    }
}
