//! Compute quantiles and the intervals built from them.

use crate::{Diagnostic, Interval, Status};

/// Sample quantile of type 7 (Hyndman & Fan 1996): linear interpolation between order statistics at `(S − 1) p`.
///
/// ```
/// assert_eq!(ergodic_diagnostics::quantile(&[3.0, 1.0, 2.0, 4.0], 0.5).value, 2.5);
/// ```
#[must_use]
pub fn quantile(values: &[f64], probability: f64) -> Diagnostic {
    match sorted(values, probability) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sorted) => Diagnostic::ok(quantile_of_sorted(&sorted, probability)),
    }
}

/// Equal-tailed interval: the quantiles at `(1 − probability) / 2` and `(1 + probability) / 2`, of type 7.
///
/// ```
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0];
/// let interval = ergodic_diagnostics::equal_tailed_interval(&values, 0.8);
/// assert!((interval.lower - 1.9).abs() < 1e-12 && (interval.upper - 10.1).abs() < 1e-12);
/// ```
#[must_use]
pub fn equal_tailed_interval(values: &[f64], probability: f64) -> Interval {
    match sorted(values, probability) {
        Err(status) => Interval::undefined(status),
        Ok(sorted) => {
            let (lower, upper) = equal_tails(probability);
            let (lower, upper) = (quantile_of_sorted(&sorted, lower), quantile_of_sorted(&sorted, upper));
            Interval { lower, upper, status: Status::Ok }
        }
    }
}

/// Highest-density interval: the narrowest one between order statistics `⌊probability · S⌋` apart, the lowest of equally narrow ones.
///
/// Meant for unimodal draws. [`Status::TooFewDraws`] where `⌊probability · S⌋ ≥ S`.
///
/// ```
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0];
/// let interval = ergodic_diagnostics::highest_density_interval(&values, 0.8);
/// assert_eq!((interval.lower, interval.upper), (1.0, 9.0));
/// ```
#[must_use]
pub fn highest_density_interval(values: &[f64], probability: f64) -> Interval {
    let sorted = match sorted(values, probability) {
        Err(status) => return Interval::undefined(status),
        Ok(sorted) => sorted,
    };
    let apart = (probability * sorted.len() as f64).floor() as usize;
    let mut best: Option<(f64, usize)> = None;
    for start in 0..sorted.len().saturating_sub(apart) {
        let width = sorted[start + apart] - sorted[start];
        if best.is_none_or(|(narrowest, _)| width < narrowest) {
            best = Some((width, start));
        }
    }
    match best {
        None => Interval::undefined(Status::TooFewDraws),
        Some((_, start)) => Interval { lower: sorted[start], upper: sorted[start + apart], status: Status::Ok },
    }
}

/// Type-7 quantile of values in ascending order; NaN without values.
pub(crate) fn quantile_of_sorted(sorted: &[f64], probability: f64) -> f64 {
    interpolate(sorted.len(), probability, |rank| sorted[rank])
}

/// The two probabilities that leave equal tails outside.
pub(crate) fn equal_tails(probability: f64) -> (f64, f64) {
    (0.5 * (1.0 - probability), 0.5 * (1.0 + probability))
}

/// Type-7 quantile of `count` values whose order statistics `value` gives.
pub(crate) fn interpolate(count: usize, probability: f64, value: impl Fn(usize) -> f64) -> f64 {
    if count == 0 {
        return f64::NAN;
    }
    let position = (count - 1) as f64 * probability;
    // A product such as 20 · 0.95 may miss the whole number that it is by rounding; an order statistic must not be missed with it.
    let nearest = position.round();
    let position = if (position - nearest).abs() <= 4.0 * f64::EPSILON * nearest.max(1.0) { nearest } else { position };
    let below = (position.floor() as usize).min(count - 1);
    let weight = position - below as f64;
    let low = value(below);
    if weight <= 0.0 {
        return low;
    }
    let high = value(below + 1);
    // Equal neighbours need no interpolation, which would turn two infinities into NaN.
    if high == low {
        return low;
    }
    let step = high - low;
    if step.is_finite() { low + weight * step } else { (1.0 - weight) * low + weight * high }
}

fn sorted(values: &[f64], probability: f64) -> Result<Vec<f64>, Status> {
    if !(0.0..=1.0).contains(&probability) {
        return Err(Status::InvalidProbability);
    }
    if values.iter().any(|x| !x.is_finite()) {
        return Err(Status::NonFinite);
    }
    if values.is_empty() {
        return Err(Status::TooFewDraws);
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_density_intervals_of_known_values() {
        let bounds = |values: &[f64], p| {
            let interval = highest_density_interval(values, p);
            (interval.lower, interval.upper)
        };
        let ten = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0];
        assert_eq!(bounds(&ten, 0.5), (1.0, 6.0));
        let squares: Vec<f64> = (1..=100).map(|i| f64::from(i * i) / 100.0).collect();
        assert_eq!(bounds(&squares, 0.94), (0.01, 90.25));
        assert_eq!(bounds(&squares, 0.89), (0.01, 81.0));
        assert_eq!(bounds(&[1.0, 2.0, 4.0], 0.94), (1.0, 4.0));
        assert_eq!(bounds(&[7.0; 5], 0.5), (7.0, 7.0));
    }

    #[test]
    fn undefined_intervals_have_a_reason() {
        assert_eq!(highest_density_interval(&[1.0, 2.0], 1.0).status, Status::TooFewDraws);
        assert_eq!(highest_density_interval(&[1.0, f64::NAN], 0.5).status, Status::NonFinite);
        assert_eq!(equal_tailed_interval(&[], 0.5).status, Status::TooFewDraws);
        assert_eq!(quantile(&[1.0], 2.0).status, Status::InvalidProbability);
    }

    #[test]
    fn order_statistics_are_met_exactly() {
        let values: Vec<f64> = (0..21).map(f64::from).collect();
        for (rank, p) in [(1, 0.05), (19, 0.95), (7, 0.35), (20, 1.0), (0, 0.0)] {
            assert_eq!(quantile(&values, p).value, f64::from(rank));
        }
    }
}
