//! Let others watch a run; what an observer misses is lost to nobody.

use ergodic_draws::{Outcome, Phase};

/// Watches a run. All methods are called from the chains' threads and should return quickly.
///
/// ```
/// use ergodic_sampler::{Observer, Progress};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// #[derive(Default)]
/// struct CountDivergences(AtomicUsize);
///
/// impl Observer for CountDivergences {
///     fn progress(&self, progress: &Progress) {
///         self.0.fetch_max(progress.divergences, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Observer: Sync {
    /// The run begins.
    fn started(&self, plan: &Plan) {
        let _ = plan;
    }

    /// A chain has made one transition.
    fn progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// A chain has ended.
    fn finished(&self, chain: usize, outcome: &Outcome) {
        let _ = (chain, outcome);
    }
}

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the method.
    pub method: &'static str,
    /// Number of chains.
    pub chains: usize,
    /// Warm-up iterations of a chain.
    pub warmup: usize,
    /// Draws of a chain.
    pub draws: usize,
    /// Number of coordinates.
    pub dim: usize,
}

/// How far a chain is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The chain, from 0.
    pub chain: usize,
    /// Whether the chain still warms up.
    pub phase: Phase,
    /// Transitions done, warm-up included.
    pub iteration: usize,
    /// Transitions planned, warm-up included.
    pub total: usize,
    /// Step size of the last transition.
    pub step_size: f64,
    /// Integrator steps of the last transition.
    pub n_steps: usize,
    /// Acceptance rate of the last transition.
    pub acceptance_rate: f64,
    /// Log density after the last transition, in nats.
    pub log_density: f64,
    /// Divergences in this phase so far.
    pub divergences: usize,
    /// Gradient evaluations of the chain so far.
    pub gradients: u64,
    /// Wall time of the chain so far, in seconds.
    pub seconds: f64,
}

/// The observer that does not look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
