//! Integrate a network's linear output layer out of its posterior, exactly, and draw it again for each stored draw.

mod evaluator;
mod output_posterior;
mod predictions;
mod recorder;
mod symmetric_inverse;

use crate::capabilities::Capabilities;
use crate::network::{DenseNetwork, FeatureData, Form};
use crate::{Activation, BayesianNetwork, ChainRng, LogDensity, NormalNoise, Posterior, Precision, PriorDraws, Recorder};
use ergodic_draws::{Layout, LayoutError};
use evaluator::Evaluator;
use recorder::OutputRecorder;
use std::sync::Arc;

/// The posterior of a [`BayesianNetwork`] without the weights of its output layer: they are integrated out exactly, and drawn again
/// exactly for each stored draw.
///
/// Given the hidden layers' values Φ (rows × K, with a 1 for the bias), normal noise σ and a normal prior with standard deviations s, an
/// output's weights are normal with precision S⁻² + ΦᵀΦ/σ², and the targets without them are y ~ N(0, σ² + Φ S² Φᵀ). Samplers move in the
/// hidden layers' coordinates, the noise's and the prior's, where the posterior is much less stiff: the output layer no longer has to
/// follow every change of the features. Stored draws have the output layer's weights again, so they are draws of the whole
/// [`BayesianNetwork`], and predictions, log likelihoods, diagnostics and files are its own.
///
/// It needs a linear output layer above at least one hidden layer; a likelihood that is normal around each output with a noise of its
/// own, known or sampled ([`Likelihood::normal_noise`](crate::Likelihood::normal_noise)); and a prior that is independent normal given
/// its scales, fixed or sampled. A gradient costs about n K²/2 + n K² multiply-adds more than the network's own, so layers of up to
/// some hundred units gain. There are no minibatch gradients: the density is no sum over rows.
///
/// ```
/// use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, IntegratedOutput, Network, NormalPrior, Posterior};
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64);
/// let targets = inputs.map(|x| (0.3 * x).sin());
/// let data = Dataset::new(inputs, targets)?;
/// let network = Network::dense(1, &[8], Activation::Tanh, 1)?;
/// let whole = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data)?;
/// let posterior = IntegratedOutput::new(whole)?;
/// // 8 weights, 8 biases and the noise are sampled; 8 weights and a bias more are stored.
/// assert_eq!((posterior.layout().dim(), posterior.draw_layout().dim()), (17, 26));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IntegratedOutput {
    model: BayesianNetwork,
    network: Arc<DenseNetwork>,
    noise: Vec<NormalNoise>,
    /// The log prior of the output layer's coordinates where they stand during an evaluation, which is not part of this density.
    output_log_prior: f64,
    packed: Packed,
    layout: Layout,
}

/// The rows as the gradient wants them; chains share them.
#[derive(Debug, Clone)]
enum Packed {
    Double(Arc<FeatureData<f64>>),
    Single(Arc<FeatureData<f32>>),
}

impl Packed {
    fn new(model: &BayesianNetwork, precision: Precision) -> Self {
        let rows = &model.rows;
        let (inputs, num_inputs, targets, num_targets) = (&rows.inputs, rows.num_inputs, &rows.targets, rows.num_targets);
        match precision {
            Precision::Double => Self::Double(Arc::new(FeatureData::new(inputs, num_inputs, targets, num_targets))),
            Precision::Single => Self::Single(Arc::new(FeatureData::new(inputs, num_inputs, targets, num_targets))),
        }
    }
}

