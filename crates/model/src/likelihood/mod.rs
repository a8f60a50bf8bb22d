//! Define what a likelihood says about targets, given a network's outputs.

mod bernoulli;
mod categorical;
mod count;
mod gaussian;
mod independent_gaussians;
mod negative_binomial;
mod ordinal;
mod parameter;
mod poisson;
mod product;
mod special;
mod student_t;

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use gaussian::{Gaussian, Noise};
pub use independent_gaussians::{IndependentGaussians, NoiseScales};
pub use negative_binomial::NegativeBinomial;
pub use ordinal::Ordinal;
pub use parameter::{LikelihoodParameter, Positive};
pub use poisson::Poisson;
pub use product::Product;
pub use student_t::StudentT;
pub(crate) use student_t::StudentTConstants;

use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use ergodic_draws::PredictionKind;

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

    /// Regression or classification; counts are a regression, of whole numbers.
    fn kind(&self) -> PredictionKind;

    /// Whether target `target` is measured in a unit and from a zero that the model may choose, so that it may be standardised: real
    /// quantities are, counts and classes are not. By default all targets of a regression.
    fn standardizes_target(&self, _target: usize) -> bool {
        self.kind() == PredictionKind::Regression
    }

    /// Number of network outputs that one row needs.
    fn num_outputs(&self) -> usize;

    /// Number of target values in one row: one per predicted quantity for regression, 1 (the class number) for classification.
    fn num_targets(&self) -> usize;

    /// Number of values of the likelihood's mean: one per target for regression, one per class for classification.
    fn num_means(&self) -> usize;

    /// The blocks of coordinates that the likelihood adds, in their order; none by default.
    fn parameters(&self) -> Vec<LikelihoodParameter> {
        Vec::new()
    }

    /// Number of coordinates of all [`parameters`](Self::parameters).
    fn num_parameters(&self) -> usize {
        self.parameters().iter().map(LikelihoodParameter::len).sum()
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

    /// Writes the negative second derivative of a row's log likelihood in its parameters, expected over targets (parameters ×
    /// parameters, row-major, positive semi-definite).
    fn parameter_curvature(&self, _outputs: &[f64], _parameters: &[f64], matrix: &mut [f64]) {
        debug_assert!(matrix.is_empty(), "a likelihood with parameters states their curvature");
    }

    /// Writes the negative second derivative in an output and a parameter, expected over targets (outputs × parameters, row-major);
    /// zero by default, as for a location and the scale of a symmetric noise.
    fn mixed_curvature(&self, _outputs: &[f64], _parameters: &[f64], matrix: &mut [f64]) {
        matrix.fill(0.0);
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

    /// Writes the mean of the targets (regression) or the class probabilities (classification). A distribution without a mean writes
    /// its centre, and says so.
    fn mean(&self, outputs: &[f64], parameters: &[f64], mean: &mut [f64]);

    /// Writes the variance of each target (regression) or of each class indicator (classification); ∞ where it diverges.
    fn variance(&self, outputs: &[f64], parameters: &[f64], variance: &mut [f64]);

    /// The entropy of the targets in nats: differential for real targets, discrete for counts and classes.
    fn entropy(&self, outputs: &[f64], parameters: &[f64]) -> f64;

    /// Writes simulated targets.
    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]);
}
