//! Evaluate a network's log likelihood and gradient, over all rows or some, in the chosen arithmetic.

use super::BayesianNetwork;
use super::plain_evaluator::PlainEvaluator;
use crate::likelihood_block::BlockLikelihood;
use crate::network::composed::{ComposedData, ComposedGradient};
use crate::network::layers::Sequence;
use crate::network::{DenseNetwork, Form, FusedData, SplitGradient};
use crate::{Activation, EvaluationError, LogDensity, Precision};
use std::sync::Arc;

/// The rows as the gradient wants them; chains share them.
#[derive(Debug, Clone)]
pub(crate) enum PackedData {
    Double {
        network: Arc<DenseNetwork>,
        data: Arc<FusedData<f64>>,
        likelihood: BlockLikelihood,
    },
    Single {
        network: Arc<DenseNetwork>,
        data: Arc<FusedData<f32>>,
        likelihood: BlockLikelihood,
    },
    ComposedDouble {
        network: Arc<Sequence>,
        data: Arc<ComposedData<f64>>,
        likelihood: BlockLikelihood,
    },
    ComposedSingle {
        network: Arc<Sequence>,
        data: Arc<ComposedData<f32>>,
        likelihood: BlockLikelihood,
    },
    /// The plain rows: for dense networks whose last layer is not linear, which have no fast path.
    Plain,
}

impl PackedData {
    pub(crate) fn new(model: &BayesianNetwork, precision: Precision) -> Self {
        let likelihood = match model.likelihood.fast_path() {
            Some(fast) => fast.0,
            None => BlockLikelihood::RowWise(Arc::clone(&model.likelihood)),
        };
        let rows = &model.rows;
        let own_targets = likelihood.packed_targets(&rows.targets);
        let num_targets = likelihood.num_targets(model.network.num_outputs());
        let (inputs, targets) = ((&rows.inputs, rows.num_inputs), (own_targets.as_ref().unwrap_or(&rows.targets), num_targets));
        let dense = match model.network.form() {
            Form::Dense(dense) => dense,
            Form::Composed(network) => {
                let network = Arc::clone(network);
                return match precision {
                    Precision::Double => {
                        let data = Arc::new(ComposedData::new(inputs.0, inputs.1, targets.0, targets.1));
                        Self::ComposedDouble { network, data, likelihood }
                    }
                    Precision::Single => {
                        let data = Arc::new(ComposedData::new(inputs.0, inputs.1, targets.0, targets.1));
                        Self::ComposedSingle { network, data, likelihood }
                    }
                };
            }
        };
        if dense.layers().last().is_none_or(|layer| layer.activation != Activation::Identity) {
            return Self::Plain;
        }
        let network = Arc::new(dense.clone());
        match precision {
            Precision::Double => {
                let data = FusedData::new(inputs.0, inputs.1, targets.0, targets.1);
                let data = Arc::new(data.with_row_major(inputs.0));
                Self::Double { network, data, likelihood }
            }
            Precision::Single => {
                let data = FusedData::new(inputs.0, inputs.1, targets.0, targets.1);
                let data = Arc::new(data.with_row_major(inputs.0));
                Self::Single { network, data, likelihood }
            }
        }
    }
}

/// One chain's pass over rows, with its scratch.
pub(crate) enum RowGradient<'a> {
    Double(SplitGradient<f64>),
    Single(SplitGradient<f32>),
    ComposedDouble(ComposedGradient<f64>),
    ComposedSingle(ComposedGradient<f32>),
    Plain(PlainEvaluator<'a>),
}

