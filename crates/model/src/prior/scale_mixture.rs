//! Put a mixture of a wide and a narrow normal on each weight and bias.

use super::elementwise::{Family, HALF_LN_2PI, Independent, Term};
use super::scale::check_positive;
use super::{BoundPrior, Prior, PriorError, Scale};
use crate::simd::{Lanes, softplus_and_slope};
use crate::{ChainRng, Network};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Independent mixtures of two normals around 0, p N(0, s²) + (1 − p) N(0, (rs)²): with r far below 1, most weights are nearly 0
/// (Blundell et al. 2015).
///
/// A chain seldom moves a weight from one component to the other where r is small; from 0.01 down,
/// [`SpikeAndSlabPrior`](crate::SpikeAndSlabPrior) or [`HorseshoePrior`](crate::HorseshoePrior) serve better.
///
/// ```
/// use ergodic_model::{Activation, Network, Prior, ScaleMixturePrior};
/// let network = Network::dense(1, &[], Activation::Tanh, 1)?;
/// let prior = ScaleMixturePrior::standard(1.0).bind(&network)?;
/// let sd = (0.5 + 0.5 * 0.1_f64.powi(2)).sqrt();
/// assert!((prior.scales()[0] - sd).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleMixturePrior {
    /// Probability p of the wide component.
    pub wide_probability: f64,
    /// r: the narrow component's standard deviation, in standard deviations of the wide one; between 0 and 1.
    pub ratio: f64,
    /// Standard deviation s of the wide component of the weights.
    pub weights: Scale,
    /// Standard deviation s of the wide component of the biases.
    pub biases: Scale,
}

impl ScaleMixturePrior {
    /// One wide standard deviation for all weights and biases, a narrow one a tenth of it, and even odds.
    #[must_use]
    pub fn standard(sd: f64) -> Self {
        Self { wide_probability: 0.5, ratio: 0.1, weights: Scale::Fixed(sd), biases: Scale::Fixed(sd) }
    }
}

impl Prior for ScaleMixturePrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let (p, ratio) = (self.wide_probability, self.ratio);
        if !(p > 0.0 && p < 1.0) {
            let problem = format!("the mixture's wide component has probability {p}; it must lie between 0 and 1");
            return Err(PriorError::Unsuitable(problem));
        }
        check_positive("the mixture's ratio of narrow to wide", ratio)?;
        if ratio >= 1.0 {
            let problem = format!("the mixture's ratio of narrow to wide standard deviation is {ratio}; it must be below 1");
            return Err(PriorError::Unsuitable(problem));
        }
        let name = format!("mixture of two normals, wide with probability {p}, narrow {ratio} as wide");
        Independent::bind(network, (&self.weights, &self.biases), &name, |sd| Mixture::new(p, sd, ratio * sd))
    }
}

#[derive(Debug)]
struct Mixture {
    wide_probability: f64,
    wide: f64,
    narrow: f64,
    wide_precision: f64,
    /// The narrow component's precision less the wide one's.
    excess: f64,
    /// Log odds of the narrow component at 0.
    log_odds: f64,
}

impl Mixture {
    fn new(wide_probability: f64, wide: f64, narrow: f64) -> Self {
        let wide_precision = 1.0 / (wide * wide);
        let excess = 1.0 / (narrow * narrow) - wide_precision;
        let log_odds = ((1.0 - wide_probability) / wide_probability * (wide / narrow)).ln();
        Self { wide_probability, wide, narrow, wide_precision, excess, log_odds }
    }
}

impl Term for Mixture {
    /// ln N(x; wide) + softplus of the narrow component's log odds, in which neither can underflow.
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let half_square = l.mul(l.mul(x, x), l.splat(0.5));
        let log_odds = l.negative_fma(half_square, l.splat(self.excess), l.splat(self.log_odds));
        let (softplus, share) = softplus_and_slope(l, log_odds);
        let precision = l.fma(share, l.splat(self.excess), l.splat(self.wide_precision));
        (l.negative_fma(half_square, l.splat(self.wide_precision), softplus), l.neg(l.mul(x, precision)))
    }
}

impl Family for Mixture {
    fn constant(&self) -> f64 {
        (self.wide_probability / self.wide).ln() - HALF_LN_2PI
    }

    fn draw(&self, rng: &mut ChainRng) -> f64 {
        let sd = if rng.random_bool(self.wide_probability) { self.wide } else { self.narrow };
        let z: f64 = StandardNormal.sample(rng);
        sd * z
    }

    fn sd(&self) -> f64 {
        let p = self.wide_probability;
        (p * self.wide * self.wide + (1.0 - p) * self.narrow * self.narrow).sqrt()
    }

    fn farthest_start(&self) -> f64 {
        3.0 * self.wide
    }
}
