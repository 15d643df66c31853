//! Rounds: two things measured in turns, so that what the machine does meanwhile falls on both.

use crate::{Failure, stats};

/// What the rounds measured: ours and theirs, in pairs. There is at least one.
#[derive(Debug)]
pub(crate) struct Rounds(Vec<(f64, f64)>);

impl Rounds {
    /// Measures both `count` times; every other round begins with theirs.
    ///
    /// # Errors
    /// The first of either, or `count` is 0.
    pub(crate) async fn interleave(
        count: usize,
        mut ours: impl AsyncFnMut() -> Result<f64, Failure>,
        mut theirs: impl AsyncFnMut() -> Result<f64, Failure>,
    ) -> Result<Self, Failure> {
        let mut pairs = Vec::new();
        for round in 0..count {
            pairs.push(if round.is_multiple_of(2) {
                let ours = ours().await?;
                (ours, theirs().await?)
            } else {
                let theirs = theirs().await?;
                (ours().await?, theirs)
            });
        }
        Self::of(pairs)
    }

    /// Rounds that were measured elsewhere: ours and theirs of each.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn of(pairs: Vec<(f64, f64)>) -> Result<Self, Failure> {
        if pairs.is_empty() {
            return Err("no rounds".into());
        }
        Ok(Self(pairs))
    }

    /// Rounds of ours beside a fixed limit.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn against_limit(ours: &[f64], limit: f64) -> Result<Self, Failure> {
        Self::of(ours.iter().map(|ours| (*ours, limit)).collect())
    }

    /// All but the first, which only warmed up.
    ///
    /// # Errors
    /// There is no other.
    pub(crate) fn without_first(mut self) -> Result<Self, Failure> {
        self.0.remove(0);
        Self::of(self.0)
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The median of ours.
    pub(crate) fn ours(&self) -> f64 {
        self.median(|(ours, _)| ours)
    }

    /// The median of theirs.
    pub(crate) fn theirs(&self) -> f64 {
        self.median(|(_, theirs)| theirs)
    }

    /// The median of each round's own ratio: steadier than the ratio of the medians, as the rounds differ by more than the two
    /// halves of one.
    pub(crate) fn ratio(&self) -> f64 {
        self.median(|(ours, theirs)| ours / theirs)
    }

    /// The ratios' range.
    pub(crate) fn ratio_range(&self) -> (f64, f64) {
        let ratios: Vec<f64> = self.0.iter().map(|(ours, theirs)| ours / theirs).collect();
        stats::range(&ratios).expect("there is at least one round")
    }

    fn median(&self, of: impl Fn((f64, f64)) -> f64) -> f64 {
        let values: Vec<f64> = self.0.iter().copied().map(of).collect();
        stats::median(&values).expect("there is at least one round")
    }
}

/// Measures each of several `count` times, in turns; every round begins with another. What each of them did, by rounds.
///
/// # Errors
/// The first of any.
pub(crate) fn take_turns<C, M>(
    count: usize,
    contestants: &mut [C],
    mut measure: impl FnMut(&mut C) -> Result<M, Failure>,
) -> Result<Vec<Vec<M>>, Failure> {
    let mut measured: Vec<Vec<M>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..count {
        let many = contestants.len();
        for index in (0..many).map(|n| (round + n) % many) {
            measured[index].push(measure(&mut contestants[index])?);
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn rounds_take_turns_in_who_begins() {
        let order = RefCell::new(String::new());
        let note = async |who| {
            order.borrow_mut().push(who);
            Ok(1.0)
        };
        Rounds::interleave(3, async || note('o').await, async || note('t').await)
            .await
            .unwrap();
        assert_eq!(*order.borrow(), "ottoot");
    }

    #[test]
    fn of_several_each_begins_in_turn_and_keeps_what_is_its_own() {
        let mut order = String::new();
        let measured = take_turns(2, &mut ['a', 'b', 'c'], |who| {
            order.push(*who);
            Ok(order.len())
        })
        .unwrap();
        assert_eq!(order, "abcbca");
        assert_eq!(measured, [[1, 6], [2, 4], [3, 5]]);
    }

    #[test]
    fn the_ratio_is_of_each_round_and_so_withstands_a_machine_that_slows_down() {
        let rounds = Rounds(vec![(11.0, 10.0), (110.0, 100.0), (1100.0, 1000.0)]);
        assert!((rounds.ratio() - 1.1).abs() < 1e-9);
        assert_eq!((rounds.ours(), rounds.theirs()), (110.0, 100.0));
    }

    #[tokio::test]
    async fn a_failure_ends_the_rounds() {
        let failed = Rounds::interleave(2, async || Err("gone".into()), async || Ok(1.0)).await;
        assert_eq!(failed.unwrap_err().to_string(), "gone");
        assert!(Rounds::against_limit(&[], 1.0).is_err());
    }
}