impl<'a> RowGradient<'a> {
    pub(crate) fn new(model: &'a BayesianNetwork) -> Self {
        match &model.packed {
            PackedData::Double { network, data, likelihood } => {
                Self::Double(SplitGradient::new(Arc::clone(network), Arc::clone(data), likelihood.clone(), model.row_threads))
            }
            PackedData::Single { network, data, likelihood } => {
                Self::Single(SplitGradient::new(Arc::clone(network), Arc::clone(data), likelihood.clone(), model.row_threads))
            }
            PackedData::ComposedDouble { network, data, likelihood } => {
                Self::ComposedDouble(ComposedGradient::new(network, Arc::clone(data), likelihood.clone()))
            }
            PackedData::ComposedSingle { network, data, likelihood } => {
                Self::ComposedSingle(ComposedGradient::new(network, Arc::clone(data), likelihood.clone()))
            }
            PackedData::Plain => Self::Plain(PlainEvaluator::new(model)),
        }
    }

    /// Writes the gradient of the log likelihood of the given rows, or of all, and returns that log likelihood; position and gradient
    /// hold the weights and the likelihood's parameters.
    pub(crate) fn evaluate(
        &mut self,
        num_weights: usize,
        position: &[f64],
        rows: Option<&[usize]>,
        gradient: &mut [f64],
    ) -> f64 {
        let (weights, parameters) = position.split_at(num_weights);
        let (d_weights, d_parameters) = gradient.split_at_mut(num_weights);
        match (self, rows) {
            (Self::Double(split), rows) => {
                split.log_likelihood_and_gradient(rows, weights, parameters, d_weights, d_parameters)
            }
            (Self::Single(split), rows) => {
                split.log_likelihood_and_gradient(rows, weights, parameters, d_weights, d_parameters)
            }
            (Self::ComposedDouble(composed), rows) => {
                composed.log_likelihood_and_gradient(rows, weights, parameters, d_weights, d_parameters)
            }
            (Self::ComposedSingle(composed), rows) => {
                composed.log_likelihood_and_gradient(rows, weights, parameters, d_weights, d_parameters)
            }
            (Self::Plain(plain), rows) => plain.evaluate(position, rows, gradient),
        }
    }
}

/// The log likelihood of a network as a function of a whole position, for one chain.
pub(crate) struct LikelihoodGradient<'a> {
    model: &'a BayesianNetwork,
    rows: RowGradient<'a>,
    /// The weights and the likelihood's parameters, where a prior moves in other coordinates than the weights.
    weights: Vec<f64>,
}

impl<'a> LikelihoodGradient<'a> {
    pub(crate) fn new(model: &'a BayesianNetwork) -> Self {
        let room = if model.prior.reparameterization().is_some() { model.num_in_likelihood() } else { 0 };
        Self { model, rows: RowGradient::new(model), weights: vec![0.0; room] }
    }

    /// Writes the gradient of the log likelihood of the given rows, or of all, in every coordinate, and returns that log likelihood.
    pub(crate) fn evaluate(&mut self, position: &[f64], rows: Option<&[usize]>, gradient: &mut [f64]) -> f64 {
        let num_weights = self.model.network.num_weights();
        let (d_likelihood, d_scales) = gradient.split_at_mut(self.model.num_in_likelihood());
        d_scales.fill(0.0);
        let Some(form) = self.model.prior.reparameterization() else {
            return self.rows.evaluate(num_weights, &position[..d_likelihood.len()], rows, d_likelihood);
        };
        let [coordinates, parameters, scales] = self.model.parts(position);
        form.weights(coordinates, scales, &mut self.weights[..num_weights]);
        self.weights[num_weights..].copy_from_slice(parameters);
        let log_likelihood = self.rows.evaluate(num_weights, &self.weights, rows, d_likelihood);
        form.pull_back(coordinates, scales, &mut d_likelihood[..num_weights], d_scales);
        log_likelihood
    }
}

/// The log posterior of a network, for one chain.
pub(crate) struct Evaluator<'a> {
    model: &'a BayesianNetwork,
    likelihood: LikelihoodGradient<'a>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(model: &'a BayesianNetwork) -> Self {
        Self { model, likelihood: LikelihoodGradient::new(model) }
    }
}

impl LogDensity for Evaluator<'_> {
    fn dim(&self) -> usize {
        self.model.layout.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let log_likelihood = self.likelihood.evaluate(position, None, gradient);
        Ok(log_likelihood + self.model.add_prior_gradient(position, gradient))
    }
}
