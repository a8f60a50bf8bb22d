//! Tune an unadjusted kernel: the step size at which the variance of energy errors has its target, then a check that it stays there.
//!
//! The bias of an unadjusted microcanonical chain follows the variance of the energy error of a step, per dimension, which is
//! proportional to ε⁶ (Robnik, De Luca, Silverstein & Seljak 2023). The running estimator of that factor of proportionality gives errors
//! far from the target less weight (Robnik et al.'s, as in BlackJAX). What is kept is the geometric mean of the step sizes of the second
//! half of the tuning: the last one alone is off by 16 to 25 %, however long the tuning.

use super::energy_watch::EnergyWatch;
use super::mclmc::MclmcKernel;
use super::scaling::{ScaleEstimator, Scaling, share_scales};
use super::step_size::find_step_size;
use super::{MicrocanonicalKernel, MicrocanonicalState};
use crate::settings::{check, positive};
use crate::{Adaptation, BuildContext, ChainError, ExtensionReason, Meeting, Meetings, Member, SettingsError};
use ergodic_model::{ChainRng, LogDensity};
use serde::{Deserialize, Serialize};

/// Width of the weights, in units of the logarithm of a variance over its target: Robnik et al.'s 6 · 1.5.
const TRUST: f64 = 9.0;
/// Variance over target below which all errors have the same weight.
const FLOOR: f64 = 1e-8;
/// Weight of the first step size, which the search found from one step.
const FIRST_WEIGHT: f64 = 0.01;
/// What a step that was not finite multiplies the largest step size by.
const SHRINK: f64 = 0.8;
/// What each finite step multiplies it by: a limit is forgotten after some hundred steps.
const RECOVERY: f64 = 1.005;
/// What the step size is multiplied by when the check finds too large a variance.
pub(crate) const REPAIR: f64 = 0.7;
/// Gradients of one leg of the check, if that is no more than a third of the warm-up.
const CHECK_GRADIENTS: usize = 1000;
/// Most integrator steps of one iteration of tuning.
const TUNING_STEPS: usize = 8;
/// What the energy error of a step that was not finite counts as, in nats² per dimension: that of a step at the edge of stability.
pub(crate) const NOT_FINITE: f64 = 1.0;

/// Variance of the energy error of one step per dimension, E(ΔE²)/D, that warm-up aims at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergyVarianceTarget {
    /// One target throughout.
    Constant(f64),
    /// A target that falls linearly during the tuning.
    Falling {
        /// The first target.
        from: f64,
        /// The last, which the check holds the chain to.
        to: f64,
    },
}

impl EnergyVarianceTarget {
    /// 5·10⁻⁴, BlackJAX's: predictive standard deviations of small networks within 1 to 2 %.
    #[must_use]
    pub fn strict() -> Self {
        Self::Constant(5e-4)
    }

    /// From 0.5 to 0.1, the schedule of MILE (Sommer et al. 2025): twice the steps, and predictive standard deviations that may be a
    /// third too large.
    #[must_use]
    pub fn loose() -> Self {
        Self::Falling { from: 0.5, to: 0.1 }
    }

    /// The target at `share` of the tuning, from 0 to 1.
    fn at(self, share: f64) -> f64 {
        match self {
            Self::Constant(target) => target,
            Self::Falling { from, to } => from + (to - from) * share.clamp(0.0, 1.0),
        }
    }

    /// The target that sampling is held to.
    #[must_use]
    pub fn last(self) -> f64 {
        self.at(1.0)
    }
}

/// How an unadjusted kernel's step size is found during warm-up, and what it is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyVariance {
    /// Variance of the energy error per dimension that is aimed at; [`strict`](EnergyVarianceTarget::strict) by default.
    pub target: EnergyVarianceTarget,
    /// Gradients of the tuning, where it is to end before the last check; by default it does not, for chains that burn in have larger
    /// energy errors than they will have.
    pub tuning_gradients: Option<usize>,
    /// Steps that the running estimate remembers; 150 by default, BlackJAX's.
    pub memory: f64,
    /// Times the target above which the check multiplies the step size by 0.7, and above which a window of sampling is alarming; 5 by
    /// default, for leapfrog realises one to two times the target where it is stable.
    pub tolerance: f64,
    /// Whether an alarm while sampling multiplies the chain's step size by 0.7; true by default. The draws before it have the larger
    /// bias; the run's report says how many they are. Without it, the report names the alarm alone.
    pub repair_while_sampling: bool,
    /// A step size to keep as it is, instead of tuning; no alarm changes it.
    pub fixed_step_size: Option<f64>,
}

impl Default for EnergyVariance {
    fn default() -> Self {
        let target = EnergyVarianceTarget::strict();
        Self {
            target,
            tuning_gradients: None,
            memory: 150.0,
            tolerance: 5.0,
            repair_while_sampling: true,
            fixed_step_size: None,
        }
    }
}

