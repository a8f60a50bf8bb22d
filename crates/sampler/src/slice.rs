//! Share what samplers with persistent motion have in common: the slice variable, and how often motion is refreshed.
//!
//! Rejections turn a persistent motion back and undo progress unless they are rare or come together. A slice variable s on (−1, 1)
//! that drifts slowly, instead of being drawn for every step, makes them come together (Neal 2020, arXiv 2001.11950). With |s| uniform
//! on (0, 1) independently of the point, a step to a point of density ratio r = exp(−ΔE) is accepted when |s| < r, and s becomes s / r:
//! then |s| times the density is what the step conserves, and |s| is uniform again under the target.

use ergodic_model::ChainRng;
use rand::RngExt;

/// Most of the length over which motion is forgotten that passes between two refreshments.
const REFRESHMENT: f64 = 0.05;

/// A slice variable, uniform on (−1, 1).
pub(crate) fn draw_slice(rng: &mut ChainRng) -> f64 {
    2.0 * rng.random::<f64>() - 1.0
}

/// The slice variable after it drifted by `drift` through (−1, 1), whose ends are joined.
///
/// A step of size ε drifts by ε / 2L, so that s goes round once while the motion is forgotten four times: any drift is exact.
pub(crate) fn drifted(slice: f64, drift: f64) -> f64 {
    (slice + 1.0 + drift).rem_euclid(2.0) - 1.0
}

/// The slice variable after a step with energy error `error`, in nats, if it is accepted.
///
/// Not accepted either is a product that is not a number, of a slice variable of 0 and an infinite error.
pub(crate) fn accepted_slice(slice: f64, error: f64) -> Option<f64> {
    let moved = slice * error.exp();
    (moved.abs() < 1.0).then_some(moved)
}

/// Steps between two refreshments of the motion: as many as `steps`, unless they cover more than a twentieth of the length (or time)
/// over which it is forgotten. Drawing D normals takes as long as a quarter of a small network's gradient, and a motion that changes
/// by 5 % at once forgets as one that changes by 5 % in parts.
pub(crate) fn steps_between_refreshments(step_size: f64, length: f64, steps: usize) -> usize {
    ((REFRESHMENT * length / step_size) as usize).clamp(1, steps.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn motion_is_refreshed_at_least_every_twentieth_of_the_length() {
        assert_eq!(steps_between_refreshments(0.1, 100.0, 8), 8);
        assert_eq!(steps_between_refreshments(1.0, 100.0, 8), 5);
        assert_eq!(steps_between_refreshments(50.0, 100.0, 8), 1);
        assert_eq!(steps_between_refreshments(0.1, f64::INFINITY, 8), 8);
        assert_eq!(steps_between_refreshments(f64::NAN, 100.0, 8), 1);
    }

    #[test]
    fn a_slice_variable_stays_inside_and_comes_round() {
        let mut slice = 0.3;
        for _ in 0..8 {
            slice = drifted(slice, 0.25);
            assert!((-1.0..1.0).contains(&slice));
        }
        assert!((slice - 0.3).abs() < 1e-12);
    }

    #[test]
    fn steps_are_accepted_below_the_density_ratio_and_never_outside_the_support() {
        assert_eq!(accepted_slice(-0.5, 2.0_f64.ln() - 1e-9).map(f64::signum), Some(-1.0));
        assert_eq!(accepted_slice(-0.5, 2.0_f64.ln() + 1e-9), None);
        for slice in [0.0, -0.3, 0.9] {
            assert_eq!(accepted_slice(slice, f64::INFINITY), None);
            assert_eq!(accepted_slice(slice, f64::NAN), None);
        }
    }
}
