//! Tune ChEES-HMC: a step size, a trajectory length and a metric for all chains, at meetings after every warm-up iteration.

use super::criterion::{Ends, harmonic_mean, slope};
use super::{Chees, CheesKernel};
use crate::adaptation::{DualAveraging, FIRST_STEP_SIZE, GradientMetric, find_step_size};
use crate::{Adaptation, BuildContext, ChainError, GradientState, HamiltonianKernel, HmcInfo, Meeting, Meetings, Member};
use ergodic_model::{ChainRng, LogDensity};
use serde::{Deserialize, Serialize};

/// Acceptance probability that each chain aims at while it looks for the posterior; Stan's.
const EARLY_ACCEPTANCE: f64 = 0.8;
/// Decay of Adam's mean square; TensorFlow Probability's.
const BETA: f64 = 0.95;
/// Most that log T moves at one meeting; BlackJAX's.
const MAX_CHANGE: f64 = 0.35;

/// Tunes [`Chees`]: one step size, trajectory length and metric for all chains, found at meetings after every iteration.
///
/// In the early share of warm-up, while chains still look for the posterior, each goes its own way with the first trajectory length, a
/// step size of its own and a metric from its own draws: one that is late would otherwise hold up all others, and have their metric
/// where it is of no use. From then on each chain brings its last trajectory and the moments of its own draws and gradients; a meeting
/// adds them up in the chains' order.
/// Memory a chain: 15 vectors of its dimension, for the moments of draws and gradients, the last trajectory, and means. Everything is
/// fixed after warm-up but Halton's sequence, which goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheesAdaptation {
    target: f64,
    lengths: Lengths,
    averaging: DualAveraging,
    metric: GradientMetric,
    /// Whether the chain has searched a step size under a metric that it learnt.
    is_learnt: bool,
    /// Whether a new estimate of the metric is due.
    is_due: bool,
    last: Option<Trajectory>,
    /// Room for means of positions.
    #[serde(skip)]
    means: [Vec<f64>; 2],
}

/// The last trajectory of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Trajectory {
    start: Vec<f64>,
    end: Vec<f64>,
    momentum: Vec<f64>,
    acceptance_rate: f64,
    /// h T.
    length: f64,
}

/// The trajectory length T, which climbs its criterion by Adam without momentum, on log T.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Lengths {
    first: f64,
    range: (f64, f64),
    max_steps: f64,
    rate: f64,
    log_length: f64,
    log_average: f64,
    mean_square: f64,
    count: i32,
}

impl Lengths {
    fn restart(&mut self) {
        let log_length = self.first.ln();
        *self = Self { log_length, log_average: log_length, mean_square: 0.0, count: 0, ..*self };
    }

    /// Climbs by `slope`, to a length that has a step and at most the allowed number of them.
    fn update(&mut self, slope: f64, step_size: f64) {
        self.count += 1;
        self.mean_square += (1.0 - BETA) * (slope * slope - self.mean_square);
        let scale = (self.mean_square / (1.0 - BETA.powi(self.count))).sqrt();
        if scale > 0.0 && scale.is_finite() {
            self.log_length += (self.rate * slope / scale).clamp(-MAX_CHANGE, MAX_CHANGE);
        }
        self.log_length = self.within(self.log_length.exp(), step_size).ln();
        self.log_average += (self.log_length - self.log_average) / f64::from(self.count).sqrt();
    }

    fn within(&self, length: f64, step_size: f64) -> f64 {
        length.clamp(self.range.0, self.range.1).min(self.max_steps * step_size).max(step_size)
    }
}

impl CheesAdaptation {
    pub(super) fn new(settings: &Chees, context: &BuildContext<'_>) -> Self {
        let mut lengths = Lengths {
            first: settings.first_trajectory_length,
            range: (settings.min_trajectory_length, settings.max_trajectory_length),
            max_steps: settings.max_steps as f64,
            rate: settings.learning_rate,
            log_length: 0.0,
            log_average: 0.0,
            mean_square: 0.0,
            count: 0,
        };
        lengths.restart();
        Self {
            target: settings.target_acceptance,
            lengths,
            averaging: DualAveraging::new(EARLY_ACCEPTANCE, FIRST_STEP_SIZE),
            metric: GradientMetric::new(&settings.metric, context),
            is_learnt: false,
            is_due: false,
            last: None,
            means: Default::default(),
        }
    }

    fn search(
        &mut self,
        kernel: &mut CheesKernel,
        density: &mut dyn LogDensity,
        state: &GradientState,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        find_step_size(kernel, density, state, rng)?;
        self.averaging = DualAveraging::new(EARLY_ACCEPTANCE, kernel.step_size());
        Ok(())
    }

    /// Keeps what the meeting needs of the last trajectory.
    fn remember(&mut self, kernel: &CheesKernel, state: &GradientState, info: &HmcInfo) {
        let Some(other) = kernel.left_behind() else { return };
        let dim = state.position.len();
        let zeros = || vec![0.0; dim];
        let last = self.last.get_or_insert_with(|| Trajectory {
            start: zeros(),
            end: zeros(),
            momentum: zeros(),
            acceptance_rate: 0.0,
            length: 0.0,
        });
        let (start, end) = if info.accepted { (&other.position, &state.position) } else { (&state.position, &other.position) };
        last.start.copy_from_slice(start);
        last.end.copy_from_slice(end);
        last.momentum.copy_from_slice(&other.momentum);
        last.acceptance_rate = info.acceptance_rate;
        last.length = kernel.last_share() * kernel.trajectory_length();
    }

