//! Compute log likelihoods and their derivatives in a network's outputs, a panel of rows at a time.

use crate::Likelihood;
use crate::simd::{Lanes, Real, exp, log_at_least_one, softplus_and_slope};
use crate::vector_likelihood::{VectorLikelihood, VectorSum};
use std::sync::Arc;

/// ½ log 2π.
const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_7;

/// The likelihoods with a vector path, and any other row by row.
#[derive(Debug, Clone)]
pub(crate) enum BlockLikelihood {
    /// Each target is normal around its output with this standard deviation.
    Gaussian { noise_sd: f64 },
    /// The same, the logarithm of the standard deviation being the likelihood's one parameter.
    GaussianLearnedNoise,
    /// One target, normal around the first output, the second output being the logarithm of the standard deviation.
    HeteroscedasticGaussian,
    /// A class number 0 or 1, the output being the log odds of 1.
    Bernoulli,
    /// A class number, the outputs being the classes' logits.
    Categorical,
    /// One of those in a file of their own.
    Vector(VectorLikelihood),
    /// A likelihood of the user's.
    RowWise(Arc<dyn Likelihood>),
}

impl BlockLikelihood {
    /// Number of values of one row's target, given the number of outputs.
    pub(crate) fn num_targets(&self, outputs: usize) -> usize {
        match self {
            Self::Gaussian { .. } | Self::GaussianLearnedNoise => outputs,
            Self::HeteroscedasticGaussian | Self::Bernoulli | Self::Categorical => 1,
            Self::Vector(likelihood) => likelihood.num_targets(outputs),
            Self::RowWise(likelihood) => likelihood.num_targets(),
        }
    }

    /// The targets as panels hold them, where they are not the data's.
    pub(crate) fn packed_targets(&self, targets: &[f64]) -> Option<Vec<f64>> {
        if let Self::Vector(likelihood) = self { likelihood.packed_targets(targets) } else { None }
    }

    /// The logarithm of a Gaussian's noise standard deviation; 0 for others.
    fn log_noise_sd(&self, parameters: &[f64]) -> f64 {
        match self {
            Self::Gaussian { noise_sd } => noise_sd.ln(),
            Self::GaussianLearnedNoise => parameters[0],
            _ => 0.0,
        }
    }
}

/// A log likelihood under way: sums over panels, in f64.
#[derive(Debug)]
pub(crate) struct LikelihoodSum<'a> {
    likelihood: &'a BlockLikelihood,
    parameters: &'a [f64],
    parameter_gradient: &'a mut [f64],
    rows: &'a mut RowScratch,
    log_noise_sd: f64,
    precision: f64,
    squares: f64,
    values: usize,
    log_likelihood: f64,
    vector: Option<VectorSum>,
}

/// Room for one row in the row-by-row path.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowScratch {
    pub(crate) outputs: Vec<f64>,
    targets: Vec<f64>,
    pub(crate) d_outputs: Vec<f64>,
}

impl RowScratch {
    pub(crate) fn new(outputs: usize, targets: usize) -> Self {
        Self { outputs: vec![0.0; outputs], targets: vec![0.0; targets], d_outputs: vec![0.0; outputs] }
    }
}

/// One panel as the likelihood sees it; every part is `[feature][vectors]`.
pub(crate) struct LikelihoodPanel<'a, L: Lanes> {
    /// The network's outputs, replaced by the derivative of the log likelihood in them.
    pub(crate) outputs: &'a mut [L::V],
    pub(crate) targets: &'a [L::V],
    /// 1 for rows of the data, 0 for padding.
    pub(crate) mask: &'a [L::V],
    /// Rows of the data in this panel.
    pub(crate) rows: usize,
    pub(crate) num_outputs: usize,
}