impl EnergyVariance {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let (first, last) = (self.target.at(0.0), self.target.last());
        positive("adaptation.target", first)?;
        positive("adaptation.target", last)?;
        check(self.tuning_gradients != Some(0), "adaptation.tuning_gradients", &0, "at least 1")?;
        check(self.memory > 1.0 && self.memory.is_finite(), "adaptation.memory", &self.memory, "above 1 and finite")?;
        check(self.tolerance >= 1.0, "adaptation.tolerance", &self.tolerance, "at least 1")?;
        self.fixed_step_size.map_or(Ok(()), |step_size| positive("adaptation.fixed_step_size", step_size))
    }

    /// What judges the steps after warm-up.
    pub(crate) fn watch(&self, gradients_per_step: usize) -> EnergyWatch {
        let repairs = self.repair_while_sampling && self.fixed_step_size.is_none();
        EnergyWatch::new(self.tolerance * self.target.last(), gradients_per_step, repairs)
    }
}

/// The step size at which the variance of energy errors would have its target, from errors at any step sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Estimate {
    /// Decaying sums of weighted variances per dimension over ε⁶, and of their weights.
    sums: [f64; 2],
    decay: f64,
    /// The largest step size that is tried.
    limit: f64,
}

impl Estimate {
    /// Begins as if a little of a step of `step_size` had met the target.
    fn new(step_size: f64, target: f64, memory: f64) -> Self {
        let decay = (memory - 1.0) / (memory + 1.0);
        Self { sums: [FIRST_WEIGHT * target / step_size.powi(6), FIRST_WEIGHT], decay, limit: f64::MAX }
    }

    /// Learns from the energy error of one step, of which the square per dimension is `variance`.
    fn push(&mut self, step_size: f64, variance: f64, target: f64) {
        if !variance.is_finite() {
            self.limit = SHRINK * self.limit.min(step_size);
            return;
        }
        let ratio = variance / target + FLOOR;
        let weight = (-0.5 * (ratio.ln() / TRUST).powi(2)).exp();
        let [variances, weights] = self.sums;
        self.sums = [self.decay * variances + weight * variance / step_size.powi(6), self.decay * weights + weight];
        self.limit = (RECOVERY * self.limit).min(f64::MAX);
    }

    fn step_size(&self, target: f64) -> f64 {
        (target * self.sums[1] / self.sums[0]).powf(1.0 / 6.0).min(self.limit)
    }
}

/// A mean that is updated value by value, without cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct RunningMean {
    pub(crate) count: u64,
    pub(crate) mean: f64,
}

impl RunningMean {
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
    }
}

/// Tunes the step size of [`Mclmc`](crate::Mclmc), as [`EnergyVariance`] says.
///
/// Iterations of tuning first, after which all chains take the geometric mean of their step sizes: a step that one chain found too large
/// or small would bias it, or slow it, alone. Then legs of a check at the frozen step size until warm-up ends, one by default. A leg in which ΔE²/D, over all chains, is
/// above the tolerance multiplies the step size by 0.7, and another leg judges again, in a longer warm-up.
///
/// Tuning takes all of the warm-up but the check: where chains burn in, energy errors are larger than they will be, and a step that is
/// frozen early stays half of what it could be. Where scales are learnt, it is from the second quarter of the tuning, and the chains take
/// them before the step sizes begin to count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyVarianceAdaptation {
    settings: EnergyVariance,
    estimate: Option<Estimate>,
    /// Iterations of tuning, and of one leg of the check.
    tuning: usize,
    leg: usize,
    /// What is learnt of the scales in the first half of the tuning; nothing once they are set.
    scales: Option<ScaleEstimator>,
    /// Mean of ln ε over the second half of the tuning.
    log_step: RunningMean,
    /// ΔE²/D over the present leg.
    realised: RunningMean,
}

impl EnergyVarianceAdaptation {
    pub(crate) fn new(
        settings: &EnergyVariance,
        scaling: Scaling,
        gradients_per_draw: usize,
        context: &BuildContext<'_>,
    ) -> Self {
        let leg = CHECK_GRADIENTS.div_ceil(gradients_per_draw).min(context.warmup / 3).max(1);
        let longest = context.warmup.saturating_sub(leg);
        let tuning = settings.tuning_gradients.map_or(longest, |gradients| gradients.div_ceil(gradients_per_draw).min(longest));
        let scales = ScaleEstimator::new(scaling, tuning / 2, context);
        let (log_step, realised) = (RunningMean::default(), RunningMean::default());
        Self { settings: settings.clone(), estimate: None, tuning, leg, scales, log_step, realised }
    }

    /// Integrator steps of one iteration of warm-up, when draws have `steps`.
    pub(crate) fn steps(steps: usize) -> usize {
        steps.min(TUNING_STEPS)
    }

    /// The step size that this chain would keep.
    fn step_size(&self, kernel: &MclmcKernel) -> f64 {
        if self.log_step.count == 0 { kernel.step_size() } else { self.log_step.mean.exp() }
    }

