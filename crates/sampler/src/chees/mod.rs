//! Sample by ChEES-HMC: Hamiltonian Monte Carlo with one step size and one trajectory length for all chains, found by all together.
//!
//! Transition n follows Hamilton's equations for N = ⌈hₙT / ε⌉ steps and accepts the end with probability min(1, exp(H₀ − H)), as
//! [`Hmc`](crate::Hmc) does; hₙ is the n-th point of Halton's sequence in base 2, the same for all chains, and depends on no state, so that
//! every transition is exact. In an early share of warm-up each chain finds the posterior by itself; then chains meet after every
//! iteration: T climbs the change in the estimator of the expected square (ChEES; Hoffman, Radul & Sountsov 2021), ε takes the harmonic
//! mean of the chains' acceptance rates to its target, and one diagonal metric is learnt from the draws and gradients of all. Gradients
//! a transition: N times those of a step, half of T / ε in the mean; chains take the same number of steps, which suits them to run side
//! by side.

mod adaptation;
mod criterion;

pub use adaptation::CheesAdaptation;

use crate::adaptation::{GradientBased, GradientMetricShape};
use crate::settings::{check, positive};
use crate::{
    BuildContext, GradientState, HamiltonianKernel, Hmc, HmcInfo, HmcKernel, Integrator, Kernel, Method, Metric, PhasePoint,
    SettingsError,
};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Settings of ChEES-HMC.
///
/// Made for many chains: the criterion holds each chain against the others' mean. Sixteen or more are better than four, which give it
/// four numbers an iteration to learn from; one chain alone has no mean to be held against, and keeps the first trajectory length.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Chees, Run, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let draws = sample(&normal, &Chees::default(), &Run { chains: 16, warmup: 200, draws: 50, ..Run::default() })?;
/// let lengths: Vec<f64> = draws.report.chains.iter().map(|chain| chain.tuned["trajectory_length"]).collect();
/// assert!(lengths.iter().all(|length| *length == lengths[0]), "one length for all");
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chees {
    /// Harmonic mean of the chains' acceptance probabilities that warm-up aims at; 0.651 by default, best for trajectories of a given
    /// length in high dimension (Beskos et al. 2013), as in the paper.
    pub target_acceptance: f64,
    /// Trajectory length T that warm-up begins with, in units of time of the adapted metric; π by default, so that the mean length is a
    /// quarter of the period of a normal whose covariance the metric matches.
    pub first_trajectory_length: f64,
    /// Least trajectory length T; 0.5 by default, below which trajectories diffuse. One step is the least in any case.
    pub min_trajectory_length: f64,
    /// Greatest trajectory length T; 50 by default. `max_steps` steps are the most in any case.
    pub max_trajectory_length: f64,
    /// Rate of Adam on log T; 0.025 by default, that of TensorFlow Probability.
    pub learning_rate: f64,
    /// Most steps of a trajectory; 1000 by default, as in the paper.
    pub max_steps: usize,
    /// Energy error, in nats, above which a trajectory counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// How the metric that all chains share is learnt, and when they begin to share: after its early share. Windows count the draws of
    /// one chain.
    pub metric: GradientBased,
}

impl Default for Chees {
    fn default() -> Self {
        Self {
            target_acceptance: 0.651,
            first_trajectory_length: std::f64::consts::PI,
            min_trajectory_length: 0.5,
            max_trajectory_length: 50.0,
            learning_rate: 0.025,
            max_steps: 1000,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            metric: GradientBased::default(),
        }
    }
}

impl Method for Chees {
    type Kernel = CheesKernel;
    type Adaptation = CheesAdaptation;

