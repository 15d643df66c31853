//! The ledger against a simple daemon that remembers, over a connection that loses what is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    in_flight: 6,
    results: 9,
    bytes: 1_000,
    lease: Duration::from_secs(30),
};

/// A daemon that does each operation once, and keeps results until they are acknowledged.
#[derive(Default)]
struct Daemon {
    /// How often each operation was started.
    started: BTreeMap<u64, usize>,
    running: BTreeSet<u64>,
    kept: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    /// Those that were undone.
    undone: BTreeSet<u64>,
    /// What is said again, of operations that were undone after their end.
    again: Vec<u64>,
    /// What each known operation takes: its room, and then its result.
    bytes: BTreeMap<u64, usize>,
    most_in_flight: usize,
    most_known: usize,
    order: Vec<u64>,
}

impl Daemon {
    fn hear(&mut self, saying: Saying<u32>) {
        match saying {
            Saying::Start(id, room) => {
                assert!(!self.gone.contains(&id), "{id} was acknowledged");
                if self.running.contains(&id) || self.kept.contains(&id) {
                    return;
                }
                let room = usize::try_from(room).expect("small");
                let taken: usize = self.bytes.values().sum();
                assert!(taken + room <= LIMITS.bytes, "{id} would be refused");
                self.bytes.insert(id, room);
                *self.started.entry(id).or_default() += 1;
                self.order.push(id);
                self.running.insert(id);
                self.most_in_flight = self.most_in_flight.max(self.running.len());
                self.most_known = self.most_known.max(self.running.len() + self.kept.len());
            }
            Saying::Cancel { id, give_back } => {
                assert!(!self.gone.contains(&id), "{id} was acknowledged");
                if give_back && (self.running.contains(&id) || self.kept.contains(&id)) {
                    self.undone.insert(id);
                    self.again.extend(self.kept.get(&id).copied());
                }
            }
            Saying::Acknowledge(ids) => {
                for id in ids {
                    assert!(!self.running.contains(&id), "{id} has not ended");
                    if self.kept.remove(&id) {
                        self.bytes.remove(&id);
                        self.gone.insert(id);
                    }
                }
            }
            Saying::KeepAlive => {}
        }
    }

    fn end(&mut self, id: u64) {
        self.running.remove(&id);
        self.kept.insert(id);
        self.bytes.entry(id).and_modify(|bytes| *bytes /= 2);
    }

    fn known(&self) -> Vec<u64> {
        self.running.iter().chain(&self.kept).copied().collect()
    }
}

#[derive(Clone, Debug)]
enum Event {
    Ask {
        room: usize,
        urgent: bool,
        gives_back: bool,
    },
    Cancel(usize),
    /// A caller takes a result that could be given back until then.
    Accept(usize),
    /// The client says what it has to say.
    Say,
    /// The daemon hears some of it.
    Hear(usize),
    /// One of its operations ends.
    End(usize),
    /// The client hears some results.
    Deliver(usize),
    /// The connection breaks, and what is on the way is lost.
    Cut,
    Attach,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_usize..400, prop::bool::weighted(0.1), prop::bool::ANY)
            .prop_map(|(room, urgent, gives_back)| Event::Ask { room, urgent, gives_back }),
        2 => (0_usize..20).prop_map(Event::Cancel),
        2 => (0_usize..20).prop_map(Event::Accept),
        6 => Just(Event::Say),
        6 => (1_usize..6).prop_map(Event::Hear),
        6 => (0_usize..6).prop_map(Event::End),
        6 => (1_usize..6).prop_map(Event::Deliver),
        1 => Just(Event::Cut),
        3 => Just(Event::Attach),
        2 => (1_u64..30).prop_map(Event::Pass),
    ]
}

