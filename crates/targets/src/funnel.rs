//! Define Neal's funnel, whose neck no single step size fits.

use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// v ~ N(0, scale²), xᵢ | v ~ N(0, eᵛ); normalised. The first coordinate is v.
///
/// Neal (2003), 'Slice sampling', section 8, with scale 3 and nine xᵢ.
#[derive(Debug, Clone)]
pub struct Funnel {
    dim: usize,
    scale: f64,
}

impl Funnel {
    /// The funnel with `dim` coordinates in all; `scale` is the standard deviation of v.
    ///
    /// # Errors
    /// When `dim` is below 2 or `scale` is not positive.
    pub fn new(dim: usize, scale: f64) -> Result<Self, TargetError> {
        if dim < 2 {
            return Err(TargetError::Setting { setting: "the funnel's dimension", value: dim as f64, range: "at least 2" });
        }
        TargetError::require_positive("the funnel's scale", scale)?;
        Ok(Self { dim, scale })
    }
}

impl LogDensity for Funnel {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let (v, x) = (position[0], &position[1..]);
        let precision = (-v).exp();
        let z = v / self.scale;
        let count = x.len() as f64;
        let square = precision * x.iter().map(|x| x * x).sum::<f64>();
        gradient[0] = -z / self.scale - 0.5 * count + 0.5 * square;
        for (g, x) in gradient[1..].iter_mut().zip(x) {
            *g = -precision * x;
        }
        Ok(-0.5 * z * z - self.scale.ln() - 0.5 * count * v - 0.5 * square - 0.5 * (count + 1.0) * LOG_TWO_PI)
    }
}

impl KnownMoments for Funnel {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; self.dim])
    }

    /// scale² for v, E eᵛ = e^(scale²/2) for each xᵢ.
    fn variance(&self) -> Option<Vec<f64>> {
        let square = self.scale * self.scale;
        let mut variance = vec![(0.5 * square).exp(); self.dim];
        variance[0] = square;
        Some(variance)
    }
}

impl ExactDraws for Funnel {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        let v = self.scale * rng.sample::<f64, _>(StandardNormal);
        let sd = (0.5 * v).exp();
        position.fill_with(|| sd * rng.sample::<f64, _>(StandardNormal));
        position[0] = v;
    }
}
