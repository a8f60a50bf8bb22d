//! Check that the parts of predictions fit together before anything is computed from them.

use ergodic_draws::{PredictionKind, Predictions};

/// Why nothing can be computed from predictions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionsError {
    /// A part has not the length that the others give it.
    #[error(
        "the predictions' '{part}' holds {found} values where {expected} are expected ({shape}); fill it for every draw and point"
    )]
    WrongLength {
        /// Name of the field.
        part: &'static str,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
        /// How the field is indexed.
        shape: &'static str,
    },
    /// There is no draw or no point.
    #[error("the predictions hold {draws} draws at {points} points with {outputs} outputs; at least one of each is needed")]
    Empty {
        /// Number of draws.
        draws: usize,
        /// Number of points.
        points: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// A part that the calculation needs is empty.
    #[error("{needed_for} needs '{part}' of the predictions, which is empty; {advice}")]
    Missing {
        /// Name of the field.
        part: &'static str,
        /// What was to be computed.
        needed_for: &'static str,
        /// The way out.
        advice: &'static str,
    },
    /// A value is NaN or infinite where it must not be.
    #[error("'{part}' of the predictions is {value} at point {point}; look for a diverged draw or a bad row of the data")]
    NonFinite {
        /// Name of the field.
        part: &'static str,
        /// The first point with such a value.
        point: usize,
        /// The value.
        value: f64,
    },
    /// The calculation is for the other kind of target.
    #[error("{asked} is for {expected} targets; these predictions are of another kind")]
    WrongKind {
        /// What was to be computed.
        asked: &'static str,
        /// The kind it is for.
        expected: &'static str,
    },
    /// A label is not the number of a class.
    #[error("the observed label {label} at point {point} is not a class number from 0 to {}; number the classes from 0", classes - 1)]
    UnknownLabel {
        /// The point.
        point: usize,
        /// The label.
        label: f64,
        /// Number of classes.
        classes: usize,
    },
    /// A probability level is out of range.
    #[error("the level {0} is not between 0 and 1")]
    InvalidLevel(f64),
    /// A count that must be positive is zero.
    #[error("the number of {0} is zero; ask for at least one")]
    Zero(&'static str),
}

/// Whether the parts fit together and there is something to compute from.
pub(crate) fn check(predictions: &Predictions) -> Result<(), PredictionsError> {
    let (draws, points, outputs) = (predictions.num_draws(), predictions.num_points, predictions.num_outputs);
    if draws == 0 || points == 0 || outputs == 0 {
        return Err(PredictionsError::Empty { draws, points, outputs });
    }
    // Sizes that no memory holds saturate, and then differ from every length found.
    let cells = points.saturating_mul(outputs);
    let length = |part, found, expected, shape| {
        if found == expected { Ok(()) } else { Err(PredictionsError::WrongLength { part, found, expected, shape }) }
    };
    let optional = |part, found, expected, shape| if found == 0 { Ok(()) } else { length(part, found, expected, shape) };
    length("values", predictions.values.len(), draws.saturating_mul(cells), "[draw][point][output]")?;
    optional("noise_sd", predictions.noise_sd.len(), draws.saturating_mul(cells), "[draw][point][output]")?;
    optional("log_likelihood", predictions.log_likelihood.len(), draws.saturating_mul(points), "[draw][point]")?;
    let simulations = predictions.simulated.len().div_ceil(cells);
    optional("simulated", predictions.simulated.len(), simulations.saturating_mul(cells), "[simulation][point][output]")?;
    let regression = predictions.kind == PredictionKind::Regression;
    let (observed, shape) = if regression { (cells, "[point][output]") } else { (points, "[point]") };
    optional("observed", predictions.observed.len(), observed, shape)
}

/// Refuses predictions of another kind, or that do not fit together.
pub(crate) fn check_kind(
    predictions: &Predictions,
    kind: &PredictionKind,
    asked: &'static str,
) -> Result<(), PredictionsError> {
    check(predictions)?;
    if predictions.kind == *kind {
        return Ok(());
    }
    let expected = if *kind == PredictionKind::Regression { "real" } else { "class" };
    Err(PredictionsError::WrongKind { asked, expected })
}

/// Refuses an empty part.
pub(crate) fn need(part: &'static str, values: &[f64], needed_for: &'static str) -> Result<(), PredictionsError> {
    let advice = match part {
        "observed" | "log_likelihood" => "predict with the observed targets",
        _ => "ask for them when predicting",
    };
    if values.is_empty() { Err(PredictionsError::Missing { part, needed_for, advice }) } else { Ok(()) }
}

/// Refuses NaN in a part that has `per_point` values per point.
pub(crate) fn not_nan(part: &'static str, values: &[f64], points: usize, per_point: usize) -> Result<(), PredictionsError> {
    match values.iter().position(|x| x.is_nan()) {
        None => Ok(()),
        Some(place) => Err(PredictionsError::NonFinite { part, point: place / per_point % points, value: values[place] }),
    }
}

/// Refuses NaN and infinity in a part that has `per_point` values per point.
pub(crate) fn finite(part: &'static str, values: &[f64], points: usize, per_point: usize) -> Result<(), PredictionsError> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(place) => Err(PredictionsError::NonFinite { part, point: place / per_point % points, value: values[place] }),
    }
}
