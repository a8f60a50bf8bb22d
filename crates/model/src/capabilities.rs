//! Define what a model can do beyond its log density, each ability a small trait.

use crate::{ChainRng, EvaluationError, Likelihood};
use nalgebra::DMatrix;

/// The abilities of a posterior; a method that needs one the model lacks says so by the trait's name.
#[derive(Clone, Copy, Default)]
pub struct Capabilities<'a> {
    /// Gradients of the log likelihood of some rows, and of the prior apart.
    pub minibatch: Option<&'a dyn MinibatchGradient>,
    /// Log likelihood of each observation.
    pub pointwise: Option<&'a dyn PointwiseLogLikelihood>,
    /// Draws from the prior.
    pub prior: Option<&'a dyn PriorDraws>,
    /// Network outputs for given inputs.
    pub outputs: Option<&'a dyn NetworkOutputs>,
    /// Curvature of the log likelihood.
    pub curvature: Option<&'a dyn Curvature>,
    /// Evidence lower bound by local reparameterisation.
    pub local_reparameterization: Option<&'a dyn LocalReparameterization>,
}

impl std::fmt::Debug for Capabilities<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capabilities")
            .field("minibatch", &self.minibatch.is_some())
            .field("pointwise", &self.pointwise.is_some())
            .field("prior", &self.prior.is_some())
            .field("outputs", &self.outputs.is_some())
            .field("curvature", &self.curvature.is_some())
            .field("local_reparameterization", &self.local_reparameterization.is_some())
            .finish()
    }
}

/// A method needs an ability that the model lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{method} needs a model that implements {capability}; this one does not, or does not list it in Posterior::capabilities"
)]
pub struct MissingCapability {
    /// The method that was asked for.
    pub method: &'static str,
    /// The trait that is missing.
    pub capability: &'static str,
}

/// Gradients over some rows of the data.
pub trait MinibatchGradient: Sync {
    /// Number of rows.
    fn num_data(&self) -> usize;

    /// An evaluator for one chain.
    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_>;
}

/// Evaluates parts of a log density; the library alone scales them, also by temperature ([`Tempered`](crate::Tempered)).
pub trait MinibatchEvaluator {
    /// Writes the gradient of the plain sum of log likelihoods over `rows`, and returns that sum: no factor of N/n, no temperature.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn log_likelihood_and_gradient(
        &mut self,
        position: &[f64],
        rows: &[usize],
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError>;

    /// Writes the gradient of the log prior, and returns the log prior.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn log_prior_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError>;
}

/// The log likelihood of each observation.
pub trait PointwiseLogLikelihood: Sync {
    /// Number of observations.
    fn num_data(&self) -> usize;

    /// Writes the log likelihood of each observation, constants included, in the unit the model was given the targets in.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn log_likelihood_each(&self, position: &[f64], log_likelihood: &mut [f64]) -> Result<(), EvaluationError>;
}

/// Draws from the prior.
pub trait PriorDraws: Sync {
    /// Writes one draw from the prior.
    fn draw_prior(&self, rng: &mut ChainRng, position: &mut [f64]);
}

/// Network outputs for given inputs, and what they mean for targets.
pub trait NetworkOutputs: Sync {
    /// Number of coordinates of a position.
    fn num_coordinates(&self) -> usize;

    /// Number of inputs of the network.
    fn num_inputs(&self) -> usize;

    /// Number of outputs of the network.
    fn num_outputs(&self) -> usize;

    /// The likelihood that reads the outputs.
    fn likelihood(&self) -> &dyn Likelihood;

    /// The likelihood's parameters in a position, unconstrained; its last coordinates by default.
    fn likelihood_parameters<'p>(&self, position: &'p [f64]) -> &'p [f64] {
        &position[position.len() - self.likelihood().parameters().len()..]
    }

    /// Name of the target, with its unit if it has one.
    fn target_name(&self) -> &str;

    /// Mean and standard deviation of each target by which the model standardises; `(0, 1)` where it does not. Outputs and the
    /// likelihood are on the standardised scale.
    fn target_scales(&self) -> &[(f64, f64)];

    /// Makes one evaluator for many positions at the same inputs (rows × inputs, in the unit the model was given them in).
    ///
    /// # Errors
    /// When `inputs` has another number of columns than the network has inputs, or a value that is not finite.
    fn output_evaluator(&self, inputs: &DMatrix<f64>) -> Result<Box<dyn OutputEvaluator + Send + '_>, EvaluationError>;
}

/// Evaluates a network's outputs at inputs fixed before.
pub trait OutputEvaluator {
    /// Writes the outputs on the standardised scale, row after row (rows × outputs).
    fn outputs(&mut self, position: &[f64], outputs: &mut [f64]);
}

/// Curvature of the log likelihood, as Laplace's method needs it.
pub trait Curvature: Sync {
    /// The generalised Gauss–Newton matrix Σₙ JₙᵀΛₙJₙ of the negative log likelihood (dim × dim, positive semi-definite), where J is
    /// the Jacobian of the outputs and Λ the negative Hessian of the log likelihood in them; the noise parameter's own curvature
    /// stands on its diagonal entry.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn gauss_newton(&self, position: &[f64]) -> Result<DMatrix<f64>, EvaluationError>;

    /// The Kronecker factors of each dense layer's Gauss–Newton block.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn layer_factors(&self, position: &[f64]) -> Result<Vec<LayerFactors>, EvaluationError>;
}

/// Kronecker factors of one layer's Gauss–Newton block.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFactors {
    /// The layer, counted from the input.
    pub layer: usize,
    /// Mean over rows of the outer product of the layer's inputs, with a 1 appended for the bias (inputs + 1 squared).
    pub input: DMatrix<f64>,
    /// Sum over rows of the outer products of the outputs' curvature seen from the layer's pre-activations (width squared).
    pub output: DMatrix<f64>,
}

/// The evidence lower bound of an independent normal approximation, by sampling pre-activations instead of weights (Kingma et al. 2015).
pub trait LocalReparameterization: Sync {
    /// An evaluator for one optimisation.
    fn local_evaluator(&self) -> Box<dyn LocalEvaluator + Send + '_>;
}

/// Estimates the evidence lower bound of q = N(mean, diag sd²) and its gradient.
pub trait LocalEvaluator {
    /// Returns an unbiased estimate, in nats, of E_q[log likelihood] − KL(q‖prior), KL in closed form and summed over all
    /// coordinates, and writes its gradient in the mean and in the standard deviation.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all.
    fn evidence_lower_bound(
        &mut self,
        mean: &[f64],
        sd: &[f64],
        rng: &mut ChainRng,
        mean_gradient: &mut [f64],
        sd_gradient: &mut [f64],
    ) -> Result<f64, EvaluationError>;
}
