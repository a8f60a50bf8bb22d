//! Define a mixture of normal distributions, with one mode or several.

use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// p(x) = Σₖ weightₖ N(x; meanₖ, sdₖ² I); normalised.
///
/// ```
/// use ergodic_targets::{GaussianMixture, KnownMoments};
/// let mixture = GaussianMixture::new(&[3.0, 1.0], vec![vec![0.0], vec![4.0]], vec![1.0, 1.0])?;
/// assert_eq!(mixture.mean(), Some(vec![1.0]));
/// assert_eq!(mixture.variance(), Some(vec![4.0]));
/// # Ok::<(), ergodic_targets::TargetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianMixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    sds: Vec<f64>,
    log_terms: Vec<f64>,
}

impl GaussianMixture {
    /// The mixture with these weights (scaled to sum to 1), means and standard deviations, one per component.
    ///
    /// # Errors
    /// When the numbers of components differ, means differ in length, a weight or standard deviation is not positive, or a mean is
    /// not finite.
    pub fn new(weights: &[f64], means: Vec<Vec<f64>>, sds: Vec<f64>) -> Result<Self, TargetError> {
        TargetError::require_length("the list of means", means.len(), weights.len())?;
        TargetError::require_length("the list of standard deviations", sds.len(), weights.len())?;
        let dim = means[0].len();
        for ((weight, sd), mean) in weights.iter().zip(&sds).zip(&means) {
            TargetError::require_positive("a weight", *weight)?;
            TargetError::require_positive("a standard deviation", *sd)?;
            TargetError::require_length("a component's mean", mean.len(), dim)?;
            mean.iter().try_for_each(|&value| TargetError::require_finite("a mean", value))?;
        }
        let total: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        let log_terms = vec![0.0; weights.len()];
        Ok(Self { weights, means, sds, log_terms })
    }
}

impl LogDensity for GaussianMixture {
    fn dim(&self) -> usize {
        self.means[0].len()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let dim = self.dim() as f64;
        for (((term, weight), mean), sd) in self.log_terms.iter_mut().zip(&self.weights).zip(&self.means).zip(&self.sds) {
            let square: f64 = position.iter().zip(mean).map(|(x, mean)| ((x - mean) / sd).powi(2)).sum();
            *term = weight.ln() - 0.5 * square - dim * (sd.ln() + 0.5 * LOG_TWO_PI);
        }
        let largest = self.log_terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = self.log_terms.iter().map(|term| (term - largest).exp()).sum();
        gradient.fill(0.0);
        for ((term, mean), sd) in self.log_terms.iter().zip(&self.means).zip(&self.sds) {
            let responsibility = (term - largest).exp() / total;
            for ((g, x), mean) in gradient.iter_mut().zip(position).zip(mean) {
                *g -= responsibility * (x - mean) / (sd * sd);
            }
        }
        Ok(largest + total.ln())
    }
}

impl KnownMoments for GaussianMixture {
    fn mean(&self) -> Option<Vec<f64>> {
        let mut mean = vec![0.0; self.dim()];
        for (weight, component) in self.weights.iter().zip(&self.means) {
            mean.iter_mut().zip(component).for_each(|(m, c)| *m += weight * c);
        }
        Some(mean)
    }

    fn variance(&self) -> Option<Vec<f64>> {
        let mean = self.mean()?;
        let mut variance = vec![0.0; mean.len()];
        for ((weight, component), sd) in self.weights.iter().zip(&self.means).zip(&self.sds) {
            for ((v, c), m) in variance.iter_mut().zip(component).zip(&mean) {
                *v += weight * (sd * sd + (c - m) * (c - m));
            }
        }
        Some(variance)
    }
}

impl ExactDraws for GaussianMixture {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let uniform: f64 = rng.random();
        let mut cumulative = 0.0;
        let mut component = self.weights.len() - 1;
        for (k, weight) in self.weights.iter().enumerate() {
            cumulative += weight;
            if uniform < cumulative {
                component = k;
                break;
            }
        }
        let sd = self.sds[component];
        for (x, mean) in position.iter_mut().zip(&self.means[component]) {
            *x = mean + sd * rng.sample::<f64, _>(StandardNormal);
        }
    }
}
