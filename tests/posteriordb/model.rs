//! Define what the checks need from a model beside its log density: the reported parameters, and the way back.

use ergodic::model::LogDensity;

/// A log density on the unconstrained scale, with the parameters that the reference draws hold.
pub(crate) trait Model: LogDensity + Clone + Send + Sync {
    /// Names of the reported parameters.
    fn parameters(&self) -> Vec<String>;

    /// The reported parameters at a position.
    fn report(&self, position: &[f64]) -> Vec<f64>;

    /// The position at which the parameters are reported: the inverse of [`report`](Self::report).
    fn position(&self, reported: &[f64]) -> Vec<f64>;
}

/// `stem[1]` to `stem[count]`.
pub(crate) fn numbered(stem: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |k| format!("{stem}[{k}]"))
}

/// 1 / (1 + exp(−x)).
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The inverse of [`logistic`].
pub(crate) fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}
