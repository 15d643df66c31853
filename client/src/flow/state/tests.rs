use proptest::prelude::*;

use super::*;

/// Numbered units, so that each can be told from the others.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    first: u64,
    length: u64,
}

impl Item for Run {
    fn cost(&self) -> u64 {
        self.length
    }

    fn cut(&mut self, most: u64) -> Option<Self> {
        let length = most.min(self.length);
        let first = Self {
            first: self.first,
            length,
        };
        self.first += length;
        self.length -= length;
        (length > 0).then_some(first)
    }

    fn join(&mut self, following: &Self) -> bool {
        let small = self.length + following.length <= 8;
        if small {
            self.length += following.length;
        }
        small
    }
}

fn credit(received: u64, limit: u64) -> v1::Credit {
    v1::Credit {
        received,
        limit,
        ..v1::Credit::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Send,
    /// The daemon takes some of what was sent, and says so or not.
    Take(u64, bool),
    /// The connection breaks, and is opened again.
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..20_u64).prop_map(Step::Push),
        3 => Just(Step::Send),
        2 => (0..40_u64, any::<bool>()).prop_map(|(units, says)| Step::Take(units, says)),
        1 => Just(Step::Cut),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    /// A daemon that takes what comes in order must see each unit once, and never one beyond its window.
    #[test]
    fn each_unit_reaches_the_daemon_once_whatever_is_cut(start in 0..1_000_u64, window in 1..50_u64, steps in steps()) {
        let mut sending = Sending::default();
        let mut pushed = 0;
        // What the daemon has, what its kernel took of it, and what is on the wire and may be lost.
        let (mut has, mut taken) = (start, start);
        let mut wire: VecDeque<Run> = VecDeque::new();
        let mut next = start;
        sending.push(Run { first: start, length: 3 });
        pushed += 3;
        prop_assert_eq!(sending.next(), None, "nothing goes out before the flow is open");
        sending.opened(start, start + window).unwrap();
        for step in steps {
            match step {
                Step::Push(length) => {
                    sending.push(Run { first: start + pushed, length });
                    pushed += length;
                }
                Step::Send => if let Some(run) = sending.next() {
                    prop_assert_eq!(run.first, next);
                    next += run.length;
                    prop_assert!(next <= taken + window);
                    wire.push_back(run);
                },
                Step::Take(units, says) => {
                    let mut left = units;
                    while left > 0 && let Some(run) = wire.front_mut() {
                        let part = run.cut(left).unwrap();
                        prop_assert_eq!(part.first, has);
                        has += part.length;
                        left -= part.length;
                        if run.length == 0 {
                            wire.pop_front();
                        }
                    }
                    taken = has;
                    if says {
                        sending.credit(&credit(has, taken + window)).unwrap();
                        prop_assert_eq!(sending.kept(), next - has);
                    }
                }
                Step::Cut => {
                    wire.clear();
                    sending.detached();
                    sending.opened(has, taken + window).unwrap();
                    next = has;
                }
            }
            prop_assert!(sending.kept() <= window);
            prop_assert_eq!(sending.unsent(), start + pushed - next);
        }
        // In the end it all goes.
        sending.detached();
        sending.opened(has, u64::MAX).unwrap();
        sending.finish();
        while let Some(run) = sending.next() {
            prop_assert_eq!(run.first, has);
            has += run.length;
        }
        prop_assert_eq!(has, start + pushed);
        prop_assert_eq!(sending.finish_now(), Some(has));
        prop_assert_eq!(sending.finish_now(), None);
    }

    /// The daemon may always be a window ahead of the user, and hears so in time.
    #[test]
    fn what_waits_for_the_user_stays_within_the_window(start in 0..1_000_u64, takes in prop::collection::vec((1..2_000_u64, 0..2_000_u64, 0..20_u8), 0..200)) {
        const WINDOW: u64 = 1_000;
        const WIDEST: u64 = 3_000;
        let mut receiving = Receiving::new(WINDOW, WIDEST);
        prop_assert_eq!(receiving.opening(), (None, WINDOW));
        receiving.opened(start).unwrap();
        let mut limit = start + WINDOW;
        let (mut received, mut consumed) = (start, start);
        for (arrives, wants, cut) in takes {
            let arrives = arrives.min(limit - received);
            if arrives > 0 {
                receiving.arrived(arrives).unwrap();
                received += arrives;
            }
            prop_assert!(received - consumed <= WIDEST);
            let takes = wants.min(received - consumed);
            receiving.consumed(takes);
            consumed += takes;
            if takes < wants {
                receiving.waited();
            }
            if cut == 0 {
                let (said, window) = receiving.opening();
                prop_assert_eq!(said, Some(received));
                prop_assert!(received + window >= limit);
                limit = received + window;
                receiving.opened(received).unwrap();
            } else if receiving.is_credit_due() {
                let told = receiving.tell();
                prop_assert_eq!(told.received, received);
                prop_assert!(told.limit >= limit + WINDOW / 4);
                limit = told.limit;
            }
            // A user that has taken everything never waits for a daemon that may not send.
            prop_assert!(received > consumed || limit > received);
        }
        prop_assert!(receiving.arrived(limit - received + 1).is_err());
    }
}

