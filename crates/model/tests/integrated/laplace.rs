//! Put double-exponential priors on weights: one that leaves no normal distribution.

use ergodic_model::{BoundPrior, ChainRng, Network, Prior, PriorError};
use rand::RngExt;

/// Independent double-exponential weights of scale 1.
#[derive(Debug)]
pub(crate) struct LaplaceWeights;

#[derive(Debug)]
struct BoundLaplaceWeights {
    scales: Vec<f64>,
}

impl Prior for LaplaceWeights {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        Ok(Box::new(BoundLaplaceWeights { scales: vec![2.0_f64.sqrt(); network.num_weights()] }))
    }
}

impl BoundPrior for BoundLaplaceWeights {
    fn description(&self) -> String {
        "laplace, scale 1".to_owned()
    }
    fn add_gradient(&self, weights: &[f64], _: &[f64], gradient: &mut [f64], _: &mut [f64]) -> f64 {
        for (w, g) in weights.iter().zip(gradient) {
            *g -= w.signum();
        }
        -weights.iter().map(|w| w.abs() + std::f64::consts::LN_2).sum::<f64>()
    }
    fn draw(&self, rng: &mut ChainRng, weights: &mut [f64], _: &mut [f64]) {
        for w in weights {
            let u: f64 = rng.random_range(-0.5..0.5);
            *w = -u.signum() * (1.0 - 2.0 * u.abs()).ln();
        }
    }
    fn scales(&self) -> &[f64] {
        &self.scales
    }
}