struct World {
    ledger: Ledger<u32, u64>,
    daemon: Daemon,
    attached: bool,
    /// On the way to the daemon.
    up: VecDeque<Saying<u32>>,
    /// Results on the way to the client, and whether they are successes.
    down: VecDeque<(u64, bool)>,
    gives_back: BTreeSet<u64>,
    /// Results that are with callers who may still let go of them.
    unaccepted: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
    asked: Vec<u64>,
    /// What has come to callers.
    results: BTreeMap<u64, usize>,
    never_sent: BTreeSet<u64>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            ledger: Ledger::new(LIMITS, now),
            daemon: Daemon::default(),
            attached: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            gives_back: BTreeSet::new(),
            unaccepted: BTreeSet::new(),
            dropped: BTreeSet::new(),
            asked: Vec::new(),
            results: BTreeMap::new(),
            never_sent: BTreeSet::new(),
            now,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Ask {
                room,
                urgent,
                gives_back,
            } => {
                let waiter = self.asked.len() as u64 + 1;
                let operation = u32::try_from(room).expect("small");
                let id = self.ledger.ask(Asked {
                    operation,
                    waiter,
                    room,
                    urgent,
                    gives_back,
                    takes_from: 0,
                });
                assert_eq!(id, waiter, "ids count up from 1");
                self.asked.push(id);
                if gives_back {
                    self.gives_back.insert(id);
                }
            }
            Event::Cancel(which) => {
                let Some(&id) = self.asked.get(which) else {
                    return;
                };
                match self.ledger.cancel(id) {
                    Cancelled::Unsent(waiter) => {
                        assert_eq!(waiter, id);
                        self.never_sent.insert(id);
                    }
                    Cancelled::Sent => {
                        self.dropped.insert(id);
                        self.unaccepted.remove(&id);
                    }
                    Cancelled::Unknown => {}
                }
            }
            Event::Accept(which) => {
                if let Some(&id) = self.unaccepted.iter().nth(which) {
                    self.unaccepted.remove(&id);
                    self.ledger.accepted(id);
                    *self.results.entry(id).or_default() += 1;
                }
            }
            Event::Say => {
                while let Some(saying) = self.ledger.next(self.now) {
                    assert!(self.attached);
                    self.up.push_back(saying);
                }
            }
            Event::Hear(count) => {
                for saying in self.up.drain(..count.min(self.up.len())) {
                    self.daemon.hear(saying);
                    for id in self.daemon.again.drain(..) {
                        self.down.push_back((id, false));
                    }
                }
            }
            Event::End(which) => {
                if let Some(&id) = self.daemon.running.iter().nth(which) {
                    self.daemon.end(id);
                    if self.attached {
                        let succeeded = !self.daemon.undone.contains(&id);
                        self.down.push_back((id, succeeded));
                    }
                }
            }
            Event::Deliver(count) => {
                for (id, succeeded) in self.down.drain(..count.min(self.down.len())) {
                    let bytes = self.daemon.bytes.get(&id).copied().unwrap_or(0);
                    if let Some(waiter) = self.ledger.ended(id, bytes, succeeded, self.now) {
                        assert_eq!(waiter, id);
                        if self.gives_back.contains(&id) && succeeded {
                            assert!(self.unaccepted.insert(id), "{id} came twice");
                        } else {
                            *self.results.entry(id).or_default() += 1;
                        }
                    }
                }
            }
            Event::Cut => {
                self.up.clear();
                self.down.clear();
                self.attached = false;
                self.ledger.detached();
            }
            Event::Attach if !self.attached => {
                self.attached = true;
                for waiter in self.ledger.attached(&self.daemon.known(), self.now) {
                    assert!(!self.daemon.started.contains_key(&waiter));
                    self.never_sent.insert(waiter);
                }
                let Daemon { kept, undone, .. } = &self.daemon;
                self.down
                    .extend(kept.iter().map(|id| (*id, !undone.contains(id))));
            }
            Event::Attach => {}
            Event::Pass(ms) => self.now += Duration::from_millis(ms),
        }
    }

    /// Everything that is under way comes to its end.
    fn settle(&mut self) {
        for _ in 0..200 {
            for event in [
                Event::Attach,
                Event::Say,
                Event::Hear(1_000),
                Event::End(0),
                Event::Deliver(1_000),
                Event::Accept(0),
                Event::Pass(25),
            ] {
                self.happen(event);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_operation_happens_once_and_its_caller_hears_of_it_once(
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        world.settle();
        for id in &world.asked {
            let times = usize::from(!world.never_sent.contains(id));
            prop_assert_eq!(world.daemon.started.get(id).copied().unwrap_or(0), times);
            // What was taken has gone to the caller, or back.
            let back = world.gives_back.contains(id) && world.dropped.contains(id);
            prop_assert_eq!(world.daemon.undone.contains(id), back && times == 1);
            let results = world.results.get(id).copied().unwrap_or(0);
            if world.daemon.undone.contains(id) {
                // Of one that was undone the dropped caller hears its failure, or nothing.
                prop_assert!(results <= 1);
            } else {
                prop_assert_eq!(results, times);
            }
        }
        prop_assert!(world.daemon.kept.is_empty(), "all is acknowledged");
        prop_assert!(world.daemon.most_in_flight <= LIMITS.in_flight);
        prop_assert!(world.daemon.most_known <= LIMITS.results);
        prop_assert!(world.ledger.entries.is_empty());
        prop_assert_eq!(world.ledger.in_flight_bytes, 0);
    }

    #[test]
    fn operations_start_in_the_order_of_their_ids(
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = World::new();
        for event in events {
            // What makes room may overtake what waits for it.
            let event = match event {
                Event::Ask { room, gives_back, .. } => Event::Ask {
                    room,
                    urgent: false,
                    gives_back,
                },
                event => event,
            };
            world.happen(event);
        }
        world.settle();
        prop_assert!(world.daemon.order.is_sorted());
    }
}

fn ask(ledger: &mut Ledger<u32, ()>, urgent: bool) -> u64 {
    ledger.ask(Asked {
        operation: 0,
        waiter: (),
        room: 0,
        urgent,
        gives_back: false,
        takes_from: 0,
    })
}

#[test]
fn an_idle_client_says_that_it_lives_each_third_of_the_lease() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    assert_eq!(ledger.deadline(), None);
    ledger.attached(&[], now);
    let third = now + LIMITS.lease / 3;
    assert_eq!(ledger.deadline(), Some(third));
    assert_eq!(ledger.next(third - Duration::from_millis(1)), None);
    assert_eq!(ledger.next(third), Some(Saying::KeepAlive));
    assert_eq!(ledger.deadline(), Some(third + LIMITS.lease / 3));
}

#[test]
fn acknowledgements_wait_for_company_and_not_for_long() {
    let now = Instant::now();
    let limits = Limits {
        in_flight: 1_000,
        results: 1_000,
        ..LIMITS
    };
    let mut ledger = Ledger::<u32, ()>::new(limits, now);
    ledger.attached(&[], now);
    let ids: Vec<u64> = (0..66).map(|_| ask(&mut ledger, false)).collect();
    while ledger.next(now).is_some() {}
    for id in &ids[..63] {
        ledger.ended(*id, 0, true, now);
    }
    assert_eq!(ledger.next(now), None);
    ledger.ended(ids[63], 0, true, now);
    assert_eq!(
        ledger.next(now),
        Some(Saying::Acknowledge(ids[..64].to_vec()))
    );
    ledger.ended(ids[64], 0, true, now);
    assert_eq!(ledger.next(now), None);
    let later = now + ACKNOWLEDGE_WITHIN;
    assert_eq!(ledger.deadline(), Some(later));
    assert_eq!(ledger.next(later), Some(Saying::Acknowledge(vec![ids[64]])));
}

#[test]
fn a_close_passes_those_that_wait_for_the_room_that_it_makes() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    for _ in 0..LIMITS.in_flight {
        ask(&mut ledger, false);
    }
    let mut sent = 0;
    while ledger.next(now).is_some() {
        sent += 1;
    }
    assert_eq!(sent, LIMITS.in_flight - 1);
    let close = ask(&mut ledger, true);
    assert_eq!(ledger.next(now), Some(Saying::Start(close, 0)));
}