    /// Moves the step size and the trajectory length by what the chains' last trajectories say.
    fn learn(members: &mut [Member<'_, CheesKernel, Self>]) {
        let mut means = std::mem::take(&mut members[0].adaptation.means);
        let last = members.iter().filter_map(|member| member.adaptation.last.as_ref());
        let rate = harmonic_mean(last.clone().map(|last| last.acceptance_rate));
        let length = last.clone().next().map_or(0.0, |last| last.length);
        let ends = last.map(|last| Ends {
            start: &last.start,
            end: &last.end,
            momentum: &last.momentum,
            acceptance_rate: last.acceptance_rate,
        });
        // The metric is diagonal from the first; a unit one would have moved nobody.
        let inverse_mass = members[0].kernel.metric().diagonal_alone().unwrap_or(&[]);
        let slope = slope(ends, length, inverse_mass, &mut means);
        let first = &mut members[0].adaptation;
        first.averaging.update(rate);
        if let Some(slope) = slope {
            first.lengths.update(slope, first.averaging.step_size());
        }
        first.means = means;
    }

    /// Sets every chain's metric to that of all draws, or to the geometric mean of their first ones while there are no draws.
    fn share_metric(members: &mut [Member<'_, CheesKernel, Self>]) {
        let has_draws = members.iter().any(|member| member.adaptation.metric.has_estimate());
        for i in 0..members[0].state.position.len() {
            let shared = if has_draws {
                let old = variances(&mut members[0])[i];
                GradientMetric::pooled(members.iter().map(|member| &member.adaptation.metric), i, old)
            } else {
                let logs = members.iter_mut().map(|member| variances(member)[i].ln()).sum::<f64>();
                (logs / members.len() as f64).exp()
            };
            members.iter_mut().for_each(|member| variances(member)[i] = shared);
        }
        members.iter_mut().for_each(|member| member.adaptation.is_due = false);
    }

    /// Ends the early share: the chains take the geometric mean of their step sizes, and learn together from here.
    fn begin_together(members: &mut [Member<'_, CheesKernel, Self>]) {
        let mean = members.iter().map(|member| member.adaptation.averaging.average().ln()).sum::<f64>() / members.len() as f64;
        let first = &mut members[0].adaptation;
        first.averaging = DualAveraging::near(first.target, mean.exp());
        first.lengths.restart();
    }
}

/// The diagonal of a chain's M⁻¹.
fn variances<'a>(member: &'a mut Member<'_, CheesKernel, CheesAdaptation>) -> &'a mut [f64] {
    member.kernel.metric_mut().diagonal_mut(member.adaptation.metric.prior_variances())
}

impl Adaptation<CheesKernel> for CheesAdaptation {
    fn init(
        &mut self,
        kernel: &mut CheesKernel,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        self.metric.start(&state.gradient, kernel.metric_mut());
        self.search(kernel, density, state, rng)
    }

    fn update(
        &mut self,
        kernel: &mut CheesKernel,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        info: &HmcInfo,
        iteration: usize,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        if iteration >= self.metric.early_end() {
            self.remember(kernel, state, info);
            self.is_due = self.metric.learn(iteration, &state.position, &state.gradient, info.accepted);
            return Ok(());
        }
        self.averaging.update(info.acceptance_rate);
        kernel.set_step_size(self.averaging.step_size());
        let changed = self.metric.update(iteration, &state.position, &state.gradient, info.accepted, kernel.metric_mut());
        if changed && !self.is_learnt {
            self.is_learnt = true;
            kernel.set_step_size(FIRST_STEP_SIZE);
            self.search(kernel, density, state, rng)?;
        }
        Ok(())
    }

    fn finalize(&mut self, kernel: &mut CheesKernel) {
        let step_size = self.averaging.average();
        kernel.set_step_size(step_size);
        kernel.set_trajectory_length(self.lengths.within(self.lengths.log_average.exp(), step_size));
    }

    fn meetings(&self, _warmup: usize) -> Meetings {
        Meetings::EVERY_ITERATION
    }

    fn meet(meeting: &mut Meeting, members: &mut [Member<'_, CheesKernel, Self>]) {
        let early_end = members.first().map_or(0, |member| member.adaptation.metric.early_end());
        if members.is_empty() || meeting.iteration() < early_end {
            return;
        }
        let is_first = meeting.iteration() == early_end;
        if is_first {
            Self::begin_together(members);
        } else {
            Self::learn(members);
        }
        if is_first || members.iter().any(|member| member.adaptation.is_due) {
            Self::share_metric(members);
        }
        let CheesAdaptation { lengths, averaging, .. } = &members[0].adaptation;
        let (lengths, averaging) = (*lengths, averaging.clone());
        let length = lengths.within(lengths.log_length.exp(), averaging.step_size());
        for Member { kernel, adaptation, .. } in members {
            kernel.set_step_size(averaging.step_size());
            kernel.set_trajectory_length(length);
            adaptation.averaging.clone_from(&averaging);
            adaptation.lengths = lengths;
        }
    }
}
