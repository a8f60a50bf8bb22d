//! Integrate microcanonical (isokinetic) dynamics: motion at constant speed whose direction turns toward higher density.
//!
//! In coordinates y = x/s the direction u, |u| = 1, follows ẏ = u, u̇ = (1 − uuᵀ) ∇log π(y) / (D − 1) (Robnik, De Luca, Silverstein &
//! Seljak 2023; Ver Steeg & Galstyan 2021). Positions and directions are not conserved in volume: density is carried along when a kick
//! of length δ = ε|∇log π|/(D − 1) at cosine c between u and the gradient counts ΔK = (D − 1) ln(cosh δ + c sinh δ) of kinetic energy.
//! The energy error of a step is ΔK − Δ log π: what an accept step needs, and what its variance says of an unadjusted one's bias.

use super::state::MicrocanonicalState;
use crate::Integrator;
use crate::vector::{Equal, TurnAndDrift, TurnAndDriftFrom, kick_sums, turn};
use ergodic_model::{EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Microcanonical dynamics under an integrator, in coordinates divided by given scales.
///
/// ```
/// use ergodic_model::{Purpose, density, stream};
/// use ergodic_sampler::{Integrator, Microcanonical, MicrocanonicalState};
/// let mut normal = density(3, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let dynamics = Microcanonical::new(Integrator::Leapfrog, &[1.0; 3]);
/// let mut state = MicrocanonicalState::at(&mut normal, &[1.0, 0.0, -0.5])?;
/// state.draw_direction(&mut stream(1, 0, Purpose::Test));
/// let energy_error = dynamics.step(&mut normal, 0.1, &mut state)?;
/// assert!(energy_error.abs() < 1e-3);
/// # Ok::<(), ergodic_model::EvaluationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Microcanonical {
    integrator: Integrator,
    /// Scales s of the coordinates; empty when all are 1.
    scales: Vec<f64>,
}

impl Microcanonical {
    /// Dynamics in coordinates xᵢ/sᵢ; a scale that is not positive and finite counts as 1.
    #[must_use]
    pub fn new(integrator: Integrator, scales: &[f64]) -> Self {
        let mut dynamics = Self { integrator, scales: Vec::new() };
        dynamics.set_scales(scales);
        dynamics
    }

    /// Changes the coordinates to xᵢ/sᵢ; a scale that is not positive and finite counts as 1. Directions stay what they are in the
    /// scaled coordinates, where they are uniform whatever the scales.
    pub fn set_scales(&mut self, scales: &[f64]) {
        let usable = |s: f64| if s > 0.0 && s.is_finite() { s } else { 1.0 };
        self.scales.clear();
        if scales.iter().any(|s| usable(*s) != 1.0) {
            self.scales.extend(scales.iter().copied().map(usable));
        }
    }

    /// How steps are taken.
    #[must_use]
    pub fn integrator(&self) -> Integrator {
        self.integrator
    }

