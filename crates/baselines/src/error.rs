//! Name what can go wrong in a fit.

use ergodic_draws::WeightError;
use ergodic_model::{EvaluationError, LogDensity, MissingCapability, Posterior};

/// Why a fit did not start, or could not end well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// A setting is out of its range.
    #[error("{setting} is {value}, and must be {range}")]
    Settings {
        /// Name of the setting.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// The method needs an ability that the model lacks.
    #[error(transparent)]
    MissingCapability(#[from] MissingCapability),
    /// The posterior has no coordinates.
    #[error("the posterior has no coordinates, so there is nothing to fit; check the dimension of its log density")]
    NoCoordinates,
    /// The names and the density disagree on the number of coordinates.
    #[error("the layout names {layout} coordinates and the log density has {density}; they must agree")]
    Dimension {
        /// Coordinates of the layout.
        layout: usize,
        /// Coordinates of the density.
        density: usize,
    },
    /// The model reported an error.
    #[error("{method}, step {step}: {source}")]
    Evaluation {
        /// The method.
        method: &'static str,
        /// The step, counted from 0.
        step: usize,
        /// What the model said.
        source: EvaluationError,
    },
    /// No initial position with a finite log density and gradient was found.
    #[error(
        "{method}: no initial position with a finite log density and gradient in {tries} tries (last: log density {log_density}, \
         {problem}); check the model with its gradient checker, or give an initial position"
    )]
    NoInitialPosition {
        /// The method.
        method: &'static str,
        /// How many positions were tried.
        tries: usize,
        /// The last log density.
        log_density: f64,
        /// Which coordinate's gradient is not finite, or that the log density itself is not.
        problem: String,
    },
    /// The objective or its gradient was not finite many times in a row.
    #[error(
        "{method}, step {step}: the objective or its gradient was not finite {times} times in a row; lower the learning rate, \
         set a clipping norm, or check where the log density is defined"
    )]
    NotFinite {
        /// The method.
        method: &'static str,
        /// The step, counted from 0.
        step: usize,
        /// How many times in a row.
        times: usize,
    },
    /// No normal along a path has draws inside the support.
    #[error(
        "{method}: no normal that was found in {iterations} iterations has draws with a finite log density and gradient; check where the \
         log density is defined"
    )]
    NoApproximation {
        /// The method.
        method: &'static str,
        /// Iterations of the path.
        iterations: usize,
    },
    /// Draws of an approximation cannot be weighed.
    #[error("{method}: the draws cannot be weighed: {error}")]
    Weights {
        /// The method.
        method: &'static str,
        /// Why.
        error: WeightError,
    },
    /// No member of an ensemble ended in a point.
    #[error("none of the {members} members of the ensemble ended in a point; the first one says: {first}")]
    NoMembers {
        /// How many were asked for.
        members: usize,
        /// What the first one said.
        first: String,
    },
    /// The threads could not be started.
    #[error("could not start {threads} threads (0 stands for one a core): {message}; ask for fewer")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        message: String,
    },
}

impl FitError {
    /// An error that names a setting, what was given, and what is allowed.
    pub(crate) fn setting(setting: &'static str, value: impl std::fmt::Debug, range: &'static str) -> Self {
        Self::Settings { setting, value: format!("{value:?}"), range }
    }

    /// Makes an error of the model one that names the method and the step.
    pub(crate) fn at(method: &'static str, step: usize) -> impl FnOnce(EvaluationError) -> Self {
        move |source| Self::Evaluation { method, step, source }
    }
}

/// Checks that a setting is a positive number.
pub(crate) fn check_positive(setting: &'static str, value: f64) -> Result<(), FitError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(FitError::setting(setting, value, "a positive finite number")) }
}

/// Checks that a count is not 0.
pub(crate) fn check_count(setting: &'static str, value: usize) -> Result<(), FitError> {
    if value > 0 { Ok(()) } else { Err(FitError::setting(setting, value, "at least 1")) }
}

/// The number of coordinates of `posterior`.
///
/// # Errors
/// When there are none, or when the layout and the density disagree.
pub(crate) fn check_dimension(posterior: &dyn Posterior) -> Result<usize, FitError> {
    let (layout, density) = (posterior.layout().dim(), posterior.evaluator().dim());
    if layout != density {
        return Err(FitError::Dimension { layout, density });
    }
    if layout == 0 { Err(FitError::NoCoordinates) } else { Ok(layout) }
}
