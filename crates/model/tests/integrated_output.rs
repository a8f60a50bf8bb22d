//! Check a posterior without its output layer: its value, its gradient, what it stores, and what it refuses.

mod integrated;
#[path = "integrated/laplace.rs"]
mod laplace;
#[path = "integrated/reference.rs"]
mod reference;

use ergodic_model::{
    Activation, BayesianNetwork, Categorical, Dataset, Gaussian, IntegratedOutput, IntegrationError, Likelihood, Network,
    NormalPrior, Posterior, Precision, Prior, Purpose, Scale, check_gradient, stream,
};
use integrated::{LOG_TWO_PI, LayerScales, TwoGaussians, data, whole};
use laplace::LaplaceWeights;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use reference::{conditional, features, log_normal, of_output};

/// Unequal scales, so that a mix-up of outputs, weights and biases shows.
fn normal_prior(layers: usize) -> NormalPrior {
    NormalPrior { weights: Scale::FanIn(1.4), biases: Scale::PerLayer((0..layers).map(|l| 0.6 + 0.5 * l as f64).collect()) }
}

fn likelihoods() -> [Box<dyn Likelihood>; 3] {
    [Box::new(Gaussian::known_noise(0.3)), Box::new(Gaussian::learned_noise()), Box::new(TwoGaussians { known: 0.4 })]
}

/// A position of order 1.
fn position(posterior: &IntegratedOutput, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, 1, Purpose::Test);
    (0..posterior.layout().dim()).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn value(posterior: &dyn Posterior, position: &[f64]) -> f64 {
    let mut gradient = vec![f64::NAN; position.len()];
    posterior.evaluator().log_density_and_gradient(position, &mut gradient).unwrap()
}

/// Each output's noise and the prior scales of its weights at the likelihood's and the prior's parameters.
struct Outputs {
    noise: Vec<f64>,
    scales: Vec<DVector<f64>>,
}

/// Taken from the mode of a recorded draw's layout: the scales of a fixed prior, or those of `LayerScales`.
fn outputs(network: &Network, sampled: bool, parameters: &[f64], prior_parameters: &[f64]) -> Outputs {
    let top = *network.dense_layers().unwrap().last().unwrap();
    let noise = match (network.num_outputs(), parameters) {
        (1, []) => vec![0.3],
        (1, [log_sd]) => vec![log_sd.exp()],
        (_, parameters) => vec![0.4, parameters[0].exp()],
    };
    let scales = (0..network.num_outputs()).map(|output| {
        DVector::from_fn(top.inputs + 1, |i, _| {
            let index =
                if i < top.inputs { top.weights().start + output * top.inputs + i } else { top.biases().start + output };
            if sampled {
                let factor = if index % 3 == 0 { 2.0 } else { 1.0 };
                factor * prior_parameters[network.dense_layers().unwrap().len() - 1].exp()
            } else if i < top.inputs {
                1.4 / (top.inputs as f64).sqrt()
            } else {
                0.6 + 0.5 * (network.dense_layers().unwrap().len() - 1) as f64
            }
        })
    });
    Outputs { noise, scales: scales.collect() }
}

/// Every likelihood with both kinds of priors: (posterior, whether scales are sampled).
fn models(hidden: &[usize], activation: Activation, rows: usize, seed: u64) -> Vec<(IntegratedOutput, bool, Dataset)> {
    let mut models = Vec::new();
    for sampled in [false, true] {
        for likelihood in likelihoods() {
            let fixed = normal_prior(hidden.len() + 1);
            let prior: &dyn Prior = if sampled { &LayerScales } else { &fixed };
            let data = data(rows, 3, likelihood.num_targets(), seed);
            models.push((IntegratedOutput::new(whole(hidden, activation, likelihood, prior, &data)).unwrap(), sampled, data));
        }
    }
    models
}

