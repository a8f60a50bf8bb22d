//! Learn a few directions in which a posterior is stretched, from draws and gradients in bounded memory (arXiv 2603.18845).
//!
//! In coordinates scaled by σ, with draws X and gradients G centred, the covariance Σ whose normal fits the scores best solves
//! Σ C_g Σ = C_x for the second moments C_x = XXᵀ/n and C_g = GGᵀ/n: the geometric mean of C_x and C_g⁻¹. For a normal posterior that is
//! its covariance, exactly, however the draws lie, once they span the space. Here it is taken in the span of the last draws and gradients,
//! and what is left out of it keeps the scale 1. Only products of these few vectors with each other are needed, so that all algebra but
//! two passes over the coordinates is small.

use crate::SettingsError;
use crate::metric::directions::{furthest_from_one, orthonormalise, symmetric_eigen};
use crate::settings::check;
use crate::vector::{Equal, add_scaled, dot};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Draws from one estimate to the next.
const INTERVAL: usize = 20;
/// Draws and gradients a direction of the metric.
const DRAWS_PER_DIRECTION: usize = 2;
/// Second moments along a direction below which draws and gradients say nothing of it, in scaled coordinates: what both are raised by.
const FLOOR: f64 = 1e-5;
/// Squared lengths of a direction in the span, relative to the largest, that are rounding.
const ROUNDING: f64 = 1e-13;
/// Coordinates that are worked on at a time.
const CHUNK: usize = 512;

/// Settings of a metric that is diagonal but for a few directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LowRankMetric {
    /// Most directions k; 32 by default. The last 2k draws and gradients are kept during warm-up: 4k numbers a coordinate.
    pub max_rank: usize,
    /// Directions whose variance is within this factor of what the diagonal says are left to the diagonal; 2 by default, nutpie's.
    pub cutoff: f64,
}

impl Default for LowRankMetric {
    fn default() -> Self {
        Self { max_rank: 32, cutoff: 2.0 }
    }
}

impl LowRankMetric {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check(self.max_rank >= 1, "max_rank", &self.max_rank, "at least 1")?;
        check(self.cutoff > 1.0 && self.cutoff.is_finite(), "cutoff", &self.cutoff, "above 1 and finite")
    }
}

/// The last draws and gradients of a chain, and what they say of stretched directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LowRankEstimator {
    settings: LowRankMetric,
    dim: usize,
    /// One row a draw, and its gradient; once full, the oldest is overwritten.
    positions: Vec<f64>,
    gradients: Vec<f64>,
    oldest: usize,
    since_estimate: usize,
}

/// Orthonormal directions, one after the other, and the variance along each in scaled coordinates.
pub(super) type Directions = (Vec<f64>, Vec<f64>);

impl LowRankEstimator {
    pub(super) fn new(settings: &LowRankMetric, dim: usize) -> Self {
        let (positions, gradients) = (Vec::new(), Vec::new());
        Self { settings: settings.clone(), dim, positions, gradients, oldest: 0, since_estimate: 0 }
    }

    /// Whether enough draws are new to make another estimate worth its cost.
    pub(super) fn is_due(&self) -> bool {
        self.since_estimate >= INTERVAL
    }

    /// Keeps a draw, in the place of the oldest when there is no more room.
    pub(super) fn push(&mut self, position: &[f64], gradient: &[f64]) {
        self.since_estimate += 1;
        let capacity = DRAWS_PER_DIRECTION * self.settings.max_rank;
        if self.len() < capacity {
            self.positions.extend_from_slice(position);
            self.gradients.extend_from_slice(gradient);
            return;
        }
        let row = self.oldest * self.dim..(self.oldest + 1) * self.dim;
        self.positions[row.clone()].copy_from_slice(position);
        self.gradients[row].copy_from_slice(gradient);
        self.oldest = (self.oldest + 1) % capacity;
    }

    fn len(&self) -> usize {
        self.positions.len().checked_div(self.dim).unwrap_or(0)
    }

    /// The directions that the last `recent` draws tell, with `scales` σ of the coordinates; none where they tell nothing.
    pub(super) fn estimate(&mut self, scales: &[f64], recent: usize) -> Directions {
        self.since_estimate = 0;
        self.stretched(scales, recent).unwrap_or_default()
    }

