//! Sample by static Hamiltonian Monte Carlo: trajectories of a given length in time, with the length jittered.
//!
//! One transition draws p ~ N(0, M), follows Hamilton's equations for N = ⌈u L / ε⌉ steps with u uniform on (1 − j, 1 + j), and accepts
//! the end with probability min(1, exp(H₀ − H)) (Duane et al. 1987; Neal 2011). N does not depend on the state, so the jitter keeps the
//! method exact, and it frees it from trajectories that return to where they began. Gradients a transition: N times those of a step.

use crate::adaptation::{HamiltonianAdaptation, Warmup};
use crate::settings::{check, positive};
use crate::{
    BuildContext, GradientState, HamiltonianKernel, Info, Integrator, Kernel, Method, Metric, PhasePoint, SettingsError,
};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Settings of static Hamiltonian Monte Carlo.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Hmc, Run, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let run = Run { chains: 2, warmup: 200, draws: 100, ..Run::default() };
/// let draws = sample(&normal, &Hmc { trajectory_length: 2.0, ..Hmc::default() }, &run)?;
/// assert_eq!(draws.num_draws(), 200);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hmc {
    /// Mean length L of a trajectory, in units of time of the adapted metric. The default π/2 is a quarter of the period of a Gaussian
    /// whose covariance the metric matches: the end is independent of the start (the length of Izmailov et al. 2021).
    pub trajectory_length: f64,
    /// Half width j of the uniform factor on the length, from 0 to 1; 0.5 by default.
    pub jitter: f64,
    /// Most steps of a trajectory; 1024 by default, NUTS's limit.
    pub max_steps: usize,
    /// Acceptance probability that warm-up aims at; 0.8 by default, as in Stan.
    pub target_acceptance: f64,
    /// Energy error, in nats, above which a trajectory counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// How step size and metric are found.
    pub adaptation: Warmup,
}

impl Default for Hmc {
    fn default() -> Self {
        Self {
            trajectory_length: std::f64::consts::FRAC_PI_2,
            jitter: 0.5,
            max_steps: 1024,
            target_acceptance: 0.8,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            adaptation: Warmup::default(),
        }
    }
}

impl Method for Hmc {
    type Kernel = HmcKernel;
    type Adaptation = HamiltonianAdaptation;

    const NAME: &'static str = "hmc";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        positive("trajectory_length", self.trajectory_length)?;
        check((0.0..=1.0).contains(&self.jitter), "jitter", &self.jitter, "from 0 to 1")?;
        check(self.max_steps >= 1, "max_steps", &self.max_steps, "at least 1")?;
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        positive("max_energy_error", self.max_energy_error)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (HmcKernel, HamiltonianAdaptation) {
        let kernel = HmcKernel {
            metric: self.adaptation.initial_metric(),
            step_size: self.adaptation.initial_step_size(),
            trajectory_length: self.trajectory_length,
            jitter: self.jitter,
            max_steps: self.max_steps,
            max_energy_error: self.max_energy_error,
            integrator: self.integrator,
            scratch: None,
        };
        (kernel, HamiltonianAdaptation::new(&self.adaptation, self.target_acceptance, context))
    }
}

/// The transition of [`Hmc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HmcKernel {
    metric: Metric,
    step_size: f64,
    trajectory_length: f64,
    jitter: f64,
    max_steps: usize,
    max_energy_error: f64,
    integrator: Integrator,
    #[serde(skip)]
    scratch: Option<PhasePoint>,
}

/// What a step of [`Hmc`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct HmcInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Probability with which the end of the trajectory was accepted.
    pub acceptance_rate: f64,
    /// Step size ε.
    pub step_size: f64,
    /// Steps of the trajectory.
    pub n_steps: usize,
    /// Whether the length was cut to `max_steps`.
    pub reached_max_steps: bool,
    /// Whether the energy error exceeded its limit.
    pub diverging: bool,
    /// Hamiltonian of the state that was kept, with its momentum, in nats.
    pub energy: f64,
    /// Hamiltonian at the end of the trajectory less that at its start, in nats; infinite outside the support.
    pub energy_error: f64,
    /// Whether the end was accepted.
    pub accepted: bool,
}

impl Info for HmcInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("acceptance_rate"),
        Field::real("step_size"),
        Field::integer("n_steps"),
        Field::flag("reached_max_steps"),
        Field::flag("diverging"),
        Field::real("energy"),
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
            self.energy,
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

impl HmcKernel {
    /// Follows one trajectory of `factor` times its length, and accepts or rejects its end.
    pub(crate) fn trajectory(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
        factor: impl FnOnce(&mut ChainRng) -> f64,
    ) -> Result<HmcInfo, EvaluationError> {
        let point = PhasePoint::reuse(&mut self.scratch, state.position.len(), &self.metric);
        point.set_position(&state.position, &state.gradient, state.log_density);
        point.draw_momentum(&self.metric, rng);
        let initial_energy = point.energy();

        let wanted = (factor(rng) * self.trajectory_length / self.step_size).ceil().max(1.0);
        let planned = (wanted as usize).min(self.max_steps);
        let n_steps = self.integrator.steps(density, &self.metric, self.step_size, planned, point)?;

        let energy_error = point.energy() - initial_energy;
        let acceptance_rate = (-energy_error).exp().min(1.0);
        let accepted = rng.random::<f64>() < acceptance_rate;
        let energy = if accepted { point.energy() } else { initial_energy };
        if accepted {
            point.exchange(state);
        }
        Ok(HmcInfo {
            log_density: state.log_density,
            acceptance_rate,
            step_size: self.step_size,
            n_steps,
            reached_max_steps: wanted > self.max_steps as f64,
            diverging: energy_error > self.max_energy_error,
            energy,
            energy_error,
            accepted,
        })
    }

    /// The mean length of a trajectory, in units of time.
    pub(crate) fn trajectory_length(&self) -> f64 {
        self.trajectory_length
    }

    pub(crate) fn set_trajectory_length(&mut self, trajectory_length: f64) {
        self.trajectory_length = trajectory_length;
    }

    /// The last trajectory's end that was not kept, or its start if the end was; the position of the one, with the end's momentum.
    pub(crate) fn left_behind(&self) -> Option<&PhasePoint> {
        self.scratch.as_ref()
    }
}

impl Kernel for HmcKernel {
    type State = GradientState;
    type Info = HmcInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        GradientState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<HmcInfo, EvaluationError> {
        let jitter = self.jitter;
        self.trajectory(density, state, rng, |rng| 1.0 + jitter * (2.0 * rng.random::<f64>() - 1.0))
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size)]
    }
}

impl HamiltonianKernel for HmcKernel {
    fn integrator(&self) -> Integrator {
        self.integrator
    }

    fn step_size(&self) -> f64 {
        self.step_size
    }

    fn set_step_size(&mut self, step_size: f64) {
        self.step_size = step_size;
    }

    fn metric(&self) -> &Metric {
        &self.metric
    }

    fn metric_mut(&mut self) -> &mut Metric {
        &mut self.metric
    }

    fn is_informative(info: &HmcInfo) -> bool {
        info.accepted
    }
}
