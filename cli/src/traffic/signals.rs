//! SIGINT and SIGTERM, by which a command that goes on for long is ended in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Handlers of both; installed as soon as this is made, so that none comes too early.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn install() -> Result<Self, Failure> {
        let handler = |kind| {
            signal(kind).map_err(|error| Failure::Local(format!("cannot handle signals: {error}")))
        };
        Ok(Self {
            interrupt: handler(SignalKind::interrupt())?,
            terminate: handler(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them. Can be dropped without loss.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
