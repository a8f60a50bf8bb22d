//! Check the evidence lower bound by local reparameterisation: closed forms, gradients, and agreement with sampled weights.

use ergodic_model::{
    Activation, BayesianNetwork, Bernoulli, BoundPrior, Categorical, ChainRng, Dataset, Gaussian, Likelihood, Network,
    NormalPrior, Posterior, Prior, PriorError, Purpose, Scale, Standardize, check_gradient, density, stream,
};
use nalgebra::DMatrix;
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;

fn likelihoods() -> Vec<Box<dyn Likelihood>> {
    vec![
        Box::new(Gaussian::known_noise(0.5)),
        Box::new(Gaussian { noise: ergodic_model::Noise::Learned { prior_mean: -0.5, prior_sd: 0.7 } }),
        Box::new(Gaussian::input_dependent_noise()),
        Box::new(Bernoulli),
        Box::new(Categorical { classes: 3 }),
    ]
}

fn model(likelihood: Box<dyn Likelihood>, hidden: &[usize], activation: Activation, rows: usize, seed: u64) -> BayesianNetwork {
    let mut rng = stream(seed, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(rows, 2, |_, _| rng.random_range(-2.0..2.0));
    let targets = DMatrix::from_fn(rows, 1, |row, _| match likelihood.name() {
        "bernoulli" => (row % 2) as f64,
        "categorical" => (row % 3) as f64,
        _ => 3.0 * inputs[(row, 0)] + rng.random_range(-1.0..1.0),
    });
    let data = Dataset::new(inputs, targets).unwrap();
    let network = Network::dense(2, hidden, activation, likelihood.num_outputs()).unwrap();
    let prior = NormalPrior { weights: Scale::FanIn(1.2), biases: Scale::Fixed(0.9) };
    BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::ByTrainingRows).unwrap()
}

/// Means and standard deviations of some approximation.
fn approximation(model: &BayesianNetwork, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut rng = stream(seed, 1, Purpose::Test);
    let dim = model.layout().dim();
    let mean = (0..dim).map(|_| rng.random_range(-0.8..0.8)).collect();
    (mean, (0..dim).map(|_| rng.random_range(0.02..0.4)).collect())
}

/// KL(q‖prior), from the definition: the model's prior scales, and its likelihood's parameters' prior means.
fn divergence(model: &BayesianNetwork, mean: &[f64], sd: &[f64]) -> f64 {
    let mut scales = vec![0.0; mean.len()];
    model.prior_scales(&mut scales);
    let parameters = model.capabilities().outputs.unwrap().likelihood().parameters();
    let mut centres = vec![0.0; mean.len() - parameters.len()];
    centres.extend(parameters.iter().map(|parameter| parameter.prior_mean));
    let mut sum = 0.0;
    for i in 0..mean.len() {
        let (s, distance) = (scales[i], mean[i] - centres[i]);
        sum += (s / sd[i]).ln() + (sd[i] * sd[i] + distance * distance) / (2.0 * s * s) - 0.5;
    }
    sum
}

/// Mean and its standard error of `draws` estimates of the bound.
fn estimate(draws: usize, mut one: impl FnMut(&mut ChainRng) -> f64) -> (f64, f64) {
    let mut rng = stream(41, 0, Purpose::Optimise);
    let values: Vec<f64> = (0..draws).map(|_| one(&mut rng)).collect();
    let mean = values.iter().sum::<f64>() / draws as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (draws - 1) as f64;
    (mean, (variance / draws as f64).sqrt())
}

fn local_estimate(model: &BayesianNetwork, mean: &[f64], sd: &[f64], draws: usize) -> (f64, f64) {
    let mut evaluator = model.capabilities().local_reparameterization.unwrap().local_evaluator();
    let (mut a, mut b) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
    estimate(draws, |rng| evaluator.evidence_lower_bound(mean, sd, rng, &mut a, &mut b).unwrap())
}

