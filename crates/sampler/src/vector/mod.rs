//! Compute over all coordinates at once: one pass an operation, in the widest vector instructions that the machine has.
//!
//! The instruction set is chosen once an operation, at run time. Each lane of a vector has a sum of its own, the lanes are joined in a
//! fixed order, and what does not fill a vector comes last: results depend on the instruction set and on nothing else.

mod isokinetic;
mod kicks;
mod products;
mod stretches;
#[cfg(test)]
mod test_support;

pub(crate) use isokinetic::{TurnAndDrift, TurnAndDriftFrom, kick_sums, turn};
pub(crate) use kicks::{KickAndDrift, KickAndDriftFrom, kick_and_square};
pub(crate) use products::{dot, rows_times};
pub(crate) use stretches::{Stretches, join, narrow, narrow_scaled};

use pulp::Simd;

/// Weights of the coordinates in an inner product: the diagonal of M⁻¹.
pub(crate) trait Weights: Copy {
    /// The weights of whole vectors.
    fn vectors<S: Simd>(self, simd: S) -> impl Iterator<Item = S::f64s>;
    /// The weights of what is left.
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64>;
}

/// Every coordinate has weight 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Equal;

impl Weights for Equal {
    #[inline(always)]
    fn vectors<S: Simd>(self, simd: S) -> impl Iterator<Item = S::f64s> {
        std::iter::repeat(simd.splat_f64s(1.0))
    }
    #[inline(always)]
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64> {
        std::iter::repeat(1.0)
    }
}

impl Weights for &[f64] {
    #[inline(always)]
    fn vectors<S: Simd>(self, _simd: S) -> impl Iterator<Item = S::f64s> {
        S::as_simd_f64s(self).0.iter().copied()
    }
    #[inline(always)]
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64> {
        S::as_simd_f64s(self).1.iter().copied()
    }
}

/// `yᵢ ← yᵢ + s xᵢ`.
pub(crate) fn add_scaled(y: &mut [f64], s: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += s * x;
    }
}

/// The first coordinate whose value is not finite.
pub(crate) fn first_non_finite(x: &[f64]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}
