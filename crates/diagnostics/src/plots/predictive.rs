//! Draw predictions over one input: mean, bands of the function and of observations, data and truth, a panel a method.

use super::canvas::{Canvas, Stroke};
use super::grid::{Grid, caveat_lines, stride};
use super::legend::{Legend, Swatch};
use super::panel::Axes;
use super::quantity::{check_finite, check_predictions, range, widen};
use super::style::{BLUE, INK, REFERENCE, WARNING, count};
use super::{Plot, PlotError};
use crate::quantiles::quantile_of_sorted;
use ergodic_draws::Predictions;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Probabilities of the bands, from the widest.
const LEVELS: [f64; 2] = [0.9, 0.5];
/// Most data points that are drawn.
const MOST_POINTS: usize = 2000;

/// Predictions over one input, a panel for every method with one shared vertical axis.
///
/// ```
/// use ergodic_diagnostics::plots::{BandsPanel, Plot, PredictiveBands};
/// let x = [0.0, 1.0, 2.0];
/// let functions = vec![vec![0.0, 1.0, 2.0], vec![0.2, 0.8, 2.4]];
/// let panel = BandsPanel::new("NUTS", &x, &functions, &[])?;
/// let plot = PredictiveBands::new(vec![panel], "x", "y")?.with_training(&x, &[0.1, 1.1, 1.9])?;
/// assert!(plot.svg(plot.size())?.contains("NUTS"));
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictiveBands {
    /// One panel a method.
    pub panels: Vec<BandsPanel>,
    /// Name of the input, with its unit if it has one.
    pub x_label: String,
    /// Name of the target, with its unit if it has one.
    pub y_label: String,
    /// Observations that the methods were fitted to, as pairs of input and target.
    pub training: Vec<(f64, f64)>,
    /// The function that made the data, if it is known, as pairs of input and value.
    pub truth: Vec<(f64, f64)>,
    /// Range of the vertical axis; what lies outside is cut.
    pub y_range: (f64, f64),
}

/// Predictions of one method over one input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BandsPanel {
    /// Name of the method.
    pub title: String,
    /// Inputs, ascending.
    pub x: Vec<f64>,
    /// Mean of the function over the draws.
    pub mean: Vec<f64>,
    /// Bands of the function, without noise; the widest first.
    pub function: Vec<Band>,
    /// Bands of observations, with noise; the widest first. Empty without simulated observations.
    pub observation: Vec<Band>,
    /// What must be said of a method that is not exact; empty for exact ones.
    pub caveat: String,
}

/// An interval at every input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Band {
    /// Probability that the interval holds.
    pub level: f64,
    /// Its lower ends: quantiles (1 − level) / 2.
    pub lower: Vec<f64>,
    /// Its upper ends: quantiles (1 + level) / 2.
    pub upper: Vec<f64>,
}

impl BandsPanel {
    /// Mean and bands from functions and simulated observations at the inputs `x`, one row a draw, one value an input.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without inputs or functions, [`PlotError::Length`] when a row does not fit the inputs,
    /// [`PlotError::NonFinite`] for values that are not finite.
    pub fn new(
        title: impl Into<String>,
        x: &[f64],
        functions: &[Vec<f64>],
        observations: &[Vec<f64>],
    ) -> Result<Self, PlotError> {
        let title = title.into();
        if x.is_empty() || functions.is_empty() {
            return Err(PlotError::Empty { name: title, reason: "there is no input or no draw" });
        }
        check_finite(&title, 0, x)?;
        for (series, row) in functions.iter().chain(observations).enumerate() {
            if row.len() != x.len() {
                let (expected, found) = (x.len(), row.len());
                return Err(PlotError::Length { name: title, what: "values in a draw", expected, found });
            }
            check_finite(&title, series, row)?;
        }
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
        let mean = |i: &usize| functions.iter().map(|row| row[*i]).sum::<f64>() / functions.len() as f64;
        Ok(Self {
            title,
            mean: order.iter().map(mean).collect(),
            function: bands(&order, functions),
            observation: if observations.is_empty() { Vec::new() } else { bands(&order, observations) },
            x: order.iter().map(|&i| x[i]).collect(),
            caveat: String::new(),
        })
    }

