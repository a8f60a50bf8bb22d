//! Sample by WALNUTS: the No-U-Turn sampler over macro steps, each refined where the posterior is narrow.
//!
//! A transition grows a trajectory by doublings as [`Nuts`](crate::Nuts) does, from points that lie a fixed time h apart. Each of these macro
//! steps is covered by 2^k steps of the integrator with the least k at which the energies on the way stay within δ of each other
//! (Bou-Rabee, Carpenter, Kleppe & Liu 2025, arXiv 2506.18746). A macro step whose far end would choose another k could not be
//! undone: it ends the trajectory, like a U-turn, and its point is not used. Next states are drawn from the trajectory with weights
//! exp(−H), as in NUTS. Exactness needs the check of the way back, and the same h and δ at every point. Gradients a macro step: 1 where
//! one step does; otherwise those of 2^k steps, of the attempts before, and of the attempts on the way back, which end where they fail.

use crate::adaptation::{HamiltonianAdaptation, Warmup};
use crate::macro_step::{MacroStep, Steps};
use crate::settings::{check, positive};
use crate::tree::{Arena, Found, Progress, Trajectory};
use crate::{
    BuildContext, GradientState, HamiltonianKernel, Info, Integrator, Kernel, Method, Metric, PhasePoint, SettingsError,
};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Settings of the within-orbit adaptive step-length No-U-Turn sampler.
///
/// For posteriors whose scales differ from place to place, such as funnels of hierarchical models; where they do not,
/// [`Nuts`](crate::Nuts) is cheaper.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Run, Walnuts, sample};
/// let funnel = density(2, |x: &[f64], gradient: &mut [f64]| {
///     let precision = (-x[0]).exp();
///     gradient[0] = -x[0] / 9.0 + 0.5 * x[1] * x[1] * precision - 0.5;
///     gradient[1] = -x[1] * precision;
///     -x[0] * x[0] / 18.0 - 0.5 * x[1] * x[1] * precision - 0.5 * x[0]
/// });
/// let draws = sample(&funnel, &Walnuts::default(), &Run { chains: 2, warmup: 200, draws: 100, ..Run::default() })?;
/// assert_eq!(draws.num_draws(), 200);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Walnuts {
    /// Mean of exp(−|ΔH|) over the first attempts at macro steps, of one integrator step each, that warm-up aims at by the length h of a
    /// macro step; 0.8 by default, as in the authors' program.
    pub target_acceptance: f64,
    /// Most spread δ of the energies within a macro step, in nats; 1 by default. With 0.5, as in the authors' program, normals and
    /// hierarchical models give a fifth fewer effective draws a gradient, and funnels about as many.
    pub energy_tolerance: f64,
    /// Most halvings of a macro step, from 0 to 20; 10 by default, as in the paper's experiments: at most 1024 steps.
    pub max_halvings: usize,
    /// Most doublings of a trajectory, from 1 to 20; 10 by default, as for [`Nuts`](crate::Nuts).
    pub max_tree_depth: usize,
    /// Energy error, in nats, above which a trajectory counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// How the length of macro steps and the metric are found.
    pub adaptation: Warmup,
}

impl Default for Walnuts {
    fn default() -> Self {
        Self {
            target_acceptance: 0.8,
            energy_tolerance: 1.0,
            max_halvings: 10,
            max_tree_depth: 10,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            adaptation: Warmup::default(),
        }
    }
}

impl Method for Walnuts {
    type Kernel = WalnutsKernel;
    type Adaptation = HamiltonianAdaptation;

    const NAME: &'static str = "walnuts";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        positive("energy_tolerance", self.energy_tolerance)?;
        check(self.max_halvings <= 20, "max_halvings", &self.max_halvings, "from 0 to 20")?;
        check((1..=20).contains(&self.max_tree_depth), "max_tree_depth", &self.max_tree_depth, "from 1 to 20")?;
        positive("max_energy_error", self.max_energy_error)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (WalnutsKernel, HamiltonianAdaptation) {
        let kernel = WalnutsKernel {
            metric: Metric::unit(),
            step_size: self.adaptation.initial_step_size(),
            energy_tolerance: self.energy_tolerance,
            max_halvings: self.max_halvings,
            max_tree_depth: self.max_tree_depth,
            max_energy_error: self.max_energy_error,
            integrator: self.integrator,
            arena: Arena::default(),
            scratch: None,
        };
        (kernel, HamiltonianAdaptation::new(&self.adaptation, self.target_acceptance, context))
    }
}

