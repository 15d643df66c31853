//! All sessions, and the one task that ends those whose lease is over.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinHandle},
};

use super::{Detached, OnExpiry, Session, Terms};
use crate::{
    engine::{Engine, Owner},
    error::{Error, Result},
    sys,
};

/// How many sessions one daemon has at most.
const MAX_SESSIONS: usize = 4096;

/// Every session of the daemon.
#[derive(Debug)]
pub(crate) struct Sessions<R> {
    shared: Arc<Shared<R>>,
    reaper: AbortHandle,
}

#[derive(Debug)]
struct Shared<R> {
    engine: Arc<Engine>,
    /// By the first handle number: the order in which they were opened.
    sessions: Mutex<BTreeMap<u64, Arc<Session<R>>>>,
    opened: Notify,
}

impl<R: Clone + Send + 'static> Sessions<R> {
    /// No session yet, and the task that will watch over their leases.
    pub(crate) fn start(engine: Arc<Engine>) -> Arc<Self> {
        let shared = Arc::new(Shared {
            engine,
            sessions: Mutex::new(BTreeMap::new()),
            opened: Notify::new(),
        });
        let reaper = tokio::spawn(reap(Arc::clone(&shared))).abort_handle();
        Arc::new(Self { shared, reaper })
    }

    /// Opens a session.
    pub(crate) fn open(&self, terms: Terms) -> Result<Arc<Session<R>>> {
        let _admission = self.shared.engine.admit()?;
        let id = sys::random::hex_id().map_err(|error| {
            crate::error::Call::new("read")
                .with("/dev/urandom")
                .failed(error)
        })?;
        let mut sessions = self.shared.lock();
        if sessions.len() >= MAX_SESSIONS {
            return Err(Error::QuotaExceeded {
                limit: MAX_SESSIONS,
                what: "sessions",
            });
        }
        let block = self.shared.engine.table.block(id);
        let session = Session::new(terms, block, Instant::now());
        sessions.insert(session.block.first(), Arc::clone(&session));
        drop(sessions);
        self.shared.opened.notify_one();
        Ok(session)
    }

    /// The owner's session of that id. For anyone else it does not exist.
    pub(crate) fn get(&self, id: &str, owner: Owner) -> Option<Arc<Session<R>>> {
        self.shared
            .lock()
            .values()
            .find(|session| session.block.session_id() == id && session.terms.owner == owner)
            .cloned()
    }

    /// Up to `count` of the owner's sessions that were opened after the one of block `after`, and whether there are more.
    pub(crate) fn page(
        &self,
        owner: Owner,
        after: u64,
        count: usize,
    ) -> (Vec<Arc<Session<R>>>, bool) {
        let sessions = self.shared.lock();
        let mut rest = sessions
            .range(after.saturating_add(1)..)
            .map(|(_, session)| session)
            .filter(|session| session.terms.owner == owner);
        let page = rest.by_ref().take(count).cloned().collect();
        (page, rest.next().is_some())
    }

    /// How many sockets a session has.
    pub(crate) fn sockets(&self, session: &Session<R>) -> usize {
        self.shared.engine.table.count(&session.block)
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
        for session in self.shared.lock().values() {
            session.end_stream(Detached::Draining);
        }
    }
}

impl<R> Drop for Sessions<R> {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

impl<R: Clone + Send + 'static> Shared<R> {
    /// Ends a session, and tells how many sockets it had. The task ends when they are closed.
    fn end(&self, session: &Arc<Session<R>>, abort: bool) -> (usize, JoinHandle<()>) {
        self.lock().remove(&session.block.first());
        session.end(Detached::Expired);
        let sockets = self.engine.table.remove_session(&session.block);
        let closing: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                if abort {
                    socket.reset_on_close();
                }
                self.engine.close(socket)
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session<R>>>> {
        // Nothing panics between two changes that belong together.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the sessions whose lease is over, each at its time.
async fn reap<R: Clone + Send + 'static>(shared: Arc<Shared<R>>) {
    loop {
        let now = Instant::now();
        let all: Vec<_> = shared.lock().values().cloned().collect();
        let (over, alive): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|session| session.lease_end() <= now);
        for session in &over {
            let abort = session.terms.on_expiry == OnExpiry::Abort;
            tracing::info!(
                session = session.block.session_id(),
                label = session.terms.label,
                "a session's lease is over"
            );
            // They close by themselves; the engine's tracker waits for them at shutdown.
            drop(shared.end(session, abort));
        }
        // A lease only ever moves on, so that nothing is missed before the nearest end.
        let next = alive.iter().map(|session| session.lease_end()).min();
        drop((over, alive));
        let opened = shared.opened.notified();
        match next {
            Some(next) => {
                let _ = tokio::time::timeout_at(next.into(), opened).await;
            }
            None => opened.await,
        }
    }
}
