//! Say why a safetensors file cannot be read, matched to a layout, or written.

use std::path::PathBuf;

/// Why named tensors cannot be exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file could not be read or written.
    #[error("cannot {action} '{}': {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a safetensors file.
    #[error("'{}' is not a usable safetensors file: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor holds numbers of another kind.
    #[error("tensor '{tensor}' holds {found}, and weights are F64, F32, F16 or BF16; convert it before saving")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// What it holds.
        found: String,
    },
    /// A tensor has another shape than the block it is for.
    #[error("tensor '{tensor}' has shape {found:?}, and block '{block}' of the model has shape {expected:?}{hint}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The block.
        block: String,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// What may help; empty or after a semicolon.
        hint: String,
    },
    /// Blocks of weights have no tensor.
    #[error("no tensor for {}; the file has {}", blocks.join(", "), present.join(", "))]
    Missing {
        /// The blocks, with the tensors looked for.
        blocks: Vec<String>,
        /// The tensors in the file, with their shapes.
        present: Vec<String>,
    },
    /// Tensors of the file belong to no block.
    #[error("nothing in the model takes {}; if they may be left out, say so with TensorNames::ignoring_others", tensors.join(", "))]
    Unexpected {
        /// The tensors, with their shapes.
        tensors: Vec<String>,
    },
    /// Names do not tell which tensor is which.
    #[error("cannot tell which tensor is which: {problem}; name them with TensorNames::with")]
    Ambiguous {
        /// What leaves a choice.
        problem: String,
    },
    /// A name is given for a block that the model does not have, or twice.
    #[error("{problem}")]
    Names {
        /// What is wrong.
        problem: String,
    },
    /// A value cannot be a coordinate.
    #[error("tensor '{tensor}' has {value} at {index}, which block '{block}' cannot take")]
    Value {
        /// The tensor.
        tensor: String,
        /// Where, in row-major order.
        index: usize,
        /// The value.
        value: f64,
        /// The block.
        block: String,
    },
    /// There is no such draw.
    #[error("{problem}")]
    Draw {
        /// What is wrong.
        problem: String,
    },
}
