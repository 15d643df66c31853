//! Sessions: sockets that live as long as their client, and operations whose results survive a broken connection.
//!
//! A session knows nothing of gRPC: `R` is whatever a door keeps as an operation's result.
//!
//! Tasks: one for all leases ([`Sessions::start`]; aborted when the last handle on it is dropped), and one for each operation that did not
//! end at its first poll, on the session's tracker. Ending a session cancels them; they hold nothing that outlives it.

mod lease;
mod ledger;
mod outbox;
mod registry;

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::oneshot, task::unconstrained};

use self::{
    lease::Lease,
    ledger::{Begun, Ledger, Released},
};
pub(crate) use self::{
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

/// What happens to a session's sockets when it is over.
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
}

#[derive(Debug)]
struct State<R> {
    lease: Lease,
    ended: bool,
    ledger: Ledger<R>,
    /// What has begun and not ended, by request id: held jobs wait here for the one before them.
    held: HashMap<u64, Job<R>>,
    watches: HashMap<u64, Arc<Watch>>,
    /// Unary calls that wait for a result.
    waiters: HashMap<u64, Vec<oneshot::Sender<R>>>,
    outbox: Option<Arc<Outbox>>,
}

/// An operation to run, once it is its turn.
pub(crate) struct Job<R> {
    /// Runs it.
    pub(crate) run: Box<dyn FnOnce(Arc<Watch>) -> Running<R> + Send>,
    /// What it ends with instead, if it cannot run.
    pub(crate) fail: Box<dyn FnOnce(NotRun) -> Finished<R> + Send>,
    /// Whether to tell the client when it waits.
    pub(crate) notify_waiting: bool,
}

/// An operation that runs.
pub(crate) type Running<R> = Pin<Box<dyn Future<Output = Finished<R>> + Send>>;

/// Why an operation ended before it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRun {
    /// The operation of this id, which it was to follow, has failed.
    DependencyFailed(u64),
    /// Its client cancelled it.
    Cancelled,
}

