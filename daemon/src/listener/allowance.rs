//! How many frames that carry nothing a client may send: PING, SETTINGS, WINDOW_UPDATE, PRIORITY, RST_STREAM, empty and padded DATA, and
//! those that nobody knows. Each costs the daemon as much as one that carries a request.
//!
//! What honest clients send of them goes with what they do. At full speed grpcio sends a WINDOW_UPDATE for each 5 KiB that it receives and one
//! for each call, farsock's own client one for each 1.3 MiB, and each a few PINGs. Several times as many are allowed, and beside them a steady rate
//! that is no burden. Pure: the time is passed in.

use std::time::{Duration, Instant};

use super::frames::Frame;

/// How many there may be on a new connection.
const BURST: i64 = 4_096;
/// How many there may be at any time, whatever came before: as many calls as a connection may have are cancelled at once.
const MOST: i64 = 2 * 65_536;
/// How many more each second: PINGs and the like of an idle connection, many times over.
const PER_SECOND: u64 = 1_024;
/// How many more for each call.
const PER_CALL: i64 = 8;
/// How many more for each frame of payload, in either direction.
const PER_FRAME: i64 = 2;
/// How many bytes of payload, in either direction, bring one more.
const BYTES: usize = 1_024;

/// What a connection may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    left: i64,
    /// Payload that has brought nothing yet.
    bytes: usize,
    /// Up to when time has brought its part.
    until: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            bytes: 0,
            until: now,
        }
    }

    /// The client has sent a frame; whether it is one that carries nothing.
    pub(super) fn received(&mut self, frame: Frame) -> bool {
        if frame.is_headers() {
            self.add(PER_CALL);
        } else if frame.is_payload() {
            self.payload(frame.length);
        } else {
            self.left -= 1;
            return true;
        }
        false
    }

    /// A frame with so many bytes was received from the client, or sent to it, which it may answer with WINDOW_UPDATE and PING.
    pub(super) fn payload(&mut self, bytes: usize) {
        self.add(PER_FRAME);
        self.bytes += bytes;
        if self.bytes >= BYTES {
            let count = i64::try_from(self.bytes / BYTES).unwrap_or(MOST);
            self.bytes %= BYTES;
            self.add(count);
        }
    }

    /// Whether the client has sent more than it may. The clock is read only if it may have.
    pub(super) fn is_exceeded(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.left >= 0 {
            return false;
        }
        let passed = now().saturating_duration_since(self.until);
        let count = passed.as_millis() * u128::from(PER_SECOND) / 1_000;
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            // What the division leaves is for the next time.
            self.until += Duration::from_millis(count.saturating_mul(1_000) / PER_SECOND);
            self.add(i64::try_from(count).unwrap_or(MOST));
        }
        self.left < 0
    }

    fn add(&mut self, count: i64) {
        self.left = self.left.saturating_add(count).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Frame = Frame {
        length: 8,
        kind: 6,
        flags: 0,
        stream: 0,
    };

    #[test]
    fn frames_that_carry_nothing_are_counted_whatever_they_are() {
        // PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, unknown; DATA that is empty, and DATA that is padding.
        let frame = |kind, length, flags| Frame {
            length,
            kind,
            flags,
            stream: 1,
        };
        for frame in [
            frame(2, 5, 0),
            frame(3, 4, 0),
            frame(4, 0, 0),
            frame(4, 6, 0),
            frame(6, 8, 1),
            frame(8, 4, 0),
            frame(9, 1, 0),
            frame(0xfe, 100, 0),
            frame(0, 0, 0),
            frame(0, 200, 8),
        ] {
            let start = Instant::now();
            let mut allowance = Allowance::new(start);
            for _ in 0..BURST {
                assert!(allowance.received(frame), "{frame:?}");
            }
            assert!(!allowance.is_exceeded(|| start), "{frame:?}");
            allowance.received(frame);
            assert!(allowance.is_exceeded(|| start), "{frame:?}");
        }
    }

    #[test]
    fn time_calls_and_payload_bring_more_but_never_without_bound() {
        let start = Instant::now();
        let headers = Frame { kind: 1, ..PING };
        // All calls that a connection may have, and then the end of each.
        let mut allowance = Allowance::new(start);
        for _ in 0..65_536 {
            allowance.received(headers);
        }
        for _ in 0..65_536 {
            allowance.received(Frame { kind: 3, ..PING });
        }
        assert!(!allowance.is_exceeded(|| start));

        let mut allowance = Allowance::new(start);
        for _ in 0..1_000_000 {
            assert!(!allowance.received(headers));
            allowance.payload(7 * BYTES);
            for _ in 0..15 {
                allowance.received(PING);
            }
            assert!(!allowance.is_exceeded(|| start));
        }
        allowance.payload(usize::MAX / 2);
        for _ in 0..=MOST {
            allowance.received(PING);
        }
        assert!(allowance.is_exceeded(|| start));
        let second = start + Duration::from_secs(1);
        assert!(!allowance.is_exceeded(|| second));
        for _ in 0..PER_SECOND {
            allowance.received(PING);
        }
        assert!(allowance.is_exceeded(|| second));
    }

    /// How many frames that carry nothing may come at once.
    fn left(allowance: &mut Allowance, now: Instant) -> usize {
        let mut count = 0;
        while allowance.received(PING) && !allowance.is_exceeded(|| now) {
            count += 1;
        }
        count
    }

    #[test]
    fn payload_counts_as_a_whole_whatever_its_parts() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let at_first = left(&mut allowance, start);
        let mut allowance = Allowance::new(start);
        for _ in 0..4 {
            allowance.payload(1_024 + 512);
        }
        // Two for each frame, and one for each KiB.
        assert_eq!(left(&mut allowance, start), at_first + 4 * 2 + 6);
    }

    #[test]
    fn there_are_never_more_than_two_for_each_call_that_a_connection_may_have() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..65_536 {
            allowance.received(Frame { kind: 1, ..PING });
        }
        assert_eq!(left(&mut allowance, start), 2 * 65_536);
    }

    #[test]
    fn each_second_brings_as_many_as_the_one_before() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..BURST {
            allowance.received(PING);
        }
        for second in 1..4 {
            let now = start + Duration::from_secs(second);
            for _ in 0..PER_SECOND {
                allowance.received(PING);
            }
            assert!(!allowance.is_exceeded(|| now), "{second}");
        }
        allowance.received(PING);
        assert!(allowance.is_exceeded(|| start + Duration::from_secs(3)));
    }
}
