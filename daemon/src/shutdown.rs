//! The order to end, in its two degrees.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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

    /// Gives the order when the process is told to end: at the first SIGTERM or SIGINT to drain, at the second to end at once.
    /// The task that listens for them belongs to the runtime and ends with it.
    ///
    /// # Errors
    /// A handler cannot be installed. Corresponds to sigaction(2).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let order = shutdown.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let first = next().await;
            info!(signal = first, "draining");
            order.drain();
            let second = next().await;
            warn!(signal = second, "ending at once");
            order.now();
        });
        Ok(shutdown)
    }
}
