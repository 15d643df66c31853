//! What signals do to the daemon: none of those that the kernel lets a process handle ends it undrained.
//!
//! Tasks: none; [`Signals::serve`] is one of the server's, see [`Server::with_essential`](crate::server::Server::with_essential).

use std::{io, pin::pin};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::{reload::Reload, shutdown::Shutdown, sys::process};

/// A signal's name and number.
type Named = (&'static str, fn() -> SignalKind);

/// Those that end the daemon in order.
const ENDING: [Named; 5] = [
    ("SIGTERM", SignalKind::terminate),
    ("SIGINT", SignalKind::interrupt),
    ("SIGQUIT", SignalKind::quit),
    ("SIGXCPU", || SignalKind::from_raw(process::SIGXCPU)),
    ("SIGPWR", || SignalKind::from_raw(process::SIGPWR)),
];

/// Ignores the signals that would end this process and mean nothing to a daemon: SIGHUP until [`Signals::install`], SIGUSR1, SIGUSR2,
/// SIGPIPE, SIGALRM and its like, SIGXFSZ, and the real-time signals. For farsockd: a program that embeds the daemon decides for itself.
pub fn ignore_signals() {
    process::ignore_signals();
}

/// The signals that the daemon handles.
#[derive(Debug)]
pub struct Signals {
    ending: Vec<(&'static str, Signal)>,
    hangup: Signal,
}

impl Signals {
    /// Handles SIGTERM, SIGINT, SIGQUIT, SIGXCPU, SIGPWR and SIGHUP from now on.
    ///
    /// # Errors
    /// A handler cannot be installed. Corresponds to sigaction(2).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn install() -> io::Result<Self> {
        let ending = ENDING
            .iter()
            .map(|(name, kind)| Ok((*name, signal(kind())?)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            ending,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Orders the shutdown at the first signal to end, and to end at once at the second; reloads at each SIGHUP, one at a time.
    pub async fn serve(mut self, shutdown: Shutdown, mut reload: Reload) {
        let mut ending = pin!(async {
            let ending = &mut self.ending;
            let first = next(ending).await;
            // Before it is logged: whatever becomes of the log, the daemon drains.
            shutdown.drain();
            info!(signal = first, "draining");
            let second = next(ending).await;
            shutdown.now();
            warn!(signal = second, "ending at once");
            // Nothing is left for a third to do.
            loop {
                next(ending).await;
            }
        });
        let hangup = &mut self.hangup;
        let mut reloading = pin!(async {
            // Those that arrive meanwhile are one more.
            while hangup.recv().await.is_some() {
                reload.reload().await;
            }
        });
        tokio::select! {
            () = &mut ending => {}
            () = &mut reloading => {}
        }
    }
}

/// The name of the next signal.
async fn next(signals: &mut [(&'static str, Signal)]) -> &'static str {
    let mut waiting: FuturesUnordered<_> = signals
        .iter_mut()
        .map(|(name, signal)| async { signal.recv().await.map(|()| *name) })
        .collect();
    waiting.next().await.flatten().unwrap_or("a signal")
}
