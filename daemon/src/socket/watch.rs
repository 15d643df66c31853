//! What somebody outside an operation may know of it and do to it: that it waits, for how long it did, and to end its wait.

use std::{
    fmt,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::undo::Undo;

/// Watches one operation.
///
/// One is made for each, and most are never asked anything: it takes a single allocation, its own.
#[derive(Default)]
pub(crate) struct Watch {
    is_cancelled: AtomicBool,
    cancelled: Notify,
    waits: Mutex<Waits>,
    /// Called once, when the operation first waits.
    on_wait: Mutex<Option<OnWait>>,
    /// Whether somebody may ask for `undo` after the operation's answer.
    gives_back: bool,
    undo: Undo,
}

type OnWait = Box<dyn FnOnce() + Send>;

#[derive(Debug, Default)]
struct Waits {
    since: Option<Instant>,
    total: Duration,
}

impl Watch {
    /// Watches an operation whose result is kept until it is acknowledged, and may be given back until then.
    pub(crate) fn of_kept_result() -> Self {
        Self {
            gives_back: true,
            ..Self::default()
        }
    }

    /// Whether what the operation takes may be given back after its answer.
    pub(super) fn gives_back(&self) -> bool {
        self.gives_back
    }

    /// What the operation has taken or made.
    pub(crate) fn undo(&self) -> &Undo {
        &self.undo
    }

    /// Calls `on_wait` when the operation first waits. To be said before it runs.
    pub(crate) fn on_wait(&self, on_wait: impl FnOnce() + Send + 'static) {
        *self.lock_on_wait() = Some(Box::new(on_wait));
    }

    /// Ends the operation's wait, and every later one.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.cancelled.notify_waiters();
    }

    /// Whether [`Watch::cancel`] was called.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }

    /// Returns when [`Watch::cancel`] is called.
    pub(crate) async fn cancelled(&self) {
        // It hears what is said from here on, and what was said before is seen.
        let told = pin!(self.cancelled.notified());
        if !self.is_cancelled() {
            told.await;
        }
    }

    /// How long the operation has waited.
    pub(crate) fn waited(&self) -> Duration {
        let waits = self.lock_waits();
        waits.total + waits.since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// The operation waits from here on.
    pub(crate) fn wait_begins(&self) {
        self.lock_waits().since.get_or_insert_with(Instant::now);
        let on_wait = self.lock_on_wait().take();
        if let Some(on_wait) = on_wait {
            on_wait();
        }
    }

    /// It no longer does.
    pub(crate) fn wait_ends(&self) {
        let mut waits = self.lock_waits();
        if let Some(since) = waits.since.take() {
            waits.total += since.elapsed();
        }
    }

    fn lock_waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_on_wait(&self) -> std::sync::MutexGuard<'_, Option<OnWait>> {
        self.on_wait.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready};

    use super::*;

    #[test]
    fn a_cancel_ends_the_waits_before_it_and_after_it() {
        let watch = Watch::default();
        let mut before = tokio_test::task::spawn(watch.cancelled());
        let mut not_polled = tokio_test::task::spawn(watch.cancelled());
        assert_pending!(before.poll());
        watch.cancel();
        assert!(before.is_woken());
        assert_ready!(before.poll());
        assert_ready!(not_polled.poll());
        assert_ready!(tokio_test::task::spawn(watch.cancelled()).poll());
    }

    #[test]
    fn the_first_wait_is_told_once() {
        let watch = Watch::default();
        let (told, hears) = std::sync::mpsc::channel();
        watch.on_wait(move || told.send(()).expect("the test hears"));
        assert!(hears.try_recv().is_err());
        watch.wait_begins();
        watch.wait_ends();
        watch.wait_begins();
        assert_eq!(hears.iter().count(), 1);
    }
}
