//! Check the posterior of a network: its gradient, its parts, its prior, and its curvature.

use ergodic_model::{
    Activation, BayesianNetwork, Bernoulli, Categorical, Dataset, Gaussian, Likelihood, Network, NormalPrior, Posterior,
    Precision, Prior, Purpose, Scale, Standardize, check_gradient, density, stream,
};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::RngExt;

fn likelihoods() -> Vec<Box<dyn Likelihood>> {
    vec![
        Box::new(Gaussian::known_noise(0.5)),
        Box::new(Gaussian::learned_noise()),
        Box::new(Gaussian::input_dependent_noise()),
        Box::new(Bernoulli),
        Box::new(Categorical { classes: 3 }),
    ]
}

fn data(likelihood: &dyn Likelihood, rows: usize, inputs: usize, seed: u64) -> Dataset {
    let mut rng = stream(seed, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(rows, inputs, |_, _| rng.random_range(-5.0..8.0));
    let targets = DMatrix::from_fn(rows, 1, |row, _| match likelihood.name() {
        "bernoulli" => (row % 2) as f64,
        "categorical" => (row % 3) as f64,
        _ => 40.0 + inputs[(row, 0)] + rng.random_range(-2.0..2.0),
    });
    Dataset::new(inputs, targets).unwrap()
}

fn posterior(network: Network, likelihood: Box<dyn Likelihood>, prior: &dyn Prior, data: &Dataset) -> BayesianNetwork {
    BayesianNetwork::with_standardization(network, likelihood, prior, data, Standardize::ByTrainingRows).unwrap()
}

fn small(likelihood: Box<dyn Likelihood>, hidden: &[usize], rows: usize) -> BayesianNetwork {
    let network = Network::dense(3, hidden, Activation::Tanh, likelihood.num_outputs()).unwrap();
    let data = data(likelihood.as_ref(), rows, 3, 2);
    posterior(network, likelihood, &NormalPrior::fan_in(1.3), &data)
}

fn prior_position(model: &BayesianNetwork, seed: u64) -> Vec<f64> {
    let mut position = vec![0.0; model.layout().dim()];
    model.capabilities().prior.unwrap().draw_prior(&mut stream(seed, 0, Purpose::Draw), &mut position);
    position
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_equal_finite_differences(
        activation in prop::sample::select(Activation::ALL.to_vec()),
        likelihood in 0..5_usize,
        hidden in prop::collection::vec(1..6_usize, 0..4),
        inputs in 1..4_usize,
        rows in 3..40_usize,
        seed in 0..1000_u64,
    ) {
        let likelihood = likelihoods().swap_remove(likelihood);
        let network = Network::dense(inputs, &hidden, activation, likelihood.num_outputs()).unwrap();
        let data = data(likelihood.as_ref(), rows, inputs, seed);
        let prior = NormalPrior { weights: Scale::FanIn(1.5), biases: Scale::Fixed(0.8) };
        let model = posterior(network, likelihood, &prior, &data);
        let check = check_gradient(&model, Some(&prior_position(&model, seed)), seed);
        prop_assert!(check.is_ok(), "{check}");
    }
}

#[test]
fn a_partition_of_the_rows_sums_to_the_log_density() {
    for likelihood in likelihoods() {
        let model = small(likelihood, &[4, 3], 31);
        let position = prior_position(&model, 4);
        let dim = position.len();
        let mut whole = vec![0.0; dim];
        let log_density = model.evaluator().log_density_and_gradient(&position, &mut whole).unwrap();
        let capabilities = model.capabilities();
        let mut minibatch = capabilities.minibatch.unwrap().minibatch_evaluator();
        let (mut total, mut sum) = (vec![0.0; dim], 0.0);
        let mut part = vec![f64::NAN; dim];
        sum += minibatch.log_prior_and_gradient(&position, &mut part).unwrap();
        total.iter_mut().zip(&part).for_each(|(t, g)| *t += g);
        // Rows in a strange order, in parts of different sizes, one of them empty.
        let order: Vec<usize> = (0..31).map(|i| (i * 12) % 31).collect();
        for rows in [&order[..1], &order[1..1], &order[1..18], &order[18..]] {
            part.fill(f64::NAN);
            sum += minibatch.log_likelihood_and_gradient(&position, rows, &mut part).unwrap();
            total.iter_mut().zip(&part).for_each(|(t, g)| *t += g);
        }
        assert!((sum - log_density).abs() < 1e-10 * log_density.abs());
        for (a, b) in total.iter().zip(&whole) {
            assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "{a} and {b}");
        }
        let message = minibatch.log_likelihood_and_gradient(&position, &[3, 31], &mut part).unwrap_err().to_string();
        assert!(message.contains("row 31"), "{message}");
        // Each observation apart: on the scale of the targets as given, ln s below that of the standardised ones.
        let mut each = vec![0.0; 31];
        capabilities.pointwise.unwrap().log_likelihood_each(&position, &mut each).unwrap();
        let all = minibatch.log_likelihood_and_gradient(&position, &order, &mut part).unwrap();
        let unit = 31.0 * model.standardization().targets[0].1.ln();
        assert!((each.iter().sum::<f64>() - (all - unit)).abs() < 1e-9 * all.abs().max(1.0));
    }
}

