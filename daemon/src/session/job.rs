//! An operation as a session knows it: something to run when its turn comes.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::socket::Watch;

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

/// An operation to run, once it is its turn.
pub(crate) struct Job<R> {
    /// Runs it.
    pub(super) running: Running<R>,
    /// Over it, as it knows itself.
    pub(super) watch: Arc<Watch>,
    /// What an operation of this id ends with that cannot run.
    pub(super) fail: Fail<R>,
    /// Whether to tell the client when it waits.
    pub(super) notify_waiting: bool,
}

/// An operation that runs.
pub(super) type Running<R> = Pin<Box<dyn Future<Output = Finished<R>> + Send>>;

pub(super) type Fail<R> = fn(u64, NotRun) -> Finished<R>;

impl<R> Job<R> {
    /// The operation that `run` makes, which nobody polls before its turn.
    pub(crate) fn new<F>(
        run: impl FnOnce(Arc<Watch>) -> F,
        fail: Fail<R>,
        notify_waiting: bool,
    ) -> Self
    where
        F: Future<Output = Finished<R>> + Send + 'static,
    {
        let watch = Arc::new(Watch::of_kept_result());
        Self {
            running: Box::pin(run(Arc::clone(&watch))),
            watch,
            fail,
            notify_waiting,
        }
    }
}

/// Why an operation ended before it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRun {
    /// The operation of this id, which it was to follow, has failed.
    DependencyFailed(u64),
    /// Its client cancelled it.
    Cancelled,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Finished<R> {
    pub(crate) result: R,
    /// How many bytes it takes.
    pub(crate) bytes: usize,
    pub(crate) succeeded: bool,
}

impl<R> std::fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}