/// Why an output layer cannot be integrated out; the [`BayesianNetwork`] itself can always be sampled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrationError {
    /// The likelihood is not normal around each output with a noise of its own.
    #[error(
        "the output layer cannot be integrated out under the likelihood '{likelihood}': it must be normal around each output, with a \
         noise that the outputs do not change; take Gaussian::known_noise or Gaussian::learned_noise, or sample the whole network"
    )]
    Likelihood {
        /// Name of the likelihood.
        likelihood: &'static str,
    },
    /// The last layer is not linear.
    #[error(
        "the output layer cannot be integrated out: its activation is {activation:?}, and only that of a linear layer \
         (Activation::Identity) leaves a normal distribution; make the last layer linear, or sample the whole network"
    )]
    LastLayer {
        /// Its activation.
        activation: Activation,
    },
    /// A layer of the network is not dense.
    #[error(
        "the output layer can be integrated out of networks of dense layers alone, and this one is {network}; sample the whole network"
    )]
    NotDense {
        /// The network's layers.
        network: String,
    },
    /// There is no layer below the output layer.
    #[error(
        "the network has no hidden layer, so without its output layer no weights are left to sample; sample the whole network"
    )]
    NoHiddenLayer,
    /// The prior is not normal given its scales.
    #[error(
        "the output layer cannot be integrated out under the prior '{prior}': its weights must be independent normal given their \
         scales; take NormalPrior or a prior with sampled scales, or sample the whole network"
    )]
    Prior {
        /// Description of the prior.
        prior: String,
    },
    /// The blocks that are left do not make a layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl IntegratedOutput {
    /// The posterior of `model` with its output layer integrated out, in f64.
    ///
    /// # Errors
    /// When the likelihood is not normal with a noise of its own, the last layer is not linear or is the only one, or the prior is not
    /// normal given its scales.
    pub fn new(model: BayesianNetwork) -> Result<Self, IntegrationError> {
        let Form::Dense(dense) = model.network.form() else {
            return Err(IntegrationError::NotDense { network: model.network.shape() });
        };
        let network = Arc::new(dense.clone());
        let Some((top, hidden)) = network.layers().split_last() else { return Err(IntegrationError::NoHiddenLayer) };
        let likelihood = IntegrationError::Likelihood { likelihood: model.likelihood.name() };
        let Some(noise) = model.likelihood.normal_noise() else { return Err(likelihood) };
        if noise.len() != top.outputs || model.rows.num_targets != top.outputs {
            return Err(likelihood);
        }
        if top.activation != Activation::Identity {
            return Err(IntegrationError::LastLayer { activation: top.activation });
        }
        if hidden.is_empty() {
            return Err(IntegrationError::NoHiddenLayer);
        }
        let output_weights = top.offset..network.num_weights();
        let log_root_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
        let scales = &model.prior.scales()[output_weights.clone()];
        let output_log_prior = match model.prior.reparameterization() {
            // Standard normal coordinates, which stand at 1.
            Some(form) if form.is_scaling() => -(scales.len() as f64) * (0.5 + log_root_two_pi),
            // Weights, which stand at 0.
            None if model.prior.is_normal() => -scales.iter().map(|s| s.ln() + log_root_two_pi).sum::<f64>(),
            _ => return Err(IntegrationError::Prior { prior: model.prior.description() }),
        };
        let blocks = model.layout().blocks().to_vec().into_iter();
        let layout = Layout::new(blocks.filter(|block| !output_weights.contains(&block.offset)).collect())?;
        let packed = Packed::new(&model, Precision::Double);
        Ok(Self { model, network, noise, output_log_prior, packed, layout })
    }

    /// The same posterior with another arithmetic in its features and products over rows.
    ///
    /// With [`Precision::Single`] the sums over blocks of rows, the factor of the output layer's precision, its weights, the log density
    /// and the prior stay in f64. The sums' relative error of about 10⁻⁷ is divided by σ², so f32 is for a noise of at least about 0.03
    /// of the targets' standard deviation; below that take f64.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.packed = Packed::new(&self.model, precision);
        self
    }

    /// The whole network, whose draws these are.
    #[must_use]
    pub fn model(&self) -> &BayesianNetwork {
        &self.model
    }

    /// Number of hidden layers' weights, which are coordinates.
    fn num_hidden_weights(&self) -> usize {
        self.num_weights() - self.num_output_weights()
    }

    fn num_output_weights(&self) -> usize {
        self.features() * self.noise.len()
    }

    /// Number of the network's weights.
    fn num_weights(&self) -> usize {
        self.network.num_weights()
    }

    /// Number of features of the output layer: the last hidden layer's width, and one for the bias.
    fn features(&self) -> usize {
        self.network.layers().last().map_or(0, |top| top.inputs + 1)
    }

    /// Writes the coordinates of the whole network, those of the output layer where an evaluation has them: at 1 where their weights
    /// are then the prior's scales, at 0 otherwise.
    fn expand(&self, position: &[f64], whole: &mut [f64]) {
        let (hidden, rest) = position.split_at(self.num_hidden_weights());
        let (coordinates, parameters) = whole.split_at_mut(self.num_weights());
        let (to, output) = coordinates.split_at_mut(hidden.len());
        to.copy_from_slice(hidden);
        output.fill(if self.model.prior.reparameterization().is_some() { 1.0 } else { 0.0 });
        parameters.copy_from_slice(rest);
    }

    /// Writes what is left of the whole network's coordinates without the output layer's.
    fn contract(&self, whole: &[f64], position: &mut [f64]) {
        let (hidden, rest) = position.split_at_mut(self.num_hidden_weights());
        hidden.copy_from_slice(&whole[..hidden.len()]);
        rest.copy_from_slice(&whole[self.num_weights()..]);
    }

    /// Writes the network's weights at whole coordinates, the prior's scales in place of the output layer's.
    fn weights_and_scales(&self, whole: &[f64], weights: &mut [f64]) {
        let [coordinates, _, parameters] = self.model.parts(whole);
        match self.model.prior.reparameterization() {
            Some(form) => form.weights(coordinates, parameters, weights),
            None => {
                let (hidden, output) = weights.split_at_mut(self.num_hidden_weights());
                hidden.copy_from_slice(&coordinates[..hidden.len()]);
                output.copy_from_slice(&self.model.prior.scales()[hidden.len()..]);
            }
        }
    }

    /// The noise's standard deviation of one output, given the likelihood's parameters.
    fn noise_sd(&self, output: usize, parameters: &[f64]) -> f64 {
        match self.noise[output] {
            NormalNoise::Known(sd) => sd,
            NormalNoise::Parameter(index) => parameters[index].exp(),
        }
    }

    /// Gathers one output's scales, the bias last.
    fn gather_scales(&self, weights: &[f64], output: usize, scales: &mut [f64]) {
        let hidden = self.features() - 1;
        let (of_weights, of_biases) = weights[self.num_hidden_weights()..].split_at(hidden * self.noise.len());
        scales[..hidden].copy_from_slice(&of_weights[output * hidden..][..hidden]);
        scales[hidden] = of_biases[output];
    }
}