/// What becomes of an operation whose turn has come.
#[derive(Debug)]
enum Turn {
    Run(Arc<Watch>),
    Skip(NotRun),
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Finished<R> {
    pub(crate) result: R,
    /// How many bytes it takes.
    pub(crate) bytes: usize,
    pub(crate) succeeded: bool,
}

/// A request of the client's.
#[derive(Debug)]
pub(crate) struct Start<R> {
    pub(crate) id: u64,
    /// The id that must succeed first; 0 for none.
    pub(crate) after: u64,
    /// Tells one operation from another.
    pub(crate) fingerprint: u64,
    /// How many bytes the result may take.
    pub(crate) room: usize,
    pub(crate) job: Job<R>,
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
                held: HashMap::new(),
                watches: HashMap::new(),
                waiters: HashMap::new(),
                outbox: None,
            }),
        })
    }

    /// A sign of the client. False if the session is over.
    pub(crate) fn renew(&self) -> bool {
        let mut state = self.lock();
        !state.ended && state.lease.renew(Instant::now())
    }

    /// How much of the lease is left.
    pub(crate) fn lease_left(&self) -> Duration {
        self.lock().lease.left(Instant::now())
    }

    /// Attaches a stream, whose messages are in the outbox from here on; an older one is told and ends.
    ///
    /// Returns the ids that are known; the results among them are in the outbox.
    pub(crate) fn attach(&self) -> Result<(Arc<Outbox>, Vec<u64>), Detached> {
        let _hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.ended {
            return Err(Detached::Expired);
        }
        let outbox = Arc::new(Outbox::default());
        if let Some(older) = state.outbox.replace(Arc::clone(&outbox)) {
            older.detach(Detached::Taken);
        }
        let known: Vec<u64> = state.ledger.known().collect();
        for id in &known {
            if state.ledger.result(*id).is_some() {
                outbox.push(Message::Ended(*id));
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
        let mut state = self.lock();
        match state.ledger.begin(id, fingerprint, after, room)? {
            Begun::Start => {
                let watch = state.watch(self, id, job.notify_waiting);
                drop(state);
                self.run(vec![(id, job, Turn::Run(watch))]);
            }
            Begun::Hold => {
                state.held.insert(id, job);
            }
            Begun::DependencyFailed => {
                drop(state);
                self.run(vec![(id, job, Turn::Skip(NotRun::DependencyFailed(after)))]);
            }
            Begun::InFlight => {}
            Begun::Ended(_) => state.tell(Message::Ended(id)),
        }
        Ok(())
    }

    /// As [`Session::start`], and the operation's result, whenever it comes. None if the session ends before.
    pub(crate) async fn perform(self: &Arc<Self>, request: Start<R>) -> Result<Option<R>, Refusal> {
        let id = request.id;
        self.start(request)?;
        let result = {
            let mut state = self.lock();
            if let Some(result) = state.ledger.result(id) {
                return Ok(Some(result.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            state.waiters.entry(id).or_default().push(sender);
            receiver
        };
        Ok(result.await.ok())
    }

    /// Ends an operation that waits. One that has ended keeps its result.
    pub(crate) fn cancel(self: &Arc<Self>, id: u64) -> Result<(), Refusal> {
        let mut state = self.lock();
        if let Some(job) = state.held.remove(&id) {
            drop(state);
            self.run(vec![(id, job, Turn::Skip(NotRun::Cancelled))]);
            return Ok(());
        }
        if let Some(watch) = state.watches.get(&id) {
            watch.cancel();
            return Ok(());
        }
        if state.ledger.result(id).is_some() || state.ledger.is_in_flight(id) {
            return Ok(());
        }
        Err(Refusal::Unknown)
    }

    /// Lets the result of an operation go.
    pub(crate) fn acknowledge(&self, id: u64) -> Result<(), Refusal> {
        self.lock().ledger.acknowledge(id)
    }

    /// The result of an operation that has ended and was not acknowledged.
    pub(crate) fn result(&self, id: u64) -> Option<R> {
        self.lock().ledger.result(id).cloned()
    }

    /// The session is over: ends its stream and its operations, and forgets its results. Its sockets are the caller's to close.
    fn end(&self, why: Detached) {
        let mut state = self.lock();
        state.ended = true;
        if let Some(outbox) = state.outbox.take() {
            outbox.detach(why);
        }
        state.held.clear();
        state.waiters.clear();
        state.ledger = Ledger::new(LIMITS);
        let watches: Vec<_> = state.watches.drain().collect();
        drop(state);
        for (_, watch) in watches {
            watch.cancel();
        }
    }

    /// When the lease is over, unless it is renewed.
    fn lease_end(&self) -> Instant {
        self.lock().lease.end()
    }

    /// Runs jobs in order, each up to its first wait, and then those that their ends release. What waits goes on in a task of its own.
    ///
    /// The first poll is made here and not in a task, since operations take effect in the order in which they arrived. A loop and not
    /// recursion: a chain may be long.
    fn run(self: &Arc<Self>, jobs: Vec<(u64, Job<R>, Turn)>) {
        let mut jobs = std::collections::VecDeque::from(jobs);
        while let Some((id, job, turn)) = jobs.pop_front() {
            let finished = match turn {
                Turn::Skip(why) => Some((job.fail)(why)),
                Turn::Run(watch) => self.first_poll(id, job, watch),
            };
            if let Some(finished) = finished {
                jobs.extend(self.finish(id, finished));
            }
        }
    }

    fn first_poll(
        self: &Arc<Self>,
        id: u64,
        job: Job<R>,
        watch: Arc<Watch>,
    ) -> Option<Finished<R>> {
        if self.lock().ended {
            return None;
        }
        let mut running = (job.run)(watch);
        // Whatever the connection's task has done before: without budget the operation would not get to its socket's queue here, and
        // those that follow would overtake it.
        let mut first = unconstrained(running.as_mut());
        match Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(finished) => Some(finished),
            Poll::Pending => {
                let session = Arc::clone(self);
                // Ends with the operation, which the session's end cancels.
                tokio::spawn(async move {
                    let finished = running.await;
                    let released = session.finish(id, finished);
                    session.run(released);
                });
                None
            }
        }
    }

    /// Keeps a result, tells it, and returns whose turn it is then.
    fn finish(self: &Arc<Self>, id: u64, finished: Finished<R>) -> Vec<(u64, Job<R>, Turn)> {
        let Finished {
            result,
            bytes,
            succeeded,
        } = finished;
        let mut state = self.lock();
        state.watches.remove(&id);
        let waiters = state.waiters.remove(&id).unwrap_or_default();
        let answers: Vec<_> = waiters
            .into_iter()
            .map(|waiter| (waiter, result.clone()))
            .collect();
        let Some(released) = state.ledger.end(id, result, bytes, succeeded) else {
            // The session has ended, and its ledger with it.
            return Vec::new();
        };
        state.tell(Message::Ended(id));
        let jobs = released
            .into_iter()
            .filter_map(|Released { id: next, start }| {
                let job = state.held.remove(&next)?;
                let turn = if start {
                    Turn::Run(state.watch(self, next, job.notify_waiting))
                } else {
                    Turn::Skip(NotRun::DependencyFailed(id))
                };
                Some((next, job, turn))
            })
            .collect();
        drop(state);
        for (waiter, result) in answers {
            // One that is gone asks again under the same id.
            drop(waiter.send(result));
        }
        jobs
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Clone + Send + 'static> State<R> {
    /// A watch over an operation whose turn has come. Made with the ledger's word of that, under one lock: from then on a cancel finds it.
    fn watch(&mut self, session: &Arc<Session<R>>, id: u64, notify_waiting: bool) -> Arc<Watch> {
        let on_wait = notify_waiting.then(|| {
            let session = Arc::downgrade(session);
            Box::new(move || {
                if let Some(session) = session.upgrade() {
                    session.lock().tell(Message::Waiting(id));
                }
            }) as Box<dyn FnOnce() + Send>
        });
        let watch = Arc::new(Watch::new(on_wait));
        self.watches.insert(id, Arc::clone(&watch));
        watch
    }

    fn tell(&self, message: Message) {
        if let Some(outbox) = &self.outbox {
            outbox.push(message);
        }
    }
}

impl<R> std::fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
