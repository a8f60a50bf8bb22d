//! Read a network's outputs as the means of several normal targets, each with its own noise.

use super::{FastPath, Likelihood, LikelihoodParameter, NormalNoise};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use crate::vector_likelihood::VectorLikelihood;
use ergodic_draws::{PredictionKind, Transform};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// The noise of [`IndependentGaussians`], on the scale the network is trained on: in standard deviations of each target, where the model
/// standardises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseScales {
    /// The standard deviation of each target's noise.
    Known(Vec<f64>),
    /// The logarithms of the standard deviations are coordinates, each with the same normal prior.
    Learned {
        /// Number of targets.
        targets: usize,
        /// Prior mean of each ln σ.
        prior_mean: f64,
        /// Prior standard deviation of each ln σ.
        prior_sd: f64,
    },
}

/// Several normal targets, independent given the network: `y_k ~ N(f_k(x), σ_k²)`, with an output and a noise scale for each.
///
/// Learned scales are the block `noise_scale`, named `noise_scale[0]`, `noise_scale[1]`, … in the order of the targets, each read in its
/// own target's unit.
///
/// ```
/// use ergodic_model::{IndependentGaussians, Likelihood};
/// let likelihood = IndependentGaussians::learned_noise(3);
/// assert_eq!((likelihood.num_outputs(), likelihood.num_targets(), likelihood.num_parameters()), (3, 3, 3));
/// assert_eq!(likelihood.parameters()[0].name, "noise_scale");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndependentGaussians {
    /// The noise.
    pub noise: NoiseScales,
}

impl IndependentGaussians {
    /// Noise of known standard deviations, one a target.
    #[must_use]
    pub fn known_noise(sds: &[f64]) -> Self {
        Self { noise: NoiseScales::Known(sds.to_vec()) }
    }

    /// Noise of `targets` targets with standard deviations that are sampled along; each `ln σ ~ N(0, 1)` on the standardised scale.
    #[must_use]
    pub fn learned_noise(targets: usize) -> Self {
        Self { noise: NoiseScales::Learned { targets, prior_mean: 0.0, prior_sd: 1.0 } }
    }

    fn targets(&self) -> usize {
        match &self.noise {
            NoiseScales::Known(sds) => sds.len(),
            NoiseScales::Learned { targets, .. } => *targets,
        }
    }

    pub(crate) fn log_sd(&self, target: usize, parameters: &[f64]) -> f64 {
        match &self.noise {
            NoiseScales::Known(sds) => sds[target].ln(),
            NoiseScales::Learned { .. } => parameters[target],
        }
    }
}

impl Likelihood for IndependentGaussians {
    fn name(&self) -> &'static str {
        match self.noise {
            NoiseScales::Known(_) => "independent gaussians, known noise",
            NoiseScales::Learned { .. } => "independent gaussians, learned noise",
        }
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }

    fn num_outputs(&self) -> usize {
        self.targets()
    }

    fn num_targets(&self) -> usize {
        self.targets()
    }

    fn num_means(&self) -> usize {
        self.targets()
    }

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        match self.noise {
            NoiseScales::Known(_) => Vec::new(),
            NoiseScales::Learned { targets, prior_mean, prior_sd } => {
                let scales = LikelihoodParameter::new("noise_scale", prior_mean, prior_sd).with_shape(&[targets]);
                vec![scales.with_transform(Transform::EXP).in_unit_of(0)]
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.targets() == 0 {
            return Err("a likelihood of no targets; give at least one noise scale".to_owned());
        }
        match &self.noise {
            NoiseScales::Known(sds) => match sds.iter().position(|sd| !(sd.is_finite() && *sd > 0.0)) {
                None => Ok(()),
                Some(target) => {
                    let sd = sds[target];
                    Err(format!(
                        "the known noise of target {target} has standard deviation {sd}; it must be positive and finite"
                    ))
                }
            },
            NoiseScales::Learned { prior_mean, prior_sd, .. } => {
                if prior_mean.is_finite() && prior_sd.is_finite() && *prior_sd > 0.0 {
                    return Ok(());
                }
                Err(format!("the prior of each ln σ is N({prior_mean}, {prior_sd}²); the sd must be positive and both finite"))
            }
        }
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        match targets.iter().position(|target| !target.is_finite()) {
            None => Ok(()),
            Some(target) => Err(format!("target {target} is {}, not a finite number", targets[target])),
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
        let mut sum = 0.0;
        for (k, (f, y)) in outputs.iter().zip(targets).enumerate() {
            let log_sd = self.log_sd(k, parameters);
            // Twice the inverse of σ rather than once that of σ²: a residual of zero stays one for any σ.
            let inverse = (-log_sd).exp();
            let z = (y - f) * inverse;
            let scaled = z * z;
            d_outputs[k] = z * inverse;
            if let Some(d) = d_parameters.get_mut(k) {
                *d += scaled - 1.0;
            }
            sum -= 0.5 * scaled + log_sd + HALF_LN_2PI;
        }
        sum
    }

    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        matrix.fill(0.0);
        for k in 0..outputs.len() {
            matrix[k * (outputs.len() + 1)] = (-2.0 * self.log_sd(k, parameters)).exp();
        }
    }

    fn parameter_curvature(&self, _: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        matrix.fill(0.0);
        matrix.iter_mut().step_by(parameters.len() + 1).for_each(|entry| *entry = 2.0);
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(BlockLikelihood::Vector(VectorLikelihood::IndependentGaussians(Arc::new(self.clone())))))
    }

    fn normal_noise(&self) -> Option<Vec<NormalNoise>> {
        Some(match &self.noise {
            NoiseScales::Known(sds) => sds.iter().map(|&sd| NormalNoise::Known(sd)).collect(),
            NoiseScales::Learned { targets, .. } => (0..*targets).map(NormalNoise::Parameter).collect(),
        })
    }

    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        mean.copy_from_slice(outputs);
    }

    fn variance(&self, _: &[f64], parameters: &[f64], variance: &mut [f64]) {
        for (k, variance) in variance.iter_mut().enumerate() {
            *variance = (2.0 * self.log_sd(k, parameters)).exp();
        }
    }

    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        (0..outputs.len()).map(|k| self.log_sd(k, parameters) + HALF_LN_2PI + 0.5).sum()
    }

    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        for (k, (y, f)) in targets.iter_mut().zip(outputs).enumerate() {
            let z: f64 = StandardNormal.sample(rng);
            *y = f + self.log_sd(k, parameters).exp() * z;
        }
    }
}
