//! Sample by the Metropolis-adjusted Langevin algorithm (MALA): single leapfrog steps, each with a fresh momentum.
//!
//! One step draws p ~ N(0, M), takes one leapfrog step of size ε, x' = x + ½ε² M⁻¹∇log π(x) + ε M⁻¹p, and accepts it with probability
//! min(1, exp(H − H')): that is Langevin's proposal with its Metropolis–Hastings ratio, for p' is the noise that leads back (Roberts &
//! Tweedie 1996; Neal 2011, section 5.2). It diffuses, where Hamiltonian trajectories travel: use it as a reference, for one step is all
//! that can go wrong. Gradients a stored draw: `steps_per_draw`.

use crate::adaptation::{HamiltonianAdaptation, Warmup};
use crate::settings::{check, positive};
use crate::{
    BuildContext, GradientState, HamiltonianKernel, Integrator, Kernel, Method, Metric, PhasePoint, SettingsError, StepwiseInfo,
};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Settings of the Metropolis-adjusted Langevin algorithm.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Mala, Run, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let run = Run { chains: 2, warmup: 200, draws: 100, ..Run::default() };
/// let draws = sample(&normal, &Mala { steps_per_draw: 16, ..Mala::default() }, &run)?;
/// assert_eq!(draws.num_draws(), 200);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mala {
    /// Steps, each with its own momentum and accept step, from one stored draw to the next; 8 by default, as for
    /// [`Ghmc`](crate::Ghmc).
    pub steps_per_draw: usize,
    /// Acceptance probability of one step that warm-up aims at; 0.574 is best in high dimension (Roberts & Rosenthal 1998).
    pub target_acceptance: f64,
    /// Energy error, in nats, above which a step counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How step size and metric are found.
    pub adaptation: Warmup,
}

impl Default for Mala {
    fn default() -> Self {
        Self { steps_per_draw: 8, target_acceptance: 0.574, max_energy_error: 1000.0, adaptation: Warmup::default() }
    }
}

impl Method for Mala {
    type Kernel = MalaKernel;
    type Adaptation = HamiltonianAdaptation;

    const NAME: &'static str = "mala";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        check(self.steps_per_draw >= 1, "steps_per_draw", &self.steps_per_draw, "at least 1")?;
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        positive("max_energy_error", self.max_energy_error)?;
        self.adaptation.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (MalaKernel, HamiltonianAdaptation) {
        let kernel = MalaKernel {
            metric: Metric::unit(),
            step_size: self.adaptation.initial_step_size(),
            steps_per_draw: self.steps_per_draw,
            max_energy_error: self.max_energy_error,
            points: [None, None],
        };
        (kernel, HamiltonianAdaptation::new(&self.adaptation, self.target_acceptance, context))
    }
}

/// The transition of [`Mala`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MalaKernel {
    metric: Metric,
    step_size: f64,
    steps_per_draw: usize,
    max_energy_error: f64,
    /// Where the chain is, and where a step would lead.
    #[serde(skip)]
    points: [Option<PhasePoint>; 2],
}

impl Kernel for MalaKernel {
    type State = GradientState;
    type Info = StepwiseInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        GradientState::at(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<StepwiseInfo, EvaluationError> {
        let [point, proposal] = &mut self.points;
        let point = PhasePoint::reuse(point, state.position.len(), &self.metric);
        let proposal = PhasePoint::reuse(proposal, state.position.len(), &self.metric);
        point.set_position(&state.position, &state.gradient, state.log_density);
        let (mut n_rejected, mut diverging) = (0, false);
        let (mut energy_error, mut acceptance) = (0.0, 0.0);
        for _ in 0..self.steps_per_draw {
            point.draw_momentum(&self.metric, rng);
            Integrator::Leapfrog.step_from(density, &self.metric, self.step_size, point, proposal)?;
            let error = proposal.energy() - point.energy();
            let probability = (-error).exp().min(1.0);
            acceptance += probability;
            diverging |= error > self.max_energy_error;
            if rng.random::<f64>() < probability {
                energy_error += error;
                std::mem::swap(point, proposal);
            } else {
                n_rejected += 1;
            }
        }
        point.exchange(state);
        Ok(StepwiseInfo {
            log_density: state.log_density,
            acceptance_rate: acceptance / self.steps_per_draw as f64,
            step_size: self.step_size,
            n_steps: self.steps_per_draw,
            n_rejected,
            diverging,
            energy_error,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size)]
    }
}

impl HamiltonianKernel for MalaKernel {
    fn integrator(&self) -> Integrator {
        Integrator::Leapfrog
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
