//! What is received one by one, and kept whole until it is acknowledged: datagrams and connections.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use super::{
    Credit, Opening, Side, Tally,
    ledger::{Delivery, Item, OffsetUnknown},
    seat::{Line, holds},
};
use crate::{
    error::{Call, Error},
    socket::{Ended, Fault, Socket, WaitError, Waiting},
    sys::socket::Events,
    table::Handle,
};

#[cfg(test)]
mod tests;

/// What arrives; RDHUP so that an end is heard.
const ARRIVAL: Events = Events::IN.and(Events::RDHUP);
/// How many items are said at once.
pub(super) const BATCH: usize = 64;
/// After a break so much is said in short messages: a connection that never carries a whole long one would never get further.
const CAREFULLY: u64 = 256 << 10;
/// What the items of a short message cost, but for the last.
const SHORT: u64 = 8 << 10;

/// How long nothing is tried after an error that follows another: from the first to the last, doubled each time. What ends such errors, such
/// as descriptors that others close, has no event.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(80));
/// How long the same error is not said again, likewise.
const SILENCE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// One item, or the error that came instead.
#[derive(Debug)]
pub(crate) enum Arrived<T> {
    Item(T),
    /// Receiving goes on when it is acknowledged.
    Failed(Error),
}

/// An item as the ledger keeps it.
#[derive(Debug)]
pub(super) struct Kept<T> {
    cost: u64,
    arrived: Arc<Arrived<T>>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            cost: self.cost,
            arrived: Arc::clone(&self.arrived),
        }
    }
}

impl<T> Item for Kept<T> {
    fn cost(&self) -> u64 {
        self.cost
    }

    fn part(&self, range: Range<u64>) -> Option<Self> {
        (range == (0..self.cost)).then(|| self.clone())
    }
}

/// What is to be said to the client next.
#[derive(Debug)]
pub(crate) enum NextItems<T> {
    /// Items, of which at most the last is an error.
    Items(Vec<Arc<Arrived<T>>>),
    Credit(Credit),
    /// What was sent up to this offset could not be.
    SendFailed(u64, Arc<Error>),
    /// The kernel has dropped something, and nothing has come since by which the client would hear of it.
    Dropped,
    /// The stream has ended.
    Over(Error),
}

/// What a look at the socket has brought.
pub(super) enum Taken<T> {
    /// Items, each with its cost.
    Items(Vec<(u64, T)>),
    /// There is no room for what might be there.
    NoRoom,
    /// There is nothing.
    Nothing,
    /// The kernel's answer, or a limit of the daemon's.
    Failed(Error),
    /// There will be nothing any more, after these.
    Last(Vec<(u64, T)>),
}

/// The direction in which the daemon sends items.
#[derive(Debug)]
pub(super) struct Receiving<T> {
    line: Option<Arc<Line>>,
    delivery: Delivery<Kept<T>>,
    /// What an error costs.
    error_cost: u64,
    /// The end of an error that is not acknowledged.
    paused: Option<u64>,
    /// The errors that came one after the other.
    failing: Failing,
    /// Whether nothing will come any more.
    last: bool,
    /// Whether the one who sends to the client waits for credit.
    blocked: bool,
    /// How much is still to be said in short messages.
    careful: u64,
    /// How many items have come, and how many errors.
    items: u64,
    failed: u64,
}

impl<T> Receiving<T> {
    /// A direction that keeps items of at most `most`.
    pub(super) fn new(most: u64, error_cost: u64) -> Self {
        Self {
            line: None,
            delivery: Delivery::new(most),
            error_cost,
            paused: None,
            failing: Failing::default(),
            last: false,
            blocked: false,
            careful: 0,
            items: 0,
            failed: 0,
        }
    }

    /// An opening takes it over when the flow has moved so much; returns where it goes on.
    pub(super) fn open(
        &mut self,
        line: &Arc<Line>,
        opening: Opening,
        tally: Tally,
    ) -> Result<u64, OffsetUnknown> {
        let offset = self.delivery.open(opening.received, opening.window)?;
        if let Some(before) = self.line.replace(Arc::clone(line)) {
            before.left(tally);
        }
        self.last = false;
        if !self.delivery.is_empty() {
            self.careful = CAREFULLY;
        }
        Ok(offset)
    }

    /// Whether this opening has it.
    pub(super) fn is_held(&self, line: &Arc<Line>) -> bool {
        holds(self.line.as_ref(), line)
    }

    /// The client says what it has received, and grants.
    pub(super) fn credit(
        &mut self,
        line: &Line,
        received: u64,
        limit: u64,
    ) -> Result<(), OffsetUnknown> {
        drop(self.delivery.credit(received, limit)?);
        if std::mem::take(&mut self.blocked) {
            line.wake();
        }
        Ok(())
    }

