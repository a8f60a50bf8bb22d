//! Describe the coordinates that a likelihood adds to the flat position.

use ergodic_draws::{Block, Role, Transform};
use serde::{Deserialize, Serialize};

/// A block of coordinates that a likelihood adds to the flat position, such as the logarithms of noise scales.
///
/// All coordinates of a block have the same normal prior, on the unconstrained scale.
///
/// ```
/// use ergodic_draws::Transform;
/// use ergodic_model::LikelihoodParameter;
/// let scales = LikelihoodParameter::new("noise_scale", 0.0, 1.0).with_shape(&[2]).with_transform(Transform::EXP).in_unit_of(0);
/// assert_eq!(scales.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LikelihoodParameter {
    /// Name of the block, such as `noise_scale`.
    pub name: String,
    /// Shape of the block in row-major order; empty for a scalar, named without an index.
    pub shape: Vec<usize>,
    /// How its coordinates are read, on the standardised scale.
    pub transform: Transform,
    /// The target in whose unit the block's first coordinate is measured, the following coordinates in those of the following
    /// targets; none for pure numbers. The model multiplies an [`Transform::Exp`] by the standard deviation of that target.
    pub unit_of: Option<usize>,
    /// Mean of the normal prior on each unconstrained coordinate.
    pub prior_mean: f64,
    /// Standard deviation of the normal prior on each unconstrained coordinate.
    pub prior_sd: f64,
}

impl LikelihoodParameter {
    /// A scalar pure number that is read as it is, with prior N(`prior_mean`, `prior_sd`²).
    #[must_use]
    pub fn new(name: impl Into<String>, prior_mean: f64, prior_sd: f64) -> Self {
        Self { name: name.into(), shape: Vec::new(), transform: Transform::Identity, unit_of: None, prior_mean, prior_sd }
    }

    /// The same with a shape.
    #[must_use]
    pub fn with_shape(mut self, shape: &[usize]) -> Self {
        self.shape = shape.to_vec();
        self
    }

    /// The same with another transform.
    #[must_use]
    pub fn with_transform(mut self, transform: Transform) -> Self {
        self.transform = transform;
        self
    }

    /// The same, measured in the unit of target `target`, or of the targets from there on where it has several coordinates.
    #[must_use]
    pub fn in_unit_of(mut self, target: usize) -> Self {
        self.unit_of = Some(target);
        self
    }

    /// Number of coordinates.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Why no model can have the block, if none can: its prior, or a unit of a target that is not there.
    pub(crate) fn check(&self, targets: usize) -> Result<(), String> {
        let Self { name, prior_mean, prior_sd, .. } = self;
        if !(prior_mean.is_finite() && prior_sd.is_finite() && *prior_sd > 0.0) {
            return Err(format!(
                "the prior of '{name}' is N({prior_mean}, {prior_sd}²); the sd must be positive and both finite"
            ));
        }
        match self.unit_of {
            Some(first) if first.saturating_add(self.len()) > targets => {
                let last = first + self.len();
                Err(format!("'{name}' is measured in the units of targets {first} to {last}, and there are {targets} targets"))
            }
            _ => Ok(()),
        }
    }

    /// The block of a layout, given the mean and standard deviation by which each target was standardised.
    pub(crate) fn block(&self, targets: &[(f64, f64)]) -> Block {
        let block = Block::new(&self.name, &self.shape).with_role(Role::Noise);
        match (self.transform, self.unit_of) {
            (Transform::Exp { factor }, Some(first)) => {
                let units: Vec<f64> = targets[first..][..self.len()].iter().map(|(_, sd)| *sd).collect();
                if units.iter().all(|unit| *unit == units[0]) {
                    return block.with_transform(Transform::Exp { factor: factor * units[0] });
                }
                block.with_transform(self.transform).with_factors(units)
            }
            (transform, _) => block.with_transform(transform),
        }
    }
}

/// A positive number of a likelihood, such as a scale or a dispersion: known, or learned as one more coordinate, its logarithm.
///
/// ```
/// use ergodic_model::{Positive, StudentT};
/// let likelihood = StudentT { degrees_of_freedom: Positive::Known(4.0), scale: Positive::Learned { prior_mean: 0.0, prior_sd: 1.0 } };
/// # assert_eq!(likelihood, StudentT::learned_noise(4.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positive {
    /// Its value.
    Known(f64),
    /// The logarithm is a coordinate with a normal prior.
    Learned {
        /// Prior mean of the logarithm.
        prior_mean: f64,
        /// Prior standard deviation of the logarithm.
        prior_sd: f64,
    },
}

impl Positive {
    /// The block of coordinates, if there is one.
    pub(super) fn parameter(self, name: &str) -> Option<LikelihoodParameter> {
        match self {
            Self::Known(_) => None,
            Self::Learned { prior_mean, prior_sd } => {
                Some(LikelihoodParameter::new(name, prior_mean, prior_sd).with_transform(Transform::EXP))
            }
        }
    }

    /// The logarithm, taken off the front of the coordinates where it is one of them.
    pub(super) fn logarithm(self, parameters: &mut &[f64]) -> f64 {
        match self {
            Self::Known(value) => value.ln(),
            Self::Learned { .. } => {
                let (first, rest) = parameters.split_first().map_or((f64::NAN, *parameters), |(first, rest)| (*first, rest));
                *parameters = rest;
                first
            }
        }
    }

    pub(super) fn is_learned(self) -> bool {
        matches!(self, Self::Learned { .. })
    }

    /// Why the settings are out of range, if they are; `what` names the number.
    pub(super) fn check(self, what: &str) -> Result<(), String> {
        match self {
            Self::Known(value) if !(value.is_finite() && value > 0.0) => {
                Err(format!("the known {what} is {value}; it must be positive and finite"))
            }
            Self::Learned { prior_mean, prior_sd } if !(prior_mean.is_finite() && prior_sd.is_finite() && prior_sd > 0.0) => {
                let prior = format!("N({prior_mean}, {prior_sd}²)");
                Err(format!("the prior of the logarithm of the {what} is {prior}; the sd must be positive and both finite"))
            }
            _ => Ok(()),
        }
    }
}
