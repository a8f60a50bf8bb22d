//! Name what can go wrong in settings, in a chain, in a run.

use ergodic_draws::SinkError;
use ergodic_model::EvaluationError;

/// A setting is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{setting} is {value}, and must be {range}")]
pub struct SettingsError {
    /// Name of the setting.
    pub setting: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub range: &'static str,
}

/// Why one chain stopped; the other chains go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The model reported an error.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// No initial position with a finite log density and gradient was found.
    #[error(
        "no initial position with a finite log density and gradient in {tries} tries (last: log density {log_density}, {problem}); \
         check the model with its gradient checker, or give an initial position"
    )]
    NoInitialPosition {
        /// How many positions were tried.
        tries: usize,
        /// The last log density.
        log_density: f64,
        /// Which coordinate's gradient is not finite, or that the log density itself is not.
        problem: String,
    },
    /// The search for a first step size did not end.
    #[error("no usable first step size: {problem}")]
    NoStepSize {
        /// What was seen, and what it means.
        problem: String,
    },
    /// A given metric is for another number of coordinates.
    #[error("the given metric has {given} coordinates and the model {dim}; it was learnt for another model")]
    MetricDimension {
        /// Coordinates of the metric.
        given: usize,
        /// Those of the model.
        dim: usize,
    },
    /// A draw could not be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Why a run did not start, or could not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting is out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The sink could not be prepared or finished.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The model and what was given with it do not fit.
    #[error("{problem}")]
    Model {
        /// What does not fit.
        problem: String,
    },
    /// No chain produced a draw.
    #[error("no chain produced a draw; the first one says: {0}")]
    NoDraws(String),
    /// The threads could not be started.
    #[error("could not start {threads} threads: {message}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        message: String,
    },
    /// The checkpoint that the run should keep cannot be written.
    #[error(transparent)]
    Saving(#[from] crate::CheckpointError),
    /// A checkpoint belongs to another run.
    #[error("the checkpoint does not fit: {difference}")]
    Checkpoint {
        /// What differs.
        difference: String,
    },
}
