//! Sample by the Metropolis-adjusted microcanonical sampler (MAMS): trajectories in fresh directions, accepted or not as a whole.
//!
//! One transition draws a direction uniformly, follows [`Microcanonical`] dynamics for a random number of steps, and accepts the end
//! with probability min(1, exp(−ΔE)), where ΔE sums the energy errors of the steps (Robnik, Cohn-Gordon & Seljak 2025). The number of
//! steps does not depend on the state, so the method is exact. Gradients a transition: the number of steps times those of a step.

use super::acceptance::{AcceptanceAdaptation, check_acceptance};
use super::dynamics::Microcanonical;
use super::kernel::MicrocanonicalKernel;
use super::scaling::{Scaling, check_scaling};
use super::state::{MicrocanonicalState, check_dim};
use crate::settings::{check, positive};
use crate::{BuildContext, GradientState, Info, Integrator, Kernel, Method, SettingsError};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Settings of the Metropolis-adjusted microcanonical sampler.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Mams, Run, sample};
/// let normal = density(10, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let draws = sample(&normal, &Mams::default(), &Run { chains: 2, ..Run::default() })?;
/// assert!(draws.caveat().is_none(), "it is exact");
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mams {
    /// Mean length of a trajectory over √D, in prior standard deviations; 0.25 by default. Small regression networks do best at 0.2 to
    /// 0.25, a classifier at 0.5; lengths below 0.1 and above 0.8 cost a factor of 2 to 6.
    pub trajectory_length: f64,
    /// Most steps of a trajectory; 1024 by default, NUTS's limit.
    pub max_steps: usize,
    /// Acceptance probability that warm-up aims at; 0.8 by default. With leapfrog, targets of 0.65 to 0.8 give networks more effective
    /// draws than 0.9.
    pub target_acceptance: f64,
    /// Energy error, in nats, above which a trajectory counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// In which coordinates the chain moves; in units of the prior's scales by default.
    pub scaling: Scaling,
    /// A step size to keep as it is, instead of tuning.
    pub fixed_step_size: Option<f64>,
}

impl Default for Mams {
    fn default() -> Self {
        Self {
            trajectory_length: 0.25,
            max_steps: 1024,
            target_acceptance: 0.8,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            scaling: Scaling::Prior,
            fixed_step_size: None,
        }
    }
}

impl Method for Mams {
    type Kernel = MamsKernel;
    type Adaptation = AcceptanceAdaptation;

    const NAME: &'static str = "mams";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        positive("trajectory_length", self.trajectory_length)?;
        check(self.max_steps >= 1, "max_steps", &self.max_steps, "at least 1")?;
        positive("max_energy_error", self.max_energy_error)?;
        check_scaling(self.scaling, self.fixed_step_size)?;
        check_acceptance(self.target_acceptance, self.fixed_step_size)
    }

    fn build(&self, context: &BuildContext<'_>) -> (MamsKernel, AcceptanceAdaptation) {
        let root = (context.dim as f64).sqrt();
        let kernel = MamsKernel {
            dynamics: Microcanonical::new(self.integrator, context.prior_scales),
            step_size: 0.01 * root,
            length: self.trajectory_length * root,
            max_steps: self.max_steps,
            max_energy_error: self.max_energy_error,
            trajectory: None,
        };
        (kernel, AcceptanceAdaptation::new(self.target_acceptance, self.scaling, self.fixed_step_size, context))
    }
}

/// The transition of [`Mams`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MamsKernel {
    dynamics: Microcanonical,
    step_size: f64,
    length: f64,
    max_steps: usize,
    max_energy_error: f64,
    #[serde(skip)]
    trajectory: Option<MicrocanonicalState>,
}

