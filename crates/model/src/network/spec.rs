//! Describe a network: the shapes of its inputs and outputs, and where its weights stand in a flat position.

use super::builder::NetworkBuilder;
use super::layers::{BoundLayer, LayerError, LayerParameter, Sequence};
use super::{Activation, DenseLayer, DenseNetwork};
use ergodic_draws::Block;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A function from inputs to outputs, given a flat vector of weights.
///
/// A dense network ([`dense`](Self::dense), [`with_layers`](Self::with_layers)) computes `a(W x + b)` in each layer, with W of shape
/// (outputs, inputs). Its weights stand row-major in the flat vector, followed by its biases, layer after layer, as in PyTorch's
/// `Linear`. A [`builder`](Self::builder) composes any [`layers`](crate::layers).
///
/// ```
/// use ergodic_model::{Activation, Network};
/// let network = Network::dense(11, &[16, 16], Activation::Tanh, 1)?;
/// assert_eq!(network.num_weights(), 11 * 16 + 16 + 16 * 16 + 16 + 16 + 1);
/// # Ok::<(), ergodic_model::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    input_shape: Vec<usize>,
    tensors: Vec<Tensor>,
    form: Form,
}

/// How a network is evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// Dense layers alone, all in one fused pass.
    Dense(DenseNetwork),
    /// Any layers, one after the other.
    Composed(Arc<Sequence>),
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
    /// The network has no layers.
    #[error("the network has no layers; give it at least 1")]
    NoLayers,
    /// A layer does not fit where it stands.
    #[error("layer {layer} ({kind}) {problem}")]
    Layer {
        /// The layer, counted from the input.
        layer: usize,
        /// What it is, such as `conv2d`.
        kind: String,
        /// What does not fit.
        problem: LayerError,
    },
}

impl Network {
    /// A network with hidden layers of the given widths, one activation for all of them, and a linear output layer.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub fn dense(inputs: usize, hidden: &[usize], activation: Activation, outputs: usize) -> Result<Self, NetworkError> {
        Ok(Self::of_dense(DenseNetwork::dense(inputs, hidden, activation, outputs)?))
    }

    /// A network of dense layers with the given widths and activations, the output layer last.
    ///
    /// # Errors
    /// When the number of inputs or a width is 0.
    pub fn with_layers(inputs: usize, widths: &[(usize, Activation)]) -> Result<Self, NetworkError> {
        Ok(Self::of_dense(DenseNetwork::with_layers(inputs, widths)?))
    }

    /// A network of any layers, for inputs of a shape such as `[channels, rows, columns]`.
    ///
    /// A row of data holds the values in row-major order, the last index running fastest.
    ///
    /// ```
    /// use ergodic_model::layers::{AveragePool, Conv2d, Dense, Flatten};
    /// use ergodic_model::{Activation, Network};
    /// let network = Network::builder([1, 8, 8])
    ///     .layer(Conv2d::new(4, [3, 3]).with_padding([1, 1]))
    ///     .layer(Activation::Tanh)
    ///     .layer(AveragePool::new([2, 2]))
    ///     .layer(Flatten)
    ///     .layer(Dense::new(10))
    ///     .build()?;
    /// assert_eq!((network.num_inputs(), network.num_outputs()), (64, 10));
    /// assert_eq!(network.tensors()[0].block.name, "layer0.weight");
    /// assert_eq!(network.tensors()[2].block.name, "layer4.weight");
    /// # Ok::<(), ergodic_model::NetworkError>(())
    /// ```
    #[must_use]
    pub fn builder(input_shape: impl AsRef<[usize]>) -> NetworkBuilder {
        NetworkBuilder::new(input_shape.as_ref())
    }

    fn of_dense(network: DenseNetwork) -> Self {
        Self { input_shape: vec![network.num_inputs()], tensors: network.tensors(), form: Form::Dense(network) }
    }

    pub(crate) fn composed(input_shape: Vec<usize>, layers: Sequence) -> Self {
        let (mut tensors, mut offset) = (Vec::new(), 0);
        for (index, step) in layers.steps().iter().enumerate() {
            for LayerParameter { name, shape, role, fan_in } in step.layer.parameters() {
                let mut block = Block::new(format!("layer{index}.{name}"), &shape).with_role(role).in_layer(index);
                block.offset = offset;
                offset += block.len();
                tensors.push(Tensor { block, fan_in });
            }
        }
        Self { input_shape, tensors, form: Form::Composed(Arc::new(layers)) }
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// Shape of one row of inputs; its product is [`num_inputs`](Self::num_inputs).
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Number of inputs.
    #[must_use]
    pub fn num_inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// Number of outputs.
    #[must_use]
    pub fn num_outputs(&self) -> usize {
        match &self.form {
            Form::Dense(network) => network.num_outputs(),
            Form::Composed(layers) => layers.output_shape().iter().product(),
        }
    }

    /// Number of weights and biases.
    #[must_use]
    pub fn num_weights(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.block.range().end)
    }

    /// The dense layers from input to output; `None` for a network from a [`builder`](Self::builder).
    #[must_use]
    pub fn dense_layers(&self) -> Option<&[DenseLayer]> {
        match &self.form {
            Form::Dense(network) => Some(network.layers()),
            Form::Composed(_) => None,
        }
    }

    /// Widths of a dense network from input to output, such as `11-16-16-1`, or the kinds of layers between the shapes of inputs and
    /// outputs, such as `1×8×8 | conv2d | tanh | flatten | dense | 10`.
    #[must_use]
    pub fn shape(&self) -> String {
        let lengths = |shape: &[usize]| shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        match &self.form {
            Form::Dense(network) => network.shape(),
            Form::Composed(layers) => {
                let kinds = layers.steps().iter().map(|step| step.kind.clone());
                let ends = (lengths(&self.input_shape), lengths(layers.output_shape()));
                std::iter::once(ends.0).chain(kinds).chain([ends.1]).collect::<Vec<_>>().join(" | ")
            }
        }
    }

    /// The tensors of the flat vector in order: `layer0.weight`, `layer0.bias`, and so on.
    ///
    /// Layers are counted from the input, those without parameters included.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        self.tensors.clone()
    }

    /// The kind of the first layer, if it reads numbers of something rather than quantities.
    pub(crate) fn reads_numbers(&self) -> Option<&str> {
        match &self.form {
            Form::Composed(layers) if layers.reads_numbers() => layers.steps().first().map(|step| step.kind.as_str()),
            _ => None,
        }
    }

    /// Checks that a row of data can be the network's input.
    pub(crate) fn check_input(&self, input: &[f64]) -> Result<(), String> {
        match &self.form {
            Form::Dense(_) => Ok(()),
            Form::Composed(layers) => layers.check_input(input),
        }
    }
}