#[test]
fn equals_the_normal_density_of_the_targets_given_the_features() {
    for rows in [1, 5, 33, 70] {
        for (posterior, sampled, data) in models(&[5, 4], Activation::Tanh, rows, 3) {
            let network = posterior.model().network();
            let position = position(&posterior, 5);
            // The weights of all layers; those of the output layer do not matter here.
            let mut draw = vec![0.0; posterior.draw_layout().dim()];
            posterior.recorder().unwrap().record_mode(&position, &mut draw).unwrap();
            let num_weights = network.num_weights();
            let hidden = network.dense_layers().unwrap().last().unwrap().offset;
            let num_parameters = posterior.model().likelihood().parameters().len();
            let (parameters, prior_parameters) = draw[num_weights..].split_at(num_parameters);
            let outputs = outputs(network, sampled, parameters, prior_parameters);
            let phi = features(network, &draw, data.inputs());
            let mut expected = 0.0;
            for (output, (sd, scales)) in outputs.noise.iter().zip(&outputs.scales).enumerate() {
                let scaled = &phi * DMatrix::from_diagonal(scales);
                let covariance = DMatrix::identity(rows, rows) * (sd * sd) + &scaled * scaled.transpose();
                expected += log_normal(&data.targets().column(output).into_owned(), covariance);
            }
            for parameter in posterior.model().likelihood().parameters() {
                let z = (parameters[0] - parameter.prior_mean) / parameter.prior_sd;
                expected -= 0.5 * z * z + parameter.prior_sd.ln() + 0.5 * LOG_TWO_PI;
            }
            let normal = |x: f64, sd: f64| -0.5 * (x / sd).powi(2) - sd.ln() - 0.5 * LOG_TWO_PI;
            if sampled {
                expected += position[..hidden].iter().chain(prior_parameters).map(|x| normal(*x, 1.0)).sum::<f64>();
            } else {
                for (i, layer) in network.dense_layers().unwrap()[..2].iter().enumerate() {
                    let sd = 1.4 / (layer.inputs as f64).sqrt();
                    expected += draw[layer.weights()].iter().map(|w| normal(*w, sd)).sum::<f64>();
                    expected += draw[layer.biases()].iter().map(|b| normal(*b, 0.6 + 0.5 * i as f64)).sum::<f64>();
                }
            }
            let found = value(&posterior, &position);
            assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{rows} rows: {found} and {expected}");
        }
    }
}

