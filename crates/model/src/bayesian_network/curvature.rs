//! Compute the Gauss–Newton matrix of a network's log likelihood, whole and as Kronecker factors of layers.

use super::BayesianNetwork;
use crate::network::{Form, PlainNetwork, ReferenceNetwork};
use crate::{Curvature, EvaluationError, LayerFactors};
use nalgebra::{DMatrix, DVector, DVectorView};

/// Values that a block of Jacobians may hold: enough rows for an efficient product, few enough to stay in cache.
const BLOCK_VALUES: usize = 1 << 17;

/// Coordinates up to which the whole matrix is made: 3.2 GB.
const MOST_COORDINATES: usize = 20_000;

impl Curvature for BayesianNetwork {
    fn gauss_newton(&self, position: &[f64]) -> Result<DMatrix<f64>, EvaluationError> {
        self.check_dim("position", position.len())?;
        if position.len() > MOST_COORDINATES {
            return Err(EvaluationError::new(format!(
                "the Gauss–Newton matrix of {} coordinates would take {:.0} GB; use the factors of layers",
                position.len(),
                8e-9 * (position.len() as f64).powi(2)
            )));
        }
        let (weights, parameters) = position.split_at(self.network.num_weights());
        let outputs = self.network.num_outputs();
        let rows_per_block = (BLOCK_VALUES / (weights.len() * outputs)).clamp(1, self.rows.count);
        // One Jacobian row, the gradient of one output at one data row, in each column.
        let mut jacobians = DMatrix::zeros(weights.len(), rows_per_block * outputs);
        let mut curved = jacobians.clone();
        let mut matrix = DMatrix::zeros(weights.len(), weights.len());
        let mut rows = RowJacobians::new(self, ReferenceNetwork::new(&self.network));
        let mut parameter_curvature = DMatrix::zeros(parameters.len(), parameters.len());
        let mut mixed = DMatrix::zeros(weights.len(), parameters.len());
        for first in (0..self.rows.count).step_by(rows_per_block) {
            let count = rows_per_block.min(self.rows.count - first);
            // Columns that no row fills any more stay zero and add nothing.
            jacobians.fill(0.0);
            for row in 0..count {
                rows.curvature(position, first + row);
                for (sum, curvature) in parameter_curvature.iter_mut().zip(&rows.parameter_curvature) {
                    *sum += curvature;
                }
                for output in 0..outputs {
                    rows.backward(weights, output);
                    jacobians.column_mut(row * outputs + output).copy_from_slice(&rows.gradient);
                    let factors = &rows.mixed_curvature[output * parameters.len()..][..parameters.len()];
                    for (mut column, &factor) in mixed.column_iter_mut().zip(factors).filter(|(_, factor)| **factor != 0.0) {
                        column.axpy(factor, &DVectorView::from_slice(&rows.gradient, weights.len()), 1.0);
                    }
                }
                for output in 0..outputs {
                    let mut column = curved.column_mut(row * outputs + output);
                    column.fill(0.0);
                    for other in 0..outputs {
                        let factor = rows.output_curvature[output * outputs + other];
                        column.axpy(factor, &jacobians.column(row * outputs + other), 1.0);
                    }
                }
            }
            matrix.gemm(1.0, &jacobians, &curved.transpose(), 1.0);
        }
        // Rounding alone makes the product unsymmetric.
        for column in 0..weights.len() {
            for row in 0..column {
                let mean = 0.5 * (matrix[(row, column)] + matrix[(column, row)]);
                matrix[(row, column)] = mean;
                matrix[(column, row)] = mean;
            }
        }
        let mut matrix = matrix.resize(position.len(), position.len(), 0.0);
        let (all, own) = (weights.len(), parameters.len());
        matrix.view_mut((all, all), (own, own)).copy_from(&parameter_curvature);
        matrix.view_mut((0, all), (all, own)).copy_from(&mixed);
        matrix.view_mut((all, 0), (own, all)).tr_copy_from(&mixed);
        Ok(matrix)
    }

