//! What to make of repeated measurements: medians and percentiles.

use std::time::Duration;

/// The median of some values, the mean of the two in the middle if their number is even; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (1, Some(value)) => *value,
        (_, Some(upper)) => f64::midpoint(values[middle - 1], *upper),
        (_, None) => 0.0,
    }
}

/// The smallest value that at least `percent` of all do not exceed (nearest rank); zero of none.
pub(crate) fn percentile(mut values: Vec<Duration>, percent: usize) -> Duration {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_an_odd_and_the_mean_of_an_even_number() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(values.clone(), 50), Duration::from_millis(100));
        assert_eq!(percentile(values.clone(), 99), Duration::from_millis(198));
        assert_eq!(percentile(values, 100), Duration::from_millis(200));
        assert_eq!(percentile(Vec::new(), 99), Duration::ZERO);
    }
}
