//! Temper a posterior: divide its log likelihood and its log prior by temperatures of their own.

use crate::{
    Capabilities, ChainRng, Curvature, EvaluationError, LayerFactors, LogDensity, MinibatchEvaluator, MinibatchGradient,
    MissingCapability, Posterior, Recorder,
};
use ergodic_draws::{Layout, Temperatures};
use nalgebra::DMatrix;

/// A posterior at other temperatures: log density = log likelihood / T_likelihood + log prior / T_prior, and its gradient.
///
/// Both temperatures equal to T < 1 make the cold posterior of Wenzel et al. (2020, 'How good is the Bayes posterior in deep neural
/// networks really?'); (T, 1) makes a power posterior, with the likelihood raised to 1/T. At (1, 1) the draws are those of the
/// posterior, bit for bit. At any other temperatures every table, plot and file of the results says so.
///
/// The log prior is that of the coordinates that are sampled: of unconstrained ones, with the Jacobians of their transforms. Where a
/// scale is sampled by its logarithm, its prior is tempered on the logarithmic scale; where a prior moves in standardised coordinates,
/// theirs is tempered.
///
/// Layout and initial positions are the posterior's own; scales of the prior grow by √T_prior, which is exact for normal priors. Of
/// the [`capabilities`](Posterior::capabilities),
/// - minibatch gradients and curvature stay, rescaled, so that optimisation and Laplace's method see the tempered density;
/// - network outputs stay as they are: predictions use the model's own likelihood, whatever the temperature of the draws;
/// - pointwise log likelihoods stay where T_likelihood is 1, since leave-one-out weights hold for an untempered likelihood only;
/// - prior draws stay where T_prior is 1;
/// - local reparameterisation goes, since its bound does not tell the two parts apart.
///
/// ```
/// use ergodic_draws::Temperatures;
/// use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior, Tempered};
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64);
/// let data = Dataset::new(inputs.clone(), inputs.map(|x| (0.3 * x).sin()))?;
/// let network = Network::dense(1, &[8], Activation::Tanh, 1)?;
/// let posterior = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data)?;
/// let cold = Tempered::new(&posterior, Temperatures::both(0.1))?;
/// assert_eq!(cold.layout(), posterior.layout());
/// assert!(Tempered::new(&posterior, Temperatures { likelihood: 0.0, prior: 1.0 }).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Tempered<'a> {
    posterior: &'a dyn Posterior,
    parts: &'a dyn MinibatchGradient,
    curvature: Option<&'a dyn Curvature>,
    temperatures: Temperatures,
}

impl std::fmt::Debug for Tempered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tempered").field("temperatures", &self.temperatures).finish_non_exhaustive()
    }
}

/// Why a posterior cannot be tempered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemperedError {
    /// A temperature is out of range.
    #[error(
        "the {what} temperature is {value}; it must be a positive number whose reciprocal is finite, and 1 is the posterior"
    )]
    Temperature {
        /// Whose temperature.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// The model does not tell log likelihood and log prior apart.
    #[error(transparent)]
    MissingCapability(#[from] MissingCapability),
}

impl<'a> Tempered<'a> {
    /// `posterior` at `temperatures`.
    ///
    /// # Errors
    /// When a temperature is not positive and finite, or the posterior lacks [`MinibatchGradient`], by which log likelihood and log
    /// prior are told apart.
    pub fn new(posterior: &'a dyn Posterior, temperatures: Temperatures) -> Result<Self, TemperedError> {
        for (what, value) in [("likelihood", temperatures.likelihood), ("prior", temperatures.prior)] {
            if !(value > 0.0 && value.is_finite() && value.recip().is_finite()) {
                return Err(TemperedError::Temperature { what, value });
            }
        }
        let Capabilities { minibatch, curvature, .. } = posterior.capabilities();
        let parts = minibatch.ok_or(MissingCapability { method: "tempering", capability: "MinibatchGradient" })?;
        Ok(Self { posterior, parts, curvature, temperatures })
    }
}

impl Posterior for Tempered<'_> {
    fn layout(&self) -> Layout {
        self.posterior.layout()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        let joint = self.posterior.evaluator();
        if self.temperatures.is_posterior() {
            return joint;
        }
        let prior_gradient = vec![0.0; joint.dim()];
        Box::new(TemperedDensity { joint, parts: self.parts.minibatch_evaluator(), prior_gradient, at: self.temperatures })
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        self.posterior.initial_position(rng, position);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        self.posterior.prior_scales(scales);
        let factor = self.temperatures.prior.sqrt();
        scales.iter_mut().for_each(|scale| *scale *= factor);
    }

    fn draw_layout(&self) -> Layout {
        self.posterior.draw_layout()
    }

    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        self.posterior.recorder()
    }

    fn temperatures(&self) -> Temperatures {
        self.posterior.temperatures().times(self.temperatures)
    }

    fn description(&self) -> serde_json::Value {
        self.posterior.description()
    }

    fn capabilities(&self) -> Capabilities<'_> {
        let own = self.posterior.capabilities();
        if self.temperatures.is_posterior() {
            return own;
        }
        Capabilities {
            minibatch: Some(self),
            curvature: if self.curvature.is_some() { Some(self) } else { None },
            outputs: own.outputs,
            pointwise: own.pointwise.filter(|_| self.temperatures.likelihood == 1.0),
            prior: own.prior.filter(|_| self.temperatures.prior == 1.0),
            local_reparameterization: None,
        }
    }
}

