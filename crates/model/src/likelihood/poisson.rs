//! Read a network's output as the logarithm of the mean of a count.

use super::count::{check_count, simulate_poisson};
use super::special::{integrate_over_logarithm, ln_factorial};
use super::{FastPath, Likelihood};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use crate::vector_likelihood::VectorLikelihood;
use ergodic_draws::PredictionKind;
use serde::{Deserialize, Serialize};

/// Counts with a log link: `y ~ Poisson(exp f(x))`, `ln p(y | f) = y f − exp f − ln y!`.
///
/// Mean and variance are exp f, beyond the largest double from f = 709.8 on: there the density is zero and a step that goes there is
/// rejected. Targets are not standardised; a network whose output should start near the data's mean has a bias of prior N(0, s²) wide
/// enough for its logarithm.
///
/// ```
/// use ergodic_model::{Likelihood, Poisson};
/// let (mut d, mut mean) = ([0.0], [0.0]);
/// let log_probability = Poisson.gradient(&[2.0_f64.ln()], &[3.0], &[], &mut d, &mut []);
/// assert!((log_probability.exp() - 4.0 / 3.0 * (-2.0_f64).exp()).abs() < 1e-14);
/// Poisson.mean(&[2.0_f64.ln()], &[], &mut mean);
/// assert!((mean[0] - 2.0).abs() < 1e-14);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Poisson;

/// −Σ p ln p of a Poisson distribution, to 1e-11 absolutely.
///
/// E ln Y! is an integral over Malmstén's representation of ln Γ, with the generating function of Y under it; for large means the
/// asymptotic series ½ ln(2πeλ) − 1/12λ − 1/24λ² − 19/360λ³ (Knessl 1998, "Integral representations and asymptotic expansions for
/// Shannon and Renyi entropies") takes over.
pub(super) fn poisson_entropy(mean: f64) -> f64 {
    if mean > 1000.0 {
        let inverse = mean.recip();
        let series = inverse * (1.0 / 12.0 + inverse * (1.0 / 24.0 + inverse * 19.0 / 360.0));
        return 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * mean).ln() - series;
    }
    if mean == 0.0 {
        return 0.0;
    }
    let integrand = |s: f64| {
        let step = -(-s).exp_m1();
        (mean + (-mean * step).exp_m1() / step) * (-s).exp()
    };
    let log_factorial = integrate_over_logarithm(-40.0 - mean.ln().max(0.0), 6.7, integrand);
    mean - mean * mean.ln() + log_factorial
}

impl Likelihood for Poisson {
    fn name(&self) -> &'static str {
        "poisson"
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }

    fn standardizes_target(&self, _: usize) -> bool {
        false
    }

    fn num_outputs(&self) -> usize {
        1
    }

    fn num_targets(&self) -> usize {
        1
    }

    fn num_means(&self) -> usize {
        1
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        check_count(targets[0], "Poisson")
    }

    fn gradient(&self, outputs: &[f64], targets: &[f64], _: &[f64], d_outputs: &mut [f64], _: &mut [f64]) -> f64 {
        let (f, y) = (outputs[0], targets[0]);
        let mean = f.exp();
        d_outputs[0] = y - mean;
        y * f - mean - ln_factorial(y)
    }

    fn curvature(&self, outputs: &[f64], _: &[f64], matrix: &mut [f64]) {
        matrix[0] = outputs[0].exp();
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(BlockLikelihood::Vector(VectorLikelihood::Poisson)))
    }

    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        mean[0] = outputs[0].exp();
    }

    fn variance(&self, outputs: &[f64], _: &[f64], variance: &mut [f64]) {
        variance[0] = outputs[0].exp();
    }

    fn entropy(&self, outputs: &[f64], _: &[f64]) -> f64 {
        poisson_entropy(outputs[0].exp())
    }

    fn simulate(&self, outputs: &[f64], _: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        targets[0] = simulate_poisson(outputs[0].exp(), rng);
    }
}
