//! Name the coordinates of a flat position: which block, which layer, on which scale they are read.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What the coordinates of a [`Block`] are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Weights of a network's layer.
    Weight,
    /// Biases of a network's layer.
    Bias,
    /// Scale of the observation noise.
    Noise,
    /// Parameter of a prior that is itself sampled.
    Hyperparameter,
    /// Any parameter of a model that is not a network.
    Parameter,
}

/// How a coordinate is read: samplers move on the real line, people read the constrained value.
///
/// The log density that samplers see is that of the unconstrained coordinate, Jacobian included; the transform here only
/// translates finished draws.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transform {
    /// `y = x`.
    #[default]
    Identity,
    /// `y = factor · exp(x)`, a positive parameter; `factor` carries a unit, such as the target's standard deviation.
    Exp {
        /// Positive multiplier of `exp(x)`.
        factor: f64,
    },
    /// `y = 1 / (1 + exp(−x))`, a parameter between 0 and 1.
    Logistic,
}

impl Transform {
    /// `y = exp(x)`.
    pub const EXP: Self = Self::Exp { factor: 1.0 };

    /// The constrained value of the unconstrained coordinate `x`.
    ///
    /// ```
    /// use ergodic_draws::Transform;
    /// assert_eq!(Transform::EXP.constrain(0.0), 1.0);
    /// ```
    #[must_use]
    pub fn constrain(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Exp { factor } => factor * x.exp(),
            Self::Logistic => 1.0 / (1.0 + (-x).exp()),
        }
    }

    /// The unconstrained coordinate whose constrained value is `y`.
    ///
    /// ```
    /// use ergodic_draws::Transform;
    /// assert_eq!(Transform::Logistic.unconstrain(0.5), 0.0);
    /// ```
    #[must_use]
    pub fn unconstrain(self, y: f64) -> f64 {
        match self {
            Self::Identity => y,
            Self::Exp { factor } => (y / factor).ln(),
            Self::Logistic => (y / (1.0 - y)).ln(),
        }
    }
}

/// A named range of coordinates: one tensor of a network, or one parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Name, unique in its layout, such as `layer0.weight`.
    pub name: String,
    /// Shape in row-major order; empty for a scalar.
    pub shape: Vec<usize>,
    /// First coordinate.
    pub offset: usize,
    /// Layer of the network, counted from the input, if the block belongs to one.
    pub layer: Option<usize>,
    /// What the block is for.
    pub role: Role,
    /// How its coordinates are read.
    pub transform: Transform,
    /// Multiplier of an [`Transform::Exp`]'s factor for each coordinate, such as the unit of its own target; empty where all are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<f64>,
}

impl Block {
    /// A block without layer, of role [`Role::Parameter`], read as it is; the offset is set when it enters a [`Layout`].
    ///
    /// ```
    /// use ergodic_draws::{Block, Transform};
    /// let tau = Block::new("tau", &[]).with_transform(Transform::EXP);
    /// assert_eq!(tau.len(), 1);
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            offset: 0,
            layer: None,
            role: Role::Parameter,
            transform: Transform::Identity,
            factors: Vec::new(),
        }
    }

    /// The same block in layer `layer`.
    #[must_use]
    pub fn in_layer(mut self, layer: usize) -> Self {
        self.layer = Some(layer);
        self
    }

    /// The same block with another role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// The same block with another transform.
    #[must_use]
    pub fn with_transform(mut self, transform: Transform) -> Self {
        self.transform = transform;
        self
    }

    /// The same block with a multiplier of [`Transform::Exp`]'s factor for each coordinate: positive numbers that each have a unit of
    /// their own.
    ///
    /// ```
    /// use ergodic_draws::{Block, Layout, Transform};
    /// let scales = Block::new("noise_scale", &[2]).with_transform(Transform::EXP).with_factors(vec![1.0, 60.0]);
    /// let layout = Layout::new(vec![scales])?;
    /// assert_eq!(layout.constrain(1, 0.0), 60.0);
    /// # Ok::<(), ergodic_draws::LayoutError>(())
    /// ```
    #[must_use]
    pub fn with_factors(mut self, factors: Vec<f64>) -> Self {
        self.factors = factors;
        self
    }

    /// How the coordinate at place `index` of the block is read.
    ///
    /// # Panics
    /// When the block has factors and no such coordinate.
    #[must_use]
    pub fn transform_of(&self, index: usize) -> Transform {
        match self.transform {
            Transform::Exp { factor } if !self.factors.is_empty() => Transform::Exp { factor: factor * self.factors[index] },
            transform => transform,
        }
    }

    /// Whether factors, if there are any, are one a coordinate of positive numbers.
    fn factors_fit(&self) -> bool {
        let fits = || self.factors.len() == self.len() && matches!(self.transform, Transform::Exp { .. });
        self.factors.is_empty() || fits() && self.factors.iter().all(|factor| factor.is_finite() && *factor > 0.0)
    }

    /// Number of coordinates: the product of the shape, 1 for a scalar.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The coordinates of this block in a position.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The blocks of a flat position, in order and without gaps.
