//! Put independent Student-t priors on weights and biases.

use super::elementwise::{Family, Independent, Term};
use super::scale::check_positive;
use super::{BoundPrior, Prior, PriorError, Scale};
use crate::simd::{Lanes, log_at_least_one};
use crate::{ChainRng, Network};
use rand_distr::{Distribution, StudentT};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Independent Student-t priors around 0: many small weights and a few large ones (Neal 1996; Fortuin et al. 2022).
///
/// The log density of a weight is ln Γ((ν+1)/2) − ln Γ(ν/2) − ½ ln νπ − ln s − ½(ν+1) ln(1 + w²/νs²). Its standard deviation,
/// s √(ν/(ν−2)), is infinite up to ν = 2.
///
/// ```
/// use ergodic_model::{Activation, Network, Prior, Scale, StudentTPrior};
/// let network = Network::dense(1, &[], Activation::Tanh, 1)?;
/// let cauchy = StudentTPrior { degrees_of_freedom: 1.0, ..StudentTPrior::standard(1.0) };
/// let log_prior = cauchy.bind(&network)?.add_gradient(&[0.0, 1.0], &[], &mut [0.0; 2], &mut []);
/// assert!((log_prior - (1.0 / std::f64::consts::PI).ln() - (0.5 / std::f64::consts::PI).ln()).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudentTPrior {
    /// ν: 1 is a Cauchy distribution, and a large number near a normal one.
    pub degrees_of_freedom: f64,
    /// Scale s of the weights.
    pub weights: Scale,
    /// Scale s of the biases.
    pub biases: Scale,
}

impl StudentTPrior {
    /// One scale s for all weights and biases, with 4 degrees of freedom.
    #[must_use]
    pub fn standard(scale: f64) -> Self {
        Self { degrees_of_freedom: 4.0, weights: Scale::Fixed(scale), biases: Scale::Fixed(scale) }
    }
}

impl Prior for StudentTPrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let nu = self.degrees_of_freedom;
        check_positive("Student-t's degrees of freedom", nu)?;
        let name = format!("Student-t with {nu} degrees of freedom");
        Independent::bind(network, (&self.weights, &self.biases), &name, |scale| Student {
            nu,
            scale,
            inverse: 1.0 / (nu * scale * scale),
            unit: StudentT::new(nu).expect("the degrees of freedom are positive"),
        })
    }
}

#[derive(Debug)]
struct Student {
    nu: f64,
    scale: f64,
    /// 1/νs².
    inverse: f64,
    unit: StudentT<f64>,
}

impl Term for Student {
    #[inline(always)]
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let scaled = l.mul(x, l.splat(self.inverse));
        let t = l.fma(x, scaled, l.splat(1.0));
        let value = l.mul(log_at_least_one(l, t), l.splat(-0.5 * (self.nu + 1.0)));
        (value, l.div(l.mul(scaled, l.splat(-(self.nu + 1.0))), t))
    }
}

impl Family for Student {
    fn constant(&self) -> f64 {
        let nu = self.nu;
        ln_gamma(0.5 * (nu + 1.0)) - ln_gamma(0.5 * nu) - 0.5 * (nu * std::f64::consts::PI).ln() - self.scale.ln()
    }

    fn draw(&self, rng: &mut ChainRng) -> f64 {
        self.scale * self.unit.sample(rng)
    }

    fn sd(&self) -> f64 {
        if self.nu > 2.0 { self.scale * (self.nu / (self.nu - 2.0)).sqrt() } else { f64::INFINITY }
    }

    fn farthest_start(&self) -> f64 {
        3.0 * self.scale
    }
}
