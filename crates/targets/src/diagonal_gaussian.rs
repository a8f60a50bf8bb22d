//! Define the normal distribution with independent coordinates.

use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// xᵢ ~ N(meanᵢ, sdᵢ²), independent; normalised.
///
/// ```
/// use ergodic_model::LogDensity;
/// let mut normal = ergodic_targets::DiagonalGaussian::new(vec![1.0], vec![2.0])?;
/// let mut gradient = [0.0];
/// normal.log_density_and_gradient(&[3.0], &mut gradient)?;
/// assert_eq!(gradient, [-0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DiagonalGaussian {
    mean: Vec<f64>,
    sd: Vec<f64>,
    log_normaliser: f64,
}

impl DiagonalGaussian {
    /// The distribution with these means and standard deviations.
    ///
    /// # Errors
    /// When the lengths differ or are 0, a mean is not finite, or a standard deviation is not positive.
    pub fn new(mean: Vec<f64>, sd: Vec<f64>) -> Result<Self, TargetError> {
        TargetError::require_length("the standard deviation", sd.len(), mean.len())?;
        mean.iter().try_for_each(|&value| TargetError::require_finite("a mean", value))?;
        sd.iter().try_for_each(|&value| TargetError::require_positive("a standard deviation", value))?;
        let log_normaliser = -sd.iter().map(|sd| sd.ln() + 0.5 * LOG_TWO_PI).sum::<f64>();
        Ok(Self { mean, sd, log_normaliser })
    }

    /// `dim` coordinates of mean 0 and standard deviation 1.
    ///
    /// # Errors
    /// When `dim` is 0.
    pub fn standard(dim: usize) -> Result<Self, TargetError> {
        Self::new(vec![0.0; dim], vec![1.0; dim])
    }
}

impl LogDensity for DiagonalGaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let mut sum = 0.0;
        for (((g, x), mean), sd) in gradient.iter_mut().zip(position).zip(&self.mean).zip(&self.sd) {
            let z = (x - mean) / sd;
            *g = -z / sd;
            sum += z * z;
        }
        Ok(self.log_normaliser - 0.5 * sum)
    }
}

impl KnownMoments for DiagonalGaussian {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(self.mean.clone())
    }

    fn variance(&self) -> Option<Vec<f64>> {
        Some(self.sd.iter().map(|sd| sd * sd).collect())
    }
}

impl ExactDraws for DiagonalGaussian {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        for ((x, mean), sd) in position.iter_mut().zip(&self.mean).zip(&self.sd) {
            *x = mean + sd * rng.sample::<f64, _>(StandardNormal);
        }
    }
}
