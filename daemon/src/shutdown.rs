//! The order to end, in its two degrees.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// Tells a server to end: first in order, then, if that takes too long, at once. Clones tell the same server.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    immediate: CancellationToken,
}

impl Shutdown {
    /// An order not yet given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends in order: nothing new is taken, what waits is ended, answers are sent.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends at once: connections are cut.
    pub fn now(&self) {
        self.draining.cancel();
        self.immediate.cancel();
    }

    /// Waits for the order to end, of either degree.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + Send + '_ {
        self.draining.cancelled()
    }

    /// Waits for the order to end at once.
    pub(crate) fn immediate(&self) -> impl Future<Output = ()> + Send + '_ {
        self.immediate.cancelled()
    }
}
