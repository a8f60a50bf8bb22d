//! Say a diagnostic's value together with the reason when there is none.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What stands behind the value of a [`Diagnostic`]: that it is sound, that it needs a remark, or why it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// The value is what its formula says, with nothing to add.
    Ok,
    /// A value from one chain: its halves are compared, other starting points are not.
    SingleChain,
    /// The estimate passed its upper limit `S · log10 S` and is that limit.
    Capped,
    /// Every chain (or half chain) stands still, at different values; R-hat is infinite.
    ChainsStuckApart,
    /// A draw is NaN or infinite.
    NonFinite,
    /// Draws are so large or so close together that their squares leave the range of floating-point numbers.
    OutOfRange,
    /// All values are equal, so there is no variance to compare.
    Constant,
    /// There are fewer draws than the formula needs, 4 per chain for most.
    TooFewDraws,
    /// There are fewer chains than the formula needs.
    TooFewChains,
    /// The draws are independent ones of an approximation, not a Markov chain, so there is nothing to converge.
    NotMarkov,
    /// A probability is not between 0 and 1.
    InvalidProbability,
}

impl Status {
    /// Whether a value exists; remarks such as [`Status::Capped`] do not take it away.
    ///
    /// ```
    /// use ergodic_diagnostics::Status;
    /// assert!(Status::Capped.is_defined() && !Status::Constant.is_defined());
    /// ```
    #[must_use]
    pub fn is_defined(self) -> bool {
        matches!(self, Self::Ok | Self::SingleChain | Self::Capped | Self::ChainsStuckApart)
    }

    /// The reason in plain words; empty for [`Status::Ok`].
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "",
            Self::SingleChain => "from a single chain: only its halves are compared; run at least four chains",
            Self::Capped => "at its upper limit: draws are so negatively correlated that the estimate is cut off",
            Self::ChainsStuckApart => "every chain stands still, at different values",
            Self::NonFinite => "a draw is NaN or infinite",
            Self::OutOfRange => "draws are too large or too close together for floating-point squares; rescale them",
            Self::Constant => "all values are equal",
            Self::TooFewDraws => "too few draws: at least four per chain are needed",
            Self::TooFewChains => "too few chains: at least two are needed",
            Self::NotMarkov => "not a Markov chain: independent draws of an approximation have nothing to converge",
            Self::InvalidProbability => "the probability is not between 0 and 1",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Ok { "ok" } else { self.reason() })
    }
}

/// A number with the reason that it is as it is.
///
/// `value` is NaN exactly when [`Status::is_defined`] is false.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Diagnostic {
    /// The value, NaN where it is undefined.
    pub value: f64,
    /// The remark or the reason.
    pub status: Status,
}

impl Diagnostic {
    /// A sound value.
    #[must_use]
    pub fn ok(value: f64) -> Self {
        Self { value, status: Status::Ok }
    }

    /// No value, for the given reason.
    #[must_use]
    pub fn undefined(status: Status) -> Self {
        Self { value: f64::NAN, status }
    }

    /// A value from arithmetic that may have left the range of floating-point numbers.
    pub(crate) fn in_range(value: f64) -> Self {
        if value.is_finite() { Self::ok(value) } else { Self::undefined(Status::OutOfRange) }
    }

    /// The value, if there is one.
    #[must_use]
    pub fn get(self) -> Option<f64> {
        self.status.is_defined().then_some(self.value)
    }

    /// The same remark on another value; an undefined diagnostic stays so.
    #[must_use]
    pub(crate) fn map(self, change: impl FnOnce(f64) -> f64) -> Self {
        let changed = if self.status.is_defined() { Self::in_range(change(self.value)) } else { self };
        if changed.status == Status::Ok { Self { status: self.status, ..changed } } else { changed }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Ok => write!(f, "{}", self.value),
            status if status.is_defined() => write!(f, "{} ({status})", self.value),
            status => write!(f, "undefined ({status})"),
        }
    }
}

/// An interval with the reason when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower bound, NaN where undefined.
    pub lower: f64,
    /// Upper bound, NaN where undefined.
    pub upper: f64,
    /// The remark or the reason.
    pub status: Status,
}

impl Interval {
    /// No interval, for the given reason.
    #[must_use]
    pub fn undefined(status: Status) -> Self {
        Self { lower: f64::NAN, upper: f64::NAN, status }
    }

    /// `upper − lower`.
    #[must_use]
    pub fn width(self) -> f64 {
        self.upper - self.lower
    }

    /// Whether `value` lies in the closed interval.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}