impl<'a> LikelihoodSum<'a> {
    pub(crate) fn new(
        likelihood: &'a BlockLikelihood,
        parameters: &'a [f64],
        parameter_gradient: &'a mut [f64],
        rows: &'a mut RowScratch,
    ) -> Self {
        let log_noise_sd = likelihood.log_noise_sd(parameters);
        let precision = (-2.0 * log_noise_sd).exp();
        parameter_gradient.fill(0.0);
        let (squares, values, log_likelihood) = (0.0, 0, 0.0);
        let vector = if let BlockLikelihood::Vector(vector) = likelihood {
            Some(VectorSum::new(vector, parameters, rows))
        } else {
            None
        };
        Self {
            likelihood,
            parameters,
            parameter_gradient,
            rows,
            log_noise_sd,
            precision,
            squares,
            values,
            log_likelihood,
            vector,
        }
    }

    /// Adds a panel's log likelihood and replaces its outputs by the derivatives in them.
    #[inline(always)]
    pub(crate) fn add<L: Lanes>(&mut self, l: L, mut panel: LikelihoodPanel<'_, L>) {
        match self.likelihood {
            BlockLikelihood::Gaussian { .. } | BlockLikelihood::GaussianLearnedNoise => {
                self.values += panel.rows * panel.num_outputs;
                self.squares += gaussian(l, &mut panel, self.precision);
            }
            BlockLikelihood::HeteroscedasticGaussian => {
                self.values += panel.rows;
                self.log_likelihood += l.outline(
                    #[inline(always)]
                    || heteroscedastic(l, &mut panel),
                );
            }
            BlockLikelihood::Bernoulli => {
                self.log_likelihood += l.outline(
                    #[inline(always)]
                    || bernoulli(l, &mut panel),
                )
            }
            BlockLikelihood::Categorical => {
                self.log_likelihood += l.outline(
                    #[inline(always)]
                    || categorical(l, &mut panel),
                )
            }
            BlockLikelihood::Vector(likelihood) => {
                if let Some(vector) = &mut self.vector {
                    l.outline(
                        #[inline(always)]
                        || vector.add(l, likelihood, &mut panel, self.rows),
                    );
                }
            }
            BlockLikelihood::RowWise(likelihood) => {
                self.log_likelihood += row_wise(&**likelihood, &mut panel, self.parameters, self.parameter_gradient, self.rows);
            }
        }
    }

    /// The log likelihood of all panels, with all constants; completes the parameters' gradient.
    pub(crate) fn finish(self) -> f64 {
        let values = self.values as f64;
        match self.likelihood {
            BlockLikelihood::Gaussian { .. } | BlockLikelihood::GaussianLearnedNoise => {
                let scaled = self.precision * self.squares;
                if let [d_log_noise_sd] = self.parameter_gradient {
                    *d_log_noise_sd = scaled - values;
                }
                -0.5 * scaled - values * (self.log_noise_sd + HALF_LOG_TWO_PI)
            }
            BlockLikelihood::Vector(likelihood) => {
                let finish = |sum: VectorSum| sum.finish(likelihood, self.parameters, self.parameter_gradient, self.rows);
                self.vector.map_or(f64::NAN, finish)
            }
            _ => self.log_likelihood - values * HALF_LOG_TWO_PI,
        }
    }
}

/// Returns the sum of squared residuals.
#[inline(always)]
fn gaussian<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>, precision: f64) -> f64 {
    let vectors = panel.mask.len();
    let precision = l.splat(L::E::from_f64(precision));
    let mut squares = l.splat(L::E::ZERO);
    for output in 0..panel.num_outputs {
        let outputs = &mut panel.outputs[output * vectors..][..vectors];
        let targets = &panel.targets[output * vectors..][..vectors];
        for c in 0..vectors {
            let residual = l.mul(l.sub(targets[c], outputs[c]), panel.mask[c]);
            squares = l.fma(residual, residual, squares);
            outputs[c] = l.mul(residual, precision);
        }
    }
    l.sum(squares).to_f64()
}