#[test]
fn a_row_may_be_asked_for_twice() {
    let model = small(Box::new(Bernoulli), &[4], 10);
    let position = prior_position(&model, 1);
    let mut minibatch = model.capabilities().minibatch.unwrap().minibatch_evaluator();
    let (mut once, mut twice) = (vec![0.0; position.len()], vec![0.0; position.len()]);
    let first = minibatch.log_likelihood_and_gradient(&position, &[7], &mut once).unwrap();
    let second = minibatch.log_likelihood_and_gradient(&position, &[7, 7], &mut twice).unwrap();
    assert!((second - 2.0 * first).abs() < 1e-14 * second.abs());
}

/// The largest |z| of the log of the mean squares of prior draws, coordinate by coordinate, against the stated scales times `factor`.
fn prior_scale_z(model: &BayesianNetwork, factor: f64) -> f64 {
    const DRAWS: usize = 4000;
    let dim = model.layout().dim();
    let (mut scales, mut squares, mut sums, mut position) = (vec![0.0; dim], vec![0.0; dim], vec![0.0; dim], vec![0.0; dim]);
    model.prior_scales(&mut scales);
    let mut rng = stream(23, 0, Purpose::Draw);
    for _ in 0..DRAWS {
        model.capabilities().prior.unwrap().draw_prior(&mut rng, &mut position);
        for (i, x) in position.iter().enumerate() {
            squares[i] += (x / (factor * scales[i])).powi(2);
            sums[i] += x / (factor * scales[i]);
        }
    }
    let n = DRAWS as f64;
    let variance = squares.iter().map(|s| ((s / n - 1.0) / (2.0 / n).sqrt()).abs());
    variance.chain(sums.iter().map(|s| (s / n.sqrt()).abs())).fold(0.0, f64::max)
}

#[test]
fn prior_draws_have_their_scales() {
    let likelihood = Gaussian::learned_noise();
    let network = Network::dense(3, &[4, 2], Activation::Relu, 1).unwrap();
    let data = data(&likelihood, 10, 3, 2);
    let prior = NormalPrior { weights: Scale::PerLayer(vec![0.5, 2.0, 7.0]), biases: Scale::FanIn(3.0) };
    let model = posterior(network, Box::new(likelihood), &prior, &data);
    let mut scales = vec![0.0; 30];
    model.prior_scales(&mut scales);
    assert_eq!((scales[0], scales[12], scales[16], scales[29]), (0.5, 3.0 / 3.0_f64.sqrt(), 2.0, 1.0));
    // 60 z-tests at |z| < 4.5: false alarms have probability 60 · 7e-6 = 4e-4. Scales 15 % off give |z| near 12.
    assert!(prior_scale_z(&model, 1.0) < 4.5);
    assert!(prior_scale_z(&model, 1.15) > 4.5, "wrong scales pass");
}