/// The same bound by sampling weights, and KL in closed form.
fn weight_estimate(model: &BayesianNetwork, mean: &[f64], sd: &[f64], draws: usize) -> (f64, f64) {
    let mut evaluator = model.capabilities().minibatch.unwrap().minibatch_evaluator();
    let rows: Vec<usize> = (0..model.num_rows()).collect();
    let (mut position, mut gradient) = (mean.to_vec(), vec![0.0; mean.len()]);
    let divergence = divergence(model, mean, sd);
    estimate(draws, |rng| {
        for ((x, mean), sd) in position.iter_mut().zip(mean).zip(sd) {
            let z: f64 = StandardNormal.sample(rng);
            *x = mean + sd * z;
        }
        evaluator.log_likelihood_and_gradient(&position, &rows, &mut gradient).unwrap() - divergence
    })
}

#[test]
fn the_bound_of_a_linear_network_is_its_closed_form() {
    let model = model(Box::new(Gaussian::known_noise(0.5)), &[], Activation::Tanh, 40, 3);
    let (mean, sd) = approximation(&model, 3);
    // E_q ln N(y; f, σ²) with f ~ N(m, v), in closed form, and its gradients.
    let noise: f64 = 0.25;
    let (mut expected, mut d_mean, mut d_sd) = (-divergence(&model, &mean, &sd), [0.0; 3], [0.0; 3]);
    let mut scales = [0.0; 3];
    model.prior_scales(&mut scales);
    for i in 0..3 {
        d_mean[i] -= mean[i] / (scales[i] * scales[i]);
        d_sd[i] -= sd[i] / (scales[i] * scales[i]) - 1.0 / sd[i];
    }
    let (inputs, targets) = standardised_rows(&model, 40, 3);
    for row in 0..40 {
        let x = [inputs[(row, 0)], inputs[(row, 1)], 1.0];
        let m: f64 = (0..3).map(|i| mean[i] * x[i]).sum();
        let v: f64 = (0..3).map(|i| (sd[i] * x[i]).powi(2)).sum();
        let residual = targets[row] - m;
        expected -= 0.5 * (residual * residual + v) / noise + 0.5 * (2.0 * PI * noise).ln();
        for i in 0..3 {
            d_mean[i] += residual * x[i] / noise;
            d_sd[i] -= sd[i] * x[i] * x[i] / noise;
        }
    }
    const DRAWS: usize = 20_000;
    let mut evaluator = model.capabilities().local_reparameterization.unwrap().local_evaluator();
    let (mut a, mut b) = (vec![0.0; 3], vec![0.0; 3]);
    let mut averages = [[0.0; 2]; 7];
    let mut rng = stream(5, 0, Purpose::Optimise);
    for _ in 0..DRAWS {
        let bound = evaluator.evidence_lower_bound(&mean, &sd, &mut rng, &mut a, &mut b).unwrap();
        for (average, value) in averages.iter_mut().zip(std::iter::once(&bound).chain(&a).chain(&b)) {
            average[0] += value / DRAWS as f64;
            average[1] += value * value / DRAWS as f64;
        }
    }
    // 7 z-tests at |z| < 4.5: a false alarm has probability 5e-5. An error of 1 nat in the bound gives |z| near 7.
    let exact: Vec<f64> = std::iter::once(expected).chain(d_mean).chain(d_sd).collect();
    for (index, ([mean, square], exact)) in averages.iter().zip(&exact).enumerate() {
        let error = ((square - mean * mean) / DRAWS as f64).sqrt();
        assert!((mean - exact).abs() < 4.5 * error, "quantity {index}: {mean} ± {error} and {exact}");
        assert!(index > 0 || (mean - exact - 1.0).abs() > 4.5 * error, "the error bars are too wide to see 1 nat");
    }
}

