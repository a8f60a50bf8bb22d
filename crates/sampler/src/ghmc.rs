//! Sample by generalised Hamiltonian Monte Carlo: single integrator steps, a momentum that persists, and slice acceptance.
//!
//! A transition repeats: refresh the momentum partially, p ← e^(−t/L) p + √(1 − e^(−2t/L)) n with n ~ N(0, M); take one step of the
//! integrator; accept it, or stay and turn the momentum round, p ← −p (Horowitz 1991). Turned momenta undo progress, so the accept step
//! is Neal's (2020, arXiv 2001.11950), which is not reversible: with a slice variable s on (−1, 1) that drifts slowly, a step of energy
//! error ΔE is accepted when |s| exp(ΔE) < 1, and s becomes s exp(ΔE). Rejections then come together, and momenta persist for long.
//!
//! Exactness needs the flip on rejection, the slice variable in the state, and a momentum of the metric that is used: the state holds it
//! in units of its own standard deviation, z = Lᵀp with M⁻¹ = LLᵀ, so that it is N(0, I) under every metric, and one that changes
//! during warm-up leaves it right. Gradients a stored draw: `steps_per_draw` times those of a step.

use crate::adaptation::{HamiltonianAdaptation, Warmup};
use crate::settings::{check, positive};
use crate::slice::{accepted_slice, draw_slice, drifted, steps_between_refreshments};
use crate::vector::add_scaled;
use crate::{
    BuildContext, ChainState, GradientState, HamiltonianKernel, Integrator, Kernel, Method, Metric, PhasePoint, SettingsError,
    StepwiseInfo,
};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// Settings of generalised Hamiltonian Monte Carlo.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Ghmc, Run, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let run = Run { chains: 2, warmup: 200, draws: 100, ..Run::default() };
/// let draws = sample(&normal, &Ghmc { steps_per_draw: 4, ..Ghmc::default() }, &run)?;
/// assert_eq!(draws.num_draws(), 200);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ghmc {
    /// Time L after which the momentum is forgotten, in units of the adapted metric: it keeps the share e^(−t/L) over a time t. 3 by
    /// default, half the period of a normal that the metric matches: shorter is better for its scale, longer for its mean and for
    /// correlated posteriors. Infinity refreshes nothing, and is not ergodic.
    pub decoherence_time: f64,
    /// Integrator steps from one stored draw to the next; 8 by default, as for [`SliceGhmc`](crate::SliceGhmc).
    pub steps_per_draw: usize,
    /// Acceptance probability of one step that warm-up aims at; 0.95 by default: between 0.9 and 0.95 normals, hierarchical models and
    /// small networks give most effective draws a gradient.
    pub target_acceptance: f64,
    /// Energy error, in nats, above which a step counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// How step size and metric are found.
    pub adaptation: Warmup,
}

impl Default for Ghmc {
    fn default() -> Self {
        Self {
            decoherence_time: 3.0,
            steps_per_draw: 8,
            target_acceptance: 0.95,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            adaptation: Warmup::default(),
        }
    }
}

impl Method for Ghmc {
    type Kernel = GhmcKernel;
    type Adaptation = HamiltonianAdaptation;

    const NAME: &'static str = "ghmc";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        check(self.decoherence_time > 0.0, "decoherence_time", &self.decoherence_time, "positive")?;
        check(self.steps_per_draw >= 1, "steps_per_draw", &self.steps_per_draw, "at least 1")?;
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        positive("max_energy_error", self.max_energy_error)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (GhmcKernel, HamiltonianAdaptation) {
        let kernel = GhmcKernel {
            metric: Metric::unit(),
            step_size: self.adaptation.initial_step_size(),
            decoherence_time: self.decoherence_time,
            steps_per_draw: self.steps_per_draw,
            max_energy_error: self.max_energy_error,
            integrator: self.integrator,
            points: [None, None],
        };
        (kernel, HamiltonianAdaptation::new(&self.adaptation, self.target_acceptance, context))
    }
}

