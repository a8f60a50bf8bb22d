//! Compute Student-t, Poisson and several-output normal log likelihoods on vectors, a panel of rows at a time.

use crate::likelihood::{IndependentGaussians, NoiseScales, StudentT, StudentTConstants};
use crate::likelihood_block::{LikelihoodPanel, RowScratch};
use crate::simd::{Lanes, Real, exp, log_at_least_one};
use std::sync::Arc;

/// ½ log 2π.
const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_7;

/// The likelihoods of this file.
#[derive(Debug, Clone)]
pub(crate) enum VectorLikelihood {
    /// Student-t noise around the output.
    StudentT(Arc<StudentT>),
    /// A count, the output being the logarithm of its mean; the second target is the logarithm of the count's factorial.
    Poisson,
    /// Each target is normal around its output with its own standard deviation.
    IndependentGaussians(Arc<IndependentGaussians>),
}

impl VectorLikelihood {
    /// Number of values of one row's packed target, given the number of outputs.
    pub(crate) fn num_targets(&self, outputs: usize) -> usize {
        match self {
            Self::StudentT(_) => 1,
            Self::Poisson => 2,
            Self::IndependentGaussians(_) => outputs,
        }
    }

    /// The targets as panels hold them, where they are not the data's.
    pub(crate) fn packed_targets(&self, targets: &[f64]) -> Option<Vec<f64>> {
        match self {
            Self::Poisson => Some(targets.iter().flat_map(|&y| [y, statrs::function::gamma::ln_gamma(y + 1.0)]).collect()),
            _ => None,
        }
    }
}

/// Sums over panels, in f64.
#[derive(Debug)]
pub(crate) struct VectorSum {
    constants: Option<StudentTConstants>,
    rows: usize,
    logarithms: f64,
    shares: f64,
    log_likelihood: f64,
}

impl VectorSum {
    /// Starts at zero; `scratch` keeps a precision and a sum of squares for each output.
    pub(crate) fn new(likelihood: &VectorLikelihood, parameters: &[f64], scratch: &mut RowScratch) -> Self {
        let mut constants = None;
        match likelihood {
            VectorLikelihood::StudentT(student) => constants = Some(student.constants(parameters)),
            VectorLikelihood::Poisson => {}
            VectorLikelihood::IndependentGaussians(gaussians) => {
                for (output, precision) in scratch.outputs.iter_mut().enumerate() {
                    *precision = (-2.0 * gaussians.log_sd(output, parameters)).exp();
                }
                scratch.d_outputs.fill(0.0);
            }
        }
        Self { constants, rows: 0, logarithms: 0.0, shares: 0.0, log_likelihood: 0.0 }
    }

    /// Adds a panel, and replaces its outputs by the derivatives in them.
    #[inline(always)]
    pub(crate) fn add<L: Lanes>(
        &mut self,
        l: L,
        likelihood: &VectorLikelihood,
        panel: &mut LikelihoodPanel<'_, L>,
        scratch: &mut RowScratch,
    ) {
        self.rows += panel.rows;
        match (likelihood, &self.constants) {
            (VectorLikelihood::StudentT(_), Some(constants)) => {
                let (logarithms, shares) = student_t(l, panel, constants);
                self.logarithms += logarithms;
                self.shares += shares;
            }
            (VectorLikelihood::IndependentGaussians(_), _) => independent_gaussians(l, panel, scratch),
            _ => self.log_likelihood += poisson(l, panel),
        }
    }

