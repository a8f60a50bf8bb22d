//! Compute central differences of a log density with steps that suit each coordinate.

use super::{Finding, TOLERANCE};
use crate::{ChainRng, LogDensity};
use rand_distr::{Distribution, StandardNormal};

/// Steps relative to a coordinate's scale. The first sees least of the log density's rounding noise; finer ones follow where it does not
/// agree with the gradient, for coordinates with a much smaller scale than their prior's, and for kinks.
const STEPS: [f64; 5] = [5e-3, 2e-4, 6e-6, 3e-7, 2e-8];

/// The finest step that is joined with one twice as long, so that errors of second order cancel.
const FINEST_FOURTH_ORDER: f64 = 2e-4;

/// The step, near the optimum ε^⅓ of a central difference, below which noise counts no more: finer steps have to agree as well as it.
const FINEST_NOISE: f64 = 6e-6;

/// Share of the largest change of the log density below which a coordinate's change counts as this share.
const NEGLIGIBLE: f64 = 1e-5;

/// Spacing, relative to the scales, of the points from which rounding noise is measured.
const NOISE_STEP: f64 = 1e-7;

/// Evaluates one log density around one position.
pub(super) struct Differences<'a> {
    density: Box<dyn LogDensity + Send + 'a>,
    scales: Vec<f64>,
    scratch: Vec<f64>,
}

/// The gradient and the differences at one position.
pub(super) struct Comparison {
    pub(super) log_density: f64,
    pub(super) pairs: Vec<Pair>,
    /// The gradient in all coordinates, from a buffer that was filled with 0.
    pub(super) gradient: Vec<f64>,
    /// The gradient from a buffer that was filled with 1.
    pub(super) gradient_over_ones: Vec<f64>,
    /// The log density of the second call at the same position.
    pub(super) second_log_density: f64,
}

/// A gradient's entry and the difference that agrees with it best.
pub(super) struct Pair {
    pub(super) coordinate: usize,
    pub(super) gradient: f64,
    pub(super) difference: f64,
    pub(super) error: f64,
    /// Rounding noise of the difference.
    pub(super) noise: f64,
}

impl<'a> Differences<'a> {
    pub(super) fn new(density: Box<dyn LogDensity + Send + 'a>, mut scales: Vec<f64>) -> Self {
        for scale in &mut scales {
            // A prior without a scale, or a very wide one, says nothing about the step.
            *scale = if scale.is_finite() && *scale > 0.0 { scale.clamp(1e-8, 1.0) } else { 1.0 };
        }
        let scratch = vec![0.0; density.dim()];
        Self { density, scales, scratch }
    }

    pub(super) fn dim(&self) -> usize {
        self.density.dim()
    }

    pub(super) fn value(&mut self, position: &[f64]) -> Result<f64, Finding> {
        self.scratch.fill(0.0);
        let result = self.density.log_density_and_gradient(position, &mut self.scratch);
        result.map_err(|error| Finding::NotEvaluated { message: error.to_string() })
    }

