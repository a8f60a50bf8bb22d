//! Sample a network under a likelihood of your own: counts with more zeros than a Poisson has.
//!
//! Visitors to 400 sites, of which a third are closed and count none: a zero-inflated Poisson, whose share of closed sites is sampled along
//! with the network. The gradient is checked first, and a plain Poisson is fitted for comparison.

#![allow(clippy::print_stdout)]

use ergodic::draws::{PredictionKind, Transform};
use ergodic::model::{ChainRng, Likelihood, LikelihoodParameter, Poisson, Purpose, stream};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::Distribution;
use std::error::Error;

/// `P(0) = π + (1 − π) exp(−μ)` and `P(y) = (1 − π) Poisson(y; μ)` for y > 0, with μ = exp f(x) and logit π a coordinate.
#[derive(Debug)]
struct ZeroInflatedPoisson;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + exp(x)).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn ln_factorial(count: f64) -> f64 {
    (2..=count as u64).map(|k| (k as f64).ln()).sum()
}

/// The probability that an observed zero is the Poisson's own.
fn own_zero(mean: f64, logit: f64) -> f64 {
    logistic(-mean - logit)
}

impl Likelihood for ZeroInflatedPoisson {
    fn name(&self) -> &'static str {
        "zero-inflated poisson"
    }
    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }
    /// A count keeps its unit.
    fn standardizes_target(&self, _: usize) -> bool {
        false
    }
    fn num_outputs(&self) -> usize {
        1
    }
    fn num_targets(&self) -> usize {
        1
    }
    fn num_means(&self) -> usize {
        1
    }
    fn parameters(&self) -> Vec<LikelihoodParameter> {
        vec![LikelihoodParameter::new("zero_share", 0.0, 1.5).with_transform(Transform::Logistic)]
    }
    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        let count = targets[0];
        if count >= 0.0 && count.fract() == 0.0 { Ok(()) } else { Err(format!("the target is {count}, which is no count")) }
    }
    fn gradient(&self, f: &[f64], y: &[f64], parameters: &[f64], d_f: &mut [f64], d_parameters: &mut [f64]) -> f64 {
        let (mean, logit) = (f[0].exp(), parameters[0]);
        if y[0] == 0.0 {
            let own = own_zero(mean, logit);
            d_f[0] = -mean * own;
            d_parameters[0] += 1.0 - own - logistic(logit);
            return logit + softplus(-mean - logit) - softplus(logit);
        }
        d_f[0] = y[0] - mean;
        d_parameters[0] -= logistic(logit);
        y[0] * f[0] - mean - ln_factorial(y[0]) - softplus(logit)
    }
    fn curvature(&self, f: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let (mean, logit) = (f[0].exp(), parameters[0]);
        matrix[0] = logistic(-logit) * mean * (1.0 - mean * (-mean).exp() * (1.0 - own_zero(mean, logit)));
    }
    fn parameter_curvature(&self, f: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let (mean, logit) = (f[0].exp(), parameters[0]);
        let share = logistic(logit);
        let zero = share + (1.0 - share) * (-mean).exp();
        matrix[0] = zero * (1.0 - own_zero(mean, logit) - share).powi(2) + (1.0 - zero) * share * share;
    }
    fn mixed_curvature(&self, f: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let (mean, logit) = (f[0].exp(), parameters[0]);
        matrix[0] = -logistic(-logit) * mean * (-mean).exp() * (1.0 - own_zero(mean, logit));
    }
    fn mean(&self, f: &[f64], parameters: &[f64], mean: &mut [f64]) {
        mean[0] = logistic(-parameters[0]) * f[0].exp();
    }
    fn variance(&self, f: &[f64], parameters: &[f64], variance: &mut [f64]) {
        let (mean, share) = (f[0].exp(), logistic(parameters[0]));
        variance[0] = (1.0 - share) * mean * (1.0 + share * mean);
    }
    /// Summed over counts up to 20 standard deviations above the mean.
    fn entropy(&self, f: &[f64], parameters: &[f64]) -> f64 {
        let mean = f[0].exp();
        let most = (mean + 20.0 * mean.sqrt() + 20.0) as u64;
        let value = |count| self.gradient(f, &[count as f64], parameters, &mut [0.0], &mut [0.0]);
        (0..most).map(value).map(|value| -value.exp() * value).sum()
    }
    fn simulate(&self, f: &[f64], parameters: &[f64], rng: &mut ChainRng, y: &mut [f64]) {
        let closed = rng.random::<f64>() < logistic(parameters[0]);
        let count = rand_distr::Poisson::new(f[0].exp()).map_or(0.0, |poisson| poisson.sample(rng));
        y[0] = if closed { 0.0 } else { count };
    }
}

/// Sites by their distance: a mean of visitors that rises and falls, a third of the sites closed.
fn data() -> Result<Dataset, Box<dyn Error>> {
    let mut rng = stream(5, 0, Purpose::Simulate);
    let distance = DMatrix::from_fn(400, 1, |row, _| row as f64 / 40.0);
    let visitors = distance.map(|x| {
        let mut count = [0.0];
        ZeroInflatedPoisson.simulate(&[1.2 + x.sin()], &[0.5_f64.ln()], &mut rng, &mut count);
        count[0]
    });
    Ok(Dataset::new(distance, visitors)?.with_input_names(&["distance"])?.with_target_names(&["visitors"])?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (train, test) = data()?.split(0.25, 1)?;
    let network = || Network::dense(1, &[10], Activation::Tanh, 1);
    let inflated = BayesianNetwork::new(network()?, ZeroInflatedPoisson, NormalPrior::fan_in(2.0), &train)?;
    let check = check_gradient(&inflated, None, 1);
    println!("{check}\n");
    if !check.is_ok() {
        return Err("the gradient is not that of the log density".into());
    }

    let (warmup, draws) = if quick { (100, 100) } else { (1000, 1000) };
    let run = Run { warmup, draws, seed: 1, ..Run::default() };
    let drawn = sample(&inflated, &Nuts::default(), &run)?;
    println!("{}", summary(&drawn).parameter_table());

    let plain = BayesianNetwork::new(network()?, Poisson, NormalPrior::fan_in(2.0), &train)?;
    let plain_drawn = sample(&plain, &Nuts::default(), &run)?;
    let predictions = [inflated.predict(&drawn, &test)?, plain.predict(&plain_drawn, &test)?];
    println!("{}", function_diagnostics(&predictions[0])?.roll_up_table());
    let entries = [
        Entry { name: "zero-inflated Poisson", draws: &drawn, predictions: &predictions[0] },
        Entry { name: "Poisson", draws: &plain_drawn, predictions: &predictions[1] },
    ];
    println!("{}", compare(&entries)?);
    Ok(())
}
