//! Hold a point of phase space: position and momentum, with the log density and its gradient.

use crate::vector::{Equal, dot};
use crate::{GradientState, Metric};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};

/// A position and momentum, the log density and gradient there, and the kinetic energy.
///
/// [`Integrator::step`](crate::Integrator::step) moves it; [`energy`](Self::energy) is what the motion nearly conserves.
#[derive(Debug, Clone, PartialEq)]
pub struct PhasePoint {
    /// The unconstrained position.
    pub position: Vec<f64>,
    /// The momentum p.
    pub momentum: Vec<f64>,
    /// The gradient of the log density at the position.
    pub gradient: Vec<f64>,
    /// The log density at the position, in nats.
    pub log_density: f64,
    /// The kinetic energy ½ pᵀM⁻¹p, in nats.
    pub kinetic_energy: f64,
    /// M⁻¹p, for a metric that is not diagonal; empty otherwise, where it is as cheap to compute as to read.
    pub(crate) velocity: Vec<f64>,
}

impl PhasePoint {
    /// Room for a point with `dim` coordinates under `metric`, all zero.
    #[must_use]
    pub fn new(dim: usize, metric: &Metric) -> Self {
        Self {
            position: vec![0.0; dim],
            momentum: vec![0.0; dim],
            gradient: vec![0.0; dim],
            log_density: f64::NEG_INFINITY,
            kinetic_energy: 0.0,
            velocity: vec![0.0; if metric.keeps_velocity() { dim } else { 0 }],
        }
    }

    /// The point at `position` with momentum `momentum`.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    pub fn at(
        density: &mut dyn LogDensity,
        metric: &Metric,
        position: &[f64],
        momentum: &[f64],
    ) -> Result<Self, EvaluationError> {
        let mut point = Self::new(position.len(), metric);
        point.position.copy_from_slice(position);
        point.momentum.copy_from_slice(momentum);
        point.log_density = density.log_density_and_gradient(&point.position, &mut point.gradient)?;
        point.refresh_kinetic_energy(metric);
        Ok(point)
    }

    /// Draws a new momentum p ~ N(0, M).
    pub fn draw_momentum(&mut self, metric: &Metric, rng: &mut ChainRng) {
        metric.sample_momentum(rng, &mut self.momentum);
        self.refresh_kinetic_energy(metric);
    }

    /// The Hamiltonian −log density + kinetic energy, in nats; `+inf` outside the support.
    #[must_use]
    pub fn energy(&self) -> f64 {
        let energy = self.kinetic_energy - self.log_density;
        if energy.is_finite() { energy } else { f64::INFINITY }
    }

    /// The point in `slot`, made anew when it is missing or was made for another dimension or shape of metric.
    pub(crate) fn reuse<'a>(slot: &'a mut Option<Self>, dim: usize, metric: &Metric) -> &'a mut Self {
        if slot.as_ref().is_some_and(|point| !point.fits(dim, metric)) {
            *slot = None;
        }
        slot.get_or_insert_with(|| Self::new(dim, metric))
    }

    /// Whether the buffers have the right lengths.
    pub(crate) fn fits(&self, dim: usize, metric: &Metric) -> bool {
        self.position.len() == dim && self.velocity.len() == if metric.keeps_velocity() { dim } else { 0 }
    }

    /// Copies position, gradient and log density of `other`.
    pub(crate) fn set_position(&mut self, position: &[f64], gradient: &[f64], log_density: f64) {
        self.position.copy_from_slice(position);
        self.gradient.copy_from_slice(gradient);
        self.log_density = log_density;
    }

    /// Becomes `other`, which has the same dimension and shape of metric.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.set_position(&other.position, &other.gradient, other.log_density);
        self.momentum.copy_from_slice(&other.momentum);
        self.velocity.copy_from_slice(&other.velocity);
        self.kinetic_energy = other.kinetic_energy;
    }

    /// Exchanges position and gradient with those of `state`, which takes the log density too: the end of a transition, without a copy.
    pub(crate) fn exchange(&mut self, state: &mut GradientState) {
        std::mem::swap(&mut state.position, &mut self.position);
        std::mem::swap(&mut state.gradient, &mut self.gradient);
        state.log_density = self.log_density;
    }

    /// Turns the momentum round: p ← −p.
    pub(crate) fn reverse(&mut self) {
        self.momentum.iter_mut().for_each(|p| *p = -*p);
        self.velocity.iter_mut().for_each(|v| *v = -*v);
    }

    /// Sets the kinetic energy, and the velocity that is kept with it, to those of the momentum.
    pub(crate) fn refresh_kinetic_energy(&mut self, metric: &Metric) {
        self.kinetic_energy = if metric.keeps_velocity() {
            metric.velocity(&self.momentum, &mut self.velocity);
            0.5 * dot(Equal, &self.momentum, &self.velocity)
        } else {
            metric.kinetic_energy(&self.momentum)
        };
    }
}
