//! Check tempered posteriors: density, gradient, parts, capabilities, and what is refused.

use ergodic_draws::Temperatures;
use ergodic_model::{
    Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior, Purpose, Tempered, TemperedError,
    check_gradient, density, stream,
};
use nalgebra::DMatrix;

fn model() -> BayesianNetwork {
    let inputs = DMatrix::from_fn(17, 2, |row, column| (row as f64 * 0.7 + column as f64).sin());
    let targets = DMatrix::from_fn(17, 1, |row, _| 30.0 + inputs[(row, 0)] * inputs[(row, 1)]);
    let data = Dataset::new(inputs, targets).unwrap();
    let network = Network::dense(2, &[3], Activation::Tanh, 1).unwrap();
    BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::fan_in(1.3), &data).unwrap()
}

fn position(model: &BayesianNetwork, seed: u64) -> Vec<f64> {
    let mut position = vec![0.0; model.layout().dim()];
    model.capabilities().prior.unwrap().draw_prior(&mut stream(seed, 0, Purpose::Draw), &mut position);
    position
}

/// Value and gradient.
fn evaluate(posterior: &dyn Posterior, position: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; position.len()];
    let value = posterior.evaluator().log_density_and_gradient(position, &mut gradient).unwrap();
    (value, gradient)
}

/// Log likelihood and log prior with their gradients, from the posterior's parts.
fn parts(posterior: &dyn Posterior, position: &[f64]) -> [(f64, Vec<f64>); 2] {
    let minibatch = posterior.capabilities().minibatch.unwrap();
    let mut evaluator = minibatch.minibatch_evaluator();
    let rows: Vec<usize> = (0..minibatch.num_data()).collect();
    let (mut likelihood, mut prior) = (vec![0.0; position.len()], vec![0.0; position.len()]);
    let log_likelihood = evaluator.log_likelihood_and_gradient(position, &rows, &mut likelihood).unwrap();
    let log_prior = evaluator.log_prior_and_gradient(position, &mut prior).unwrap();
    [(log_likelihood, likelihood), (log_prior, prior)]
}

const SOME: [Temperatures; 5] = [
    Temperatures::both(0.1),
    Temperatures::both(3.0),
    Temperatures { likelihood: 0.2, prior: 1.0 },
    Temperatures { likelihood: 1.0, prior: 4.0 },
    Temperatures { likelihood: 1e6, prior: 0.5 },
];

#[test]
fn the_density_is_each_part_over_its_temperature() {
    let model = model();
    for (seed, at) in SOME.into_iter().enumerate() {
        let tempered = Tempered::new(&model, at).unwrap();
        let position = position(&model, seed as u64);
        let [(log_likelihood, likelihood), (log_prior, prior)] = parts(&model, &position);
        let near = |found: f64, a: f64, b: f64| (found - a - b).abs() < 1e-11 * (1.0 + a.abs() + b.abs());
        let (value, gradient) = evaluate(&tempered, &position);
        assert!(near(value, log_likelihood / at.likelihood, log_prior / at.prior), "{at}");
        for i in 0..position.len() {
            assert!(near(gradient[i], likelihood[i] / at.likelihood, prior[i] / at.prior), "{at}: gradient {i}");
        }
        // The parts that minibatch methods see are tempered too, and add up to the same density.
        let [(a, _), (b, _)] = parts(&tempered, &position);
        assert!(near(a, log_likelihood / at.likelihood, 0.0) && near(b, 0.0, log_prior / at.prior), "{at}");
        let check = check_gradient(&tempered, Some(&position), seed as u64);
        assert!(check.is_ok(), "{at}: {check}");
        assert_eq!(tempered.temperatures(), at);
    }
}

