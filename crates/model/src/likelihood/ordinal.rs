//! Read a network's output as the position on a scale that cut points divide into ordered classes.

use super::special::softplus;
use super::{Likelihood, LikelihoodParameter};
use crate::ChainRng;
use crate::network::sigmoid;
use ergodic_draws::{PredictionKind, Transform};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Ordered classes 0, 1, …, K − 1: `P(y ≤ k) = 1 / (1 + exp(f(x) − c_k))`, the cumulative logit model (McCullagh 1980).
///
/// The cut points c₀ < c₁ < … < c_{K−2} are sampled along, as `first_cut_point` c₀ and, for K > 2, `cut_point_gap[i]` = c_{i+1} − c_i, whose
/// logarithms are the coordinates. A network's output bias and c₀ may trade a shift; their priors settle it, and predictions see the
/// difference alone.
///
/// The prior is c₀ ~ N(−logit(1 − 1/K), 1.5²) and ln gap ~ N(ln g, 1), with g such that at f = 0 and the prior's centre the lowest and the
/// highest class have probability 1/K each.
///
/// ```
/// use ergodic_model::{Likelihood, Ordinal};
/// let likelihood = Ordinal { classes: 3 };
/// let mut probabilities = [0.0; 3];
/// // Cut points −1 and 1 around an output of 0.
/// likelihood.mean(&[0.0], &[-1.0, 2.0_f64.ln()], &mut probabilities);
/// assert!((probabilities[0] - probabilities[2]).abs() < 1e-15);
/// assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordinal {
    /// K, the number of classes.
    pub classes: usize,
}

/// One class: its log probability, and the derivatives in the cut points below and above it, zero where there is none.
struct Class {
    log_probability: f64,
    d_below: f64,
    d_above: f64,
    /// The derivative in the logarithm of the gap between the two, and only in that through the cut point above.
    d_log_gap: f64,
}

impl Ordinal {
    /// The class between the cut points at `below` and `above` on the scale where the output is 0; their distance is `gap`.
    fn class(below: Option<f64>, above: Option<f64>, gap: f64) -> Class {
        // P = σ(above) σ(−below) (1 − exp(−gap)), the factors of absent cut points left out.
        let (mut log_probability, mut d_below, mut d_above, mut d_log_gap) = (0.0, 0.0, 0.0, 0.0);
        if let Some(above) = above {
            log_probability -= softplus(-above);
            d_above += sigmoid(-above);
        }
        if let Some(below) = below {
            log_probability -= softplus(below);
            d_below -= sigmoid(below);
        }
        if let (Some(_), Some(_)) = (below, above) {
            log_probability += (-(-gap).exp_m1()).ln();
            // gap / (exp(gap) − 1), which is 1 for no gap and 0 for a wide one.
            let rest = if gap > 700.0 {
                0.0
            } else if gap < 1e-300 {
                1.0
            } else {
                gap / gap.exp_m1()
            };
            d_log_gap = gap * d_above + rest;
        }
        Class { log_probability, d_below, d_above, d_log_gap }
    }

    /// Calls `see` with each class in turn.
    fn for_each_class(&self, output: f64, parameters: &[f64], mut see: impl FnMut(usize, Class)) {
        let mut below = None;
        let mut gap = 0.0;
        for class in 0..self.classes {
            let above = (class + 1 < self.classes).then(|| {
                if class == 0 {
                    parameters[0] - output
                } else {
                    gap = parameters[class].exp();
                    below.unwrap_or(f64::NAN) + gap
                }
            });
            see(class, Self::class(below, above, gap));
            below = above;
        }
    }

    /// Writes the derivatives of a class's log probability: in the output, returned, and added in the parameters.
    fn derivatives(class: usize, values: &Class, parameters: &[f64], mut add: impl FnMut(usize, f64)) -> f64 {
        let both = values.d_below + values.d_above;
        add(0, both);
        for (index, log_gap) in parameters.iter().enumerate().take(class).skip(1) {
            add(index, log_gap.exp() * both);
        }
        // The gap of the class itself, which the lowest and the highest do not have.
        if class > 0 && class < parameters.len() {
            add(class, values.d_log_gap);
        }
        -both
    }