#[test]
fn an_operation_whose_room_is_beyond_all_limits_is_the_daemons_to_refuse() {
    let now = Instant::now();
    let mut ledger = Ledger::new(LIMITS, now);
    ledger.attached(&[], now);
    let asked = Asked {
        operation: 0,
        waiter: "it",
        room: LIMITS.bytes + 1,
        urgent: false,
        gives_back: false,
        takes_from: 0,
    };
    let id = ledger.ask(asked);
    assert_eq!(ledger.next(now), Some(Saying::Start(id, 0)));
    assert_eq!(ledger.refused(id), Some("it"));
    assert_eq!(ledger.refused(id), None);
}

#[test]
fn a_result_that_can_be_given_back_is_acknowledged_when_its_caller_has_it() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let asked = Asked {
        operation: 0,
        waiter: (),
        room: 100,
        urgent: false,
        gives_back: true,
        takes_from: 7,
    };
    let [one, two] = [ledger.ask(asked.clone()), ledger.ask(asked)];
    while ledger.next(now).is_some() {}
    let later = now + ACKNOWLEDGE_WITHIN;
    for id in [one, two] {
        assert_eq!(ledger.ended(id, 10, true, now), Some(()));
        assert_eq!(ledger.ended(id, 10, true, now), None, "it came again");
    }
    assert_eq!(ledger.next(later), None);
    ledger.accepted(one);
    assert_eq!(ledger.next(later), Some(Saying::Acknowledge(vec![one])));

    assert!(ledger.is_settled(7));
    assert_eq!(ledger.cancel(two), Cancelled::Sent);
    assert!(!ledger.is_settled(7));
    let cancel = Saying::Cancel {
        id: two,
        give_back: true,
    };
    assert_eq!(ledger.next(later), Some(cancel.clone()));
    // The cancel may be lost with its stream.
    ledger.detached();
    assert!(ledger.attached(&[two], later).is_empty());
    assert_eq!(ledger.next(later), Some(cancel));
    assert_eq!(ledger.ended(two, 10, true, later), None);
    assert!(!ledger.is_settled(7));
    assert_eq!(ledger.ended(two, 10, false, later), None);
    assert!(ledger.is_settled(7) && ledger.is_idle());
}

