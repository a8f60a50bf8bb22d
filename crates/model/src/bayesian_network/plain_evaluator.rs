//! Evaluate a network's log posterior row by row: the reference for the fast path.

use super::BayesianNetwork;
use crate::network::PlainNetwork;
use crate::{EvaluationError, LogDensity};

pub(crate) struct PlainEvaluator<'a> {
    model: &'a BayesianNetwork,
    network: PlainNetwork,
    d_outputs: Vec<f64>,
}

impl<'a> PlainEvaluator<'a> {
    pub(crate) fn new(model: &'a BayesianNetwork) -> Self {
        Self { model, network: PlainNetwork::new(&model.network), d_outputs: vec![0.0; model.network.num_outputs()] }
    }

    /// Adds the gradient of the log likelihood of one row, and returns that log likelihood.
    pub(crate) fn add_row(&mut self, position: &[f64], row: usize, gradient: &mut [f64]) -> f64 {
        let (weights, parameters) = position.split_at(self.model.network.num_weights());
        let (weight_gradient, parameter_gradient) = gradient.split_at_mut(weights.len());
        let outputs = self.network.forward(weights, self.model.rows.inputs(row));
        let targets = self.model.rows.targets(row);
        let log_likelihood =
            self.model.likelihood.gradient(outputs, targets, parameters, &mut self.d_outputs, parameter_gradient);
        self.network.backward(weights, &self.d_outputs, weight_gradient);
        log_likelihood
    }
}

impl LogDensity for PlainEvaluator<'_> {
    fn dim(&self) -> usize {
        self.model.layout.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        gradient.fill(0.0);
        let mut log_density = self.model.add_prior_gradient(position, gradient);
        for row in 0..self.model.rows.count {
            log_density += self.add_row(position, row, gradient);
        }
        Ok(log_density)
    }
}
