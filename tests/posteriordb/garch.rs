//! Define the GARCH(1,1) posterior.

use crate::model::{Model, logistic, logit};
use crate::reference::Reference;
use ergodic::model::{EvaluationError, LogDensity};

/// y_t ~ N(μ, h_t), h_1 given, h_t = α₀ + α₁ (y_(t−1) − μ)² + β₁ h_(t−1), flat over μ, α₀ > 0, 0 < α₁ < 1, 0 < β₁ < 1 − α₁;
/// coordinates μ, log α₀, logit α₁, logit (β₁ / (1 − α₁)).
#[derive(Debug, Clone)]
pub(crate) struct Garch {
    series: Vec<f64>,
    first_variance: f64,
}

impl Garch {
    pub(crate) fn new(reference: &Reference) -> Self {
        Self { series: reference.list("y"), first_variance: reference.number("sigma1").powi(2) }
    }
}

impl LogDensity for Garch {
    fn dim(&self) -> usize {
        4
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let (mu, alpha0, alpha1, share) = (position[0], position[1].exp(), logistic(position[2]), logistic(position[3]));
        let beta1 = (1.0 - alpha1) * share;
        // Derivatives of the variance, and then of the log density, in μ, α₀, α₁ and β₁.
        let mut variance = self.first_variance;
        let mut slopes = [0.0; 4];
        let mut total = [0.0; 4];
        let mut value = 0.0;
        for (t, y) in self.series.iter().enumerate() {
            let residual = y - mu;
            if t > 0 {
                let last = self.series[t - 1] - mu;
                let direct = [-2.0 * alpha1 * last, 1.0, last * last, variance];
                for (slope, direct) in slopes.iter_mut().zip(direct) {
                    *slope = direct + beta1 * *slope;
                }
                variance = alpha0 + alpha1 * last * last + beta1 * variance;
            }
            let square = residual * residual / variance;
            value -= 0.5 * (variance.ln() + square);
            let in_variance = 0.5 * (square - 1.0) / variance;
            for (sum, slope) in total.iter_mut().zip(&slopes) {
                *sum += in_variance * slope;
            }
            total[0] += residual / variance;
        }
        let (alpha1_slope, share_slope) = (alpha1 * (1.0 - alpha1), share * (1.0 - share));
        gradient[0] = total[0];
        gradient[1] = total[1] * alpha0 + 1.0;
        gradient[2] = (total[2] - total[3] * share) * alpha1_slope + 1.0 - 3.0 * alpha1;
        gradient[3] = total[3] * (1.0 - alpha1) * share_slope + 1.0 - 2.0 * share;
        Ok(value + position[1] + alpha1_slope.ln() + (1.0 - alpha1).ln() + share_slope.ln())
    }
}

impl Model for Garch {
    fn parameters(&self) -> Vec<String> {
        ["mu", "alpha0", "alpha1", "beta1"].map(str::to_owned).to_vec()
    }

    fn report(&self, position: &[f64]) -> Vec<f64> {
        let alpha1 = logistic(position[2]);
        vec![position[0], position[1].exp(), alpha1, (1.0 - alpha1) * logistic(position[3])]
    }

    fn position(&self, reported: &[f64]) -> Vec<f64> {
        let share = reported[3] / (1.0 - reported[2]);
        vec![reported[0], reported[1].ln(), logit(reported[2]), logit(share)]
    }
}
