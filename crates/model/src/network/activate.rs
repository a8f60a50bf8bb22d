//! Apply hidden layers' activations to panels, keeping what the backward pass needs of their slopes.

use super::activation::{Activation, LEAKY_SLOPE};
use super::dense::Slope;
use crate::simd::{Lanes, Real, gelu_and_slope, sigmoid, silu_and_slope, softplus_and_slope, tanh};

impl Activation {
    /// Whether the slope is stored beside the value; if not, it follows from the value.
    #[inline(always)]
    pub(crate) fn stores_slope(self) -> bool {
        matches!(self, Self::Softplus | Self::Gelu | Self::Silu)
    }

    /// The slope as a function of what the forward pass stored: the value, or the slope itself.
    #[inline(always)]
    pub(crate) fn slope(self) -> Slope {
        match self {
            Self::Identity => Slope::Constant(1.0),
            Self::Tanh => Slope::OneMinusSquare,
            Self::Sigmoid => Slope::Logistic,
            Self::Relu => Slope::Step(0.0),
            Self::LeakyRelu => Slope::Step(LEAKY_SLOPE),
            Self::Softplus | Self::Gelu | Self::Silu => Slope::Stored(1.0),
        }
    }

    /// Replaces pre-activations by values, and writes slopes where they are stored.
    #[inline(always)]
    pub(crate) fn apply<L: Lanes>(self, l: L, values: &mut [L::V], slopes: &mut [L::V]) {
        l.outline(
            #[inline(always)]
            || {
                let zero = l.splat(L::E::ZERO);
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
                        for value in values {
                            *value = l.at_least(*value, zero);
                        }
                    }
                    Self::LeakyRelu => {
                        let leak = l.splat(L::E::from_f64(LEAKY_SLOPE));
                        for value in values {
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
            },
        )
    }
}
