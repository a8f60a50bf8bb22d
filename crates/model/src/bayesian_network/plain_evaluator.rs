//! Evaluate a network's log posterior row by row: the reference for the fast path.

use super::BayesianNetwork;
use crate::network::PlainNetwork;

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

    /// Writes the gradient of the log likelihood of the given rows, or of all, and returns that log likelihood.
    pub(crate) fn evaluate(&mut self, position: &[f64], rows: Option<&[usize]>, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        match rows {
            Some(rows) => rows.iter().map(|&row| self.add_row(position, row, gradient)).sum(),
            None => (0..self.model.rows.count).map(|row| self.add_row(position, row, gradient)).sum(),
        }
    }
}
