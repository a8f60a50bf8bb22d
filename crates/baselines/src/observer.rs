//! Tell a caller how a fit goes while it runs, and let it stop the fit.

use std::ops::ControlFlow;

/// How far a fit is, after one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The method, such as `mean_field`; a warm start reports under its own method.
    pub method: &'static str,
    /// Member of an ensemble, counted from 0; 0 for other methods.
    pub member: usize,
    /// Steps done.
    pub step: usize,
    /// Steps planned.
    pub total: usize,
    /// The objective in nats at this step: the log joint density, or an estimate of the evidence lower bound.
    pub objective: f64,
    /// Gradients spent by this member so far.
    pub gradients: u64,
}

/// Watches fits; members of an ensemble call it from several threads.
///
/// What it does never changes a fit that it lets run to the end.
pub trait FitObserver: Sync {
    /// Called after every step. `Break` ends the fit early: what was reached is kept and the report says that it was stopped.
    fn progress(&self, _progress: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Silent;

impl FitObserver for Silent {}

/// Every how many steps the objective is kept, so that reports hold about a thousand values.
pub(crate) fn trace_interval(steps: usize) -> usize {
    steps.div_ceil(1000).max(1)
}

/// What a report says of a fit that its observer ended.
pub(crate) fn stopped(step: usize, total: usize) -> ergodic_draws::Outcome {
    ergodic_draws::Outcome::Stopped(format!("by the observer, after {step} of {total} steps"))
}
