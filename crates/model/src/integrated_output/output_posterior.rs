//! Find the distribution of a linear output layer's weights given its features, and derivatives of the density that is left.

use super::symmetric_inverse::{SymmetricInverse, symmetric_product};
use crate::EvaluationError;
use crate::network::OutputLayer;
use crate::simd::Real;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// ½ log 2π.
const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_7;

/// The sums over rows that the output layer sees: of products of its K features (hidden values and a one) and targets.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a> {
    /// The lower triangle, row-major (features + outputs) squared.
    gram: &'a [f64],
    features: usize,
    outputs: usize,
}

impl<'a> Sums<'a> {
    pub(super) fn new(gram: &'a [f64], features: usize, outputs: usize) -> Self {
        Self { gram, features, outputs }
    }

    /// Row `i` of Φᵀ(Φ, y), up to the diagonal.
    #[inline]
    fn row(self, i: usize) -> &'a [f64] {
        &self.gram[i * (self.features + self.outputs)..][..=i]
    }

    /// Φᵀy of one output.
    #[inline]
    fn target_products(self, output: usize) -> &'a [f64] {
        &self.row(self.features + output)[..self.features]
    }
}

/// One output's noise and prior.
#[derive(Clone, Copy)]
pub(super) struct Spread<'a> {
    /// Standard deviation of the noise.
    pub(super) noise_sd: f64,
    /// Prior standard deviations s of the weights, the bias last.
    pub(super) scales: &'a [f64],
}

/// The weights w = s u of one output are normal given the features, where u has precision A = 1 + s ΦᵀΦ s/σ² and mean
/// u* = A⁻¹ s Φᵀy/σ². The log density without them is −n ln σ√2π − |r|²/2σ² − |u*|²/2 − ln|A|/2 with r = y − Φ s u*: no term cancels
/// another.
#[derive(Debug, Clone)]
pub(super) struct OutputPosterior {
    features: usize,
    inverse: SymmetricInverse,
    log_determinant: f64,
    mean: Vec<f64>,
    right: Vec<f64>,
    product: Vec<f64>,
    correction: Vec<f64>,
    /// The derivative in the features as a linear function of them, lower triangle (features squared).
    back: Vec<f64>,
}

/// What one output contributes, apart from its residuals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contribution {
    /// −|u*|²/2 − ln|A|/2.
    pub(super) log_density: f64,
    /// The number of weights that the data determine: K − tr A⁻¹.
    pub(super) determined: f64,
}

impl OutputPosterior {
    pub(super) fn new(features: usize) -> Self {
        let room = || vec![0.0; features];
        Self {
            features,
            inverse: SymmetricInverse::new(features),
            log_determinant: 0.0,
            mean: room(),
            right: room(),
            product: room(),
            correction: room(),
            back: vec![0.0; features * features],
        }
    }

    /// Starts an evaluation.
    pub(super) fn start(&mut self) {
        self.back.fill(0.0);
    }

    /// Inverts A; false where it is not positive definite, because a feature is not finite.
    pub(super) fn factorise(&mut self, sums: Sums<'_>, spread: Spread<'_>) -> bool {
        let Spread { noise_sd, scales } = spread;
        let precision = 1.0 / (noise_sd * noise_sd);
        let entry = |i: usize, j: usize| {
            let scaled = sums.row(i)[j] * (scales[i] * scales[j] * precision);
            if i == j { 1.0 + scaled } else { scaled }
        };
        match self.inverse.invert(entry) {
            Some(log_determinant) if log_determinant.is_finite() => self.log_determinant = log_determinant,
            _ => return false,
        }
        true
    }

