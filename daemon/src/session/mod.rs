//! Sessions: sockets that live as long as their client, and operations whose results survive a broken connection.
//!
//! A session knows nothing of gRPC: `R` is whatever a door keeps as an operation's result.
//!
//! Tasks: one for all leases ([`Sessions::start`]; aborted when the last handle on it is dropped), and those of [`turn`].

mod by_id;
mod due;
mod job;
mod lease;
mod ledger;
mod outbox;
mod registry;
mod turn;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    by_id::ById,
    job::Fail,
    lease::Lease,
    ledger::{Begun, Ledger},
    turn::Turn,
};
pub(crate) use self::{
    job::{Finished, Job, NotRun, Start},
    ledger::{LedgerLimits, Refusal},
    outbox::{Detached, Message, Outbox},
    registry::Sessions,
};
use crate::{engine::Owner, socket::Watch, table::Block};

/// What a session of the daemon takes: enough for a busy client, and no more than one client may cost.
pub(crate) const LIMITS: LedgerLimits = LedgerLimits {
    in_flight: 16_384,
    results: 65_536,
    bytes: 64 << 20,
};

/// What happens to a session's sockets when its lease is over, or the daemon ends in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnExpiry {
    /// They are closed in good order.
    Close,
    /// TCP connections are reset.
    Abort,
}

/// What a session shall be.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) owner: Owner,
    pub(crate) lease: Duration,
    pub(crate) on_expiry: OnExpiry,
    pub(crate) label: String,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session<R> {
    pub(crate) terms: Terms,
    pub(crate) block: Arc<Block>,
    pub(crate) create_time: SystemTime,
    /// Held while a message of an attached stream is carried out, and while another attaches: taken before `state`.
    hearing: Mutex<()>,
    state: Mutex<State<R>>,
    /// Cancelled when the session is over.
    over: CancellationToken,
    /// Cancelled when it is over and its sockets are closed.
    closed: CancellationToken,
}

/// The end of a session, for whoever waits for it. Does not keep the session.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    closed: CancellationToken,
    entries: TaskTracker,
}

impl Gone {
    /// Waits until the session is over, its sockets are closed, and the journal has been told of all that was done in it.
    pub(crate) async fn wait(&self) {
        self.closed.cancelled().await;
        self.entries.wait().await;
    }
}

/// An open call of a session's client. See [`Session::begin_call`].
#[derive(Debug)]
#[must_use = "dropping it ends the call"]
pub(crate) struct OpenCall<'a, R: Clone + Send + 'static> {
    session: &'a Session<R>,
}

impl<R: Clone + Send + 'static> Drop for OpenCall<'_, R> {
    fn drop(&mut self) {
        self.session.lock().lease.end_call(Instant::now());
    }
}

#[derive(Debug)]
struct State<R> {
    lease: Lease,
    ended: bool,
    ledger: Ledger<Ended<R>>,
    /// What has begun and not ended, by request id.
    under_way: ById<UnderWay<R>>,
    outbox: Option<Arc<Outbox>>,
    /// The highest that a stream has attached with.
    attempt: u64,
}

/// How an operation has ended.
#[derive(Clone, Debug)]
struct Ended<R> {
    result: R,
    /// What undoes it; none if it took and made nothing.
    undo: Option<(Arc<Watch>, Fail<R>)>,
}

/// An operation that has begun and not ended.
#[derive(Debug)]
struct UnderWay<R> {
    /// What it ends with if it is undone.
    fail: Fail<R>,
    /// Present while it waits for the one before it.
    held: Option<Job<R>>,
    watch: Arc<Watch>,
    /// Whether it has waited and its client wants to know: each stream is told.
    waited: bool,
    /// Unary calls that wait for its result.
    waiters: Vec<oneshot::Sender<R>>,
}

