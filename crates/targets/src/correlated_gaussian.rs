//! Define the normal distribution with a given covariance, or with a given condition number along random axes.

use crate::lower_triangle::LowerTriangle;
use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_model::{ChainRng, EvaluationError, LogDensity, Purpose, stream};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;

/// x ~ N(mean, Σ) with a dense covariance Σ; normalised.
///
/// log p(x) = −½ (x − mean)ᵀΣ⁻¹(x − mean) − ½ log det 2πΣ. One evaluation takes dim² multiplications and allocates nothing.
///
/// ```
/// use ergodic_targets::{CorrelatedGaussian, KnownMoments};
/// use nalgebra::DMatrix;
/// let covariance = DMatrix::from_row_slice(2, 2, &[1.0, 0.9, 0.9, 2.0]);
/// let target = CorrelatedGaussian::new(vec![0.0, 1.0], &covariance)?;
/// assert_eq!(target.variance(), Some(vec![1.0, 2.0]));
/// # Ok::<(), ergodic_targets::TargetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CorrelatedGaussian {
    mean: Vec<f64>,
    covariance: DMatrix<f64>,
    factor: LowerTriangle,
    log_normaliser: f64,
}

impl CorrelatedGaussian {
    /// The distribution with this mean and covariance (dim × dim).
    ///
    /// # Errors
    /// When the shapes differ, a mean is not finite, or the covariance is not symmetric and positive definite.
    pub fn new(mean: Vec<f64>, covariance: &DMatrix<f64>) -> Result<Self, TargetError> {
        TargetError::require_length("the mean", mean.len(), covariance.nrows())?;
        mean.iter().try_for_each(|&value| TargetError::require_finite("a mean", value))?;
        let factor = LowerTriangle::factor(covariance, "the covariance")?;
        let log_normaliser = -factor.log_determinant() - 0.5 * mean.len() as f64 * LOG_TWO_PI;
        Ok(Self { mean, covariance: covariance.clone(), factor, log_normaliser })
    }

    /// Mean 0 and variances from 1 to `condition`, evenly spaced in their logarithm, along axes rotated at random under `seed`.
    ///
    /// # Errors
    /// When `dim` is 0, or `condition` is below 1 or not finite.
    pub fn ill_conditioned(dim: usize, condition: f64, seed: u64) -> Result<Self, TargetError> {
        if !(condition >= 1.0 && condition.is_finite()) {
            return Err(TargetError::Setting {
                setting: "the condition number",
                value: condition,
                range: "at least 1 and finite",
            });
        }
        let axes = random_axes(dim, seed);
        let spread = |k: usize| condition.powf(k as f64 / dim.saturating_sub(1).max(1) as f64);
        let covariance =
            DMatrix::from_fn(dim, dim, |i, j| axes.iter().enumerate().map(|(k, axis)| spread(k) * axis[i] * axis[j]).sum());
        Self::new(vec![0.0; dim], &covariance)
    }

    /// The covariance (dim × dim).
    #[must_use]
    pub fn covariance(&self) -> &DMatrix<f64> {
        &self.covariance
    }
}

/// Orthonormal vectors, uniform over rotations: Gram–Schmidt on normal vectors, each orthogonalised twice for accuracy.
fn random_axes(dim: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, 0, Purpose::Test);
    let mut axes: Vec<Vec<f64>> = Vec::with_capacity(dim);
    for _ in 0..dim {
        let mut axis: Vec<f64> = (0..dim).map(|_| rng.sample(StandardNormal)).collect();
        for _ in 0..2 {
            for other in &axes {
                let overlap: f64 = axis.iter().zip(other).map(|(a, b)| a * b).sum();
                axis.iter_mut().zip(other).for_each(|(a, b)| *a -= overlap * b);
            }
        }
        let length = axis.iter().map(|a| a * a).sum::<f64>().sqrt();
        axis.iter_mut().for_each(|a| *a /= length);
        axes.push(axis);
    }
    axes
}

impl LogDensity for CorrelatedGaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        for ((g, x), mean) in gradient.iter_mut().zip(position).zip(&self.mean) {
            *g = mean - x;
        }
        self.factor.solve(gradient);
        let square: f64 = gradient.iter().map(|z| z * z).sum();
        self.factor.solve_transposed(gradient);
        Ok(self.log_normaliser - 0.5 * square)
    }
}

impl KnownMoments for CorrelatedGaussian {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(self.mean.clone())
    }

    fn variance(&self) -> Option<Vec<f64>> {
        Some((0..self.mean.len()).map(|i| self.covariance[(i, i)]).collect())
    }
}

impl ExactDraws for CorrelatedGaussian {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        position.fill_with(|| rng.sample(StandardNormal));
        self.factor.multiply(position);
        for (x, mean) in position.iter_mut().zip(&self.mean) {
            *x += mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_number_is_as_asked() {
        let target = CorrelatedGaussian::ill_conditioned(12, 1e4, 3).expect("valid settings");
        let values = target.covariance().clone().symmetric_eigen().eigenvalues;
        assert!((values.min() - 1.0).abs() < 1e-9 && (values.max() / 1e4 - 1.0).abs() < 1e-9);
        // Rotated, not merely scaled: every coordinate mixes several axes.
        assert!((0..12).all(|i| (0..12).any(|j| i != j && target.covariance()[(i, j)].abs() > 1.0)));
    }

    #[test]
    fn refuses_bad_settings() {
        assert!(CorrelatedGaussian::ill_conditioned(3, 0.5, 1).is_err());
        assert!(CorrelatedGaussian::ill_conditioned(0, 2.0, 1).is_err());
        assert!(CorrelatedGaussian::new(vec![0.0], &DMatrix::identity(2, 2)).is_err());
    }
}
