//! Hold methods against each other on the same targets: scores, cost, and whether they are exact.

use crate::metrics::{Estimate, Metrics, log_predictive_densities, metrics};
use crate::table::{Cell, Table};
use crate::{PredictionsError, Provenance};
use ergodic_draws::{Draws, Predictions};
use serde::Serialize;
use std::fmt;

/// One method's draws and its predictions of the common targets.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Name in the table, unique.
    pub name: &'a str,
    /// The draws, for their cost and origin.
    pub draws: &'a Draws,
    /// Predictions with observed targets.
    pub predictions: &'a Predictions,
}

/// Why entries cannot be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There is nothing to compare.
    #[error("there is no entry; compare at least one")]
    Empty,
    /// Rows could not be told apart.
    #[error("two entries are named '{0}'; give each its own name")]
    DuplicateName(String),
    /// Scores on different targets say nothing about methods.
    #[error("'{other}' predicts other targets than '{first}'; predict the same points in the same order and unit")]
    DifferentTargets {
        /// The first entry.
        first: String,
        /// The one that differs.
        other: String,
    },
    /// The predictions of an entry cannot be scored.
    #[error("'{name}': {source}")]
    Predictions {
        /// The entry.
        name: String,
        /// Why.
        source: PredictionsError,
    },
}

/// Scores and cost of one entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Name of the entry.
    pub name: String,
    /// Where its draws come from; the caveat stands beside the scores.
    pub provenance: Provenance,
    /// Draws of all chains.
    pub draws: usize,
    /// Gradient evaluations of all chains, warm-up included.
    pub gradients: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Scores.
    pub scores: Metrics,
    /// Mean log predictive density, in nats per point; for classes, minus the log loss.
    pub log_density: Estimate,
    /// Difference of that mean to the first entry's, with the standard error of the paired differences; positive is better.
    pub log_density_difference: Estimate,
}

/// What [`compare`] finds; `Display` writes the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the target, with its unit.
    pub target_name: String,
    /// Number of points.
    pub points: usize,
    /// One row an entry, in the order given; the first is what the others are compared to.
    pub rows: Vec<ComparisonRow>,
}

