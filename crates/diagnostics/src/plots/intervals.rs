//! Draw test targets beside their predictive intervals, sorted by prediction, with the share that the intervals hold.

use super::canvas::{Canvas, Stroke};
use super::grid::{Grid, caveat_lines, stride};
use super::legend::{Legend, Swatch};
use super::panel::Axes;
use super::quantity::{check_predictions, is_drawable, range, widen};
use super::style::{BLUE, INK, WARNING, count, number};
use super::{Plot, PlotError};
use crate::quantiles::quantile_of_sorted;
use ergodic_draws::{PredictionKind, Predictions};
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Predictive intervals of test targets, a panel for every method with one shared vertical axis.
///
/// Every panel says how many of its targets the intervals hold and how wide they are on average: wide intervals hold much.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictiveIntervals {
    /// One panel a method.
    pub panels: Vec<IntervalsPanel>,
    /// Name of the target, with its unit if it has one.
    pub y_label: String,
}

/// Intervals of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalsPanel {
    /// Name of the method.
    pub title: String,
    /// Probability that the intervals should hold.
    pub level: f64,
    /// Targets in the order of their predicted means.
    pub targets: Vec<Interval>,
    /// What must be said of a method that is not exact; empty for exact ones.
    pub caveat: String,
}

/// A target and what was predicted for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Predicted mean.
    pub predicted: f64,
    /// Lower end of the central interval.
    pub lower: f64,
    /// Upper end of the central interval.
    pub upper: f64,
    /// What was observed.
    pub observed: f64,
}

impl Interval {
    /// Whether the interval holds the target.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.lower..=self.upper).contains(&self.observed)
    }
}

impl IntervalsPanel {
    /// Central intervals of probability `level` (such as 0.9) of output `output`, from the simulated observations.
    ///
    /// # Errors
    /// [`PlotError::Missing`] without simulated observations or observed targets, [`PlotError::Length`] for no such output,
    /// [`PlotError::Setting`] for a level outside (0, 1).
    pub fn from_predictions(
        title: impl Into<String>,
        predictions: &Predictions,
        output: usize,
        level: f64,
    ) -> Result<Self, PlotError> {
        let title = title.into();
        let samples = observed_and_simulated(&title, predictions, output)?;
        if !(level > 0.0 && level < 1.0) {
            return Err(PlotError::Setting { setting: "level", value: level, advice: "choose a probability such as 0.9" });
        }
        let draws = predictions.num_draws();
        let interval = |(point, (observed, sorted)): (usize, (f64, Vec<f64>))| Interval {
            predicted: (0..draws).map(|draw| predictions.value(draw, point, output)).sum::<f64>() / draws as f64,
            lower: quantile_of_sorted(&sorted, (1.0 - level) / 2.0),
            upper: quantile_of_sorted(&sorted, (1.0 + level) / 2.0),
            observed,
        };
        let mut targets: Vec<Interval> = samples.into_iter().enumerate().map(interval).collect();
        targets.sort_by(|a, b| a.predicted.total_cmp(&b.predicted));
        Ok(Self { title, level, targets, caveat: predictions.caveat().unwrap_or_default() })
    }

    /// Share of the targets that the intervals hold.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        self.held() as f64 / self.targets.len() as f64
    }

    /// Mean width of the intervals, in the target's unit.
    #[must_use]
    pub fn mean_width(&self) -> f64 {
        self.targets.iter().map(|t| t.upper - t.lower).sum::<f64>() / self.targets.len() as f64
    }

    fn held(&self) -> usize {
        self.targets.iter().filter(|t| t.holds()).count()
    }

    fn summary(&self) -> String {
        format!(
            "holds {} % ({} of {})\nmean width {}",
            number(100.0 * self.coverage(), 3),
            count(self.held()),
            count(self.targets.len()),
            number(self.mean_width(), 3)
        )
    }
}