    /// Mean and bands of output `output` of predictions at the inputs `x`.
    ///
    /// # Errors
    /// [`PlotError::Length`] when there is not one point an input or no such output; otherwise as [`new`](Self::new).
    pub fn from_predictions(
        title: impl Into<String>,
        x: &[f64],
        predictions: &Predictions,
        output: usize,
    ) -> Result<Self, PlotError> {
        let title = title.into();
        check_predictions(&title, predictions)?;
        let (points, outputs) = (predictions.num_points, predictions.num_outputs);
        if points != x.len() {
            return Err(PlotError::Length { name: title, what: "predicted points", expected: x.len(), found: points });
        }
        if output >= outputs {
            return Err(PlotError::Length { name: title, what: "outputs", expected: output + 1, found: outputs });
        }
        let rows = |values: &[f64]| -> Vec<Vec<f64>> {
            values
                .chunks_exact(points * outputs)
                .map(|draw| draw.iter().skip(output).step_by(outputs).copied().collect())
                .collect()
        };
        let mut panel = Self::new(title, x, &rows(&predictions.values), &rows(&predictions.simulated))?;
        panel.caveat = predictions.caveat().unwrap_or_default();
        Ok(panel)
    }
}

/// Central intervals at the inputs in the given order.
fn bands(order: &[usize], rows: &[Vec<f64>]) -> Vec<Band> {
    let mut bands = LEVELS.map(|level| Band { level, lower: Vec::new(), upper: Vec::new() });
    for &i in order {
        let mut column: Vec<f64> = rows.iter().map(|row| row[i]).collect();
        column.sort_by(f64::total_cmp);
        for band in &mut bands {
            band.lower.push(quantile_of_sorted(&column, (1.0 - band.level) / 2.0));
            band.upper.push(quantile_of_sorted(&column, (1.0 + band.level) / 2.0));
        }
    }
    bands.to_vec()
}

impl PredictiveBands {
    /// Panels beside each other; the vertical axis spans the widest bands of all.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without panels.
    pub fn new(panels: Vec<BandsPanel>, x_label: impl Into<String>, y_label: impl Into<String>) -> Result<Self, PlotError> {
        if panels.is_empty() {
            return Err(PlotError::Empty { name: "predictive bands".to_owned(), reason: "there is no panel" });
        }
        let bands = || panels.iter().flat_map(|p| p.function.iter().chain(&p.observation));
        let ends = bands().flat_map(|band| band.lower.iter().chain(&band.upper).copied());
        let y_range = widen(range(ends), 0.04);
        Ok(Self { panels, x_label: x_label.into(), y_label: y_label.into(), training: Vec::new(), truth: Vec::new(), y_range })
    }

    /// Adds the data that the methods were fitted to, and makes room for them.
    ///
    /// # Errors
    /// [`PlotError::Length`] when inputs and targets differ in number, [`PlotError::NonFinite`] for values that are not finite.
    pub fn with_training(mut self, x: &[f64], y: &[f64]) -> Result<Self, PlotError> {
        self.training = pairs("training data", x, y)?;
        self.make_room(y);
        Ok(self)
    }

    /// Adds the function that made the data, and makes room for it.
    ///
    /// # Errors
    /// As [`with_training`](Self::with_training).
    pub fn with_truth(mut self, x: &[f64], y: &[f64]) -> Result<Self, PlotError> {
        self.truth = pairs("true function", x, y)?;
        self.truth.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.make_room(y);
        Ok(self)
    }

    /// Sets the range of the vertical axis; what lies outside is cut.
    ///
    /// # Errors
    /// [`PlotError::Setting`] unless `low < high` and both are finite.
    pub fn with_y_range(mut self, low: f64, high: f64) -> Result<Self, PlotError> {
        if !(low < high && (high - low).is_finite()) {
            return Err(PlotError::Setting { setting: "y_range", value: high - low, advice: "give a lower and a higher end" });
        }
        self.y_range = (low, high);
        Ok(self)
    }

    fn make_room(&mut self, y: &[f64]) {
        let (low, high) = range(y.iter().copied());
        let (from, to) = self.y_range;
        if !y.is_empty() && (low < from || high > to) {
            self.y_range = widen((low.min(from), high.max(to)), 0.02);
        }
    }

    fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        if !self.training.is_empty() {
            let shown = self.training.iter().step_by(stride(self.training.len(), MOST_POINTS)).count();
            let of = if shown < self.training.len() {
                format!(" ({shown} of {})", count(self.training.len()))
            } else {
                String::new()
            };
            legend.push(Swatch::Dot(INK, true), format!("training data{of}"));
        }
        if !self.truth.is_empty() {
            legend.push(Swatch::Line(Stroke::new(WARNING, 1.4).dashed()), "truth");
        }
        legend.push(Swatch::Line(Stroke::new(BLUE, 1.8)), "mean");
        for (level, opacity) in LEVELS.into_iter().zip(stacked(FUNCTION)) {
            legend.push(Swatch::Area(BLUE, opacity), format!("{} % function", level * 100.0));
        }
        if self.panels.iter().any(|p| !p.observation.is_empty()) {
            for (level, opacity) in LEVELS.into_iter().zip(stacked(OBSERVATION)) {
                legend.push(Swatch::Area(REFERENCE, opacity), format!("{} % with noise", level * 100.0));
            }
        }
        legend
    }
}

/// Opacity of the bands of the function, from the widest.
const FUNCTION: [f64; 2] = [0.28, 0.45];
/// Opacity of the bands of observations, from the widest.
const OBSERVATION: [f64; 2] = [0.3, 0.4];

/// Opacity of each band together with the wider ones below it.
fn stacked([wide, narrow]: [f64; 2]) -> [f64; 2] {
    [wide, 1.0 - (1.0 - wide) * (1.0 - narrow)]
}

fn pairs(name: &str, x: &[f64], y: &[f64]) -> Result<Vec<(f64, f64)>, PlotError> {
    if x.len() != y.len() {
        return Err(PlotError::Length { name: name.to_owned(), what: "targets", expected: x.len(), found: y.len() });
    }
    check_finite(name, 0, x)?;
    check_finite(name, 1, y)?;
    Ok(x.iter().copied().zip(y.iter().copied()).collect())
}

