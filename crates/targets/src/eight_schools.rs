//! Define Rubin's eight schools in the non-centred form, with exact moments and draws.

use crate::{ExactDraws, KnownMoments, LOG_TWO_PI};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Estimated effects of coaching, and their standard errors (Rubin 1981, 'Estimation in parallel randomized experiments').
const EFFECTS: [f64; SCHOOLS] = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0];
const ERRORS: [f64; SCHOOLS] = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0];
const SCHOOLS: usize = 8;
/// Scales of the priors μ ~ N(0, 5²) and τ ~ half-Cauchy(0, 5).
const PRIOR_SCALE: f64 = 5.0;

/// yⱼ ~ N(μ + τ zⱼ, σⱼ²), zⱼ ~ N(0, 1), μ ~ N(0, 5²), τ ~ half-Cauchy(0, 5); coordinates μ, log τ, z₁ … z₈.
///
/// Not normalised: the log density is log p(y, μ, log τ, z), constants included, with the Jacobian of log τ.
///
/// Given τ, μ and z are normal, so that moments, log evidence and draws need only the one-dimensional posterior of log τ. It is
/// held on a grid of spacing 0.002 from −36 to 14, outside of which it has less than 10⁻¹⁵ of its mass; sums over the grid are exact to
/// rounding (trapezoid rule on an analytic integrand), draws interpolate its distribution function linearly (error below 10⁻⁶).
#[derive(Debug, Clone)]
pub struct EightSchools {
    cumulative: Vec<f64>,
    log_evidence: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

const GRID_START: f64 = -36.0;
const GRID_SPACING: f64 = 0.002;
const GRID_POINTS: usize = 25_001;

/// The normal posterior of μ given τ, and the log of p(y, log τ).
struct GivenScale {
    mean: f64,
    variance: f64,
    log_density: f64,
}

fn given_scale(log_tau: f64) -> GivenScale {
    let square = (2.0 * log_tau).exp();
    let mut precision = PRIOR_SCALE.powi(-2);
    let (mut linear, mut constant) = (0.0, -PRIOR_SCALE.ln());
    for (y, error) in EFFECTS.iter().zip(&ERRORS) {
        let variance = error * error + square;
        precision += 1.0 / variance;
        linear += y / variance;
        constant -= 0.5 * (LOG_TWO_PI + variance.ln() + y * y / variance);
    }
    let log_density = constant - 0.5 * precision.ln() + 0.5 * linear * linear / precision + log_prior_of_log_tau(log_tau).0;
    GivenScale { mean: linear / precision, variance: 1.0 / precision, log_density }
}

/// Log prior density of log τ, Jacobian included, and its derivative.
fn log_prior_of_log_tau(log_tau: f64) -> (f64, f64) {
    let square = (log_tau.exp() / PRIOR_SCALE).powi(2);
    let value = (2.0 / (std::f64::consts::PI * PRIOR_SCALE)).ln() - square.ln_1p() + log_tau;
    (value, 1.0 - 2.0 * square / (1.0 + square))
}

impl EightSchools {
    /// The posterior given Rubin's data.
    #[must_use]
    pub fn new() -> Self {
        let points: Vec<(f64, GivenScale)> =
            (0..GRID_POINTS).map(|k| GRID_START + k as f64 * GRID_SPACING).map(|u| (u, given_scale(u))).collect();
        let largest = points.iter().map(|(_, given)| given.log_density).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = points.iter().map(|(_, given)| (given.log_density - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let (mut first, mut second) = (vec![0.0; SCHOOLS + 2], vec![0.0; SCHOOLS + 2]);
        for ((log_tau, given), weight) in points.iter().zip(&weights) {
            let (weight, tau) = (weight / total, log_tau.exp());
            let mut add = |i: usize, mean: f64, variance: f64| {
                first[i] += weight * mean;
                second[i] += weight * (mean * mean + variance);
            };
            add(0, given.mean, given.variance);
            add(1, *log_tau, 0.0);
            for (j, (y, error)) in EFFECTS.iter().zip(&ERRORS).enumerate() {
                let marginal = error * error + tau * tau;
                let slope = tau / marginal;
                add(j + 2, slope * (y - given.mean), error * error / marginal + slope * slope * given.variance);
            }
        }
        let mut cumulative = vec![0.0];
        for pair in weights.windows(2) {
            cumulative.push(cumulative[cumulative.len() - 1] + 0.5 * (pair[0] + pair[1]) / total);
        }
        let variance = second.iter().zip(&first).map(|(s, m)| s - m * m).collect();
        Self { cumulative, log_evidence: largest + (total * GRID_SPACING).ln(), mean: first, variance }
    }

    /// The log evidence log p(y) in nats.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
    }
}

impl Default for EightSchools {
    fn default() -> Self {
        Self::new()
    }
}

impl LogDensity for EightSchools {
    fn dim(&self) -> usize {
        SCHOOLS + 2
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let (mu, tau) = (position[0], position[1].exp());
        let (log_prior, slope) = log_prior_of_log_tau(position[1]);
        let scaled = mu / PRIOR_SCALE;
        let mut value = log_prior - 0.5 * scaled * scaled - PRIOR_SCALE.ln() - 0.5 * LOG_TWO_PI;
        gradient[0] = -scaled / PRIOR_SCALE;
        gradient[1] = slope;
        for (j, (y, error)) in EFFECTS.iter().zip(&ERRORS).enumerate() {
            let z = position[j + 2];
            let residual = (y - mu - tau * z) / error;
            value -= 0.5 * (residual * residual + z * z) + error.ln() + LOG_TWO_PI;
            gradient[0] += residual / error;
            gradient[1] += residual / error * tau * z;
            gradient[j + 2] = residual / error * tau - z;
        }
        Ok(value)
    }
}

impl KnownMoments for EightSchools {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(self.mean.clone())
    }

    fn variance(&self) -> Option<Vec<f64>> {
        Some(self.variance.clone())
    }
}

impl ExactDraws for EightSchools {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let uniform = rng.random::<f64>() * self.cumulative[GRID_POINTS - 1];
        let above = self.cumulative.partition_point(|&c| c <= uniform).clamp(1, GRID_POINTS - 1);
        let (low, high) = (self.cumulative[above - 1], self.cumulative[above]);
        let fraction = (uniform - low) / (high - low);
        let log_tau = GRID_START + ((above - 1) as f64 + fraction) * GRID_SPACING;
        let (given, tau) = (given_scale(log_tau), log_tau.exp());
        let mu = given.mean + given.variance.sqrt() * rng.sample::<f64, _>(StandardNormal);
        position[0] = mu;
        position[1] = log_tau;
        for (j, (y, error)) in EFFECTS.iter().zip(&ERRORS).enumerate() {
            let marginal = error * error + tau * tau;
            let sd = error / marginal.sqrt();
            position[j + 2] = tau * (y - mu) / marginal + sd * rng.sample::<f64, _>(StandardNormal);
        }
    }
}
