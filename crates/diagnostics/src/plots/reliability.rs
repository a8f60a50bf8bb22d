//! Draw how often what a classifier predicts with a probability comes true.

use super::canvas::Stroke;
use super::grid::{beside, caveat_lines, square_pair_size};
use super::legend::{Legend, Swatch, surround};
use super::panel::{Axes, Panel};
use super::quantity::{check_predictions, range};
use super::style::{INK, series_color};
use super::{Canvas, Plot, PlotError};
use ergodic_draws::{PredictionKind, Predictions};
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Bins of equal width into which probabilities are put.
const BINS: usize = 10;

/// Reliability of class probabilities: how often what is predicted with a probability happens.
///
/// For two classes the probability of class 1, for more the probability of the likeliest class, in ten bins of equal width; bars are
/// 95 % intervals of the observed share (Wilson 1927). ECE is the mean distance of share and probability over bins, weighted by
/// their counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityPlot {
    /// One curve a method.
    pub curves: Vec<ReliabilityCurve>,
}

/// Reliability of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityCurve {
    /// Name of the method.
    pub title: String,
    /// Bins that hold at least one prediction, by probability.
    pub bins: Vec<ReliabilityBin>,
    /// Whether the probability is that of the likeliest of more than two classes.
    pub top_label: bool,
    /// What must be said of a method that is not exact; empty for exact ones.
    pub caveat: String,
}

/// Predictions of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Number of predictions.
    pub count: usize,
    /// Mean of their probabilities.
    pub probability: f64,
    /// Share of them that came true.
    pub share: f64,
}

