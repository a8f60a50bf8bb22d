//! Score predictions of class labels: accuracy, log loss, Brier score, calibration.

use super::log_density::{Estimate, log_predictive_densities};
use super::regression::mean_over_draws;
use crate::PredictionsError;
use crate::predictions_check::{check_kind, finite, need};
use ergodic_draws::{PredictionKind, Predictions};
use serde::Serialize;

/// Number of bins of the expected calibration error (Guo et al. 2017).
pub const RELIABILITY_BINS: usize = 15;

/// Scores of class labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassificationMetrics {
    /// Why the draws are not exact ones of the posterior; empty where they are.
    pub caveat: String,
    /// See [`accuracy`].
    pub accuracy: f64,
    /// See [`log_loss`].
    pub log_loss: Estimate,
    /// See [`brier_score`].
    pub brier_score: f64,
    /// See [`expected_calibration_error`], with [`RELIABILITY_BINS`] bins.
    pub calibration_error: f64,
}

/// All scores of class labels.
///
/// # Errors
/// When a part that a score needs is empty, does not fit, or holds a value that is not finite.
pub fn classification_metrics(predictions: &Predictions) -> Result<ClassificationMetrics, PredictionsError> {
    Ok(ClassificationMetrics {
        caveat: predictions.caveat().unwrap_or_default(),
        accuracy: accuracy(predictions)?,
        log_loss: log_loss(predictions)?,
        brier_score: brier_score(predictions)?,
        calibration_error: expected_calibration_error(predictions, RELIABILITY_BINS)?,
    })
}

/// Posterior predictive probability of each class, `[point][class]`: the mean over draws.
///
/// # Errors
/// When the predictions are not of classes or not finite.
pub fn class_probabilities(predictions: &Predictions) -> Result<Vec<f64>, PredictionsError> {
    check_kind(predictions, &PredictionKind::Classification, "a class probability")?;
    let (points, classes) = (predictions.num_points, predictions.num_outputs);
    finite("values", &predictions.values, points, classes)?;
    Ok(mean_over_draws(&predictions.values, points * classes, predictions.num_draws()))
}

/// Share of points whose most probable class is the observed one; the lowest of equally probable classes counts.
///
/// # Errors
/// When labels are missing or are no class numbers.
pub fn accuracy(predictions: &Predictions) -> Result<f64, PredictionsError> {
    let probabilities = class_probabilities(predictions)?;
    let labels = labels(predictions, "accuracy")?;
    let points = probabilities.chunks_exact(predictions.num_outputs).zip(&labels);
    Ok(points.filter(|(p, label)| top(p).0 == **label).count() as f64 / labels.len() as f64)
}

/// Log loss: minus the mean log predictive probability of the observed classes, in nats.
///
/// # Errors
/// When the log likelihood is missing.
pub fn log_loss(predictions: &Predictions) -> Result<Estimate, PredictionsError> {
    check_kind(predictions, &PredictionKind::Classification, "log loss")?;
    let estimate = Estimate::of(&log_predictive_densities(predictions)?);
    Ok(Estimate { value: -estimate.value, ..estimate })
}

/// Brier score: the mean over points of `Σ_c (p_c − [y = c])²`, between 0 and 2 (Brier 1950).
///
/// # Errors
/// When labels are missing or are no class numbers.
pub fn brier_score(predictions: &Predictions) -> Result<f64, PredictionsError> {
    let probabilities = class_probabilities(predictions)?;
    let labels = labels(predictions, "the Brier score")?;
    let score = |(p, &label): (&[f64], &usize)| -> f64 {
        p.iter().enumerate().map(|(class, p)| (p - f64::from(u8::from(class == label))).powi(2)).sum()
    };
    let points = probabilities.chunks_exact(predictions.num_outputs).zip(&labels);
    Ok(points.map(score).sum::<f64>() / labels.len() as f64)
}

/// Points whose most probable class has a probability in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Lower end of the range, not in it except for the first bin.
    pub lower: f64,
    /// Upper end of the range, in it.
    pub upper: f64,
    /// Number of points.
    pub count: usize,
    /// Mean probability of the most probable class, NaN without points.
    pub confidence: f64,
    /// Share of points where that class is the observed one, NaN without points.
    pub accuracy: f64,
}

/// Points in `bins` equally wide ranges of the most probable class's probability.
///
/// # Errors
/// When labels are missing or are no class numbers, or `bins` is zero.
pub fn reliability(predictions: &Predictions, bins: usize) -> Result<Vec<ReliabilityBin>, PredictionsError> {
    if bins == 0 {
        return Err(PredictionsError::Zero("bins"));
    }
    let probabilities = class_probabilities(predictions)?;
    let labels = labels(predictions, "reliability")?;
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for (p, &label) in probabilities.chunks_exact(predictions.num_outputs).zip(&labels) {
        let (class, confidence) = top(p);
        let bin = ((confidence * bins as f64).ceil().max(1.0) as usize - 1).min(bins - 1);
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += usize::from(class == label);
    }
    let width = 1.0 / bins as f64;
    let bin = |(index, (count, confidence, hits)): (usize, (usize, f64, usize))| ReliabilityBin {
        lower: index as f64 * width,
        upper: (index + 1) as f64 * width,
        count,
        confidence: confidence / count as f64,
        accuracy: hits as f64 / count as f64,
    };
    Ok(sums.into_iter().enumerate().map(bin).collect())
}

/// Expected calibration error of the most probable class: the mean over points of `|accuracy − confidence|` of their bin
/// (Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017), over `bins` equally wide bins.
///
/// # Errors
/// As [`reliability`].
pub fn expected_calibration_error(predictions: &Predictions, bins: usize) -> Result<f64, PredictionsError> {
    let bins = reliability(predictions, bins)?;
    let filled = bins.iter().filter(|bin| bin.count > 0);
    let sum = filled.map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs()).sum::<f64>();
    Ok(sum / predictions.num_points as f64)
}

/// The most probable class and its probability.
fn top(probabilities: &[f64]) -> (usize, f64) {
    let mut best = (0, probabilities[0]);
    for (class, &p) in probabilities.iter().enumerate().skip(1) {
        if p > best.1 {
            best = (class, p);
        }
    }
    best
}

/// The observed class numbers.
fn labels(predictions: &Predictions, needed_for: &'static str) -> Result<Vec<usize>, PredictionsError> {
    need("observed", &predictions.observed, needed_for)?;
    let classes = predictions.num_outputs;
    let label = |(point, &label): (usize, &f64)| {
        let known = label >= 0.0 && label < classes as f64 && label.fract() == 0.0;
        if known { Ok(label as usize) } else { Err(PredictionsError::UnknownLabel { point, label, classes }) }
    };
    predictions.observed.iter().enumerate().map(label).collect()
}
