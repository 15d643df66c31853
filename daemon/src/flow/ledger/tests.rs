//! The ledgers against their promise: everything once, in order, memory within the window, whatever the cuts.

use proptest::prelude::*;

use super::*;

/// A run of numbers, which can be divided anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run(Range<u64>);

impl Item for Run {
    fn cost(&self) -> u64 {
        self.0.end - self.0.start
    }

    fn part(&self, range: Range<u64>) -> Option<Self> {
        Some(Self(self.0.start + range.start..self.0.start + range.end))
    }

    fn absorb(&mut self, next: &Self) -> bool {
        let small = next.0.end - self.0.start <= 8;
        if small {
            self.0.end = next.0.end;
        }
        small
    }
}

/// One thing of some cost, which cannot be divided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whole(u64);

impl Item for Whole {
    fn cost(&self) -> u64 {
        self.0
    }

    fn part(&self, range: Range<u64>) -> Option<Self> {
        (range == (0..self.0)).then(|| self.clone())
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// The socket has this much, or a part of it that there is room for.
    Arrives(u64),
    /// The next is sent.
    Sends,
    /// The client reads what was sent to it.
    Reads,
    /// It acknowledges all it has read but this much, and grants this much beyond.
    Credits(u64, u64),
    /// The connection is cut: what was sent and not read is lost, and the client opens again.
    Cut(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (1..40_u64).prop_map(Event::Arrives),
        Just(Event::Sends),
        Just(Event::Reads),
        (0..20_u64, 0..100_u64).prop_map(|(less, window)| Event::Credits(less, window)),
        (0..100_u64).prop_map(Event::Cut),
    ];
    prop::collection::vec(event, 0..200)
}

const MOST: u64 = 64;

proptest! {
    #[test]
    fn every_byte_is_delivered_once_and_in_order_and_within_the_credit(events in events()) {
        let mut delivery = Delivery::new(MOST);
        let (mut produced, mut read, mut acknowledged) = (0, 0, 0);
        let mut limit = 0;
        let mut wire: Vec<Run> = Vec::new();
        for event in events {
            match event {
                Event::Arrives(most) => {
                    let count = delivery.room().min(most);
                    if count > 0 {
                        delivery.push(Run(produced..produced + count));
                        produced += count;
                    }
                }
                Event::Sends => wire.extend(delivery.next()),
                Event::Reads => for Run(run) in wire.drain(..) {
                    prop_assert_eq!(run.start, read);
                    read = run.end;
                    prop_assert!(read <= limit);
                }
                Event::Credits(less, window) => {
                    acknowledged = acknowledged.max(read.saturating_sub(less));
                    limit = limit.max(read + window);
                    prop_assert!(delivery.credit(read.saturating_sub(less), read + window).is_ok());
                }
                Event::Cut(window) => {
                    wire.clear();
                    prop_assert_eq!(delivery.open(Some(read), window), Ok(read));
                    acknowledged = read;
                    limit = read + window;
                }
            }
            prop_assert_eq!(delivery.end(), produced);
            let kept: u64 = delivery.kept.iter().map(|(_, run)| run.cost()).sum();
            prop_assert_eq!(kept, produced - acknowledged);
            prop_assert!(kept <= MOST);
            prop_assert!(delivery.kept.len() as u64 <= 2 + 2 * kept / 8);
        }
        // At last everything comes.
        wire.clear();
        prop_assert_eq!(delivery.open(Some(read), u64::MAX), Ok(read));
        while let Some(Run(run)) = delivery.next() {
            prop_assert_eq!(run.start, read);
            read = run.end;
        }
        prop_assert_eq!(read, produced);
        prop_assert!(delivery.is_sent());
        prop_assert!(delivery.credit(read, 0).is_ok());
        prop_assert!(delivery.is_empty());
    }

    #[test]
    fn the_queue_holds_what_lies_between_taken_and_received_and_never_more_than_the_window(
        events in prop::collection::vec((1..40_u64, any::<bool>(), 0..40_u64, any::<bool>()), 0..200),
    ) {
        let mut intake = Intake::new(MOST);
        let (mut sent, mut granted) = (0, MOST);
        for (count, direct, taken, tell) in events {
            let end = sent + count;
            let arrived = intake.arrive(count);
            if end > granted {
                prop_assert_eq!(arrived, Err(CreditExceeded { end, limit: granted }));
            } else {
                prop_assert_eq!(arrived, Ok(()));
                let at_once = if direct && intake.queued().is_empty() { count / 2 } else { 0 };
                intake.took(at_once);
                intake.queue(Run(sent + at_once..end));
                sent = end;
            }
            let next = intake.taken();
            if let Some(first) = intake.queued().front() {
                prop_assert_eq!(first.0.start, next);
                intake.took_queued(taken.min(sent - next));
            }
            let queued: u64 = intake.queued().iter().map(Item::cost).sum();
            prop_assert_eq!(queued, intake.received() - intake.taken());
            prop_assert!(queued <= MOST);
            if tell || intake.is_due() {
                let credit = intake.tell();
                prop_assert!(credit.limit >= granted);
                granted = credit.limit;
                prop_assert!(!intake.is_untold());
            }
        }
    }
}

#[test]
fn items_that_cannot_be_divided_are_acknowledged_at_their_ends_and_sent_when_they_fit_whole() {
    let mut delivery = Delivery::new(100);
    assert_eq!(delivery.open(None, 10), Ok(0));
    delivery.push(Whole(6));
    delivery.push(Whole(6));
    assert_eq!(delivery.next(), Some(Whole(6)));
    assert_eq!(delivery.next(), None);
    assert_eq!(delivery.credit(3, 0), Err(OffsetUnknown(3)));
    assert_eq!(delivery.credit(12, 0), Err(OffsetUnknown(12)));
    assert_eq!(delivery.credit(6, 12), Ok(vec![Whole(6)]));
    assert_eq!(delivery.next(), Some(Whole(6)));
    assert_eq!(delivery.open(Some(3), 0), Err(OffsetUnknown(3)));
    assert_eq!(delivery.open(None, 50), Ok(6));
    assert_eq!(delivery.next(), Some(Whole(6)));
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged_and_less_than_before_has_no_effect() {
    let mut delivery = Delivery::new(100);
    assert_eq!(delivery.open(Some(1), 10), Err(OffsetUnknown(1)));
    assert_eq!(delivery.open(None, 10), Ok(0));
    delivery.push(Run(0..10));
    assert_eq!(delivery.credit(1, 0), Err(OffsetUnknown(1)));
    assert_eq!(delivery.next(), Some(Run(0..10)));
    assert_eq!(delivery.credit(5, 0), Ok(vec![]));
    assert_eq!(delivery.credit(4, 0), Ok(vec![]));
    assert_eq!(delivery.open(Some(4), 0), Err(OffsetUnknown(4)));
}

#[test]
fn there_is_room_for_what_is_granted_and_no_more_is_kept_than_allowed() {
    let mut delivery = Delivery::new(100);
    assert_eq!(delivery.room(), 0);
    assert_eq!(delivery.open(None, 10), Ok(0));
    assert_eq!(delivery.room(), 10);
    delivery.push(Whole(4));
    assert_eq!(delivery.room(), 6);
    assert_eq!(delivery.credit(0, 1_000), Ok(vec![]));
    assert_eq!(delivery.room(), 96);
    assert_eq!(delivery.next(), Some(Whole(4)));
    assert_eq!(delivery.acknowledged(), 0);
    assert_eq!(delivery.credit(4, 0), Ok(vec![Whole(4)]));
    assert_eq!(delivery.acknowledged(), 4);
    assert_eq!(delivery.room(), 100);
}

#[test]
fn what_was_pushed_is_neither_sent_nor_acknowledged_and_may_be_sent_at_once() {
    let mut delivery = Delivery::new(100);
    assert_eq!(delivery.open(None, 100), Ok(0));
    assert!(delivery.is_sent() && delivery.is_empty());
    delivery.push(Whole(4));
    delivery.push(Whole(5));
    assert!(!delivery.is_sent() && !delivery.is_empty());
    delivery.sent_all();
    assert!(delivery.is_sent() && !delivery.is_empty());
    assert_eq!(delivery.next(), None);
    assert_eq!(delivery.credit(9, 0), Ok(vec![Whole(4), Whole(5)]));
    assert!(delivery.is_empty());
}

#[test]
fn what_is_queued_is_taken_from_the_front_and_packed_when_asked() {
    let mut intake = Intake::new(64);
    assert_eq!(intake.arrive(12), Ok(()));
    // Together they would be one.
    intake.queue_as_is(Run(0..2));
    intake.queue_as_is(Run(2..4));
    intake.queue_as_is(Run(4..12));
    assert_eq!(*intake.queued(), [Run(0..2), Run(2..4), Run(4..12)]);
    let mut seen = Vec::new();
    intake.pack(|run: Run| {
        seen.push(run.clone());
        run
    });
    assert_eq!(seen, [Run(0..2), Run(2..4), Run(4..12)]);
    assert_eq!(*intake.queued(), [Run(0..4), Run(4..12)]);
    // Up to an item's end nothing of it stays.
    intake.took_queued(4);
    assert_eq!(*intake.queued(), [Run(4..12)]);
    intake.took_queued(3);
    assert_eq!(*intake.queued(), [Run(7..12)]);
    assert_eq!(intake.taken(), 7);
    intake.clear();
    assert!(intake.queued().is_empty());
    assert_eq!(intake.taken(), 12);
}

#[test]
fn credit_is_due_when_a_quarter_of_the_window_was_taken_and_untold_when_anything_was() {
    let mut intake: Intake<Run> = Intake::new(64);
    for told in [0, 16] {
        assert!(!intake.is_due() && !intake.is_untold());
        assert_eq!(intake.arrive(16), Ok(()));
        assert!(!intake.is_due() && intake.is_untold());
        intake.took(15);
        assert!(!intake.is_due());
        intake.took(1);
        assert!(intake.is_due() && intake.is_untold());
        let (received, taken) = (told + 16, told + 16);
        let limit = taken + 64;
        let credit = Credit {
            received,
            limit,
            taken,
        };
        assert_eq!(intake.tell(), credit);
    }
}