#[test]
fn the_window_grows_with_a_user_who_waits_and_not_with_a_slow_one() {
    for (waits, limit) in [(true, 700), (false, 400)] {
        let mut receiving = Receiving::new(100, 400);
        receiving.opened(0).unwrap();
        for _ in 0..3 {
            receiving.arrived(100).unwrap();
            receiving.consumed(100);
            if waits {
                receiving.waited();
                // Nothing was taken since.
                receiving.waited();
            }
            assert!(receiving.is_credit_due());
            receiving.tell();
        }
        assert_eq!(receiving.tell().limit, limit);
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    let mut sending = Sending::default();
    sending.opened(10, 20).unwrap();
    sending.push(Run {
        first: 10,
        length: 5,
    });
    assert!(sending.next().is_some());
    assert!(sending.credit(&credit(16, 20)).is_err());
    assert!(sending.opened(9, 20).is_err());
    assert!(sending.opened(16, 20).is_err());
    assert!(sending.opened(12, 20).is_ok());
    let mut receiving = Receiving::new(100, 100);
    receiving.opened(5).unwrap();
    receiving.arrived(7).unwrap();
    assert!(receiving.opened(11).is_err());
    assert!(receiving.opened(12).is_ok());
}

#[test]
fn all_is_taken_when_the_daemon_has_said_so() {
    let mut sending = Sending::default();
    assert!(sending.is_taken());
    sending.push(Run {
        first: 0,
        length: 5,
    });
    assert!(!sending.is_taken());
    sending.opened(70, 100).unwrap();
    assert!(sending.next().is_some() && !sending.is_taken());
    let taken = 75;
    let all = v1::Credit {
        taken,
        ..credit(75, 100)
    };
    sending.credit(&all).unwrap();
    assert!(sending.is_taken());
}

#[test]
fn a_daemon_that_lets_more_be_sent_than_is_kept_waits() {
    let mut sending = Sending::default();
    sending.opened(0, u64::MAX).unwrap();
    sending.push(Run {
        first: 0,
        length: MOST_KEPT + 1,
    });
    assert_eq!(sending.next().map(|run| run.length), Some(MOST_KEPT));
    assert_eq!(sending.next(), None);
    sending.credit(&credit(1, u64::MAX)).unwrap();
    assert_eq!(sending.next().map(|run| run.length), Some(1));
}

fn push(sending: &mut Sending<Run>, first: u64, length: u64) {
    sending.push(Run { first, length });
}

#[test]
fn credit_is_what_may_be_sent_and_what_is_abandoned_is_sent_to_nobody() {
    let mut sending = Sending::default();
    sending.opened(0, 5).unwrap();
    push(&mut sending, 0, 8);
    assert!(sending.has_credit());
    assert_eq!(sending.next().map(|run| run.length), Some(5));
    assert!(!sending.has_credit());
    let taken = 3;
    let some = v1::Credit {
        taken,
        ..credit(4, 6)
    };
    sending.credit(&some).unwrap();
    assert!(sending.has_credit());
    assert_eq!((sending.taken(), sending.kept()), (3, 1));
    assert!(!sending.is_finishing());
    sending.finish();
    assert!(sending.is_finishing());
    assert_eq!(sending.finish_now(), None);
    sending.abandon();
    assert_eq!((sending.unsent(), sending.kept()), (0, 0));
    assert_eq!(sending.next(), None);
    assert_eq!(sending.finish_now(), Some(8));
}

#[test]
fn after_a_break_parts_are_small_until_the_connection_has_carried_a_good_deal() {
    const PART: u64 = 16 << 10;
    let mut sending = Sending::default();
    sending.opened(0, u64::MAX).unwrap();
    push(&mut sending, 0, PART);
    push(&mut sending, PART, 17 * PART);
    for length in [PART, 17 * PART] {
        assert_eq!(sending.next().map(|run| run.length), Some(length));
    }
    sending.detached();
    sending.opened(0, u64::MAX).unwrap();
    for _ in 0..16 {
        assert_eq!(sending.next().map(|run| run.length), Some(PART));
    }
    assert_eq!(sending.next().map(|run| run.length), Some(2 * PART));
    assert_eq!(sending.next(), None);
}

#[test]
fn many_small_items_that_were_sent_are_kept_as_few() {
    let mut sending = Sending::default();
    sending.opened(0, u64::MAX).unwrap();
    let mut end = 0;
    for length in [1, 2, 3].repeat(134) {
        push(&mut sending, end, length);
        end += length;
    }
    for _ in 0..256 {
        assert!(sending.next().is_some());
    }
    assert_eq!(sending.items.len(), 402);
    while sending.next().is_some() {}
    assert!(sending.items.len() <= 256 + 146 / 2);
    sending.detached();
    sending.opened(0, u64::MAX).unwrap();
    let mut next = 0;
    while let Some(run) = sending.next() {
        assert_eq!(run.first, next);
        next += run.length;
    }
    assert_eq!(next, end);
}

#[test]
fn items_that_cannot_be_joined_are_kept_as_they_are() {
    #[derive(Clone)]
    struct Whole;

    impl Item for Whole {
        fn cost(&self) -> u64 {
            1
        }

        fn cut(&mut self, _most: u64) -> Option<Self> {
            None
        }
    }

    let mut sending = Sending::default();
    sending.opened(0, u64::MAX).unwrap();
    for _ in 0..400 {
        sending.push(Whole);
    }
    while sending.next().is_some() {}
    assert_eq!(sending.items.len(), 400);
}

#[test]
fn what_arrived_is_acknowledged_when_told_and_who_closes_grants_no_more() {
    let mut receiving = Receiving::new(100, 400);
    receiving.opened(50).unwrap();
    assert!(!receiving.is_unacknowledged());
    receiving.arrived(60).unwrap();
    assert_eq!(receiving.received(), 110);
    assert!(receiving.is_unacknowledged());
    assert_eq!(receiving.tell(), credit(110, 150));
    assert!(!receiving.is_unacknowledged());
    receiving.consumed(30);
    receiving.close();
    assert_eq!(receiving.tell(), credit(110, 150));
}

#[test]
fn one_who_waits_before_a_windows_worth_was_taken_gets_no_wider_window() {
    let mut receiving = Receiving::new(100, 400);
    receiving.opened(90).unwrap();
    receiving.arrived(20).unwrap();
    receiving.consumed(20);
    receiving.waited();
    assert_eq!(receiving.tell().limit, 110 + 100);
}