    fn tune(&mut self, kernel: &mut MclmcKernel, dim: f64, iteration: usize) {
        let target = self.settings.target.at(iteration as f64 / self.tuning.max(2) as f64);
        let step_size = kernel.step_size();
        let Some(estimate) = &mut self.estimate else { return };
        for error in kernel.energy_errors() {
            estimate.push(step_size, error * error / dim, target);
        }
        kernel.set_step_size(estimate.step_size(target));
        if 2 * iteration >= self.tuning {
            self.log_step.push(kernel.step_size().ln());
        }
    }

    /// Begins the estimate anew from the present step size.
    fn forget(&mut self, kernel: &MclmcKernel) {
        let target = self.settings.target.at(0.5);
        self.estimate = Some(Estimate::new(kernel.step_size(), target, self.settings.memory));
    }

    fn check(&mut self, kernel: &MclmcKernel, dim: f64) {
        for error in kernel.energy_errors() {
            self.realised.push(if error.is_finite() { error * error / dim } else { NOT_FINITE });
        }
    }
}

/// One step size for all chains: the geometric mean of theirs.
fn shared_step_size(step_sizes: impl Iterator<Item = f64>) -> f64 {
    let mut mean = RunningMean::default();
    step_sizes.for_each(|step_size| mean.push(step_size.ln()));
    mean.mean.exp()
}

/// The mean over all chains' steps.
fn pooled(means: impl Iterator<Item = RunningMean>) -> f64 {
    let [sum, count] =
        means.fold([0.0; 2], |[sum, count], RunningMean { count: n, mean }| [sum + mean * n as f64, count + n as f64]);
    if count == 0.0 { 0.0 } else { sum / count }
}

impl Adaptation<MclmcKernel> for EnergyVarianceAdaptation {
    fn init(
        &mut self,
        kernel: &mut MclmcKernel,
        density: &mut dyn LogDensity,
        state: &mut MicrocanonicalState,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        kernel.begin_warmup(Self::steps(kernel.steps_per_draw()));
        if let Some(step_size) = self.settings.fixed_step_size {
            kernel.set_step_size(step_size);
            return Ok(());
        }
        let target = self.settings.target.at(0.0);
        find_step_size(kernel, density, state, (target * state.position.len() as f64).sqrt(), rng)?;
        self.estimate = Some(Estimate::new(kernel.step_size(), target, self.settings.memory));
        Ok(())
    }

    fn update(
        &mut self,
        kernel: &mut MclmcKernel,
        _density: &mut dyn LogDensity,
        state: &mut MicrocanonicalState,
        _info: &super::MclmcInfo,
        iteration: usize,
        _rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        let dim = state.position.len() as f64;
        match self.settings.fixed_step_size {
            Some(_) => {}
            None if iteration < self.tuning => {
                self.tune(kernel, dim, iteration);
                if let Some(scales) = &mut self.scales {
                    scales.learn(iteration, &state.position, &state.gradient);
                }
            }
            None => self.check(kernel, dim),
        }
        Ok(())
    }

    fn finalize(&mut self, kernel: &mut MclmcKernel) {
        kernel.begin_sampling();
    }

    fn meetings(&self, warmup: usize) -> Meetings {
        match self.settings.fixed_step_size {
            Some(_) => Meetings::Never,
            None => {
                let scales = self.scales.iter().map(ScaleEstimator::end);
                Meetings::At(scales.chain((self.tuning..=warmup).step_by(self.leg)).collect())
            }
        }
    }

    fn meet(meeting: &mut Meeting, members: &mut [Member<'_, MclmcKernel, Self>]) {
        let Some(Self { settings, tuning, leg, scales, .. }) = members.first().map(|member| &*member.adaptation) else {
            return;
        };
        if scales.as_ref().is_some_and(|scales| scales.end() == meeting.iteration()) {
            share_scales(members.iter_mut().map(|member| (&mut *member.kernel, member.adaptation.scales.take())));
            // Errors of steps in the old coordinates say nothing of the new ones.
            return members.iter_mut().for_each(|member| member.adaptation.forget(member.kernel));
        }
        let (alarm, leg, tuned) = (settings.tolerance * settings.target.last(), *leg, meeting.iteration() == *tuning);
        let shared = if tuned {
            shared_step_size(members.iter().map(|member| member.adaptation.step_size(member.kernel)))
        } else if pooled(members.iter().map(|member| member.adaptation.realised)) > alarm {
            // The repaired step size deserves a leg of its own.
            let missing = (meeting.iteration() + leg).saturating_sub(meeting.warmup());
            meeting.extend_warmup(missing, ExtensionReason::StepSizeChanged);
            REPAIR * shared_step_size(members.iter().map(|member| member.kernel.step_size()))
        } else {
            return members.iter_mut().for_each(|member| member.adaptation.realised = RunningMean::default());
        };
        for member in members {
            member.kernel.set_step_size(shared);
            member.adaptation.realised = RunningMean::default();
        }
    }
}

#[cfg(test)]
#[path = "energy_variance_tests.rs"]
mod tests;
