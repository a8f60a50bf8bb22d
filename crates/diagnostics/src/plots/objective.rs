//! Draw what an optimiser or a variational method reached against the gradients that it spent.

use super::canvas::{Canvas, Stroke};
use super::decimate::Decimated;
use super::grid::{beside, caveat_lines};
use super::legend::{Legend, Swatch, surround};
use super::panel::Axes;
use super::quantity::{is_drawable, range, widen};
use super::style::{count, series_color};
use super::{Plot, PlotError};
use ergodic_draws::Draws;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Stretches into which a series is cut before the extremes of each are drawn.
const COLUMNS: usize = 500;

/// Stretches over which a noisy objective is averaged.
const AVERAGES: usize = 100;

/// Objectives of several methods against gradient evaluations.
///
/// The left panel shows the whole run, the right one only the range of values that the second halves of the runs have: what
/// matters for whether a method has converged, and what the first steps would hide.
///
/// ```
/// use ergodic_diagnostics::plots::{ObjectivePlot, ObjectiveSeries, Plot};
/// let points = [(10, -900.0), (20, -310.0), (30, -300.0), (40, -299.5)];
/// let plot = ObjectivePlot::new(vec![ObjectiveSeries::new("mean-field VI", &points)?], "ELBO in nats")?;
/// assert!(plot.svg(plot.size())?.contains("mean-field VI"));
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectivePlot {
    /// One series a method.
    pub series: Vec<ObjectiveSeries>,
    /// Name of the objective, with its unit.
    pub y_label: String,
}

/// The objective of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectiveSeries {
    /// Name of the method.
    pub title: String,
    /// Gradient evaluations, ascending; thinned without losing an extreme of the objective.
    pub gradients: Vec<u64>,
    /// The objective there.
    pub values: Vec<f64>,
    /// Means of gradient evaluations and objective over a hundred stretches of the run; empty for runs of fewer than 400 values.
    pub averages: Vec<(f64, f64)>,
    /// How many values were NaN or infinite and are not drawn.
    pub not_finite: usize,
    /// What must be said of a method that is not exact; empty for exact ones.
    pub caveat: String,
}

impl ObjectiveSeries {
    /// A series of pairs of gradient evaluations and objective. Values that are not finite, which an optimiser may pass through,
    /// are left out and counted.
    ///
    /// # Errors
    /// [`PlotError::Empty`] when no value is finite.
    pub fn new(title: impl Into<String>, points: &[(u64, f64)]) -> Result<Self, PlotError> {
        let title = title.into();
        let mut finite: Vec<(u64, f64)> = points.iter().copied().filter(|(_, value)| is_drawable(*value)).collect();
        if finite.is_empty() {
            let reason = "it has recorded no finite objective; record it, or look why it overflows";
            return Err(PlotError::Empty { name: title, reason });
        }
        finite.sort_by_key(|(gradients, _)| *gradients);
        let values: Vec<f64> = finite.iter().map(|(_, value)| *value).collect();
        let thin = Decimated::new(&values, COLUMNS);
        Ok(Self {
            title,
            gradients: thin.index.iter().map(|&i| finite[i].0).collect(),
            values: thin.value,
            averages: averages(&finite),
            not_finite: points.len() - finite.len(),
            caveat: String::new(),
        })
    }

    /// The objective that a run reports, under the name of its method.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_draws(draws: &Draws) -> Result<Self, PlotError> {
        let series = Self::new(draws.report.method.clone(), &draws.report.objective)?;
        Ok(Self { caveat: draws.caveat().unwrap_or_default(), ..series })
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.gradients.iter().zip(&self.values).map(|(&gradients, &value)| (gradients as f64, value))
    }

    /// Values at gradients from the middle of the run on.
    fn second_half(&self) -> impl Iterator<Item = f64> + '_ {
        let middle = self.gradients.last().map_or(0.0, |last| *last as f64 / 2.0);
        self.points().filter(move |point| point.0 >= middle).map(|point| point.1)
    }
}

/// Means over equal stretches; empty where stretches would be short.
fn averages(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    if points.len() < 4 * AVERAGES {
        return Vec::new();
    }
    let mean = |stretch: usize| {
        let inside = &points[stretch * points.len() / AVERAGES..(stretch + 1) * points.len() / AVERAGES];
        let n = inside.len() as f64;
        (inside.iter().map(|p| p.0 as f64).sum::<f64>() / n, inside.iter().map(|p| p.1 / n).sum())
    };
    (0..AVERAGES).map(mean).collect()
}