/// What a step of [`Mams`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct MamsInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Probability with which the end of the trajectory was accepted.
    pub acceptance_rate: f64,
    /// Step size ε.
    pub step_size: f64,
    /// Steps of the trajectory.
    pub n_steps: usize,
    /// Whether the number of steps was cut to `max_steps`.
    pub reached_max_steps: bool,
    /// Whether the energy error exceeded its limit.
    pub diverging: bool,
    /// Energy error of the trajectory, in nats; infinite outside the support.
    pub energy_error: f64,
    /// Whether the end was accepted.
    pub accepted: bool,
}

impl Info for MamsInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("acceptance_rate"),
        Field::real("step_size"),
        Field::integer("n_steps"),
        Field::flag("reached_max_steps"),
        Field::flag("diverging"),
        Field::real("energy_error"),
        Field::flag("accepted"),
    ];

    fn write(&self, row: &mut [f64]) {
        row.copy_from_slice(&[
            self.log_density,
            self.acceptance_rate,
            self.step_size,
            self.n_steps as f64,
            f64::from(u8::from(self.reached_max_steps)),
            f64::from(u8::from(self.diverging)),
            self.energy_error,
            f64::from(u8::from(self.accepted)),
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

    fn saturated(&self) -> bool {
        self.reached_max_steps
    }
}

impl Kernel for MamsKernel {
    type State = GradientState;
    type Info = MamsInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        check_dim(position.len())?;
        GradientState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<MamsInfo, EvaluationError> {
        let end = MicrocanonicalState::reuse(&mut self.trajectory, state.position.len());
        end.set_position(&state.position, &state.gradient, state.log_density);
        end.draw_direction(rng);
        let wanted = uniform_steps(self.length / self.step_size, rng.random());
        let planned = wanted.min(self.max_steps);
        let (mut n_steps, mut energy_error) = (0, 0.0);
        let mut flow = self.dynamics.begin(self.step_size, end);
        while n_steps < planned && energy_error < f64::INFINITY {
            energy_error += flow.step(density, end)?;
            n_steps += 1;
        }
        let acceptance_rate = (-energy_error).exp().min(1.0);
        let accepted = rng.random::<f64>() < acceptance_rate;
        if accepted {
            std::mem::swap(&mut state.position, &mut end.position);
            std::mem::swap(&mut state.gradient, &mut end.gradient);
            state.log_density = end.log_density;
        }
        Ok(MamsInfo {
            log_density: state.log_density,
            acceptance_rate,
            step_size: self.step_size,
            n_steps,
            reached_max_steps: wanted > self.max_steps,
            diverging: energy_error > self.max_energy_error,
            energy_error,
            accepted,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size), ("trajectory_length", self.length)]
    }
}

/// A number of steps from 1 to about twice `mean`, all but the last equally likely, with that mean exactly; `uniform` lies in [0, 1).
fn uniform_steps(mean: f64, uniform: f64) -> usize {
    let mean = mean.max(1.0);
    let whole = (2.0 * mean - 1.0).floor();
    let part = whole * (mean - 0.5 * (whole + 1.0)) / (whole + 1.0 - mean);
    ((uniform * (whole + part)).ceil() as usize).max(1)
}

impl MicrocanonicalKernel for MamsKernel {
    fn dynamics(&self) -> &Microcanonical {
        &self.dynamics
    }

    fn dynamics_mut(&mut self) -> &mut Microcanonical {
        &mut self.dynamics
    }

    fn step_size(&self) -> f64 {
        self.step_size
    }

    fn set_step_size(&mut self, step_size: f64) {
        self.step_size = step_size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_steps_have_their_mean() {
        for mean in [0.3, 1.0, 1.2, 1.5, 2.0, 7.3, 40.0] {
            let draws = 200_000;
            let sum: usize = (0..draws).map(|i| uniform_steps(mean, (f64::from(i) + 0.5) / f64::from(draws))).sum();
            let found = sum as f64 / f64::from(draws);
            assert!((found - f64::max(mean, 1.0)).abs() < 1e-3, "{found} for {mean}");
        }
        assert_eq!(uniform_steps(5.0, 0.0), 1);
    }
}