    /// What it has moved. An item costs what an error does, and its payload.
    pub(super) fn side(&self) -> Side {
        let (end, count) = (self.delivery.end(), self.items + self.failed);
        Side {
            bytes: end - count * self.error_cost,
            items: self.items,
            failed: self.failed,
            left: end - self.delivery.acknowledged(),
            ended: None,
        }
    }

    /// The opening ends when the flow has moved so much.
    pub(super) fn leave(&mut self, line: &Arc<Line>, tally: Tally) {
        if self.is_held(line) {
            line.left(tally);
            self.line = None;
        }
    }

    /// Whether nothing waits for acknowledgement.
    pub(super) fn is_empty(&self) -> bool {
        self.delivery.is_empty()
    }

    /// What is to be said next; none if it is to be waited for: for the socket, unless it `waits_for_client`.
    fn next(&mut self, mut take: impl FnMut(u64) -> Taken<T>) -> Option<Vec<Arc<Arrived<T>>>> {
        loop {
            let mut said = Vec::new();
            let mut cost = 0;
            let most = if self.careful > 0 { SHORT } else { u64::MAX };
            while said.len() < BATCH
                && cost < most
                && let Some(kept) = self.delivery.next()
            {
                cost += kept.cost;
                let failed = matches!(*kept.arrived, Arrived::Failed(_));
                said.push(kept.arrived);
                if failed {
                    break;
                }
            }
            self.careful = self.careful.saturating_sub(cost);
            if !said.is_empty() {
                return Some(said);
            }
            if self
                .paused
                .is_some_and(|end| self.delivery.acknowledged() >= end)
            {
                self.paused = None;
            }
            let room = self.delivery.room();
            self.blocked =
                !self.delivery.is_sent() || self.paused.is_some() || room < self.error_cost;
            if self.blocked || self.last || self.failing.rests_until(Instant::now()).is_some() {
                return None;
            }
            let taken = take(room);
            if !matches!(taken, Taken::Failed(_)) {
                self.failing = Failing::default();
            }
            match taken {
                Taken::Items(items) => self.push(items),
                Taken::Last(items) => {
                    self.last = true;
                    self.push(items);
                }
                Taken::Failed(error)
                    if self.failing.is_said_already(error.name(), Instant::now()) =>
                {
                    return None;
                }
                Taken::Failed(error) => {
                    self.push_one(self.error_cost, Arrived::Failed(error));
                    self.paused = Some(self.delivery.end());
                }
                Taken::NoRoom => {
                    self.blocked = true;
                    return None;
                }
                Taken::Nothing => return None,
            }
        }
    }

    fn push(&mut self, items: Vec<(u64, T)>) {
        for (cost, item) in items {
            self.push_one(cost, Arrived::Item(item));
        }
    }

    fn push_one(&mut self, cost: u64, arrived: Arrived<T>) {
        match arrived {
            Arrived::Item(_) => self.items += 1,
            Arrived::Failed(_) => self.failed += 1,
        }
        let arrived = Arc::new(arrived);
        self.delivery.push(Kept { cost, arrived });
    }
}

/// Errors that came one after the other, with nothing between.
#[derive(Debug, Default)]
struct Failing {
    count: u32,
    /// Nothing is tried before.
    rest: Option<Instant>,
    said: u32,
    /// The last that was said, and until when it is not said again.
    last: Option<(&'static str, Instant)>,
}

impl Failing {
    /// Until when nothing is tried.
    fn rests_until(&mut self, now: Instant) -> Option<Instant> {
        self.rest = self.rest.filter(|rest| *rest > now);
        self.rest
    }

    /// There was one more. It need not be said if the client has heard the same just now.
    fn is_said_already(&mut self, name: &'static str, now: Instant) -> bool {
        if self.count > 0 {
            self.rest = Some(now + doubled(REST, self.count - 1));
        }
        self.count = self.count.saturating_add(1);
        if self
            .last
            .as_ref()
            .is_some_and(|(said, until)| *said == name && now < *until)
        {
            return true;
        }
        self.last = Some((name, now + doubled(SILENCE, self.said)));
        self.said = self.said.saturating_add(1);
        false
    }
}

/// The first of the two times, doubled so often, at most the second.
fn doubled((first, most): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(most)
}

/// A flow that receives items.
pub(super) trait ItemFlow {
    type Item;

