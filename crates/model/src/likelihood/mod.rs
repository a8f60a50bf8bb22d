//! Define what a likelihood says about targets, given a network's outputs.

mod bernoulli;
mod categorical;
mod gaussian;

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use gaussian::{Gaussian, Noise};

use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use ergodic_draws::{PredictionKind, Transform};

/// A coordinate that a likelihood adds to the flat position, such as the logarithm of a noise scale.
#[derive(Debug, Clone, PartialEq)]
pub struct LikelihoodParameter {
    /// Name of its block, such as `noise_scale`.
    pub name: &'static str,
    /// How the coordinate is read, on the standardised scale.
    pub transform: Transform,
    /// Mean of the normal prior on the unconstrained coordinate.
    pub prior_mean: f64,
    /// Standard deviation of the normal prior on the unconstrained coordinate.
    pub prior_sd: f64,
}

/// The noise of a target that is normal around an output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormalNoise {
    /// A known standard deviation.
    Known(f64),
    /// The exponential of the likelihood's parameter of this number.
    Parameter(usize),
}

/// A vectorised path over blocks of rows.
#[derive(Debug, Clone)]
pub struct FastPath(pub(crate) BlockLikelihood);

/// The distribution of a row's targets given the network's outputs f for that row.
///
/// Everything here is on the scale the network is trained on (targets standardised, where the model standardises them); log
/// densities are in nats with all constants. `parameters` are the likelihood's own coordinates, unconstrained.
pub trait Likelihood: std::fmt::Debug + Send + Sync {
    /// Name for reports, such as `gaussian, learned noise`.
    fn name(&self) -> &'static str;

    /// Regression or classification.
    fn kind(&self) -> PredictionKind;

    /// Number of network outputs that one row needs.
    fn num_outputs(&self) -> usize;

    /// Number of target values in one row: one per predicted quantity for regression, 1 (the class number) for classification.
    fn num_targets(&self) -> usize;

    /// Number of values of the likelihood's mean: one per target for regression, one per class for classification.
    fn num_means(&self) -> usize;

    /// The coordinates that the likelihood adds; none by default.
    fn parameters(&self) -> Vec<LikelihoodParameter> {
        Vec::new()
    }

    /// Why the likelihood's own settings are out of range, if they are.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Why `targets` (one row) cannot be targets of this likelihood, if they cannot.
    fn check_targets(&self, targets: &[f64]) -> Result<(), String>;

    /// Writes the derivative of a row's log likelihood in the outputs into `d_outputs`, adds that in the parameters to
    /// `d_parameters`, and returns the log likelihood.
    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64;

    /// Writes the negative second derivative of the log likelihood in the outputs, expected over targets (outputs × outputs,
    /// row-major, positive semi-definite).
    fn curvature(&self, outputs: &[f64], parameters: &[f64], matrix: &mut [f64]);

    /// Writes the expected negative second derivative of a row's log likelihood in each of its parameters.
    fn parameter_curvature(&self, _outputs: &[f64], _parameters: &[f64], curvature: &mut [f64]) {
        debug_assert!(curvature.is_empty(), "a likelihood with parameters states their curvature");
    }

    /// The vectorised path over blocks of rows that the library has for its own likelihoods; others are evaluated row by row.
    fn fast_path(&self) -> Option<FastPath> {
        None
    }

    /// The noise of each target, where each target is normal around the output of the same number with a noise that does not depend on
    /// the outputs; none otherwise. [`IntegratedOutput`](crate::IntegratedOutput) needs it.
    fn normal_noise(&self) -> Option<Vec<NormalNoise>> {
        None
    }

    /// Writes the mean of the targets (regression) or the class probabilities (classification).
    fn mean(&self, outputs: &[f64], parameters: &[f64], mean: &mut [f64]);

    /// Writes the variance of each target (regression) or of each class indicator (classification).
    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]);

    /// The entropy of the targets in nats: differential for regression, discrete for classification.
    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64;

    /// Writes simulated targets.
    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]);
}
