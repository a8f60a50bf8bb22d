//! Apply hidden layers' activations to panels, keeping what the backward pass needs of their slopes.

use super::activation::{Activation, LEAKY_SLOPE};
use super::dense::Quadratic;
use crate::simd::{Lanes, Real, gelu_and_slope, sigmoid, silu_and_slope, softplus_and_slope, tanh};

impl Activation {
    /// Whether the slope is stored beside the value; if not, it follows from the value.
    pub(crate) fn stores_slope(self) -> bool {
        !matches!(self, Self::Identity | Self::Tanh | Self::Sigmoid)
    }

    /// The slope as a quadratic of what the forward pass stored: the value, or the slope itself.
    #[inline(always)]
    pub(crate) fn slope(self) -> Quadratic {
        let (constant, linear, square) = match self {
            Self::Identity => (1.0, 0.0, 0.0),
            Self::Tanh => (1.0, 0.0, -1.0),
            Self::Sigmoid => (0.0, 1.0, -1.0),
            _ => (0.0, 1.0, 0.0),
        };
        Quadratic { constant, linear, square }
    }

    /// Replaces pre-activations by values, and writes slopes where they are stored.
    #[inline(always)]
    pub(crate) fn apply<L: Lanes>(self, l: L, values: &mut [L::V], slopes: &mut [L::V]) {
        let (zero, one) = (l.splat(L::E::ZERO), l.splat(L::E::ONE));
        match self {
            Self::Identity => {}
            Self::Tanh => {
                let (fours, rest) = values.as_chunks_mut::<4>();
                for four in fours {
                    *four = tanh(l, *four);
                }
                for value in rest {
                    [*value] = tanh(l, [*value]);
                }
            }
            Self::Sigmoid => {
                for value in values {
                    *value = sigmoid(l, *value);
                }
            }
            Self::Relu => {
                for (value, slope) in values.iter_mut().zip(slopes) {
                    *slope = l.select_less(zero, *value, one, zero);
                    *value = l.at_least(*value, zero);
                }
            }
            Self::LeakyRelu => {
                let leak = l.splat(L::E::from_f64(LEAKY_SLOPE));
                for (value, slope) in values.iter_mut().zip(slopes) {
                    *slope = l.select_less(zero, *value, one, leak);
                    *value = l.select_less(*value, zero, l.mul(leak, *value), *value);
                }
            }
            Self::Softplus => {
                for (value, slope) in values.iter_mut().zip(slopes) {
                    (*value, *slope) = softplus_and_slope(l, *value);
                }
            }
            Self::Gelu => {
                for (value, slope) in values.iter_mut().zip(slopes) {
                    (*value, *slope) = gelu_and_slope(l, *value);
                }
            }
            Self::Silu => {
                for (value, slope) in values.iter_mut().zip(slopes) {
                    (*value, *slope) = silu_and_slope(l, *value);
                }
            }
        }
    }
}