#[test]
fn at_temperature_1_it_is_the_posterior_bit_for_bit() {
    let model = model();
    let same = Tempered::new(&model, Temperatures::POSTERIOR).unwrap();
    for seed in 0..20 {
        let position = position(&model, seed);
        let ((a, x), (b, y)) = (evaluate(&model, &position), evaluate(&same, &position));
        let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(a.to_bits() == b.to_bits() && bits(&x) == bits(&y), "seed {seed}");
    }
    let (own, capabilities) = (model.capabilities(), same.capabilities());
    assert_eq!(format!("{own:?}"), format!("{capabilities:?}"));
    assert!(same.temperatures().is_posterior());
    let (mut own, mut scales) = (vec![0.0; model.layout().dim()], vec![0.0; model.layout().dim()]);
    model.prior_scales(&mut own);
    same.prior_scales(&mut scales);
    assert_eq!(own, scales);
}

#[test]
fn capabilities_stay_where_they_make_sense() {
    let model = model();
    let at = |likelihood, prior| Tempered::new(&model, Temperatures { likelihood, prior }).unwrap();
    let (power, flat) = (at(0.5, 1.0), at(1.0, 9.0));
    let (of_power, of_flat) = (power.capabilities(), flat.capabilities());
    assert!(of_power.pointwise.is_none() && of_power.prior.is_some() && of_power.outputs.is_some());
    assert!(of_flat.pointwise.is_some() && of_flat.prior.is_none() && of_flat.outputs.is_some());
    assert!(of_power.local_reparameterization.is_none() && of_flat.local_reparameterization.is_none());

    let position = position(&model, 3);
    let own = model.capabilities().curvature.unwrap();
    let tempered = of_power.curvature.unwrap();
    let (own_matrix, matrix) = (own.gauss_newton(&position).unwrap(), tempered.gauss_newton(&position).unwrap());
    assert!((&matrix - 2.0 * &own_matrix).amax() < 1e-12 * own_matrix.amax());
    let (own_layers, layers) = (own.layer_factors(&position).unwrap(), tempered.layer_factors(&position).unwrap());
    for (own, layer) in own_layers.iter().zip(&layers) {
        assert_eq!(own.input, layer.input);
        assert!((&layer.output - 2.0 * &own.output).amax() <= 1e-12 * own.output.amax());
    }

    let (mut own, mut scales) = (vec![0.0; position.len()], vec![0.0; position.len()]);
    model.prior_scales(&mut own);
    flat.prior_scales(&mut scales);
    assert!(own.iter().zip(&scales).all(|(own, scale)| (3.0 * own - scale).abs() < 1e-12));
}

#[test]
fn tempering_twice_multiplies() {
    let model = model();
    let once = Tempered::new(&model, Temperatures { likelihood: 0.5, prior: 2.0 }).unwrap();
    let twice = Tempered::new(&once, Temperatures { likelihood: 0.5, prior: 3.0 }).unwrap();
    let direct = Tempered::new(&model, Temperatures { likelihood: 0.25, prior: 6.0 }).unwrap();
    assert_eq!(twice.temperatures(), direct.temperatures());
    let position = position(&model, 1);
    let ((a, x), (b, y)) = (evaluate(&twice, &position), evaluate(&direct, &position));
    assert!((a - b).abs() < 1e-11 * b.abs() && x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-10 * (1.0 + y.abs())));
}

#[test]
fn what_cannot_be_tempered_is_refused_with_the_way_out() {
    let model = model();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 5e-324] {
        let error = Tempered::new(&model, Temperatures { likelihood: bad, prior: 1.0 }).unwrap_err().to_string();
        assert!(error.contains("likelihood temperature") && error.contains(&bad.to_string()), "{error}");
        let error = Tempered::new(&model, Temperatures { likelihood: 1.0, prior: bad }).unwrap_err();
        assert!(matches!(error, TemperedError::Temperature { what: "prior", .. }), "{error}");
    }
    let bare = density(1, |x: &[f64], gradient: &mut [f64]| {
        gradient[0] = -x[0];
        -0.5 * x[0] * x[0]
    });
    let error = Tempered::new(&bare, Temperatures::both(0.5)).unwrap_err().to_string();
    assert!(error.contains("tempering") && error.contains("MinibatchGradient"), "{error}");
}
