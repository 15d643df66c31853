//! All sessions, and the one task that ends those whose lease is over.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use foldhash::fast::RandomState;
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinHandle},
};

use super::{
    Detached, OnExpiry, Session, Terms,
    due::{Due, Taken},
};
use crate::{
    engine::{Engine, Owner},
    error::{Error, Result},
    socket::Ended,
    sys,
    table::Aftermath,
};

/// How many sessions one daemon has at most.
const MAX_SESSIONS: usize = 4096;

/// How many leases are looked at before others have a turn at the sessions.
const BATCH: usize = 64;

/// Every session of the daemon.
#[derive(Debug)]
pub(crate) struct Sessions<R> {
    shared: Arc<Shared<R>>,
    reaper: AbortHandle,
}

#[derive(Debug)]
struct Shared<R> {
    engine: Arc<Engine>,
    all: Mutex<All<R>>,
    /// Told when a lease ends before all that the reaper sleeps for.
    earlier: Notify,
}

/// The sessions, by all that they are asked for by: nothing is searched for among those of others.
///
/// Invariant: each session is in both maps and, but for the moment of a look at its lease, in `due`; one that has ended is in none.
#[derive(Debug)]
struct All<R> {
    by_id: HashMap<String, Arc<Session<R>>, RandomState>,
    /// By owner, and then by the first handle number, which is the order in which they were opened.
    by_owner: HashMap<Owner, BTreeMap<u64, Arc<Session<R>>>, RandomState>,
    due: Due<Arc<Session<R>>>,
}

impl<R> Default for All<R> {
    fn default() -> Self {
        Self {
            by_id: HashMap::default(),
            by_owner: HashMap::default(),
            due: Due::default(),
        }
    }
}

impl<R: Clone + Send + 'static> Sessions<R> {
    /// No session yet, and the task that will watch over their leases.
    pub(crate) fn start(engine: Arc<Engine>) -> Arc<Self> {
        let shared = Arc::new(Shared {
            engine,
            all: Mutex::default(),
            earlier: Notify::new(),
        });
        let reap = shared
            .engine
            .essential
            .watch("the task that ends leases", reap(Arc::clone(&shared)));
        let reaper = tokio::spawn(reap).abort_handle();
        Arc::new(Self { shared, reaper })
    }

    /// Opens a session.
    pub(crate) fn open(&self, terms: Terms) -> Result<Arc<Session<R>>> {
        let _admission = self.shared.engine.admit()?;
        let id = sys::random::hex_id()
            .map_err(|error| crate::error::Call::new("getrandom").failed(error))?;
        let mut all = self.shared.lock();
        if all.by_id.len() >= MAX_SESSIONS {
            return Err(Error::QuotaExceeded {
                limit: MAX_SESSIONS,
                what: "sessions",
            });
        }
        let at_daemons_end = match terms.on_expiry {
            OnExpiry::Abort => Aftermath::Abort,
            OnExpiry::Close => Aftermath::Close,
        };
        let block = self.shared.engine.table.block(id.clone(), at_daemons_end)?;
        let session = Session::new(terms, block, Instant::now());
        let is_next = all.insert(id, &session);
        drop(all);
        if is_next {
            self.shared.earlier.notify_one();
        }
        Ok(session)
    }

    /// The owner's session of that id. For anyone else it does not exist.
    pub(crate) fn get(&self, id: &str, owner: Owner) -> Option<Arc<Session<R>>> {
        let all = self.shared.lock();
        let session = all.by_id.get(id)?;
        (session.terms.owner == owner).then(|| Arc::clone(session))
    }

    /// Up to `count` of the owner's sessions that were opened after the one of block `after`, and whether there are more.
    pub(crate) fn page(
        &self,
        owner: Owner,
        after: u64,
        count: usize,
    ) -> (Vec<Arc<Session<R>>>, bool) {
        let all = self.shared.lock();
        let Some(sessions) = all.by_owner.get(&owner) else {
            return (Vec::new(), false);
        };
        let mut rest = sessions.range(after.saturating_add(1)..);
        let page = rest.by_ref().take(count);
        let page = page.map(|(_, session)| Arc::clone(session)).collect();
        (page, rest.next().is_some())
    }

    /// Ends a session, and returns how many sockets it had when the kernel has closed them.
    pub(crate) async fn close(&self, session: &Arc<Session<R>>, abort: bool) -> usize {
        let (count, closing) = self.shared.end(session, abort);
        // A task of ours, which does not panic.
        let _ = closing.await;
        count
    }

    /// Ends every attached stream: the daemon is shutting down.
    pub(crate) fn drain(&self) {
        for session in self.shared.everyone() {
            session.end_stream(Detached::Draining);
        }
    }
}

