//! Read a network's outputs as the mean of normal targets, with known, learned or input-dependent noise.

use super::{FastPath, Likelihood, LikelihoodParameter, NormalNoise};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use ergodic_draws::{PredictionKind, Transform};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// The noise of a [`Gaussian`] likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// The standard deviation is known, on the scale the network is trained on (in standard deviations of the target, where the
    /// model standardises).
    Known {
        /// Standard deviation.
        sd: f64,
    },
    /// The standard deviation σ is one more coordinate, `ln σ`, with a normal prior.
    Learned {
        /// Prior mean of `ln σ`.
        prior_mean: f64,
        /// Prior standard deviation of `ln σ`.
        prior_sd: f64,
    },
    /// The network's second output is `ln σ(x)`: the noise depends on the input (Nix & Weigend 1994).
    InputDependent,
}

/// Normal targets: `y ~ N(f(x), σ²)`, with f the network's first output.
///
/// ```
/// use ergodic_model::{Gaussian, Likelihood};
/// assert_eq!(Gaussian::learned_noise().parameters()[0].name, "noise_scale");
/// assert_eq!(Gaussian::input_dependent_noise().num_outputs(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// The noise.
    pub noise: Noise,
}

impl Gaussian {
    /// Noise of known standard deviation.
    #[must_use]
    pub fn known_noise(sd: f64) -> Self {
        Self { noise: Noise::Known { sd } }
    }

    /// Noise with a standard deviation that is sampled along; `ln σ ~ N(0, 1)` on the standardised scale.
    #[must_use]
    pub fn learned_noise() -> Self {
        Self { noise: Noise::Learned { prior_mean: 0.0, prior_sd: 1.0 } }
    }

    /// Noise whose logarithm is a second output of the network.
    #[must_use]
    pub fn input_dependent_noise() -> Self {
        Self { noise: Noise::InputDependent }
    }

    /// The logarithm of the noise's standard deviation.
    fn log_sd(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        match self.noise {
            Noise::Known { sd } => sd.ln(),
            Noise::Learned { .. } => parameters[0],
            Noise::InputDependent => outputs[1],
        }
    }
}

impl Likelihood for Gaussian {
    fn name(&self) -> &'static str {
        match self.noise {
            Noise::Known { .. } => "gaussian, known noise",
            Noise::Learned { .. } => "gaussian, learned noise",
            Noise::InputDependent => "gaussian, input-dependent noise",
        }
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }

    fn num_outputs(&self) -> usize {
        if self.noise == Noise::InputDependent { 2 } else { 1 }
    }

    fn num_targets(&self) -> usize {
        1
    }

    fn num_means(&self) -> usize {
        1
    }

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        match self.noise {
            Noise::Learned { prior_mean, prior_sd } => {
                let scale = LikelihoodParameter::new("noise_scale", prior_mean, prior_sd);
                vec![scale.with_transform(Transform::EXP).in_unit_of(0)]
            }
            _ => Vec::new(),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.noise {
            Noise::Known { sd } if !(sd.is_finite() && sd > 0.0) => {
                Err(format!("the known noise has standard deviation {sd}; it must be positive and finite"))
            }
            Noise::Learned { prior_mean, prior_sd } if !(prior_mean.is_finite() && prior_sd.is_finite() && prior_sd > 0.0) => {
                Err(format!("the prior of ln σ is N({prior_mean}, {prior_sd}²); the sd must be positive and both finite"))
            }
            _ => Ok(()),
        }
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        if targets[0].is_finite() { Ok(()) } else { Err(format!("the target is {}, not a finite number", targets[0])) }
    }

    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64 {
        let log_sd = self.log_sd(outputs, parameters);
        // Twice the inverse of σ rather than once that of σ²: a residual of zero stays one for any σ.
        let inverse = (-log_sd).exp();
        let z = (targets[0] - outputs[0]) * inverse;
        let scaled = z * z;
        d_outputs[0] = z * inverse;
        match self.noise {
            Noise::Known { .. } => {}
            Noise::Learned { .. } => d_parameters[0] += scaled - 1.0,
            Noise::InputDependent => d_outputs[1] = scaled - 1.0,
        }
        -0.5 * scaled - log_sd - HALF_LN_2PI
    }

    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let precision = (-2.0 * self.log_sd(outputs, parameters)).exp();
        matrix.fill(0.0);
        matrix[0] = precision;
        if self.noise == Noise::InputDependent {
            matrix[3] = 2.0;
        }
    }

    fn parameter_curvature(&self, _outputs: &[f64], _parameters: &[f64], matrix: &mut [f64]) {
        if let Some(c) = matrix.first_mut() {
            *c = 2.0;
        }
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(match self.noise {
            Noise::Known { sd } => BlockLikelihood::Gaussian { noise_sd: sd },
            Noise::Learned { .. } => BlockLikelihood::GaussianLearnedNoise,
            Noise::InputDependent => BlockLikelihood::HeteroscedasticGaussian,
        }))
    }

    fn normal_noise(&self) -> Option<Vec<NormalNoise>> {
        match self.noise {
            Noise::Known { sd } => Some(vec![NormalNoise::Known(sd)]),
            Noise::Learned { .. } => Some(vec![NormalNoise::Parameter(0)]),
            Noise::InputDependent => None,
        }
    }

    fn mean(&self, outputs: &[f64], _parameters: &[f64], mean: &mut [f64]) {
        mean[0] = outputs[0];
    }

    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]) {
        variance[0] = (2.0 * self.log_sd(outputs, parameters)).exp();
    }

    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64 {
        self.log_sd(outputs, parameters) + HALF_LN_2PI + 0.5
    }

    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        let z: f64 = StandardNormal.sample(rng);
        targets[0] = outputs[0] + self.log_sd(outputs, parameters).exp() * z;
    }
}
