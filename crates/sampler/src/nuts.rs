//! Sample by the No-U-Turn sampler: Hamiltonian trajectories that grow until they turn back.
//!
//! One transition draws p ~ N(0, M) and doubles a trajectory forwards or backwards, at random, until it makes a U-turn, diverges or
//! reaches its depth. The next state is drawn from its points with weights exp(−H): multinomially inside a new half, and with a
//! preference for the new half between halves (Hoffman & Gelman 2014; Betancourt 2017). Gradients a transition: one a step of leapfrog.

use crate::adaptation::{HamiltonianAdaptation, Warmup};
use crate::settings::{check, positive};
use crate::tree::{Arena, Found, Progress, Trajectory};
use crate::{BuildContext, GradientState, HamiltonianKernel, Info, Integrator, Kernel, Method, Metric, SettingsError};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Settings of the No-U-Turn sampler.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Nuts, Run, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let draws = sample(&normal, &Nuts::default(), &Run { chains: 2, warmup: 200, draws: 100, ..Run::default() })?;
/// assert_eq!(draws.num_draws(), 200);
/// assert!(draws.report.warnings.is_empty());
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nuts {
    /// Mean acceptance probability over a trajectory that warm-up aims at; 0.8 by default, as in Stan. The gradient-based warm-up aims
    /// at it with [the symmetric rate](NutsInfo::symmetric_acceptance_rate), as nutpie does.
    pub target_acceptance: f64,
    /// Most doublings of a trajectory, from 1 to 20; 10 by default, as in Stan: at most 1023 steps. A chain keeps
    /// eight vectors, and one and a half for each doubling, as far as its trees have grown.
    pub max_tree_depth: usize,
    /// Energy error, in nats, above which a trajectory counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// How step size and metric are found.
    pub adaptation: Warmup,
}

impl Default for Nuts {
    fn default() -> Self {
        Self {
            target_acceptance: 0.8,
            max_tree_depth: 10,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            adaptation: Warmup::default(),
        }
    }
}

impl Method for Nuts {
    type Kernel = NutsKernel;
    type Adaptation = HamiltonianAdaptation;

    const NAME: &'static str = "nuts";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        check((1..=20).contains(&self.max_tree_depth), "max_tree_depth", &self.max_tree_depth, "from 1 to 20")?;
        positive("max_energy_error", self.max_energy_error)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (NutsKernel, HamiltonianAdaptation) {
        let kernel = NutsKernel {
            metric: self.adaptation.initial_metric(),
            step_size: self.adaptation.initial_step_size(),
            max_tree_depth: self.max_tree_depth,
            max_energy_error: self.max_energy_error,
            integrator: self.integrator,
            arena: Arena::default(),
        };
        (kernel, HamiltonianAdaptation::new(&self.adaptation, self.target_acceptance, context))
    }
}

/// The transition of [`Nuts`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NutsKernel {
    metric: Metric,
    step_size: f64,
    max_tree_depth: usize,
    max_energy_error: f64,
    integrator: Integrator,
    #[serde(skip)]
    arena: Arena,
}

/// What a step of [`Nuts`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct NutsInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Mean of min(1, exp(H₀ − H)) over the new points of the trajectory, those of a rejected half included.
    pub acceptance_rate: f64,
    /// Mean of 2 min(1, w) / (1 + w) with w = exp(H₀ − H) over the same points: it falls as the energy moves either way, so that points
    /// below the start do not make up for those above it.
    pub symmetric_acceptance_rate: f64,
    /// Step size ε.
    pub step_size: f64,
    /// Doublings that entered the trajectory.
    pub tree_depth: usize,
    /// Steps of the trajectory, those of a rejected half included.
    pub n_steps: usize,
    /// Whether the trajectory was cut by its depth, before it turned.
    pub reached_max_treedepth: bool,
    /// Whether the energy error exceeded its limit.
    pub diverging: bool,
    /// Hamiltonian of the new state, with its momentum, in nats.
    pub energy: f64,
    /// Hamiltonian of the new state less that of the start, in nats.
    pub energy_error: f64,
    /// The energy error that is largest in absolute value over the trajectory, in nats; infinite outside the support.
    pub max_energy_error: f64,
    /// Number of the new state in the trajectory, 0 for the start, negative backwards in time.
    pub index_in_trajectory: i64,
}

impl Info for NutsInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("acceptance_rate"),
        Field::real("symmetric_acceptance_rate"),
        Field::real("step_size"),
        Field::integer("tree_depth"),
        Field::integer("n_steps"),
        Field::flag("reached_max_treedepth"),
        Field::flag("diverging"),
        Field::real("energy"),
        Field::real("energy_error"),
        Field::real("max_energy_error"),
        Field::integer("index_in_trajectory"),
    ];

    fn write(&self, row: &mut [f64]) {
        row.copy_from_slice(&[
            self.log_density,
            self.acceptance_rate,
            self.symmetric_acceptance_rate,
            self.step_size,
            self.tree_depth as f64,
            self.n_steps as f64,
            f64::from(u8::from(self.reached_max_treedepth)),
            f64::from(u8::from(self.diverging)),
            self.energy,
            self.energy_error,
            self.max_energy_error,
            self.index_in_trajectory as f64,
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
        self.reached_max_treedepth
    }
}

impl Kernel for NutsKernel {
    type State = GradientState;
    type Info = NutsInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        GradientState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<NutsInfo, EvaluationError> {
        let mut trajectory = Trajectory {
            density,
            metric: &self.metric,
            leaper: self.integrator,
            step_size: self.step_size,
            max_energy_error: self.max_energy_error,
            rng,
            progress: Progress::default(),
        };
        let Found { index, energy } = trajectory.grow(&mut self.arena, self.max_tree_depth, state)?;
        let progress = trajectory.progress;
        Ok(NutsInfo {
            log_density: state.log_density,
            acceptance_rate: progress.acceptance_sum / progress.n_leaps as f64,
            symmetric_acceptance_rate: progress.symmetric_sum / progress.n_leaps as f64,
            step_size: self.step_size,
            tree_depth: progress.depth,
            n_steps: progress.n_leaps,
            reached_max_treedepth: progress.depth == self.max_tree_depth && !progress.turning,
            diverging: progress.diverging,
            energy,
            energy_error: energy - progress.initial_energy,
            max_energy_error: progress.max_energy_error,
            index_in_trajectory: index,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size)]
    }

    fn free_scratch(&mut self) {
        self.arena = Arena::default();
    }
}

impl HamiltonianKernel for NutsKernel {
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

    fn symmetric_acceptance_rate(info: &NutsInfo) -> f64 {
        info.symmetric_acceptance_rate
    }

    fn is_informative(info: &NutsInfo) -> bool {
        // A diverging trajectory often stays where it began; a point near its start says little about the posterior's scale.
        let distance = info.index_in_trajectory.unsigned_abs();
        if info.diverging { distance > 4 } else { distance > 0 }
    }
}
