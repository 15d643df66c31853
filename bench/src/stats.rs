//! Medians and percentiles.

/// The median: the middle value, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let middle = *sorted.get(upper)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[upper - 1], middle)
    } else {
        middle
    })
}

/// The smallest value that so many percent of all, 0-100, do not exceed; `None` of nothing.
pub(crate) fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let within = |index: usize| (index + 1) as f64 * 100.0 >= percent * sorted.len() as f64;
    let index = (0..sorted.len()).find(|index| within(*index))?;
    Some(sorted[index])
}

/// The smallest and the largest value; `None` of nothing.
pub(crate) fn range(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_count_is_the_middle_value() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[4.0, 1.0, 100.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_percentile_is_a_value_that_so_many_do_not_exceed() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 99.0), Some(198.0));
        assert_eq!(percentile(&values, 100.0), Some(200.0));
        assert_eq!(percentile(&values, 0.0), Some(1.0));
        assert_eq!(percentile(&[], 99.0), None);
    }

    #[test]
    fn one_outlier_does_not_move_the_median() {
        assert_eq!(median(&[1.0, 1.0, 1.0, 1.0, 1e9]), Some(1.0));
    }

    #[test]
    fn nothing_has_no_median_and_no_range() {
        assert_eq!(median(&[]), None);
        assert_eq!(range(&[]), None);
    }

    #[test]
    fn the_range_is_the_least_and_the_most() {
        assert_eq!(range(&[2.0, -1.0, 7.0]), Some((-1.0, 7.0)));
    }
}
