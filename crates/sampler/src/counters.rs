//! Count what a chain has done.

use crate::Info;
use ergodic_draws::Phase;
use serde::{Deserialize, Serialize};

/// What a chain has done so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Recorded transitions, warm-up included.
    pub iteration: usize,
    pub warmup_gradients: u64,
    pub sampling_gradients: u64,
    pub warmup_seconds: f64,
    pub sampling_seconds: f64,
    pub warmup_divergences: usize,
    pub sampling_divergences: usize,
    /// Transitions after warm-up that met a limit of the method's own.
    pub saturated: usize,
}

impl Counters {
    pub(crate) fn gradients(&self) -> u64 {
        self.warmup_gradients + self.sampling_gradients
    }

    pub(crate) fn divergences(&self, phase: Phase) -> usize {
        match phase {
            Phase::Warmup => self.warmup_divergences,
            Phase::Sampling => self.sampling_divergences,
        }
    }

    pub(crate) fn spend(&mut self, phase: Phase, gradients: u64) {
        match phase {
            Phase::Warmup => self.warmup_gradients += gradients,
            Phase::Sampling => self.sampling_gradients += gradients,
        }
    }

    pub(crate) fn pass(&mut self, phase: Phase, seconds: f64) {
        match phase {
            Phase::Warmup => self.warmup_seconds += seconds,
            Phase::Sampling => self.sampling_seconds += seconds,
        }
    }

    pub(crate) fn judge(&mut self, phase: Phase, info: &impl Info) {
        let diverging = usize::from(info.diverging());
        match phase {
            Phase::Warmup => self.warmup_divergences += diverging,
            Phase::Sampling => {
                self.sampling_divergences += diverging;
                self.saturated += usize::from(info.saturated());
            }
        }
    }
}
