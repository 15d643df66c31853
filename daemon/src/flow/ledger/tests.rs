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