impl<R> Drop for Sessions<R> {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

impl<R: Clone + Send + 'static> All<R> {
    /// Adds a session; whether its lease ends before all others.
    fn insert(&mut self, id: String, session: &Arc<Session<R>>) -> bool {
        let owner = self.by_owner.entry(session.terms.owner).or_default();
        owner.insert(session.block.first(), Arc::clone(session));
        self.by_id.insert(id, Arc::clone(session));
        self.watch(session)
    }

    /// Sees to it that the session's lease is looked at when it is over; whether that is before all others.
    fn watch(&mut self, session: &Arc<Session<R>>) -> bool {
        let (end, number) = (session.lease_end(), session.block.first());
        self.due.add(end, number, Arc::clone(session))
    }

    /// Takes a session away.
    fn remove(&mut self, session: &Session<R>) {
        self.due.remove(session.block.first());
        self.by_id.remove(session.block.session_id());
        if let Some(owner) = self.by_owner.get_mut(&session.terms.owner) {
            owner.remove(&session.block.first());
        }
    }
}

impl<R: Clone + Send + 'static> Shared<R> {
    /// Ends a session, and tells how many sockets it had. The task ends when they are closed.
    fn end(&self, session: &Arc<Session<R>>, abort: bool) -> (usize, JoinHandle<()>) {
        session.end(Detached::Expired);
        self.lock().remove(session);
        let aftermath = match abort {
            true => Aftermath::Abort,
            false => Aftermath::Close,
        };
        let table = &self.engine.table;
        let sockets = table.remove_session(&session.block, session.terms.owner, aftermath);
        let closing: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                if abort {
                    socket.reset_on_close();
                }
                self.engine.close(socket, Ended::Expired)
            })
            .collect();
        session.block.entries.close();
        let (count, session) = (closing.len(), Arc::clone(session));
        let closed = self.engine.closing.follow(async move {
            for task in closing {
                // close(2)'s own answer interests nobody here.
                let _ = task.await;
            }
            session.closed.cancel();
        });
        (count, closed)
    }

    /// Every session.
    fn everyone(&self) -> Vec<Arc<Session<R>>> {
        self.lock().by_id.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, All<R>> {
        // Nothing panics between two changes that belong together.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the sessions whose lease is over, each at its time.
async fn reap<R: Clone + Send + 'static>(shared: Arc<Shared<R>>) {
    loop {
        let now = Instant::now();
        let was_away = shared.lock().due.was_away(now);
        if was_away {
            // Nobody could say anything meanwhile, and what was said waits to be read: every lease begins anew.
            tracing::warn!("the daemon was stopped, or too busy, for a while: leases begin anew");
            for session in shared.everyone() {
                session.renew();
            }
        }
        loop {
            let taken = shared
                .lock()
                .due
                .take(now, BATCH, |session| session.lease_end());
            match taken {
                Taken::Over(session) if !session.end_if_over(now) => {
                    let mut all = shared.lock();
                    // Renewed since the look, if it was not closed.
                    if all.by_id.contains_key(session.block.session_id()) {
                        all.watch(&session);
                    }
                }
                Taken::Over(session) => {
                    let abort = session.terms.on_expiry == OnExpiry::Abort;
                    tracing::info!(
                        session = session.block.session_id(),
                        label = session.terms.label,
                        "a session's lease is over"
                    );
                    // They close by themselves; the engine's tracker waits for them at shutdown.
                    drop(shared.end(&session, abort));
                }
                Taken::More => {}
                Taken::Nothing => break,
            }
            tokio::task::yield_now().await;
        }
        let next = shared.lock().due.plan();
        let earlier = shared.earlier.notified();
        match next {
            Some(next) => {
                let _ = tokio::time::timeout_at(next.into(), earlier).await;
            }
            None => earlier.await,
        }
    }
}