/// The transition of [`Walnuts`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WalnutsKernel {
    metric: Metric,
    step_size: f64,
    energy_tolerance: f64,
    max_halvings: usize,
    max_tree_depth: usize,
    max_energy_error: f64,
    integrator: Integrator,
    #[serde(skip)]
    arena: Arena,
    #[serde(skip)]
    scratch: Option<PhasePoint>,
}

/// What a step of [`Walnuts`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct WalnutsInfo {
    /// Log density of the state after the step, in nats.
    pub log_density: f64,
    /// Mean of exp(−|ΔH|) over the first attempts at the trajectory's macro steps, of one integrator step each.
    pub acceptance_rate: f64,
    /// Length h of a macro step.
    pub step_size: f64,
    /// Doublings that entered the trajectory.
    pub tree_depth: usize,
    /// Integrator steps, those of failed attempts and of ways back too.
    pub n_steps: usize,
    /// Macro steps of the trajectory, those of a rejected half included.
    pub n_macro_steps: usize,
    /// Macro steps that one integrator step did not cover.
    pub n_refined: usize,
    /// Whether the trajectory ended at a macro step that could not be undone.
    pub irreversible: bool,
    /// Whether the trajectory was cut by its depth, before it turned.
    pub reached_max_treedepth: bool,
    /// Whether no allowed number of steps conserved the energy over a macro step, or the trajectory's energy error exceeded its limit.
    pub diverging: bool,
    /// Hamiltonian of the new state, with its momentum, in nats.
    pub energy: f64,
    /// Hamiltonian of the new state less that of the start, in nats.
    pub energy_error: f64,
    /// The energy error of a usable point that is largest in absolute value over the trajectory, in nats.
    pub max_energy_error: f64,
    /// Number of the new state in the trajectory, 0 for the start, negative backwards in time.
    pub index_in_trajectory: i64,
}

impl Info for WalnutsInfo {
    const FIELDS: &'static [Field] = &[
        Field::real("lp"),
        Field::real("acceptance_rate"),
        Field::real("step_size"),
        Field::integer("tree_depth"),
        Field::integer("n_steps"),
        Field::integer("n_macro_steps"),
        Field::integer("n_refined"),
        Field::flag("irreversible"),
        Field::flag("reached_max_treedepth"),
        Field::flag("diverging"),
        Field::real("energy"),
        Field::real("energy_error"),
        Field::real("max_energy_error"),
        Field::integer("index_in_trajectory"),
    ];

    fn write(&self, row: &mut [f64]) {
        let flag = |flag: bool| f64::from(u8::from(flag));
        row.copy_from_slice(&[
            self.log_density,
            self.acceptance_rate,
            self.step_size,
            self.tree_depth as f64,
            self.n_steps as f64,
            self.n_macro_steps as f64,
            self.n_refined as f64,
            flag(self.irreversible),
            flag(self.reached_max_treedepth),
            flag(self.diverging),
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

impl Kernel for WalnutsKernel {
    type State = GradientState;
    type Info = WalnutsInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        GradientState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<WalnutsInfo, EvaluationError> {
        let mut trajectory = Trajectory {
            density,
            metric: &self.metric,
            leaper: MacroStep {
                integrator: self.integrator,
                tolerance: self.energy_tolerance,
                max_halvings: self.max_halvings,
                scratch: PhasePoint::reuse(&mut self.scratch, state.position.len(), &self.metric),
                found: Steps::default(),
            },
            step_size: self.step_size,
            max_energy_error: self.max_energy_error,
            rng,
            progress: Progress::default(),
        };
        let Found { index, energy } = trajectory.grow(&mut self.arena, self.max_tree_depth, state)?;
        let Trajectory { progress, leaper: MacroStep { found, .. }, .. } = trajectory;
        Ok(WalnutsInfo {
            log_density: state.log_density,
            acceptance_rate: found.first_acceptance_sum / progress.n_leaps as f64,
            step_size: self.step_size,
            tree_depth: progress.depth,
            n_steps: found.n_steps,
            n_macro_steps: progress.n_leaps,
            n_refined: found.n_refined,
            irreversible: found.irreversible,
            reached_max_treedepth: progress.depth == self.max_tree_depth && !progress.turning,
            diverging: found.unresolved || progress.diverging,
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
        (self.arena, self.scratch) = (Arena::default(), None);
    }
}

impl HamiltonianKernel for WalnutsKernel {
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

    fn is_informative(info: &WalnutsInfo) -> bool {
        info.index_in_trajectory != 0
    }
}