///
/// ```
/// use ergodic_draws::{Block, Layout, Role, Transform};
/// let layout = Layout::new(vec![
///     Block::new("weight", &[2, 3]).in_layer(0).with_role(Role::Weight),
///     Block::new("noise_scale", &[]).with_role(Role::Noise).with_transform(Transform::EXP),
/// ])?;
/// assert_eq!(layout.dim(), 7);
/// assert_eq!(layout.coordinate_name(4), "weight[1,1]");
/// assert_eq!(layout.coordinate_name(6), "noise_scale");
/// # Ok::<(), ergodic_draws::LayoutError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedLayout")]
pub struct Layout {
    blocks: Vec<Block>,
    dim: usize,
}

/// A layout as a file claims it.
#[derive(Deserialize)]
struct UncheckedLayout {
    blocks: Vec<Block>,
    dim: usize,
}

impl TryFrom<UncheckedLayout> for Layout {
    type Error = LayoutError;

    fn try_from(unchecked: UncheckedLayout) -> Result<Self, LayoutError> {
        let layout = Self::new(unchecked.blocks)?;
        if layout.dim == unchecked.dim {
            Ok(layout)
        } else {
            Err(LayoutError::WrongDimension { blocks: layout.dim, stated: unchecked.dim })
        }
    }
}

/// Why blocks do not make a [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Two blocks share a name.
    #[error("two blocks are named '{0}'; give each block of a layout its own name")]
    DuplicateName(String),
    /// A name is empty or would not be a file name.
    #[error("'{0}' cannot name a block; use letters, digits, '_', '-' and '.', and start with a letter")]
    InvalidName(String),
    /// A name that storage keeps for itself.
    #[error("the name '{0}' is reserved for storage; rename the block")]
    ReservedName(String),
    /// A block has more coordinates than the machine can count.
    #[error("the shape of block '{0}' has too many coordinates to count")]
    TooLarge(String),
    /// Factors are not one positive number a coordinate of a block of positive parameters.
    #[error("block '{0}' has factors that are not one positive finite number for each coordinate, read by `Transform::Exp`")]
    Factors(String),
    /// A stored layout states another dimension than its blocks have.
    #[error("the blocks of a stored layout have {blocks} coordinates, but it states {stated}")]
    WrongDimension {
        /// Coordinates of the blocks.
        blocks: usize,
        /// The dimension that is stated.
        stated: usize,
    },
}

/// Whether `name` can be a file name on every system, and a variable in ArviZ.
pub(crate) fn is_valid_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Whether storage keeps `name` for itself.
pub(crate) fn is_reserved_name(name: &str) -> bool {
    matches!(name, "chain" | "draw" | "sample" | "pred_id" | "zarr.json")
}

/// ArviZ's name of an axis of a variable that names no axes.
pub(crate) fn axis_name(variable: &str, axis: usize) -> String {
    format!("{variable}_dim_{axis}")
}

impl Layout {
    /// Lays the blocks one after the other; the offsets they came with are replaced.
    ///
    /// # Errors
    /// When two blocks share a name, a name cannot be a file name of a run folder, or there are more coordinates than `usize` counts.
    pub fn new(mut blocks: Vec<Block>) -> Result<Self, LayoutError> {
        let mut dim = 0;
        for index in 0..blocks.len() {
            let name = blocks[index].name.clone();
            if !is_valid_name(&name) {
                return Err(LayoutError::InvalidName(name));
            }
            // ArviZ names the axes of `w` `w_dim_0`, `w_dim_1` and so on, and a variable cannot share the name of an axis.
            let is_axis = |other: &Block| (0..other.shape.len()).any(|axis| name == axis_name(&other.name, axis));
            if is_reserved_name(&name) || blocks.iter().any(is_axis) {
                return Err(LayoutError::ReservedName(name));
            }
            if blocks[..index].iter().any(|other| other.name == name) {
                return Err(LayoutError::DuplicateName(name));
            }
            let len = blocks[index].shape.iter().try_fold(1_usize, |len, &extent| len.checked_mul(extent));
            blocks[index].offset = dim;
            dim = len.and_then(|len| dim.checked_add(len)).ok_or_else(|| LayoutError::TooLarge(name.clone()))?;
            if !blocks[index].factors_fit() {
                return Err(LayoutError::Factors(name));
            }
        }
        Ok(Self { blocks, dim })
    }

