//! Define the priors of scales that are sampled along with the weights.

use super::PriorError;
use super::elementwise::{HALF_LN_2PI, Term, add_terms};
use super::scale::check_positive;
use crate::ChainRng;
use crate::simd::{Lanes, exp, softplus_and_slope};
use ergodic_draws::Transform;
use pulp::Arch;
use rand_distr::{Distribution, Exp1, Gamma, StandardNormal};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::{LN_2, PI};

/// The prior of a positive scale σ, which is sampled as ln σ.
///
/// Densities below are of σ; that of the coordinate ln σ has the Jacobian σ besides.
///
/// ```
/// use ergodic_model::ScalePrior;
/// // An inverse-gamma variance is a gamma precision (Neal 1996).
/// assert_eq!(ScalePrior::inverse_gamma(2.0, 8.0), ScalePrior::GammaPrecision { scale: 2.0, shape: 4.0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalePrior {
    /// p(σ) = √(2/π)/s · exp(−σ²/2s²): scales near 0 are free, scales beyond a few s are not.
    HalfNormal {
        /// Scale s; the mean is s √(2/π).
        scale: f64,
    },
    /// p(σ) = 2/(πs) / (1 + σ²/s²): a heavy tail, for scales that may be large (Gelman 2006).
    HalfCauchy {
        /// Scale s, which is the median.
        scale: f64,
    },
    /// 1/σ² ~ Gamma with mean 1/s² and density ∝ τ^(α/2 − 1) exp(−ατs²/2): Neal's prior, written `s:α` in his FBM (Neal 1996). Scales
    /// near 0 are excluded, and the tail of large ones is a power.
    GammaPrecision {
        /// s: the scale at the mean precision.
        scale: f64,
        /// α: the larger, the nearer is σ to s.
        shape: f64,
    },
    /// ln σ ~ N(ln m, sd²).
    LogNormal {
        /// Median m.
        median: f64,
        /// Standard deviation of ln σ.
        sd: f64,
    },
}

impl ScalePrior {
    /// σ² ~ inverse gamma with density ∝ v^(−shape − 1) exp(−scale/v): Neal's prior by other parameters.
    #[must_use]
    pub fn inverse_gamma(shape: f64, scale: f64) -> Self {
        Self::GammaPrecision { scale: (scale / shape).sqrt(), shape: 2.0 * shape }
    }

    /// The density of ln σ.
    pub(super) fn density(&self, what: &str) -> Result<CoordinateDensity, PriorError> {
        let check = |name: &str, value| check_positive(&format!("the {name} of the prior of {what}"), value);
        Ok(match *self {
            Self::HalfNormal { scale } => {
                check("scale", scale)?;
                // σ²/s² ~ Gamma(½) with mean 1.
                CoordinateDensity::LogGamma { rate: 2.0, shift: 2.0 * scale.ln(), shape: 0.5 }
            }
            Self::HalfCauchy { scale } => {
                check("scale", scale)?;
                CoordinateDensity::HyperbolicSecant { centre: scale.ln() }
            }
            Self::GammaPrecision { scale, shape } => {
                check("scale", scale)?;
                check("shape", shape)?;
                CoordinateDensity::LogGamma { rate: -2.0, shift: -2.0 * scale.ln(), shape: 0.5 * shape }
            }
            Self::LogNormal { median, sd } => {
                check("median", median)?;
                check("standard deviation", sd)?;
                CoordinateDensity::Normal { mean: median.ln(), sd }
            }
        })
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::HalfNormal { scale } => format!("half-normal({scale})"),
            Self::HalfCauchy { scale } => format!("half-Cauchy({scale})"),
            Self::GammaPrecision { scale, shape } => format!("gamma precision({scale}:{shape})"),
            Self::LogNormal { median, sd } => format!("log-normal({median}, {sd})"),
        }
    }
}

/// The density of an unconstrained coordinate x behind a scale, or behind a weight between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CoordinateDensity {
    /// exp(v) ~ Gamma(shape) with mean 1, at v = rate · x − shift.
    LogGamma { rate: f64, shift: f64, shape: f64 },
    /// 1/π sech(x − centre): the logarithm of a half-Cauchy variable.
    HyperbolicSecant { centre: f64 },
    /// Logistic at v = rate · x − shift: the logit of a binary concrete variable (Maddison et al. 2017).
    Logistic { rate: f64, shift: f64 },
    /// Normal.
    Normal { mean: f64, sd: f64 },
}

impl CoordinateDensity {
    /// Adds the derivatives of the log density of each coordinate, and returns the sum of the log densities with their constants.
    pub(super) fn add_gradient(&self, arch: Arch, x: &[f64], gradient: &mut [f64]) -> f64 {
        let sum = match *self {
            Self::LogGamma { rate, shift, shape } => add_terms(arch, &LogGamma { rate, shift, shape }, x, gradient),
            Self::HyperbolicSecant { centre } => {
                add_terms(arch, &LogisticPower { rate: 2.0, shift: 2.0 * centre, power: 1.0 }, x, gradient)
            }
            Self::Logistic { rate, shift } => add_terms(arch, &LogisticPower { rate, shift, power: 2.0 }, x, gradient),
            Self::Normal { mean, sd } => add_terms(arch, &Normal { mean, precision: 1.0 / (sd * sd) }, x, gradient),
        };
        sum + x.len() as f64 * self.constant()
    }