impl<R: Clone + Send + 'static> Session<R> {
    fn new(terms: Terms, block: Arc<Block>, now: Instant) -> Arc<Self> {
        let lease = Lease::new(terms.lease, now);
        Arc::new(Self {
            terms,
            block,
            create_time: SystemTime::now(),
            hearing: Mutex::new(()),
            state: Mutex::new(State {
                lease,
                ended: false,
                ledger: Ledger::new(LIMITS),
                under_way: ById::default(),
                outbox: None,
                attempt: 0,
            }),
            over: CancellationToken::new(),
            closed: CancellationToken::new(),
        })
    }

    /// The session's end, to be waited for.
    pub(crate) fn gone(&self) -> Gone {
        Gone {
            closed: self.closed.clone(),
            entries: self.block.entries.clone(),
        }
    }

    /// A sign of the client. False if the session is over; until it is, even a late one counts.
    pub(crate) fn renew(&self) -> bool {
        let mut state = self.lock();
        if !state.ended {
            state.lease.renew(Instant::now());
        }
        !state.ended
    }

    /// A sign of the client that lasts: a unary call that is open, and keeps the session alive while it is.
    pub(crate) fn begin_call(&self) -> OpenCall<'_, R> {
        self.lock().lease.begin_call();
        OpenCall { session: self }
    }

    /// Returns when the session is over.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// How much of the lease is left.
    pub(crate) fn lease_left(&self) -> Duration {
        self.lock().lease.left(Instant::now())
    }

    /// Attaches a stream, whose messages are in the outbox from here on; an older one is told and ends. A client counts its attempts up
    /// from 1: one that is not above those seen was delayed on a connection that its client has given up. 0 attaches in any case.
    ///
    /// Returns the ids that are known; the results among them, and which of them wait, are in the outbox.
    pub(crate) fn attach(&self, attempt: u64) -> Result<(Arc<Outbox>, Vec<u64>), Detached> {
        let _hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.ended {
            return Err(Detached::Expired);
        }
        if attempt != 0 && attempt <= state.attempt {
            return Err(Detached::Taken);
        }
        state.attempt = state.attempt.max(attempt);
        let outbox = Arc::new(Outbox::default());
        if let Some(older) = state.outbox.replace(Arc::clone(&outbox)) {
            older.detach(Detached::Taken);
        }
        let known: Vec<u64> = state.ledger.known().collect();
        for id in &known {
            match state.under_way.get(id) {
                None => outbox.push(Message::Ended(*id)),
                Some(under_way) if under_way.waited => outbox.push(Message::Waiting(*id)),
                Some(_) => {}
            }
        }
        Ok((outbox, known))
    }

    /// Carries out a message of the stream of `outbox`. False, and nothing is done, if the stream is no longer attached: its client may
    /// have said the same on a newer one, knowing what was known when that one attached, and has taken back what was not.
    pub(crate) fn hear(&self, outbox: &Outbox, act: impl FnOnce()) -> bool {
        let _hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        if outbox.is_detached() {
            return false;
        }
        act();
        true
    }

    /// The stream of `outbox` is gone.
    pub(crate) fn detach(&self, outbox: &Arc<Outbox>) {
        let mut state = self.lock();
        if state
            .outbox
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, outbox))
        {
            state.outbox = None;
        }
    }

    /// Ends the attached stream, if there is one.
    pub(crate) fn end_stream(&self, why: Detached) {
        if let Some(outbox) = self.lock().outbox.take() {
            outbox.detach(why);
        }
    }

    /// Whether a stream is attached.
    pub(crate) fn is_attached(&self) -> bool {
        let state = self.lock();
        let outbox = state.outbox.as_ref();
        outbox.is_some_and(|outbox| !outbox.is_detached())
    }

    /// How many operations are in flight, and how many results are kept.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.ledger.in_flight(), state.ledger.kept())
    }

    /// Starts an operation, unless its id says that this was done before.
    pub(crate) fn start(self: &Arc<Self>, request: Start<R>) -> Result<(), Refusal> {
        let Start {
            id,
            after,
            fingerprint,
            room,
            job,
        } = request;
        if job.notify_waiting {
            let session = Arc::downgrade(self);
            job.watch.on_wait(move || {
                if let Some(session) = session.upgrade() {
                    session.lock().waits(id);
                }
            });
        }
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        let skip = match state.ledger.begin(id, fingerprint, after, room)? {
            Begun::Start => None,
            Begun::DependencyFailed => Some(NotRun::DependencyFailed(after)),
            Begun::Hold => {
                state.begin(id, (Arc::clone(&job.watch), job.fail), Some(job));
                return Ok(());
            }
            Begun::InFlight => {
                if state.under_way.get(&id).is_some_and(|it| it.waited) {
                    state.tell(Message::Waiting(id));
                }
                return Ok(());
            }
            Begun::Ended(_) => {
                state.tell(Message::Ended(id));
                return Ok(());
            }
        };
        // Under one lock with the ledger's word of it: from then on a cancel finds it.
        state.begin(id, (Arc::clone(&job.watch), job.fail), None);
        drop(state);
        let released = self.take_turn(Turn { id, job, skip });
        self.take_turns(released);
        Ok(())
    }

    /// As [`Session::start`], and the operation's result, whenever it comes. None if the session ends before.
    pub(crate) async fn perform(self: &Arc<Self>, request: Start<R>) -> Result<Option<R>, Refusal> {
        let id = request.id;
        self.start(request)?;
        let result = {
            let mut state = self.lock();
            if let Some(ended) = state.ledger.result(id) {
                return Ok(Some(ended.result.clone()));
            }
            if state.ended {
                return Ok(None);
            }
            // It has ended and was acknowledged meanwhile.
            let under_way = state.under_way.get_mut(&id).ok_or(Refusal::Forgotten)?;
            let (sender, receiver) = oneshot::channel();
            let waiters = &mut under_way.waiters;
            if waiters.len() == waiters.capacity() {
                // Before it grows: a client asks again and again, each time with a deadline.
                waiters.retain(|waiter| !waiter.is_closed());
            }
            waiters.push(sender);
            receiver
        };
        Ok(result.await.ok())
    }

    /// Ends an operation that waits. One that has ended keeps its result; with `give_back` it is undone, if it can be, ends anew with that,
    /// and takes nothing more from here on.
    pub(crate) fn cancel(self: &Arc<Self>, id: u64, give_back: bool) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(under_way) = state.under_way.get_mut(&id) else {
            let ended = state.ledger.result(id).ok_or(Refusal::Unknown)?;
            if let Some((watch, fail)) = ended.undo.clone().filter(|_| give_back) {
                watch.undo().give_back();
                state.undone(id, fail(id, NotRun::Cancelled));
            }
            return Ok(());
        };
        match under_way.held.take() {
            Some(job) => {
                let skip = Some(NotRun::Cancelled);
                drop(state);
                let released = self.take_turn(Turn { id, job, skip });
                self.take_turns(released);
            }
            None => {
                under_way.watch.cancel();
                if give_back {
                    under_way.watch.undo().give_back();
                }
            }
        }
        Ok(())
    }

    /// Lets the results of operations go, and tells of those that it refuses.
    pub(crate) fn acknowledge(&self, ids: &[u64]) -> Vec<(u64, Refusal)> {
        let mut state = self.lock();
        ids.iter()
            .filter_map(|id| Some((*id, state.ledger.acknowledge(*id).err()?)))
            .collect()
    }

    /// The result of an operation that has ended and was not acknowledged.
    pub(crate) fn result(&self, id: u64) -> Option<R> {
        let state = self.lock();
        state.ledger.result(id).map(|ended| ended.result.clone())
    }

    /// Decides that the session is over if its lease is; a sign of the client comes before that, or is refused. [`Session::end`] is to
    /// follow.
    fn end_if_over(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let over = !state.ended && state.lease.end(now) <= now;
        state.ended |= over;
        over
    }

    /// The session is over: ends its stream and its operations, and forgets its results. Its sockets are the caller's to close.
    fn end(&self, why: Detached) {
        let mut state = self.lock();
        state.ended = true;
        self.over.cancel();
        if let Some(outbox) = state.outbox.take() {
            outbox.detach(why);
        }
        state.ledger = Ledger::new(LIMITS);
        let under_way = std::mem::take(&mut state.under_way);
        drop(state);
        for operation in under_way.into_values() {
            operation.watch.cancel();
            // Nobody hears how they end: what they take of a socket that others have is for those.
            operation.watch.undo().give_back();
        }
    }

    /// When the lease is over, unless it is renewed.
    fn lease_end(&self) -> Instant {
        self.lock().lease.end(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Clone + Send + 'static> State<R> {
    fn begin(&mut self, id: u64, (watch, fail): (Arc<Watch>, Fail<R>), held: Option<Job<R>>) {
        let under_way = UnderWay {
            fail,
            held,
            watch,
            waited: false,
            waiters: Vec::new(),
        };
        self.under_way.insert(id, under_way);
    }

    /// An operation that had ended was undone.
    fn undone(&mut self, id: u64, finished: Finished<R>) {
        let Finished { result, bytes, .. } = finished;
        let ended = Ended { result, undo: None };
        self.ledger.replace(id, ended, bytes);
        self.tell(Message::Ended(id));
    }

    /// An operation waits now.
    fn waits(&mut self, id: u64) {
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.waited = true;
            self.tell(Message::Waiting(id));
        }
    }

    fn tell(&self, message: Message) {
        if let Some(outbox) = &self.outbox {
            outbox.push(message);
        }
    }
}

#[cfg(test)]
mod tests;
