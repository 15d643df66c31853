//! The ledger against a simple model, and its rules one by one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LIMITS: LedgerLimits = LedgerLimits {
    in_flight: 4,
    results: 6,
    bytes: 100,
};

#[derive(Clone, Debug)]
enum Step {
    Begin {
        id: u64,
        what: u64,
        after: u64,
        bytes: usize,
    },
    End {
        id: u64,
        succeeded: bool,
    },
    Acknowledge {
        id: u64,
    },
}

/// A result takes 1 byte here, and never more than the room that was kept for it.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u64..12, 0_u64..2, 0_u64..12, 1_usize..40).prop_map(|(id, what, after, bytes)| {
            Step::Begin { id, what, after, bytes }
        }),
        3 => (0_u64..12, any::<bool>()).prop_map(|(id, succeeded)| Step::End { id, succeeded }),
        2 => (0_u64..12).prop_map(|id| Step::Acknowledge { id }),
    ]
}

/// What each id is, told without counters or ranges.
#[derive(Debug, Default)]
struct Model {
    known: BTreeMap<u64, Known>,
    gone: BTreeMap<u64, bool>,
}

#[derive(Clone, Debug)]
struct Known {
    what: u64,
    after: u64,
    bytes: usize,
    held: bool,
    ended: Option<bool>,
}

impl Model {
    fn in_flight(&self) -> usize {
        self.known
            .values()
            .filter(|known| known.ended.is_none())
            .count()
    }

    fn bytes(&self) -> usize {
        self.known.values().map(|known| known.bytes).sum()
    }

    fn begin(
        &mut self,
        id: u64,
        what: u64,
        after: u64,
        bytes: usize,
    ) -> Result<Begun<u64>, Refusal> {
        if id == 0 {
            return Err(Refusal::Zero);
        }
        if let Some(known) = self.known.get(&id) {
            return match known.ended {
                _ if known.what != what => Err(Refusal::Mismatch),
                Some(_) => Ok(Begun::Ended(id)),
                None => Ok(Begun::InFlight),
            };
        }
        if self.gone.contains_key(&id) {
            return Err(Refusal::Forgotten);
        }
        let before = self.known.get(&after).map(|known| known.ended);
        let begun = match (after, before, self.gone.get(&after)) {
            (0, _, _) | (_, Some(Some(true)), _) | (_, None, Some(true)) => Begun::Start,
            (_, Some(None), _) => Begun::Hold,
            (_, Some(Some(false)), _) | (_, None, Some(false)) => Begun::DependencyFailed,
            (_, None, None) => return Err(Refusal::Unknown),
        };
        if self.in_flight() >= LIMITS.in_flight {
            return Err(Refusal::InFlightFull);
        }
        if self.known.len() >= LIMITS.results || self.bytes() + bytes > LIMITS.bytes {
            return Err(Refusal::ResultsFull);
        }
        let held = begun == Begun::Hold;
        self.known.insert(
            id,
            Known {
                what,
                after,
                bytes,
                held,
                ended: None,
            },
        );
        Ok(begun)
    }

    fn end(&mut self, id: u64, succeeded: bool) -> Option<BTreeSet<u64>> {
        let known = self
            .known
            .get_mut(&id)
            .filter(|known| known.ended.is_none())?;
        known.ended = Some(succeeded);
        known.bytes = 1;
        let mut released = BTreeSet::new();
        for (other, known) in &mut self.known {
            if known.held && known.after == id && known.ended.is_none() {
                known.held = false;
                released.insert(*other);
            }
        }
        Some(released)
    }
}

proptest! {
    #[test]
    fn a_ledger_does_what_the_model_does_and_stays_within_its_limits(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let (mut ledger, mut model) = (Ledger::new(LIMITS), Model::default());
        for step in steps {
            match step {
                Step::Begin { id, what, after, bytes } => {
                    prop_assert_eq!(
                        ledger.begin(id, what, after, bytes),
                        model.begin(id, what, after, bytes)
                    );
                }
                Step::End { id, succeeded } => {
                    let released = ledger.end(id, id, 1, succeeded);
                    let expected = model.end(id, succeeded);
                    prop_assert!(released.iter().flatten().all(|next| next.start == succeeded));
                    let released = released
                        .map(|released| released.iter().map(|next| next.id).collect());
                    prop_assert_eq!(released, expected);
                }
                Step::Acknowledge { id } => {
                    let expected = match model.known.get(&id).map(|known| known.ended) {
                        Some(Some(succeeded)) => {
                            model.known.remove(&id);
                            model.gone.insert(id, succeeded);
                            Ok(())
                        }
                        _ if model.gone.contains_key(&id) => Ok(()),
                        _ => Err(Refusal::Unknown),
                    };
                    prop_assert_eq!(ledger.acknowledge(id), expected);
                }
            }
            prop_assert_eq!(ledger.in_flight(), model.in_flight());
            prop_assert_eq!(ledger.kept(), model.known.len() - model.in_flight());
            prop_assert!(ledger.known().eq(model.known.keys().copied()));
            prop_assert!(ledger.in_flight() <= LIMITS.in_flight);
            prop_assert!(model.known.len() <= LIMITS.results && model.bytes() <= LIMITS.bytes);
        }
    }
}

