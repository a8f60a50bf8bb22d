//! Sample by microcanonical Langevin Monte Carlo (MCLMC), without an accept step: the fastest explorer of networks, with a bias.
//!
//! The chain follows [`Microcanonical`] dynamics at step size ε and refreshes its direction partially, so that it is forgotten over the
//! decoherence length L (Robnik, De Luca, Silverstein & Seljak 2023; Robnik & Seljak 2024). Nothing is rejected: the stationary
//! distribution is off by what the integrator's energy errors say, and falls with ε². The variance of these errors is tuned, checked,
//! reported with every draw, and held below an alarm while sampling.

use super::dynamics::Microcanonical;
use super::energy_variance::{EnergyVariance, EnergyVarianceAdaptation, NOT_FINITE, RunningMean};
use super::energy_watch::EnergyWatch;
use super::kernel::{MicrocanonicalKernel, check_length};
use super::scaling::{Scaling, check_scaling};
use super::state::MicrocanonicalState;
use crate::settings::check;
use crate::slice::steps_between_refreshments;
use crate::{BuildContext, Info, Integrator, Kernel, Method, SettingsError};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Settings of unadjusted microcanonical Langevin Monte Carlo.
///
/// Draws are biased, most visibly in the noise scale; [`SliceGhmc`](crate::SliceGhmc) is the same motion with an accept step.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Mclmc, Run, sample};
/// let normal = density(10, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let draws = sample(&normal, &Mclmc::default(), &Run { chains: 2, ..Run::default() })?;
/// assert!(draws.caveat().is_some_and(|caveat| caveat.contains("biased")));
/// assert!(draws.report.chains[0].tuned["energy_variance_per_dimension"] < 5.0 * 5e-4);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mclmc {
    /// Decoherence length L over √D, in prior standard deviations; 2 by default. Effective draws of small networks are flat in it from
    /// 1.2 to 6, and fall by 2 to 4 below, so it needs no tuning.
    pub decoherence_length: f64,
    /// Integrator steps from one stored draw to the next; 8 by default. Function values of small networks change that fast: storing
    /// every 50th step loses 40 % of the effective draws, and storing each costs more than it tells.
    pub steps_per_draw: usize,
    /// How the steps are taken; leapfrog by default, which gives networks up to 3,000 weights most effective draws per gradient. At some
    /// 10⁴ weights and above the integrators of more stages may win.
    pub integrator: Integrator,
    /// In which coordinates the chain moves; in units of the prior's scales by default.
    pub scaling: Scaling,
    /// How the step size is found.
    pub adaptation: EnergyVariance,
}

impl Default for Mclmc {
    fn default() -> Self {
        Self {
            decoherence_length: 2.0,
            steps_per_draw: 8,
            integrator: Integrator::Leapfrog,
            scaling: Scaling::Prior,
            adaptation: EnergyVariance::default(),
        }
    }
}

impl Method for Mclmc {
    type Kernel = MclmcKernel;
    type Adaptation = EnergyVarianceAdaptation;

    const NAME: &'static str = "mclmc";
    const EXACT: bool = false;

    fn validate(&self) -> Result<(), SettingsError> {
        check_length("decoherence_length", self.decoherence_length)?;
        check(self.steps_per_draw >= 1, "steps_per_draw", &self.steps_per_draw, "at least 1")?;
        check_scaling(self.scaling, self.adaptation.fixed_step_size)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (MclmcKernel, EnergyVarianceAdaptation) {
        let root = (context.dim as f64).sqrt();
        let kernel = MclmcKernel {
            dynamics: Microcanonical::new(self.integrator, context.prior_scales),
            step_size: 0.01 * root,
            length: self.decoherence_length * root,
            steps_per_draw: self.steps_per_draw,
            steps: self.steps_per_draw,
            watch: self.adaptation.watch(self.integrator.gradients_per_step()),
            realised: RunningMean::default(),
            energy_errors: Vec::new(),
            backup: None,
        };
        let gradients = EnergyVarianceAdaptation::steps(self.steps_per_draw) * self.integrator.gradients_per_step();
        (kernel, EnergyVarianceAdaptation::new(&self.adaptation, self.scaling, gradients, context))
    }
}

/// The transition of [`Mclmc`]: some steps of microcanonical dynamics, with partial refreshments of the direction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MclmcKernel {
    dynamics: Microcanonical,
    step_size: f64,
    length: f64,
    steps_per_draw: usize,
    /// Steps of the present transition; fewer than a draw's during warm-up.
    steps: usize,
    /// Shortens the step where the energy variance is too large after warm-up.
    watch: EnergyWatch,
    /// ΔE²/D over the steps since warm-up.
    realised: RunningMean,
    /// Energy errors of the last transition's steps.
    #[serde(skip)]
    energy_errors: Vec<f64>,
    /// Where the transition began, to go back to after a step that is not finite.
    #[serde(skip)]
    backup: Option<MicrocanonicalState>,
}

