//! How long an operation may wait, and how it ends when that is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::Watch;

/// The time that a request gives an operation, counted from its start, and who else may end its waits.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    start: Instant,
    /// When the system call began that the operation makes now: SO_RCVTIMEO and SO_SNDTIMEO are each call's own.
    call: Instant,
    timeout: Option<Duration>,
    watch: Option<Arc<Watch>>,
}

/// Which limit of a wait is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The request's `timeout`: the daemon ends the call.
    Request,
    /// SO_RCVTIMEO or SO_SNDTIMEO: the kernel would have ended it.
    Kernel,
}

impl Patience {
    /// Starts now; without a `timeout` the request sets no limit.
    pub(crate) fn new(timeout: Option<Duration>, watch: Option<Arc<Watch>>) -> Self {
        let start = Instant::now();
        Self {
            start,
            call: start,
            timeout,
            watch,
        }
    }

    /// The kernel counts its limit anew from here on: recvmmsg(2) and sendmmsg(2) wait for each message as a call of its own.
    pub(crate) fn next_call(&mut self) {
        self.call = Instant::now();
    }

    /// Who watches the operation.
    pub(crate) fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    /// Returns when somebody ends the operation's waits.
    pub(crate) async fn cancelled(&self) {
        match &self.watch {
            Some(watch) => watch.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// When the wait ends and why, given the socket's own limit; none if it never does.
    pub(crate) fn end(&self, kernel: Option<Duration>) -> Option<(Instant, Expiry)> {
        // A limit past the clock's range is none.
        let at = |from: Instant, limit: Option<Duration>| {
            limit.and_then(|limit| from.checked_add(limit))
        };
        match (at(self.start, self.timeout), at(self.call, kernel)) {
            (Some(request), Some(kernel)) if kernel < request => Some((kernel, Expiry::Kernel)),
            (Some(request), _) => Some((request, Expiry::Request)),
            (None, Some(kernel)) => Some((kernel, Expiry::Kernel)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_secs(1));
    const LONG: Option<Duration> = Some(Duration::from_secs(2));

    #[test]
    fn the_nearer_limit_ends_the_wait_and_gives_its_own_reason() {
        let ends = |timeout, kernel| Patience::new(timeout, None).end(kernel).map(|(_, why)| why);
        assert_eq!(ends(SHORT, LONG), Some(Expiry::Request));
        assert_eq!(ends(LONG, SHORT), Some(Expiry::Kernel));
        assert_eq!(ends(None, SHORT), Some(Expiry::Kernel));
        assert_eq!(ends(SHORT, None), Some(Expiry::Request));
        assert_eq!(ends(None, None), None);
    }

    #[test]
    fn the_next_call_has_the_kernels_limit_again_and_not_the_requests() {
        let mut patience = Patience::new(LONG, None);
        let at = |patience: &Patience| patience.end(SHORT).map(|(at, _)| at);
        let before = at(&patience);
        let request = patience.end(None);
        patience.call += Duration::from_millis(500);
        assert!(at(&patience) > before);
        assert_eq!(patience.end(None), request);
    }

    #[test]
    fn a_limit_past_the_clocks_range_is_none() {
        assert_eq!(Patience::new(Some(Duration::MAX), None).end(None), None);
    }
}
