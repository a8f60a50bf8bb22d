//! Describe a dense network: widths, activations, and where its weights stand in a flat position.

use super::Activation;
use ergodic_draws::{Block, Role};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A dense network of any depth and width: a function from inputs to outputs, given a flat vector of weights.
///
/// Layer `l` computes `a(W x + b)` with `W` of shape (outputs, inputs). Its weights stand row-major in the flat vector, followed by
/// its biases, layer after layer, as in PyTorch's `Linear`.
///
/// ```
/// use ergodic_model::{Activation, Network};
/// let network = Network::dense(11, &[16, 16], Activation::Tanh, 1)?;
/// assert_eq!(network.num_weights(), 11 * 16 + 16 + 16 * 16 + 16 + 16 + 1);
/// # Ok::<(), ergodic_model::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    inputs: usize,
    layers: Vec<DenseLayer>,
}

/// One dense layer of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenseLayer {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Function applied to each output.
    pub activation: Activation,
    /// First weight in the flat vector.
    pub offset: usize,
}

impl DenseLayer {
    /// Where the weights stand, row-major (outputs × inputs).
    #[must_use]
    pub fn weights(&self) -> Range<usize> {
        self.offset..self.offset + self.inputs * self.outputs
    }

    /// Where the biases stand.
    #[must_use]
    pub fn biases(&self) -> Range<usize> {
        let end = self.weights().end;
        end..end + self.outputs
    }
}

/// One tensor of a network's parameters, such as the weights of a layer: what a prior is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Its name, shape, layer and role, and where it stands in the flat vector of weights.
    pub block: Block,
    /// Number of inputs that each unit of its layer sums over; for biases that of their layer's weights.
    pub fan_in: usize,
}

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A layer has no outputs.
    #[error("layer {layer} has no outputs; give it a width of at least 1")]
    EmptyLayer {
        /// The layer, counted from the input.
        layer: usize,
    },
    /// The network has no inputs.
    #[error("the network has no inputs; give it at least 1")]
    NoInputs,
}

impl Network {
    /// A network with hidden layers of the given widths, one activation for all of them, and a linear output layer.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub fn dense(inputs: usize, hidden: &[usize], activation: Activation, outputs: usize) -> Result<Self, NetworkError> {
        let mut widths: Vec<(usize, Activation)> = hidden.iter().map(|&width| (width, activation)).collect();
        widths.push((outputs, Activation::Identity));
        Self::with_layers(inputs, &widths)
    }

    /// A network with the given widths and activations, the output layer last.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub fn with_layers(inputs: usize, widths: &[(usize, Activation)]) -> Result<Self, NetworkError> {
        if inputs == 0 {
            return Err(NetworkError::NoInputs);
        }
        let mut layers = Vec::with_capacity(widths.len());
        let (mut width, mut offset) = (inputs, 0);
        for (layer, &(outputs, activation)) in widths.iter().enumerate() {
            if outputs == 0 {
                return Err(NetworkError::EmptyLayer { layer });
            }
            let dense = DenseLayer { inputs: width, outputs, activation, offset };
            offset = dense.biases().end;
            width = outputs;
            layers.push(dense);
        }
        if layers.is_empty() {
            return Err(NetworkError::EmptyLayer { layer: 0 });
        }
        Ok(Self { inputs, layers })
    }

    /// Number of inputs.
    #[must_use]
    pub fn num_inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    #[must_use]
    pub fn num_outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.outputs)
    }

    /// Number of weights and biases.
    #[must_use]
    pub fn num_weights(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases().end)
    }

    /// The layers from input to output.
    #[must_use]
    pub fn layers(&self) -> &[DenseLayer] {
        &self.layers
    }

    /// Widths from input to output, such as `11-16-16-1`.
    #[must_use]
    pub fn shape(&self) -> String {
        let widths = std::iter::once(self.inputs).chain(self.layers.iter().map(|layer| layer.outputs));
        widths.map(|width| width.to_string()).collect::<Vec<_>>().join("-")
    }

    /// The tensors of the flat vector in order: `layer0.weight`, `layer0.bias`, and so on.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        let tensors = self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let tensor = |name, shape: &[usize], role, offset| {
                let mut block = Block::new(format!("layer{index}.{name}"), shape).with_role(role).in_layer(index);
                block.offset = offset;
                Tensor { block, fan_in: layer.inputs }
            };
            [
                tensor("weight", &[layer.outputs, layer.inputs], Role::Weight, layer.weights().start),
                tensor("bias", &[layer.outputs], Role::Bias, layer.biases().start),
            ]
        });
        tensors.collect()
    }
}
