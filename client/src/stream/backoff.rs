//! How long to wait between attempts to reach the daemon again. Pure, but for the jitter's seed.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Waits that double from 10 ms to 1 s, each between half and all of itself, so that many clients of
/// one daemon do not come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        longest / 2 + longest.mul_f64(random_share() / 2.0)
    }

    /// It worked: the next wait is a short one again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// 0 to 1. A hasher's random keys are random enough, and need no crate.
fn random_share() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0))
        / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second_and_start_anew_after_a_success() {
        let mut backoff = Backoff::new();
        for longest in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            let wait = backoff.wait();
            let longest = Duration::from_millis(longest);
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
