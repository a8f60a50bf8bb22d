//! Hold one scalar quantity over the draws of every chain, checked and ready to be drawn.

use super::PlotError;
use ergodic_draws::{Draws, Predictions};
use serde::Serialize;

/// One scalar over the draws, one series a chain: a coordinate, a prediction, a statistic, or anything computed from them.
///
/// ```
/// use ergodic_diagnostics::plots::Quantity;
/// let quantity = Quantity::new("tau", vec![vec![0.1, 0.3], vec![0.2, 0.4]])?;
/// assert_eq!(quantity.num_draws(), 4);
/// assert!(Quantity::new("tau", vec![vec![f64::NAN]]).is_err());
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantity {
    /// Name, written on the plot.
    pub name: String,
    /// Values of every chain, draw by draw; chains may differ in length.
    pub chains: Vec<Vec<f64>>,
    /// What must stand on every plot of a result that is not exact; empty for exact ones.
    pub caveat: String,
}

impl Quantity {
    /// A quantity from plain series.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without chains or when a chain has no draws, [`PlotError::NonFinite`] at the first value that is not finite
    /// or beyond ±10¹⁰⁰.
    pub fn new(name: impl Into<String>, chains: Vec<Vec<f64>>) -> Result<Self, PlotError> {
        let name = name.into();
        if chains.is_empty() {
            return Err(PlotError::Empty { name, reason: "there is no chain" });
        }
        for (series, chain) in chains.iter().enumerate() {
            if chain.is_empty() {
                return Err(PlotError::Empty { name, reason: "a chain has no draws; leave that chain out" });
            }
            check_finite(&name, series, chain)?;
        }
        Ok(Self { name, chains, caveat: String::new() })
    }

    /// The coordinate named `name` (such as `layer0.weight[3,1]`), on the scale people read.
    ///
    /// # Errors
    /// [`PlotError::UnknownCoordinate`], and as [`new`](Self::new).
    pub fn from_draws(draws: &Draws, name: &str) -> Result<Self, PlotError> {
        let chains = draws.values(name).ok_or_else(|| PlotError::UnknownCoordinate {
            name: name.to_owned(),
            blocks: draws.layout().blocks().iter().map(|b| b.name.as_str()).take(20).collect::<Vec<_>>().join(", "),
        })?;
        Ok(Self::new(name, chains)?.with_caveat(draws.caveat().unwrap_or_default()))
    }

    /// Output `output` of the prediction at point `point`: the space in which networks are identified.
    ///
    /// # Errors
    /// [`PlotError::Length`] when there is no such point or output, and as [`new`](Self::new).
    pub fn from_predictions(predictions: &Predictions, point: usize, output: usize) -> Result<Self, PlotError> {
        let name = format!("{} at point {point}", predictions.target_name);
        check_predictions(&name, predictions)?;
        if point >= predictions.num_points {
            return Err(PlotError::Length { name, what: "points", expected: point + 1, found: predictions.num_points });
        }
        if output >= predictions.num_outputs {
            return Err(PlotError::Length { name, what: "outputs", expected: output + 1, found: predictions.num_outputs });
        }
        let name = if predictions.num_outputs > 1 { format!("{name}, output {output}") } else { name };
        Ok(Self::new(name, predictions.series(point, output))?.with_caveat(predictions.caveat().unwrap_or_default()))
    }

    /// The same quantity with another caveat.
    #[must_use]
    pub fn with_caveat(mut self, caveat: impl Into<String>) -> Self {
        self.caveat = caveat.into();
        self
    }

    /// Number of draws of all chains.
    #[must_use]
    pub fn num_draws(&self) -> usize {
        self.chains.iter().map(Vec::len).sum()
    }

    /// Number of draws of the longest chain.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.chains.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Smallest and largest value of all chains.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        range(self.chains.iter().flatten().copied())
    }
}

/// The caveats that differ, in order, joined by semicolons.
pub(super) fn join_caveats<'a>(caveats: impl Iterator<Item = &'a str>) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for caveat in caveats.filter(|c| !c.is_empty()) {
        if !unique.contains(&caveat) {
            unique.push(caveat);
        }
    }
    unique.join("; ")
}

/// The largest value that is drawn: squares and sums of squares stay finite.
const LARGEST: f64 = 1e100;

/// Whether a value is finite and small enough to be drawn.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// Refuses the first value that is not finite or beyond what can be drawn.
pub(super) fn check_finite(name: &str, series: usize, values: &[f64]) -> Result<(), PlotError> {
    match values.iter().position(|v| !is_drawable(*v)) {
        Some(position) => Err(PlotError::NonFinite { name: name.to_owned(), series, position, value: values[position] }),
        None => Ok(()),
    }
}

