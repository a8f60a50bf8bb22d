//! Split predictive uncertainty into what more data would remove and what it would not.

use super::regression::mean_over_draws;
use crate::PredictionsError;
use crate::predictions_check::{check, finite, need, not_nan};
use ergodic_draws::{PredictionKind, Predictions};
use serde::Serialize;

/// Predictive uncertainty: `total = aleatoric + epistemic`.
///
/// Variances in the target's squared unit, `[point][output]`, for regression; entropies in nats, `[point]`, for classification.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Uncertainty {
    /// Uncertainty about a new observation.
    pub total: Vec<f64>,
    /// The part that is the noise's: what remains if the function were known.
    pub aleatoric: Vec<f64>,
    /// The part that is the posterior's: what draws disagree about, and more data would remove.
    pub epistemic: Vec<f64>,
}

/// Splits the uncertainty at every point (Depeweg et al. 2018; Smith & Gal 2018).
///
/// Regression, by the law of total variance over draws `s`: aleatoric `mean_s σ_s²`, epistemic `var_s μ_s` with divisor `S`, so that
/// the total is the variance of the predictive mixture. Classification: total `H(mean_s p_s)`, aleatoric `mean_s H(p_s)`,
/// epistemic their difference, the mutual information of label and draw, not below zero.
///
/// Noise without a variance in some draw, such as Student-t noise of two degrees of freedom, has infinite aleatoric and total parts.
///
/// # Errors
/// When values are not finite, or a regression has no noise standard deviations or one that is NaN.
pub fn uncertainty(predictions: &Predictions) -> Result<Uncertainty, PredictionsError> {
    check(predictions)?;
    finite("values", &predictions.values, predictions.num_points, predictions.num_outputs)?;
    match predictions.kind {
        PredictionKind::Regression => variances(predictions),
        PredictionKind::Classification => Ok(entropies(predictions)),
        _ => Err(PredictionsError::WrongKind { asked: "a split of uncertainty", expected: "real or class" }),
    }
}

fn variances(predictions: &Predictions) -> Result<Uncertainty, PredictionsError> {
    need("noise_sd", &predictions.noise_sd, "a split of uncertainty")?;
    not_nan("noise_sd", &predictions.noise_sd, predictions.num_points, predictions.num_outputs)?;
    let (cells, draws) = (predictions.num_points * predictions.num_outputs, predictions.num_draws());
    let means = mean_over_draws(&predictions.values, cells, draws);
    let mut epistemic = vec![0.0; cells];
    let mut aleatoric = vec![0.0; cells];
    for (values, noise) in predictions.values.chunks_exact(cells).zip(predictions.noise_sd.chunks_exact(cells)) {
        for cell in 0..cells {
            epistemic[cell] += (values[cell] - means[cell]).powi(2) / draws as f64;
            aleatoric[cell] += noise[cell].powi(2) / draws as f64;
        }
    }
    let total = aleatoric.iter().zip(&epistemic).map(|(a, e)| a + e).collect();
    Ok(Uncertainty { total, aleatoric, epistemic })
}

fn entropies(predictions: &Predictions) -> Uncertainty {
    let (points, classes, draws) = (predictions.num_points, predictions.num_outputs, predictions.num_draws());
    let means = mean_over_draws(&predictions.values, points * classes, draws);
    let total: Vec<f64> = means.chunks_exact(classes).map(entropy).collect();
    let mut aleatoric = vec![0.0; points];
    for draw in predictions.values.chunks_exact(points * classes) {
        for (sum, p) in aleatoric.iter_mut().zip(draw.chunks_exact(classes)) {
            *sum += entropy(p) / draws as f64;
        }
    }
    let epistemic: Vec<f64> = total.iter().zip(&aleatoric).map(|(t, a)| (t - a).max(0.0)).collect();
    Uncertainty { total, aleatoric, epistemic }
}

/// `−Σ p log p`, where classes of probability zero add nothing.
fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum()
}
