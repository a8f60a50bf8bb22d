//! Define what a researcher writes: a log density and its gradient over a flat position.

/// A log density on the real line, up to a constant, in nats, with its gradient.
///
/// This is all that Hamiltonian samplers, optimisation and full-batch variational inference need. A value or gradient that is not
/// finite means 'outside the support': the sampler rejects the step or counts it as divergent. `Err` stops the chain that asked,
/// and that chain only; its draws are kept.
///
/// A density that is also `Clone + Send + Sync` is a [`Posterior`](crate::Posterior) for nothing, and each chain works on its own
/// clone, so `&mut self` may hold scratch buffers.
///
/// ```
/// use ergodic_model::{EvaluationError, LogDensity};
///
/// #[derive(Clone)]
/// struct StandardNormal;
///
/// impl LogDensity for StandardNormal {
///     fn dim(&self) -> usize {
///         3
///     }
///     fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
///         for (g, x) in gradient.iter_mut().zip(x) {
///             *g = -x;
///         }
///         Ok(-0.5 * x.iter().map(|x| x * x).sum::<f64>())
///     }
/// }
/// ```
pub trait LogDensity {
    /// Number of coordinates.
    fn dim(&self) -> usize;

    /// Writes the gradient at `position` into `gradient` (both of length [`dim`](Self::dim)) and returns the log density.
    ///
    /// # Errors
    /// When the density cannot be evaluated at all. A point outside the support is no error: return `-inf` or NaN.
    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError>;
}

/// Why a log density could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log density could not be evaluated: {message}")]
pub struct EvaluationError {
    message: String,
}

impl EvaluationError {
    /// An error with a message for the user.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl<L: LogDensity + ?Sized> LogDensity for Box<L> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        (**self).log_density_and_gradient(position, gradient)
    }
}

/// A log density from a closure that writes the gradient and returns the value.
///
/// ```
/// use ergodic_model::{density, Posterior};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0];
///     gradient[1] = -x[1];
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// assert_eq!(normal.layout().dim(), 2);
/// ```
pub fn density<F>(dim: usize, function: F) -> Density<F>
where
    F: FnMut(&[f64], &mut [f64]) -> f64,
{
    Density { dim, function }
}

/// A log density from a closure; made by [`density`].
#[derive(Debug, Clone)]
pub struct Density<F> {
    dim: usize,
    function: F,
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64> LogDensity for Density<F> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        Ok((self.function)(position, gradient))
    }
}
