//! Join a network, a likelihood, a prior and data to a posterior.

mod curvature;
mod gradient;
mod local_reparameterization;
mod minibatch;
mod outputs;
mod plain_evaluator;
mod pointwise;
mod predictions;
mod recorder;

use crate::capabilities::Capabilities;
use crate::prior::PriorError;
use crate::{
    BoundPrior, ChainRng, DataError, Dataset, EvaluationError, Likelihood, LogDensity, Network, NetworkError, Posterior,
    Precision, Prior, PriorDraws, Recorder, RowThreads, Standardization, Tensor,
};
use ergodic_draws::{Block, Layout, LayoutError, PredictionKind};
use gradient::{Evaluator, PackedData};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use recorder::WeightRecorder;
use std::sync::Arc;

/// The posterior of a network's weights, its likelihood's parameters and its prior's, given data.
///
/// The log density is Σₙ ln p(yₙ | f(xₙ; w), θ) + ln p(w | τ) + ln p(θ) + ln p(τ), in nats, with all constants. The flat position
/// holds a coordinate for each of the network's weights, then the likelihood's parameters θ and those of the prior τ, as
/// [`layout`](Posterior::layout) names them. Draws always hold the weights themselves, also where the prior moves in other coordinates.
///
/// Inputs, and targets that the likelihood says may be (real quantities, not counts or classes), are standardised by the rows the
/// posterior is built on; predictions come back in the unit the targets were given in.
///
/// ```
/// use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior};
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64);
/// let targets = inputs.map(|x| (0.3 * x).sin());
/// let data = Dataset::new(inputs, targets)?;
/// let network = Network::dense(1, &[8], Activation::Tanh, 1)?;
/// let posterior = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data)?;
/// assert_eq!(posterior.layout().coordinate_name(25), "noise_scale");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BayesianNetwork {
    pub(crate) network: Network,
    pub(crate) likelihood: Arc<dyn Likelihood>,
    pub(crate) parameters: Vec<ParameterPrior>,
    pub(crate) prior: Box<dyn BoundPrior>,
    pub(crate) standardization: Standardization,
    pub(crate) rows: Arc<Rows>,
    pub(crate) input_names: Vec<String>,
    pub(crate) target_names: Vec<String>,
    pub(crate) target_name: String,
    pub(crate) class_names: Vec<String>,
    pub(crate) packed: PackedData,
    pub(crate) row_threads: RowThreads,
    layout: Layout,
    draw_layout: Layout,
}

/// The normal prior of one of the likelihood's coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParameterPrior {
    pub(crate) prior_mean: f64,
    pub(crate) prior_sd: f64,
}

/// Standardised training rows, row-major.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Shared with what picks minibatches.
    pub(crate) inputs: Arc<Vec<f64>>,
    pub(crate) targets: Vec<f64>,
    pub(crate) count: usize,
    pub(crate) num_inputs: usize,
    pub(crate) num_targets: usize,
}

impl Rows {
    pub(crate) fn new(inputs: &DMatrix<f64>, targets: &DMatrix<f64>) -> Self {
        let row_major = |matrix: &DMatrix<f64>| matrix.transpose().as_slice().to_vec();
        Self {
            inputs: Arc::new(row_major(inputs)),
            targets: row_major(targets),
            count: inputs.nrows(),
            num_inputs: inputs.ncols(),
            num_targets: targets.ncols(),
        }
    }

    pub(crate) fn inputs(&self, row: usize) -> &[f64] {
        &self.inputs[row * self.num_inputs..][..self.num_inputs]
    }

    /// Checks that all rows can be inputs of `network`.
    pub(crate) fn check_inputs(&self, network: &Network) -> Result<(), DataError> {
        for row in 0..self.count {
            network.check_input(self.inputs(row)).map_err(|problem| DataError::Input { row, problem })?;
        }
        Ok(())
    }

    pub(crate) fn targets(&self, row: usize) -> &[f64] {
        &self.targets[row * self.num_targets..][..self.num_targets]
    }
}

