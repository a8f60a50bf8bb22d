//! Write a prior of your own: weights that repel 0, and see what it does to a network's posterior.
//!
//! `cargo run --release --example own_prior` checks the prior's gradient, samples under it, and prints the two groups of weights.

#![allow(clippy::print_stdout)]

use ergodic::model::{BoundPrior, ChainRng, Prior, PriorError};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::error::Error;

/// Each weight is ±centre plus normal noise: p(w) = ½ N(w; −c, s²) + ½ N(w; c, s²). Small s makes networks of nearly two-valued weights.
#[derive(Debug, Clone)]
struct TwoHumps {
    centre: f64,
    sd: f64,
}

impl Prior for TwoHumps {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        if !(self.sd > 0.0 && self.sd.is_finite()) {
            return Err(PriorError::InvalidScale { what: "the two humps".to_owned(), value: self.sd });
        }
        let sd = (self.centre * self.centre + self.sd * self.sd).sqrt();
        Ok(Box::new(Bound { prior: self.clone(), scales: vec![sd; network.num_weights()] }))
    }
}

/// The same for the weights of one network.
#[derive(Debug)]
struct Bound {
    prior: TwoHumps,
    scales: Vec<f64>,
}

impl BoundPrior for Bound {
    fn description(&self) -> String {
        format!("two humps at ±{}, sd {}", self.prior.centre, self.prior.sd)
    }

    // ln p(w) = −(|w| − c)²/2s² + ln(1 + exp(−2c|w|/s²)) − ln 2 − ln s − ½ ln 2π.
    fn add_gradient(&self, weights: &[f64], _: &[f64], gradient: &mut [f64], _: &mut [f64]) -> f64 {
        let TwoHumps { centre, sd } = self.prior;
        let precision = 1.0 / (sd * sd);
        let constant = -(2.0 * sd).ln() - 0.5 * (2.0 * std::f64::consts::PI).ln();
        let mut sum = 0.0;
        for (w, g) in weights.iter().zip(gradient) {
            let distance = w.abs() - centre;
            let other = (-2.0 * centre * w.abs() * precision).exp();
            sum += constant - 0.5 * precision * distance * distance + other.ln_1p();
            *g -= precision * (w - centre * (centre * w * precision).tanh());
        }
        sum
    }

    fn draw(&self, rng: &mut ChainRng, weights: &mut [f64], _: &mut [f64]) {
        for w in weights {
            let z: f64 = StandardNormal.sample(rng);
            *w = self.prior.sd * z + if rng.random() { self.prior.centre } else { -self.prior.centre };
        }
    }

    fn scales(&self) -> &[f64] {
        &self.scales
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let inputs = DMatrix::from_fn(40, 1, |row, _| row as f64 / 10.0);
    let data = Dataset::new(inputs.clone(), inputs.map(|x| (2.0 * x).sin()))?;
    let network = Network::dense(1, &[6], Activation::Tanh, 1)?;
    let model = BayesianNetwork::new(network, Gaussian::learned_noise(), TwoHumps { centre: 1.0, sd: 0.2 }, &data)?;

    // The library compares the gradient with differences of the log density, the prior's part included.
    let check = check_gradient(&model, None, 1);
    println!("gradient is right: {}", check.is_ok());

    let draws = if quick { 100 } else { 1000 };
    let draws = sample(&model, &Nuts::default(), &Run { warmup: draws, draws, ..Run::default() })?;
    let weights: Vec<f64> = draws.positions().flat_map(|draw| draw[..19].to_vec()).collect();
    let share = |keep: fn(&f64) -> bool| 100.0 * weights.iter().filter(|w| keep(w)).count() as f64 / weights.len() as f64;
    println!("prior: {}", model.prior_description());
    println!(
        "weights below −½: {:.0} %, between: {:.0} %, above ½: {:.0} %",
        share(|w| *w < -0.5),
        share(|w| w.abs() <= 0.5),
        share(|w| *w > 0.5)
    );
    println!("{}", function_diagnostics(&model.predict(&draws, &data)?)?.roll_up_table());
    Ok(())
}
