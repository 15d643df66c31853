//! The waiters of one socket. There may be tens of thousands (of Poll), and each comes, looks and goes at its own cost alone, not at that of
//! all of them; only a report of the kernel's goes through all.

use std::{collections::HashMap, task::Waker};

use foldhash::fast::RandomState;

use crate::sys::socket::Events;

/// For how many waiters room is kept when all are gone.
const KEPT: usize = 4;

/// Whoever waits on one socket, by ticket.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    all: HashMap<u64, Waiter, RandomState>,
    next_ticket: u64,
    /// How many of them are counted.
    counted: usize,
    /// How many of them wait for a change.
    changes: usize,
    /// Invariant: at least the events of those that have not fired; none only if nobody waits for events. Those of waiters that have left
    /// stay until the next report: then nobody is woken, and this is exact again.
    wanted: Option<Events>,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// None: waits for the end of the socket alone.
    pub(super) events: Option<Events>,
    pub(super) fired: Option<Events>,
    /// Whether it stands for an operation; one that waits for several things at once is one all the same.
    pub(super) counted: bool,
    /// Whether it waits for a further event: the events that there are do not help it.
    pub(super) for_change: bool,
    pub(super) waker: Waker,
}

impl Waiters {
    /// Adds one, and says its ticket.
    pub(super) fn add(&mut self, waiter: Waiter) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.counted += usize::from(waiter.counted);
        self.changes += usize::from(waiter.for_change);
        if let Some(events) = waiter.events {
            self.wanted = Some(self.wanted.unwrap_or_default() | events);
        }
        self.all.insert(ticket, waiter);
        ticket
    }

    /// The one with that ticket.
    pub(super) fn get_mut(&mut self, ticket: u64) -> Option<&mut Waiter> {
        self.all.get_mut(&ticket)
    }

    /// Takes one away.
    pub(super) fn remove(&mut self, ticket: u64) {
        if let Some(waiter) = self.all.remove(&ticket) {
            self.counted -= usize::from(waiter.counted);
            self.changes -= usize::from(waiter.for_change);
        }
        if self.all.is_empty() {
            self.wanted = None;
        }
        // A crowd that has gone leaves no room behind, which every report would go through.
        if self.all.len() < self.all.capacity() / 8 {
            self.all.shrink_to(KEPT.max(2 * self.all.len()));
        }
    }

    /// The kernel has reported `events`: marks whom they concern, and returns how to wake them.
    pub(super) fn fire(&mut self, events: Events) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut rest = None;
        for waiter in self.all.values_mut() {
            let (None, Some(wanted)) = (waiter.fired, waiter.events) else {
                continue;
            };
            if events.intersects(wanted | Events::ERR | Events::HUP) {
                waiter.fired = Some(events);
                wakers.push(waiter.waker.clone());
            } else {
                rest = Some(rest.unwrap_or_default() | wanted);
            }
        }
        self.wanted = rest;
        wakers
    }

    /// What the kernel is to be armed for: all that somebody waits for, and maybe more; none if nobody waits.
    pub(super) fn wanted(&self) -> Option<Events> {
        self.wanted
    }

    /// How many are counted.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    /// Whether somebody waits for a change, or did until the last report.
    pub(super) fn await_changes(&self) -> bool {
        self.changes > 0
    }

    /// How to wake all of them.
    pub(super) fn wakers(&self) -> Vec<Waker> {
        self.all
            .values()
            .map(|waiter| waiter.waker.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: [Option<Events>; 6] = [
        None,
        Some(Events::EMPTY),
        Some(Events::IN),
        Some(Events::OUT),
        Some(Events::PRI),
        Some(Events::IN.and(Events::OUT)),
    ];
    const REPORTED: [Events; 4] = [Events::IN, Events::OUT, Events::PRI, Events::HUP];

    fn waiter(events: Option<Events>, counted: bool) -> Waiter {
        Waiter {
            events,
            fired: None,
            counted,
            for_change: false,
            waker: Waker::noop().clone(),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(usize, bool),
        Remove(prop::sample::Index),
        Fire(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..ASKED.len(), any::<bool>()).prop_map(|(asked, counted)| Step::Add(asked, counted)),
            any::<prop::sample::Index>().prop_map(Step::Remove),
            (0..REPORTED.len()).prop_map(Step::Fire),
        ]
    }

    proptest! {
        #[test]
        fn all_that_somebody_waits_for_is_wanted_and_after_a_report_nothing_else(
            steps in prop::collection::vec(step(), 0..100),
        ) {
            let mut waiters = Waiters::default();
            let mut tickets = Vec::new();
            for step in steps {
                let exact = matches!(step, Step::Fire(_));
                match step {
                    Step::Add(asked, counted) => {
                        tickets.push(waiters.add(waiter(ASKED[asked], counted)));
                    }
                    Step::Remove(_) if tickets.is_empty() => {}
                    Step::Remove(index) => {
                        waiters.remove(tickets.swap_remove(index.index(tickets.len())));
                    }
                    Step::Fire(reported) => {
                        let before = waiters.all.values().filter(|w| w.fired.is_none()).count();
                        let woken = waiters.fire(REPORTED[reported]).len();
                        let after = waiters.all.values().filter(|w| w.fired.is_none()).count();
                        prop_assert_eq!(before - after, woken);
                    }
                }
                let needed = waiters
                    .all
                    .values()
                    .filter(|waiter| waiter.fired.is_none())
                    .filter_map(|waiter| waiter.events)
                    .reduce(|all, events| all | events);
                if let Some(needed) = needed {
                    prop_assert!(waiters.wanted().is_some_and(|wanted| wanted.contains(needed)));
                }
                if exact || tickets.is_empty() {
                    prop_assert_eq!(waiters.wanted(), needed);
                }
                prop_assert_eq!(waiters.all.len(), tickets.len());
                let counted = waiters.all.values().filter(|waiter| waiter.counted).count();
                prop_assert_eq!(waiters.counted(), counted);
            }
        }
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_no_room_behind() {
        let mut waiters = Waiters::default();
        let tickets: Vec<_> = (0..10_000)
            .map(|_| waiters.add(waiter(None, true)))
            .collect();
        for (gone, ticket) in tickets.into_iter().enumerate() {
            waiters.remove(ticket);
            let left = 9_999 - gone;
            assert!(waiters.all.capacity() <= 16 * left.max(KEPT));
        }
    }
}
