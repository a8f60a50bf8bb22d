//! Check simulated targets against the stated moments, and that other distributions fail the same check.

use crate::case::{Case, cases};
use ergodic_model::{Purpose, stream};

const SIMULATIONS: usize = 20_000;

/// The largest |z| of the simulations' means, and of their mean squares around the stated mean, against what `claimed` states.
///
/// Quantities without a fourth moment are taken through tanh, whose moments come from the sum over all targets.
fn largest_z(case: &Case, claimed: &Case) -> f64 {
    let mut rng = stream(17, 0, Purpose::Simulate);
    let num_targets = case.likelihood.num_targets();
    let mut simulated = vec![0.0; SIMULATIONS * num_targets];
    for targets in simulated.chunks_exact_mut(num_targets) {
        case.likelihood.simulate(&case.outputs, &case.parameters, &mut rng, targets);
        case.likelihood.check_targets(targets).unwrap();
    }
    let means = case.likelihood.num_means();
    let (mut stated_mean, mut stated_variance) = (vec![0.0; means], vec![0.0; means]);
    claimed.likelihood.mean(&claimed.outputs, &claimed.parameters, &mut stated_mean);
    claimed.likelihood.variance(&claimed.outputs, &claimed.parameters, &mut stated_variance);
    let n = SIMULATIONS as f64;
    let mut largest = 0.0_f64;
    for k in 0..means {
        let quantity = |targets: &[f64]| {
            let value = case.quantity(targets, k);
            if case.moments { value } else { value.tanh() }
        };
        let (mean, variance) = if case.moments {
            (stated_mean[k], stated_variance[k])
        } else {
            let mean = claimed.expectation(|targets, _, _| quantity(targets));
            (mean, claimed.expectation(|targets, _, _| (quantity(targets) - mean).powi(2)))
        };
        let fourth = claimed.expectation(|targets, _, _| (quantity(targets) - mean).powi(4));
        let average =
            |power: i32| simulated.chunks_exact(num_targets).map(|t| (quantity(t) - mean).powi(power)).sum::<f64>() / n;
        largest = largest.max((average(1) / (variance / n).sqrt()).abs());
        // Even odds have a square that does not vary.
        let spread = ((fourth - variance * variance) / n).sqrt();
        if spread > 1e-6 * variance {
            largest = largest.max(((average(2) - variance) / spread).abs());
        }
    }
    largest
}

#[test]
fn simulations_have_their_mean_and_variance() {
    // About 66 z-tests at |z| < 5 (probability 6e-7 each, ten times that for the squares of skewed counts) raise a false alarm with
    // probability below 1e-3.
    for case in cases() {
        let z = largest_z(&case, &case);
        assert!(z < 5.0, "{}: z = {z}", case.name());
    }
}

#[test]
fn simulations_of_another_distribution_are_noticed() {
    // Outputs moved by 0.4; the logarithms of scales, dispersions, degrees of freedom and gaps by 1 up or down, whichever is further
    // from the truth. The smallest shift, that of a nearly Poisson dispersion at a mean of 0.4, is 7.7 standard errors, caught with a
    // power of 0.997; all others are beyond 14.
    for case in cases() {
        for coordinate in 0..case.dim() {
            let step = if coordinate < case.outputs.len() { 0.4 } else { 1.0 };
            let z = largest_z(&case, &case.moved(coordinate, step)).max(largest_z(&case, &case.moved(coordinate, -step)));
            assert!(z > 5.0, "{}: coordinate {coordinate} moved by {step} passes with z = {z}", case.name());
        }
    }
}