    /// After [`factorise`](Self::factorise), finds one output's mean weights and adds its part of the derivative in the features;
    /// writes the derivative in the scales, in their order, where it is wanted.
    pub(super) fn solve<E: Real>(
        &mut self,
        sums: Sums<'_>,
        spread: Spread<'_>,
        output: usize,
        layer: &mut OutputLayer<E>,
        d_scales: Option<(&mut [f64], &mut f64)>,
    ) -> Contribution {
        let Spread { noise_sd, scales } = spread;
        let (features, hidden) = (self.features, self.features - 1);
        let precision = 1.0 / (noise_sd * noise_sd);
        let Self { inverse, mean, right, product, correction, back, .. } = self;
        for ((right, s), sum) in right.iter_mut().zip(scales).zip(sums.target_products(output)) {
            *right = s * sum * precision;
        }
        inverse.multiply(right, mean);
        // One step of refinement: the inverse alone loses as many digits as A's condition has, the refined solution does not.
        for (c, (u, s)) in correction.iter_mut().zip(mean.iter().zip(scales)) {
            *c = u * s;
        }
        symmetric_product(|row| sums.row(row), correction, product);
        for i in 0..features {
            right[i] -= mean[i] + scales[i] * precision * product[i];
        }
        inverse.multiply(right, correction);
        for (u, c) in mean.iter_mut().zip(&*correction) {
            *u += c;
        }

        let mut trace = 0.0;
        for i in 0..features {
            let row = inverse.negative_row(i);
            trace -= row[i];
            let factor = scales[i] * precision;
            for ((back, value), s) in back[i * features..][..=i].iter_mut().zip(row).zip(scales) {
                *back += factor * s * value;
            }
        }
        if let Some((d_weights, d_bias)) = d_scales {
            // E[w²]/s³ − 1/s.
            let derivative = |i: usize| (mean[i] * mean[i] - inverse.negative_row(i)[i] - 1.0) / scales[i];
            for (i, d) in d_weights.iter_mut().enumerate() {
                *d = derivative(i);
            }
            *d_bias = derivative(hidden);
        }
        let weights = &mut layer.weights[output * hidden..][..hidden];
        let residual_part = &mut layer.back[(features + output) * hidden..][..hidden];
        for i in 0..hidden {
            let weight = mean[i] * scales[i];
            weights[i] = E::from_f64(weight);
            residual_part[i] = E::from_f64(weight * precision);
        }
        layer.biases[output] = E::from_f64(mean[hidden] * scales[hidden]);
        let square: f64 = mean.iter().map(|u| u * u).sum();
        Contribution { log_density: -0.5 * (square + self.log_determinant), determined: features as f64 - trace }
    }

    /// After all outputs, writes the derivative in the features.
    pub(super) fn finish<E: Real>(&self, layer: &mut OutputLayer<E>) {
        let (features, hidden) = (self.features, self.features - 1);
        for i in 0..features {
            let row = &self.back[i * features..][..=i];
            for (to, value) in layer.back[i * hidden..].iter_mut().zip(&row[..=i.min(hidden - 1)]) {
                *to = E::from_f64(*value);
            }
            if i < hidden {
                for (j, value) in row[..i].iter().enumerate() {
                    layer.back[j * hidden + i] = E::from_f64(*value);
                }
            }
        }
    }
}

/// The log density of `rows` residuals with this sum of squares.
pub(super) fn noise_log_density(rows: usize, squares: f64, noise_sd: f64) -> f64 {
    -0.5 * squares / (noise_sd * noise_sd) - rows as f64 * (noise_sd.ln() + HALF_LOG_TWO_PI)
}

/// The distribution of one output's scaled weights u given the features: its mean, and Cholesky's factor of its precision.
pub(super) fn conditional(
    sums: Sums<'_>,
    spread: Spread<'_>,
    output: usize,
) -> Result<(DVector<f64>, Cholesky<f64, Dyn>), EvaluationError> {
    let Spread { noise_sd, scales } = spread;
    let precision = 1.0 / (noise_sd * noise_sd);
    let matrix = DMatrix::from_fn(sums.features, sums.features, |i, j| {
        let sum = sums.row(i.max(j))[i.min(j)];
        f64::from(u8::from(i == j)) + sum * (scales[i] * scales[j] * precision)
    });
    let finite = matrix.iter().all(|value| value.is_finite());
    let Some(factor) = matrix.cholesky().filter(|_| finite) else {
        return Err(EvaluationError::new(
            "the output layer's weights have no distribution here: a hidden unit's value is not finite",
        ));
    };
    let products = sums.target_products(output);
    let right = DVector::from_fn(sums.features, |i, _| scales[i] * products[i] * precision);
    Ok((factor.solve(&right), factor))
}
