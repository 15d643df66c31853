//! A place where one task waits.

use std::task::{Context, Waker};

/// The task that waits, if one does.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Waker>);

impl Waiting {
    /// The task waits from now on.
    pub(super) fn keep(&mut self, context: &Context<'_>) {
        match &mut self.0 {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.0 = Some(context.waker().clone()),
        }
    }

    /// Whom to wake, once the lock is released.
    pub(super) fn take(&mut self) -> Option<Waker> {
        self.0.take()
    }
}

pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