/// The rows of [`model`] on the standardised scale.
fn standardised_rows(model: &BayesianNetwork, rows: usize, seed: u64) -> (DMatrix<f64>, DMatrix<f64>) {
    let mut rng = stream(seed, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(rows, 2, |_, _| rng.random_range(-2.0..2.0));
    let targets = DMatrix::from_fn(rows, 1, |row, _| 3.0 * inputs[(row, 0)] + rng.random_range(-1.0..1.0));
    (model.standardization().apply_inputs(&inputs), model.standardization().apply_targets(&targets))
}

#[test]
fn without_spread_the_bound_is_the_log_likelihood_minus_the_divergence() {
    for likelihood in likelihoods() {
        let model = model(likelihood, &[5, 4], Activation::Silu, 70, 8);
        let (mean, _) = approximation(&model, 8);
        let sd = vec![1e-11; mean.len()];
        let rows: Vec<usize> = (0..70).collect();
        let (mut expected_gradient, mut gradient) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
        let mut minibatch = model.capabilities().minibatch.unwrap().minibatch_evaluator();
        let log_likelihood = minibatch.log_likelihood_and_gradient(&mean, &rows, &mut expected_gradient).unwrap();
        minibatch.log_prior_and_gradient(&mean, &mut gradient).unwrap();
        expected_gradient.iter_mut().zip(&gradient).for_each(|(total, prior)| *total += prior);
        let mut evaluator = model.capabilities().local_reparameterization.unwrap().local_evaluator();
        let mut sd_gradient = vec![0.0; mean.len()];
        let mut rng = stream(1, 0, Purpose::Optimise);
        let bound = evaluator.evidence_lower_bound(&mean, &sd, &mut rng, &mut gradient, &mut sd_gradient).unwrap();
        let expected = log_likelihood - divergence(&model, &mean, &sd);
        assert!((bound - expected).abs() < 1e-7 * expected.abs(), "{bound} and {expected}");
        for (a, b) in gradient.iter().zip(&expected_gradient) {
            assert!((a - b).abs() < 1e-7 * (1.0 + b.abs()), "{a} and {b}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_equal_finite_differences_under_common_random_numbers(
        activation in prop::sample::select(Activation::ALL.to_vec()),
        likelihood in 0..5_usize,
        hidden in prop::collection::vec(1..7_usize, 0..3),
        rows in prop::sample::select(vec![3_usize, 8, 31, 32, 33, 70]),
        seed in 0..1000_u64,
    ) {
        let model = model(likelihoods().swap_remove(likelihood), &hidden, activation, rows, seed);
        let check = check_bound(&model, seed, |_, _| ());
        prop_assert!(check.is_ok(), "{check}");
    }
}

/// Checks the gradient of the bound in means and in logarithms of standard deviations, the random numbers held fixed.
fn check_bound(model: &BayesianNetwork, seed: u64, fault: fn(&mut [f64], &mut [f64])) -> ergodic_model::GradientCheck {
    let (mean, sd) = approximation(model, seed);
    let dim = mean.len();
    let position: Vec<f64> = mean.into_iter().chain(sd.into_iter().map(f64::ln)).collect();
    let bound = density(2 * dim, |x: &[f64], gradient: &mut [f64]| {
        let sd: Vec<f64> = x[dim..].iter().map(|log_sd| log_sd.exp()).collect();
        let (mean_gradient, sd_gradient) = gradient.split_at_mut(dim);
        let mut rng = stream(seed, 0, Purpose::Optimise);
        let mut evaluator = model.capabilities().local_reparameterization.unwrap().local_evaluator();
        let bound = evaluator.evidence_lower_bound(&x[..dim], &sd, &mut rng, mean_gradient, sd_gradient).unwrap();
        sd_gradient.iter_mut().zip(&sd).for_each(|(gradient, sd)| *gradient *= sd);
        fault(mean_gradient, sd_gradient);
        bound
    });
    check_gradient(&bound, Some(&position), seed)
}

#[test]
fn many_rows_and_wide_layers_are_summed_over_blocks() {
    let model = model(Box::new(Gaussian::learned_noise()), &[40], Activation::Tanh, 1500, 2);
    let check = check_bound(&model, 2, |_, _| ());
    assert!(check.is_ok(), "{check}");
    let twin = check_bound(&model, 2, |_, sd| sd[3] *= 1.01);
    assert!(!twin.is_ok(), "a gradient off by 1 % passes");
}

#[test]
fn sampled_pre_activations_and_sampled_weights_give_the_same_bound() {
    // 5 comparisons at |z| < 4.5: a false alarm has probability 4e-5. The bound with variances 10 % too large differs by |z| > 4.5 in
    // at least one of them.
    let mut caught = 0;
    for likelihood in likelihoods() {
        let model = model(likelihood, &[4], Activation::Tanh, 60, 5);
        let (mean, sd) = approximation(&model, 5);
        let (local, local_error) = local_estimate(&model, &mean, &sd, 10_000);
        let (plain, plain_error) = weight_estimate(&model, &mean, &sd, 10_000);
        let error = local_error.hypot(plain_error);
        assert!((local - plain).abs() < 4.5 * error, "{local} and {plain} ± {error}");
        let wider: Vec<f64> = sd.iter().map(|sd| sd * 1.1_f64.sqrt()).collect();
        let (twin, twin_error) = local_estimate(&model, &mean, &wider, 10_000);
        caught += usize::from((twin - plain).abs() > 4.5 * twin_error.hypot(plain_error));
        assert!(local_error < plain_error, "noise of its own for each row makes the estimate better");
    }
    assert!(caught > 0, "variances 10 % too large pass");
}

#[test]
fn evaluators_repeat_themselves_bit_for_bit() {
    let model = model(Box::new(Categorical { classes: 3 }), &[7], Activation::Gelu, 45, 1);
    let (mean, sd) = approximation(&model, 1);
    let mut evaluator = model.capabilities().local_reparameterization.unwrap().local_evaluator();
    let mut run = || {
        let (mut a, mut b) = (vec![f64::NAN; mean.len()], vec![f64::NAN; mean.len()]);
        let bound = evaluator.evidence_lower_bound(&mean, &sd, &mut stream(6, 0, Purpose::Optimise), &mut a, &mut b).unwrap();
        (bound, a, b)
    };
    assert_eq!(run(), run());
}

/// A prior that is not normal, so that there is no closed form.
#[derive(Debug)]
struct Logistic(Vec<f64>);

impl Prior for Logistic {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        Ok(Box::new(Self(vec![PI / 3.0_f64.sqrt(); network.num_weights()])))
    }
}

impl BoundPrior for Logistic {
    fn description(&self) -> String {
        "logistic".into()
    }
    fn add_gradient(&self, weights: &[f64], _: &[f64], gradient: &mut [f64], _: &mut [f64]) -> f64 {
        let add = |(w, g): (&f64, &mut f64)| {
            *g -= (0.5 * w).tanh();
            -2.0 * (0.5 * w).cosh().ln() - 4.0_f64.ln()
        };
        weights.iter().zip(gradient).map(add).sum()
    }
    fn draw(&self, rng: &mut ChainRng, weights: &mut [f64], _: &mut [f64]) {
        for w in weights {
            let u: f64 = rng.random_range(1e-12..1.0);
            *w = (u / (1.0 - u)).ln();
        }
    }
    fn scales(&self) -> &[f64] {
        &self.0
    }
    fn is_normal(&self) -> bool {
        false
    }
}

#[test]
fn other_priors_do_not_offer_it() {
    let normal = model(Box::new(Bernoulli), &[3], Activation::Tanh, 20, 1);
    assert!(normal.capabilities().local_reparameterization.is_some());
    let data =
        Dataset::new(DMatrix::from_fn(9, 1, |row, _| row as f64), DMatrix::from_fn(9, 1, |row, _| (row % 2) as f64)).unwrap();
    let network = Network::dense(1, &[3], Activation::Tanh, 1).unwrap();
    let other = BayesianNetwork::new(network, Bernoulli, Logistic(vec![]), &data).unwrap();
    assert!(other.capabilities().local_reparameterization.is_none());
    assert!(check_gradient(&other, None, 1).is_ok());
}
