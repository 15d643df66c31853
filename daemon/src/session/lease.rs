//! A lease: how long a session lives without a sign of its client. Pure; time is passed in.
//!
//! A lease only says when it is over. Whether its session then ends is decided elsewhere ([`due`](super::due)), and until that has happened a
//! sign of the client still counts.

use std::time::{Duration, Instant};

/// A time limit that every sign of the client puts off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    length: Duration,
    end: Instant,
    /// Calls of the client that are open, each of which is a sign for as long as it is.
    open_calls: usize,
}

impl Lease {
    /// A lease of `length` from `now` on.
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        Self {
            length,
            end: now + length,
            open_calls: 0,
        }
    }

    /// A sign of the client.
    pub(crate) fn renew(&mut self, now: Instant) {
        self.end = self.end.max(now + self.length);
    }

    /// A sign of the client that lasts: a call that is open from now on.
    pub(crate) fn begin_call(&mut self) {
        self.open_calls += 1;
    }

    /// The call is no longer open.
    pub(crate) fn end_call(&mut self, now: Instant) {
        self.open_calls -= 1;
        self.renew(now);
    }

    /// When it is over, unless it is renewed.
    pub(crate) fn end(&self, now: Instant) -> Instant {
        match self.open_calls {
            0 => self.end,
            _ => now + self.length,
        }
    }

    /// How much of it is left.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.end(now).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Sign {
        Message,
        CallBegins,
        CallEnds,
    }

    fn sign() -> impl Strategy<Value = Sign> {
        prop_oneof![
            Just(Sign::Message),
            Just(Sign::CallBegins),
            Just(Sign::CallEnds)
        ]
    }

    proptest! {
        #[test]
        fn it_is_over_its_length_after_the_last_sign_and_not_while_a_call_is_open(
            length in 1_u64..100,
            silence in 1_u64..150,
            signs in prop::collection::vec((0_u64..150, sign()), 0..30),
        ) {
            let start = Instant::now();
            let at = |ms: u64| start + Duration::from_millis(ms);
            let mut lease = Lease::new(Duration::from_millis(length), start);
            let (mut now, mut last_sign, mut open) = (0, 0, 0);
            for (pause, sign) in signs {
                now += pause;
                match sign {
                    Sign::Message => lease.renew(at(now)),
                    Sign::CallBegins => {
                        lease.begin_call();
                        open += 1;
                    }
                    Sign::CallEnds if open == 0 => continue,
                    Sign::CallEnds => {
                        lease.end_call(at(now));
                        open -= 1;
                    }
                }
                if !matches!(sign, Sign::CallBegins) {
                    last_sign = now;
                }
                // Now, and after a silence.
                for at_ms in [now, now + silence] {
                    let end = length + if open > 0 { at_ms } else { last_sign };
                    prop_assert_eq!(lease.end(at(at_ms)), at(end));
                    let left = Duration::from_millis(end.saturating_sub(at_ms));
                    prop_assert_eq!(lease.left(at(at_ms)), left);
                }
            }
        }
    }
}