/// The tempered density for one chain.
struct TemperedDensity<'a> {
    joint: Box<dyn LogDensity + Send + 'a>,
    parts: Box<dyn MinibatchEvaluator + Send + 'a>,
    prior_gradient: Vec<f64>,
    at: Temperatures,
}

impl LogDensity for TemperedDensity<'_> {
    fn dim(&self) -> usize {
        self.joint.dim()
    }

    /// joint / T_likelihood + (1 / T_prior − 1 / T_likelihood) · log prior: the joint takes the model's fastest path.
    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let joint = self.joint.log_density_and_gradient(position, gradient)?;
        let scale = self.at.likelihood.recip();
        gradient.iter_mut().for_each(|g| *g *= scale);
        let rest = self.at.prior.recip() - scale;
        if rest == 0.0 {
            return Ok(joint * scale);
        }
        let log_prior = self.parts.log_prior_and_gradient(position, &mut self.prior_gradient)?;
        for (g, prior) in gradient.iter_mut().zip(&self.prior_gradient) {
            *g += rest * prior;
        }
        Ok(joint * scale + rest * log_prior)
    }
}

impl MinibatchGradient for Tempered<'_> {
    fn num_data(&self) -> usize {
        self.parts.num_data()
    }

    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_> {
        Box::new(TemperedParts { parts: self.parts.minibatch_evaluator(), at: self.temperatures })
    }
}

/// Log likelihood and log prior, each divided by its temperature.
struct TemperedParts<'a> {
    parts: Box<dyn MinibatchEvaluator + Send + 'a>,
    at: Temperatures,
}

/// Divides a value and its gradient by a temperature.
fn divide(value: f64, gradient: &mut [f64], temperature: f64) -> f64 {
    let scale = temperature.recip();
    gradient.iter_mut().for_each(|g| *g *= scale);
    value * scale
}

impl MinibatchEvaluator for TemperedParts<'_> {
    fn log_likelihood_and_gradient(
        &mut self,
        position: &[f64],
        rows: &[usize],
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        let value = self.parts.log_likelihood_and_gradient(position, rows, gradient)?;
        Ok(divide(value, gradient, self.at.likelihood))
    }

    fn log_prior_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let value = self.parts.log_prior_and_gradient(position, gradient)?;
        Ok(divide(value, gradient, self.at.prior))
    }
}

impl Curvature for Tempered<'_> {
    fn gauss_newton(&self, position: &[f64]) -> Result<DMatrix<f64>, EvaluationError> {
        let curvature = self.own_curvature()?;
        Ok(curvature.gauss_newton(position)? / self.temperatures.likelihood)
    }

    /// The factors of the outputs carry the temperature.
    fn layer_factors(&self, position: &[f64]) -> Result<Vec<LayerFactors>, EvaluationError> {
        let mut layers = self.own_curvature()?.layer_factors(position)?;
        layers.iter_mut().for_each(|layer| layer.output /= self.temperatures.likelihood);
        Ok(layers)
    }
}

impl<'a> Tempered<'a> {
    fn own_curvature(&self) -> Result<&'a dyn Curvature, EvaluationError> {
        self.curvature.ok_or_else(|| EvaluationError::new("the posterior that is tempered has no curvature"))
    }
}
