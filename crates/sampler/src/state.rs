//! Hold what a gradient-based chain is between two steps: position, log density, gradient.

use crate::{ChainState, numbers};
use ergodic_model::{EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Position, log density and gradient of a chain between two steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientState {
    /// The unconstrained position.
    #[serde(deserialize_with = "numbers::exact")]
    pub position: Vec<f64>,
    /// The log density there, up to a constant, in nats.
    pub log_density: f64,
    /// The gradient there.
    #[serde(deserialize_with = "numbers::exact")]
    pub gradient: Vec<f64>,
}

impl GradientState {
    /// The state at `position`.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    pub fn at(density: &mut dyn LogDensity, position: &[f64]) -> Result<Self, EvaluationError> {
        let mut gradient = vec![0.0; position.len()];
        let log_density = density.log_density_and_gradient(position, &mut gradient)?;
        Ok(Self { position: position.to_vec(), log_density, gradient })
    }
}

impl ChainState for GradientState {
    fn position(&self) -> &[f64] {
        &self.position
    }

    fn log_density(&self) -> f64 {
        self.log_density
    }

    fn gradient(&self) -> &[f64] {
        &self.gradient
    }
}
