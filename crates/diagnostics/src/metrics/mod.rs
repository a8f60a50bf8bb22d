//! Score predictions against observed targets, and split their uncertainty.
//!
//! Every score weighs all draws equally and reads finished [`Predictions`], whatever method made them.

mod classification;
mod log_density;
mod regression;
mod uncertainty;

pub use classification::{
    ClassificationMetrics, RELIABILITY_BINS, ReliabilityBin, accuracy, brier_score, class_probabilities,
    classification_metrics, expected_calibration_error, log_loss, reliability,
};
pub use log_density::{Estimate, log_predictive_densities, mean_log_predictive_density};
pub use regression::{
    IntervalCoverage, RegressionMetrics, calibration_error, crps, interval_coverage, predictive_means,
    probability_integral_transform, regression_metrics, rmse,
};
pub use uncertainty::{Uncertainty, uncertainty};

use crate::PredictionsError;
use crate::table::{Cell, Table};
use ergodic_draws::{PredictionKind, Predictions};
use serde::Serialize;
use std::fmt;

/// The scores that fit the kind of target; `Display` writes them as a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metrics {
    /// Scores of real targets.
    Regression(RegressionMetrics),
    /// Scores of class labels.
    Classification(ClassificationMetrics),
}

/// All scores of `predictions`.
///
/// # Errors
/// When a part that a score needs is empty, does not fit, or holds a value that is not finite.
///
/// ```
/// use ergodic_draws::{Origin, PredictionKind, Predictions, Temperatures};
/// let predictions = Predictions {
///     origin: Origin::Mcmc,
///     temperatures: Temperatures::POSTERIOR,
///     energy_variance: None,
///     kind: PredictionKind::Classification,
///     target_name: "species".to_owned(),
///     chain_lengths: vec![1],
///     num_points: 2,
///     num_outputs: 2,
///     values: vec![0.9, 0.1, 0.2, 0.8],
///     noise_sd: vec![],
///     simulated: vec![],
///     log_likelihood: vec![0.9f64.ln(), 0.8f64.ln()],
///     observed: vec![0.0, 1.0],
/// };
/// let ergodic_diagnostics::metrics::Metrics::Classification(scores) = ergodic_diagnostics::metrics::metrics(&predictions)?
/// else {
///     unreachable!("the targets are classes")
/// };
/// assert_eq!(scores.accuracy, 1.0);
/// # Ok::<(), ergodic_diagnostics::PredictionsError>(())
/// ```
pub fn metrics(predictions: &Predictions) -> Result<Metrics, PredictionsError> {
    match predictions.kind {
        PredictionKind::Regression => Ok(Metrics::Regression(regression_metrics(predictions)?)),
        PredictionKind::Classification => Ok(Metrics::Classification(classification_metrics(predictions)?)),
        _ => Err(PredictionsError::WrongKind { asked: "a score", expected: "real or class" }),
    }
}

impl Metrics {
    /// One row a score.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new("Scores", &["score", "value", "standard error"]);
        let mut push = |name: String, value: f64, error: f64| {
            table.push(vec![Cell::Text(name), Cell::Significant(value), Cell::Significant(error)]);
        };
        match self {
            Self::Regression(m) => {
                push("RMSE".to_owned(), m.rmse, f64::NAN);
                push("mean log predictive density".to_owned(), m.log_density.value, m.log_density.standard_error);
                push("CRPS".to_owned(), m.crps, f64::NAN);
                for interval in &m.intervals {
                    push(format!("coverage of {} % intervals", 100.0 * interval.level), interval.coverage, f64::NAN);
                    push(format!("mean width of {} % intervals", 100.0 * interval.level), interval.mean_width, f64::NAN);
                }
                push("calibration error".to_owned(), m.calibration_error, f64::NAN);
            }
            Self::Classification(m) => {
                push("accuracy".to_owned(), m.accuracy, f64::NAN);
                push("log loss".to_owned(), m.log_loss.value, m.log_loss.standard_error);
                push("Brier score".to_owned(), m.brier_score, f64::NAN);
                push("expected calibration error".to_owned(), m.calibration_error, f64::NAN);
            }
        }
        match self {
            Self::Regression(m) => table.with_caveat(m.caveat.clone()),
            Self::Classification(m) => table.with_caveat(m.caveat.clone()),
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table())
    }
}