    pub(super) fn compare(
        &mut self,
        position: &[f64],
        coordinates: &[usize],
        rng: &mut ChainRng,
    ) -> Result<Comparison, Finding> {
        let log_density = self.value(position)?;
        let gradient = self.scratch.clone();
        let mut gradient_over_ones = vec![1.0; position.len()];
        let second = self.density.log_density_and_gradient(position, &mut gradient_over_ones);
        let second_log_density = second.map_err(|error| Finding::NotEvaluated { message: error.to_string() })?;
        if !log_density.is_finite() {
            return Err(Finding::OutsideSupport { log_density });
        }
        let noise = self.rounding_noise(position, log_density, rng)?;
        let scales: Vec<f64> = position.iter().zip(&self.scales).map(|(x, scale)| x.abs().max(*scale)).collect();
        // The most that the log density changes over the scale of one coordinate.
        let change = |(g, scale): (&f64, &f64)| if g.is_finite() { (g * scale).abs() } else { 0.0 };
        let largest = gradient.iter().zip(&scales).map(change).fold(0.0, f64::max);
        let mut moved = position.to_vec();
        let mut pairs = Vec::with_capacity(coordinates.len());
        for &coordinate in coordinates {
            let g = gradient[coordinate];
            let scale = scales[coordinate];
            // Entries that hardly matter beside others cannot be told to the same relative precision.
            let least = NEGLIGIBLE * largest / scale;
            let mut best = Pair { coordinate, gradient: g, difference: f64::NAN, error: f64::INFINITY, noise: 0.0 };
            let mut tried: Option<f64> = None;
            let mut steadiest = (f64::INFINITY, f64::NAN);
            for step in STEPS {
                // A step whose noise is as large as what it should explain cannot excuse the gradient.
                let noise = 4.0 * noise / (step.max(FINEST_NOISE) * scale);
                let unexplained = (g - best.difference).abs();
                if !g.is_finite() || best.error <= TOLERANCE || unexplained <= 2.0 * noise {
                    break;
                }
                let mut difference = self.difference(&mut moved, coordinate, step * scale)?;
                if step >= FINEST_FOURTH_ORDER {
                    difference = (4.0 * difference - self.difference(&mut moved, coordinate, 2.0 * step * scale)?) / 3.0;
                }
                if !difference.is_finite() {
                    continue;
                }
                let change = tried.map_or(f64::INFINITY, |last| (difference - last).abs());
                if change < steadiest.0 {
                    steadiest = (change, difference);
                }
                tried = Some(difference);
                let size = g.abs().max(difference.abs()).max(least);
                let excess = ((g - difference).abs() - noise).max(0.0);
                let error = if excess == 0.0 { 0.0 } else { excess / size };
                if error < best.error || best.difference.is_nan() {
                    best = Pair { difference, error, noise, ..best };
                }
            }
            // Of a gradient that no step agrees with, the difference that changes least from step to step tells most.
            if best.error > TOLERANCE && steadiest.1.is_finite() && g.is_finite() {
                let difference = steadiest.1;
                best.difference = difference;
                best.error = best.error.max((g - difference).abs() / g.abs().max(difference.abs()).max(least));
            }
            pairs.push(best);
        }
        Ok(Comparison { log_density, pairs, gradient, gradient_over_ones, second_log_density })
    }

    fn difference(&mut self, position: &mut [f64], coordinate: usize, step: f64) -> Result<f64, Finding> {
        let x = position[coordinate];
        let (above, below) = (x + step, x - step);
        position[coordinate] = above;
        let value_above = self.value(position)?;
        position[coordinate] = below;
        let value_below = self.value(position)?;
        position[coordinate] = x;
        // What was added after rounding, not what was meant to be added.
        Ok((value_above - value_below) / (above - below))
    }

    /// The standard deviation of the log density's rounding errors: fourth differences at a spacing so small that nothing else is left.
    fn rounding_noise(&mut self, position: &[f64], log_density: f64, rng: &mut ChainRng) -> Result<f64, Finding> {
        const COEFFICIENTS: [f64; 5] = [1.0, -4.0, 6.0, -4.0, 1.0];
        let mut estimates = [0.0; 5];
        let mut moved = vec![0.0; position.len()];
        for estimate in &mut estimates {
            let normal = |scale: &f64| -> f64 { scale * Distribution::<f64>::sample(&StandardNormal, rng) };
            let direction: Vec<f64> = self.scales.iter().map(normal).collect();
            let mut sum = 0.0;
            for (index, coefficient) in COEFFICIENTS.iter().enumerate() {
                let shift = (index as f64 - 2.0) * NOISE_STEP;
                for ((to, x), d) in moved.iter_mut().zip(position).zip(&direction) {
                    *to = x + shift * d;
                }
                sum += coefficient * self.value(&moved)?;
            }
            // 70 is the sum of the squared coefficients.
            *estimate = if sum.is_finite() { sum.abs() / 70.0_f64.sqrt() } else { 0.0 };
        }
        estimates.sort_by(f64::total_cmp);
        Ok(estimates[2].max(4.0 * f64::EPSILON * log_density.abs()))
    }
}