impl Plot for PredictiveBands {
    fn size(&self) -> (u32, u32) {
        Grid::size(self.panels.len())
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let inputs = self.panels.iter().flat_map(|p| p.x.iter().copied());
        let grid = Grid {
            titles: self.panels.iter().map(|p| (p.title.as_str(), String::new())).collect(),
            x: widen(range(inputs.chain(self.training.iter().map(|p| p.0))), 0.01),
            y: self.y_range,
        };
        let caveat = caveat_lines(self.panels.iter().map(|p| (p.title.as_str(), p.caveat.as_str())));
        let cells = grid.cells(canvas, &self.legend(), &caveat)?;
        for (shown, cell) in self.panels.iter().zip(cells) {
            let panel = cell.panel;
            for (band, opacity) in shown.observation.iter().zip(OBSERVATION) {
                panel.band(canvas, &shown.x, (&band.lower, &band.upper), REFERENCE, opacity)?;
            }
            for (band, opacity) in shown.function.iter().zip(FUNCTION) {
                panel.band(canvas, &shown.x, (&band.lower, &band.upper), BLUE, opacity)?;
            }
            panel.line(canvas, self.truth.iter().copied(), Stroke::new(WARNING, 1.4).dashed())?;
            panel.line(canvas, shown.x.iter().copied().zip(shown.mean.iter().copied()), Stroke::new(BLUE, 1.8))?;
            let dots = self.training.iter().step_by(stride(self.training.len(), MOST_POINTS));
            let opacity = if self.training.len() > 300 { 0.35 } else { 0.8 };
            for &(x, y) in dots.filter(|(x, y)| panel.contains(*x, *y)) {
                canvas.dot(panel.place(x, y), 1.8, Stroke::new(INK, 1.0).opacity(opacity), true)?;
            }
            let x_label = if cell.lowest { self.x_label.as_str() } else { "" };
            let y_label = if cell.first { self.y_label.as_str() } else { "" };
            panel.axes(canvas, Axes { x_label, y_label, x_ticks: true, y_ticks: cell.first, ..Axes::default() })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{Origin, PredictionKind, Temperatures};

    fn predictions(draws: usize, origin: Origin) -> Predictions {
        let mut noise = Noise::new(1);
        let values: Vec<f64> = (0..draws * 3).map(|_| noise.normal()).collect();
        let simulated = (0..4 * draws * 3).map(|_| 2.0 * noise.normal()).collect();
        Predictions {
            origin,
            temperatures: Temperatures::POSTERIOR,
            energy_variance: None,
            kind: PredictionKind::Regression,
            target_name: "y".to_owned(),
            chain_lengths: vec![draws],
            num_points: 3,
            num_outputs: 1,
            noise_sd: vec![1.0; values.len()],
            values,
            simulated,
            log_likelihood: Vec::new(),
            observed: Vec::new(),
        }
    }

    #[test]
    fn bands_are_quantiles_in_the_order_of_the_inputs() {
        let draws: Vec<Vec<f64>> = (0..=100).map(|i| vec![f64::from(i), -f64::from(i)]).collect();
        let panel = BandsPanel::new("m", &[1.0, 0.0], &draws, &[]).unwrap();
        assert_eq!(panel.x, vec![0.0, 1.0]);
        assert_eq!(panel.mean, vec![-50.0, 50.0]);
        let near = |a: &[f64], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(&panel.function[0].lower, [-95.0, 5.0]) && near(&panel.function[0].upper, [-5.0, 95.0]));
        assert!(near(&panel.function[1].lower, [-75.0, 25.0]));
        assert!(panel.observation.is_empty());
    }

    #[test]
    fn panels_come_from_predictions_and_say_what_they_are() {
        let x = [0.0, 1.0, 2.0];
        let exact = BandsPanel::from_predictions("NUTS", &x, &predictions(500, Origin::Mcmc), 0).unwrap();
        assert!(exact.observation[0].upper[0] > exact.function[0].upper[0]);
        let vi = BandsPanel::from_predictions("mean-field VI", &x, &predictions(500, Origin::Approximation), 0).unwrap();
        let plot = PredictiveBands::new(vec![exact, vi], "x", "y").unwrap();
        let plot = plot.with_training(&x, &[0.0, 50.0, 1.0]).unwrap().with_truth(&x, &[0.0; 3]).unwrap();
        assert!(plot.y_range.1 > 50.0);
        let svg = plot.svg(plot.size()).unwrap();
        for text in ["NUTS", "mean-field VI", "mean-field VI: approximation", "90 % with noise", "truth", "training data"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn one_draw_has_a_line_and_no_band() {
        let panel = BandsPanel::from_predictions("point", &[0.0, 1.0, 2.0], &predictions(1, Origin::Point), 0).unwrap();
        assert_eq!(panel.function[0].lower, panel.mean);
        let plot = PredictiveBands::new(vec![panel], "x", "y").unwrap();
        assert!(plot.svg((300, 200)).unwrap().contains("point estimate"));
        assert!(matches!(plot.svg((60, 60)), Err(PlotError::TooSmall { .. })));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let predictions = predictions(10, Origin::Mcmc);
        let x = [0.0, 1.0, 2.0];
        assert!(matches!(BandsPanel::from_predictions("m", &x[..2], &predictions, 0), Err(PlotError::Length { .. })));
        assert!(matches!(BandsPanel::from_predictions("m", &x, &predictions, 1), Err(PlotError::Length { .. })));
        assert!(matches!(BandsPanel::new("m", &[], &[], &[]), Err(PlotError::Empty { .. })));
        assert!(matches!(BandsPanel::new("m", &[1.0], &[vec![f64::NAN]], &[]), Err(PlotError::NonFinite { .. })));
        assert!(matches!(PredictiveBands::new(vec![], "x", "y"), Err(PlotError::Empty { .. })));
        let plot = PredictiveBands::new(vec![BandsPanel::new("m", &[1.0], &[vec![1.0]], &[]).unwrap()], "x", "y").unwrap();
        assert!(plot.clone().with_training(&[1.0], &[]).is_err());
        assert!(plot.clone().with_y_range(1.0, 1.0).is_err());
        assert!(plot.svg(plot.size()).is_ok());
    }
}
