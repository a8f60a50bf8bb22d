//! Evaluate a network's outputs at inputs that stay fixed over many positions.

use super::{BayesianNetwork, Rows};
use crate::network::PlainNetwork;
use crate::predict::check_inputs;
use crate::{EvaluationError, Likelihood, NetworkOutputs, OutputEvaluator};
use nalgebra::DMatrix;

impl NetworkOutputs for BayesianNetwork {
    fn num_coordinates(&self) -> usize {
        self.layout.dim()
    }

    fn num_inputs(&self) -> usize {
        self.network.num_inputs()
    }

    fn num_outputs(&self) -> usize {
        self.network.num_outputs()
    }

    fn likelihood(&self) -> &dyn Likelihood {
        self.likelihood.as_ref()
    }

    fn likelihood_parameters<'p>(&self, position: &'p [f64]) -> &'p [f64] {
        &position[self.network.num_weights()..][..self.parameters.len()]
    }

    fn target_name(&self) -> &str {
        &self.target_name
    }

    fn target_scales(&self) -> &[(f64, f64)] {
        &self.standardization.targets
    }

    fn output_evaluator(&self, inputs: &DMatrix<f64>) -> Result<Box<dyn OutputEvaluator + Send + '_>, EvaluationError> {
        check_inputs(inputs, self.network.num_inputs()).map_err(|error| EvaluationError::new(error.to_string()))?;
        let rows = Rows::new(&self.standardization.apply_inputs(inputs), &DMatrix::zeros(inputs.nrows(), 0));
        Ok(Box::new(Outputs { num_weights: self.network.num_weights(), network: PlainNetwork::new(&self.network), rows }))
    }
}

struct Outputs {
    num_weights: usize,
    network: PlainNetwork,
    rows: Rows,
}

impl OutputEvaluator for Outputs {
    fn outputs(&mut self, position: &[f64], outputs: &mut [f64]) {
        let weights = &position[..self.num_weights];
        let width = outputs.len() / self.rows.count;
        for (row, to) in outputs.chunks_exact_mut(width).enumerate() {
            to.copy_from_slice(self.network.forward(weights, self.rows.inputs(row)));
        }
    }
}