impl Posterior for IntegratedOutput {
    fn layout(&self) -> Layout {
        self.layout.clone()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        match &self.packed {
            Packed::Double(data) => Box::new(Evaluator::new(self, data)),
            Packed::Single(data) => Box::new(Evaluator::new(self, data)),
        }
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let mut whole = vec![0.0; self.model.layout().dim()];
        self.model.initial_position(rng, &mut whole);
        self.contract(&whole, position);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        let mut whole = vec![0.0; self.model.layout().dim()];
        self.model.prior_scales(&mut whole);
        self.contract(&whole, scales);
    }

    fn draw_layout(&self) -> Layout {
        self.model.draw_layout()
    }

    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        Some(match &self.packed {
            Packed::Double(data) => Box::new(OutputRecorder::new(self, data)),
            Packed::Single(data) => Box::new(OutputRecorder::new(self, data)),
        })
    }

    fn description(&self) -> serde_json::Value {
        self.model.description()
    }

    /// Outputs and log likelihoods are those of stored draws; draws from the prior are positions.
    fn capabilities(&self) -> Capabilities<'_> {
        let Capabilities { pointwise, outputs, .. } = self.model.capabilities();
        Capabilities { pointwise, outputs, prior: Some(self), ..Capabilities::default() }
    }
}

impl PriorDraws for IntegratedOutput {
    fn draw_prior(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let mut whole = vec![0.0; self.model.layout().dim()];
        self.model.draw_prior(rng, &mut whole);
        self.contract(&whole, position);
    }
}
