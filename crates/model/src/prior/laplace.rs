//! Put independent Laplace priors on weights and biases.

use super::elementwise::{Family, Independent, Term};
use super::{BoundPrior, Prior, PriorError, Scale};
use crate::simd::Lanes;
use crate::{ChainRng, Network};
use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use serde::{Deserialize, Serialize};

/// Independent Laplace (double-exponential) priors around 0.
///
/// The log density is Σᵢ −|wᵢ|/bᵢ − ln 2bᵢ, with standard deviation √2 b (Williams 1995). At exactly 0, where it has a kink, the
/// gradient is given as 0.
///
/// ```
/// use ergodic_model::{Activation, LaplacePrior, Network, Prior};
/// let network = Network::dense(1, &[], Activation::Tanh, 1)?;
/// let prior = LaplacePrior::standard(0.5).bind(&network)?;
/// let mut gradient = [0.0; 2];
/// let log_prior = prior.add_gradient(&[1.0, -3.0], &[], &mut gradient, &mut []);
/// assert_eq!(gradient, [-2.0, 2.0]);
/// assert!((log_prior - (-2.0 - 6.0)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaplacePrior {
    /// Scale b of the weights.
    pub weights: Scale,
    /// Scale b of the biases.
    pub biases: Scale,
}

impl LaplacePrior {
    /// One scale b for all weights and biases.
    #[must_use]
    pub fn standard(scale: f64) -> Self {
        Self { weights: Scale::Fixed(scale), biases: Scale::Fixed(scale) }
    }
}

impl Prior for LaplacePrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        Independent::bind(network, (&self.weights, &self.biases), "Laplace", |scale| Laplace { scale })
    }
}

#[derive(Debug)]
struct Laplace {
    scale: f64,
}

impl Term for Laplace {
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let rate = l.splat(-1.0 / self.scale);
        let (zero, magnitude) = (l.splat(0.0), l.abs(x));
        let slope = l.copysign(rate, x);
        (l.mul(magnitude, rate), l.select_less(zero, magnitude, l.neg(slope), zero))
    }
}

impl Family for Laplace {
    fn constant(&self) -> f64 {
        -(2.0 * self.scale).ln()
    }

    fn draw(&self, rng: &mut ChainRng) -> f64 {
        let magnitude: f64 = Exp1.sample(rng);
        if rng.random() { self.scale * magnitude } else { -self.scale * magnitude }
    }

    fn sd(&self) -> f64 {
        std::f64::consts::SQRT_2 * self.scale
    }

    fn farthest_start(&self) -> f64 {
        3.0 * self.sd()
    }
}