    /// Moves `state` by one step of size `step_size`, backwards in time when it is negative, and returns the energy error in nats;
    /// infinite where the density, its gradient or the position is not finite.
    ///
    /// The state must have a direction.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    pub fn step(
        &self,
        density: &mut dyn LogDensity,
        step_size: f64,
        state: &mut MicrocanonicalState,
    ) -> Result<f64, EvaluationError> {
        let mut flow = self.begin(step_size, state);
        let energy_error = flow.step(density, state)?;
        flow.close(state);
        Ok(energy_error)
    }

    /// Begins a sequence of steps from `state`.
    pub(crate) fn begin(&self, step_size: f64, state: &MicrocanonicalState) -> Flow<'_> {
        Flow { dynamics: self, step_size, kick: self.kick_at(state), owed: 0.0 }
    }

    fn kick_at(&self, state: &MicrocanonicalState) -> Kick {
        let (u, g) = (&state.direction, &state.gradient);
        let sums = if self.scales.is_empty() { kick_sums(Equal, u, g) } else { kick_sums(self.scales.as_slice(), u, g) };
        Kick::new(sums, u.len())
    }

    /// Turns the direction at the state's gradient.
    fn turn(&self, factors: [f64; 2], state: &mut MicrocanonicalState) {
        let MicrocanonicalState { gradient, direction, .. } = state;
        match self.scales.as_slice() {
            [] => turn(factors, Equal, gradient, direction),
            scales => turn(factors, scales, gradient, direction),
        }
    }

    fn turn_and_drift(&self, factors: [f64; 2], time: f64, state: &mut MicrocanonicalState) {
        let MicrocanonicalState { position, gradient, direction, .. } = state;
        match self.scales.as_slice() {
            [] => TurnAndDrift { factors, time, weights: Equal, gradient, direction, position }.run(),
            weights => TurnAndDrift { factors, time, weights, gradient, direction, position }.run(),
        }
    }

    fn turn_and_drift_from(&self, factors: [f64; 2], time: f64, from: &MicrocanonicalState, to: &mut MicrocanonicalState) {
        let (gradient, from_direction, from_position) = (&from.gradient, &from.direction, &from.position);
        let MicrocanonicalState { position, direction, .. } = to;
        match self.scales.as_slice() {
            [] => {
                TurnAndDriftFrom { factors, time, weights: Equal, gradient, from_direction, from_position, direction, position }
                    .run()
            }
            weights => {
                TurnAndDriftFrom { factors, time, weights, gradient, from_direction, from_position, direction, position }.run()
            }
        }
    }
}

/// A sequence of steps that joins the last kick of each with the first of the next: a pass of sums and a pass of motion a gradient.
///
/// Between two steps the direction of the state still lacks the last kick, which [`close`](Self::close) gives it.
#[derive(Debug, Clone)]
pub(crate) struct Flow<'a> {
    dynamics: &'a Microcanonical,
    step_size: f64,
    /// What a kick does at the state as it is.
    kick: Kick,
    /// Time of the kick that the state's direction lacks.
    owed: f64,
}

impl Flow<'_> {
    /// One step of `state`, in place; returns the energy error, infinite where something is not finite.
    pub(crate) fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut MicrocanonicalState,
    ) -> Result<f64, EvaluationError> {
        let (factors, time, kinetic) = self.first_kick();
        let before = state.log_density;
        self.dynamics.turn_and_drift(factors, time, state);
        self.finish_step(density, before, kinetic, state)
    }

    /// One step `from` a state `to` another, without copying. The flow goes on from `to`; to go on from `from`, use a clone of the flow
    /// as it was.
    pub(crate) fn step_from(
        &mut self,
        density: &mut dyn LogDensity,
        from: &MicrocanonicalState,
        to: &mut MicrocanonicalState,
    ) -> Result<f64, EvaluationError> {
        let (factors, time, kinetic) = self.first_kick();
        self.dynamics.turn_and_drift_from(factors, time, from, to);
        self.finish_step(density, from.log_density, kinetic, to)
    }

    /// Gives the state's direction the kick that it lacks.
    pub(crate) fn close(&mut self, state: &mut MicrocanonicalState) {
        if self.owed != 0.0 {
            let change = self.kick.by(self.owed);
            self.dynamics.turn(change.factors, state);
            self.kick = self.kick.after(change);
            self.owed = 0.0;
        }
    }

    /// Closes, and turns the direction round.
    pub(crate) fn reverse(&mut self, state: &mut MicrocanonicalState) {
        let change = self.kick.by(self.owed);
        self.dynamics.turn(change.factors.map(|factor| -factor), state);
        self.kick = self.kick.after(change);
        self.kick.cosine = -self.kick.cosine;
        self.owed = 0.0;
    }

    /// The factors of the first kick, joined with what is owed; the time of the first drift; the first kick's own kinetic energy.
    fn first_kick(&self) -> ([f64; 2], f64, f64) {
        let integrator = self.dynamics.integrator;
        let kick = integrator.kicks()[0] * self.step_size;
        let own = self.kick.after(self.kick.by(self.owed)).by(kick);
        (self.kick.by(self.owed + kick).factors, integrator.drifts()[0] * self.step_size, own.kinetic)
    }

    /// All of a step after its first drift.
    fn finish_step(
        &mut self,
        density: &mut dyn LogDensity,
        before: f64,
        mut kinetic: f64,
        state: &mut MicrocanonicalState,
    ) -> Result<f64, EvaluationError> {
        let dynamics = self.dynamics;
        let (kicks, drifts) = (dynamics.integrator.kicks(), dynamics.integrator.drifts());
        for stage in 1..=drifts.len() {
            state.log_density = density.log_density_and_gradient(&state.position, &mut state.gradient)?;
            if !state.log_density.is_finite() {
                return Ok(f64::INFINITY);
            }
            self.kick = dynamics.kick_at(state);
            let time = kicks[stage] * self.step_size;
            let change = self.kick.by(time);
            kinetic += change.kinetic;
            if stage < drifts.len() {
                dynamics.turn_and_drift(change.factors, drifts[stage] * self.step_size, state);
            } else {
                self.owed = time;
            }
        }
        let energy_error = kinetic - (state.log_density - before);
        Ok(if energy_error.is_finite() { energy_error } else { f64::INFINITY })
    }
}