    /// One block named `x` for all `dim` coordinates, for a density that names nothing.
    #[must_use]
    pub fn flat(dim: usize) -> Self {
        Self { blocks: vec![Block::new("x", &[dim])], dim }
    }

    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The blocks in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block named `name`.
    #[must_use]
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// The block that holds coordinate `coordinate`.
    ///
    /// # Panics
    /// When `coordinate` is not below [`dim`](Self::dim).
    #[must_use]
    pub fn block_of(&self, coordinate: usize) -> &Block {
        assert!(coordinate < self.dim, "coordinate {coordinate} of a layout with {}", self.dim);
        let next = self.blocks.partition_point(|block| block.offset <= coordinate);
        // An empty block shares its offset with the next one and never holds a coordinate.
        self.blocks[..next].iter().rev().find(|block| block.len() > 0).expect("dim counts only coordinates of blocks")
    }

    /// Name of one coordinate: the block's name, and its index there unless the block is a scalar.
    ///
    /// # Panics
    /// When `coordinate` is not below [`dim`](Self::dim).
    #[must_use]
    pub fn coordinate_name(&self, coordinate: usize) -> String {
        let block = self.block_of(coordinate);
        if block.shape.is_empty() {
            return block.name.clone();
        }
        let mut rest = coordinate - block.offset;
        let mut index = vec![0; block.shape.len()];
        for (slot, extent) in index.iter_mut().zip(&block.shape).rev() {
            *slot = rest % extent;
            rest /= extent;
        }
        let index: Vec<String> = index.iter().map(ToString::to_string).collect();
        format!("{}[{}]", block.name, index.join(","))
    }

    /// The coordinate that [`coordinate_name`](Self::coordinate_name) calls `name`.
    ///
    /// ```
    /// use ergodic_draws::{Block, Layout};
    /// let layout = Layout::new(vec![Block::new("tau", &[]), Block::new("weight", &[2, 3])])?;
    /// assert_eq!(layout.coordinate_of("weight[1,0]"), Some(4));
    /// assert_eq!(layout.coordinate_of("weight[2,0]"), None);
    /// # Ok::<(), ergodic_draws::LayoutError>(())
    /// ```
    #[must_use]
    pub fn coordinate_of(&self, name: &str) -> Option<usize> {
        let (block_name, index) = match name.strip_suffix(']') {
            Some(open) => open.split_once('[')?,
            None => (name, ""),
        };
        let block = self.block(block_name)?;
        let index: Vec<&str> = if index.is_empty() { Vec::new() } else { index.split(',').collect() };
        if index.len() != block.shape.len() {
            return None;
        }
        let mut coordinate = 0;
        for (text, &extent) in index.iter().zip(&block.shape) {
            let position: usize = text.parse().ok().filter(|&position| position < extent)?;
            coordinate = coordinate * extent + position;
        }
        let coordinate = block.offset + coordinate;
        // Other spellings of the same index, such as `w[01]`, are no names.
        (self.coordinate_name(coordinate) == name).then_some(coordinate)
    }

    /// The constrained value of coordinate `coordinate` at the unconstrained value `x`.
    ///
    /// # Panics
    /// When `coordinate` is not below [`dim`](Self::dim).
    #[must_use]
    pub fn constrain(&self, coordinate: usize, x: f64) -> f64 {
        self.transform_of(coordinate).constrain(x)
    }

    /// How coordinate `coordinate` is read.
    ///
    /// # Panics
    /// When `coordinate` is not below [`dim`](Self::dim).
    #[must_use]
    pub fn transform_of(&self, coordinate: usize) -> Transform {
        let block = self.block_of(coordinate);
        block.transform_of(coordinate - block.offset)
    }

