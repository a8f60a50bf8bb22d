//! Name what cannot be drawn or written, and the way out.

use std::path::PathBuf;

/// Why a plot could not be computed, drawn or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to draw.
    #[error("'{name}' cannot be drawn: {reason}")]
    Empty {
        /// The quantity or the plot.
        name: String,
        /// What is missing, and the way out.
        reason: &'static str,
    },
    /// A value is NaN, infinite or beyond ±10¹⁰⁰.
    #[error(
        "'{name}' has the value {value:e} at position {position} of series {series} (counted from 0); \
         drop the chain or the draws before it, or find out where the model overflows"
    )]
    NonFinite {
        /// The quantity.
        name: String,
        /// Chain, method or column, from 0.
        series: usize,
        /// Draw or point, from 0.
        position: usize,
        /// The value, such as `NaN` or `inf`.
        value: f64,
    },
    /// Two things that belong together differ in length.
    #[error("'{name}' has {found} {what} where {expected} are needed")]
    Length {
        /// The quantity, panel or method.
        name: String,
        /// What is counted.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The draws have no coordinate of that name.
    #[error("the draws have no coordinate '{name}'; their blocks are {blocks}")]
    UnknownCoordinate {
        /// The name that was asked for.
        name: String,
        /// Names of the blocks that there are.
        blocks: String,
    },
    /// The draws or predictions lack something that the plot needs.
    #[error("'{name}' lacks {what}: {advice}")]
    Missing {
        /// The result that lacks it.
        name: String,
        /// What it lacks, such as `the statistic 'energy'`.
        what: &'static str,
        /// The way out.
        advice: &'static str,
    },
    /// A number that sets up the plot is out of range.
    #[error("{setting} is {value}; {advice}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
        /// What is possible.
        advice: &'static str,
    },
    /// The picture is too small for what it has to show.
    #[error("a picture of {width} × {height} units is too small; {advice}")]
    TooSmall {
        /// Width in units.
        width: f64,
        /// Height in units.
        height: f64,
        /// The way out.
        advice: &'static str,
    },
    /// The drawing backend refused.
    #[error("the drawing backend failed: {0}")]
    Backend(String),
    /// A file could not be written.
    #[error("cannot write '{}': {reason}; check that the folder exists and has space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system or the encoder said.
        reason: String,
    },
}
