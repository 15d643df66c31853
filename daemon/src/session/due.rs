//! When each session's lease is to be looked at: a queue by time, so that a look costs nothing for the sessions that it does not concern.
//! Pure; time is passed in.
//!
//! A lease that is over does not end its session at once. First comes a last look, [`LAST_LOOK`] later: the daemon may have been kept from
//! reading what its clients have sent (a SIGSTOP, a paused machine, a busy processor), and reads it meanwhile. If the queue itself
//! was looked at that much too late, the daemon has been away, and nobody is judged by that time: see [`Due::was_away`].

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

/// How long a session lives at least beyond its lease, with the daemon awake: time for every connection's task to read what waits.
pub(super) const LAST_LOOK: Duration = Duration::from_millis(250);

/// Sessions by the time of the next look at their leases, each once.
#[derive(Debug)]
pub(super) struct Due<T> {
    /// By time and the session's number.
    queue: BTreeMap<(Instant, u64), (T, Look)>,
    /// When each session's turn is, by its number.
    at: HashMap<u64, Instant, RandomState>,
    /// When whoever takes from the queue was to wake up.
    planned: Option<Instant>,
}

/// Which look it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    First,
    Last,
}

impl<T> Default for Due<T> {
    fn default() -> Self {
        Self {
            queue: BTreeMap::new(),
            at: HashMap::default(),
            planned: None,
        }
    }
}

impl<T> Due<T> {
    /// Adds the session of that number, whose lease is over at `end`. Whether that is before everything else, so that whoever sleeps must
    /// be woken.
    pub(super) fn add(&mut self, end: Instant, number: u64, session: T) -> bool {
        let is_next = self
            .queue
            .first_key_value()
            .is_none_or(|((at, _), _)| end < *at);
        self.put(end, number, session, Look::First);
        is_next
    }

    /// Takes a session away.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(at) = self.at.remove(&number) {
            self.queue.remove(&(at, number));
        }
    }

    /// Whether the daemon was away: `now` is so far behind the time at which it was to look here that it was stopped, or had no time for
    /// its clients.
    pub(super) fn was_away(&self, now: Instant) -> bool {
        self.planned
            .is_some_and(|planned| now > planned + LAST_LOOK)
    }

    /// Takes one session whose lease is over, as `lease_end` says of it, and was at the first look. Those whose lease is not over come
    /// again when it is. At most `most` are looked at; none if that is all for now, and then [`Due::plan`] says when to come back.
    pub(super) fn take(
        &mut self,
        now: Instant,
        mut most: usize,
        lease_end: impl Fn(&T) -> Instant,
    ) -> Taken<T> {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                return Taken::Nothing;
            }
            if most == 0 {
                return Taken::More;
            }
            most -= 1;
            let ((_, number), (session, look)) = entry.remove_entry();
            let end = lease_end(&session);
            match look {
                _ if end > now => self.put(end, number, session, Look::First),
                Look::First => self.put(now + LAST_LOOK, number, session, Look::Last),
                Look::Last => {
                    self.at.remove(&number);
                    return Taken::Over(session);
                }
            }
        }
        Taken::Nothing
    }

    /// When to look next; none while there are no sessions. Whoever asks sleeps until then.
    pub(super) fn plan(&mut self) -> Option<Instant> {
        self.planned = self.queue.first_key_value().map(|((at, _), _)| *at);
        self.planned
    }

    fn put(&mut self, at: Instant, number: u64, session: T, look: Look) {
        self.at.insert(number, at);
        self.queue.insert((at, number), (session, look));
    }
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T> {
    /// A session whose lease is over.
    Over(T),
    /// Nothing yet: ask again, after others had their turn.
    More,
    /// Nothing until the next look.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes all that is over at `now`, where every lease ends at `end`.
    fn over(due: &mut Due<&'static str>, now: Instant, end: Instant) -> Vec<&'static str> {
        let mut over = Vec::new();
        loop {
            match due.take(now, 1, |_| end) {
                Taken::Over(session) => over.push(session),
                Taken::More => {}
                Taken::Nothing => return over,
            }
        }
    }

    #[test]
    fn a_lease_is_over_at_the_last_look_and_not_at_the_first() {
        let start = Instant::now();
        let mut due = Due::default();
        assert!(due.add(start + SECOND, 1, "a"));
        assert_eq!(due.plan(), Some(start + SECOND));
        let now = start + SECOND;
        assert!(over(&mut due, now, now).is_empty());
        assert_eq!(due.plan(), Some(now + LAST_LOOK));
        assert_eq!(over(&mut due, now + LAST_LOOK, now), ["a"]);
        assert_eq!(due.plan(), None);
    }

    #[test]
    fn what_is_read_before_the_last_look_counts() {
        let start = Instant::now();
        let mut due = Due::default();
        due.add(start, 1, "a");
        assert!(over(&mut due, start, start).is_empty());
        let renewed = start + SECOND;
        assert!(over(&mut due, start + LAST_LOOK, renewed).is_empty());
        assert_eq!(due.plan(), Some(renewed));
        // And from then on it has both looks again.
        assert!(over(&mut due, renewed, renewed).is_empty());
        assert_eq!(over(&mut due, renewed + LAST_LOOK, renewed), ["a"]);
    }

    #[test]
    fn only_what_comes_before_everything_else_wakes_the_sleeper() {
        let start = Instant::now();
        let mut due = Due::default();
        assert!(due.add(start + 2 * SECOND, 1, "a"));
        assert!(!due.add(start + 2 * SECOND, 2, "b"));
        assert!(!due.add(start + 3 * SECOND, 3, "c"));
        assert!(due.add(start + SECOND, 4, "d"));
    }

    #[test]
    fn a_look_that_comes_far_too_late_says_that_the_daemon_was_away() {
        let start = Instant::now();
        let mut due = Due::default();
        assert!(!due.was_away(start + 100 * SECOND), "it planned nothing");
        due.add(start + SECOND, 1, "a");
        due.plan();
        assert!(!due.was_away(start));
        assert!(!due.was_away(start + SECOND + LAST_LOOK));
        assert!(due.was_away(start + SECOND + 2 * LAST_LOOK));
    }

    #[test]
    fn a_look_goes_no_further_than_it_is_allowed_and_loses_nothing() {
        let start = Instant::now();
        let mut due = Due::default();
        for number in 0..10 {
            due.add(start, number, "a");
        }
        assert_eq!(due.take(start, 9, |_| start), Taken::More);
        assert_eq!(due.take(start, 9, |_| start), Taken::Nothing);
        assert_eq!(over(&mut due, start + LAST_LOOK, start).len(), 10);
    }

    #[test]
    fn who_has_left_is_not_kept_until_its_time_comes() {
        let start = Instant::now();
        let mut due = Due::default();
        due.add(start, 1, "a");
        due.add(start, 2, "b");
        assert_eq!(due.take(start, 1, |_| start + SECOND), Taken::More);
        due.remove(1);
        due.remove(2);
        due.remove(3);
        assert!(due.queue.is_empty() && due.at.is_empty());
    }
}
