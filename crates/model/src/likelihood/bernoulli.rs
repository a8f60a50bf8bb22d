//! Read a network's output as the logit of a binary target.

use super::{FastPath, Likelihood};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use crate::network::sigmoid;
use ergodic_draws::PredictionKind;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Binary targets: `P(y = 1) = 1 / (1 + exp(−f(x)))`.
///
/// ```
/// use ergodic_model::{Bernoulli, Likelihood};
/// let mut probabilities = [0.0; 2];
/// Bernoulli.mean(&[0.0], &[], &mut probabilities);
/// assert_eq!(probabilities, [0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bernoulli;

impl Likelihood for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Classification
    }

    fn num_outputs(&self) -> usize {
        1
    }

    fn num_targets(&self) -> usize {
        1
    }

    fn num_means(&self) -> usize {
        2
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        if targets[0] == 0.0 || targets[0] == 1.0 {
            Ok(())
        } else {
            Err(format!("the target is {}; a Bernoulli likelihood takes 0 or 1", targets[0]))
        }
    }

    fn gradient(&self, outputs: &[f64], targets: &[f64], _: &[f64], d_outputs: &mut [f64], _: &mut [f64]) -> f64 {
        let f = outputs[0];
        d_outputs[0] = targets[0] - sigmoid(f);
        // ln P = y f − softplus(f).
        targets[0] * f - (f.max(0.0) + (-f.abs()).exp().ln_1p())
    }

    fn curvature(&self, outputs: &[f64], _: &[f64], matrix: &mut [f64]) {
        matrix[0] = sigmoid(outputs[0]) * sigmoid(-outputs[0]);
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(BlockLikelihood::Bernoulli))
    }

    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        mean[0] = sigmoid(-outputs[0]);
        mean[1] = sigmoid(outputs[0]);
    }

    fn variance(&self, outputs: &[f64], _: &[f64], variance: &mut [f64]) {
        variance.fill(sigmoid(outputs[0]) * sigmoid(-outputs[0]));
    }

    fn entropy(&self, outputs: &[f64], _: &[f64]) -> f64 {
        // −p ln p − q ln q = softplus(f) − f p, written for |f| so that nothing cancels.
        let f = outputs[0].abs();
        (-f).exp().ln_1p() + f * sigmoid(-f)
    }

    fn simulate(&self, outputs: &[f64], _: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        targets[0] = f64::from(u8::from(rng.random::<f64>() < sigmoid(outputs[0])));
    }
}
