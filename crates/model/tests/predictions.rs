//! Check predictions: their unit, their log densities, their simulations, and the errors of data that do not fit.

use ergodic_draws::{ChainDraws, Draws, Layout, Origin, PredictionKind, RunReport};
use ergodic_model::{
    Activation, BayesianNetwork, Bernoulli, Categorical, DataError, Dataset, Gaussian, Likelihood, ModelError, Network,
    NetworkOutputs, NormalPrior, PointwiseLogLikelihood, Posterior, PredictOptions, PriorDraws, Purpose, predict, stream,
};
use nalgebra::DMatrix;
use rand::RngExt;

fn regression_data(unit: f64) -> Dataset {
    let mut rng = stream(5, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(30, 2, |_, column| rng.random_range(-3.0..3.0) + 10.0 * column as f64);
    let targets = DMatrix::from_fn(30, 1, |row, _| {
        unit * (inputs[(row, 0)].sin() + 0.2 * inputs[(row, 1)] + rng.random_range(-0.1..0.1) + 4.0)
    });
    Dataset::new(inputs, targets).unwrap().with_target_names(&["height [m]"]).unwrap()
}

fn model(likelihood: impl Likelihood + 'static, data: &Dataset) -> BayesianNetwork {
    let network = Network::dense(2, &[5], Activation::Tanh, likelihood.num_outputs()).unwrap();
    BayesianNetwork::new(network, likelihood, NormalPrior::default(), data).unwrap()
}

fn prior_draws(model: &BayesianNetwork, chains: usize, draws: usize) -> Draws {
    let dim = model.layout().dim();
    let mut position = vec![0.0; dim];
    let chain = |index| {
        let mut rng = stream(11, index, Purpose::Draw);
        let mut chain = ChainDraws::new(dim);
        for _ in 0..draws {
            model.draw_prior(&mut rng, &mut position);
            chain.push(&position);
        }
        chain
    };
    Draws::new(model.layout(), Origin::Mcmc, (0..chains).map(chain).collect(), RunReport::new("prior", 11))
}

#[test]
fn predictions_equal_the_networks_outputs_in_the_targets_unit() {
    let data = regression_data(1.0);
    for likelihood in [Gaussian::known_noise(0.3), Gaussian::learned_noise(), Gaussian::input_dependent_noise()] {
        let model = model(likelihood, &data);
        let draws = prior_draws(&model, 2, 3);
        let predictions = model.predict(&draws, &data).unwrap();
        assert_eq!((predictions.num_draws(), predictions.num_points, predictions.num_outputs), (6, 30, 1));
        assert_eq!(predictions.chain_lengths, [3, 3]);
        assert_eq!(predictions.target_name, "height [m]");
        let (centre, unit) = model.standardization().targets[0];
        let mut evaluator = model.output_evaluator(data.inputs()).unwrap();
        let mut outputs = vec![0.0; 30 * model.num_outputs()];
        let mut log_likelihood = vec![0.0; 30];
        for (draw, position) in draws.positions().enumerate() {
            evaluator.outputs(position, &mut outputs);
            model.log_likelihood_each(position, &mut log_likelihood).unwrap();
            for point in 0..30 {
                let row = &outputs[point * model.num_outputs()..][..model.num_outputs()];
                assert_eq!(predictions.value(draw, point, 0), centre + unit * row[0]);
                let sd = match likelihood.parameters().len() {
                    1 => position[position.len() - 1].exp(),
                    _ if row.len() == 2 => row[1].exp(),
                    _ => 0.3,
                };
                let noise = predictions.noise_sd[draw * 30 + point];
                assert!((noise - unit * sd).abs() < 1e-12 * noise);
                // The log density of the target in its own unit, from the numbers that are reported in that unit.
                let z = (data.targets()[point] - predictions.value(draw, point, 0)) / noise;
                let expected = -0.5 * z * z - (noise * (2.0 * std::f64::consts::PI).sqrt()).ln();
                let reported = predictions.log_likelihood[draw * 30 + point];
                assert!((reported - expected).abs() < 1e-9 * expected.abs().max(1.0), "{reported} and {expected}");
                assert!((reported - log_likelihood[point]).abs() < 1e-12 * expected.abs().max(1.0));
            }
        }
    }
}

#[test]
fn a_change_of_unit_moves_log_densities_by_its_logarithm_and_nothing_else() {
    let (metres, millimetres) = (regression_data(1.0), regression_data(1000.0));
    let (first, second) = (model(Gaussian::learned_noise(), &metres), model(Gaussian::learned_noise(), &millimetres));
    let draws = prior_draws(&first, 1, 4);
    let same_positions = prior_draws(&second, 1, 4);
    let a = first.predict(&draws, &metres).unwrap();
    let b = second.predict(&same_positions, &millimetres).unwrap();
    for (x, y) in a.values.iter().zip(&b.values).chain(a.noise_sd.iter().zip(&b.noise_sd)) {
        assert!((1000.0 * x - y).abs() < 1e-9 * y.abs().max(1.0));
    }
    for draw in 0..4 {
        let sum = |log_likelihood: &[f64]| log_likelihood[draw * 30..][..30].iter().sum::<f64>();
        let change = sum(&b.log_likelihood) - sum(&a.log_likelihood);
        assert!((change + 30.0 * 1000.0_f64.ln()).abs() < 1e-8, "the sum changed by {change}");
    }
}

#[test]
fn simulated_observations_have_the_predicted_moments() {
    let data = regression_data(7.0);
    let model = model(Gaussian::learned_noise(), &data);
    let draws = prior_draws(&model, 1, 3);
    let options = PredictOptions { simulations: 30_000, ..PredictOptions::default() };
    let predictions = model.predict_with(&draws, &data, &options).unwrap();
    assert_eq!(predictions.num_simulated(), 30_000);
    // 180 z-tests at |z| < 4.5: a false alarm has probability 180 · 7e-6 = 0.0012. Standard deviations off by 3 % give z = 4.2 each,
    // and some of 90 exceed 4.5 with near certainty.
    for draw in 0..3 {
        for point in 0..30 {
            let values: Vec<f64> = (0..10_000).map(|s| predictions.simulated[(draw * 10_000 + s) * 30 + point]).collect();
            let (mean, sd) = (predictions.value(draw, point, 0), predictions.noise_sd[draw * 30 + point]);
            let average = values.iter().sum::<f64>() / 1e4;
            let z = (average - mean) / (sd / 100.0);
            assert!(z.abs() < 4.5, "mean at point {point}: z = {z}");
            let square = values.iter().map(|v| ((v - mean) / sd).powi(2)).sum::<f64>() / 1e4;
            let z = (square - 1.0) / (2.0_f64 / 1e4).sqrt();
            assert!(z.abs() < 4.5, "variance at point {point}: z = {z}");
        }
    }
}

#[test]
fn few_draws_simulate_several_times_and_many_draws_once() {
    let data = regression_data(1.0);
    let model = model(Gaussian::known_noise(0.3), &data);
    assert_eq!(model.predict(&prior_draws(&model, 1, 7), &data).unwrap().num_simulated(), 4004);
    let options = PredictOptions { simulations: 10, ..PredictOptions::default() };
    assert_eq!(model.predict_with(&prior_draws(&model, 2, 8), &data, &options).unwrap().num_simulated(), 16);
    let none = PredictOptions { simulations: 0, ..PredictOptions::default() };
    assert_eq!(model.predict_with(&prior_draws(&model, 1, 1), &data, &none).unwrap().num_simulated(), 0);
}

#[test]
fn draws_are_thinned_evenly() {
    let data = regression_data(1.0);
    let model = model(Gaussian::known_noise(0.3), &data);
    let draws = prior_draws(&model, 3, 20);
    let thinned = PredictOptions { max_draws: Some(15), ..PredictOptions::default() };
    let thinned = model.predict_with(&draws, &data, &thinned).unwrap();
    assert_eq!(thinned.chain_lengths, [5, 5, 5]);
    let all = model.predict(&draws, &data).unwrap();
    assert_eq!(thinned.value(5, 2, 0), all.value(23, 2, 0), "every fourth draw is kept");
    let one = PredictOptions { max_draws: Some(0), ..PredictOptions::default() };
    assert_eq!(model.predict_with(&draws, &data, &one).unwrap().num_draws(), 1);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let data = regression_data(1.0);
    let model = model(Gaussian::learned_noise(), &data);
    let draws = prior_draws(&model, 2, 37);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| model.predict(&draws, &data).unwrap())
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(7));
}