/// Why a posterior cannot be built, or cannot predict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The data do not suit the model.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The prior does not fit the network.
    #[error(transparent)]
    Prior(#[from] PriorError),
    /// Blocks of the network and the likelihood share a name.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The likelihood's settings are out of range.
    #[error("{0}")]
    Likelihood(String),
    /// The network's outputs are not those the likelihood reads.
    #[error(
        "the likelihood ({likelihood}) reads {expected} outputs and the network has {found}; change the last layer's width"
    )]
    OutputCount {
        /// Name of the likelihood.
        likelihood: &'static str,
        /// Outputs it reads.
        expected: usize,
        /// Outputs of the network.
        found: usize,
    },
    /// The first layer reads whole numbers, which standardising would change.
    #[error(
        "the first layer ({layer}) reads whole numbers; build the posterior with Standardize::Targets or Standardize::Nothing"
    )]
    StandardizedNumbers {
        /// Kind of the layer.
        layer: String,
    },
    /// Draws have another number of coordinates than the model.
    #[error("the draws have {draws} coordinates and the model {model}; predict with the model that was sampled")]
    DrawDimension {
        /// Coordinates of the draws.
        draws: usize,
        /// Coordinates of the model.
        model: usize,
    },
    /// There is no draw to predict with.
    #[error("there are no draws to predict with; every chain is empty")]
    NoDraws,
    /// The model could not be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

/// Whether a [`BayesianNetwork`] standardises its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standardize {
    /// Inputs, and real targets, by the mean and standard deviation of the given rows.
    #[default]
    ByTrainingRows,
    /// Nothing; the data are on a scale of order 1 already.
    Nothing,
    /// Inputs by one mean and one standard deviation for all of them together, as images need, whose border may be constant; the
    /// targets of a regression as in [`ByTrainingRows`](Self::ByTrainingRows).
    InputsTogether,
    /// The targets of a regression alone; inputs are numbers of categories, or on a scale of order 1 already.
    Targets,
}

impl BayesianNetwork {
    /// The posterior of `network` given `data`, standardised by its rows.
    ///
    /// # Errors
    /// When an input is constant, a target does not suit the likelihood, all rows are of one class, or shapes do not agree.
    #[expect(clippy::needless_pass_by_value, reason = "a prior is given away, as a likelihood is")]
    pub fn new(
        network: Network,
        likelihood: impl Likelihood + 'static,
        prior: impl Prior,
        data: &Dataset,
    ) -> Result<Self, ModelError> {
        Self::with_standardization(network, Box::new(likelihood), &prior, data, Standardize::default())
    }

