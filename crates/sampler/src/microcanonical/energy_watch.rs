//! Watch the energy variance of an unadjusted chain while it samples, and shorten the step where the variance stays too large.
//!
//! Steps are judged in windows that follow each other, each of whole draws and of 5,000 gradients at least; where a window begins depends
//! on the number of draws alone, and no random number is drawn. A repair makes the later draws those of a chain with a smaller bias; it
//! cannot mend the draws before it, so it says how many they are.

use super::energy_variance::{REPAIR, RunningMean};
use serde::{Deserialize, Serialize};

/// Gradients of a window. Errors have heavy tails near the edge of stability: windows of 1,000 shorten the steps of a stiff network whose
/// mean over a run is well below the alarm.
const WINDOW_GRADIENTS: usize = 5000;

/// The judge of an unadjusted kernel's steps after warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EnergyWatch {
    /// Variance per dimension above which a window is alarming.
    alarm: f64,
    /// Integrator steps of a window.
    window_steps: u64,
    /// Whether an alarm shortens the step.
    repairs: bool,
    /// Nothing is judged before sampling.
    sampling: bool,
    draws: u64,
    /// ΔE²/D over the present window.
    present: RunningMean,
    windows: u64,
    alarms: u64,
    /// Draws up to the end of the first and the last window with an alarm.
    first: u64,
    last: u64,
    /// The largest mean of a window.
    largest: f64,
}

impl EnergyWatch {
    pub(crate) fn new(alarm: f64, gradients_per_step: usize, repairs: bool) -> Self {
        Self {
            alarm,
            window_steps: WINDOW_GRADIENTS.div_ceil(gradients_per_step) as u64,
            repairs,
            sampling: false,
            draws: 0,
            present: RunningMean::default(),
            windows: 0,
            alarms: 0,
            first: 0,
            last: 0,
            largest: 0.0,
        }
    }

    /// Judges from here on.
    pub(crate) fn begin(&mut self) {
        self.sampling = true;
    }

    /// Takes in the energy variance per dimension of one step.
    pub(crate) fn push(&mut self, variance: f64) {
        self.present.push(variance);
    }

    /// Ends a draw; what the step size must be multiplied by.
    pub(crate) fn end_draw(&mut self) -> f64 {
        if !self.sampling {
            self.present = RunningMean::default();
            return 1.0;
        }
        self.draws += 1;
        if self.present.count < self.window_steps {
            return 1.0;
        }
        let RunningMean { mean, .. } = std::mem::take(&mut self.present);
        self.windows += 1;
        self.largest = self.largest.max(mean);
        if mean <= self.alarm {
            return 1.0;
        }
        self.alarms += 1;
        self.last = self.draws;
        if self.alarms == 1 {
            self.first = self.draws;
        }
        if self.repairs { REPAIR } else { 1.0 }
    }

    /// How often the step was shortened, and how many draws came before the last time.
    pub(crate) fn repairs(&self) -> [u64; 2] {
        if self.repairs { [self.alarms, self.last] } else { [0, 0] }
    }

    /// What the user should know of a chain whose step is now `step_size`; `None` without an alarm.
    pub(crate) fn warning(&self, step_size: f64) -> Option<String> {
        let Self { alarm, repairs, windows, alarms, first, last, largest, window_steps, .. } = self;
        let often = format!(
            "the energy variance per dimension was above {alarm:.1e} in {alarms} of {windows} windows of {window_steps} steps while \
             sampling, and {largest:.1e} at most"
        );
        let RunningMean { count, mean } = self.present;
        match (alarms, repairs) {
            // A run may end before a window does.
            (0, _) if self.sampling && 5 * count >= *window_steps && mean > *alarm => Some(format!(
                "the energy variance per dimension is {mean:.1e} over the last {count} steps, above {alarm:.1e}: the draws' bias is larger \
                 than asked for, first of all in the noise scale; warm up longer, lower the target, or use an exact method such as slice_ghmc"
            )),
            (0, _) => None,
            (1, true) => Some(format!(
                "{often}: the step was shortened at draw {last} and is now {step_size:.3e}; the {last} draws before have the larger \
                 bias, first of all in the noise scale; warm up longer"
            )),
            (_, true) => Some(format!(
                "{often}: the step was shortened {alarms} times, from draw {first} to draw {last}, and is now {step_size:.3e}; the {last} \
                 draws before have the larger bias, first of all in the noise scale; warm up longer"
            )),
            (_, false) => Some(format!(
                "{often}, first at draw {first}: the draws' bias is larger than asked for, first of all in the noise scale, and the step \
                 is kept at {step_size:.3e}; warm up longer, lower the target, let adaptation.repair_while_sampling shorten a tuned step, \
                 or use an exact method such as slice_ghmc"
            )),
        }
    }
}

#[cfg(test)]
#[path = "energy_watch_tests.rs"]
mod tests;
