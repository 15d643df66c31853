//! The operation stream of a session: calls go out on it without waiting for each other, and survive
//! the connection.
//!
//! Tasks: none; the connection's [`Pump`] runs one [`driver`] per session. It is started with the
//! session and ends when the last client of the session is dropped, or when the daemon says that the
//! session is over; dropping it with its runtime is safe, since the daemon then ends the session with
//! its lease.

mod backoff;
mod driver;
mod ledger;
mod pending;
mod state;
mod wire;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farsock_proto::v1::{OperationError, operation::Request, operation_result::Outcome};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tonic::{
    Status,
    metadata::{Ascii, MetadataValue},
};

pub(crate) use self::{
    backoff::Backoff,
    driver::{Terms, expired},
    ledger::Limits,
    pending::{Pending, Receipt},
    wire::{status_of, too_long},
};
use self::{
    ledger::{Cancelled, Ledger},
    state::{Asking, State, Waiter},
    wire::SentRequest,
};
use crate::{Error, SessionState, call::Tried, client::Transport, pump::Pump};

/// What an error is of that tells how the session stands.
pub(crate) const TRIED: Tried = Tried {
    verb: "session",
    handle: None,
};

/// What a call says beside its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// The request id that must succeed first; 0 for none.
    pub(crate) after: u64,
    /// When to start, by the daemon's clock.
    pub(crate) start_time: Option<prost_types::Timestamp>,
    /// Who wants to know when the operation waits.
    pub(crate) waiting: Option<Arc<Notify>>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With its answer or its error.
    Result {
        outcome: Box<Outcome>,
        /// An encoded [`OperationTiming`](farsock_proto::v1::OperationTiming): few want to know.
        timing: Bytes,
        /// Present if it took something, which is given back unless this is accepted.
        receipt: Option<Receipt>,
    },
    /// It was refused before it started.
    Refused(Status),
    /// The session is over.
    Lost(Status),
}

/// A session's stream. Dropping it closes the session.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
    /// Runs the driver.
    pump: Pump,
    session_id: String,
    lease: Duration,
    handles: Handles,
}

/// The session's own handle numbers.
#[derive(Debug)]
struct Handles {
    end: u64,
    next: Mutex<u64>,
}

impl Stream {
    /// Starts the stream of a new session, on the runtime that this is called in.
    pub(crate) fn start(
        transport: Transport,
        instance: Option<MetadataValue<Ascii>>,
        terms: Terms,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ledger: Ledger::new(terms.limits, now()),
                outgoing: None,
                over: None,
            }),
            resolved: Notify::new(),
            closing: Notify::new(),
            standing: watch::Sender::new(SessionState::Attached),
        });
        let session_id = terms.session_id.clone();
        let lease = terms.limits.lease;
        let handles = Handles {
            end: terms.first_handle.saturating_add(terms.handle_count),
            next: Mutex::new(terms.first_handle),
        };
        let pump = transport.pump.clone();
        pump.run(driver::drive(
            Arc::clone(&shared),
            transport,
            instance,
            terms,
        ));
        Self {
            shared,
            pump,
            session_id,
            lease,
            handles,
        }
    }

    /// How long the session lives without a sign of its client.
    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// How the session stands, from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<SessionState> {
        self.shared.standing.subscribe()
    }

    pub(crate) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// A handle number of the session's own that was never used; none if there are no more.
    pub(crate) fn new_handle(&self) -> Option<u64> {
        let mut next = lock(&self.handles.next);
        let handle = *next;
        if handle >= self.handles.end {
            return None;
        }
        *next += 1;
        Some(handle)
    }

    /// Sends an operation, or queues it where there is no room or no connection.
    pub(crate) fn ask(&self, request: Request, extras: Extras) -> Pending {
        let asking = Asking::of(request);
        let gives_back = asking.gives_back;
        let (answer, receiver) = oneshot::channel();
        let mut state = self.shared.lock();
        // Alone on its way, it goes out from here. Of many at once the driver sends several by one system call.
        let shift = if state.ledger.is_idle() {
            self.pump.idle()
        } else {
            None
        };
        let id = match (&state.over, asking.refusal()) {
            (Some(over), _) => {
                // The receiver is here: it cannot fail.
                let _ = answer.send(Ended::Lost(over.clone()));
                0
            }
            (None, Some(why)) => {
                let _ = answer.send(Ended::Refused(why));
                state.ledger.skip()
            }
            (None, None) => state.ask(asking, extras, Some(answer)),
        };
        drop(state);
        if let Some(shift) = shift {
            shift.work();
        }
        Pending::new(Arc::clone(&self.shared), id, receiver, gives_back)
    }

    /// Closes a handle that nobody holds any more, and tells nobody how it went.
    pub(crate) fn close_unwatched(&self, handle: u64) {
        self.shared.lock().close_unwatched(handle);
    }

    /// Waits until what dropped calls took of the socket is there again: another connection to the daemon finds it then.
    pub(crate) fn settled(&self, handle: u64) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                let resolved = shared.resolved.notified();
                tokio::pin!(resolved);
                {
                    let state = shared.lock();
                    if state.over.is_some() || state.ledger.is_settled(handle) {
                        return;
                    }
                    // Under the lock, so that no resolution comes between.
                    resolved.as_mut().enable();
                }
                resolved.await;
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
        // From here, since at a program's end nobody else has the time to. If the pump is at work it sees to it.
        if let Some(shift) = self.pump.idle() {
            shift.work();
        }
    }
}

