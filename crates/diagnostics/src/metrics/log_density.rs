//! Average the likelihood of each observed target over the draws.

use crate::PredictionsError;
use crate::predictions_check::{check, need};
use ergodic_draws::Predictions;
use serde::Serialize;

/// A mean over points with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Standard deviation over points, with divisor `n − 1`, over `sqrt(n)`; NaN for one point.
    pub standard_error: f64,
}

impl Estimate {
    /// Mean and standard error of values, one a point.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|x| (x - value) * (x - value)).sum::<f64>();
        let standard_error = if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { f64::NAN };
        Self { value, standard_error }
    }
}

/// Log predictive density of each point, `log (1/S) Σ_s p(y_i | θ_s)`, in nats; log probability for classes.
///
/// In the target's own unit, as the log likelihood is: a target measured in smaller units has lower densities. The sum is formed
/// from the largest term on, so that densities far below the smallest floating-point number are exact. A point that no draw
/// deems possible has `−∞`.
///
/// # Errors
/// When there is no log likelihood, or it holds NaN or `+∞`.
pub fn log_predictive_densities(predictions: &Predictions) -> Result<Vec<f64>, PredictionsError> {
    check(predictions)?;
    let (points, values) = (predictions.num_points, &predictions.log_likelihood);
    need("log_likelihood", values, "a log predictive density")?;
    if let Some(place) = values.iter().position(|x| x.is_nan() || *x == f64::INFINITY) {
        let (part, point) = ("log_likelihood", place % points);
        return Err(PredictionsError::NonFinite { part, point, value: values[place] });
    }
    let draws = predictions.num_draws() as f64;
    let mut largest = vec![f64::NEG_INFINITY; points];
    for draw in values.chunks_exact(points) {
        largest.iter_mut().zip(draw).for_each(|(largest, &x)| *largest = largest.max(x));
    }
    let mut sums = vec![0.0; points];
    for draw in values.chunks_exact(points) {
        for ((sum, &x), &largest) in sums.iter_mut().zip(draw).zip(&largest) {
            *sum += if largest == f64::NEG_INFINITY { 0.0 } else { (x - largest).exp() };
        }
    }
    Ok(sums.iter().zip(&largest).map(|(sum, largest)| largest + (sum / draws).ln()).collect())
}

/// Mean over the points of [`log_predictive_densities`], with its standard error: the score to compare methods by; higher is better.
///
/// # Errors
/// As [`log_predictive_densities`].
pub fn mean_log_predictive_density(predictions: &Predictions) -> Result<Estimate, PredictionsError> {
    Ok(Estimate::of(&log_predictive_densities(predictions)?))
}
