//! loom's types, in the place of what the sources import from their own `sync`.

use std::task::Waker;

pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

/// loom takes SeqCst for AcqRel, and a load may then miss a store that it cannot miss. What reads and writes at once misses nothing.
#[derive(Debug, Default)]
pub(crate) struct AtomicBool(loom::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn load(&self, order: Ordering) -> bool {
        match order {
            Ordering::SeqCst => self.0.fetch_or(false, order),
            order => self.0.load(order),
        }
    }

    pub(crate) fn store(&self, value: bool, order: Ordering) {
        match order {
            Ordering::SeqCst => drop(self.0.swap(value, order)),
            order => self.0.store(value, order),
        }
    }
}

/// With the signature of futures-util's.
#[derive(Default)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(crate) fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}