/// Position, log density and gradient, the momentum in standard units, and the slice variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MomentumState {
    /// Position, log density and gradient.
    pub point: GradientState,
    /// z = Lᵀp with M⁻¹ = LLᵀ, N(0, I) under the target; all zero before the first transition draws it.
    pub momentum: Vec<f64>,
    /// s, between −1 and 1; drawn with the first momentum.
    pub slice: f64,
}

impl MomentumState {
    fn has_momentum(&self) -> bool {
        self.momentum.iter().any(|z| *z != 0.0)
    }
}

impl ChainState for MomentumState {
    fn position(&self) -> &[f64] {
        &self.point.position
    }

    fn log_density(&self) -> f64 {
        self.point.log_density
    }

    fn gradient(&self) -> &[f64] {
        &self.point.gradient
    }
}

/// The transition of [`Ghmc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GhmcKernel {
    metric: Metric,
    step_size: f64,
    decoherence_time: f64,
    steps_per_draw: usize,
    max_energy_error: f64,
    integrator: Integrator,
    /// Where the chain is, and where a step would lead.
    #[serde(skip)]
    points: [Option<PhasePoint>; 2],
}

impl Kernel for GhmcKernel {
    type State = MomentumState;
    type Info = StepwiseInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<MomentumState, EvaluationError> {
        let momentum = vec![0.0; position.len()];
        Ok(MomentumState { point: GradientState::at(density, position)?, momentum, slice: 0.0 })
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut MomentumState,
        rng: &mut ChainRng,
    ) -> Result<StepwiseInfo, EvaluationError> {
        if !state.has_momentum() {
            state.momentum.iter_mut().for_each(|z| *z = rng.sample(StandardNormal));
            state.slice = draw_slice(rng);
        }
        let MomentumState { point: kept, momentum, slice } = state;
        let [point, proposal] = &mut self.points;
        let point = PhasePoint::reuse(point, kept.position.len(), &self.metric);
        let proposal = PhasePoint::reuse(proposal, kept.position.len(), &self.metric);
        point.set_position(&kept.position, &kept.gradient, kept.log_density);
        point.momentum.copy_from_slice(momentum);
        self.metric.scale_momentum(&mut point.momentum);

        let stretch = steps_between_refreshments(self.step_size, self.decoherence_time, self.steps_per_draw);
        let drift = self.step_size / (2.0 * self.decoherence_time);
        let (mut done, mut n_rejected, mut diverging) = (0, 0, false);
        let (mut energy_error, mut acceptance) = (0.0, 0.0);
        while done < self.steps_per_draw {
            let steps = stretch.min(self.steps_per_draw - done);
            // The noise is drawn where the next step's end will be written.
            self.metric.sample_momentum(rng, &mut proposal.momentum);
            let time = steps as f64 * self.step_size / self.decoherence_time;
            point.momentum.iter_mut().for_each(|p| *p *= (-time).exp());
            add_scaled(&mut point.momentum, (-(-2.0 * time).exp_m1()).sqrt(), &proposal.momentum);
            point.refresh_kinetic_energy(&self.metric);
            for _ in 0..steps {
                *slice = drifted(*slice, drift);
                self.integrator.step_from(density, &self.metric, self.step_size, point, proposal)?;
                let error = proposal.energy() - point.energy();
                acceptance += (-error).exp().min(1.0);
                diverging |= error > self.max_energy_error;
                if let Some(moved) = accepted_slice(*slice, error) {
                    *slice = moved;
                    energy_error += error;
                    std::mem::swap(point, proposal);
                } else {
                    point.reverse();
                    n_rejected += 1;
                }
            }
            done += steps;
        }
        point.exchange(kept);
        self.metric.standardise_momentum(&point.momentum, momentum);
        Ok(StepwiseInfo {
            log_density: kept.log_density,
            acceptance_rate: acceptance / done as f64,
            step_size: self.step_size,
            n_steps: done,
            n_rejected,
            diverging,
            energy_error,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size)]
    }
}

impl HamiltonianKernel for GhmcKernel {
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

    fn is_informative(info: &StepwiseInfo) -> bool {
        info.n_rejected < info.n_steps
    }
}
