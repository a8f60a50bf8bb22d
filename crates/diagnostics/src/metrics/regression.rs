//! Score predictions of real targets: error, density, intervals, calibration.

use super::log_density::{Estimate, mean_log_predictive_density};
use crate::PredictionsError;
use crate::predictions_check::{check_kind, finite, need};
use crate::quantiles::{equal_tails, quantile_of_sorted};
use ergodic_draws::{PredictionKind, Predictions};
use serde::Serialize;

/// Coverage of central predictive intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntervalCoverage {
    /// Nominal probability of the intervals.
    pub level: f64,
    /// Share of observed targets inside; near `level` if the predictions are calibrated.
    pub coverage: f64,
    /// Mean width in the target's unit; narrower is better at the same coverage.
    pub mean_width: f64,
}

/// Scores of real targets, all in the target's own unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegressionMetrics {
    /// Why the draws are not exact ones of the posterior; empty where they are.
    pub caveat: String,
    /// See [`rmse`].
    pub rmse: f64,
    /// See [`mean_log_predictive_density`].
    pub log_density: Estimate,
    /// See [`crps`].
    pub crps: f64,
    /// Coverage of intervals of 50 %, 90 % and 95 %, see [`interval_coverage`].
    pub intervals: Vec<IntervalCoverage>,
    /// See [`calibration_error`].
    pub calibration_error: f64,
}

/// All scores of real targets.
///
/// # Errors
/// When a part that a score needs is empty, does not fit, or holds a value that is not finite.
pub fn regression_metrics(predictions: &Predictions) -> Result<RegressionMetrics, PredictionsError> {
    let simulated = Simulated::new(predictions, "interval coverage")?;
    let intervals = [0.5, 0.9, 0.95].into_iter().map(|level| simulated.coverage(level)).collect();
    Ok(RegressionMetrics {
        caveat: predictions.caveat().unwrap_or_default(),
        rmse: rmse(predictions)?,
        log_density: mean_log_predictive_density(predictions)?,
        crps: crps(predictions)?,
        intervals,
        calibration_error: simulated.calibration_error(),
    })
}

/// Posterior predictive mean, `[point][output]`: the mean over draws of the likelihood's mean.
///
/// # Errors
/// When the predictions are not of real targets or not finite.
pub fn predictive_means(predictions: &Predictions) -> Result<Vec<f64>, PredictionsError> {
    check_kind(predictions, &PredictionKind::Regression, "the predictive mean")?;
    let (points, outputs) = (predictions.num_points, predictions.num_outputs);
    finite("values", &predictions.values, points, outputs)?;
    Ok(mean_over_draws(&predictions.values, points * outputs, predictions.num_draws()))
}

/// Mean of each of `cells` values over the draws.
pub(crate) fn mean_over_draws(values: &[f64], cells: usize, draws: usize) -> Vec<f64> {
    let mut means = vec![0.0; cells];
    for draw in values.chunks_exact(cells) {
        means.iter_mut().zip(draw).for_each(|(mean, x)| *mean += x);
    }
    means.iter_mut().for_each(|mean| *mean /= draws as f64);
    means
}

/// Root mean squared error of the posterior predictive mean, over all points and outputs, in the target's unit.
///
/// # Errors
/// When targets are missing, or values are not finite.
pub fn rmse(predictions: &Predictions) -> Result<f64, PredictionsError> {
    let means = predictive_means(predictions)?;
    let observed = observed(predictions, "RMSE")?;
    let squares = means.iter().zip(observed).map(|(mean, y)| (mean - y) * (mean - y)).sum::<f64>();
    Ok((squares / means.len() as f64).sqrt())
}

/// Coverage and mean width of central intervals at `level`, over all points and outputs.
///
/// The bounds are the type-7 quantiles at `(1 ∓ level) / 2` of the simulated observations, so they hold the noise too. Of counts both
/// bounds may be hit often, and intervals of calibrated predictions then hold more than `level`.
///
/// # Errors
/// When simulated observations or targets are missing, or `level` is not between 0 and 1.
pub fn interval_coverage(predictions: &Predictions, level: f64) -> Result<IntervalCoverage, PredictionsError> {
    if !(0.0..=1.0).contains(&level) {
        return Err(PredictionsError::InvalidLevel(level));
    }
    Ok(Simulated::new(predictions, "interval coverage")?.coverage(level))
}

/// Calibration error: the mean over the levels `p = 0.05, 0.10, …, 0.95` of `|share of targets at or below the p-quantile − p|`.
///
/// The quantiles are type-7 quantiles of the simulated observations of each point and output, and the share is over all points and
/// outputs (Kuleshov, Fenner & Ermon 2018, "Accurate uncertainties for deep learning using calibrated regression"; there squared). Zero
/// is calibrated, up to about `0.3 / sqrt(n)` for `n` targets by chance; a bias and a wrong width both raise it.
///
/// A target that ties with simulated observations, as counts do, is shared out: of a target with probability `a` below it and `b` up to
/// it, the part `(p − a) / (b − a)` of `p` between them is at or below (the nonrandomised transform of Czado, Gneiting & Held 2009), so
/// that calibrated counts score zero too.
///
/// # Errors
/// When simulated observations or targets are missing.
pub fn calibration_error(predictions: &Predictions) -> Result<f64, PredictionsError> {
    Ok(Simulated::new(predictions, "the calibration error")?.calibration_error())
}