/// Refuses predictions whose arrays do not have the lengths that their counts promise.
pub(super) fn check_predictions(name: &str, predictions: &Predictions) -> Result<(), PlotError> {
    let per_draw = predictions.num_points * predictions.num_outputs;
    if per_draw == 0 || predictions.num_draws() == 0 {
        return Err(PlotError::Empty { name: name.to_owned(), reason: "the predictions have no draw, no point or no output" });
    }
    let expected = predictions.num_draws() * per_draw;
    if predictions.values.len() != expected {
        let found = predictions.values.len();
        return Err(PlotError::Length { name: name.to_owned(), what: "predicted values", expected, found });
    }
    if !predictions.simulated.len().is_multiple_of(per_draw) {
        let expected = predictions.num_simulated() * per_draw;
        let found = predictions.simulated.len();
        return Err(PlotError::Length { name: name.to_owned(), what: "simulated observations", expected, found });
    }
    check_finite(name, 0, &predictions.values)?;
    check_finite(name, 0, &predictions.simulated)?;
    check_finite(name, 0, &predictions.observed)
}

/// Smallest and largest of finite values; (0, 0) without values.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 0.0) }
}

/// `range` widened by `share` of its length on both sides, and by something visible where it has no length.
pub(super) fn widen((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let length = high - low;
    // A constant is given room in proportion to its own size; 1 around zero.
    let resolvable = low.abs().max(high.abs()) * 1e-9;
    let room = if length > resolvable { length * share } else { (low.abs() * 0.1).max(f64::from(low == 0.0)).max(1e-300) };
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_draws::{ChainDraws, Layout, Origin, PredictionKind, RunReport, Temperatures};

    fn draws(origin: Origin) -> Draws {
        let chain = ChainDraws::from_positions(2, vec![0.0, 1.0, 2.0, 3.0]);
        Draws::new(Layout::flat(2), origin, vec![chain], RunReport::new("test", 1))
    }

    #[test]
    fn a_quantity_refuses_what_cannot_be_drawn_and_names_it() {
        let error = Quantity::new("w", vec![vec![1.0], vec![1.0, f64::INFINITY]]).unwrap_err();
        assert_eq!(error, PlotError::NonFinite { name: "w".to_owned(), series: 1, position: 1, value: f64::INFINITY });
        assert!(error.to_string().contains("'w'"));
        assert!(matches!(Quantity::new("w", vec![vec![1e200]]), Err(PlotError::NonFinite { .. })));
        assert!(matches!(Quantity::new("w", vec![]), Err(PlotError::Empty { .. })));
        assert!(matches!(Quantity::new("w", vec![vec![1.0], vec![]]), Err(PlotError::Empty { .. })));
    }

    #[test]
    fn coordinates_come_by_name_with_the_caveat_of_their_origin() {
        let exact = Quantity::from_draws(&draws(Origin::Mcmc), "x[1]").unwrap();
        assert_eq!(exact.chains, vec![vec![1.0, 3.0]]);
        assert!(exact.caveat.is_empty());
        let approximate = Quantity::from_draws(&draws(Origin::Approximation), "x[0]").unwrap();
        assert!(approximate.caveat.starts_with("approximation"));
        let unknown = Quantity::from_draws(&draws(Origin::Mcmc), "y").unwrap_err();
        assert!(unknown.to_string().contains("'y'") && unknown.to_string().contains('x'), "{unknown}");
    }

    #[test]
    fn a_temperature_other_than_one_is_a_caveat() {
        let mut cold = draws(Origin::Mcmc);
        cold.report.temperatures = Temperatures::both(0.1);
        assert!(Quantity::from_draws(&cold, "x[0]").unwrap().caveat.contains("temperature 0.1"));
    }

    #[test]
    fn predictions_become_series_or_an_error() {
        let mut predictions = Predictions {
            origin: Origin::Mcmc,
            temperatures: Temperatures::POSTERIOR,
            energy_variance: None,
            kind: PredictionKind::Regression,
            target_name: "strength".to_owned(),
            chain_lengths: vec![1, 1],
            num_points: 2,
            num_outputs: 1,
            values: vec![1.0, 2.0, 3.0, 4.0],
            noise_sd: vec![1.0; 4],
            simulated: Vec::new(),
            log_likelihood: Vec::new(),
            observed: Vec::new(),
        };
        let quantity = Quantity::from_predictions(&predictions, 1, 0).unwrap();
        assert_eq!(quantity.chains, vec![vec![2.0], vec![4.0]]);
        assert!(matches!(Quantity::from_predictions(&predictions, 2, 0), Err(PlotError::Length { .. })));
        assert!(matches!(Quantity::from_predictions(&predictions, 0, 1), Err(PlotError::Length { .. })));
        predictions.values.pop();
        assert!(matches!(Quantity::from_predictions(&predictions, 0, 0), Err(PlotError::Length { .. })));
    }

    #[test]
    fn constants_get_room() {
        for constant in [0.0, 3.0, -1e-12, 1e12] {
            let (low, high) = widen((constant, constant), 0.05);
            assert!(low < constant && constant < high, "{constant}: {low}..{high}");
        }
    }
}
