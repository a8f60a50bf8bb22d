//! Hold what counts have in common: which targets are counts, and how they are simulated.

use crate::ChainRng;
use rand_distr::{Distribution, StandardNormal};

/// From here on a double does not hold every whole number.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a target is no count, if it is none.
pub(super) fn check_count(target: f64, likelihood: &str) -> Result<(), String> {
    if target < 0.0 {
        return Err(format!("the target is {target}; a {likelihood} likelihood takes counts, which are not negative"));
    }
    if target.is_finite() && target.fract() == 0.0 && target <= LARGEST_EXACT {
        return Ok(());
    }
    Err(format!("the target is {target}; a {likelihood} likelihood takes counts, whole numbers from 0 to 2^53"))
}

/// A Poisson count of the given mean; from means of 10¹² on the rounded normal of the same moments, which differs by less than 10⁻⁶ in
/// any probability. Infinite where the mean is.
pub(super) fn simulate_poisson(mean: f64, rng: &mut ChainRng) -> f64 {
    if mean < 1e12 {
        return rand_distr::Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(rng));
    }
    let z: f64 = StandardNormal.sample(rng);
    if mean.is_infinite() { mean } else { (mean + mean.sqrt() * z).round() }
}
