//! Define the posterior of a mixture of two normal distributions with ordered means.

use crate::model::{Model, logistic, logit};
use crate::reference::Reference;
use ergodic::model::{EvaluationError, LogDensity};

/// y ~ θ N(μ₁, σ₁²) + (1 − θ) N(μ₂, σ₂²), μ₁ < μ₂, μ ~ N(0, 2²), σ ~ half-N(0, 2²), θ ~ Beta(5, 5); coordinates μ₁, log (μ₂ − μ₁),
/// log σ₁, log σ₂, logit θ.
#[derive(Debug, Clone)]
pub(crate) struct Mixture {
    observations: Vec<f64>,
}

impl Mixture {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self { observations: reference.list("y") }
    }
}

impl LogDensity for Mixture {
    fn dim(&self) -> usize {
        5
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let distance = position[1].exp();
        let means = [position[0], position[0] + distance];
        let precisions = [(-2.0 * position[2]).exp(), (-2.0 * position[3]).exp()];
        let theta = logistic(position[4]);
        let log_weights = [theta.ln() - position[2], (1.0 - theta).ln() - position[3]];
        // Derivatives in both means, both log σ, and logit θ.
        let (mut in_means, mut in_scales, mut in_logit) = ([0.0; 2], [0.0; 2], 0.0);
        let mut value = 0.0;
        for y in &self.observations {
            let residuals = means.map(|mean| y - mean);
            let term = |k: usize| log_weights[k] - 0.5 * precisions[k] * residuals[k] * residuals[k];
            let (first, second) = (term(0), term(1));
            let largest = first.max(second);
            value += largest + (-(first - second).abs()).exp().ln_1p();
            let share = logistic(first - second);
            for (k, share) in [share, 1.0 - share].into_iter().enumerate() {
                in_means[k] += share * precisions[k] * residuals[k];
                in_scales[k] += share * (precisions[k] * residuals[k] * residuals[k] - 1.0);
            }
            in_logit += share - theta;
        }
        for k in 0..2 {
            let square = 1.0 / precisions[k] / 4.0;
            value -= 0.125 * means[k] * means[k] + 0.5 * square - position[2 + k];
            in_means[k] -= 0.25 * means[k];
            in_scales[k] += 1.0 - square;
        }
        // Beta(5, 5) and the Jacobian of the logit: five of each logarithm.
        value += 5.0 * (theta.ln() + (1.0 - theta).ln()) + position[1];
        gradient[0] = in_means[0] + in_means[1];
        gradient[1] = in_means[1] * distance + 1.0;
        gradient[2] = in_scales[0];
        gradient[3] = in_scales[1];
        gradient[4] = in_logit + 5.0 * (1.0 - 2.0 * theta);
        Ok(value)
    }
}

impl Model for Mixture {
    fn parameters(&self) -> Vec<String> {
        ["mu[1]", "mu[2]", "sigma[1]", "sigma[2]", "theta"].map(str::to_owned).to_vec()
    }

    fn report(&self, position: &[f64]) -> Vec<f64> {
        let [mu, log_distance, first, second, logit_theta] = [0, 1, 2, 3, 4].map(|i| position[i]);
        vec![mu, mu + log_distance.exp(), first.exp(), second.exp(), logistic(logit_theta)]
    }

    fn position(&self, reported: &[f64]) -> Vec<f64> {
        let [first, second, sigma1, sigma2, theta] = [0, 1, 2, 3, 4].map(|i| reported[i]);
        vec![first, (second - first).ln(), sigma1.ln(), sigma2.ln(), logit(theta)]
    }
}