/// What callers and the driver share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The daemon has ended an operation that nobody waits for.
    resolved: Notify,
    /// The last client is gone.
    closing: Notify,
    /// How the session stands.
    standing: watch::Sender<SessionState>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The caller of an operation has gone, before it had the result.
    fn abandon(&self, id: u64) {
        let mut state = self.lock();
        if let Cancelled::Sent = state.ledger.cancel(id) {
            if let Some(waiter) = state.ledger.waiter(id) {
                waiter.answer = None;
                waiter.waiting = None;
            }
            state.send(now());
        }
    }

    /// The caller of an operation has the result.
    fn accepted(&self, id: u64) {
        let mut state = self.lock();
        state.ledger.accepted(id);
        state.send(now());
    }

    /// A stream is attached, to a daemon that knows these ids.
    fn attach(&self, outgoing: mpsc::UnboundedSender<SentRequest>, known: &[u64]) {
        let mut state = self.lock();
        state.outgoing = Some(outgoing);
        let now = now();
        // Nobody waits for what has gone.
        drop(state.ledger.attached(known, now));
        state.send(now);
        drop(state);
        self.resolved.notify_waiters();
    }

    /// The daemon has answered.
    fn is_back(&self) {
        self.standing.send_if_modified(|standing| {
            let away = matches!(standing, SessionState::Away(_));
            if away {
                *standing = SessionState::Attached;
            }
            away
        });
    }

    /// The daemon could not be reached again.
    fn is_away(&self, why: &Status) {
        self.standing
            .send_replace(SessionState::Away(Error::from_status(TRIED, why)));
    }

    /// The attached stream is broken.
    fn detach(&self) {
        let mut state = self.lock();
        state.outgoing = None;
        state.ledger.detached();
    }

    /// The session is over: every operation, now and later, ends with this.
    fn give_up(&self, why: Status) {
        let mut state = self.lock();
        state.outgoing = None;
        for waiter in state.ledger.give_up() {
            if let Some(answer) = waiter.answer {
                // Its caller may have gone.
                let _ = answer.send(Ended::Lost(why.clone()));
            }
        }
        self.standing.send_if_modified(|standing| {
            let first = state.over.is_none();
            if first {
                *standing = SessionState::Over(Error::from_status(TRIED, &why));
            }
            first
        });
        state.over.get_or_insert(why);
        drop(state);
        self.resolved.notify_waiters();
    }

    /// An operation waits now.
    fn waiting(&self, id: u64) {
        if let Some(waiter) = self.lock().ledger.waiter(id)
            && let Some(waiting) = &waiter.waiting
        {
            waiting.notify_one();
        }
    }

    /// An operation has ended. Tells when something is due.
    fn ended(&self, id: u64, bytes: usize, ended: Ended) -> Option<Instant> {
        let now = now();
        let mut state = self.lock();
        let succeeded = match &ended {
            Ended::Result { outcome, .. } => !matches!(**outcome, Outcome::Error(_)),
            Ended::Refused(_) | Ended::Lost(_) => false,
        };
        let waiter = state.ledger.ended(id, bytes, succeeded, now);
        self.hand_over(waiter, ended);
        state.send(now);
        state.ledger.deadline()
    }

    /// A message was refused.
    fn refused(&self, id: u64, error: OperationError) {
        let mut state = self.lock();
        let waiter = state.ledger.refused(id);
        self.hand_over(waiter, Ended::Refused(status_of(error)));
        state.send(now());
    }

    /// Sends what is due. Tells when something is due again.
    fn tick(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.send(now());
        state.ledger.deadline()
    }

    /// Under the lock: whoever drops a call finds the result here, or to come.
    fn hand_over(&self, waiter: Option<Waiter>, ended: Ended) {
        match waiter.and_then(|waiter| waiter.answer) {
            // Its caller may go at this moment, and cancels then.
            Some(answer) => drop(answer.send(ended)),
            None => self.resolved.notify_waiters(),
        }
    }
}

/// The time, by the runtime's clock if there is one.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