    /// The log likelihood of all panels, with all constants; completes the parameters' gradient.
    pub(crate) fn finish(
        &self,
        likelihood: &VectorLikelihood,
        parameters: &[f64],
        parameter_gradient: &mut [f64],
        scratch: &RowScratch,
    ) -> f64 {
        let rows = self.rows as f64;
        match (likelihood, &self.constants) {
            (VectorLikelihood::StudentT(student), Some(constants)) => {
                student.add_parameter_gradient(constants, [rows, self.logarithms, self.shares], parameter_gradient);
                rows * constants.log_peak - 0.5 * (constants.degrees + 1.0) * self.logarithms
            }
            (VectorLikelihood::IndependentGaussians(gaussians), _) => {
                let mut sum = 0.0;
                for (output, (precision, squares)) in scratch.outputs.iter().zip(&scratch.d_outputs).enumerate() {
                    let scaled = precision * squares;
                    if let (NoiseScales::Learned { .. }, Some(d)) = (&gaussians.noise, parameter_gradient.get_mut(output)) {
                        *d = scaled - rows;
                    }
                    sum -= 0.5 * scaled + rows * (gaussians.log_sd(output, parameters) + HALF_LOG_TWO_PI);
                }
                sum
            }
            _ => self.log_likelihood,
        }
    }
}

/// Returns the sums of ln(1 + w²) and of w²/(1 + w²), with w = (y − f)/(σ√ν).
#[inline(always)]
fn student_t<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>, constants: &StudentTConstants) -> (f64, f64) {
    let (zero, one) = (l.splat(L::E::ZERO), l.splat(L::E::ONE));
    let inverse_width = l.splat(L::E::from_f64(constants.inverse_width));
    let factor = l.splat(L::E::from_f64((constants.degrees + 1.0) * constants.inverse_width));
    // Beyond, the rounding of 1 + w² is not seen in its logarithm, and its correction might be ∞ − ∞.
    let large = l.splat(L::E::from_f64(1e12));
    let (mut logarithms, mut shares) = (zero, zero);
    for c in 0..panel.mask.len() {
        let w = l.mul(l.sub(panel.targets[c], panel.outputs[c]), inverse_width);
        let square = l.mul(w, w);
        let sum = l.add(one, square);
        let lost = l.div(l.sub(square, l.sub(sum, one)), sum);
        let logarithm = l.add(log_at_least_one(l, sum), l.select_less(square, large, lost, zero));
        let slope = l.mul(l.div(w, sum), panel.mask[c]);
        logarithms = l.fma(logarithm, panel.mask[c], logarithms);
        shares = l.fma(w, slope, shares);
        panel.outputs[c] = l.mul(factor, slope);
    }
    (l.sum(logarithms).to_f64(), l.sum(shares).to_f64())
}

/// Returns the sum of y f − exp f − ln y!.
#[inline(always)]
fn poisson<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>) -> f64 {
    let vectors = panel.mask.len();
    let zero = l.splat(L::E::ZERO);
    let (counts, log_factorials) = panel.targets.split_at(vectors);
    let mut sum = zero;
    for c in 0..vectors {
        let (f, y) = (panel.outputs[c], counts[c]);
        let mean = exp(l, f);
        let value = l.sub(l.sub(l.mul(y, f), mean), log_factorials[c]);
        // Padding is left out by choice, not by a product: its mean may be infinite.
        sum = l.add(sum, l.select_less(zero, panel.mask[c], value, zero));
        panel.outputs[c] = l.select_less(zero, panel.mask[c], l.sub(y, mean), zero);
    }
    l.sum(sum).to_f64()
}

