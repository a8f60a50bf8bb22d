//! Apply activations to a line of rows in place, and multiply derivatives by their slopes.

use super::block_layer::Kernel;
use crate::network::Activation;
use crate::simd::{Lanes, Real};

/// Replaces pre-activations by values, and writes the slopes that are stored.
pub(crate) struct Activate<'a, E> {
    pub(crate) activation: Activation,
    pub(crate) values: &'a mut [E],
    pub(crate) slopes: &'a mut [E],
}

impl<E: Real> Kernel<E> for Activate<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        self.activation.apply(l, L::vectors_mut(self.values), L::vectors_mut(self.slopes));
    }
}

/// Multiplies derivatives in values by slopes.
pub(crate) struct Slope<'a, E> {
    pub(crate) activation: Activation,
    pub(crate) values: &'a [E],
    pub(crate) slopes: &'a [E],
    pub(crate) derivatives: &'a mut [E],
}

impl<E: Real> Kernel<E> for Slope<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let stored = L::vectors(if self.activation.stores_slope() { self.slopes } else { self.values });
        self.activation.slope().multiply(l, stored, L::vectors_mut(self.derivatives));
    }
}
