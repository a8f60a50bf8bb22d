//! Report the parameters of eight schools: the effects θ, μ and τ.

use crate::model::{Model, numbered};
use ergodic_targets::EightSchools;

impl Model for EightSchools {
    fn parameters(&self) -> Vec<String> {
        numbered("theta", 8).chain(["mu".to_owned(), "tau".to_owned()]).collect()
    }

    fn report(&self, position: &[f64]) -> Vec<f64> {
        let (mu, tau) = (position[0], position[1].exp());
        position[2..].iter().map(|z| mu + tau * z).chain([mu, tau]).collect()
    }

    fn position(&self, reported: &[f64]) -> Vec<f64> {
        let (mu, tau) = (reported[8], reported[9]);
        [mu, tau.ln()].into_iter().chain(reported[..8].iter().map(|theta| (theta - mu) / tau)).collect()
    }
}