/// Scores entries of any origin on the same targets.
///
/// Differences of the mean log predictive density are formed point by point before they are averaged, so that their standard
/// errors do not contain what is hard about a point for all methods alike.
///
/// # Errors
/// When there is no entry, names repeat, targets differ, or predictions lack what a score needs.
///
/// ```
/// use ergodic_diagnostics::{Entry, compare};
/// # use ergodic_draws::{ChainDraws, Draws, Layout, Origin, PredictionKind, Predictions, RunReport, Temperatures};
/// # let chain = ChainDraws::from_positions(1, vec![0.0, 1.0]);
/// # let draws = Draws::new(Layout::flat(1), Origin::Mcmc, vec![chain], RunReport::new("nuts", 1));
/// # let predictions = Predictions {
/// #     origin: Origin::Mcmc, temperatures: Temperatures::POSTERIOR, energy_variance: None, kind: PredictionKind::Classification, target_name: "y".into(),
/// #     chain_lengths: vec![1], num_points: 1, num_outputs: 2, values: vec![0.5, 0.5], noise_sd: vec![], simulated: vec![], log_likelihood: vec![0.5f64.ln()], observed: vec![1.0],
/// # };
/// let comparison = compare(&[
///     Entry { name: "NUTS", draws: &draws, predictions: &predictions },
///     Entry { name: "NUTS again", draws: &draws, predictions: &predictions },
/// ])?;
/// assert_eq!(comparison.rows[1].log_density_difference.value, 0.0);
/// println!("{comparison}");
/// # Ok::<(), ergodic_diagnostics::CompareError>(())
/// ```
pub fn compare(entries: &[Entry<'_>]) -> Result<Comparison, CompareError> {
    let first = entries.first().ok_or(CompareError::Empty)?;
    let mut rows: Vec<ComparisonRow> = Vec::with_capacity(entries.len());
    let mut reference = Vec::new();
    for entry in entries {
        let name = entry.name.to_owned();
        if rows.iter().any(|row| row.name == name) {
            return Err(CompareError::DuplicateName(name));
        }
        let (a, b) = (first.predictions, entry.predictions);
        if a.kind != b.kind || a.num_points != b.num_points || a.num_outputs != b.num_outputs || a.observed != b.observed {
            return Err(CompareError::DifferentTargets { first: first.name.to_owned(), other: name });
        }
        let failed = |source| CompareError::Predictions { name: name.clone(), source };
        let scores = metrics(entry.predictions).map_err(failed)?;
        let densities = log_predictive_densities(entry.predictions).map_err(failed)?;
        if rows.is_empty() {
            reference.clone_from(&densities);
        }
        // Two points that are impossible under both methods do not differ.
        let differences: Vec<f64> = densities.iter().zip(&reference).map(|(d, r)| if d == r { 0.0 } else { d - r }).collect();
        rows.push(ComparisonRow {
            provenance: Provenance::of(entry.draws),
            draws: entry.draws.num_draws(),
            gradients: entry.draws.report.gradients(),
            seconds: entry.draws.report.seconds,
            scores,
            log_density: Estimate::of(&densities),
            log_density_difference: Estimate::of(&differences),
            name,
        });
    }
    Ok(Comparison { target_name: first.predictions.target_name.clone(), points: first.predictions.num_points, rows })
}

/// Columns after the name that real targets and classes share.
const SHARED: [&str; 10] = [
    "log density",
    "log density se",
    "difference",
    "difference se",
    "gradients",
    "seconds",
    "draws",
    "method",
    "exact",
    "caveat",
];

impl Comparison {
    /// One row an entry.
    #[must_use]
    pub fn table(&self) -> Table {
        let regression = matches!(self.rows.first().map(|row| &row.scores), Some(Metrics::Regression(_)));
        let scores: &[&str] = if regression {
            &["RMSE", "CRPS", "90 % coverage", "90 % width", "calibration error"]
        } else {
            &["accuracy", "log loss", "Brier", "ECE"]
        };
        let columns: Vec<&str> = ["name"].into_iter().chain(scores.iter().copied()).chain(SHARED).collect();
        let title = format!("Comparison on {} points of {}", self.points, self.target_name);
        let mut table = Table::new(title, &columns);
        for row in &self.rows {
            let mut cells = vec![Cell::text(&row.name)];
            cells.extend(score_cells(&row.scores));
            cells.extend([
                Cell::fixed(row.log_density.value, 4),
                Cell::fixed(row.log_density.standard_error, 4),
                Cell::fixed(row.log_density_difference.value, 4),
                Cell::fixed(row.log_density_difference.standard_error, 4),
                Cell::Count(row.gradients),
                Cell::Significant(row.seconds),
                Cell::Count(row.draws as u64),
                Cell::text(&row.provenance.method),
                Cell::text(if row.provenance.caveat.is_empty() { "yes" } else { "no" }),
                Cell::text(&row.provenance.caveat),
            ]);
            table.push(cells);
        }
        let first = self.rows.first().map_or("", |row| row.name.as_str());
        table.notes.push(format!("Differences are to '{first}', in nats per point; positive is better."));
        for row in &self.rows {
            table.notes.extend(row.provenance.notes.iter().map(|note| format!("! {}: {note}", row.name)));
        }
        table
    }

    /// The table as comma-separated values, numbers in full.
    #[must_use]
    pub fn to_csv(&self) -> String {
        self.table().to_csv()
    }
}

fn score_cells(scores: &Metrics) -> Vec<Cell> {
    match scores {
        Metrics::Regression(m) => {
            let ninety = m.intervals.iter().find(|interval| interval.level == 0.9);
            vec![
                Cell::Significant(m.rmse),
                Cell::Significant(m.crps),
                Cell::share(ninety.map_or(f64::NAN, |interval| interval.coverage)),
                Cell::Significant(ninety.map_or(f64::NAN, |interval| interval.mean_width)),
                Cell::share(m.calibration_error),
            ]
        }
        Metrics::Classification(m) => vec![
            Cell::share(m.accuracy),
            Cell::fixed(m.log_loss.value, 4),
            Cell::fixed(m.brier_score, 4),
            Cell::share(m.calibration_error),
        ],
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table())
    }
}
