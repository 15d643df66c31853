//! A set of request ids or handle numbers that mostly come in runs: kept as ranges, so that a million in a row take one entry.
//!
//! For who leaves gaps on purpose it is bounded: see [`IdSet::insert_used`].

use std::collections::BTreeMap;

/// How many ranges of used numbers are told apart: 2 MiB and more for a session that leaves as many gaps.
pub(crate) const MAX_USED_RANGES: usize = 65_536;

/// A set of numbers, as disjoint ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdSet {
    /// First of each range to its last.
    ranges: BTreeMap<u64, u64>,
}

impl IdSet {
    /// Whether `id` is in the set.
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.ranges
            .range(..=id)
            .next_back()
            .is_some_and(|(_, last)| *last >= id)
    }

    /// Adds `id`; false if it was there.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        let next = id.checked_add(1);
        let before = self.ranges.range_mut(..=id).next_back();
        let (first, last) = match before {
            Some((_, last)) if *last >= id => return false,
            // The next in a row.
            Some((first, last)) if last.checked_add(1) == Some(id) => {
                *last = id;
                (*first, id)
            }
            _ => {
                self.ranges.insert(id, id);
                (id, id)
            }
        };
        if let Some(joined) = next.and_then(|next| self.ranges.remove(&next)) {
            self.ranges.insert(first, joined.max(last));
        }
        true
    }

    /// Adds the number of something that was used; false if it was there. Beyond [`MAX_USED_RANGES`] the lowest gap is forgotten: its
    /// numbers, which who counts up never comes back to, are in the set from then on.
    pub(crate) fn insert_used(&mut self, id: u64) -> bool {
        let new = self.insert(id);
        if self.ranges() > MAX_USED_RANGES
            && let Some((first, _)) = self.ranges.pop_first()
            && let Some((_, last)) = self.ranges.pop_first()
        {
            self.ranges.insert(first, last);
        }
        new
    }

    /// Takes `id` out.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some((&first, &last)) = self.ranges.range(..=id).next_back() else {
            return;
        };
        if last < id {
            return;
        }
        self.ranges.remove(&first);
        if first < id {
            self.ranges.insert(first, id - 1);
        }
        if id < last {
            self.ranges.insert(id + 1, last);
        }
    }

    /// How many ranges it takes.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Forgets the lowest range.
    pub(crate) fn forget_lowest(&mut self) {
        self.ranges.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_whose_ranges_neither_overlap_nor_touch(
            changes in prop::collection::vec((any::<bool>(), 0_u64..40), 0..200),
        ) {
            let (mut ids, mut model) = (IdSet::default(), BTreeSet::new());
            for (add, id) in changes {
                if add {
                    prop_assert_eq!(ids.insert(id), model.insert(id));
                } else {
                    ids.remove(id);
                    model.remove(&id);
                }
                for id in 0..40 {
                    prop_assert_eq!(ids.contains(id), model.contains(&id));
                }
                let runs = model.iter().filter(|id| !model.contains(&(**id + 1))).count();
                prop_assert_eq!(ids.ranges(), runs);
            }
        }
    }

    #[test]
    fn of_used_numbers_the_lowest_gaps_are_forgotten() {
        let mut ids = IdSet::default();
        let (gaps, limit) = (100, MAX_USED_RANGES as u64);
        for n in 1..=limit + gaps {
            assert!(ids.insert_used(2 * n));
            assert!(ids.ranges() <= MAX_USED_RANGES);
        }
        for n in 1..limit + gaps {
            assert_eq!(ids.contains(2 * n + 1), n <= gaps, "{n}");
            assert!(ids.contains(2 * n));
        }
        assert!(!ids.insert_used(3) && !ids.contains(1));
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers_too() {
        let mut ids = IdSet::default();
        assert!(ids.insert(u64::MAX) && ids.insert(0) && ids.insert(u64::MAX - 1));
        assert!(ids.contains(u64::MAX) && ids.contains(0) && !ids.contains(1));
        assert_eq!(ids.ranges(), 2);
        ids.remove(u64::MAX);
        assert!(!ids.contains(u64::MAX) && ids.contains(u64::MAX - 1));
    }

    #[test]
    fn the_lowest_range_is_the_one_that_is_forgotten() {
        let mut ids = IdSet::default();
        assert!(ids.insert(1) && ids.insert(2) && ids.insert(4));
        ids.forget_lowest();
        assert!(!ids.contains(1) && !ids.contains(2) && ids.contains(4));
    }
}
