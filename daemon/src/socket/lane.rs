//! A lane: operations of one direction on one socket take effect in the order in which they arrived.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// The order of one direction. The one whose turn it is holds the guard, waiting or not; the others queue behind it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// tokio's mutex hands over in arrival order, which is all that is wanted of it: it guards no data, and may be held across an
    /// await since nothing but this lane waits for it.
    turn: Mutex<()>,
    queued: AtomicUsize,
}

/// One's turn; dropping it passes it on.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

impl Lane {
    /// One's turn, if nobody is before one.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        self.turn.try_lock().ok()
    }

    /// Waits for one's turn.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let _queued = Queued::new(&self.queued);
        self.turn.lock().await
    }

    /// Waits for one's turn, and is not counted: for whoever is counted already.
    pub(crate) async fn turn_uncounted(&self) -> Turn<'_> {
        self.turn.lock().await
    }

    /// How many wait for their turn.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// Counts one in the queue, until dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
