//! Tune the step size of the exact microcanonical kernels: dual averaging to an acceptance rate.

use super::kernel::MicrocanonicalKernel;
use super::scaling::{ScaleEstimator, Scaling, share_scales};
use super::step_size::find_step_size;
use crate::settings::{check, positive};
use crate::{Adaptation, BuildContext, ChainError, ChainState, DualAveraging, Info, Meeting, Meetings, Member, SettingsError};
use ergodic_model::{ChainRng, LogDensity};
use serde::{Deserialize, Serialize};

/// Energy error at which the search for a first step size ends, in nats: that of an acceptance probability of 0.8.
const TOLERANCE: f64 = 0.223;

/// Moves the step size of a [`MicrocanonicalKernel`] until the acceptance rate has its target, by [`DualAveraging`].
///
/// The average begins anew halfway, so that step sizes of the burn-in, or in other coordinates, do not enter it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptanceAdaptation {
    target: f64,
    fixed: Option<f64>,
    halfway: usize,
    /// What is learnt of the scales in the first half; nothing once they are set.
    scales: Option<ScaleEstimator>,
    averaging: DualAveraging,
}

impl AcceptanceAdaptation {
    pub(crate) fn new(target: f64, scaling: Scaling, fixed: Option<f64>, context: &BuildContext<'_>) -> Self {
        let halfway = context.warmup / 2;
        let scales = ScaleEstimator::new(scaling, halfway, context);
        Self { target, fixed, halfway, scales, averaging: DualAveraging::near(target, 1.0) }
    }
}

/// An error unless the target is a probability and a given step size is positive.
pub(crate) fn check_acceptance(target: f64, fixed: Option<f64>) -> Result<(), SettingsError> {
    check(target > 0.0 && target < 1.0, "target_acceptance", &target, "between 0 and 1, both excluded")?;
    fixed.map_or(Ok(()), |step_size| positive("fixed_step_size", step_size))
}

impl<K: MicrocanonicalKernel> Adaptation<K> for AcceptanceAdaptation {
    fn init(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &mut K::State,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        match self.fixed {
            Some(step_size) => kernel.set_step_size(step_size),
            None => find_step_size(kernel, density, state, TOLERANCE, rng)?,
        }
        self.averaging = DualAveraging::near(self.target, kernel.step_size());
        Ok(())
    }

    fn update(
        &mut self,
        kernel: &mut K,
        _density: &mut dyn LogDensity,
        state: &mut K::State,
        info: &K::Info,
        iteration: usize,
        _rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        if self.fixed.is_some() {
            return Ok(());
        }
        if let Some(scales) = &mut self.scales {
            scales.learn(iteration, state.position(), state.gradient());
        }
        self.averaging.update(info.acceptance_rate());
        if iteration + 1 == self.halfway {
            self.averaging = DualAveraging::near(self.target, self.averaging.average());
        }
        kernel.set_step_size(self.averaging.step_size());
        Ok(())
    }

    fn finalize(&mut self, kernel: &mut K) {
        if self.fixed.is_none() {
            kernel.set_step_size(self.averaging.average());
        }
    }

    fn meetings(&self, _warmup: usize) -> Meetings {
        self.scales.as_ref().map_or(Meetings::Never, |scales| Meetings::At(vec![scales.end()]))
    }

    fn meet(_meeting: &mut Meeting, members: &mut [Member<'_, K, Self>]) {
        share_scales(members.iter_mut().map(|member| (&mut *member.kernel, member.adaptation.scales.take())));
    }
}
