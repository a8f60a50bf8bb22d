//! Write metrics to files and read them back: M⁻¹ alone, from which the rest follows.

use super::{LowRank, Metric, MetricError, Shape};
use crate::checkpoint_file::Aside;
use crate::numbers;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize, Serializer};
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// What a metric is read from.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredMetric {
    Unit,
    Diagonal(#[serde(deserialize_with = "numbers::exact")] Vec<f64>),
    Dense(usize, Vec<f64>),
    LowRank { scales: Vec<f64>, directions: Vec<f64>, eigenvalues: Vec<f64> },
}

/// A [`StoredMetric`] whose numbers are the metric's own, so that writing needs no second copy.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Unit,
    Diagonal(&'a [f64]),
    Dense(usize, &'a [f64]),
    LowRank { scales: &'a [f64], directions: &'a [f64], eigenvalues: &'a [f64] },
}

/// Why a metric could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricFileError {
    /// A file could not be read or written.
    #[error("cannot {action} the metric '{}': {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no metric.
    #[error("'{}' holds no usable metric: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Metric {
    /// Saves the metric as JSON: written beside `path`, synced and renamed, so that a file at `path` is always whole.
    ///
    /// # Errors
    /// When the file cannot be written; an older file at `path` is then untouched.
    ///
    /// ```
    /// use ergodic_sampler::Metric;
    /// # let place = tempfile::tempdir()?;
    /// # let file = place.path().join("metric.json");
    /// let metric = Metric::diagonal(vec![4.0, 0.1])?;
    /// metric.save(&file)?;
    /// assert_eq!(Metric::load(&file)?, metric);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), MetricFileError> {
        let path = path.as_ref();
        let write = |aside: Aside| {
            let mut file = BufWriter::new(aside);
            serde_json::to_writer(&mut file, self)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.place()
        };
        let written = Aside::create(path).and_then(write);
        written.map_err(|source| MetricFileError::Io { action: "write", path: path.to_owned(), source })
    }

    /// Loads a metric that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or its numbers make no metric.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, MetricFileError> {
        let path = path.as_ref();
        let text =
            fs::read_to_string(path).map_err(|source| MetricFileError::Io { action: "read", path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|error| MetricFileError::Malformed { path: path.to_owned(), problem: error.to_string() })
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match &self.shape {
            Shape::Unit => Written::Unit,
            Shape::Diagonal { inverse_mass } => Written::Diagonal(inverse_mass),
            Shape::Dense(dense) => Written::Dense(dense.dim, &dense.inverse_mass),
            Shape::LowRank(LowRank { scales, directions, eigenvalues, .. }) => {
                Written::LowRank { scales, directions, eigenvalues }
            }
        };
        written.serialize(serializer)
    }
}

impl TryFrom<StoredMetric> for Metric {
    type Error = MetricError;

    fn try_from(stored: StoredMetric) -> Result<Self, MetricError> {
        match stored {
            StoredMetric::Unit => Ok(Self::unit()),
            StoredMetric::Diagonal(inverse_mass) => Self::diagonal(inverse_mass),
            StoredMetric::Dense(dim, values) if dim.checked_mul(dim) == Some(values.len()) => {
                Self::dense(DMatrix::from_vec(dim, dim, values))
            }
            StoredMetric::Dense(dim, values) => {
                let columns = values.len().checked_div(dim).unwrap_or(0);
                Err(MetricError::NotPositiveDefinite { rows: dim, columns })
            }
            StoredMetric::LowRank { scales, directions, eigenvalues } => Self::low_rank(scales, directions, eigenvalues),
        }
    }
}
