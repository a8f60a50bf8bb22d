//! Learn a metric from the variances of draws in growing windows, as Stan does.

use super::shrinkage::{prior_variance, shrink};
use super::welford::{Covariance, Variance};
use super::windows::window_ends;
use crate::settings::check;
use crate::{Metric, SettingsError, numbers};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Draws that the prior's scales weigh as much as; Stan's 5.
const PRIOR_WEIGHT: f64 = 5.0;

/// The shape of a metric that warm-up learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricShape {
    /// No metric is learnt: M⁻¹ = I.
    Unit,
    /// One variance per coordinate.
    #[default]
    Diagonal,
    /// A full covariance matrix; dim² memory, and dim² work a step.
    Dense,
}

/// Settings of Stan's warm-up schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windowed {
    /// What is learnt.
    pub metric: MetricShape,
    /// Iterations before the first window; 75, Stan's.
    pub initial_buffer: usize,
    /// Length of the first window, which doubles; 25, Stan's.
    pub base_window: usize,
    /// Iterations after the last window; 50, Stan's.
    pub final_buffer: usize,
}

impl Default for Windowed {
    fn default() -> Self {
        Self { metric: MetricShape::Diagonal, initial_buffer: 75, base_window: 25, final_buffer: 50 }
    }
}

impl Windowed {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check(self.base_window >= 2, "base_window", &self.base_window, "at least 2")
    }
}

/// The estimator of a [`Windowed`] warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowedMetric {
    learning: Range<usize>,
    ends: Vec<usize>,
    #[serde(deserialize_with = "numbers::exact")]
    prior_variances: Vec<f64>,
    estimator: Estimator,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Estimator {
    Unit,
    Diagonal(Variance),
    Dense(Covariance),
}

impl WindowedMetric {
    /// Prepares for `warmup` iterations, with one prior scale per coordinate.
    #[must_use]
    pub fn new(settings: &Windowed, warmup: usize, prior_scales: &[f64]) -> Self {
        let dim = prior_scales.len();
        let (learning, ends) = window_ends(warmup, settings);
        let estimator = match settings.metric {
            MetricShape::Unit => Estimator::Unit,
            MetricShape::Diagonal => Estimator::Diagonal(Variance::new(dim)),
            MetricShape::Dense => Estimator::Dense(Covariance::new(dim)),
        };
        let prior_variances = prior_scales.iter().map(|s| prior_variance(*s)).collect();
        Self { learning, ends, prior_variances, estimator }
    }

    /// Learns from the position after warm-up iteration `iteration`; the new metric when a window ends.
    pub fn update(&mut self, iteration: usize, position: &[f64]) -> Option<Metric> {
        if !self.learning.contains(&iteration) {
            return None;
        }
        match &mut self.estimator {
            Estimator::Unit => return None,
            Estimator::Diagonal(variance) => variance.push(position),
            Estimator::Dense(covariance) => covariance.push(position),
        }
        if !self.ends.contains(&(iteration + 1)) {
            return None;
        }
        let metric = self.estimate();
        match &mut self.estimator {
            Estimator::Unit => {}
            Estimator::Diagonal(variance) => variance.reset(),
            Estimator::Dense(covariance) => covariance.reset(),
        }
        metric
    }

    /// The metric of the window so far. A coordinate that never moved has its prior variance.
    fn estimate(&self) -> Option<Metric> {
        let priors = &self.prior_variances;
        let shrunk = |variance: f64, count: usize, prior: f64| shrink(variance, count, prior, PRIOR_WEIGHT).unwrap_or(prior);
        match &self.estimator {
            Estimator::Unit => None,
            Estimator::Diagonal(estimator) => {
                let variance = |(i, prior): (usize, &f64)| shrunk(estimator.variance(i), estimator.count(), *prior);
                Metric::diagonal(priors.iter().enumerate().map(variance).collect()).ok()
            }
            Estimator::Dense(estimator) => {
                // Correlations are shrunk toward none and scales toward the prior's, which is always positive definite.
                let n = estimator.count() as f64;
                let covariance = estimator.covariance();
                let variance = |(i, prior): (usize, &f64)| shrunk(covariance[(i, i)], estimator.count(), *prior);
                let variances: Vec<f64> = priors.iter().enumerate().map(variance).collect();
                let mut matrix = covariance.clone();
                for i in 0..priors.len() {
                    for j in 0..priors.len() {
                        let scale = (covariance[(i, i)] * covariance[(j, j)]).sqrt();
                        let correlation = covariance[(i, j)] / scale * n / (n + PRIOR_WEIGHT);
                        let correlation = if i == j { 1.0 } else { correlation };
                        let correlation = if correlation.is_finite() { correlation } else { 0.0 };
                        matrix[(i, j)] = correlation * (variances[i] * variances[j]).sqrt();
                    }
                }
                Metric::dense(matrix).or_else(|_| Metric::diagonal(variances)).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    /// Feeds one window with draws of x₀ ~ N(0, 1e-4), x₁ = x₀ + N(0, 1e-4) noise, x₂ constant.
    fn learn(metric: MetricShape) -> Metric {
        let settings = Windowed { metric, initial_buffer: 0, base_window: 400, final_buffer: 0 };
        let mut estimator = WindowedMetric::new(&settings, 400, &[1.0, 1.0, 0.3]);
        let mut rng = stream(5, 0, Purpose::Test);
        let mut learnt = None;
        for iteration in 0..400 {
            let (a, b): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            learnt = estimator.update(iteration, &[1e-2 * a, 1e-2 * (a + b), 4.0]);
        }
        learnt.expect("the window ends with the last iteration")
    }

    #[test]
    fn variances_far_below_the_prior_are_not_held_at_a_floor() {
        // The relative standard error of a variance from 400 draws is 0.07; 0.35 is five of them. Stan's floor of 1e-3 · 5/405 would
        // leave 1.1e-4 here, and arithmetic shrinkage toward the prior 1.2e-2, a hundred times too much.
        for shape in [MetricShape::Diagonal, MetricShape::Dense] {
            let variances = learn(shape).inverse_mass_diagonal().unwrap();
            assert!((variances[0] / 1e-4 - 1.0).abs() < 0.35, "{variances:?}");
            assert!((variances[1] / 2e-4 - 1.0).abs() < 0.35, "{variances:?}");
            assert!((variances[2] - 0.09).abs() < 1e-12, "a coordinate that never moves has its prior variance");
        }
    }

    #[test]
    fn a_dense_metric_learns_correlations() {
        let metric = learn(MetricShape::Dense);
        let (mut from_first, mut from_second) = ([0.0; 3], [0.0; 3]);
        metric.velocity(&[1.0, 0.0, 0.0], &mut from_first);
        metric.velocity(&[0.0, 1.0, 0.0], &mut from_second);
        let correlation = from_first[1] / (from_first[0] * from_second[1]).sqrt();
        assert!((correlation - 0.5_f64.sqrt()).abs() < 0.15, "{correlation}");
    }

    #[test]
    fn fewer_draws_than_coordinates_still_make_a_dense_metric() {
        let settings = Windowed { metric: MetricShape::Dense, initial_buffer: 0, base_window: 20, final_buffer: 0 };
        let mut estimator = WindowedMetric::new(&settings, 20, &vec![1.0; 50]);
        let mut rng = stream(6, 0, Purpose::Test);
        let mut learnt = None;
        for iteration in 0..20 {
            let x: Vec<f64> = (0..50).map(|_| rng.sample(StandardNormal)).collect();
            learnt = estimator.update(iteration, &x);
        }
        assert!(learnt.unwrap().keeps_velocity());
    }
}