impl ReliabilityBin {
    /// The 95 % interval of the share, after Wilson (1927).
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let (n, z2) = (self.count as f64, 1.96_f64 * 1.96);
        let centre = (self.share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = (z2 * (self.share * (1.0 - self.share) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
        (centre - half, centre + half)
    }
}

impl ReliabilityCurve {
    /// Reliability from pairs of a probability and whether it came true.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without pairs, [`PlotError::Setting`] for a probability outside [0, 1] or NaN.
    pub fn new(title: impl Into<String>, outcomes: &[(f64, bool)]) -> Result<Self, PlotError> {
        let title = title.into();
        if outcomes.is_empty() {
            return Err(PlotError::Empty { name: title, reason: "there is no target" });
        }
        // Means of class probabilities may pass one by rounding.
        if let Some(&(value, _)) = outcomes.iter().find(|(p, _)| !(-1e-6..=1.0 + 1e-6).contains(p)) {
            return Err(PlotError::Setting { setting: "probability", value, advice: "probabilities lie between 0 and 1" });
        }
        let bin_of = |p: f64| ((p * BINS as f64) as usize).min(BINS - 1);
        let bin = |index: usize| {
            let inside: Vec<_> = outcomes.iter().filter(|(p, _)| bin_of(*p) == index).collect();
            let n = inside.len() as f64;
            (!inside.is_empty()).then(|| ReliabilityBin {
                count: inside.len(),
                probability: inside.iter().map(|(p, _)| p).sum::<f64>() / n,
                share: inside.iter().filter(|(_, true_)| *true_).count() as f64 / n,
            })
        };
        Ok(Self { title, bins: (0..BINS).filter_map(bin).collect(), top_label: false, caveat: String::new() })
    }

    /// Reliability of the mean class probabilities over the draws.
    ///
    /// # Errors
    /// [`PlotError::Missing`] for a regression, a single class or without labels, [`PlotError::Length`] when labels and points differ
    /// in number.
    pub fn from_predictions(title: impl Into<String>, predictions: &Predictions) -> Result<Self, PlotError> {
        let title = title.into();
        check_predictions(&title, predictions)?;
        let missing = |what, advice| Err(PlotError::Missing { name: title.clone(), what, advice });
        let (points, classes, draws) = (predictions.num_points, predictions.num_outputs, predictions.num_draws());
        if predictions.kind != PredictionKind::Classification || classes < 2 {
            return missing("class probabilities", "draw coverage of a regression instead");
        }
        if predictions.observed.is_empty() {
            return missing("observed labels", "predict at points whose labels are known");
        }
        if predictions.observed.len() != points {
            let found = predictions.observed.len();
            return Err(PlotError::Length { name: title, what: "observed labels", expected: points, found });
        }
        let probability = |point: usize, class: usize| {
            (0..draws).map(|draw| predictions.value(draw, point, class)).sum::<f64>() / draws as f64
        };
        let outcome = |point: usize| {
            let label = predictions.observed[point];
            if classes == 2 {
                return (probability(point, 1), label == 1.0);
            }
            let all = (0..classes).map(|class| (class, probability(point, class)));
            let (class, top) = all.fold((0, f64::NEG_INFINITY), |best, new| if new.1 > best.1 { new } else { best });
            (top, label == class as f64)
        };
        let outcomes: Vec<_> = (0..points).map(outcome).collect();
        let caveat = predictions.caveat().unwrap_or_default();
        Ok(Self { top_label: classes > 2, caveat, ..Self::new(title, &outcomes)? })
    }

    /// Expected calibration error: mean distance of share and probability, weighted by count.
    #[must_use]
    pub fn expected_calibration_error(&self) -> f64 {
        self.weights().map(|(bin, weight)| weight * (bin.share - bin.probability).abs()).sum()
    }

    /// Every bin with its share of the predictions.
    fn weights(&self) -> impl Iterator<Item = (&ReliabilityBin, f64)> {
        let total: usize = self.bins.iter().map(|bin| bin.count).sum();
        self.bins.iter().map(move |bin| (bin, bin.count as f64 / total as f64))
    }
}

impl ReliabilityPlot {
    /// Curves of several methods in one picture.
    ///
    /// ```
    /// use ergodic_diagnostics::plots::{Plot, ReliabilityCurve, ReliabilityPlot};
    /// let outcomes = [(0.2, false), (0.25, true), (0.8, true), (0.85, true)];
    /// let plot = ReliabilityPlot::new(vec![ReliabilityCurve::new("NUTS", &outcomes)?])?;
    /// assert!(plot.svg(plot.size())?.contains("NUTS: ECE"));
    /// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
    /// ```
    ///
    /// # Errors
    /// [`PlotError::Empty`] without curves.
    pub fn new(curves: Vec<ReliabilityCurve>) -> Result<Self, PlotError> {
        if curves.is_empty() {
            return Err(PlotError::Empty { name: "reliability".to_owned(), reason: "there is no method" });
        }
        Ok(Self { curves })
    }

    fn paint_counts<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, panel: Panel) -> Result<(), PlotError> {
        for (i, curve) in self.curves.iter().enumerate() {
            let points: Vec<_> = curve.weights().map(|(bin, weight)| (bin.probability, weight)).collect();
            for &(x, y) in &points {
                canvas.dot(panel.place(x, y), 2.4, Stroke::new(series_color(i), 1.0), true)?;
            }
            panel.line(canvas, points, Stroke::new(series_color(i), 1.4).opacity(0.9))?;
        }
        Ok(())
    }
}

impl Plot for ReliabilityPlot {
    fn size(&self) -> (u32, u32) {
        square_pair_size(self.curves.iter().map(|c| c.caveat.as_str()))
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let mut legend = Legend::default();
        for (i, curve) in self.curves.iter().enumerate() {
            let text = format!("{}: ECE {:.3}", curve.title, curve.expected_calibration_error());
            legend.push(Swatch::Line(Stroke::new(series_color(i), 1.8)), text);
        }
        legend.note("bars: 95 % intervals of the share");
        let caveat = caveat_lines(self.curves.iter().map(|c| (c.title.as_str(), c.caveat.as_str())));
        let edges = surround(canvas, "", &legend, &caveat)?;
        let top_label = self.curves.iter().any(|curve| curve.top_label);
        let probabilities = self.curves.iter().flat_map(|c| c.bins.iter().map(|bin| bin.probability));
        let low = if top_label { (range(probabilities).0 * BINS as f64).floor() / BINS as f64 } else { 0.0 };
        let x = (low.min(0.9), 1.0);
        let largest = self.curves.iter().flat_map(ReliabilityCurve::weights).map(|(_, weight)| weight).fold(0.0, f64::max);
        let panels = beside(canvas, edges, &[(x, (0.0, 1.0)), (x, (0.0, 1.08 * largest))], true)?;
        let [panel, counts] = panels[..] else { return Ok(()) };
        panel.line(canvas, [(x.0, x.0), (1.0, 1.0)], Stroke::new(INK, 0.8).dashed())?;
        for (i, curve) in self.curves.iter().enumerate() {
            let color = series_color(i);
            for bin in &curve.bins {
                let (low, high) = bin.interval();
                let ends = [(bin.probability, low), (bin.probability, high)];
                panel.line(canvas, ends, Stroke::new(color, 1.1).opacity(0.55))?;
                canvas.dot(panel.place(bin.probability, bin.share), 2.8, Stroke::new(color, 1.0), true)?;
            }
            let points = curve.bins.iter().map(|bin| (bin.probability, bin.share));
            panel.line(canvas, points, Stroke::new(color, 1.6).opacity(0.9))?;
        }
        self.paint_counts(canvas, counts)?;
        let x_label = if top_label { "probability of the likeliest class" } else { "probability of class 1" };
        let axes = Axes { x_label, x_ticks: true, y_ticks: true, ..Axes::default() };
        panel.axes(canvas, Axes { y_label: "share that came true", ..axes })?;
        counts.axes(canvas, Axes { y_label: "share of predictions", ..axes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{Origin, Temperatures};

    fn classes(classes: usize, sharpness: f64) -> Predictions {
        let mut noise = Noise::new(2);
        let points = 2000;
        let (mut values, mut observed) = (Vec::new(), Vec::new());
        for _ in 0..points {
            let weights: Vec<f64> = (0..classes).map(|_| noise.normal().exp()).collect();
            let total: f64 = weights.iter().sum();
            let u = noise.uniform() * total;
            let mut passed = 0.0;
            let label = weights.iter().position(|w| {
                passed += w;
                u < passed
            });
            observed.push(label.unwrap_or(classes - 1) as f64);
            let sharp: Vec<f64> = weights.iter().map(|w| w.powf(sharpness)).collect();
            let total: f64 = sharp.iter().sum();
            values.extend(sharp.iter().map(|w| w / total));
        }
        Predictions {
            origin: Origin::Approximation,
            temperatures: Temperatures::POSTERIOR,
            energy_variance: None,
            kind: PredictionKind::Classification,
            target_name: "label".to_owned(),
            chain_lengths: vec![1],
            num_points: points,
            num_outputs: classes,
            values,
            noise_sd: Vec::new(),
            simulated: Vec::new(),
            log_likelihood: Vec::new(),
            observed,
        }
    }

    #[test]
    fn overconfident_probabilities_have_a_larger_error() {
        for number in [2, 4] {
            let right = ReliabilityCurve::from_predictions("right", &classes(number, 1.0)).unwrap();
            let sharp = ReliabilityCurve::from_predictions("sharp", &classes(number, 3.0)).unwrap();
            assert!(right.expected_calibration_error() < 0.04, "{}", right.expected_calibration_error());
            assert!(sharp.expected_calibration_error() > 0.1, "{}", sharp.expected_calibration_error());
            assert_eq!(right.bins.iter().map(|bin| bin.count).sum::<usize>(), 2000);
            let plot = ReliabilityPlot::new(vec![right, sharp]).unwrap();
            assert!(plot.svg(plot.size()).unwrap().contains("approximation"));
        }
    }

    #[test]
    fn wilsons_interval_has_its_known_ends() {
        let bin = ReliabilityBin { count: 10, probability: 0.5, share: 0.5 };
        let (low, high) = bin.interval();
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4);
        let (low, high) = ReliabilityBin { share: 0.0, ..bin }.interval();
        assert!(low.abs() < 1e-12 && high > 0.2);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut predictions = classes(3, 1.0);
        predictions.observed.pop();
        assert!(matches!(ReliabilityCurve::from_predictions("m", &predictions), Err(PlotError::Length { .. })));
        predictions.observed.clear();
        assert!(ReliabilityCurve::from_predictions("m", &predictions).unwrap_err().to_string().contains("labels"));
        predictions.kind = PredictionKind::Regression;
        assert!(matches!(ReliabilityCurve::from_predictions("m", &predictions), Err(PlotError::Missing { .. })));
        assert!(matches!(ReliabilityCurve::new("m", &[(1.2, true)]), Err(PlotError::Setting { .. })));
        assert!(matches!(ReliabilityPlot::new(vec![]), Err(PlotError::Empty { .. })));
    }
}