#[test]
fn an_id_that_is_skipped_is_of_no_operation_and_never_used_again() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    assert_eq!(ask(&mut ledger, false), 1);
    assert_eq!(ledger.skip(), 2);
    assert_eq!(ask(&mut ledger, false), 3);
    assert_eq!(ledger.next(now), Some(Saying::Start(1, 0)));
    assert_eq!(ledger.next(now), Some(Saying::Start(3, 0)));
    assert_eq!(ledger.next(now), None);
}

#[test]
fn whoever_waits_is_known_until_the_session_is_over_and_then_told_once() {
    let now = Instant::now();
    let mut ledger = Ledger::new(LIMITS, now);
    ledger.attached(&[], now);
    assert!(ledger.is_idle());
    let asked = |waiter| Asked {
        operation: 0,
        waiter,
        room: 0,
        urgent: false,
        gives_back: false,
        takes_from: 0,
    };
    let (sent, unsent) = (ledger.ask(asked("sent")), ledger.ask(asked("unsent")));
    assert!(!ledger.is_idle());
    assert_eq!(ledger.next(now), Some(Saying::Start(sent, 0)));
    assert_eq!(ledger.waiter(sent).map(|waiter| *waiter), Some("sent"));
    assert_eq!(ledger.waiter(unsent).map(|waiter| *waiter), Some("unsent"));
    assert_eq!(ledger.waiter(unsent + 1), None);
    let mut told = ledger.give_up();
    told.sort_unstable();
    assert_eq!(told, ["sent", "unsent"]);
    assert!(ledger.is_idle() && ledger.give_up().is_empty());
    assert_eq!(ledger.next(now), None);
}

