//! Draw how often the intervals of a regression hold their targets, and how its probability integral transforms are spread.

use super::canvas::Stroke;
use super::grid::{beside, caveat_lines, square_pair_size};
use super::intervals::observed_and_simulated;
use super::legend::{Legend, Swatch, surround};
use super::panel::Axes;
use super::quantity::{range, widen};
use super::style::{INK, REFERENCE, count, series_color};
use super::{Canvas, Plot, PlotError};
use ergodic_draws::Predictions;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Points at which curves are evaluated between 0 and 1.
const GRID: usize = 101;
/// Calibration of regressions: coverage of central intervals, and the distribution of probability integral transforms.
///
/// On the left the share of targets that the central interval of each probability holds, over that probability: above the
/// diagonal intervals are too wide, below too narrow. On the right the distribution function of the transforms
/// PIT = P(prediction ≤ target) minus the uniform one, which also shows bias: above zero predictions are too high.
/// The bands hold what calibrated predictions show with probability 95 %: at each point on the left, everywhere on the right
/// (1.358/√n, Kolmogorov and Smirnov).
///
/// ```
/// use ergodic_diagnostics::plots::{CoverageCurve, CoveragePlot, Plot};
/// let pit: Vec<f64> = (0..100).map(|i| (f64::from(i) + 0.5) / 100.0).collect();
/// let plot = CoveragePlot::new(vec![CoverageCurve::from_pit("NUTS", &pit)?])?;
/// assert!((plot.curves[0].coverage[50] - 0.5).abs() < 0.02);
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoveragePlot {
    /// One curve a method.
    pub curves: Vec<CoverageCurve>,
}

/// Coverage of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoverageCurve {
    /// Name of the method.
    pub title: String,
    /// Number of targets.
    pub num_targets: usize,
    /// Share of targets in the central interval of probability 0, 0.01, …, 1.
    pub coverage: Vec<f64>,
    /// Distribution function of the transforms at 0, 0.01, …, 1.
    pub distribution: Vec<f64>,
    /// What must be said of a method that is not exact; empty for exact ones.
    pub caveat: String,
}

impl CoverageCurve {
    /// Coverage from probability integral transforms, each between 0 and 1.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without values, [`PlotError::Setting`] for a value outside [0, 1] or NaN.
    pub fn from_pit(title: impl Into<String>, pit: &[f64]) -> Result<Self, PlotError> {
        let title = title.into();
        if pit.is_empty() {
            return Err(PlotError::Empty { name: title, reason: "there is no target" });
        }
        if let Some(&value) = pit.iter().find(|u| !(0.0..=1.0).contains(*u)) {
            let advice = "probability integral transforms lie between 0 and 1";
            return Err(PlotError::Setting { setting: "pit", value, advice });
        }
        let share = |holds: &dyn Fn(f64) -> bool| pit.iter().filter(|u| holds(**u)).count() as f64 / pit.len() as f64;
        // A little slack, so that values on the edge of an interval are not lost to rounding.
        let levels = || (0..GRID).map(|i| i as f64 / (GRID - 1) as f64);
        Ok(Self {
            num_targets: pit.len(),
            coverage: levels().map(|p| share(&|u| (u - 0.5).abs() <= p / 2.0 + 1e-12)).collect(),
            distribution: levels().map(|p| share(&|u| u <= p + 1e-12)).collect(),
            title,
            caveat: String::new(),
        })
    }

    /// Coverage of output `output`, from the simulated observations.
    ///
    /// # Errors
    /// [`PlotError::Missing`] without simulated observations or observed targets, [`PlotError::Length`] for no such output.
    pub fn from_predictions(title: impl Into<String>, predictions: &Predictions, output: usize) -> Result<Self, PlotError> {
        let title = title.into();
        let samples = observed_and_simulated(&title, predictions, output)?;
        let pit = |(observed, sorted): &(f64, Vec<f64>)| {
            let below = sorted.partition_point(|s| s < observed);
            let equal = sorted.partition_point(|s| s <= observed) - below;
            // The target is one of n + 1 exchangeable values; ties count half.
            (below as f64 + (equal + 1) as f64 / 2.0) / (sorted.len() + 1) as f64
        };
        let pit: Vec<f64> = samples.iter().map(pit).collect();
        Ok(Self { caveat: predictions.caveat().unwrap_or_default(), ..Self::from_pit(title, &pit)? })
    }

    /// The calibration error of [`metrics::calibration_error`](crate::metrics::calibration_error()), from the transforms: the mean
    /// distance of their distribution function from the uniform one at 0.05, 0.10, …, 0.95.
    fn error(&self) -> f64 {
        let levels = (1..20).map(|k| 5 * k);
        levels.map(|i| (self.distribution[i] - i as f64 / (GRID - 1) as f64).abs()).sum::<f64>() / 19.0
    }
}

