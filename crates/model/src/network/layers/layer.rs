//! Define what a layer of a network is: its output's shape, its parameters, and its two passes over one row.

use crate::network::composed::FastLayer;
use ergodic_draws::Role;
use std::fmt;

/// A layer described apart from any network, such as [`Conv2d`](super::Conv2d).
///
/// A layer of one's own is this trait and [`BoundLayer`]; it then goes anywhere in a
/// [`NetworkBuilder`](crate::NetworkBuilder), beside the library's.
pub trait Layer: fmt::Debug + Send + Sync {
    /// What errors call it, such as `conv2d`.
    fn kind(&self) -> String;

    /// Fixes the layer for inputs of one shape, such as `[channels, rows, columns]`; no length in it is 0.
    ///
    /// # Errors
    /// When the layer cannot read that shape, or its own settings are out of range.
    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError>;
}

/// A layer for inputs of one shape: a function of one row of inputs and of the layer's weights.
///
/// All values are flat, in row-major order of their shapes. `weights` holds the tensors of
/// [`parameters`](Self::parameters) one after the other.
pub trait BoundLayer: fmt::Debug + Send + Sync {
    /// Shape of the outputs; no length in it is 0.
    fn output_shape(&self) -> &[usize];

    /// The tensors of the layer's parameters in order; none by default.
    fn parameters(&self) -> Vec<LayerParameter> {
        Vec::new()
    }

    /// How many values [`forward`](Self::forward) leaves to [`backward`](Self::backward), or either uses as scratch; none by default.
    fn num_kept(&self) -> usize {
        0
    }

    /// Writes the outputs.
    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], kept: &mut [f64]);

    /// Writes the derivative of an objective in the inputs, and adds that in the weights, given that in the outputs.
    fn backward(&self, row: BackwardRow<'_>);

    /// Whether the inputs are numbers of something rather than quantities, so that standardising them makes no sense. Such a layer
    /// comes first, as no derivative passes through it.
    fn reads_numbers(&self) -> bool {
        false
    }

    /// Why `input` (one row of data) cannot be this layer's input, if it cannot.
    ///
    /// # Errors
    /// A text for the user.
    fn check_input(&self, _input: &[f64]) -> Result<(), String> {
        Ok(())
    }

    /// The vectorised path over blocks of rows that the library has for its own layers; others are evaluated row by row.
    fn fast_path(&self) -> Option<FastLayer> {
        None
    }
}

/// What a backward pass reads and writes.
#[derive(Debug)]
pub struct BackwardRow<'a> {
    /// The layer's weights.
    pub weights: &'a [f64],
    /// The inputs of the forward pass.
    pub input: &'a [f64],
    /// The outputs of the forward pass.
    pub output: &'a [f64],
    /// What the forward pass left.
    pub kept: &'a mut [f64],
    /// Derivative in the outputs.
    pub d_output: &'a [f64],
    /// Derivative in the inputs, to be written.
    pub d_input: &'a mut [f64],
    /// Derivative in the weights, to be added to.
    pub d_weights: &'a mut [f64],
}

/// One tensor of a layer's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerParameter {
    /// Name within the layer, such as `weight`.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// [`Role::Weight`] or [`Role::Bias`].
    pub role: Role,
    /// Number of inputs that each output sums over, for priors that scale with it.
    pub fan_in: usize,
}

impl LayerParameter {
    /// A tensor named `weight`.
    #[must_use]
    pub fn weight(shape: &[usize], fan_in: usize) -> Self {
        Self { name: "weight".into(), shape: shape.to_vec(), role: Role::Weight, fan_in }
    }

    /// A tensor named `bias`.
    #[must_use]
    pub fn bias(shape: &[usize], fan_in: usize) -> Self {
        Self { name: "bias".into(), shape: shape.to_vec(), role: Role::Bias, fan_in }
    }

    /// Number of values.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no tensor is empty")]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Why a layer cannot be bound to a shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The layer reads inputs of another shape.
    #[error("expects an input of shape {expected} and receives {found:?}; {remedy}")]
    Shape {
        /// What the layer expects, such as `[channels, rows, columns]`.
        expected: String,
        /// What it would receive.
        found: Vec<usize>,
        /// The way out.
        remedy: String,
    },
    /// Two paths that are added have different shapes.
    #[error("adds a branch of shape {branch:?} to a shortcut of shape {shortcut:?}; {remedy}")]
    Sum {
        /// Shape of the branch's outputs.
        branch: Vec<usize>,
        /// Shape of the shortcut's.
        shortcut: Vec<usize>,
        /// The way out.
        remedy: String,
    },
    /// A setting is out of range.
    #[error("{0}")]
    Setting(String),
    /// A layer within this one cannot be bound.
    #[error("has in its {part} a layer {layer} ({kind}) that {problem}")]
    Inner {
        /// Which part, such as `branch`.
        part: &'static str,
        /// Index within the part.
        layer: usize,
        /// Kind of the layer within.
        kind: String,
        /// What is wrong with it.
        problem: Box<LayerError>,
    },
}

impl LayerError {
    /// An input of another shape than `expected`.
    #[must_use]
    pub fn shape(expected: impl Into<String>, found: &[usize], remedy: impl Into<String>) -> Self {
        Self::Shape { expected: expected.into(), found: found.to_vec(), remedy: remedy.into() }
    }
}

/// The three lengths of an image, or the error that says that `found` is not the shape of one.
pub(crate) fn image(found: &[usize]) -> Result<[usize; 3], LayerError> {
    <[usize; 3]>::try_from(found).map_err(|_| {
        let remedy = "put the layer before Flatten, and give the network images as inputs";
        LayerError::shape("[channels, rows, columns]", found, remedy)
    })
}

/// Checks that a setting of a layer is at least 1 in both directions.
pub(crate) fn positive(what: &str, lengths: &[usize]) -> Result<(), LayerError> {
    if lengths.contains(&0) {
        return Err(LayerError::Setting(format!("has a {what} of {lengths:?}; every length in it must be at least 1")));
    }
    Ok(())
}
