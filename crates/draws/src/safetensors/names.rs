//! Say which tensor of a file is which block of a layout.

use super::SafetensorsError;
use crate::Layout;
use std::collections::BTreeMap;

/// Which tensor is which block.
///
/// [`automatic`](Self::automatic), the default, takes tensors by the blocks' own names where all are there. Otherwise it pairs layers in
/// order, where names leave no choice: `0.weight, 0.bias, 2.weight, 2.bias` and `fc1.weight, …, fc2.bias` are numbered, and numbers are
/// compared as numbers; names without a common pattern must differ in shape. Anything else is an error that asks for names.
///
/// ```
/// use ergodic_draws::TensorNames;
/// let names = TensorNames::own()
///     .with("layer0.weight", "encoder.weight")
///     .with("layer0.bias", "encoder.bias")
///     .with_transposed("layer1.weight", "head.kernel")
///     .with("layer1.bias", "head.bias")
///     .ignoring_others();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorNames {
    pub(super) entries: BTreeMap<String, TensorName>,
    pub(super) automatic: bool,
    pub(super) ignore_others: bool,
}

/// The tensor of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorName {
    pub(super) tensor: String,
    pub(super) transposed: bool,
}

impl Default for TensorNames {
    fn default() -> Self {
        Self::automatic()
    }
}

impl TensorNames {
    /// By own names or else in order, where that leaves no choice.
    #[must_use]
    pub fn automatic() -> Self {
        Self { automatic: true, ..Self::own() }
    }

    /// Every tensor has the name of its block, unless [`with`](Self::with) gives it another.
    #[must_use]
    pub fn own() -> Self {
        Self { entries: BTreeMap::new(), automatic: false, ignore_others: false }
    }

    /// The same names, with tensor `tensor` for block `block`; naming one block turns the automatic choice off.
    #[must_use]
    pub fn with(self, block: impl Into<String>, tensor: impl Into<String>) -> Self {
        self.entry(block.into(), TensorName { tensor: tensor.into(), transposed: false })
    }

    /// As [`with`](Self::with), for a matrix that the file has transposed: Flax and Keras store kernels as [inputs, outputs].
    #[must_use]
    pub fn with_transposed(self, block: impl Into<String>, tensor: impl Into<String>) -> Self {
        self.entry(block.into(), TensorName { tensor: tensor.into(), transposed: true })
    }

    /// The same names, and tensors that no block takes are no error.
    #[must_use]
    pub fn ignoring_others(mut self) -> Self {
        self.ignore_others = true;
        self
    }

    fn entry(mut self, block: String, name: TensorName) -> Self {
        self.automatic = false;
        self.entries.insert(block, name);
        self
    }

    /// The tensor of `block`, and whether it is transposed there.
    pub(super) fn of<'a>(&'a self, block: &'a str) -> (&'a str, bool) {
        self.entries.get(block).map_or((block, false), |name| (&name.tensor, name.transposed))
    }

    /// Refuses names of blocks that the layout does not have, and one tensor for two blocks.
    pub(super) fn check(&self, layout: &Layout) -> Result<(), SafetensorsError> {
        let problem = |problem| Err(SafetensorsError::Names { problem });
        let blocks = || layout.blocks().iter().map(|block| block.name.as_str());
        if let Some(unknown) = self.entries.keys().find(|name| layout.block(name).is_none()) {
            let known = blocks().collect::<Vec<_>>().join(", ");
            return problem(format!("a tensor is named for block '{unknown}', and the model's blocks are {known}"));
        }
        let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
        for block in blocks() {
            let (tensor, _) = self.of(block);
            if let Some(other) = owner.insert(tensor, block) {
                return problem(format!("tensor '{tensor}' is named for two blocks, '{other}' and '{block}'"));
            }
        }
        Ok(())
    }
}
