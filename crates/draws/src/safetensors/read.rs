//! Read a safetensors file, and a position from its tensors.

use super::number::decode;
use super::resolve::resolve;
use super::{METADATA_KEY, SafetensorsError, TensorNames};
use crate::{Block, Layout, Role};
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The tensors of a safetensors file, whoever wrote it.
///
/// ```
/// use ergodic_draws::{
///     Block, ChainDraws, DrawSelection, Draws, Layout, Origin, Role, RunReport, SafetensorsFile, SafetensorsOptions, TensorNames,
///     write_safetensors,
/// };
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("weights.safetensors");
/// let layout = Layout::new(vec![Block::new("layer0.weight", &[1, 2]).in_layer(0).with_role(Role::Weight)])?;
/// let chain = ChainDraws::from_positions(2, vec![0.5, -1.0, 0.25, 3.0]);
/// let draws = Draws::new(layout.clone(), Origin::Mcmc, vec![chain], RunReport::new("nuts", 1));
/// write_safetensors(&draws, DrawSelection::One { chain: 0, draw: 1 }, &path, &SafetensorsOptions::default())?;
/// let file = SafetensorsFile::read(&path)?;
/// assert_eq!(file.position(&layout, &TensorNames::automatic(), &[0.0; 2])?, [0.25, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SafetensorsFile {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

/// A tensor with its values in row-major order.
#[derive(Debug, Clone, PartialEq)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl SafetensorsFile {
    /// Reads `path`; numbers may be F64, F32, F16 or BF16.
    ///
    /// # Errors
    /// When the file cannot be read, is no safetensors file, or has a tensor of another kind of numbers.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SafetensorsError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|source| SafetensorsError::Io { action: "read", path: path.to_owned(), source })?;
        let malformed = |error: safetensors::SafeTensorError| SafetensorsError::Malformed {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(malformed)?;
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes).map_err(malformed)?.tensors() {
            let values = decode(&name, &view)?;
            tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { tensors, metadata })
    }

    /// Names and shapes of the tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
    }

    /// The text under a key of the file's metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// What this library wrote about the draws: method, origin, caveat, temperatures and the model with its standardisation; `None` for
    /// files of other programs.
    #[must_use]
    pub fn description(&self) -> Option<Value> {
        serde_json::from_str(self.metadata(METADATA_KEY)?).ok()
    }

    /// The unconstrained position that the file holds for `layout`.
    ///
    /// Weights and biases must be in the file; other blocks (noise scales, hyperparameters) that it does not have are taken from
    /// `otherwise`, such as an initial position of the model.
    ///
    /// # Errors
    /// Names the tensor or block where names leave a choice, a weight is missing, a tensor is of no block, a shape differs or a value is
    /// out of range.
    ///
    /// # Panics
    /// When `otherwise` has another dimension than the layout.
    pub fn position(&self, layout: &Layout, names: &TensorNames, otherwise: &[f64]) -> Result<Vec<f64>, SafetensorsError> {
        assert_eq!(otherwise.len(), layout.dim(), "one value per coordinate of the layout");
        let names = self.resolved(layout, names)?;
        let mut position = otherwise.to_vec();
        for block in layout.blocks().iter().filter(|block| block.len() > 0) {
            let (name, transposed) = names.of(&block.name);
            let Some(tensor) = self.tensors.get(name) else { continue };
            tensor.check_shape(name, block, transposed)?;
            let columns = block.shape.last().copied().unwrap_or(1);
            for (index, x) in position[block.range()].iter_mut().enumerate() {
                // Row-major in the file's own shape.
                let stored = if transposed { (index % columns) * (block.len() / columns) + index / columns } else { index };
                let value = tensor.values[stored];
                *x = block.transform.unconstrain(value);
                if !x.is_finite() {
                    let (tensor, block) = (name.to_owned(), block.name.clone());
                    return Err(SafetensorsError::Value { tensor, index: stored, value, block });
                }
            }
        }
        Ok(position)
    }

    /// Names for every block, and nothing missing or left over.
    fn resolved(&self, layout: &Layout, names: &TensorNames) -> Result<TensorNames, SafetensorsError> {
        names.check(layout)?;
        let shapes: BTreeMap<&str, &[usize]> = self.tensors().collect();
        let mut resolved = names.clone();
        if names.automatic {
            resolved = resolve(layout, &shapes)?;
            resolved.ignore_others = names.ignore_others;
        }
        let blocks = || layout.blocks().iter().filter(|block| block.len() > 0);
        let required = |block: &&Block| !matches!(block.role, Role::Noise | Role::Hyperparameter);
        let describe = |name: &str, shape: &[usize]| format!("'{name}' {shape:?}");
        let missing = |block: &&Block| !shapes.contains_key(resolved.of(&block.name).0);
        let looked_for = |block: &Block| match resolved.of(&block.name).0 {
            tensor if tensor == block.name => describe(&block.name, &block.shape),
            tensor => format!("{} (tensor '{tensor}')", describe(&block.name, &block.shape)),
        };
        let absent: Vec<String> = blocks().filter(required).filter(missing).map(looked_for).collect();
        if !absent.is_empty() {
            let present = shapes.iter().map(|(name, shape)| describe(name, shape)).collect();
            return Err(SafetensorsError::Missing { blocks: absent, present });
        }
        let taken: Vec<&str> = blocks().map(|block| resolved.of(&block.name).0).collect();
        let others = shapes.iter().filter(|(name, _)| !taken.contains(*name));
        let others: Vec<String> = others.map(|(name, shape)| describe(name, shape)).collect();
        if others.is_empty() || resolved.ignore_others {
            Ok(resolved)
        } else {
            Err(SafetensorsError::Unexpected { tensors: others })
        }
    }
}

impl Tensor {
    fn check_shape(&self, name: &str, block: &Block, transposed: bool) -> Result<(), SafetensorsError> {
        let mut expected = block.shape.clone();
        if transposed {
            expected.reverse();
        }
        // A scalar may be stored as one element.
        let scalar = expected.is_empty() && self.shape == [1];
        if (self.shape == expected && (!transposed || expected.len() == 2)) || scalar {
            return Ok(());
        }
        let reversed: Vec<usize> = self.shape.iter().rev().copied().collect();
        let hint = if transposed && expected.len() != 2 {
            "; only a matrix can be transposed"
        } else if reversed == expected && expected.len() == 2 {
            "; it is the transpose: say so with TensorNames::with_transposed"
        } else if self.shape.get(1..) == Some(expected.as_slice()) {
            "; the file holds several draws: write one of them"
        } else {
            ""
        };
        let (tensor, found, block) = (name.to_owned(), self.shape.clone(), block.name.clone());
        Err(SafetensorsError::Shape { tensor, found, block, expected, hint: hint.to_owned() })
    }
}