    fn constant(&self) -> f64 {
        match *self {
            Self::LogGamma { rate, shape, .. } => rate.abs().ln() + shape * shape.ln() - ln_gamma(shape),
            Self::HyperbolicSecant { .. } => LN_2 - PI.ln(),
            Self::Logistic { rate, .. } => rate.ln(),
            Self::Normal { sd, .. } => -sd.ln() - HALF_LN_2PI,
        }
    }

    /// One draw; exact, and without overflow for the heaviest tails.
    pub(super) fn draw(&self, rng: &mut ChainRng) -> f64 {
        match *self {
            Self::LogGamma { rate, shift, shape } => {
                // G(a) is G(a + 1) U^(1/a) in law, and −ln U is exponential: logarithms do not underflow where a is small.
                let larger = Gamma::new(shape + 1.0, 1.0).expect("the shape is positive").sample(rng);
                let exponential: f64 = Exp1.sample(rng);
                (larger.ln() - exponential / shape - shape.ln() + shift) / rate
            }
            Self::HyperbolicSecant { centre } => {
                // A Cauchy variable is a ratio of normal ones.
                let [above, below]: [f64; 2] = [StandardNormal.sample(rng), StandardNormal.sample(rng)];
                centre + above.abs().ln() - below.abs().ln()
            }
            Self::Logistic { rate, shift } => {
                let [above, below]: [f64; 2] = [Exp1.sample(rng), Exp1.sample(rng)];
                (shift + above.ln() - below.ln()) / rate
            }
            Self::Normal { mean, sd } => {
                let z: f64 = StandardNormal.sample(rng);
                mean + sd * z
            }
        }
    }

    /// Where a chain starts: a draw, at most 1 from the centre, so that no scale starts beyond e times or below 1/e of its usual value.
    pub(super) fn initial(&self, rng: &mut ChainRng) -> f64 {
        let centre = match *self {
            Self::LogGamma { rate, shift, .. } | Self::Logistic { rate, shift } => shift / rate,
            Self::HyperbolicSecant { centre } => centre,
            Self::Normal { mean, .. } => mean,
        };
        centre + (self.draw(rng) - centre).clamp(-1.0, 1.0)
    }

    /// The standard deviation of the coordinate, which is finite for all of them.
    pub(super) fn sd(&self) -> f64 {
        match *self {
            Self::LogGamma { rate, shape, .. } => trigamma(shape).sqrt() / rate.abs(),
            Self::HyperbolicSecant { .. } => 0.5 * PI,
            Self::Logistic { rate, .. } => PI / (3.0_f64.sqrt() * rate),
            Self::Normal { sd, .. } => sd,
        }
    }

    /// How the coordinate is read.
    pub(super) fn transform(&self) -> Transform {
        if matches!(self, Self::Logistic { .. }) { Transform::Logistic } else { Transform::EXP }
    }
}

/// ψ′(a), the variance of the logarithm of a Gamma(a) variable: recurrence up to 10, then its asymptotic series.
fn trigamma(a: f64) -> f64 {
    let (mut sum, mut a) = (0.0, a);
    while a < 10.0 {
        sum += 1.0 / (a * a);
        a += 1.0;
    }
    let square = 1.0 / (a * a);
    sum + 1.0 / a + 0.5 * square + square / a * (1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square / 30.0)))
}

/// shape · (v − exp v).
struct LogGamma {
    rate: f64,
    shift: f64,
    shape: f64,
}

impl Term for LogGamma {
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let v = l.fma(x, l.splat(self.rate), l.splat(-self.shift));
        let e = exp(l, v);
        let shape = l.splat(self.shape);
        (l.mul(shape, l.sub(v, e)), l.mul(l.splat(self.shape * self.rate), l.sub(l.splat(1.0), e)))
    }
}

/// power · (½v − softplus v): power 1 at v = 2u is −ln(2 cosh u), power 2 the logistic density.
struct LogisticPower {
    rate: f64,
    shift: f64,
    power: f64,
}

impl Term for LogisticPower {
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let v = l.fma(x, l.splat(self.rate), l.splat(-self.shift));
        let (softplus, slope) = softplus_and_slope(l, v);
        let half = l.splat(0.5);
        let value = l.mul(l.splat(self.power), l.sub(l.mul(half, v), softplus));
        (value, l.mul(l.splat(self.power * self.rate), l.sub(half, slope)))
    }
}

/// −½(x − mean)² · precision.
pub(super) struct Normal {
    pub(super) mean: f64,
    pub(super) precision: f64,
}

impl Term for Normal {
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let distance = l.sub(x, l.splat(self.mean));
        let slope = l.mul(distance, l.splat(-self.precision));
        (l.mul(l.mul(slope, distance), l.splat(0.5)), slope)
    }
}