    /// As [`new`](Self::new), with the choice of standardisation, and parts that are chosen at run time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_standardization(
        network: Network,
        likelihood: Box<dyn Likelihood>,
        prior: &dyn Prior,
        data: &Dataset,
        standardize: Standardize,
    ) -> Result<Self, ModelError> {
        likelihood.check().map_err(ModelError::Likelihood)?;
        check_shapes(&network, likelihood.as_ref(), data)?;
        check_targets(likelihood.as_ref(), data)?;
        let prior = prior.bind(&network)?;
        if let Some(layer) = network.reads_numbers()
            && matches!(standardize, Standardize::ByTrainingRows | Standardize::InputsTogether)
        {
            return Err(ModelError::StandardizedNumbers { layer: layer.to_owned() });
        }
        let standardization = match standardize {
            Standardize::ByTrainingRows => Standardization::fit_where(data, |target| likelihood.standardizes_target(target))?,
            Standardize::Nothing => Standardization::identity(data.num_inputs(), data.num_targets()),
            Standardize::InputsTogether => {
                Standardization::fit_inputs_together(data, |target| likelihood.standardizes_target(target))?
            }
            Standardize::Targets => Standardization::fit_targets(data, |target| likelihood.standardizes_target(target))?,
        };
        let rows = Rows::new(&standardization.apply_inputs(data.inputs()), &standardization.apply_targets(data.targets()));
        rows.check_inputs(&network)?;
        let mut blocks: Vec<Block> = network.tensors().into_iter().map(|tensor| tensor.block).collect();
        let num_tensors = blocks.len();
        let mut parameters = Vec::new();
        for parameter in likelihood.parameters() {
            parameter.check(data.num_targets()).map_err(ModelError::Likelihood)?;
            blocks.push(parameter.block(&standardization.targets));
            let prior = ParameterPrior { prior_mean: parameter.prior_mean, prior_sd: parameter.prior_sd };
            parameters.extend(std::iter::repeat_n(prior, parameter.len()));
        }
        let mut position_blocks = blocks.clone();
        if prior.reparameterization().is_some() {
            for block in &mut position_blocks[..num_tensors] {
                block.name.push_str(".standardised");
            }
        }
        position_blocks.extend(prior.parameters());
        blocks.extend(prior.parameters());
        let mut model = Self {
            layout: Layout::new(position_blocks)?,
            draw_layout: Layout::new(blocks)?,
            rows: Arc::new(rows),
            input_names: data.input_names().to_vec(),
            target_names: data.target_names().to_vec(),
            target_name: data.target_names().join(", "),
            class_names: data.class_names().to_vec(),
            network,
            likelihood: Arc::from(likelihood),
            parameters,
            prior,
            standardization,
            packed: PackedData::Plain,
            row_threads: RowThreads::default(),
        };
        model.packed = PackedData::new(&model, Precision::default());
        Ok(model)
    }

    /// The same posterior with another arithmetic inside its gradient.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.packed = PackedData::new(&self, precision);
        self
    }

    /// The same posterior with another choice of threads for the rows of a gradient; gradients stay the same bit for bit.
    #[must_use]
    pub fn with_row_threads(mut self, threads: RowThreads) -> Self {
        self.row_threads = threads;
        self
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The likelihood.
    #[must_use]
    pub fn likelihood(&self) -> &dyn Likelihood {
        self.likelihood.as_ref()
    }

    /// How the model standardises.
    #[must_use]
    pub fn standardization(&self) -> &Standardization {
        &self.standardization
    }

    /// Description of the prior, for reports.
    #[must_use]
    pub fn prior_description(&self) -> String {
        self.prior.description()
    }

    /// Number of training rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.rows.count
    }

    /// Checks that a position, or anything else with a value for each coordinate, has the model's dimension.
    pub(crate) fn check_dim(&self, what: &str, found: usize) -> Result<(), EvaluationError> {
        let expected = self.layout.dim();
        if found == expected {
            return Ok(());
        }
        Err(EvaluationError::new(format!("the {what} has {found} coordinates and the model {expected}")))
    }

    /// The parts of a position: a coordinate for each weight, the likelihood's parameters, the prior's.
    pub(crate) fn parts<'p>(&self, position: &'p [f64]) -> [&'p [f64]; 3] {
        let (coordinates, rest) = position.split_at(self.network.num_weights());
        let (parameters, scales) = rest.split_at(self.parameters.len());
        [coordinates, parameters, scales]
    }

    /// The number of weights and likelihood's parameters: what the log likelihood depends on.
    pub(crate) fn num_in_likelihood(&self) -> usize {
        self.network.num_weights() + self.parameters.len()
    }

    /// Adds the gradient of the log prior, of weights, of the likelihood's parameters and of its own, and returns the log prior.
    pub(crate) fn add_prior_gradient(&self, position: &[f64], gradient: &mut [f64]) -> f64 {
        let [coordinates, parameters, scales] = self.parts(position);
        let (d_coordinates, rest) = gradient.split_at_mut(coordinates.len());
        let (d_parameters, d_scales) = rest.split_at_mut(parameters.len());
        let mut log_prior = self.prior.add_gradient(coordinates, scales, d_coordinates, d_scales);
        for ((x, g), parameter) in parameters.iter().zip(d_parameters).zip(&self.parameters) {
            let z = (x - parameter.prior_mean) / parameter.prior_sd;
            *g -= z / parameter.prior_sd;
            log_prior -= 0.5 * z * z + parameter.prior_sd.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln();
        }
        log_prior
    }
}

fn check_shapes(network: &Network, likelihood: &dyn Likelihood, data: &Dataset) -> Result<(), ModelError> {
    let columns = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(DataError::ColumnCount { what, found, expected }) }
    };
    columns("inputs", data.num_inputs(), network.num_inputs())?;
    columns("targets", data.num_targets(), likelihood.num_targets())?;
    if network.num_outputs() != likelihood.num_outputs() {
        return Err(ModelError::OutputCount {
            likelihood: likelihood.name(),
            expected: likelihood.num_outputs(),
            found: network.num_outputs(),
        });
    }
    Ok(())
}

fn check_targets(likelihood: &dyn Likelihood, data: &Dataset) -> Result<(), DataError> {
    for (row, targets) in data.targets().row_iter().enumerate() {
        let targets: Vec<f64> = targets.iter().copied().collect();
        if let Err(problem) = likelihood.check_targets(&targets) {
            return Err(DataError::Target { row, column: data.target_names().join(", "), problem });
        }
    }
    if likelihood.kind() == PredictionKind::Classification {
        let first = data.targets()[0];
        if data.targets().iter().all(|&target| target == first) {
            let class = data.class_names().get(first as usize).cloned().unwrap_or_else(|| first.to_string());
            return Err(DataError::OneClass { class, rows: data.num_rows() });
        }
    }
    Ok(())
}

