//! Evaluate any network row by row: the reference for the fast paths, and the path for single rows.

use super::composed::RowNetwork;
use super::spec::Form;
use super::{Network, PlainNetwork};

/// A network with scratch for one row.
#[derive(Debug, Clone)]
pub(crate) enum ReferenceNetwork {
    Dense(PlainNetwork),
    Composed(RowNetwork),
}

impl ReferenceNetwork {
    pub(crate) fn new(network: &Network) -> Self {
        match network.form() {
            Form::Dense(network) => Self::Dense(PlainNetwork::new(network)),
            Form::Composed(layers) => Self::Composed(RowNetwork::new(layers)),
        }
    }

    /// The outputs at one row of inputs; they stay in place for [`backward`](Self::backward).
    pub(crate) fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64] {
        match self {
            Self::Dense(network) => network.forward(weights, inputs),
            Self::Composed(network) => network.forward(weights, inputs),
        }
    }

    /// Adds the gradient in the weights of an objective whose derivative in the outputs is `d_outputs`, for the row of the last
    /// [`forward`](Self::forward).
    pub(crate) fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]) {
        match self {
            Self::Dense(network) => network.backward(weights, d_outputs, gradient),
            Self::Composed(network) => network.backward(weights, d_outputs, gradient),
        }
    }
}
