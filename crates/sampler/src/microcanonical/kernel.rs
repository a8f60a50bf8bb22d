//! Define what microcanonical kernels share: dynamics and a step size.

use super::dynamics::Microcanonical;
use crate::Kernel;
use crate::SettingsError;
use crate::settings::check;

/// A kernel that integrates microcanonical dynamics with a step size.
///
/// ```
/// use ergodic_sampler::{BuildContext, Mams, Method, MicrocanonicalKernel};
/// let (mut kernel, _) = Mams::default().build(&BuildContext { dim: 2, warmup: 0, prior_scales: &[1.0, 1.0], blocks: &[] });
/// kernel.set_step_size(0.5);
/// assert_eq!(kernel.step_size(), 0.5);
/// ```
pub trait MicrocanonicalKernel: Kernel {
    /// How steps are taken, and in which coordinates.
    fn dynamics(&self) -> &Microcanonical;

    /// The same, to change them during warm-up.
    fn dynamics_mut(&mut self) -> &mut Microcanonical;

    /// The step size ε, in units of the scaled coordinates.
    fn step_size(&self) -> f64;

    /// Sets the step size ε, positive and finite.
    fn set_step_size(&mut self, step_size: f64);
}

/// An error unless `length` is positive; infinity is allowed and refreshes nothing.
pub(crate) fn check_length(setting: &'static str, length: f64) -> Result<(), SettingsError> {
    check(length > 0.0, setting, &length, "positive")
}