#[test]
fn classifications_predict_probabilities_and_log_probabilities() {
    let mut rng = stream(9, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(24, 2, |_, _| rng.random_range(-1.0..1.0));
    let check = |model: &BayesianNetwork, data: &Dataset, classes: usize| {
        let predictions = model.predict(&prior_draws(model, 1, 5), data).unwrap();
        assert_eq!(predictions.kind, PredictionKind::Classification);
        assert_eq!(predictions.num_outputs, classes);
        assert!(predictions.noise_sd.is_empty() && predictions.simulated.is_empty());
        for draw in 0..5 {
            for point in 0..24 {
                let total: f64 = (0..classes).map(|class| predictions.value(draw, point, class)).sum();
                assert!((total - 1.0).abs() < 1e-12);
                let observed = predictions.observed[point] as usize;
                let log_probability = predictions.value(draw, point, observed).ln();
                assert!((log_probability - predictions.log_likelihood[draw * 24 + point]).abs() < 1e-10);
            }
        }
    };
    let binary = Dataset::new(inputs.clone(), DMatrix::from_fn(24, 1, |row, _| (row % 2) as f64)).unwrap();
    check(&model(Bernoulli, &binary), &binary, 2);
    let several = Dataset::new(inputs, DMatrix::from_fn(24, 1, |row, _| (row % 3) as f64)).unwrap();
    check(&model(Categorical { classes: 3 }, &several), &several, 3);
}

#[test]
fn classes_are_matched_by_name() {
    let inputs = DMatrix::from_fn(12, 2, |row, column| ((row * 7 + column * 5) % 12) as f64);
    let targets = DMatrix::from_fn(12, 1, |row, _| (row % 2) as f64);
    let train = Dataset::new(inputs.clone(), targets.clone()).unwrap().with_class_names(&["cat", "dog"]);
    let model = model(Bernoulli, &train);
    let draws = prior_draws(&model, 1, 2);
    let renumbered = Dataset::new(inputs.clone(), targets.map(|class| 1.0 - class)).unwrap().with_class_names(&["dog", "cat"]);
    assert_eq!(model.predict(&draws, &train).unwrap(), model.predict(&draws, &renumbered).unwrap());
    let unknown = Dataset::new(inputs, targets).unwrap().with_class_names(&["cat", "bird"]);
    let message = model.predict(&draws, &unknown).unwrap_err().to_string();
    assert!(message.contains("bird") && message.contains("cat, dog"), "{message}");
}

#[test]
fn the_least_squares_line_comes_back_in_the_targets_unit() {
    // y = 3 + 2 x exactly: on the standardised scale the slope is 1 and the intercept 0.
    let inputs = DMatrix::from_fn(9, 1, |row, _| 100.0 + 5.0 * row as f64);
    let data = Dataset::new(inputs.clone(), inputs.map(|x| 3.0 + 2.0 * x)).unwrap();
    let network = Network::dense(1, &[], Activation::Tanh, 1).unwrap();
    let model = BayesianNetwork::new(network, Gaussian::known_noise(0.5), NormalPrior::default(), &data).unwrap();
    let chain = ChainDraws::from_positions(2, vec![1.0, 0.0]);
    let draws = Draws::new(model.layout(), Origin::Point, vec![chain], RunReport::new("by hand", 1));
    let new = DMatrix::from_row_slice(3, 1, &[0.0, 50.0, 1000.0]);
    let predictions = model.predict_inputs(&draws, &new).unwrap();
    for (value, x) in predictions.values.iter().zip(new.iter()) {
        assert!((value - (3.0 + 2.0 * x)).abs() < 1e-10, "{value} at {x}");
    }
    let sd = data.targets().variance().sqrt();
    assert!(predictions.noise_sd.iter().all(|noise| (noise - 0.5 * sd).abs() < 1e-12));
    assert!(predictions.observed.is_empty() && predictions.log_likelihood.is_empty());
}

#[test]
fn data_and_draws_that_do_not_fit_are_refused_in_words() {
    let data = regression_data(1.0);
    let model = model(Gaussian::known_noise(0.3), &data);
    let draws = prior_draws(&model, 1, 2);
    let other = Draws::new(Layout::flat(3), Origin::Mcmc, vec![ChainDraws::new(3)], RunReport::new("nuts", 1));
    assert!(matches!(model.predict(&other, &data), Err(ModelError::DrawDimension { draws: 3, model: 21 })));
    let empty = Draws::new(model.layout(), Origin::Mcmc, vec![ChainDraws::new(21)], RunReport::new("nuts", 1));
    assert!(matches!(model.predict(&empty, &data), Err(ModelError::NoDraws)));
    let narrow = model.predict_inputs(&draws, &DMatrix::zeros(4, 1));
    assert!(matches!(narrow, Err(ModelError::Data(DataError::ColumnCount { what: "inputs", found: 1, expected: 2 }))));
    assert!(matches!(model.predict_inputs(&draws, &DMatrix::zeros(0, 2)), Err(ModelError::Data(DataError::Empty("rows")))));
    let mut inputs = DMatrix::zeros(4, 2);
    inputs[(3, 1)] = f64::NAN;
    let missing = model.predict_inputs(&draws, &inputs);
    assert!(matches!(missing, Err(ModelError::Data(DataError::NotFinite { row: 3, .. }))));
    assert!(model.output_evaluator(&DMatrix::zeros(4, 3)).is_err());
    let wide = predict(&model, &draws, data.inputs(), Some(&DMatrix::zeros(30, 2)), &PredictOptions::default());
    assert!(matches!(wide, Err(ModelError::Data(DataError::ColumnCount { what: "targets", .. }))));
    let short = predict(&model, &draws, data.inputs(), Some(&DMatrix::zeros(29, 1)), &PredictOptions::default());
    assert!(matches!(short, Err(ModelError::Data(DataError::RowCount { .. }))));
}