/// Continuous ranked probability score, the mean over points and outputs of `E|X − y| − E|X − X'| / 2`, in the target's unit.
///
/// The expectations are over the simulated observations, the second over pairs of different ones, so that the score is unbiased in
/// their number (Gneiting & Raftery 2007; Ferro 2014). Lower is better; for a point forecast it is the absolute error.
///
/// # Errors
/// When there are fewer than two simulated observations per point, or no targets.
pub fn crps(predictions: &Predictions) -> Result<f64, PredictionsError> {
    let simulated = Simulated::new(predictions, "CRPS")?;
    let count = simulated.count as f64;
    if simulated.count < 2 {
        let advice = "simulate at least two observations per point";
        return Err(PredictionsError::Missing { part: "simulated", needed_for: "CRPS", advice });
    }
    let score = |(sorted, y): (&[f64], f64)| {
        let error = sorted.iter().map(|x| (x - y).abs()).sum::<f64>() / count;
        // Over ordered pairs: the value of rank i is the larger one of i pairs and the smaller one of count − 1 − i.
        let spread = sorted.iter().zip(0u32..).map(|(x, i)| (2.0 * f64::from(i) - count + 1.0) * x).sum::<f64>();
        error - spread / (count * (count - 1.0))
    };
    Ok(simulated.cells().map(score).sum::<f64>() / simulated.observed.len() as f64)
}

/// Probability integral transform, `[point][output]`: the share of simulated observations below the target, ties counted half.
///
/// Uniform between 0 and 1 if the predictions are calibrated; heaped at both ends if they are too narrow, in the middle if too wide.
///
/// # Errors
/// When simulated observations or targets are missing.
pub fn probability_integral_transform(predictions: &Predictions) -> Result<Vec<f64>, PredictionsError> {
    let simulated = Simulated::new(predictions, "the probability integral transform")?;
    let share = |(sorted, y): (&[f64], f64)| {
        let (below, not_above) = (sorted.partition_point(|&x| x < y), sorted.partition_point(|&x| x <= y));
        (below + not_above) as f64 / (2.0 * sorted.len() as f64)
    };
    Ok(simulated.cells().map(share).collect())
}

/// The observed targets, finite.
fn observed<'a>(predictions: &'a Predictions, needed_for: &'static str) -> Result<&'a [f64], PredictionsError> {
    need("observed", &predictions.observed, needed_for)?;
    finite("observed", &predictions.observed, predictions.num_points, predictions.num_outputs)?;
    Ok(&predictions.observed)
}

/// Simulated observations in ascending order, `[point][output][rank]`, beside the targets.
struct Simulated<'a> {
    sorted: Vec<f64>,
    count: usize,
    observed: &'a [f64],
}

impl<'a> Simulated<'a> {
    fn new(predictions: &'a Predictions, needed_for: &'static str) -> Result<Self, PredictionsError> {
        check_kind(predictions, &PredictionKind::Regression, needed_for)?;
        need("simulated", &predictions.simulated, needed_for)?;
        let cells = predictions.num_points * predictions.num_outputs;
        finite("simulated", &predictions.simulated, predictions.num_points, predictions.num_outputs)?;
        let observed = observed(predictions, needed_for)?;
        let count = predictions.num_simulated();
        let mut sorted = vec![0.0; cells * count];
        for (simulation, values) in predictions.simulated.chunks_exact(cells).enumerate() {
            values.iter().enumerate().for_each(|(cell, &x)| sorted[cell * count + simulation] = x);
        }
        sorted.chunks_exact_mut(count).for_each(|cell| cell.sort_unstable_by(f64::total_cmp));
        Ok(Self { sorted, count, observed })
    }

    /// Sorted simulations and target of each point and output.
    fn cells(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.sorted.chunks_exact(self.count).zip(self.observed.iter().copied())
    }

    fn coverage(&self, level: f64) -> IntervalCoverage {
        let (low, high) = equal_tails(level);
        let (mut inside, mut width) = (0usize, 0.0);
        for (sorted, y) in self.cells() {
            let (lower, upper) = (quantile_of_sorted(sorted, low), quantile_of_sorted(sorted, high));
            inside += usize::from(lower <= y && y <= upper);
            width += upper - lower;
        }
        let cells = self.observed.len() as f64;
        IntervalCoverage { level, coverage: inside as f64 / cells, mean_width: width / cells }
    }

    fn calibration_error(&self) -> f64 {
        let levels = (1..20).map(|k| f64::from(k) / 20.0);
        let below = |(sorted, y): (&[f64], f64), level: f64| {
            let (lower, upper) = (sorted.partition_point(|&x| x < y), sorted.partition_point(|&x| x <= y));
            if lower == upper {
                return f64::from(u8::from(y <= quantile_of_sorted(sorted, level)));
            }
            ((level * self.count as f64 - lower as f64) / (upper - lower) as f64).clamp(0.0, 1.0)
        };
        let error = |level: f64| {
            let below: f64 = self.cells().map(|cell| below(cell, level)).sum();
            (below / self.observed.len() as f64 - level).abs()
        };
        levels.map(error).sum::<f64>() / 19.0
    }
}