    const NAME: &'static str = "chees";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        let open = self.target_acceptance > 0.0 && self.target_acceptance < 1.0;
        check(open, "target_acceptance", &self.target_acceptance, "between 0 and 1, both excluded")?;
        positive("min_trajectory_length", self.min_trajectory_length)?;
        positive("max_trajectory_length", self.max_trajectory_length)?;
        let (least, most) = (self.min_trajectory_length, self.max_trajectory_length);
        check(most >= least, "max_trajectory_length", &most, "at least min_trajectory_length")?;
        let between = (least..=most).contains(&self.first_trajectory_length);
        check(between, "first_trajectory_length", &self.first_trajectory_length, "between the least and the greatest")?;
        positive("learning_rate", self.learning_rate)?;
        check(self.max_steps >= 1, "max_steps", &self.max_steps, "at least 1")?;
        positive("max_energy_error", self.max_energy_error)?;
        let shape = &self.metric.metric;
        check(*shape == GradientMetricShape::Diagonal, "metric.metric", shape, "diagonal, which chains can share")?;
        self.metric.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (CheesKernel, CheesAdaptation) {
        let hmc = Hmc {
            trajectory_length: self.first_trajectory_length,
            max_steps: self.max_steps,
            max_energy_error: self.max_energy_error,
            integrator: self.integrator,
            ..Hmc::default()
        };
        (CheesKernel { hmc: hmc.build(context).0, transitions: 0 }, CheesAdaptation::new(self, context))
    }
}

/// The transition of [`Chees`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheesKernel {
    hmc: HmcKernel,
    /// Transitions so far: the place in Halton's sequence.
    transitions: u64,
}

/// Point n of Halton's sequence in base 2, from n = 1: the binary digits of n, mirrored at the point.
fn halton(n: u64) -> f64 {
    n.reverse_bits() as f64 / 2f64.powi(64)
}

impl CheesKernel {
    /// The trajectory length T; that of a transition is h T with h on (0, 1).
    #[must_use]
    pub fn trajectory_length(&self) -> f64 {
        self.hmc.trajectory_length()
    }

    /// Sets the trajectory length T, positive and finite.
    pub fn set_trajectory_length(&mut self, trajectory_length: f64) {
        self.hmc.set_trajectory_length(trajectory_length);
    }

    /// The share h of the trajectory length in the last transition.
    fn last_share(&self) -> f64 {
        halton(self.transitions)
    }

    fn left_behind(&self) -> Option<&PhasePoint> {
        self.hmc.left_behind()
    }
}

impl Kernel for CheesKernel {
    type State = GradientState;
    type Info = HmcInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
        self.hmc.init(density, position)
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<HmcInfo, EvaluationError> {
        self.transitions += 1;
        let share = self.last_share();
        self.hmc.trajectory(density, state, rng, |_| share)
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size()), ("trajectory_length", self.trajectory_length())]
    }
}

impl HamiltonianKernel for CheesKernel {
    fn integrator(&self) -> Integrator {
        self.hmc.integrator()
    }

    fn step_size(&self) -> f64 {
        self.hmc.step_size()
    }

    fn set_step_size(&mut self, step_size: f64) {
        self.hmc.set_step_size(step_size);
    }

    fn metric(&self) -> &Metric {
        self.hmc.metric()
    }

    fn metric_mut(&mut self) -> &mut Metric {
        self.hmc.metric_mut()
    }

    fn is_informative(info: &HmcInfo) -> bool {
        info.accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haltons_sequence_fills_the_interval() {
        let first: Vec<f64> = (1..8).map(halton).collect();
        assert_eq!(first, [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]);
        assert!((1..10_000).map(halton).all(|h| h > 0.0 && h < 1.0));
    }

    #[test]
    fn lengths_out_of_order_are_refused_by_name() {
        let refused = |method: Chees| method.validate().unwrap_err().setting;
        assert!(Chees::default().validate().is_ok());
        assert_eq!(refused(Chees { max_trajectory_length: 0.1, ..Chees::default() }), "max_trajectory_length");
        assert_eq!(refused(Chees { first_trajectory_length: 60.0, ..Chees::default() }), "first_trajectory_length");
        assert_eq!(refused(Chees { learning_rate: f64::NAN, ..Chees::default() }), "learning_rate");
    }
}
