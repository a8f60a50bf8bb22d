//! Compute the log likelihood of each training row, in the unit the targets were given in.

use super::BayesianNetwork;
use crate::network::PlainNetwork;
use crate::{EvaluationError, PointwiseLogLikelihood};

impl PointwiseLogLikelihood for BayesianNetwork {
    fn num_data(&self) -> usize {
        self.rows.count
    }

    fn log_likelihood_each(&self, position: &[f64], log_likelihood: &mut [f64]) -> Result<(), EvaluationError> {
        let (weights, parameters) = position.split_at(self.network.num_weights());
        // The density of y is that of the standardised y divided by the standard deviation it was divided by.
        let log_unit: f64 = self.standardization.targets.iter().map(|(_, sd)| sd.ln()).sum();
        let mut network = PlainNetwork::new(&self.network);
        let mut d_outputs = vec![0.0; self.network.num_outputs()];
        let mut d_parameters = vec![0.0; parameters.len()];
        for (row, to) in log_likelihood.iter_mut().enumerate() {
            let outputs = network.forward(weights, self.rows.inputs(row));
            let targets = self.rows.targets(row);
            *to = self.likelihood.gradient(outputs, targets, parameters, &mut d_outputs, &mut d_parameters) - log_unit;
        }
        Ok(())
    }
}