    fn layer_factors(&self, position: &[f64]) -> Result<Vec<LayerFactors>, EvaluationError> {
        self.check_dim("position", position.len())?;
        let Form::Dense(dense) = self.network.form() else {
            let shape = self.network.shape();
            let message = format!("factors of layers exist for networks of dense layers alone, and this one is {shape}");
            return Err(EvaluationError::new(message));
        };
        let weights = &position[..self.network.num_weights()];
        let outputs = self.network.num_outputs();
        let empty = |(layer, dense): (usize, &crate::DenseLayer)| LayerFactors {
            layer,
            input: DMatrix::zeros(dense.inputs + 1, dense.inputs + 1),
            output: DMatrix::zeros(dense.outputs, dense.outputs),
        };
        let mut factors: Vec<LayerFactors> = dense.layers().iter().enumerate().map(empty).collect();
        let mut rows = RowJacobians::new(self, PlainNetwork::new(dense));
        let mut inputs: Vec<DVector<f64>> =
            factors.iter().map(|layer| DVector::from_element(layer.input.nrows(), 1.0)).collect();
        let mut jacobians: Vec<DMatrix<f64>> =
            factors.iter().map(|layer| DMatrix::zeros(layer.output.nrows(), outputs)).collect();
        for row in 0..self.rows.count {
            rows.curvature(position, row);
            for output in 0..outputs {
                rows.backward(weights, output);
                for (layer, jacobian) in jacobians.iter_mut().enumerate() {
                    jacobian.column_mut(output).copy_from_slice(rows.network.layer_deltas(layer));
                }
            }
            for ((factor, input), jacobian) in factors.iter_mut().zip(&mut inputs).zip(&jacobians) {
                let values = rows.network.layer_inputs(factor.layer);
                input.as_mut_slice()[..values.len()].copy_from_slice(values);
                factor.input.ger(1.0 / self.rows.count as f64, input, input, 1.0);
                for output in 0..outputs {
                    for other in 0..outputs {
                        let curvature = rows.output_curvature[output * outputs + other];
                        if curvature != 0.0 {
                            factor.output.ger(curvature, &jacobian.column(output), &jacobian.column(other), 1.0);
                        }
                    }
                }
            }
        }
        Ok(factors)
    }
}

/// A network's two passes over one row.
trait RowPasses {
    fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64];
    fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]);
}

impl RowPasses for PlainNetwork {
    fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64] {
        self.forward(weights, inputs)
    }
    fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]) {
        self.backward(weights, d_outputs, gradient);
    }
}

impl RowPasses for ReferenceNetwork {
    fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64] {
        self.forward(weights, inputs)
    }
    fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]) {
        self.backward(weights, d_outputs, gradient);
    }
}

/// Jacobians of the outputs at one data row after the other.
struct RowJacobians<'a, N> {
    model: &'a BayesianNetwork,
    network: N,
    unit: Vec<f64>,
    gradient: Vec<f64>,
    /// The likelihood's curvature in the outputs (outputs × outputs).
    output_curvature: Vec<f64>,
    /// Its curvature in its own parameters (parameters × parameters).
    parameter_curvature: Vec<f64>,
    /// Its curvature in an output and a parameter (outputs × parameters).
    mixed_curvature: Vec<f64>,
}

impl<'a, N: RowPasses> RowJacobians<'a, N> {
    fn new(model: &'a BayesianNetwork, network: N) -> Self {
        let (outputs, parameters) = (model.network.num_outputs(), model.parameters.len());
        Self {
            model,
            network,
            unit: vec![0.0; outputs],
            gradient: vec![0.0; model.network.num_weights()],
            output_curvature: vec![0.0; outputs * outputs],
            parameter_curvature: vec![0.0; parameters * parameters],
            mixed_curvature: vec![0.0; outputs * parameters],
        }
    }

    /// Evaluates the outputs at `row` and the likelihood's curvature there.
    fn curvature(&mut self, position: &[f64], row: usize) {
        let (weights, parameters) = position.split_at(self.model.network.num_weights());
        let outputs = self.network.forward(weights, self.model.rows.inputs(row));
        self.model.likelihood.curvature(outputs, parameters, &mut self.output_curvature);
        self.model.likelihood.parameter_curvature(outputs, parameters, &mut self.parameter_curvature);
        self.model.likelihood.mixed_curvature(outputs, parameters, &mut self.mixed_curvature);
    }

    /// Writes the gradient of one output in the weights.
    fn backward(&mut self, weights: &[f64], output: usize) {
        self.unit.fill(0.0);
        self.unit[output] = 1.0;
        self.gradient.fill(0.0);
        self.network.backward(weights, &self.unit, &mut self.gradient);
    }
}