#[test]
fn a_million_acknowledged_requests_take_no_room() {
    let mut ledger = Ledger::new(LIMITS);
    for id in 1..=1_000_000 {
        assert_eq!(ledger.begin(id, 0, 0, 10), Ok(Begun::Start));
        assert_eq!(ledger.end(id, (), 10, true), Some(Vec::new()));
        assert_eq!(ledger.acknowledge(id), Ok(()));
    }
    assert_eq!((ledger.kept(), ledger.bytes), (0, 0));
    assert_eq!(ledger.gone.ranges(), 1);
    assert_eq!(ledger.begin(77, 0, 0, 0), Err(Refusal::Forgotten));
}

#[test]
fn what_follows_a_failure_fails_even_after_its_acknowledgement() {
    let mut ledger = Ledger::new(LIMITS);
    assert_eq!(ledger.begin(1, 0, 0, 0), Ok(Begun::Start));
    assert_eq!(ledger.end(1, (), 0, false), Some(Vec::new()));
    assert_eq!(ledger.acknowledge(1), Ok(()));
    assert_eq!(ledger.begin(2, 0, 1, 0), Ok(Begun::DependencyFailed));
}

#[test]
fn a_result_is_there_until_it_is_acknowledged() {
    let mut ledger = Ledger::new(LIMITS);
    assert_eq!(ledger.result(1), None);
    ledger.begin(1, 0, 0, 1).expect("there is room");
    assert_eq!(ledger.result(1), None);
    ledger.end(1, "result", 1, true);
    assert_eq!(ledger.result(1), Some(&"result"));
    assert_eq!(ledger.acknowledge(1), Ok(()));
    assert_eq!(ledger.result(1), None);
}

#[test]
fn so_many_acknowledged_failures_are_remembered_and_the_lowest_is_forgotten_first() {
    let mut ledger = Ledger::new(LIMITS);
    // Each a range of its own.
    let id = |number: usize| 2 * number as u64 + 1;
    let fail = |ledger: &mut Ledger<()>, number| {
        ledger.begin(id(number), 0, 0, 1).expect("there is room");
        ledger.end(id(number), (), 1, false);
        assert_eq!(ledger.acknowledge(id(number)), Ok(()));
    };
    for number in 0..MAX_FAILED {
        fail(&mut ledger, number);
    }
    assert_eq!(ledger.failed.ranges(), MAX_FAILED);
    assert!(ledger.failed.contains(id(0)));
    fail(&mut ledger, MAX_FAILED);
    assert_eq!(ledger.failed.ranges(), MAX_FAILED);
    assert!(!ledger.failed.contains(id(0)) && ledger.failed.contains(id(1)));
}

#[test]
fn results_may_take_all_bytes_and_no_more() {
    let mut ledger = Ledger::<()>::new(LIMITS);
    assert_eq!(ledger.begin(1, 0, 0, LIMITS.bytes), Ok(Begun::Start));
    assert_eq!(ledger.begin(2, 0, 0, 1), Err(Refusal::ResultsFull));
}

#[test]
fn an_operation_that_was_undone_has_failed_and_takes_the_room_of_its_failure() {
    let mut ledger = Ledger::new(LIMITS);
    assert_eq!(ledger.begin(1, 0, 0, LIMITS.bytes), Ok(Begun::Start));
    ledger.replace(1, "too early", 0);
    assert_eq!(ledger.result(1), None);
    ledger.end(1, "taken", LIMITS.bytes, true);
    assert_eq!(ledger.begin(2, 0, 0, 1), Err(Refusal::ResultsFull));
    ledger.replace(1, "given back", 3);
    assert_eq!(ledger.result(1), Some(&"given back"));
    assert_eq!(ledger.begin(2, 0, 1, 0), Ok(Begun::DependencyFailed));
    let rest = LIMITS.bytes - 3;
    assert_eq!(ledger.begin(3, 0, 0, rest + 1), Err(Refusal::ResultsFull));
    assert_eq!(ledger.begin(3, 0, 0, rest), Ok(Begun::Start));
    assert_eq!(ledger.acknowledge(1), Ok(()));
    assert_eq!(ledger.begin(4, 0, 1, 3), Ok(Begun::DependencyFailed));
}