    fn stretched(&self, scales: &[f64], recent: usize) -> Option<Directions> {
        let (stored, draws) = (self.len(), recent.min(self.len()));
        let rows: Vec<usize> = (stored - draws..stored).map(|age| (self.oldest + age) % stored).collect();
        let count = 2 * draws;
        // Products of the rows of B: draws, then gradients, scaled and centred.
        let mut products = DMatrix::zeros(count, count);
        self.for_each_chunk(&rows, scales, |_, chunk, width| {
            for i in 0..count {
                for j in 0..=i {
                    products[(i, j)] += dot(Equal, &chunk[i * width..][..width], &chunk[j * width..][..width]);
                }
            }
        });
        products.fill_upper_triangle_with_lower_triangle();

        // With BBᵀ = VLVᵀ, the rows of L^−½Vᵀ B are an orthonormal basis Q of the span, and BQᵀ = VL^½ are draws and gradients in it.
        let span = symmetric_eigen(products)?;
        let largest = span.eigenvalues.max();
        let kept: Vec<usize> = (0..count).filter(|i| span.eigenvalues[*i] > ROUNDING * largest).collect();
        if kept.is_empty() {
            return None;
        }
        let length = |axis: usize| span.eigenvalues[kept[axis]].sqrt();
        let moments = |first: usize| {
            let within =
                DMatrix::from_fn(draws, kept.len(), |i, axis| span.eigenvectors[(first + i, kept[axis])] * length(axis));
            within.tr_mul(&within) / draws as f64
        };
        let covariance = geometric_mean(moments(0), moments(draws))?;
        let eigen = symmetric_eigen(covariance)?;
        let chosen = furthest_from_one(eigen.eigenvalues.as_slice(), self.settings.cutoff, self.settings.max_rank);

        let mut directions = vec![0.0; chosen.len() * self.dim];
        let shares = DMatrix::from_fn(chosen.len(), count, |direction, row| {
            let along = |axis: usize| eigen.eigenvectors[(axis, chosen[direction])] / length(axis);
            (0..kept.len()).map(|axis| along(axis) * span.eigenvectors[(row, kept[axis])]).sum::<f64>()
        });
        self.for_each_chunk(&rows, scales, |begin, chunk, width| {
            for number in 0..chosen.len() {
                let direction = &mut directions[number * self.dim + begin..][..width];
                for row in 0..count {
                    add_scaled(direction, shares[(number, row)], &chunk[row * width..][..width]);
                }
            }
        });
        let left = orthonormalise(&mut directions, self.dim);
        Some((directions, left.into_iter().map(|number| eigen.eigenvalues[chosen[number]]).collect()))
    }

    /// Calls `work` with stretches of coordinates: where it begins, all draws and then all gradients there, scaled and centred, one row
    /// after the other, and its width.
    fn for_each_chunk(&self, rows: &[usize], scales: &[f64], mut work: impl FnMut(usize, &[f64], usize)) {
        let mut chunk = vec![0.0; 2 * rows.len() * CHUNK.min(self.dim)];
        for begin in (0..self.dim).step_by(CHUNK) {
            let width = CHUNK.min(self.dim - begin);
            let scales = &scales[begin..][..width];
            let (draws, gradients) = chunk[..2 * rows.len() * width].split_at_mut(rows.len() * width);
            for (out, from, is_gradient) in [(draws, &self.positions, false), (gradients, &self.gradients, true)] {
                let mut mean = vec![0.0; width];
                for row in rows {
                    add_scaled(&mut mean, 1.0 / rows.len() as f64, &from[row * self.dim + begin..][..width]);
                }
                for (out, row) in out.chunks_exact_mut(width).zip(rows) {
                    let values = &from[row * self.dim + begin..][..width];
                    for (((out, x), mean), scale) in out.iter_mut().zip(values).zip(&mean).zip(scales) {
                        *out = (x - mean) * if is_gradient { *scale } else { 1.0 / scale };
                    }
                }
            }
            work(begin, &chunk[..2 * rows.len() * width], width);
        }
    }
}

/// The geometric mean of `a` and the inverse of `b`, the symmetric positive definite Σ with Σ`b`Σ = `a`, after both are raised by a
/// floor: Σ = b^−½ (b^½ a b^½)^½ b^−½. `None` when a number is not finite.
fn geometric_mean(a: DMatrix<f64>, b: DMatrix<f64>) -> Option<DMatrix<f64>> {
    let raised = |matrix: DMatrix<f64>| {
        let floor = DMatrix::from_diagonal_element(matrix.nrows(), matrix.ncols(), FLOOR);
        matrix + floor
    };
    let (root, inverse_root) = roots(raised(b))?;
    let middle = symmetric(&(&root * raised(a) * &root));
    let (middle_root, _) = roots(middle)?;
    Some(symmetric(&(&inverse_root * middle_root * &inverse_root)))
}

/// The square root of a positive semi-definite matrix, and that root's inverse. Rounding makes small eigenvalues negative, which count as
/// rounding above zero.
fn roots(matrix: DMatrix<f64>) -> Option<(DMatrix<f64>, DMatrix<f64>)> {
    let eigen = symmetric_eigen(matrix)?;
    let least = f64::EPSILON * eigen.eigenvalues.max().max(f64::MIN_POSITIVE);
    let values: Vec<f64> = eigen.eigenvalues.iter().map(|value| value.max(least).sqrt()).collect();
    let with = |f: &dyn Fn(f64) -> f64| {
        let scaled = DMatrix::from_fn(values.len(), values.len(), |i, j| eigen.eigenvectors[(i, j)] * f(values[j]));
        symmetric(&(scaled * eigen.eigenvectors.transpose()))
    };
    Some((with(&|value| value), with(&|value| 1.0 / value)))
}

fn symmetric(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    (matrix + matrix.transpose()) * 0.5
}

#[cfg(test)]
#[path = "low_rank_metric_tests.rs"]
mod tests;