impl ObjectivePlot {
    /// Series of several methods; `y_label` names the objective, such as `ELBO in nats`.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without series.
    pub fn new(series: Vec<ObjectiveSeries>, y_label: impl Into<String>) -> Result<Self, PlotError> {
        if series.is_empty() {
            return Err(PlotError::Empty { name: "objective".to_owned(), reason: "there is no method" });
        }
        Ok(Self { series, y_label: y_label.into() })
    }
}

impl Plot for ObjectivePlot {
    fn size(&self) -> (u32, u32) {
        (900, 360)
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let mut legend = Legend::default();
        for (i, series) in self.series.iter().enumerate() {
            let left_out = match series.not_finite {
                0 => String::new(),
                n => format!(" ({} values not finite)", count(n)),
            };
            legend.push(Swatch::Line(Stroke::new(series_color(i), 1.8)), format!("{}{left_out}", series.title));
        }
        legend.note("right: zoomed to the values of the second half");
        if self.series.iter().any(|s| !s.averages.is_empty()) {
            legend.note("strong lines: averages over a hundredth of the run");
        }
        let caveat = caveat_lines(self.series.iter().map(|s| (s.title.as_str(), s.caveat.as_str())));
        let edges = surround(canvas, "", &legend, &caveat)?;
        let all = || self.series.iter().flat_map(ObjectiveSeries::points);
        let most = all().map(|point| point.0).fold(0.0, f64::max);
        let x = (0.0, if most > 0.0 { 1.02 * most } else { 1.0 });
        let whole = widen(range(all().map(|point| point.1)), 0.05);
        let late = widen(range(self.series.iter().flat_map(ObjectiveSeries::second_half)), 0.08);
        let panels = beside(canvas, edges, &[(x, whole), (x, late)], false)?;
        let y_label = self.y_label.as_str();
        for panel in panels {
            let axes =
                Axes { x_label: "gradient evaluations", y_label, x_ticks: true, y_ticks: true, grid: true, ..Axes::default() };
            panel.axes(canvas, axes)?;
            for (i, series) in self.series.iter().enumerate() {
                let (width, opacity) = if series.averages.is_empty() { (1.4, 0.9) } else { (0.8, 0.3) };
                panel.line(canvas, series.points(), Stroke::new(series_color(i), width).opacity(opacity))?;
                if let [only] = series.points().collect::<Vec<_>>()[..] {
                    canvas.dot(panel.place(only.0, only.1), 2.5, Stroke::new(series_color(i), 1.0), true)?;
                }
            }
            for (i, series) in self.series.iter().enumerate() {
                panel.line(canvas, series.averages.iter().copied(), Stroke::new(series_color(i), 1.8))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{ChainDraws, Layout, Origin, RunReport};

    #[test]
    fn long_series_are_thinned_and_bad_values_counted() {
        let mut noise = Noise::new(1);
        let mut value = |i: u64| if i == 7 { f64::NAN } else { -300.0 - 1e6 / (i as f64 + 1.0) + noise.normal() };
        let points: Vec<(u64, f64)> = (0..100_000).map(|i| (10 * i, value(i))).collect();
        let series = ObjectiveSeries::new("VI", &points).unwrap();
        assert_eq!(series.not_finite, 1);
        assert!(series.values.len() <= 1000 && series.averages.len() == 100);
        assert!((series.averages[99].1 + 310.0).abs() < 1.0, "{:?}", series.averages[99]);
        assert_eq!(series.values[0], points[0].1, "the lowest value is kept");
        let plot = ObjectivePlot::new(vec![series], "ELBO in nats").unwrap();
        let svg = plot.svg(plot.size()).unwrap();
        assert!(svg.contains("VI (1 values not finite)") && svg.contains("ELBO in nats") && svg.len() < 200_000);
    }

    #[test]
    fn runs_bring_their_objective_and_caveat() {
        let mut report = RunReport::new("mean_field", 1);
        let chain = ChainDraws::from_positions(1, vec![0.0]);
        let draws =
            |report: &RunReport| Draws::new(Layout::flat(1), Origin::Approximation, vec![chain.clone()], report.clone());
        assert!(ObjectiveSeries::from_draws(&draws(&report)).unwrap_err().to_string().contains("mean_field"));
        report.objective = vec![(5, -2.0)];
        let series = ObjectiveSeries::from_draws(&draws(&report)).unwrap();
        assert!(series.caveat.starts_with("approximation"));
        let plot = ObjectivePlot::new(vec![series], "ELBO in nats").unwrap();
        assert!(plot.svg(plot.size()).unwrap().contains("approximation"));
        assert!(matches!(ObjectivePlot::new(vec![], ""), Err(PlotError::Empty { .. })));
    }
}