impl CoveragePlot {
    /// Curves of several methods in one picture.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without curves.
    pub fn new(curves: Vec<CoverageCurve>) -> Result<Self, PlotError> {
        if curves.is_empty() {
            return Err(PlotError::Empty { name: "coverage".to_owned(), reason: "there is no method" });
        }
        Ok(Self { curves })
    }
}

impl Plot for CoveragePlot {
    fn size(&self) -> (u32, u32) {
        square_pair_size(self.curves.iter().map(|c| c.caveat.as_str()))
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let mut legend = Legend::default();
        for (i, curve) in self.curves.iter().enumerate() {
            let text = format!("{}: {:.3}", curve.title, curve.error());
            legend.push(Swatch::Line(Stroke::new(series_color(i), 1.8)), text);
        }
        legend.note("number: calibration error, mean distance of the right curve from 0");
        let fewest = self.curves.iter().map(|c| c.num_targets).min().unwrap_or(1);
        legend.push(Swatch::Area(REFERENCE, 0.3), format!("95 % if calibrated, {} targets", count(fewest)));
        let caveat = caveat_lines(self.curves.iter().map(|c| (c.title.as_str(), c.caveat.as_str())));
        let edges = surround(canvas, "", &legend, &caveat)?;
        let levels: Vec<f64> = (0..GRID).map(|i| i as f64 / (GRID - 1) as f64).collect();
        let difference =
            |curve: &CoverageCurve| -> Vec<f64> { curve.distribution.iter().zip(&levels).map(|(d, p)| d - p).collect() };
        let half = 1.358 / (fewest as f64).sqrt();
        let differences: Vec<Vec<f64>> = self.curves.iter().map(difference).collect();
        let y = widen(range(differences.iter().flatten().copied().chain([-half, half])), 0.06);
        let panels = beside(canvas, edges, &[((0.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), y)], true)?;
        let [left, right] = panels[..] else { return Ok(()) };

        let spread = |p: &f64| 1.96 * (p * (1.0 - p) / fewest as f64).sqrt();
        let lower: Vec<f64> = levels.iter().map(|p| p - spread(p)).collect();
        let upper: Vec<f64> = levels.iter().map(|p| p + spread(p)).collect();
        left.band(canvas, &levels, (&lower, &upper), REFERENCE, 0.3)?;
        right.bar(canvas, (0.0, 1.0), (-half, half), REFERENCE, 0.3)?;
        left.line(canvas, [(0.0, 0.0), (1.0, 1.0)], Stroke::new(INK, 0.8).dashed())?;
        right.line(canvas, [(0.0, 0.0), (1.0, 0.0)], Stroke::new(INK, 0.8).dashed())?;
        for (i, curve) in self.curves.iter().enumerate() {
            let stroke = Stroke::new(series_color(i), 1.8).opacity(0.9);
            left.line(canvas, levels.iter().copied().zip(curve.coverage.iter().copied()), stroke)?;
            right.line(canvas, levels.iter().copied().zip(differences[i].iter().copied()), stroke)?;
        }
        let axes = Axes { x_ticks: true, y_ticks: true, ..Axes::default() };
        left.axes(canvas, Axes { x_label: "probability of the central interval", y_label: "share of targets inside", ..axes })?;
        right.axes(canvas, Axes { x_label: "PIT", y_label: "ECDF of PIT − uniform", ..axes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    #[test]
    fn coverage_of_uniform_transforms_is_the_diagonal_and_of_narrow_predictions_below() {
        let mut noise = Noise::new(1);
        let uniform: Vec<f64> = (0..4000).map(|_| noise.uniform()).collect();
        // Transforms pile up at both ends when predictions are too narrow.
        let narrow: Vec<f64> = uniform.iter().map(|u| (0.5 + 2.0 * (u - 0.5)).clamp(0.0, 1.0)).collect();
        let right = CoverageCurve::from_pit("right", &uniform).unwrap();
        let wrong = CoverageCurve::from_pit("narrow", &narrow).unwrap();
        assert!(right.error() < 0.02, "{}", right.error());
        assert!((wrong.coverage[90] - 0.45).abs() < 0.03);
        assert!(wrong.coverage.is_sorted() && wrong.coverage[100] == 1.0 && right.distribution[100] == 1.0);
        let plot = CoveragePlot::new(vec![right, wrong]).unwrap();
        assert!(plot.svg(plot.size()).unwrap().contains("narrow: 0."));
    }

    #[test]
    fn transforms_out_of_range_are_refused() {
        assert!(matches!(CoverageCurve::from_pit("m", &[0.5, 1.5]), Err(PlotError::Setting { .. })));
        assert!(matches!(CoverageCurve::from_pit("m", &[f64::NAN]), Err(PlotError::Setting { .. })));
        assert!(matches!(CoverageCurve::from_pit("m", &[]), Err(PlotError::Empty { .. })));
        assert!(matches!(CoveragePlot::new(vec![]), Err(PlotError::Empty { .. })));
    }
}
