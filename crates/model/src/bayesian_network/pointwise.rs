//! Compute the log likelihood of each training row, in the unit the targets were given in.

use super::BayesianNetwork;
use super::outputs::Outputs;
use crate::{EvaluationError, NetworkOutputs, OutputEvaluator, PointwiseLogLikelihood};

impl PointwiseLogLikelihood for BayesianNetwork {
    fn num_data(&self) -> usize {
        self.rows.count
    }

    fn log_likelihood_each(&self, position: &[f64], log_likelihood: &mut [f64]) -> Result<(), EvaluationError> {
        self.check_dim("position", position.len())?;
        if log_likelihood.len() != self.rows.count {
            let (found, rows) = (log_likelihood.len(), self.rows.count);
            return Err(EvaluationError::new(format!("room for {found} log likelihoods, and the model has {rows} rows")));
        }
        let parameters = self.likelihood_parameters(position);
        // The density of y is that of the standardised y divided by the standard deviation it was divided by.
        let log_unit: f64 = self.standardization.targets.iter().map(|(_, sd)| sd.ln()).sum();
        let width = self.network.num_outputs();
        let mut outputs = vec![0.0; self.rows.count * width];
        Outputs::new(&self.network, &self.rows).outputs(position, &mut outputs);
        let mut d_outputs = vec![0.0; width];
        let mut d_parameters = vec![0.0; self.parameters.len()];
        for ((row, to), outputs) in log_likelihood.iter_mut().enumerate().zip(outputs.chunks_exact(width)) {
            let targets = self.rows.targets(row);
            *to = self.likelihood.gradient(outputs, targets, parameters, &mut d_outputs, &mut d_parameters) - log_unit;
        }
        Ok(())
    }
}
