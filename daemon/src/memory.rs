//! Freed memory goes back to the kernel when the daemon has become quiet.
//!
//! While it is busy the allocator keeps what is freed (`sys::process::keep_freed_memory`), and what lies between blocks that are in use it
//! would keep for ever. So whatever may have held much says when it has ended ([`Memory::let_go`]: a stream, a connection, a socket), and some
//! seconds after the last of these [`malloc_trim(3)`](sys::process::trim_memory) is called.
//!
//! Tasks: one, for farsockd alone ([`give_back`]). It has a timer only from the first thing that was let go until memory was given back: an idle
//! daemon is not woken. Ending it at any time loses nothing; the call itself runs on a blocking thread, since it may take as long as the
//! heap is large.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tracing::debug;

use crate::sys;

/// For how long nothing is let go when the daemon counts as quiet.
const QUIET: Duration = Duration::from_secs(2);
/// After how long memory is given back though the daemon is not quiet.
const LONGEST: Duration = Duration::from_secs(30);
/// What a daemon may have resident that is not worth the call: twice what an idle one has.
const LITTLE: u64 = 24 << 20;

/// Counts what was let go since memory was last given back.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    let_go: AtomicU64,
    /// Told of the first.
    wake: Notify,
}

impl Memory {
    /// Something has ended that may have held memory.
    pub(crate) fn let_go(&self) {
        if self.let_go.fetch_add(1, Ordering::Relaxed) == 0 {
            self.wake.notify_one();
        }
    }
}

/// Gives memory back whenever it is time to. Has no end of its own.
pub(crate) async fn give_back(memory: Arc<Memory>) {
    loop {
        memory.wake.notified().await;
        let mut lull = Lull::new(Instant::now(), memory.let_go.load(Ordering::Relaxed));
        while let Some(next) = lull.look(Instant::now(), memory.let_go.load(Ordering::Relaxed)) {
            tokio::time::sleep_until(next.into()).await;
        }
        // What is let go from here on is for the next time, and so is what was since the last look.
        let count = memory.let_go.swap(0, Ordering::Relaxed);
        if count != lull.count {
            memory.let_go();
        }
        // A panic has been reported where it happened.
        let _ = tokio::task::spawn_blocking(trim).await;
    }
}

fn trim() {
    // What cannot be told is not judged by.
    let before = sys::process::resident_memory().ok();
    if before.is_some_and(|bytes| bytes < LITTLE) {
        return;
    }
    let start = Instant::now();
    sys::process::trim_memory();
    let (took, after) = (start.elapsed(), sys::process::resident_memory().ok());
    debug!(before, after, ?took, "freed memory was given back");
}

/// When it is time: when for a while nothing more was let go, or this has lasted long. Pure; time is passed in.
#[derive(Clone, Copy, Debug)]
struct Lull {
    begun: Instant,
    /// When the count was last seen to have changed.
    changed: Instant,
    count: u64,
}

impl Lull {
    /// `count` things were let go, of which the first just now.
    fn new(now: Instant, count: u64) -> Self {
        Self {
            begun: now,
            changed: now,
            count,
        }
    }

    /// When to look again, now that there are `count`; none if it is time.
    fn look(&mut self, now: Instant, count: u64) -> Option<Instant> {
        if count != self.count {
            self.count = count;
            self.changed = now;
        }
        let due = (self.changed + QUIET).min(self.begun + LONGEST);
        (now < due).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_time_when_nothing_more_was_let_go_for_a_while() {
        let start = Instant::now();
        let mut lull = Lull::new(start, 1);
        assert_eq!(lull.look(start, 1), Some(start + QUIET));
        let (later, next) = (start + SECOND, start + SECOND + QUIET);
        assert_eq!(lull.look(later, 5), Some(next));
        assert_eq!(lull.look(start + QUIET, 5), Some(next));
        assert_eq!(lull.look(next, 5), None);
    }

    #[test]
    fn it_is_time_at_last_though_the_daemon_is_never_quiet() {
        let start = Instant::now();
        let mut lull = Lull::new(start, 1);
        let mut now = start;
        for count in 2.. {
            now += SECOND;
            match lull.look(now, count) {
                Some(next) => assert!(next > now && next <= start + LONGEST),
                None => break,
            }
        }
        assert_eq!(now, start + LONGEST);
    }
}
