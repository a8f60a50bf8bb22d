//! Define one transition of a Markov chain, what it needs, what it reports, and what may tune it.

use crate::{Meeting, Meetings, Member};
use ergodic_draws::Field;
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::Range;

/// A Markov transition.
///
/// `&mut self` is for scratch buffers and for parameters such as the step size, which move only through an [`Adaptation`]. A kernel
/// serialises with all that its next step needs, so that a chain can be resumed bit for bit.
pub trait Kernel: Send + Serialize + DeserializeOwned {
    /// What the next step needs: position, log density, gradient.
    type State: ChainState;
    /// What diagnostics want to know about a step.
    type Info: Info;

    /// The state at `position`.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<Self::State, EvaluationError>;

    /// One transition.
    ///
    /// # Errors
    /// When the density cannot be evaluated; a point outside the support is no error but a rejected or divergent step.
    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut Self::State,
        rng: &mut ChainRng,
    ) -> Result<Self::Info, EvaluationError>;

    /// Tuned quantities by name, for reports; such as `step_size`.
    fn tuned(&self) -> Vec<(&'static str, f64)>;

    /// Gives back the memory that the next step makes anew; nothing by default.
    fn free_scratch(&mut self) {}

    /// What the user of a chain that has ended should know, such as a bias above what was asked for.
    fn warning(&self) -> Option<String> {
        None
    }
}

/// The state of a chain between two steps.
pub trait ChainState: Clone + Send + Serialize + DeserializeOwned {
    /// The unconstrained position.
    fn position(&self) -> &[f64];
    /// The log density there, up to a constant, in nats.
    fn log_density(&self) -> f64;
    /// The gradient there.
    fn gradient(&self) -> &[f64];
}

/// What a step reports, under ArviZ's names.
pub trait Info {
    /// Names and types of the statistics.
    const FIELDS: &'static [Field];

    /// Writes one value per field.
    fn write(&self, row: &mut [f64]);

    /// Whether the step met a divergence.
    fn diverging(&self) -> bool;

    /// The step size that was used.
    fn step_size(&self) -> f64;

    /// Acceptance probability, or its mean over the states of a trajectory; between 0 and 1.
    fn acceptance_rate(&self) -> f64;

    /// Integrator steps of the transition; 1 for methods without trajectories.
    fn n_steps(&self) -> usize {
        1
    }

    /// Whether the transition was cut short by a limit of the method's own, such as a depth of trees or a number of steps.
    fn saturated(&self) -> bool {
        false
    }
}

/// Tunes a kernel during warm-up, and leaves it alone afterwards.
pub trait Adaptation<K: Kernel>: Send + Serialize + DeserializeOwned {
    /// Prepares for a warm-up, with the first state at hand: sets a first metric and step size.
    ///
    /// # Errors
    /// When the density cannot be evaluated, or no step size can be found.
    fn init(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &mut K::State,
        rng: &mut ChainRng,
    ) -> Result<(), crate::ChainError>;

    /// Learns from warm-up iteration `iteration`, counted from 0.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    fn update(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &mut K::State,
        info: &K::Info,
        iteration: usize,
        rng: &mut ChainRng,
    ) -> Result<(), crate::ChainError>;

    /// Fixes the kernel's parameters for sampling.
    fn finalize(&mut self, kernel: &mut K);

    /// After which of `warmup` iterations all chains meet; never, unless a method says so.
    ///
    /// It depends on settings alone, not on what was learnt: the driver asks an adaptation that was just built. It asks again with the
    /// longer warm-up when a meeting has extended it.
    fn meetings(&self, warmup: usize) -> Meetings {
        let _ = warmup;
        Meetings::Never
    }

    /// Lets all chains that have not failed share what they learnt: one step size, a trajectory length, a metric.
    ///
    /// `members` come in the order of the chains, so that sums over them are the same for any number of threads; one chain alone
    /// meets too. A meeting takes place once every chain is there: when a chain was stopped before it, the others wait, and a run
    /// that goes on from the checkpoint holds it as if nothing had happened.
    fn meet(meeting: &mut Meeting, members: &mut [Member<'_, K, Self>]) {
        let _ = (meeting, members);
    }
}

/// A sampling method: plain settings that build a kernel and its adaptation.
///
/// Settings are plain public fields with `Default`; the defaults' sources stand beside them.
pub trait Method: Clone + Send + Sync + Serialize {
    /// The transition.
    type Kernel: Kernel;
    /// What tunes it.
    type Adaptation: Adaptation<Self::Kernel>;

    /// Name in the registry, such as `nuts`.
    const NAME: &'static str;
    /// Whether the kernel leaves the density invariant.
    const EXACT: bool;

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    fn validate(&self) -> Result<(), crate::SettingsError>;

    /// Builds a kernel and its adaptation for one chain.
    fn build(&self, context: &BuildContext<'_>) -> (Self::Kernel, Self::Adaptation);
}

/// What a method knows about the chain it is built for.
#[derive(Debug, Clone, Copy)]
pub struct BuildContext<'a> {
    /// Number of coordinates.
    pub dim: usize,
    /// Warm-up iterations that are planned.
    pub warmup: usize,
    /// The prior's standard deviation of each coordinate, 1 where it is not known.
    pub prior_scales: &'a [f64],
    /// The ranges of the layout's blocks, such as a layer's weights, which cover the coordinates in order; none where it names none.
    pub blocks: &'a [Range<usize>],
}