    /// Number of layers that blocks name: the highest layer number plus one.
    #[must_use]
    pub fn num_layers(&self) -> usize {
        self.blocks.iter().filter_map(|block| block.layer).max().map_or(0, |layer| layer + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_coordinates_follow_row_major_order() {
        let layout = Layout::new(vec![Block::new("a", &[]), Block::new("b", &[2, 2]), Block::new("c", &[3])]).unwrap();
        let names: Vec<String> = (0..layout.dim()).map(|i| layout.coordinate_name(i)).collect();
        assert_eq!(names, ["a", "b[0,0]", "b[0,1]", "b[1,0]", "b[1,1]", "c[0]", "c[1]", "c[2]"]);
    }

    #[test]
    fn empty_blocks_hold_no_coordinate() {
        let layout = Layout::new(vec![Block::new("none", &[0]), Block::new("some", &[1])]).unwrap();
        assert_eq!(layout.block_of(0).name, "some");
    }

    #[test]
    fn bad_names_are_refused() {
        assert!(matches!(Layout::new(vec![Block::new("a", &[]), Block::new("a", &[])]), Err(LayoutError::DuplicateName(_))));
        assert!(matches!(Layout::new(vec![Block::new("../a", &[])]), Err(LayoutError::InvalidName(_))));
        assert!(matches!(Layout::new(vec![Block::new("", &[])]), Err(LayoutError::InvalidName(_))));
        for reserved in ["chain", "draw", "zarr.json"] {
            assert!(matches!(Layout::new(vec![Block::new(reserved, &[])]), Err(LayoutError::ReservedName(_))));
        }
        let axis = |shape| Layout::new(vec![Block::new("w_dim_1", &[]), Block::new("w", shape)]);
        assert!(matches!(axis(&[2, 2]), Err(LayoutError::ReservedName(_))));
        assert!(axis(&[2]).is_ok());
    }

    #[test]
    fn shapes_beyond_counting_are_refused() {
        assert!(matches!(Layout::new(vec![Block::new("w", &[usize::MAX, 2])]), Err(LayoutError::TooLarge(_))));
        let blocks = vec![Block::new("v", &[usize::MAX]), Block::new("w", &[1])];
        assert!(matches!(Layout::new(blocks), Err(LayoutError::TooLarge(_))));
    }

    #[test]
    fn factors_belong_to_positive_coordinates_one_by_one() {
        let block =
            |transform, factors| Layout::new(vec![Block::new("s", &[2]).with_transform(transform).with_factors(factors)]);
        let layout = block(Transform::Exp { factor: 3.0 }, vec![1.0, 2.0]).unwrap();
        assert_eq!([layout.constrain(0, 0.0), layout.constrain(1, 0.0)], [3.0, 6.0]);
        for wrong in [vec![1.0], vec![1.0, 0.0], vec![1.0, f64::NAN], vec![1.0; 3]] {
            assert!(matches!(block(Transform::EXP, wrong), Err(LayoutError::Factors(_))));
        }
        assert!(matches!(block(Transform::Identity, vec![1.0, 2.0]), Err(LayoutError::Factors(_))));
    }

    #[test]
    fn every_name_finds_its_coordinate() {
        let blocks = vec![Block::new("a", &[]), Block::new("none", &[0]), Block::new("b", &[2, 1, 3]), Block::new("c.d", &[1])];
        let layout = Layout::new(blocks).unwrap();
        for coordinate in 0..layout.dim() {
            assert_eq!(layout.coordinate_of(&layout.coordinate_name(coordinate)), Some(coordinate));
        }
        for wrong in ["", "a[0]", "a[]", "b", "b[0,0]", "b[2,0,0]", "b[0,0,03]", "b[0,0,+1]", "none[0]", "none", "b[0,0,0", "e"]
        {
            assert_eq!(layout.coordinate_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn transforms_are_undone() {
        for transform in [Transform::Identity, Transform::Exp { factor: 3.0 }, Transform::Logistic] {
            for x in [-3.0, 0.0, 0.7] {
                assert!((transform.unconstrain(transform.constrain(x)) - x).abs() < 1e-12, "{transform:?} at {x}");
            }
        }
        assert_eq!(Transform::Exp { factor: 3.0 }.constrain(0.0), 3.0);
        assert_eq!(Transform::Logistic.constrain(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn layers_are_counted_from_the_input() {
        assert_eq!(Layout::flat(3).num_layers(), 0);
        let layout = Layout::new(vec![Block::new("w", &[1]).in_layer(4), Block::new("v", &[1])]).unwrap();
        assert_eq!(layout.num_layers(), 5);
    }

    #[test]
    fn stored_layouts_are_checked() {
        let layout = Layout::new(vec![Block::new("w", &[2]).with_transform(Transform::EXP), Block::new("v", &[])]).unwrap();
        let json = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&json).unwrap(), layout);
        assert!(serde_json::from_str::<Layout>(&json.replace("\"dim\":3", "\"dim\":4")).is_err());
        assert!(serde_json::from_str::<Layout>(&json.replace("\"v\"", "\"w\"")).is_err());
    }
}