    /// Sums P · score · scoreᵀ over the classes, for the scores that `select` picks from (output, parameters).
    fn information(
        &self,
        output: f64,
        parameters: &[f64],
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        matrix: &mut [f64],
    ) {
        matrix.fill(0.0);
        let mut score = vec![0.0; 1 + parameters.len()];
        self.for_each_class(output, parameters, |class, values| {
            score.fill(0.0);
            let d_output = Self::derivatives(class, &values, parameters, |index, derivative| score[1 + index] += derivative);
            score[0] = d_output;
            let probability = values.log_probability.exp();
            for (row, to) in rows.clone().zip(matrix.chunks_exact_mut(columns.len().max(1))) {
                for (column, to) in columns.clone().zip(to) {
                    *to += probability * score[row] * score[column];
                }
            }
        });
    }
}

impl Likelihood for Ordinal {
    fn name(&self) -> &'static str {
        "ordinal"
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
        self.classes
    }

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        let edge = (self.classes as f64 - 1.0).ln();
        let mut parameters = vec![LikelihoodParameter::new("first_cut_point", -edge, 1.5)];
        if self.classes > 2 {
            let gaps = self.classes - 2;
            let log_gap = (2.0 * edge / gaps as f64).ln();
            let gap = LikelihoodParameter::new("cut_point_gap", log_gap, 1.0);
            parameters.push(gap.with_shape(&[gaps]).with_transform(Transform::EXP));
        }
        parameters
    }

    fn check(&self) -> Result<(), String> {
        if self.classes >= 2 {
            Ok(())
        } else {
            Err(format!("an ordinal likelihood with {} classes; it needs at least 2", self.classes))
        }
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        let label = targets[0];
        if label >= 0.0 && label.fract() == 0.0 && label < self.classes as f64 {
            Ok(())
        } else {
            Err(format!("the target is {label}; ordered classes are whole numbers from 0 to {}", self.classes - 1))
        }
    }

    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64 {
        let label = targets[0] as usize;
        let mut below = parameters[0] - outputs[0];
        let gap_to = |class: usize| parameters[class].exp();
        for class in 1..label {
            below += gap_to(class);
        }
        let values = if label == 0 {
            Self::class(None, Some(below), 0.0)
        } else if label < parameters.len() {
            let gap = gap_to(label);
            Self::class(Some(below), Some(below + gap), gap)
        } else {
            Self::class(Some(below), None, 0.0)
        };
        d_outputs[0] = Self::derivatives(label, &values, parameters, |index, derivative| d_parameters[index] += derivative);
        values.log_probability
    }

    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        self.information(outputs[0], parameters, 0..1, 0..1, matrix);
    }

    fn parameter_curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let all = 1..1 + parameters.len();
        self.information(outputs[0], parameters, all.clone(), all, matrix);
    }

    fn mixed_curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        self.information(outputs[0], parameters, 0..1, 1..1 + parameters.len(), matrix);
    }

    fn mean(&self, outputs: &[f64], parameters: &[f64], mean: &mut [f64]) {
        self.for_each_class(outputs[0], parameters, |class, values| mean[class] = values.log_probability.exp());
    }

    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]) {
        self.mean(outputs, parameters, variance);
        for p in variance {
            *p *= 1.0 - *p;
        }
    }

    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.for_each_class(outputs[0], parameters, |_, values| {
            let probability = values.log_probability.exp();
            // A NaN is not zero, and goes through.
            if probability != 0.0 {
                sum -= probability * values.log_probability;
            }
        });
        sum
    }

    /// The class that a logistic deviate around the output falls into.
    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        let u: f64 = rng.random();
        let position = outputs[0] + (u / (1.0 - u)).ln();
        let mut cut = parameters[0];
        let mut class = 0;
        while position > cut {
            class += 1;
            if class == parameters.len() {
                break;
            }
            cut += parameters[class].exp();
        }
        targets[0] = class as f64;
    }
}