/// Adds each output's sum of squared residuals to the scratch.
#[inline(always)]
fn independent_gaussians<L: Lanes>(l: L, panel: &mut LikelihoodPanel<'_, L>, scratch: &mut RowScratch) {
    let vectors = panel.mask.len();
    for output in 0..panel.num_outputs {
        let precision = l.splat(L::E::from_f64(scratch.outputs[output]));
        let outputs = &mut panel.outputs[output * vectors..][..vectors];
        let targets = &panel.targets[output * vectors..][..vectors];
        let mut squares = l.splat(L::E::ZERO);
        for c in 0..vectors {
            let residual = l.mul(l.sub(targets[c], outputs[c]), panel.mask[c]);
            squares = l.fma(residual, residual, squares);
            outputs[c] = l.mul(residual, precision);
        }
        scratch.d_outputs[output] += l.sum(squares).to_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood_block::BlockLikelihood;
    use crate::network::DenseNetwork;
    use crate::network::{FusedData, FusedGradient};
    use crate::simd::elementary_tests::instruction_sets;
    use crate::{Activation, Likelihood, Poisson};
    use pulp::Arch;

    /// Value and gradient of a network by the vector path and row by row.
    fn both<E: Real>(
        likelihood: Arc<dyn Likelihood>,
        arch: Arch,
        weights: &[f64],
        inputs: &[f64],
        targets: &[f64],
    ) -> [Vec<f64>; 2] {
        let outputs = likelihood.num_outputs();
        let width = inputs.len() * likelihood.num_targets() / targets.len();
        let hidden: &[usize] = if weights.len() == (width + 1) * outputs { &[] } else { &[6] };
        let network = Arc::new(DenseNetwork::dense(width, hidden, Activation::Tanh, outputs).unwrap());
        let parameters: Vec<f64> = (0..likelihood.num_parameters()).map(|i| 0.3 - 0.5 * i as f64).collect();
        let fast = likelihood.fast_path().unwrap().0;
        assert!(matches!(fast, BlockLikelihood::Vector(_)));
        [fast, BlockLikelihood::RowWise(likelihood)].map(|likelihood| {
            let packed = likelihood.packed_targets(targets);
            let targets = packed.as_deref().unwrap_or(targets);
            let data = Arc::new(FusedData::<E>::new(inputs, width, targets, likelihood.num_targets(outputs)));
            let mut gradient = FusedGradient::with_arch(Arc::clone(&network), data, likelihood, arch);
            let (mut d_weights, mut d_parameters) = (vec![f64::NAN; weights.len()], vec![f64::NAN; parameters.len()]);
            let value = gradient.log_likelihood_and_gradient(weights, &parameters, &mut d_weights, &mut d_parameters);
            [vec![value], d_weights, d_parameters].concat()
        })
    }

    fn agree(found: &[f64], expected: &[f64], tolerance: f64) {
        let scale = expected.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= tolerance * scale, "{i}: {a} and {b}");
        }
    }

    #[test]
    fn vectors_give_what_rows_give_on_every_instruction_set() {
        let likelihoods: [(Arc<dyn Likelihood>, bool); 4] = [
            (Arc::new(StudentT::learned()), false),
            (Arc::new(StudentT::known(1e7, 0.4)), false),
            (Arc::new(Poisson), true),
            (Arc::new(IndependentGaussians::learned_noise(3)), false),
        ];
        for (likelihood, count) in likelihoods {
            for rows in [1, 45, 64, 131] {
                let inputs: Vec<f64> = (0..2 * rows).map(|i| (1.3 * i as f64).sin()).collect();
                let number = rows * likelihood.num_targets();
                let target = |i: usize| if count { (i * i % 7) as f64 } else { (0.7 * i as f64).cos() };
                let targets: Vec<f64> = (0..number).map(target).collect();
                let weights: Vec<f64> = (0..18 + 7 * likelihood.num_outputs()).map(|i| (2.1 * i as f64).sin()).collect();
                for arch in instruction_sets() {
                    let [fast, plain] = both::<f64>(Arc::clone(&likelihood), arch, &weights, &inputs, &targets);
                    agree(&fast, &plain, 1e-12);
                    let [fast, plain] = both::<f32>(Arc::clone(&likelihood), arch, &weights, &inputs, &targets);
                    agree(&fast, &plain, 1e-5);
                }
            }
        }
    }

    #[test]
    fn an_infinite_mean_of_padding_is_not_seen() {
        // One row whose output is 1; at inputs of zero, as padding has them, the mean overflows.
        for arch in instruction_sets() {
            let [fast, plain] = both::<f64>(Arc::new(Poisson), arch, &[-800.0, 801.0], &[1.0], &[2.0]);
            agree(&fast, &plain, 1e-12);
            assert!(fast.iter().all(|x| x.is_finite()), "{fast:?}");
        }
    }
}
