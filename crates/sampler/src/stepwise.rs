//! Define what methods report that accept or reject every integrator step by itself.

use crate::Info;
use ergodic_draws::Field;

/// What a transition reports whose integrator steps are accepted or rejected one by one: of [`Ghmc`](crate::Ghmc),
/// [`Mala`](crate::Mala) and [`SliceGhmc`](crate::SliceGhmc).
#[derive(Debug, Clone, PartialEq)]
pub struct StepwiseInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Mean acceptance probability of the integrator steps, min(1, exp(−ΔE)) each.
    pub acceptance_rate: f64,
    /// Step size ε.
    pub step_size: f64,
    /// Integrator steps of the transition, rejected ones too.
    pub n_steps: usize,
    /// Integrator steps that were rejected.
    pub n_rejected: usize,
    /// Whether an energy error exceeded its limit.
    pub diverging: bool,
    /// Energy error over the accepted steps, in nats.
    pub energy_error: f64,
}

impl Info for StepwiseInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("acceptance_rate"),
        Field::real("step_size"),
        Field::integer("n_steps"),
        Field::integer("n_rejected"),
        Field::flag("diverging"),
        Field::real("energy_error"),
    ];

    fn write(&self, row: &mut [f64]) {
        row.copy_from_slice(&[
            self.log_density,
            self.acceptance_rate,
            self.step_size,
            self.n_steps as f64,
            self.n_rejected as f64,
            f64::from(u8::from(self.diverging)),
            self.energy_error,
        ]);
    }

    fn diverging(&self) -> bool {
        self.diverging
    }

    fn step_size(&self) -> f64 {
        self.step_size
    }

    fn acceptance_rate(&self) -> f64 {
        self.acceptance_rate
    }

    fn n_steps(&self) -> usize {
        self.n_steps
    }
}