/// For every point the observed target and the simulated observations in ascending order.
pub(super) fn observed_and_simulated(
    name: &str,
    predictions: &Predictions,
    output: usize,
) -> Result<Vec<(f64, Vec<f64>)>, PlotError> {
    check_predictions(name, predictions)?;
    let missing = |what, advice| Err(PlotError::Missing { name: name.to_owned(), what, advice });
    if predictions.kind != PredictionKind::Regression {
        return missing("real targets", "draw a reliability diagram of class probabilities instead");
    }
    let (points, outputs) = (predictions.num_points, predictions.num_outputs);
    if output >= outputs {
        return Err(PlotError::Length { name: name.to_owned(), what: "outputs", expected: output + 1, found: outputs });
    }
    if predictions.simulated.is_empty() {
        return missing("simulated observations", "predict with simulation, several observations per draw where draws are few");
    }
    if predictions.observed.is_empty() {
        return missing("observed targets", "predict at points whose targets are known");
    }
    if predictions.observed.len() != points * outputs {
        let (expected, found) = (points * outputs, predictions.observed.len());
        return Err(PlotError::Length { name: name.to_owned(), what: "observed targets", expected, found });
    }
    let at = |point: usize| {
        let index = point * outputs + output;
        let mut sorted: Vec<f64> = predictions.simulated.iter().skip(index).step_by(points * outputs).copied().collect();
        sorted.sort_by(f64::total_cmp);
        (predictions.observed[index], sorted)
    };
    Ok((0..points).map(at).collect())
}

impl PredictiveIntervals {
    /// Panels beside each other; `y_label` names the target.
    ///
    /// ```
    /// use ergodic_diagnostics::plots::{Interval, IntervalsPanel, Plot, PredictiveIntervals};
    /// let target = Interval { predicted: 0.1, lower: -1.0, upper: 1.0, observed: 0.5 };
    /// let panel = IntervalsPanel { title: "NUTS".to_owned(), level: 0.9, targets: vec![target; 5], caveat: String::new() };
    /// let plot = PredictiveIntervals::new(vec![panel], "strength")?;
    /// assert!(plot.svg(plot.size())?.contains("holds 100 % (5 of 5)"));
    /// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
    /// ```
    ///
    /// # Errors
    /// [`PlotError::Empty`] without panels or when a panel has no targets, [`PlotError::NonFinite`] for values that are not finite.
    pub fn new(panels: Vec<IntervalsPanel>, y_label: impl Into<String>) -> Result<Self, PlotError> {
        if panels.is_empty() {
            return Err(PlotError::Empty { name: "predictive intervals".to_owned(), reason: "there is no panel" });
        }
        for (series, panel) in panels.iter().enumerate() {
            if panel.targets.is_empty() {
                return Err(PlotError::Empty { name: panel.title.clone(), reason: "there is no target" });
            }
            for (position, target) in panel.targets.iter().enumerate() {
                let values = [target.predicted, target.lower, target.upper, target.observed];
                if let Some(&value) = values.iter().find(|v| !is_drawable(**v)) {
                    return Err(PlotError::NonFinite { name: panel.title.clone(), series, position, value });
                }
            }
        }
        Ok(Self { panels, y_label: y_label.into() })
    }
}

