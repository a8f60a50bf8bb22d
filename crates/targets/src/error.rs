//! Name what can be wrong in the description of a target.

/// Why a target cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A number is out of its range.
    #[error("{setting} is {value}, and must be {range}")]
    Setting {
        /// Name of the number.
        setting: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// Two inputs disagree in length.
    #[error("{what} has {found} values, and must have {expected}")]
    Shape {
        /// What was given.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A matrix is not symmetric and positive definite.
    #[error("{what} is not symmetric and positive definite; give a covariance of full rank")]
    NotPositiveDefinite {
        /// What was given.
        what: &'static str,
    },
}

impl TargetError {
    /// Fails unless `value` is positive and finite.
    pub(crate) fn require_positive(setting: &'static str, value: f64) -> Result<(), Self> {
        if value > 0.0 && value.is_finite() {
            Ok(())
        } else {
            Err(Self::Setting { setting, value, range: "positive and finite" })
        }
    }

    /// Fails unless `value` is finite.
    pub(crate) fn require_finite(setting: &'static str, value: f64) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::Setting { setting, value, range: "finite" }) }
    }

    /// Fails unless `what` has the length `expected`, which is at least 1.
    pub(crate) fn require_length(what: &'static str, found: usize, expected: usize) -> Result<(), Self> {
        let expected = expected.max(1);
        if found == expected { Ok(()) } else { Err(Self::Shape { what, found, expected }) }
    }
}