#[test]
fn equals_the_whole_density_over_the_weights_given_the_rest_at_any_weights() {
    for (posterior, sampled, data) in models(&[6], Activation::Relu, 40, 8) {
        let model = posterior.model();
        let network = model.network();
        let position = position(&posterior, 6);
        let mut draw = vec![0.0; posterior.draw_layout().dim()];
        posterior.recorder().unwrap().record_mode(&position, &mut draw).unwrap();
        let (num_weights, top) = (network.num_weights(), *network.dense_layers().unwrap().last().unwrap());
        let num_parameters = model.likelihood().parameters().len();
        let phi = features(network, &draw, data.inputs());
        let marginal = value(&posterior, &position);
        let mut rng = stream(9, 0, Purpose::Test);
        for _ in 0..3 {
            for w in &mut draw[top.offset..num_weights] {
                let z: f64 = StandardNormal.sample(&mut rng);
                *w = 2.0 * z;
            }
            let (parameters, prior_parameters) = draw[num_weights..].split_at(num_parameters);
            let outputs = outputs(network, sampled, parameters, prior_parameters);
            let mut given = 0.0;
            let mut log_jacobian = 0.0;
            for (output, (sd, scales)) in outputs.noise.iter().zip(&outputs.scales).enumerate() {
                let (mean, covariance) = conditional(&phi, &data.targets().column(output).into_owned(), *sd, scales);
                given += log_normal(&(of_output(network, &draw, output) - mean), covariance);
                // The whole posterior is a density of coordinates w/s where scales are sampled.
                log_jacobian += if sampled { scales.map(f64::ln).sum() } else { 0.0 };
            }
            let whole_position = ergodic_model::position_of(model, &draw).unwrap();
            let difference = value(model, &whole_position) - (given + log_jacobian);
            assert!((difference - marginal).abs() < 1e-9 * (1.0 + given.abs()), "{difference} and {marginal}");
            // Stored draws restore their positions, whatever the output layer's weights are.
            let restored = ergodic_model::position_of(&posterior, &draw).unwrap();
            assert!(restored.iter().zip(&position).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_equal_finite_differences(
        activation in prop::sample::select(Activation::ALL.to_vec()),
        hidden in prop::collection::vec(1..12_usize, 1..4),
        rows in prop::sample::select(vec![1, 2, 7, 8, 9, 16, 31, 32, 33, 64, 65, 97, 131]),
        seed in 0..1000_u64,
    ) {
        for (posterior, _, _) in models(&hidden, activation, rows, seed) {
            let check = check_gradient(&posterior, Some(&position(&posterior, seed)), seed);
            prop_assert!(check.is_ok(), "{check}");
        }
    }
}

#[test]
fn dead_and_saturated_units_leave_a_right_gradient() {
    for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid] {
        for shift in [-40.0, 40.0] {
            for (posterior, _, _) in models(&[7, 5], activation, 41, 4) {
                let mut position = position(&posterior, 7);
                // Biases of three units of each hidden layer: layer 0 has 21 weights, then 7 biases; layer 1 has 35, then 5.
                for bias in (21..24).chain(63..66) {
                    position[bias] = shift;
                }
                let check = check_gradient(&posterior, Some(&position), 1);
                assert!(check.is_ok(), "{activation:?}, {shift}: {check}");
            }
        }
    }
    // All of them dead: the features are all zero but the bias.
    for (posterior, _, _) in models(&[4], Activation::Relu, 20, 4) {
        let mut position = position(&posterior, 7);
        position[12..16].fill(-40.0);
        let check = check_gradient(&posterior, Some(&position), 1);
        assert!(check.is_ok(), "{check}");
    }
}

#[test]
fn what_is_not_finite_is_outside_the_support() {
    for (posterior, _, _) in models(&[4], Activation::Relu, 20, 4) {
        for bad in [f64::NAN, f64::INFINITY, 1e200] {
            let mut position = position(&posterior, 7);
            position[0] = bad;
            assert!(!value(&posterior, &position).is_finite(), "{bad}");
        }
    }
}

/// The largest error of a single-precision gradient over the gradient's largest entry, and the error of the log density in nats.
fn single_precision_errors(noise: f64, prior: &NormalPrior) -> (f64, f64) {
    let data = data(700, 8, 1, 12);
    let model = |precision| {
        let likelihood = Box::new(Gaussian::known_noise(noise));
        IntegratedOutput::new(whole(&[50], Activation::Tanh, likelihood, prior, &data)).unwrap().with_precision(precision)
    };
    let (double, single) = (model(Precision::Double), model(Precision::Single));
    let position: Vec<f64> = position(&double, 3).iter().map(|x| 0.5 * x).collect();
    let (mut a, mut b) = (vec![0.0; position.len()], vec![0.0; position.len()]);
    let x = double.evaluator().log_density_and_gradient(&position, &mut a).unwrap();
    let y = single.evaluator().log_density_and_gradient(&position, &mut b).unwrap();
    let largest = a.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    (a.iter().zip(&b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / largest, (x - y).abs())
}

#[test]
fn single_precision_agrees_down_to_the_noise_that_it_is_for() {
    for (noise, prior, gradient_limit, density_limit) in [
        (0.3, NormalPrior::fan_in(1.0), 1e-4, 0.01),
        (0.03, NormalPrior::fan_in(1.0), 1e-3, 0.05),
        (0.3, NormalPrior::default(), 1e-4, 0.01),
        (0.03, NormalPrior::default(), 1e-3, 0.1),
    ] {
        let (gradient, density) = single_precision_errors(noise, &prior);
        assert!(gradient < gradient_limit && density < density_limit, "noise {noise}: {gradient}, {density}");
    }
}

#[test]
fn double_precision_holds_where_features_are_nearly_dependent_and_noise_is_small() {
    // 30 tanh units with small weights are nearly linear: their Gram matrix has a condition number beyond 1e12.
    let data = data(90, 2, 1, 21);
    let likelihood = Box::new(Gaussian::known_noise(1e-3));
    let posterior =
        IntegratedOutput::new(whole(&[30], Activation::Tanh, likelihood, &NormalPrior::standard(1.0), &data)).unwrap();
    let position: Vec<f64> = position(&posterior, 2).iter().map(|x| 0.2 * x).collect();
    let network = posterior.model().network();
    let phi = features(network, &position, data.inputs());
    let covariance = DMatrix::identity(90, 90) * 1e-6 + &phi * phi.transpose();
    let prior: f64 = position.iter().map(|x| -0.5 * (x * x + LOG_TWO_PI)).sum();
    let expected = log_normal(&data.targets().column(0).into_owned(), covariance) + prior;
    let found = value(&posterior, &position);
    assert!((found - expected).abs() < 1e-7 * expected.abs(), "{found} and {expected}");
    // With 10⁻⁶ of noise variance to the features' 10² rounding shows in the gradient, far below its size.
    let check = check_gradient(&posterior, Some(&position), 1);
    let largest = check.coordinates.iter().fold(0.0_f64, |m, c| m.max(c.gradient.abs()));
    for coordinate in &check.coordinates {
        let error = (coordinate.gradient - coordinate.difference).abs() / largest;
        assert!(error < 1e-4, "{}: {error}", coordinate.name);
    }
}

/// The largest |z| of means, variances and covariances of redrawn weights against their conditional distribution, where `broken` changes
/// each draw before it is looked at.
fn redraw_z(broken: impl Fn(&mut DVector<f64>, &DVector<f64>)) -> f64 {
    const DRAWS: usize = 4000;
    let mut worst = 0.0_f64;
    for (posterior, sampled, data) in models(&[4], Activation::Tanh, 12, 30) {
        let network = posterior.model().network();
        let position = position(&posterior, 2);
        let mut recorder = posterior.recorder().unwrap();
        let mut rng = stream(11, 0, Purpose::Record);
        let mut draw = vec![0.0; posterior.draw_layout().dim()];
        recorder.record_mode(&position, &mut draw).unwrap();
        let num_parameters = posterior.model().likelihood().parameters().len();
        let (parameters, prior_parameters) = draw[network.num_weights()..].split_at(num_parameters);
        let outputs = outputs(network, sampled, parameters, prior_parameters);
        let phi = features(network, &draw, data.inputs());
        for (output, (sd, scales)) in outputs.noise.iter().zip(&outputs.scales).enumerate() {
            let (mean, covariance) = conditional(&phi, &data.targets().column(output).into_owned(), *sd, scales);
            let mode = of_output(network, &draw, output);
            assert!((&mode - &mean).amax() < 1e-9, "the mode is the conditional mean");
            // Whitened by the conditional distribution, draws are standard normal.
            let factor = covariance.cholesky().unwrap();
            let (mut sum, mut squares) = (DVector::zeros(5), DMatrix::zeros(5, 5));
            for _ in 0..DRAWS {
                let mut drawn = draw.clone();
                recorder.record(&position, &mut rng, &mut drawn).unwrap();
                let mut weights = of_output(network, &drawn, output);
                broken(&mut weights, &mean);
                let z = factor.l_dirty().solve_lower_triangular(&(weights - &mean)).unwrap();
                squares += &z * z.transpose();
                sum += z;
            }
            let root = (DRAWS as f64).sqrt();
            worst = worst.max((sum / root).amax());
            for i in 0..5 {
                for j in 0..=i {
                    let (expected, sd) = if i == j { (DRAWS as f64, 2.0_f64.sqrt()) } else { (0.0, 1.0) };
                    worst = worst.max(((squares[(i, j)] - expected) / (root * sd)).abs());
                }
            }
        }
    }
    worst
}

#[test]
fn redrawn_weights_have_their_conditional_moments() {
    // 8 outputs with 5 means, 5 variances and 10 covariances each: 160 z-tests at |z| < 5, false alarms with probability 1e-4. A bias
    // left at its mean gives |z| near √2000 = 45, and weights 10 % too wide give |z| near 9.
    assert!(redraw_z(|_, _| {}) < 5.0);
    assert!(redraw_z(|weights, mean| weights[4] = mean[4]) > 5.0, "a bias that is not redrawn passes");
    assert!(redraw_z(|weights, mean| *weights = mean + (&*weights - mean) * 1.1) > 5.0, "a wrong noise passes");
    assert!(redraw_z(|weights, mean| weights.copy_from(mean)) > 5.0, "draws without noise pass");
}

#[test]
fn it_has_the_abilities_of_stored_draws_and_no_others() {
    for (posterior, _, _) in models(&[4], Activation::Tanh, 12, 30) {
        let capabilities = posterior.capabilities();
        assert!(capabilities.minibatch.is_none() && capabilities.curvature.is_none());
        assert!(capabilities.local_reparameterization.is_none());
        let stored = posterior.draw_layout().dim();
        assert_eq!(capabilities.outputs.unwrap().num_coordinates(), stored);
        assert_eq!(posterior.draw_layout(), posterior.model().draw_layout());
        let mut each = vec![0.0; 12];
        let mut draw = vec![0.0; stored];
        posterior.recorder().unwrap().record_mode(&position(&posterior, 1), &mut draw).unwrap();
        capabilities.pointwise.unwrap().log_likelihood_each(&draw, &mut each).unwrap();
        assert!(each.iter().all(|value| value.is_finite()));
        let mut prior = vec![f64::NAN; posterior.layout().dim()];
        capabilities.prior.unwrap().draw_prior(&mut stream(1, 0, Purpose::Draw), &mut prior);
        assert!(value(&posterior, &prior).is_finite());
        let mut scales = vec![f64::NAN; prior.len()];
        posterior.prior_scales(&mut scales);
        assert!(scales.iter().all(|scale| *scale > 0.0));
    }
}

#[test]
fn unsuitable_models_are_refused_with_the_way_out() {
    let prior = NormalPrior::default();
    let data = data(20, 3, 1, 1);
    let error = |model: BayesianNetwork| IntegratedOutput::new(model).unwrap_err();
    let dependent = error(whole(&[4], Activation::Tanh, Box::new(Gaussian::input_dependent_noise()), &prior, &data));
    assert!(matches!(dependent, IntegrationError::Likelihood { .. }));
    assert!(dependent.to_string().contains("input-dependent noise") && dependent.to_string().contains("learned_noise"));

    let classes = Dataset::new(data.inputs().clone(), DMatrix::from_fn(20, 1, |row, _| (row % 3) as f64)).unwrap();
    let classes = error(whole(&[4], Activation::Tanh, Box::new(Categorical { classes: 3 }), &prior, &classes));
    assert!(classes.to_string().contains("categorical") && classes.to_string().contains("sample the whole network"));

    let network = Network::with_layers(3, &[(4, Activation::Tanh), (1, Activation::Softplus)]).unwrap();
    let curved = error(BayesianNetwork::new(network, Gaussian::learned_noise(), prior.clone(), &data).unwrap());
    assert_eq!(curved, IntegrationError::LastLayer { activation: Activation::Softplus });

    let linear = error(whole(&[], Activation::Tanh, Box::new(Gaussian::learned_noise()), &prior, &data));
    assert_eq!(linear, IntegrationError::NoHiddenLayer);

    let laplace = error(whole(&[4], Activation::Tanh, Box::new(Gaussian::learned_noise()), &LaplaceWeights, &data));
    assert!(laplace.to_string().contains("laplace") && laplace.to_string().contains("NormalPrior"), "{laplace}");
}
