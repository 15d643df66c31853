//! What somebody outside an operation may know of it and do to it: that it waits, for how long it did, and to end its wait.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// Watches one operation.
pub(crate) struct Watch {
    cancelled: CancellationToken,
    waits: Mutex<Waits>,
    /// Called once, when the operation first waits.
    on_wait: Mutex<Option<OnWait>>,
}

type OnWait = Box<dyn FnOnce() + Send>;

#[derive(Debug, Default)]
struct Waits {
    since: Option<Instant>,
    total: Duration,
}

impl Watch {
    /// A watch that calls `on_wait` when the operation first waits.
    pub(crate) fn new(on_wait: Option<OnWait>) -> Self {
        Self {
            cancelled: CancellationToken::new(),
            waits: Mutex::default(),
            on_wait: Mutex::new(on_wait),
        }
    }

    /// Ends the operation's wait, and every later one.
    pub(crate) fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Whether [`Watch::cancel`] was called.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Returns when [`Watch::cancel`] is called.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// How long the operation has waited.
    pub(crate) fn waited(&self) -> Duration {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.total + waits.since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// The operation waits from here on.
    pub(crate) fn wait_begins(&self) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.since.get_or_insert_with(Instant::now);
        drop(waits);
        let on_wait = self
            .on_wait
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(on_wait) = on_wait {
            on_wait();
        }
    }

    /// It no longer does.
    pub(crate) fn wait_ends(&self) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = waits.since.take() {
            waits.total += since.elapsed();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("cancelled", &self.is_cancelled())
            .field("waited", &self.waited())
            .finish_non_exhaustive()
    }
}