/// Returns the log likelihood without −½ log 2π a row.
#[inline(always)]
fn heteroscedastic<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>) -> f64 {
    let vectors = panel.mask.len();
    let (means, log_sds) = panel.outputs.split_at_mut(vectors);
    let mut sum = l.splat(L::E::ZERO);
    for c in 0..vectors {
        let mask = panel.mask[c];
        let log_sd = log_sds[c];
        let precision = exp(l, l.mul(log_sd, l.splat(L::E::from_f64(-2.0))));
        let residual = l.sub(panel.targets[c], means[c]);
        let scaled = l.mul(residual, precision);
        let square = l.mul(residual, scaled);
        sum = l.fma(mask, l.fma(square, l.splat(L::E::from_f64(-0.5)), l.neg(log_sd)), sum);
        means[c] = l.mul(scaled, mask);
        log_sds[c] = l.mul(l.sub(square, l.splat(L::E::ONE)), mask);
    }
    l.sum(sum).to_f64()
}

/// log p = −softplus((1 − 2y)·f).
#[inline(always)]
fn bernoulli<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>) -> f64 {
    let vectors = panel.mask.len();
    let one = l.splat(L::E::ONE);
    let mut sum = l.splat(L::E::ZERO);
    for c in 0..vectors {
        let sign = l.sub(one, l.add(panel.targets[c], panel.targets[c]));
        let (softplus, slope) = softplus_and_slope(l, l.mul(sign, panel.outputs[c]));
        sum = l.negative_fma(softplus, panel.mask[c], sum);
        panel.outputs[c] = l.neg(l.mul(l.mul(sign, slope), panel.mask[c]));
    }
    l.sum(sum).to_f64()
}

/// log p = f_y − log Σ exp f, the largest output taken off first.
#[inline(always)]
fn categorical<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>) -> f64 {
    let vectors = panel.mask.len();
    let outputs = &mut *panel.outputs;
    let half = l.splat(L::E::from_f64(0.5));
    let zero = l.splat(L::E::ZERO);
    let mut sum = zero;
    for c in 0..vectors {
        let (mask, class) = (panel.mask[c], panel.targets[c]);
        let mut largest = outputs[c];
        for output in 1..panel.num_outputs {
            largest = l.at_least(outputs[output * vectors + c], largest);
        }
        let mut total = zero;
        let mut own = zero;
        for output in 0..panel.num_outputs {
            let shifted = l.sub(outputs[output * vectors + c], largest);
            let distance = l.abs(l.sub(class, l.splat(L::E::from_f64(output as f64))));
            own = l.select_less(distance, half, shifted, own);
            let share = exp(l, shifted);
            total = l.add(total, share);
            outputs[output * vectors + c] = share;
        }
        sum = l.fma(mask, l.sub(own, log_at_least_one(l, total)), sum);
        let scale = l.div(mask, total);
        for output in 0..panel.num_outputs {
            let distance = l.abs(l.sub(class, l.splat(L::E::from_f64(output as f64))));
            let hit = l.select_less(distance, half, mask, zero);
            let share = outputs[output * vectors + c];
            outputs[output * vectors + c] = l.negative_fma(share, scale, hit);
        }
    }
    l.sum(sum).to_f64()
}

/// Asks a user's likelihood row by row.
fn row_wise<L: Lanes>(
    likelihood: &dyn Likelihood,
    panel: &mut LikelihoodPanel<'_, L>,
    parameters: &[f64],
    parameter_gradient: &mut [f64],
    scratch: &mut RowScratch,
) -> f64 {
    let stride = panel.mask.len() * L::WIDTH;
    let outputs: &mut [L::E] = bytemuck::cast_slice_mut(panel.outputs);
    let targets: &[L::E] = bytemuck::cast_slice(panel.targets);
    let mut sum = 0.0;
    for row in 0..stride {
        if row >= panel.rows {
            for output in 0..panel.num_outputs {
                outputs[output * stride + row] = L::E::ZERO;
            }
            continue;
        }
        for (output, value) in scratch.outputs.iter_mut().enumerate() {
            *value = outputs[output * stride + row].to_f64();
        }
        for (target, value) in scratch.targets.iter_mut().enumerate() {
            *value = targets[target * stride + row].to_f64();
        }
        sum += likelihood.gradient(&scratch.outputs, &scratch.targets, parameters, &mut scratch.d_outputs, parameter_gradient);
        for (output, derivative) in scratch.d_outputs.iter().enumerate() {
            outputs[output * stride + row] = L::E::from_f64(*derivative);
        }
    }
    sum
}