    fn handle(&self) -> Handle;
    fn socket(&self) -> &Weak<Socket>;
    fn receiving(&self) -> MutexGuard<'_, Receiving<Self::Item>>;
    /// What else there is to say.
    fn news(&self, line: &Arc<Line>) -> Option<NextItems<Self::Item>>;
    /// When to look for what has no event, if there is such.
    fn looks_at(&self) -> Option<Instant> {
        None
    }
    /// Looks for it.
    fn look(&self, _socket: &Socket, _line: &Arc<Line>) {}
    /// What is to be said before the end.
    fn last_credit(&self, line: &Arc<Line>) -> Option<Credit>;

    /// What is to be said to the client next. `take` looks at the socket: it is told the room there is, and the events that ended the
    /// wait before.
    fn poll_items(
        &self,
        line: &Arc<Line>,
        waiting: &mut Waiting,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&Arc<Socket>, u64, Events) -> Taken<Self::Item>,
    ) -> Poll<NextItems<Self::Item>> {
        line.listen(cx.waker());
        let mut events = Events::EMPTY;
        loop {
            if line.is_taken() {
                return Poll::Ready(NextItems::Over(Error::StreamTaken(self.handle())));
            }
            if let Some(ended) = waiting.ended() {
                return Poll::Ready(match self.last_credit(line) {
                    Some(credit) => NextItems::Credit(credit),
                    None => NextItems::Over(over(self.handle(), ended)),
                });
            }
            if line.take_news()
                && let Some(next) = self.news(line)
            {
                return Poll::Ready(next);
            }
            let wanted = {
                let Some(socket) = self.socket().upgrade() else {
                    // What has gone was ended before, if only since the look above.
                    let ended = waiting.ended().unwrap_or(Ended::Closed);
                    return Poll::Ready(NextItems::Over(over(self.handle(), ended)));
                };
                let mut receiving = self.receiving();
                if !receiving.is_held(line) {
                    // Taken over just now: whoever did wakes this one.
                    drop(receiving);
                    ready!(waiting.poll(None, cx)).ok();
                    continue;
                }
                match receiving.next(|room| take(&socket, room, events)) {
                    Some(items) => {
                        waiting.was_of_use();
                        return Poll::Ready(NextItems::Items(items));
                    }
                    None if receiving.blocked || receiving.last => None,
                    None => match receiving.failing.rests_until(Instant::now()) {
                        Some(until) => {
                            drop(receiving);
                            ready!(waiting.poll_until(until, cx));
                            continue;
                        }
                        None => Some(ARRIVAL),
                    },
                }
            };
            if let Some(at) = self.looks_at()
                && waiting.poll_alarm(at, cx).is_ready()
            {
                if let Some(socket) = self.socket().upgrade() {
                    self.look(&socket, line);
                }
                continue;
            }
            match waiting.poll(wanted, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(WaitError::Kernel(error))) => {
                    let call = Call::on("epoll_ctl", self.handle());
                    return Poll::Ready(NextItems::Over(call.failed(error)));
                }
                Poll::Ready(Err(WaitError::Ended(_))) => {}
                Poll::Ready(Ok(reported)) => events = reported,
            }
        }
    }
}

/// How a stream of that handle ends with its socket.
pub(super) fn over(handle: Handle, ended: Ended) -> Error {
    Fault::Ended(ended).on(Call::on("stream", handle))
}

/// Locks a half of a flow.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Failures that the client has not heard, each with the offset at which what failed ends.
#[derive(Debug, Default)]
pub(super) struct Failures {
    kept: VecDeque<(u64, Arc<Error>)>,
    /// How many of them this opening has told.
    told: usize,
    /// The end of the last that any opening has told.
    reached: u64,
}

impl Failures {
    /// How many are kept.
    const MOST: usize = 1024;

    pub(super) fn push(&mut self, end: u64, error: Error) {
        self.kept.push_back((end, Arc::new(error)));
    }

    /// Whether no more may be added.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= Self::MOST
    }

    /// The next that is to be told.
    pub(super) fn next(&mut self) -> Option<(u64, Arc<Error>)> {
        let (end, error) = self.kept.get(self.told)?;
        self.told += 1;
        self.reached = self.reached.max(*end);
        Some((*end, Arc::clone(error)))
    }

    /// Those up to `offset` were heard, as far as they were ever told: they may be heard before they are told again.
    pub(super) fn heard(&mut self, offset: u64) {
        let heard = offset.min(self.reached);
        while self.kept.front().is_some_and(|(end, _)| *end <= heard) {
            self.kept.pop_front();
            self.told = self.told.saturating_sub(1);
        }
    }

    /// Whether some were not told.
    pub(super) fn is_untold(&self) -> bool {
        self.told < self.kept.len()
    }

    /// All are told again.
    pub(super) fn again(&mut self) {
        self.told = 0;
    }

    /// Whether all were heard.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
