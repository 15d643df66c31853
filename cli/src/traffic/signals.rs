//! SIGINT, SIGTERM, SIGHUP and SIGQUIT, by which a command that goes on for long is ended in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Handlers of all four; installed as soon as this is made, so that none comes too early.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None if the process was started to ignore it, as nohup(1) does.
    hang_up: Option<Signal>,
    /// None if the process was started to ignore it, as a shell's background jobs are.
    quit: Option<Signal>,
}

impl Signals {
    pub(crate) fn install() -> Result<Self, Failure> {
        let handler = |kind| {
            signal(kind).map_err(|error| Failure::Local(format!("cannot handle signals: {error}")))
        };
        let ignored = ignored();
        let unless_ignored = |kind: SignalKind| {
            let bit = 1_u64.checked_shl(kind.as_raw_value().unsigned_abs().saturating_sub(1));
            let is_ignored = ignored & bit.unwrap_or(0) != 0;
            (!is_ignored).then(|| handler(kind)).transpose()
        };
        Ok(Self {
            hang_up: unless_ignored(SignalKind::hangup())?,
            quit: unless_ignored(SignalKind::quit())?,
            interrupt: handler(SignalKind::interrupt())?,
            terminate: handler(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them, and tells the exit status of a command that it ends. Can be dropped without loss.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 130,
            () = next(&mut self.hang_up) => 129,
            () = next(&mut self.quit) => 131,
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The signals that this process ignores, signal 1 as the lowest bit; none where the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .unwrap_or(0)
}
