//! Shrink estimated variances toward the prior's, and keep them usable whatever the chain did.

/// Variances further than this factor from the prior's are held to be an accident of the chain.
const LIMIT: f64 = 1e20;

/// The estimate of one coordinate's variance from `count` draws, shrunk toward `prior` with the weight of `weight` draws.
///
/// The mean is taken of logarithms: (n log v + w log v₀) / (n + w). Scales of weights spread over orders of magnitude, where an
/// arithmetic mean with a fixed floor, such as Stan's 10⁻³, leaves every well-determined weight at the floor. `None` when the
/// estimate says nothing: zero, negative or not finite.
pub(crate) fn shrink(estimate: f64, count: usize, prior: f64, weight: f64) -> Option<f64> {
    if !(estimate > 0.0 && estimate.is_finite()) {
        return None;
    }
    let n = count as f64;
    let log_ratio = n / (n + weight) * (estimate / prior).ln();
    let shrunk = prior * log_ratio.clamp(-LIMIT.ln(), LIMIT.ln()).exp();
    (shrunk > f64::MIN_POSITIVE && shrunk.is_finite()).then_some(shrunk)
}

/// The prior's variance from its scale, 1 where the scale is not usable.
pub(crate) fn prior_variance(scale: f64) -> f64 {
    let variance = scale * scale;
    if variance > f64::MIN_POSITIVE && variance.is_finite() { variance } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_draws_stay_near_the_prior_and_many_do_not() {
        let near = shrink(1e-4, 2, 1.0, 5.0).unwrap();
        let far = shrink(1e-4, 1000, 1.0, 5.0).unwrap();
        assert!(near > 1e-2, "two draws move the variance to {near}");
        assert!(far < 1.1e-4, "a thousand draws leave the variance at {far}");
        assert!((shrink(3.0, 7, 3.0, 5.0).unwrap() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn no_estimate_is_ever_unusable() {
        for estimate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(shrink(estimate, 10, 1.0, 5.0), None);
        }
        for prior in [1e-300, 1.0, 1e300] {
            for estimate in [5e-324, 1e-300, 1.0, f64::MAX] {
                let shrunk = shrink(estimate, 100, prior, 5.0);
                assert!(shrunk.is_none_or(|v| v > 0.0 && v.is_finite() && (1.0 / v.sqrt()).is_finite()));
            }
        }
        for scale in [0.0, f64::NAN, f64::INFINITY, 1e200, 1e-200] {
            assert_eq!(prior_variance(scale), 1.0);
        }
    }
}
