//! What could not be sent, and how far the user has heard of it. Pure.

use std::collections::VecDeque;

use crate::Error;

/// What could not be sent.
///
/// Invariants: those that wait end beyond `heard` and not beyond `last`. `told <= heard`, and none of the three ever falls.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Those that the user has not heard of, with where they end: no more than there were messages under way.
    waiting: VecDeque<(u64, Error)>,
    /// Where the last one ends: what the daemon says again is not beyond it.
    last: u64,
    /// Up to where the user has heard of them, and what the daemon knows of that.
    heard: u64,
    told: u64,
}

impl Failures {
    /// The daemon says that what ends at `offset` was not sent. Tells whether that is new.
    pub(super) fn add(&mut self, offset: u64, why: impl FnOnce() -> Error) -> bool {
        let is_new = offset > self.last;
        if is_new {
            self.last = offset;
            self.waiting.push_back((offset, why()));
        }
        is_new
    }

    /// One that the user has not heard of, and hears of now.
    pub(super) fn hear(&mut self) -> Option<Error> {
        let (offset, failure) = self.waiting.pop_front()?;
        self.heard = offset;
        Some(failure)
    }

    /// Whether the user has heard of all.
    pub(super) fn are_heard(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the user has heard of some of which the daemon does not know that.
    pub(super) fn are_untold(&self) -> bool {
        self.heard > self.told
    }

    /// What to tell the daemon now.
    pub(super) fn tell(&mut self) -> u64 {
        self.told = self.heard;
        self.told
    }
}

#[cfg(test)]
mod tests {
    use farsock_proto::Violation;

    use super::*;

    fn why() -> Error {
        Error::invalid_request(Violation::new("field", "is wrong"))
    }

    #[test]
    fn each_failure_is_heard_once_and_the_daemon_is_told_once() {
        let mut failures = Failures::default();
        assert!(failures.add(3, why));
        assert!(failures.add(8, why));
        assert!(!failures.add(3, why));
        assert!(!failures.add(8, why));
        assert!(!failures.are_heard() && !failures.are_untold());

        assert!(failures.hear().is_some());
        assert!(!failures.are_heard() && failures.are_untold());
        assert_eq!(failures.tell(), 3);
        assert!(!failures.are_untold());

        assert!(failures.hear().is_some());
        assert!(failures.hear().is_none());
        assert!(failures.are_heard());
        assert_eq!(failures.tell(), 8);
        assert!(!failures.add(8, why));
    }
}
