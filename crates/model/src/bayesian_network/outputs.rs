//! Evaluate a network's outputs at inputs that stay fixed over many positions.

use super::{BayesianNetwork, Rows};
use crate::network::composed::{ComposedGradient, Lined};
use crate::network::{Form, FusedGradient, PackedRows, PlainNetwork};
use crate::predict::check_inputs;
use crate::{Activation, EvaluationError, Likelihood, Network, NetworkOutputs, OutputEvaluator};
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
        rows.check_inputs(&self.network).map_err(|error| EvaluationError::new(error.to_string()))?;
        Ok(Box::new(Outputs::new(&self.network, &rows)))
    }
}

/// A network at fixed rows of inputs: in blocks of rows, or row by row where a dense network's last layer is not linear.
pub(crate) enum Outputs {
    Fused { network: Box<FusedGradient<f64>>, num_weights: usize, inputs: PackedRows<f64> },
    Composed { network: Box<ComposedGradient<f64>>, num_weights: usize, inputs: Lined<f64> },
    Plain { network: PlainNetwork, num_weights: usize, inputs: Vec<f64> },
}

impl Outputs {
    pub(crate) fn new(network: &Network, rows: &Rows) -> Self {
        let num_weights = network.num_weights();
        match network.form() {
            Form::Composed(layers) => {
                let network = Box::new(ComposedGradient::without_data(layers));
                Self::Composed { network, num_weights, inputs: Lined::new(&rows.inputs, rows.num_inputs) }
            }
            Form::Dense(dense) if dense.layers().last().is_some_and(|layer| layer.activation == Activation::Identity) => {
                let inputs = PackedRows::new(&rows.inputs, rows.num_inputs);
                Self::Fused { network: Box::new(FusedGradient::without_data(dense)), num_weights, inputs }
            }
            Form::Dense(dense) => Self::Plain { network: PlainNetwork::new(dense), num_weights, inputs: rows.inputs.to_vec() },
        }
    }
}

impl OutputEvaluator for Outputs {
    fn outputs(&mut self, position: &[f64], outputs: &mut [f64]) {
        match self {
            Self::Fused { network, num_weights, inputs } => network.outputs(&position[..*num_weights], inputs, outputs),
            Self::Composed { network, num_weights, inputs } => network.outputs(&position[..*num_weights], inputs, outputs),
            Self::Plain { network, num_weights, inputs } => {
                let (num_inputs, num_outputs) = (network.num_inputs(), network.num_outputs());
                for (inputs, to) in inputs.chunks_exact(num_inputs).zip(outputs.chunks_exact_mut(num_outputs)) {
                    to.copy_from_slice(network.forward(&position[..*num_weights], inputs));
                }
            }
        }
    }
}
