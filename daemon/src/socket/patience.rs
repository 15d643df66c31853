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
        Self {
            start: Instant::now(),
            timeout,
            watch,
        }
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
        let at = |limit: Option<Duration>| limit.and_then(|limit| self.start.checked_add(limit));
        match (at(self.timeout), at(kernel)) {
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
    fn a_limit_past_the_clocks_range_is_none() {
        assert_eq!(Patience::new(Some(Duration::MAX), None).end(None), None);
    }
}