impl Plot for PredictiveIntervals {
    fn size(&self) -> (u32, u32) {
        Grid::size(self.panels.len())
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let targets = || self.panels.iter().flat_map(|p| &p.targets);
        let longest = self.panels.iter().map(|p| p.targets.len()).max().unwrap_or(1);
        let grid = Grid {
            titles: self.panels.iter().map(|p| (p.title.as_str(), p.summary())).collect(),
            x: (-0.5, longest as f64 - 0.5),
            y: widen(range(targets().flat_map(|t| [t.lower, t.upper, t.observed, t.predicted])), 0.03),
        };
        let columns = self.panels.len().min(4) as f64;
        // At least two units a target, so that bars stay apart.
        let step = stride(longest, (canvas.width() / columns / 2.0) as usize);
        let level = self.panels.iter().map(|p| p.level).fold(0.0, f64::max);
        let mut legend = Legend::default();
        legend.push(Swatch::Area(BLUE, 0.35), format!("{} % predictive interval", number(100.0 * level, 3)));
        legend.push(Swatch::Line(Stroke::new(BLUE, 1.4)), "predicted mean, in whose order the targets stand");
        legend.push(Swatch::Dot(INK, true), "target inside");
        legend.push(Swatch::Dot(WARNING, false), "target outside");
        if step > 1 {
            legend.note(format!("one target in {step} is shown; shares are of all"));
        }
        let caveat = caveat_lines(self.panels.iter().map(|p| (p.title.as_str(), p.caveat.as_str())));
        for (shown, cell) in self.panels.iter().zip(grid.cells(canvas, &legend, &caveat)?) {
            let panel = cell.panel;
            let half = 0.35 * step as f64;
            let drawn = || shown.targets.iter().enumerate().step_by(step).map(|(i, target)| (i as f64, target));
            for (x, target) in drawn() {
                panel.bar(canvas, (x - half, x + half), (target.lower, target.upper), BLUE, 0.35)?;
            }
            panel.line(canvas, drawn().map(|(x, target)| (x, target.predicted)), Stroke::new(BLUE, 1.4))?;
            for (x, target) in drawn() {
                let place = panel.place(x, target.observed);
                if target.holds() {
                    canvas.dot(place, 1.6, Stroke::new(INK, 1.0).opacity(0.85), true)?;
                } else {
                    canvas.dot(place, 2.4, Stroke::new(WARNING, 1.3), false)?;
                }
            }
            let x_label = if cell.lowest { "sorted targets" } else { "" };
            let y_label = if cell.first { self.y_label.as_str() } else { "" };
            panel.axes(
                canvas,
                Axes { x_label, y_label, x_ticks: true, y_ticks: cell.first, whole_x: true, ..Axes::default() },
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{Origin, Temperatures};

    /// Two outputs; the first is predicted rightly with noise of scale 1, the second claims a tenth of its noise.
    fn predictions(points: usize) -> Predictions {
        let mut noise = Noise::new(1);
        let centre: Vec<f64> = (0..points).map(|_| 3.0 * noise.normal()).collect();
        let (draws, per_draw) = (50, 8);
        let values = (0..draws).flat_map(|_| centre.iter().flat_map(|c| [*c, *c])).collect();
        let simulated = (0..draws * per_draw)
            .flat_map(|_| centre.iter().flat_map(|c| [c + noise.normal(), c + 0.1 * noise.normal()]).collect::<Vec<_>>())
            .collect();
        let observed = centre.iter().flat_map(|c| [c + noise.normal(), c + noise.normal()]).collect();
        Predictions {
            origin: Origin::Mcmc,
            temperatures: Temperatures::POSTERIOR,
            energy_variance: None,
            kind: PredictionKind::Regression,
            target_name: "y".to_owned(),
            chain_lengths: vec![draws],
            num_points: points,
            num_outputs: 2,
            values,
            noise_sd: Vec::new(),
            simulated,
            log_likelihood: Vec::new(),
            observed,
        }
    }

    #[test]
    fn coverage_tells_right_from_overconfident_intervals() {
        // 1000 targets: the standard error of 0.9 is 0.01; the overconfident method holds 2 Φ(0.164) − 1 = 0.13.
        let predictions = predictions(1000);
        let right = IntervalsPanel::from_predictions("right", &predictions, 0, 0.9).unwrap();
        let narrow = IntervalsPanel::from_predictions("narrow", &predictions, 1, 0.9).unwrap();
        assert!((right.coverage() - 0.9).abs() < 0.04, "{}", right.coverage());
        assert!((narrow.coverage() - 0.13).abs() < 0.04, "{}", narrow.coverage());
        assert!((right.mean_width() - 3.29).abs() < 0.2);
        assert!(right.targets.is_sorted_by(|a, b| a.predicted <= b.predicted));
        let plot = PredictiveIntervals::new(vec![right, narrow], "y").unwrap();
        let svg = plot.svg(plot.size()).unwrap();
        assert!(svg.contains("of 1,000") && svg.contains("one target in") && svg.len() < 300_000);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut predictions = predictions(4);
        let panel = |p: &Predictions, output, level| IntervalsPanel::from_predictions("m", p, output, level);
        assert!(matches!(panel(&predictions, 2, 0.9), Err(PlotError::Length { .. })));
        assert!(matches!(panel(&predictions, 0, 1.0), Err(PlotError::Setting { .. })));
        predictions.observed.clear();
        assert!(panel(&predictions, 0, 0.9).unwrap_err().to_string().contains("observed targets"));
        predictions.simulated.clear();
        assert!(panel(&predictions, 0, 0.9).unwrap_err().to_string().contains("simulated"));
        predictions.kind = PredictionKind::Classification;
        assert!(panel(&predictions, 0, 0.9).unwrap_err().to_string().contains("reliability"));
        assert!(matches!(PredictiveIntervals::new(vec![], "y"), Err(PlotError::Empty { .. })));
    }
}