#[test]
fn a_cancel_is_said_once_however_often_it_is_asked_for() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let id = ask(&mut ledger, false);
    assert_eq!(ledger.next(now), Some(Saying::Start(id, 0)));
    assert_eq!(ledger.cancel(id), Cancelled::Sent);
    assert_eq!(ledger.cancel(id), Cancelled::Sent);
    let give_back = false;
    assert_eq!(ledger.next(now), Some(Saying::Cancel { id, give_back }));
    assert_eq!(ledger.next(now), None);
}

#[test]
fn results_take_room_until_they_are_acknowledged_which_they_are_when_it_is_short() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let ids: Vec<u64> = (0..5).map(|_| ask(&mut ledger, false)).collect();
    while ledger.next(now).is_some() {}
    for id in &ids[..4] {
        ledger.ended(*id, 0, true, now);
    }
    assert_eq!(ledger.next(now), None);
    // One in flight, four results, and one place that is kept for what makes room, of nine.
    let more: Vec<u64> = (0..4).map(|_| ask(&mut ledger, false)).collect();
    for id in &more[..3] {
        assert_eq!(ledger.next(now), Some(Saying::Start(*id, 0)));
    }
    let acknowledge = Saying::Acknowledge(ids[..4].to_vec());
    assert_eq!(ledger.next(now), Some(acknowledge));
    assert_eq!(ledger.next(now), Some(Saying::Start(more[3], 0)));
}

#[test]
fn an_operation_waits_until_there_are_as_many_bytes_as_its_result_may_take() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let rooms = [600, 400, 1];
    let [first, second, third] = rooms.map(|room| {
        ledger.ask(Asked {
            operation: 0,
            waiter: (),
            room,
            urgent: false,
            gives_back: false,
            takes_from: 0,
        })
    });
    assert_eq!(ledger.next(now), Some(Saying::Start(first, 0)));
    assert_eq!(ledger.next(now), Some(Saying::Start(second, 0)));
    assert_eq!(ledger.next(now), None);
    ledger.ended(first, 599, true, now);
    assert_eq!(ledger.next(now), Some(Saying::Acknowledge(vec![first])));
    assert_eq!(ledger.next(now), Some(Saying::Start(third, 0)));
}

#[test]
fn an_eighth_of_all_bytes_is_acknowledged_without_waiting_for_company() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let [first, second] = [0; 2].map(|_| ask(&mut ledger, false));
    while ledger.next(now).is_some() {}
    ledger.ended(first, LIMITS.bytes / 8 - 1, true, now);
    assert_eq!(ledger.next(now), None);
    ledger.ended(second, 1, true, now);
    let both = Saying::Acknowledge(vec![first, second]);
    assert_eq!(ledger.next(now), Some(both));
}

#[test]
fn what_comes_after_its_cancel_is_given_back_and_is_nobodys() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let id = ledger.ask(Asked {
        operation: 0,
        waiter: (),
        room: 100,
        urgent: false,
        gives_back: true,
        takes_from: 7,
    });
    assert_eq!(ledger.next(now), Some(Saying::Start(id, 0)));
    assert_eq!(ledger.cancel(id), Cancelled::Sent);
    assert_eq!(ledger.ended(id, 10, true, now), None);
    assert_eq!(ledger.ended(id, 0, false, now), Some(()), "its failure");
}

#[test]
fn what_has_come_is_not_started_again_though_the_daemon_has_forgotten_it() {
    let now = Instant::now();
    let mut ledger = Ledger::<u32, ()>::new(LIMITS, now);
    ledger.attached(&[], now);
    let id = ledger.ask(Asked {
        operation: 0,
        waiter: (),
        room: 100,
        urgent: false,
        gives_back: true,
        takes_from: 7,
    });
    assert_eq!(ledger.next(now), Some(Saying::Start(id, 0)));
    assert_eq!(ledger.ended(id, 10, true, now), Some(()));
    ledger.detached();
    assert!(ledger.attached(&[], now).is_empty());
    assert_eq!(ledger.next(now), None);
}