#[test]
fn initial_positions_differ_and_have_a_finite_density() {
    let model = small(Box::new(Gaussian::learned_noise()), &[8, 8], 20);
    let dim = model.layout().dim();
    let (mut first, mut second) = (vec![0.0; dim], vec![0.0; dim]);
    model.initial_position(&mut stream(1, 0, Purpose::Initialise), &mut first);
    model.initial_position(&mut stream(1, 1, Purpose::Initialise), &mut second);
    assert_ne!(first, second);
    let mut gradient = vec![0.0; dim];
    assert!(model.evaluator().log_density_and_gradient(&first, &mut gradient).unwrap().is_finite());
}

/// The negative Hessian of the log likelihood by central differences of its gradient.
fn negative_hessian(model: &BayesianNetwork, position: &[f64]) -> DMatrix<f64> {
    let rows: Vec<usize> = (0..model.num_rows()).collect();
    let dim = position.len();
    let mut minibatch = model.capabilities().minibatch.unwrap().minibatch_evaluator();
    let mut hessian = DMatrix::zeros(dim, dim);
    let (mut above, mut below) = (vec![0.0; dim], vec![0.0; dim]);
    for i in 0..dim {
        let mut moved = position.to_vec();
        moved[i] += 1e-5;
        minibatch.log_likelihood_and_gradient(&moved, &rows, &mut above).unwrap();
        moved[i] -= 2e-5;
        minibatch.log_likelihood_and_gradient(&moved, &rows, &mut below).unwrap();
        for j in 0..dim {
            hessian[(j, i)] = -(above[j] - below[j]) / 2e-5;
        }
    }
    hessian
}

#[test]
fn gauss_newton_is_the_hessian_of_a_linear_network() {
    for likelihood in
        [Box::new(Gaussian::known_noise(0.4)) as Box<dyn Likelihood>, Box::new(Bernoulli), Box::new(Categorical { classes: 3 })]
    {
        let model = small(likelihood, &[], 25);
        let position = prior_position(&model, 6);
        let matrix = model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap();
        let hessian = negative_hessian(&model, &position);
        assert!((&matrix - &hessian).amax() < 1e-6 * hessian.amax(), "{matrix} {hessian}");
    }
}