/// The largest cosine. Cosines are known to rounding; if one of exactly −1 were believed, a kick of any length straight against the
/// direction would turn nothing and conserve energy, and steps far beyond stability would pass for good ones.
const ALMOST_ONE: f64 = 1.0 - 0.5 * f64::EPSILON;

/// What a kick at a point depends on.
#[derive(Debug, Clone, Copy)]
struct Kick {
    /// D − 1.
    freedom: f64,
    /// |s ∇log π| / (D − 1).
    rate: f64,
    /// Cosine between the direction and s ∇log π.
    cosine: f64,
    /// 1 / |s ∇log π|, or 0 for a gradient of zero.
    inverse_gradient: f64,
    /// 1 / |u|, which differs from 1 by rounding.
    inverse_direction: f64,
}

/// What a kick of a certain time does.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// u ← a u + b s ∇log π.
    factors: [f64; 2],
    /// ΔK, in nats.
    kinetic: f64,
    /// The new cosine.
    cosine: f64,
}

impl Kick {
    fn new([gradient_squared, product, direction_squared]: [f64; 3], dim: usize) -> Self {
        let freedom = dim as f64 - 1.0;
        let (length, inverse_direction) = (gradient_squared.sqrt(), 1.0 / direction_squared.sqrt());
        let inverse_gradient = if length > 0.0 { 1.0 / length } else { 0.0 };
        let cosine = product * inverse_gradient * inverse_direction;
        Self { freedom, rate: length / freedom, cosine, inverse_gradient, inverse_direction }
    }

    /// The exact flow of the direction over `time` at a constant gradient.
    ///
    /// With ζ = exp(−δ), u ← (2ζu + (1 − ζ)(1 + ζ + c(1 − ζ))e) / ((1 + c) + ζ²(1 − c)), and ΔK = (D − 1)(δ + ln of half that
    /// denominator), which `log1p` gives without cancellation for small δ. A negative time is a kick along −e.
    fn by(self, time: f64) -> Change {
        let sign = if time < 0.0 { -1.0 } else { 1.0 };
        let (delta, c) = (sign * time * self.rate, sign * self.cosine.clamp(-ALMOST_ONE, ALMOST_ONE));
        let (zeta, gain) = ((-delta).exp(), -(-delta).exp_m1());
        let half = 0.5 * ((1.0 + c) + zeta * zeta * (1.0 - c));
        let (along_direction, along_gradient) = (zeta / half, 0.5 * gain * (1.0 + zeta + c * gain) / half);
        let logarithm = if delta < 0.5 { (0.5 * (-2.0 * delta).exp_m1() * (1.0 - c)).ln_1p() } else { half.ln() };
        Change {
            factors: [along_direction * self.inverse_direction, sign * along_gradient * self.inverse_gradient],
            kinetic: self.freedom * (delta + logarithm),
            cosine: sign * (along_direction * c + along_gradient),
        }
    }

    /// The same point after a kick, whose direction has length 1.
    fn after(self, change: Change) -> Self {
        Self { cosine: change.cosine, inverse_direction: 1.0, ..self }
    }
}

#[cfg(test)]
#[path = "dynamics_tests.rs"]
mod tests;
