//! Estimate variances and covariances draw by draw, without cancellation (Welford 1962).

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Running mean and variance of each coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    count: usize,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Variance {
    /// No draw yet, of `dim` coordinates.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dim], squares: vec![0.0; dim] }
    }

    /// Forgets all draws.
    pub fn reset(&mut self) {
        self.count = 0;
        self.mean.fill(0.0);
        self.squares.fill(0.0);
    }

    /// Learns from one draw.
    pub fn push(&mut self, x: &[f64]) {
        self.count += 1;
        let share = 1.0 / self.count as f64;
        for ((mean, squares), x) in self.mean.iter_mut().zip(&mut self.squares).zip(x) {
            let before = x - *mean;
            *mean += share * before;
            *squares += before * (x - *mean);
        }
    }

    /// Number of draws.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The variance of one coordinate, with n − 1; NaN for fewer than two draws.
    ///
    /// # Panics
    /// When there is no such coordinate.
    #[must_use]
    pub fn variance(&self, coordinate: usize) -> f64 {
        if self.count < 2 { f64::NAN } else { self.squares[coordinate] / (self.count - 1) as f64 }
    }
}

/// Running mean and covariance matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Covariance {
    count: usize,
    mean: Vec<f64>,
    /// Sums of products, the full dim × dim matrix, of which the lower triangle is kept up to date.
    products: Vec<f64>,
    before: Vec<f64>,
}

impl Covariance {
    /// No draw yet, of `dim` coordinates.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dim], products: vec![0.0; dim * dim], before: vec![0.0; dim] }
    }

    /// Forgets all draws.
    pub fn reset(&mut self) {
        self.count = 0;
        self.mean.fill(0.0);
        self.products.fill(0.0);
    }

    /// Learns from one draw.
    pub fn push(&mut self, x: &[f64]) {
        self.count += 1;
        let dim = self.mean.len();
        let share = 1.0 / self.count as f64;
        for ((mean, before), x) in self.mean.iter_mut().zip(&mut self.before).zip(x) {
            *before = x - *mean;
            *mean += share * *before;
        }
        for (i, (x, mean)) in x.iter().zip(&self.mean).enumerate() {
            let after = x - mean;
            let row = &mut self.products[i * dim..][..=i];
            for (product, before) in row.iter_mut().zip(&self.before) {
                *product += after * before;
            }
        }
    }

    /// Number of draws.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The covariance matrix, with n − 1; NaN for fewer than two draws.
    #[must_use]
    pub fn covariance(&self) -> DMatrix<f64> {
        let dim = self.mean.len();
        let divisor = if self.count < 2 { f64::NAN } else { (self.count - 1) as f64 };
        DMatrix::from_fn(dim, dim, |i, j| self.products[i.max(j) * dim + i.min(j)] / divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_estimates_equal_two_passes_far_from_zero() {
        let draws: Vec<[f64; 2]> = (0..50).map(|i| [1e8 + f64::from(i % 7), f64::from(i * i % 11)]).collect();
        let (mut variance, mut covariance) = (Variance::new(2), Covariance::new(2));
        for draw in &draws {
            variance.push(draw);
            covariance.push(draw);
        }
        let mean = |k: usize| draws.iter().map(|d| d[k] - draws[0][k]).sum::<f64>() / 50.0;
        let expected = |j: usize, k: usize| {
            let term = |d: &[f64; 2]| (d[j] - draws[0][j] - mean(j)) * (d[k] - draws[0][k] - mean(k));
            draws.iter().map(term).sum::<f64>() / 49.0
        };
        let matrix = covariance.covariance();
        for j in 0..2 {
            assert!((variance.variance(j) - expected(j, j)).abs() < 1e-6);
            for k in 0..2 {
                assert!((matrix[(j, k)] - expected(j, k)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn one_draw_has_no_variance() {
        let mut variance = Variance::new(1);
        variance.push(&[3.0]);
        assert!(variance.variance(0).is_nan());
    }
}
