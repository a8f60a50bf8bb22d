//! Evaluate a composed network row by row: the reference for blocks, and the path for single rows.

use crate::network::layers::{BackwardRow, BoundLayer, Sequence};
use std::sync::Arc;

/// A composed network with scratch for one row.
#[derive(Debug, Clone)]
pub(crate) struct RowNetwork {
    layers: Arc<Sequence>,
    input: Vec<f64>,
    output: Vec<f64>,
    kept: Vec<f64>,
    d_input: Vec<f64>,
}

impl RowNetwork {
    pub(crate) fn new(layers: &Arc<Sequence>) -> Self {
        Self {
            input: vec![0.0; layers.num_inputs()],
            output: vec![0.0; layers.output_shape().iter().product()],
            kept: vec![0.0; layers.num_kept()],
            d_input: vec![0.0; layers.num_inputs()],
            layers: Arc::clone(layers),
        }
    }

    /// The outputs at one row of inputs; they stay in place for [`backward`](Self::backward).
    pub(crate) fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64] {
        self.input.copy_from_slice(inputs);
        self.layers.forward(weights, &self.input, &mut self.output, &mut self.kept);
        &self.output
    }

    /// Adds the gradient in the weights of an objective whose derivative in the outputs is `d_outputs`, for the row of the last
    /// [`forward`](Self::forward).
    pub(crate) fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]) {
        self.layers.backward(BackwardRow {
            weights,
            input: &self.input,
            output: &self.output,
            kept: &mut self.kept,
            d_output: d_outputs,
            d_input: &mut self.d_input,
            d_weights: gradient,
        });
    }
}
