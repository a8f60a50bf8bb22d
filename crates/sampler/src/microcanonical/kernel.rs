//! Define what microcanonical kernels share: dynamics, a step size, and how often directions are refreshed.

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

    /// The step size ε, in units of the scaled coordinates.
    fn step_size(&self) -> f64;

    /// Sets the step size ε, positive and finite.
    fn set_step_size(&mut self, step_size: f64);
}

/// Most of the decoherence length that passes between two refreshments.
const REFRESHMENT: f64 = 0.05;

/// Steps between two refreshments of the direction: as many as `steps`, unless they cover more than a twentieth of the decoherence
/// length. Drawing D normals takes as long as a quarter of a small network's gradient, and a direction that turns by 5 % at once
/// forgets as one that turns by 5 % in parts.
pub(crate) fn steps_between_refreshments(step_size: f64, length: f64, steps: usize) -> usize {
    ((REFRESHMENT * length / step_size) as usize).clamp(1, steps.max(1))
}

/// An error unless `length` is positive; infinity is allowed and refreshes nothing.
pub(crate) fn check_length(setting: &'static str, length: f64) -> Result<(), SettingsError> {
    check(length > 0.0, setting, &length, "positive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_refreshed_at_least_every_twentieth_of_the_length() {
        assert_eq!(steps_between_refreshments(0.1, 100.0, 8), 8);
        assert_eq!(steps_between_refreshments(1.0, 100.0, 8), 5);
        assert_eq!(steps_between_refreshments(50.0, 100.0, 8), 1);
        assert_eq!(steps_between_refreshments(0.1, f64::INFINITY, 8), 8);
        assert_eq!(steps_between_refreshments(f64::NAN, 100.0, 8), 1);
    }
}