impl Posterior for BayesianNetwork {
    fn layout(&self) -> Layout {
        self.layout.clone()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(Evaluator::new(self))
    }

    /// A draw from the prior, with the weights into a layer of n inputs no larger than a few 1/√n, so that hidden units do not start
    /// saturated, and the likelihood's parameters at their prior mean.
    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let (coordinates, rest) = position.split_at_mut(self.network.num_weights());
        let (parameters, scales) = rest.split_at_mut(self.parameters.len());
        self.prior.initial(rng, coordinates, scales);
        let mut weights = coordinates.to_vec();
        if let Some(form) = self.prior.reparameterization() {
            form.weights(coordinates, scales, &mut weights);
        }
        for Tensor { block, fan_in } in self.network.tensors() {
            let limit = 1.0 / (fan_in as f64).sqrt();
            let range = block.range();
            if self.prior.reparameterization().is_none() && self.prior.scales()[range.clone()].iter().all(|sd| sd.is_finite()) {
                for (w, sd) in weights[range.clone()].iter_mut().zip(&self.prior.scales()[range]) {
                    *w *= (limit / sd).min(1.0);
                }
                continue;
            }
            // The size of the draw stands for the scale, which is sampled or does not exist.
            let values = &mut weights[range];
            let size = (values.iter().map(|w| w * w).sum::<f64>() / values.len().max(1) as f64).sqrt();
            for w in values {
                *w *= (limit / size).min(1.0);
            }
        }
        match self.prior.reparameterization() {
            Some(form) => form.coordinates(&weights, scales, coordinates),
            None => coordinates.copy_from_slice(&weights),
        }
        for (x, parameter) in parameters.iter_mut().zip(&self.parameters) {
            *x = parameter.prior_mean;
        }
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        let (coordinates, rest) = scales.split_at_mut(self.network.num_weights());
        let (parameters, prior) = rest.split_at_mut(self.parameters.len());
        coordinates.copy_from_slice(self.prior.scales());
        for (scale, parameter) in parameters.iter_mut().zip(&self.parameters) {
            *scale = parameter.prior_sd;
        }
        self.prior.parameter_scales(prior);
    }

    fn draw_layout(&self) -> Layout {
        self.draw_layout.clone()
    }

    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        self.prior.reparameterization()?;
        Some(Box::new(WeightRecorder { model: self }))
    }

    /// Network, likelihood, prior, and for each input and target its name and the mean and standard deviation that standardise it: what
    /// another program needs to use the weights.
    fn description(&self) -> serde_json::Value {
        let columns = |names: &[String], scales: &[(f64, f64)]| -> Vec<serde_json::Value> {
            let column =
                |(name, (mean, sd)): (&String, &(f64, f64))| serde_json::json!({ "name": name, "mean": mean, "sd": sd });
            names.iter().zip(scales).map(column).collect()
        };
        serde_json::json!({
            "network": self.network.shape(),
            "likelihood": self.likelihood.name(),
            "prior": self.prior.description(),
            "inputs": columns(&self.input_names, &self.standardization.inputs),
            "targets": columns(&self.target_names, &self.standardization.targets),
            "class_names": self.class_names,
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            minibatch: Some(self),
            pointwise: Some(self),
            prior: Some(self),
            outputs: Some(self),
            // Curvature is in the weights, which must then be the coordinates.
            curvature: if self.draw_layout == self.layout && self.prior.parameters().is_empty() { Some(self) } else { None },
            // Closed forms hold for independent normal priors and dense layers alone.
            local_reparameterization: if self.prior.is_normal() && self.network.dense_layers().is_some() {
                Some(self)
            } else {
                None
            },
        }
    }
}

impl PriorDraws for BayesianNetwork {
    fn draw_prior(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let (coordinates, rest) = position.split_at_mut(self.network.num_weights());
        let (parameters, scales) = rest.split_at_mut(self.parameters.len());
        self.prior.draw(rng, coordinates, scales);
        for (x, parameter) in parameters.iter_mut().zip(&self.parameters) {
            let z: f64 = StandardNormal.sample(rng);
            *x = parameter.prior_mean + parameter.prior_sd * z;
        }
    }
}
