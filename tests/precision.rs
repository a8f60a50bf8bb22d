//! Check that networks evaluated in single precision have the posterior they have in double precision.
//!
//! Both are sampled by NUTS; the mean and standard deviation of every probed output, and of the noise scale, agree within four combined
//! Monte Carlo standard errors. With some 60 comparisons of normal, independent z a false alarm has probability 0.4 % at a random seed;
//! the seed is fixed. The broken twin, a single-precision model whose noise is 15 % too small, is some ten standard errors away and found.

use ergodic::diagnostics::ScalarSummary;
use ergodic::draws::Draws;
use ergodic::model::{Noise, Precision, Purpose, stream};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand::RngExt;

const LIMIT: f64 = 4.0;
const ROWS: usize = 60;

/// A model, without its precision.
type Build = fn() -> BayesianNetwork;

fn inputs() -> DMatrix<f64> {
    let mut rng = stream(41, 0, Purpose::Test);
    DMatrix::from_fn(ROWS, 2, |_, _| rng.random_range(-2.0..2.0))
}

fn network(outputs: usize) -> Network {
    Network::dense(2, &[4], Activation::Tanh, outputs).unwrap()
}

fn regression_with(noise: Noise) -> BayesianNetwork {
    let inputs = inputs();
    let mut rng = stream(41, 1, Purpose::Test);
    let targets = DMatrix::from_fn(ROWS, 1, |row, _| (2.0 * inputs[(row, 0)]).sin() + rng.random_range(-0.5..0.5));
    let data = Dataset::new(inputs, targets).unwrap();
    BayesianNetwork::new(network(1), Gaussian { noise }, NormalPrior::default(), &data).unwrap()
}

fn regression() -> BayesianNetwork {
    regression_with(Noise::Learned { prior_mean: 0.0, prior_sd: 1.0 })
}

fn known_noise() -> BayesianNetwork {
    regression_with(Noise::Known { sd: 0.3 })
}

fn too_little_noise() -> BayesianNetwork {
    regression_with(Noise::Known { sd: 0.255 })
}

fn two_classes() -> BayesianNetwork {
    let inputs = inputs();
    let targets = DMatrix::from_fn(ROWS, 1, |row, _| f64::from(inputs[(row, 0)] * inputs[(row, 1)] > 0.0));
    BayesianNetwork::new(network(1), Bernoulli, NormalPrior::default(), &Dataset::new(inputs, targets).unwrap()).unwrap()
}

fn three_classes() -> BayesianNetwork {
    let inputs = inputs();
    let class = |x: f64| {
        if x < -0.7 {
            0.0
        } else if x < 0.7 {
            1.0
        } else {
            2.0
        }
    };
    let targets = DMatrix::from_fn(ROWS, 1, |row, _| class(inputs[(row, 0)] + 0.3 * inputs[(row, 1)]));
    let data = Dataset::new(inputs, targets).unwrap();
    BayesianNetwork::new(network(3), Categorical { classes: 3 }, NormalPrior::default(), &data).unwrap()
}

fn sampled(model: &BayesianNetwork, seed: u64) -> Draws {
    let run = Run { chains: 4, warmup: 500, draws: 1500, seed, ..Run::default() };
    sample(model, &Nuts::default(), &run).unwrap()
}

/// One series a chain of every output at nine probes, and of the likelihood's parameters.
fn probed(model: &BayesianNetwork, draws: &Draws) -> Vec<Vec<Vec<f64>>> {
    let probes = DMatrix::from_fn(9, 2, |row, column| [row / 3, row % 3][column] as f64 * 2.0 - 2.0);
    let outputs = model.capabilities().outputs.unwrap();
    let mut evaluator = outputs.output_evaluator(&probes).unwrap();
    let mut at = vec![0.0; 9 * outputs.num_outputs()];
    let mut series: Vec<Vec<Vec<f64>>> = Vec::new();
    for (chain, chain_draws) in draws.chains().iter().enumerate() {
        for position in chain_draws.positions() {
            evaluator.outputs(position, &mut at);
            let values = at.iter().chain(outputs.likelihood_parameters(position));
            for (k, value) in values.enumerate() {
                if series.len() == k {
                    series.push(vec![Vec::new(); draws.chains().len()]);
                }
                series[k][chain].push(*value);
            }
        }
    }
    series
}

/// The largest |z| between two runs, over means and standard deviations of all that is probed.
fn largest_z(double: &BayesianNetwork, single: &BayesianNetwork) -> f64 {
    let (a, b) = (probed(double, &sampled(double, 11)), probed(single, &sampled(single, 12)));
    let summaries = |series: &[Vec<f64>]| ScalarSummary::compute(series);
    let z = |x: f64, y: f64, x_error: f64, y_error: f64| ((x - y) / x_error.hypot(y_error)).abs();
    let each = a.iter().zip(&b).map(|(a, b)| {
        let (a, b) = (summaries(a), summaries(b));
        assert!(a.rhat.value < 1.02 && b.rhat.value < 1.02, "not converged: R-hat {:?} and {:?}", a.rhat, b.rhat);
        z(a.mean, b.mean, a.mcse_mean.value, b.mcse_mean.value).max(z(a.sd, b.sd, a.mcse_sd.value, b.mcse_sd.value))
    });
    each.fold(0.0, f64::max)
}

#[test]
fn single_precision_has_the_moments_of_double_precision() {
    let models: [(&str, Build); 3] =
        [("regression", regression), ("two classes", two_classes), ("three classes", three_classes)];
    for (name, build) in models {
        let z = largest_z(&build(), &build().with_precision(Precision::Single));
        assert!(z < LIMIT, "{name}: largest |z| {z}");
    }
}

#[test]
fn a_slightly_different_single_precision_model_is_found() {
    let z = largest_z(&known_noise(), &too_little_noise().with_precision(Precision::Single));
    assert!(z > LIMIT, "noise that is 15 % too small goes unnoticed: largest |z| {z}");
}
