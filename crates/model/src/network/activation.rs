//! Define the activation functions of hidden layers.

use serde::{Deserialize, Serialize};

/// The function applied to each pre-activation of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `z`; the activation of output layers.
    Identity,
    /// `tanh(z)`.
    Tanh,
    /// `max(z, 0)`; its derivative at 0 is 0.
    Relu,
    /// `z` for positive `z`, `0.01 · z` otherwise; its derivative at 0 is 0.01.
    LeakyRelu,
    /// `1 / (1 + exp(−z))`.
    Sigmoid,
    /// `ln(1 + exp(z))`.
    Softplus,
    /// `z · Φ(z)` with the normal distribution function Φ, not its tanh approximation (Hendrycks & Gimpel 2016).
    Gelu,
    /// `z / (1 + exp(−z))`, also called swish (Elfwing et al. 2018).
    Silu,
}

/// Slope of [`Activation::LeakyRelu`] on the negative side.
pub(crate) const LEAKY_SLOPE: f64 = 0.01;

impl Activation {
    /// All activations, in order.
    pub const ALL: [Self; 8] =
        [Self::Identity, Self::Tanh, Self::Relu, Self::LeakyRelu, Self::Sigmoid, Self::Softplus, Self::Gelu, Self::Silu];

    /// The value and the derivative at `z`.
    ///
    /// ```
    /// use ergodic_model::Activation;
    /// assert_eq!(Activation::Tanh.value_and_derivative(0.0), (0.0, 1.0));
    /// ```
    #[must_use]
    pub fn value_and_derivative(self, z: f64) -> (f64, f64) {
        match self {
            Self::Identity => (z, 1.0),
            Self::Tanh => {
                let a = z.tanh();
                (a, 1.0 - a * a)
            }
            Self::Relu if z > 0.0 || z.is_nan() => (z, 1.0),
            Self::Relu => (0.0, 0.0),
            Self::LeakyRelu if z > 0.0 || z.is_nan() => (z, 1.0),
            Self::LeakyRelu => (LEAKY_SLOPE * z, LEAKY_SLOPE),
            Self::Sigmoid => {
                let a = sigmoid(z);
                (a, a * sigmoid(-z))
            }
            Self::Softplus => (z.max(0.0) + (-z.abs()).exp().ln_1p(), sigmoid(z)),
            Self::Gelu => {
                let distribution = 0.5 * statrs::function::erf::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
                let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
                if z.is_infinite() {
                    return if z > 0.0 { (z, 1.0) } else { (0.0, 0.0) };
                }
                (z * distribution, distribution + z * density)
            }
            Self::Silu => {
                if z == f64::NEG_INFINITY {
                    return (0.0, 0.0);
                }
                let a = sigmoid(z);
                (z * a, a + if z.is_infinite() { 0.0 } else { z * a * sigmoid(-z) })
            }
        }
    }
}

/// `1 / (1 + exp(−z))` without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_equal_finite_differences() {
        for activation in Activation::ALL {
            for z in [-30.0, -3.0, -0.5, 0.3, 2.0, 25.0] {
                let h = 1e-6;
                let difference =
                    (activation.value_and_derivative(z + h).0 - activation.value_and_derivative(z - h).0) / (2.0 * h);
                let derivative = activation.value_and_derivative(z).1;
                assert!((difference - derivative).abs() < 1e-7, "{activation:?} at {z}: {difference} and {derivative}");
            }
        }
    }

    #[test]
    fn limits_are_finite_where_the_function_is() {
        for activation in Activation::ALL {
            assert!(activation.value_and_derivative(f64::NAN).0.is_nan(), "{activation:?} swallows NaN");
            let (value, derivative) = activation.value_and_derivative(f64::NEG_INFINITY);
            assert!(!value.is_nan() && !derivative.is_nan(), "{activation:?} at minus infinity: {value}, {derivative}");
        }
    }
}
