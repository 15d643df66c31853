//! A lease: how long a session lives without a sign of its client. Pure; time is passed in.

use std::time::{Duration, Instant};

/// A time limit that every sign of the client puts off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    length: Duration,
    end: Instant,
}

impl Lease {
    /// A lease of `length` from `now` on.
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        Self {
            length,
            end: now + length,
        }
    }

    /// A sign of the client. A lease that is over stays over.
    pub(crate) fn renew(&mut self, now: Instant) -> bool {
        if self.is_over(now) {
            return false;
        }
        self.end = self.end.max(now + self.length);
        true
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.end
    }

    /// When it is over, unless it is renewed.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// How much of it is left.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.end.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_over_exactly_when_no_sign_came_for_its_length(
            length in 1_u64..100,
            signs in prop::collection::vec(0_u64..150, 0..30),
        ) {
            let start = Instant::now();
            let at = |ms: u64| start + Duration::from_millis(ms);
            let mut lease = Lease::new(Duration::from_millis(length), start);
            let (mut now, mut last_sign) = (0, 0);
            for pause in signs {
                now += pause;
                let over = now - last_sign >= length;
                prop_assert_eq!(lease.is_over(at(now)), over);
                prop_assert_eq!(lease.renew(at(now)), !over);
                if over {
                    break;
                }
                last_sign = now;
                prop_assert_eq!(lease.left(at(now)), Duration::from_millis(length));
            }
        }
    }
}
