//! Count gradient evaluations, the fair axis of every comparison.

use ergodic_model::{EvaluationError, LogDensity};

/// A log density that counts how often it was evaluated.
#[derive(Debug, Clone)]
pub struct Counted<D> {
    density: D,
    evaluations: u64,
}

impl<D: LogDensity> Counted<D> {
    /// Counts from zero.
    #[must_use]
    pub fn new(density: D) -> Self {
        Self { density, evaluations: 0 }
    }

    /// Evaluations so far.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }
}

impl<D: LogDensity> LogDensity for Counted<D> {
    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        self.evaluations += 1;
        self.density.log_density_and_gradient(position, gradient)
    }
}
