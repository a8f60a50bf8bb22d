//! Exchange weights with other programs as named tensors in safetensors files.
//!
//! A network trained in PyTorch or JAX becomes a starting point, and draws go back there. Every block of a [`Layout`](crate::Layout) is a
//! tensor of its name and shape; a dense layer's `layer0.weight` is [outputs, inputs], as PyTorch's `nn.Linear` has it. Values are on the
//! scale people read: a noise scale is a standard deviation in the target's unit, not its logarithm. Weights are those of the
//! network that the model evaluates: where the model standardises inputs and targets, they are on the standardised scale, and the
//! means and standard deviations are in the file's metadata.

mod error;
mod names;
mod number;
mod read;
mod resolve;
mod write;

pub use error::SafetensorsError;
pub use names::TensorNames;
pub use number::TensorPrecision;
pub use read::SafetensorsFile;
pub use write::{DrawSelection, SafetensorsOptions, write_safetensors};

/// The key of the metadata under which this library describes a file, as a text in JSON.
pub(crate) const METADATA_KEY: &str = "ergodic";
