//! Read a network's output as the logarithm of the mean of an overdispersed count.

use super::count::{check_count, simulate_poisson};
use super::poisson::poisson_entropy;
use super::special::{digamma_difference, integrate_over_logarithm, ln_factorial, ln_gamma_difference, softplus};
use super::{Likelihood, LikelihoodParameter, Positive};
use crate::ChainRng;
use crate::network::sigmoid;
use ergodic_draws::PredictionKind;
use rand_distr::{Distribution, Gamma};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Counts with a log link that vary more than a Poisson's: mean μ = exp f(x), variance μ + μ²/r (Stan's `neg_binomial_2_log`).
///
/// ln p(y | f) = ln Γ(y + r) − ln Γ(r) − ln y! + r ln(r/(r + μ)) + y ln(μ/(r + μ)). The dispersion r is positive, and small for
/// strongly overdispersed counts; r → ∞ is a Poisson distribution. Learned, it is the coordinate `ln r`. Targets are not standardised.
///
/// ```
/// use ergodic_model::{Likelihood, NegativeBinomial};
/// let likelihood = NegativeBinomial::known(2.0);
/// let mut variance = [0.0];
/// likelihood.variance(&[4.0_f64.ln()], &[], &mut variance);
/// assert!((variance[0] - 12.0).abs() < 1e-12);
/// assert_eq!(NegativeBinomial::learned().parameters()[0].name, "dispersion");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NegativeBinomial {
    /// r, the number of failures in the oldest reading: variance = μ + μ²/r.
    pub dispersion: Positive,
}

impl NegativeBinomial {
    /// A known dispersion.
    #[must_use]
    pub fn known(dispersion: f64) -> Self {
        Self { dispersion: Positive::Known(dispersion) }
    }

    /// A dispersion that is sampled along, with `ln r ~ N(1, 1.5²)`.
    ///
    /// Half of the prior is above r = e: a mean of 10 then has a standard deviation of 7 where a Poisson has 3.2; 95 % lie between 0.14
    /// and 51, from nearly geometric heaps at zero to nearly Poisson.
    #[must_use]
    pub fn learned() -> Self {
        Self { dispersion: Positive::Learned { prior_mean: 1.0, prior_sd: 1.5 } }
    }

    /// ln r.
    fn log_dispersion(&self, mut parameters: &[f64]) -> f64 {
        self.dispersion.logarithm(&mut parameters)
    }
}

/// ln Γ(y + r) − ln Γ(r) − ln y!.
fn log_binomial(y: f64, r: f64) -> f64 {
    if r > y { ln_gamma_difference(r, y) - ln_factorial(y) } else { ln_gamma_difference(y + 1.0, r - 1.0) - ln_gamma(r) }
}

/// 1 − E[x^Y] with x = exp(−s), given 1 − x; the generating function is (1 + μ(1 − x)/r)^−r.
fn one_minus_generating_function(step: f64, mean: f64, r: f64) -> f64 {
    -(-r * (mean / r * step).ln_1p()).exp_m1()
}

impl Likelihood for NegativeBinomial {
    fn name(&self) -> &'static str {
        if self.dispersion.is_learned() {
            "negative binomial, learned dispersion"
        } else {
            "negative binomial, known dispersion"
        }
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

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        self.dispersion.parameter("dispersion").into_iter().collect()
    }

    fn check(&self) -> Result<(), String> {
        self.dispersion.check("dispersion")
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        check_count(targets[0], "negative binomial")
    }

    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64 {
        let (f, y) = (outputs[0], targets[0]);
        let log_r = self.log_dispersion(parameters);
        let r = log_r.exp();
        // t = ln(μ/r): the share of the mean in r + μ is the logistic function of t, and nothing overflows.
        let t = f - log_r;
        let (share, rest) = (sigmoid(t), sigmoid(-t));
        let log_rest = softplus(t);
        let failures = r * share;
        d_outputs[0] = y * rest - failures;
        if let Some(d) = d_parameters.first_mut() {
            *d += r * (digamma_difference(r, y) - log_rest) + failures - y * rest;
        }
        // y softplus(−t) without 0 · ∞.
        let successes = if y == 0.0 { 0.0 } else { y * softplus(-t) };
        log_binomial(y, r) - r * log_rest - successes
    }

    /// r μ/(r + μ).
    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let log_r = self.log_dispersion(parameters);
        matrix[0] = log_r.exp() * sigmoid(outputs[0] - log_r);
    }

    /// r² {ψ′(r) − E ψ′(r + Y) − 1/r + 1/(r + μ)} in ln r, to 1e-10 relative for r ≤ 100; the expectation is an integral over the
    /// generating function of Y, for ψ′(z) = ∫ s exp(−zs)/(1 − exp(−s)) ds. Beyond, rounding leaves an absolute error near 1e-14 r.
    fn parameter_curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let Some(to) = matrix.first_mut() else { return };
        let log_r = self.log_dispersion(parameters);
        let (r, mean) = (log_r.exp(), outputs[0].exp());
        let integrand = |s: f64| {
            let step = -(-s).exp_m1();
            let difference = s / step * one_minus_generating_function(step, mean, r) + (-mean * s).exp_m1();
            s * (-r * s).exp() * difference
        };
        // Below the first limit the integrand is μ s³ or less, above the second it is exp(−750).
        let (from, up_to) = (-14.0 - outputs[0].max(log_r).max(0.0), 750.0_f64.ln() - log_r.min(0.0));
        *to = (r * r * integrate_over_logarithm(from, up_to, integrand)).max(0.0);
    }

    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        mean[0] = outputs[0].exp();
    }

    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]) {
        let mean = outputs[0].exp();
        variance[0] = mean + mean * (outputs[0] - self.log_dispersion(parameters)).exp();
    }

    /// To an absolute error of 1e-14 (1 + r), and of 1e-6 from r = 10⁸ on, where it is a Poisson's of the same mean plus ½ ln(1 + μ/r).
    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        let log_r = self.log_dispersion(parameters);
        let (r, mean) = (log_r.exp(), outputs[0].exp());
        if mean == 0.0 {
            return 0.0;
        }
        if r >= 1e8 {
            return poisson_entropy(mean) + 0.5 * (mean / r).ln_1p();
        }
        // E[ln Γ(Y + r) − ln Γ(Y + 1)], by Malmstén's representation of ln Γ.
        let integrand = |s: f64| {
            let step = -(-s).exp_m1();
            // exp(−s) − exp(−rs), the larger factor taken out.
            let (large, small) = if r >= 1.0 { (-s, -r * s) } else { (-r * s, -s) };
            let ends = -(small - large).exp_m1() * large.exp() * (r - 1.0).signum();
            (r - 1.0) * (-s).exp() - ends / step * (1.0 - one_minus_generating_function(step, mean, r))
        };
        let from = -40.0 - outputs[0].max(log_r).max(0.0);
        let up_to = 750.0_f64.ln() - log_r.min(0.0);
        let t = outputs[0] - log_r;
        ln_gamma(r) - integrate_over_logarithm(from, up_to, integrand) + r * softplus(t) + mean * softplus(-t)
    }

    /// A Poisson count whose mean is a gamma deviate of mean μ and shape r.
    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        let log_r = self.log_dispersion(parameters);
        let r = log_r.exp();
        let share = Gamma::new(r, r.recip()).map_or(1.0, |gamma| gamma.sample(rng));
        targets[0] = simulate_poisson(outputs[0].exp() * share, rng);
    }
}
