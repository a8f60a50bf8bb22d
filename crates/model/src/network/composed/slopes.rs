//! Apply activations to a line of rows in place, and multiply derivatives by their slopes.

use super::block_layer::Kernel;
use crate::network::Activation;
use crate::simd::{Lanes, Real};

impl Activation {
    /// Whether the slope is stored beside the values; if not, it follows from the value.
    pub(crate) fn keeps_slope(self) -> bool {
        self.stores_slope() && !matches!(self, Self::Relu | Self::LeakyRelu)
    }
}

/// Replaces pre-activations by values, and writes the slopes that are kept.
pub(crate) struct Activate<'a, E> {
    pub(crate) activation: Activation,
    pub(crate) values: &'a mut [E],
    pub(crate) slopes: &'a mut [E],
}

impl<E: Real> Kernel<E> for Activate<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (values, slopes) = (L::vectors_mut(self.values), L::vectors_mut(self.slopes));
        match self.activation {
            Activation::Relu => {
                for value in values {
                    *value = l.at_least(*value, l.splat(E::ZERO));
                }
            }
            Activation::LeakyRelu => {
                let leak = l.splat(E::from_f64(Activation::LeakyRelu.value_and_derivative(-1.0).1));
                for value in values {
                    *value = l.select_less(*value, l.splat(E::ZERO), l.mul(leak, *value), *value);
                }
            }
            other => other.apply(l, values, slopes),
        }
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
        let stored = L::vectors(if self.activation.keeps_slope() { self.slopes } else { self.values });
        let derivatives = L::vectors_mut(self.derivatives).iter_mut().zip(stored);
        if matches!(self.activation, Activation::Relu | Activation::LeakyRelu) {
            let below = l.splat(E::from_f64(self.activation.value_and_derivative(-1.0).1));
            for (derivative, value) in derivatives {
                *derivative = l.select_less(l.splat(E::ZERO), *value, *derivative, l.mul(*derivative, below));
            }
            return;
        }
        let slope = self.activation.slope();
        let constant = l.splat(E::from_f64(slope.constant));
        let linear = l.splat(E::from_f64(slope.linear));
        let square = l.splat(E::from_f64(slope.square));
        for (derivative, value) in derivatives {
            let slope = l.fma(*value, l.fma(*value, square, linear), constant);
            *derivative = l.mul(*derivative, slope);
        }
    }
}
