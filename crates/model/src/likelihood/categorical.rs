//! Read a network's outputs as the logits of a class label.

use super::{FastPath, Likelihood};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use ergodic_draws::PredictionKind;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Class labels 0, 1, …: `P(y = k) = exp(f_k(x)) / Σⱼ exp(f_j(x))`.
///
/// ```
/// use ergodic_model::{Categorical, Likelihood};
/// let mut probabilities = [0.0; 2];
/// Categorical { classes: 2 }.mean(&[1.0, 1.0], &[], &mut probabilities);
/// assert_eq!(probabilities, [0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categorical {
    /// Number of classes.
    pub classes: usize,
}

/// Writes the class probabilities, and returns ln Σ exp(f).
fn softmax(outputs: &[f64], probabilities: &mut [f64]) -> f64 {
    // A NaN must reach the sum: `max` alone would drop it.
    let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, |m, f| if f > m || f.is_nan() { f } else { m });
    let mut sum = 0.0;
    for (p, f) in probabilities.iter_mut().zip(outputs) {
        *p = (f - largest).exp();
        sum += *p;
    }
    for p in probabilities {
        *p /= sum;
    }
    largest + sum.ln()
}

impl Likelihood for Categorical {
    fn name(&self) -> &'static str {
        "categorical"
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Classification
    }

    fn num_outputs(&self) -> usize {
        self.classes
    }

    fn num_targets(&self) -> usize {
        1
    }

    fn num_means(&self) -> usize {
        self.classes
    }

    fn check(&self) -> Result<(), String> {
        if self.classes >= 2 {
            Ok(())
        } else {
            Err(format!("a categorical likelihood with {} classes; it needs at least 2", self.classes))
        }
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        let label = targets[0];
        if label >= 0.0 && label.fract() == 0.0 && label < self.classes as f64 {
            Ok(())
        } else {
            Err(format!("the target is {label}; class labels are whole numbers from 0 to {}", self.classes - 1))
        }
    }

    fn gradient(&self, outputs: &[f64], targets: &[f64], _: &[f64], d_outputs: &mut [f64], _: &mut [f64]) -> f64 {
        let log_sum = softmax(outputs, d_outputs);
        let label = targets[0] as usize;
        for d in d_outputs.iter_mut() {
            *d = -*d;
        }
        d_outputs[label] += 1.0;
        outputs[label] - log_sum
    }

    fn curvature(&self, outputs: &[f64], _: &[f64], matrix: &mut [f64]) {
        let mut probabilities = vec![0.0; outputs.len()];
        softmax(outputs, &mut probabilities);
        for (i, row) in matrix.chunks_exact_mut(outputs.len()).enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry = -probabilities[i] * probabilities[j] + if i == j { probabilities[i] } else { 0.0 };
            }
        }
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(BlockLikelihood::Categorical))
    }

    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        softmax(outputs, mean);
    }

    fn variance(&self, outputs: &[f64], _: &[f64], variance: &mut [f64]) {
        softmax(outputs, variance);
        for v in variance {
            *v *= 1.0 - *v;
        }
    }

    fn entropy(&self, outputs: &[f64], _: &[f64]) -> f64 {
        let mut probabilities = vec![0.0; outputs.len()];
        let log_sum = softmax(outputs, &mut probabilities);
        let terms = probabilities.iter().zip(outputs).map(|(&p, f)| if p > 0.0 { p * (log_sum - f) } else { 0.0 });
        terms.sum()
    }

    fn simulate(&self, outputs: &[f64], _: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        let mut probabilities = vec![0.0; outputs.len()];
        softmax(outputs, &mut probabilities);
        let mut rest: f64 = rng.random();
        let mut label = 0;
        while label + 1 < probabilities.len() && rest >= probabilities[label] {
            rest -= probabilities[label];
            label += 1;
        }
        targets[0] = label as f64;
    }
}
