//! Estimate variances and covariances draw by draw, without cancellation (Welford 1962).

use crate::numbers;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Running mean and variance of each coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    count: usize,
    #[serde(deserialize_with = "numbers::exact")]
    mean: Vec<f64>,
    #[serde(deserialize_with = "numbers::exact")]
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

/// The variance of one coordinate over the draws of several estimators together, with n − 1; NaN for fewer than two draws.
///
/// Sums of squares about each mean and the means' own distances add up to those about the common mean (Chan, Golub & LeVeque 1983), in
/// the order of the parts, so that chains that meet find the same variance for any number of threads.
///
/// ```
/// use ergodic_sampler::{Variance, pooled_variance};
/// let (mut one, mut two) = (Variance::new(1), Variance::new(1));
/// [1.0, 2.0].iter().for_each(|x| one.push(&[*x]));
/// [5.0, 8.0].iter().for_each(|x| two.push(&[*x]));
/// assert_eq!(pooled_variance([&one, &two].into_iter(), 0), 10.0);
/// ```
///
/// # Panics
/// When there is no such coordinate.
pub fn pooled_variance<'a>(parts: impl Iterator<Item = &'a Variance>, coordinate: usize) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for part in parts.filter(|part| part.count > 0) {
        let n = part.count as f64;
        let distance = part.mean[coordinate] - mean;
        let total = count + n;
        squares += part.squares[coordinate] + distance * distance * count * n / total;
        mean += distance * n / total;
        count = total;
    }
    if count < 2.0 { f64::NAN } else { squares / (count - 1.0) }
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
    fn variances_of_parts_are_those_of_all_draws_together() {
        let draws: Vec<f64> = (0..30).map(|i| 1e6 + f64::from(i * i % 17)).collect();
        let of = |draws: &[f64]| {
            let mut variance = Variance::new(1);
            draws.iter().for_each(|x| variance.push(&[*x]));
            variance
        };
        let parts = [of(&draws[..1]), of(&[]), of(&draws[1..12]), of(&draws[12..])];
        assert!((pooled_variance(parts.iter(), 0) - of(&draws).variance(0)).abs() < 1e-9);
        assert!(pooled_variance(parts[..2].iter(), 0).is_nan());
    }

    #[test]
    fn one_draw_has_no_variance() {
        let mut variance = Variance::new(1);
        variance.push(&[3.0]);
        assert!(variance.variance(0).is_nan());
    }
}