#[test]
fn gauss_newton_is_the_hessian_of_any_network_that_fits_its_targets_exactly() {
    // Where residuals vanish so do the terms that Gauss and Newton leave out; with unit noise the scale does not matter.
    let network = Network::dense(2, &[3], Activation::Tanh, 1).unwrap();
    let mut rng = stream(8, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(12, 2, |_, _| rng.random_range(-2.0..2.0));
    let any = Dataset::new(inputs.clone(), DMatrix::from_fn(12, 1, |row, _| row as f64)).unwrap();
    let nothing = Standardize::Nothing;
    let make = |data: &Dataset| {
        let likelihood = Box::new(Gaussian::known_noise(1.0));
        BayesianNetwork::with_standardization(network.clone(), likelihood, &NormalPrior::default(), data, nothing).unwrap()
    };
    let first = make(&any);
    let position = prior_position(&first, 3);
    let mut outputs = vec![0.0; 12];
    first.capabilities().outputs.unwrap().output_evaluator(&inputs).unwrap().outputs(&position, &mut outputs);
    let model = make(&Dataset::new(inputs, DMatrix::from_column_slice(12, 1, &outputs)).unwrap());
    let matrix = model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap();
    let hessian = negative_hessian(&model, &position);
    assert!((&matrix - &hessian).amax() < 1e-6 * hessian.amax());
}

#[test]
fn gauss_newton_is_symmetric_positive_and_knows_the_noise() {
    for likelihood in likelihoods() {
        let parameters = likelihood.parameters().len();
        let model = small(likelihood, &[4], 21);
        let position = prior_position(&model, 9);
        let matrix = model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap();
        assert_eq!(matrix, matrix.transpose());
        assert!(matrix.clone().symmetric_eigenvalues().min() > -1e-9 * matrix.amax());
        if parameters == 1 {
            let last = position.len() - 1;
            assert_eq!(matrix[(last, last)], 42.0, "each row adds 2 to the curvature of ln σ");
            assert!(matrix.row(last).iter().take(last).all(|entry| *entry == 0.0));
        }
    }
    let model = small(Box::new(Bernoulli), &[4], 21);
    assert!(model.capabilities().curvature.unwrap().gauss_newton(&[0.0; 3]).is_err());
    assert!(model.capabilities().curvature.unwrap().layer_factors(&[0.0; 3]).is_err());
}

/// The layer's block of the Gauss–Newton matrix that factors stand for, in the order weights (row-major) and biases.
fn kronecker(factors: &ergodic_model::LayerFactors) -> DMatrix<f64> {
    let (inputs, outputs) = (factors.input.nrows() - 1, factors.output.nrows());
    let place = |index: usize| {
        if index < inputs * outputs { (index / inputs, index % inputs) } else { (index - inputs * outputs, inputs) }
    };
    DMatrix::from_fn((inputs + 1) * outputs, (inputs + 1) * outputs, |a, b| {
        let ((out_a, in_a), (out_b, in_b)) = (place(a), place(b));
        factors.output[(out_a, out_b)] * factors.input[(in_a, in_b)]
    })
}

#[test]
fn layer_factors_are_exact_where_curvature_does_not_depend_on_the_row() {
    // A linear network with known noise: the one layer's block is the whole matrix.
    let model = small(Box::new(Gaussian::known_noise(0.4)), &[], 25);
    let position = prior_position(&model, 6);
    let curvature = model.capabilities().curvature.unwrap();
    let whole = curvature.gauss_newton(&position).unwrap();
    let factors = curvature.layer_factors(&position).unwrap();
    assert_eq!(factors.len(), 1);
    assert!((kronecker(&factors[0]) - &whole).amax() < 1e-9 * whole.amax());
}

#[test]
fn layer_factors_have_the_exact_bias_blocks() {
    // Biases see the input 1 in every row, so their blocks are exact for every network and likelihood.
    for likelihood in likelihoods() {
        let model = small(likelihood, &[4, 3], 16);
        let position = prior_position(&model, 6);
        let curvature = model.capabilities().curvature.unwrap();
        let whole = curvature.gauss_newton(&position).unwrap();
        for factors in curvature.layer_factors(&position).unwrap() {
            let layer = &model.network().dense_layers().unwrap()[factors.layer];
            let block = whole.view((layer.biases().start, layer.biases().start), (layer.outputs, layer.outputs)).into_owned();
            assert!((block - &factors.output).amax() < 1e-9 * (1.0 + factors.output.amax()));
            let ones = &factors.input[(layer.inputs, layer.inputs)];
            assert!((ones - 1.0).abs() < 1e-12, "a 1 is appended for the bias");
        }
    }
}

#[test]
fn standardisation_leaves_least_squares_where_it_is() {
    // With a wide prior the posterior mode of a linear network is the least-squares line, whatever the unit of inputs and target.
    let mut rng = stream(12, 0, Purpose::Test);
    let x = DVector::from_fn(50, |_, _| rng.random_range(900.0..1000.0));
    let y = x.map(|x| 7.0 - 0.25 * x + rng.random_range(-1.0..1.0));
    let design = DMatrix::from_fn(50, 2, |row, column| if column == 0 { x[row] } else { 1.0 });
    let exact = design.svd(true, true).solve(&y, 1e-12).unwrap();
    let data =
        Dataset::new(DMatrix::from_column_slice(50, 1, x.as_slice()), DMatrix::from_column_slice(50, 1, y.as_slice())).unwrap();
    let network = Network::dense(1, &[], Activation::Tanh, 1).unwrap();
    let model = posterior(network, Box::new(Gaussian::known_noise(1.0)), &NormalPrior::standard(1e6), &data);
    // One Newton step solves a quadratic.
    let mut gradient = [0.0; 2];
    model.evaluator().log_density_and_gradient(&[0.0, 0.0], &mut gradient).unwrap();
    let curvature = model.capabilities().curvature.unwrap().gauss_newton(&[0.0, 0.0]).unwrap();
    let mode = curvature.cholesky().unwrap().solve(&DVector::from_column_slice(&gradient));
    let mut outputs = [0.0; 2];
    let points = DMatrix::from_column_slice(2, 1, &[0.0, 1.0]);
    model.capabilities().outputs.unwrap().output_evaluator(&points).unwrap().outputs(mode.as_slice(), &mut outputs);
    let (centre, unit) = model.standardization().targets[0];
    let (at_zero, at_one) = (centre + unit * outputs[0], centre + unit * outputs[1]);
    assert!((at_zero - exact[1]).abs() < 1e-8 * exact[1].abs(), "intercept {at_zero} and {}", exact[1]);
    assert!((at_one - at_zero - exact[0]).abs() < 1e-8, "slope {} and {}", at_one - at_zero, exact[0]);
}

#[test]
fn networks_whose_last_layer_is_not_linear_are_evaluated_too() {
    let layers = [(4, Activation::Tanh), (1, Activation::Sigmoid)];
    let likelihood: Box<dyn Likelihood> = Box::new(Gaussian::known_noise(0.4));
    let data = data(likelihood.as_ref(), 37, 3, 2);
    let model = posterior(Network::with_layers(3, &layers).unwrap(), likelihood, &NormalPrior::default(), &data);
    let position = prior_position(&model, 3);
    let check = check_gradient(&model, Some(&position), 1);
    assert!(check.is_ok(), "{check}");
    let mut outputs = vec![f64::NAN; 37];
    model.capabilities().outputs.unwrap().output_evaluator(data.inputs()).unwrap().outputs(&position, &mut outputs);
    assert!(outputs.iter().all(|output| (0.0..=1.0).contains(output)));
    let mut each = vec![f64::NAN; 37];
    model.capabilities().pointwise.unwrap().log_likelihood_each(&position, &mut each).unwrap();
    let unit = model.standardization().targets[0].1;
    for (row, (value, output)) in each.iter().zip(&outputs).enumerate() {
        let target = (data.targets()[row] - model.standardization().targets[0].0) / unit;
        let expected = -0.5 * ((target - output) / 0.4).powi(2) - (0.4 * unit * (2.0 * std::f64::consts::PI).sqrt()).ln();
        assert!((value - expected).abs() < 1e-11 * expected.abs().max(1.0));
    }
}

#[test]
fn gradients_in_single_precision_are_checked_to_what_it_resolves() {
    // The check measures the rounding noise, so the coarser arithmetic passes, and a gradient of another model does not.
    let double = small(Box::new(Gaussian::learned_noise()), &[8], 50);
    let single = small(Box::new(Gaussian::learned_noise()), &[8], 50).with_precision(Precision::Single);
    let position = prior_position(&double, 2);
    let check = check_gradient(&single, Some(&position), 1);
    assert!(check.is_ok(), "{check}");
    let dim = position.len();
    let twin = density(dim, |x: &[f64], gradient: &mut [f64]| {
        let value = single.evaluator().log_density_and_gradient(x, gradient).unwrap();
        gradient[1] *= 1.05;
        value
    });
    assert!(!check_gradient(&twin, Some(&position), 1).is_ok(), "a gradient off by 5 % passes");
    let mut gradient = vec![0.0; dim];
    let value = single.evaluator().log_density_and_gradient(&position, &mut gradient).unwrap();
    let reference = double.evaluator().log_density_and_gradient(&position, &mut gradient).unwrap();
    assert!((value - reference).abs() < 1e-4 * reference.abs() && value != reference, "{value} and {reference}");
}