impl MclmcKernel {
    pub(crate) fn energy_errors(&self) -> &[f64] {
        &self.energy_errors
    }

    pub(crate) fn steps_per_draw(&self) -> usize {
        self.steps_per_draw
    }

    /// Makes transitions of `steps` steps until sampling begins.
    pub(crate) fn begin_warmup(&mut self, steps: usize) {
        self.steps = steps;
    }

    /// Makes transitions of the steps of a draw, and measures the energy variance from here on.
    pub(crate) fn begin_sampling(&mut self) {
        self.steps = self.steps_per_draw;
        self.realised = RunningMean::default();
        self.watch.begin();
    }
}

/// What a step of [`Mclmc`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct MclmcInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Step size ε.
    pub step_size: f64,
    /// Steps of the transition.
    pub n_steps: usize,
    /// Whether a step met a point that is not finite; the transition then stays where it began, and its direction is drawn anew.
    pub diverging: bool,
    /// Energy error over the transition, in nats; infinite when it diverged.
    pub energy_error: f64,
    /// Mean over the steps of ΔE²/D, in nats²; its mean over a run is what the bias follows.
    pub energy_variance_per_dimension: f64,
}

impl Info for MclmcInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("step_size"),
        Field::integer("n_steps"),
        Field::flag("diverging"),
        Field::real("energy_error"),
        Field::real("energy_variance_per_dimension"),
    ];

    fn write(&self, row: &mut [f64]) {
        row.copy_from_slice(&[
            self.log_density,
            self.step_size,
            self.n_steps as f64,
            f64::from(u8::from(self.diverging)),
            self.energy_error,
            self.energy_variance_per_dimension,
        ]);
    }

    fn diverging(&self) -> bool {
        self.diverging
    }

    fn step_size(&self) -> f64 {
        self.step_size
    }

    /// 1 for a transition that moved: nothing is rejected.
    fn acceptance_rate(&self) -> f64 {
        f64::from(u8::from(!self.diverging))
    }

    fn n_steps(&self) -> usize {
        self.n_steps
    }
}

impl Kernel for MclmcKernel {
    type State = MicrocanonicalState;
    type Info = MclmcInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<MicrocanonicalState, EvaluationError> {
        MicrocanonicalState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut MicrocanonicalState,
        rng: &mut ChainRng,
    ) -> Result<MclmcInfo, EvaluationError> {
        let dim = state.position.len();
        if !state.has_direction() {
            state.draw_direction(rng);
        }
        let backup = MicrocanonicalState::reuse(&mut self.backup, dim);
        backup.set_position(&state.position, &state.gradient, state.log_density);
        self.energy_errors.clear();
        self.energy_errors.reserve(self.steps);
        let stretch = steps_between_refreshments(self.step_size, self.length, self.steps);
        let mut diverging = false;
        while self.energy_errors.len() < self.steps && !diverging {
            let steps = stretch.min(self.steps - self.energy_errors.len());
            state.refresh_direction(steps as f64 * self.step_size, self.length, rng);
            let mut flow = self.dynamics.begin(self.step_size, state);
            for _ in 0..steps {
                let error = flow.step(density, state)?;
                self.energy_errors.push(error);
                if !error.is_finite() {
                    diverging = true;
                    break;
                }
            }
            flow.close(state);
        }
        if diverging {
            state.set_position(&backup.position, &backup.gradient, backup.log_density);
            state.draw_direction(rng);
        }
        let mut here = RunningMean::default();
        for error in &self.energy_errors {
            let square = if error.is_finite() { error * error / dim as f64 } else { NOT_FINITE };
            here.push(square);
            self.realised.push(square);
            self.watch.push(square);
        }
        let step_size = self.step_size;
        self.step_size *= self.watch.end_draw();
        Ok(MclmcInfo {
            log_density: state.log_density,
            step_size,
            n_steps: self.energy_errors.len(),
            diverging,
            energy_error: self.energy_errors.iter().sum(),
            energy_variance_per_dimension: here.mean,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        let [repairs, draws_before_repair] = self.watch.repairs();
        vec![
            ("step_size", self.step_size),
            ("decoherence_length", self.length),
            ("energy_variance_per_dimension", self.realised.mean),
            ("repairs", repairs as f64),
            ("draws_before_repair", draws_before_repair as f64),
        ]
    }

    fn warning(&self) -> Option<String> {
        self.watch.warning(self.step_size)
    }
}

impl MicrocanonicalKernel for MclmcKernel {
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
