//! Lay a dense network out in a flat position: widths, activations, and where each layer's weights stand.

use super::{Activation, NetworkError, Tensor};
use ergodic_draws::{Block, Role};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A dense network of any depth and width, in the form that the fused gradient reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DenseNetwork {
    inputs: usize,
    layers: Vec<DenseLayer>,
}

/// One layer of a dense [`Network`](super::Network).
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

impl DenseNetwork {
    /// A network with hidden layers of the given widths, one activation for all of them, and a linear output layer.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub(crate) fn dense(inputs: usize, hidden: &[usize], activation: Activation, outputs: usize) -> Result<Self, NetworkError> {
        let mut widths: Vec<(usize, Activation)> = hidden.iter().map(|&width| (width, activation)).collect();
        widths.push((outputs, Activation::Identity));
        Self::with_layers(inputs, &widths)
    }

    /// A network with the given widths and activations, the output layer last.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub(crate) fn with_layers(inputs: usize, widths: &[(usize, Activation)]) -> Result<Self, NetworkError> {
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
    pub(crate) fn num_inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    pub(crate) fn num_outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.outputs)
    }

    /// Number of weights and biases.
    pub(crate) fn num_weights(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases().end)
    }

    /// The layers from input to output.
    pub(crate) fn layers(&self) -> &[DenseLayer] {
        &self.layers
    }

    /// Widths from input to output, such as `11-16-16-1`.
    pub(crate) fn shape(&self) -> String {
        let widths = std::iter::once(self.inputs).chain(self.layers.iter().map(|layer| layer.outputs));
        widths.map(|width| width.to_string()).collect::<Vec<_>>().join("-")
    }

    /// The tensors of the flat vector in order: `layer0.weight`, `layer0.bias`, and so on.
    pub(crate) fn tensors(&self) -> Vec<Tensor> {
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
