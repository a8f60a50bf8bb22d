//! Check networks with these likelihoods: units of parameters, predictions, standardisation, curvature, errors of data.

use ergodic_draws::{ChainDraws, Draws, Origin, PredictionKind, RunReport};
use ergodic_model::{
    Activation, BayesianNetwork, Dataset, Gaussian, IndependentGaussians, Likelihood, LikelihoodParameter, NegativeBinomial,
    Network, NormalPrior, Ordinal, Poisson, Posterior, PredictOptions, PriorDraws, Product, Purpose, Standardize, StudentT,
    check_gradient, stream,
};
use nalgebra::DMatrix;
use rand::RngExt;

const ROWS: usize = 37;

fn likelihoods() -> Vec<Box<dyn Likelihood>> {
    vec![
        Box::new(StudentT::known(4.0, 0.5)),
        Box::new(StudentT::learned_noise(5.0)),
        Box::new(StudentT::learned()),
        Box::new(Poisson),
        Box::new(NegativeBinomial::known(3.0)),
        Box::new(NegativeBinomial::learned()),
        Box::new(Ordinal { classes: 4 }),
        Box::new(IndependentGaussians::known_noise(&[0.5, 1.5])),
        Box::new(IndependentGaussians::learned_noise(3)),
        Box::new(size_and_visits()),
    ]
}

fn size_and_visits() -> Product {
    Product::new().and("size", StudentT::learned_noise(6.0)).and("visits", NegativeBinomial::learned())
}

/// Targets of very different units: column k is around 100 k with spread 7 · 10^k where it may be standardised, a small count otherwise.
fn data(likelihood: &dyn Likelihood) -> Dataset {
    let mut rng = stream(4, 0, Purpose::Test);
    let inputs: DMatrix<f64> = DMatrix::from_fn(ROWS, 2, |_, _| rng.random_range(-3.0..5.0));
    let targets = DMatrix::from_fn(ROWS, likelihood.num_targets(), |row, column| {
        if likelihood.standardizes_target(column) {
            let unit = 7.0 * 10.0_f64.powi(column as i32);
            100.0 * column as f64 + unit * (inputs[(row, 0)].sin() + rng.random_range(-1.0..1.0))
        } else {
            (row % 4) as f64
        }
    });
    Dataset::new(inputs, targets).unwrap()
}

fn model(likelihood: Box<dyn Likelihood>, data: &Dataset) -> BayesianNetwork {
    let network = Network::dense(2, &[5], Activation::Tanh, likelihood.num_outputs()).unwrap();
    BayesianNetwork::with_standardization(network, likelihood, &NormalPrior::fan_in(1.0), data, Standardize::ByTrainingRows)
        .unwrap()
}

fn prior_draws(model: &BayesianNetwork, draws: usize) -> Draws {
    let mut position = vec![0.0; model.layout().dim()];
    let mut rng = stream(11, 0, Purpose::Draw);
    let mut chain = ChainDraws::new(position.len());
    for _ in 0..draws {
        model.draw_prior(&mut rng, &mut position);
        chain.push(&position);
    }
    Draws::new(model.layout(), Origin::Mcmc, vec![chain], RunReport::new("prior", 11))
}

#[test]
fn gradients_of_posteriors_equal_finite_differences() {
    for likelihood in likelihoods() {
        let data = data(likelihood.as_ref());
        let model = model(likelihood, &data);
        for seed in 0..3 {
            let mut position = vec![0.0; model.layout().dim()];
            model.draw_prior(&mut stream(seed, 0, Purpose::Test), &mut position);
            let check = check_gradient(&model, Some(&position), seed);
            assert!(check.is_ok(), "{}: {check}", model.likelihood().name());
        }
    }
}

#[test]
fn parameters_are_named_and_read_in_their_own_targets_unit() {
    let gaussians = IndependentGaussians::learned_noise(3);
    let model_of = |likelihood: Box<dyn Likelihood>| {
        let data = data(likelihood.as_ref());
        model(likelihood, &data)
    };
    let several = model_of(Box::new(gaussians));
    let layout = several.layout();
    let first = several.network().num_weights();
    for target in 0..3 {
        assert_eq!(layout.coordinate_name(first + target), format!("noise_scale[{target}]"));
        let unit = several.standardization().targets[target].1;
        assert!((layout.constrain(first + target, 0.0) - unit).abs() < 1e-12 * unit);
    }
    let units = &several.standardization().targets;
    assert!(units[1].1 > 5.0 * units[0].1 && units[2].1 > 5.0 * units[1].1, "a factor of the wrong target would be seen");
    // A number of degrees of freedom and a dispersion have no unit, and a count keeps its own.
    let student = model_of(Box::new(StudentT::learned()));
    let (layout, first) = (student.layout(), student.network().num_weights());
    assert_eq!([layout.coordinate_name(first), layout.coordinate_name(first + 1)], ["noise_scale", "degrees_of_freedom"]);
    assert_eq!(layout.constrain(first, 0.0), student.standardization().targets[0].1);
    assert_eq!(layout.constrain(first + 1, 0.0), 1.0);
    let both = model_of(Box::new(size_and_visits()));
    let (layout, first) = (both.layout(), both.network().num_weights());
    assert_eq!([layout.coordinate_name(first), layout.coordinate_name(first + 1)], ["size.noise_scale", "visits.dispersion"]);
    assert_eq!(layout.constrain(first, 0.0), both.standardization().targets[0].1);
    assert_eq!(layout.constrain(first + 1, 0.0), 1.0);
    assert_eq!(both.standardization().targets[1], (0.0, 1.0));
    let ordinal = model_of(Box::new(Ordinal { classes: 4 }));
    let (layout, first) = (ordinal.layout(), ordinal.network().num_weights());
    let names: Vec<String> = (first..layout.dim()).map(|coordinate| layout.coordinate_name(coordinate)).collect();
    assert_eq!(names, ["first_cut_point", "cut_point_gap[0]", "cut_point_gap[1]"]);
}

#[test]
fn predictions_are_in_the_targets_own_units() {
    for likelihood in likelihoods() {
        let data = data(likelihood.as_ref());
        let model = model(likelihood, &data);
        let draws = prior_draws(&model, 6);
        let options = PredictOptions { simulations: 12, ..PredictOptions::default() };
        let predictions = model.predict_with(&draws, &data, &options).unwrap();
        let likelihood = model.likelihood();
        let name = likelihood.name();
        let columns = likelihood.num_targets();
        assert_eq!(predictions.num_outputs, likelihood.num_means(), "{name}");
        if predictions.kind == PredictionKind::Classification {
            assert!(predictions.simulated.is_empty() && predictions.noise_sd.is_empty());
            continue;
        }
        assert_eq!(predictions.values.len(), 6 * ROWS * columns);
        assert_eq!(predictions.simulated.len(), 12 * ROWS * columns);
        let scales = &model.standardization().targets;
        for row in predictions.simulated.chunks_exact(columns) {
            let counts = (0..columns).filter(|&column| !likelihood.standardizes_target(column));
            for column in counts {
                assert!(row[column] >= 0.0 && row[column].fract() == 0.0, "{name}: a simulated count of {}", row[column]);
            }
        }
        // Targets in another unit move log densities by the logarithms of all units, and the log densities of counts not at all.
        let unit: f64 = scales.iter().map(|(_, sd)| sd.ln()).sum();
        let mut minibatch = model.capabilities().minibatch.unwrap().minibatch_evaluator();
        let rows: Vec<usize> = (0..ROWS).collect();
        let mut gradient = vec![0.0; draws.dim()];
        for (draw, position) in draws.positions().enumerate() {
            let standardised = minibatch.log_likelihood_and_gradient(position, &rows, &mut gradient).unwrap();
            let own: f64 = predictions.log_likelihood[draw * ROWS..][..ROWS].iter().sum();
            assert!((own + ROWS as f64 * unit - standardised).abs() < 1e-9 * standardised.abs().max(1.0), "{name}");
        }
    }
}

#[test]
fn a_change_of_one_targets_unit_leaves_the_others() {
    let likelihood = || Box::new(IndependentGaussians::learned_noise(2));
    let metres = data(likelihood().as_ref());
    let mut targets = metres.targets().clone();
    targets.column_mut(1).scale_mut(1000.0);
    let mixed = Dataset::new(metres.inputs().clone(), targets).unwrap();
    let (a, b) = (model(likelihood(), &metres), model(likelihood(), &mixed));
    let draws = prior_draws(&a, 3);
    let (p, q) = (a.predict(&draws, &metres).unwrap(), b.predict(&draws, &mixed).unwrap());
    let pairs =
        p.values.iter().zip(&q.values).chain(p.noise_sd.iter().zip(&q.noise_sd)).chain(p.simulated.iter().zip(&q.simulated));
    for (index, (x, y)) in pairs.enumerate() {
        let factor = if index % 2 == 0 { 1.0 } else { 1000.0 };
        assert!((factor * x - y).abs() < 1e-9 * y.abs().max(1.0), "{index}: {x} and {y}");
    }
    let scales = [a.layout(), b.layout()].map(|layout| layout.constrain(layout.dim() - 1, 0.0));
    assert!((scales[1] / scales[0] - 1000.0).abs() < 1e-9);
}

#[test]
fn the_gauss_newton_matrix_has_every_block_of_the_information() {
    for likelihood in likelihoods() {
        let data = data(likelihood.as_ref());
        let model = model(likelihood, &data);
        let mut position = vec![0.0; model.layout().dim()];
        model.draw_prior(&mut stream(3, 0, Purpose::Test), &mut position);
        let matrix = model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap();
        assert!((&matrix - matrix.transpose()).amax() <= 1e-12 * matrix.amax());
        let smallest = matrix.clone().symmetric_eigenvalues().min();
        assert!(smallest > -1e-9 * matrix.amax(), "{}: an eigenvalue of {smallest}", model.likelihood().name());
    }
    // A network of biases alone shifts all cut points together: its bias and the first cut point differ in sign only.
    let ordinal = Ordinal { classes: 4 };
    let data = data(&ordinal);
    let network = Network::dense(2, &[], Activation::Tanh, 1).unwrap();
    let model = BayesianNetwork::new(network, ordinal, NormalPrior::default(), &data).unwrap();
    let position = [0.4, -0.3, 0.2, -0.8, 0.1, -0.5];
    let matrix = model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap();
    for other in 0..6 {
        assert!((matrix[(2, other)] + matrix[(3, other)]).abs() < 1e-10 * matrix.amax(), "entry {other}");
    }
    assert!(matrix[(2, 3)] < -1.0, "the mixed block is not zero");
}

#[test]
fn data_of_the_wrong_kind_name_row_column_and_way_out() {
    let inputs = DMatrix::from_fn(6, 2, |row, column| ((row * 5 + column * 3) % 7) as f64);
    let build = |likelihood: Box<dyn Likelihood>, targets: &[f64]| {
        let targets = DMatrix::from_row_slice(6, targets.len() / 6, targets);
        let data = Dataset::new(inputs.clone(), targets).unwrap();
        let network = Network::dense(2, &[3], Activation::Tanh, likelihood.num_outputs()).unwrap();
        let prior = NormalPrior::default();
        BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::ByTrainingRows)
    };
    let refused = |likelihood: Box<dyn Likelihood>, targets: &[f64], words: &[&str]| {
        let message = build(likelihood, targets).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
    };
    refused(Box::new(Poisson), &[0.0, 1.0, 2.0, -1.0, 0.0, 3.0], &["row 3", "'y'", "-1", "not negative"]);
    refused(Box::new(NegativeBinomial::learned()), &[0.0, 1.5, 2.0, 1.0, 0.0, 3.0], &["row 1", "1.5", "whole numbers"]);
    refused(Box::new(Ordinal { classes: 3 }), &[0.0, 1.0, 2.0, 1.0, 0.0, 3.0], &["row 5", "3", "0 to 2"]);
    refused(Box::new(Ordinal { classes: 3 }), &[1.0; 6], &["class 1", "two classes"]);
    refused(Box::new(IndependentGaussians::learned_noise(2)), &[1.0; 6], &["1 targets", "expects 2"]);
    refused(Box::new(size_and_visits()), &[0.1, 1.0, 0.2, 0.0, 0.3, 0.5, 0.4, 1.0, 0.5, 1.0, 0.6, 2.0], &["row 2", "'visits'"]);
    // Counts may all be equal, also zero: nothing is divided by their spread. A real target may not.
    assert!(build(Box::new(Poisson), &[0.0; 6]).is_ok());
    refused(Box::new(StudentT::learned()), &[2.0; 6], &["'y'", "is 2 in all", "cannot be standardised"]);
}

/// A likelihood whose parameter claims the unit of a target that is not there.
#[derive(Debug)]
struct Misplaced(Gaussian, LikelihoodParameter);

impl Likelihood for Misplaced {
    fn name(&self) -> &'static str {
        "misplaced"
    }
    fn kind(&self) -> PredictionKind {
        self.0.kind()
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
        vec![self.1.clone()]
    }
    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        self.0.check_targets(targets)
    }
    fn gradient(&self, f: &[f64], y: &[f64], parameters: &[f64], d_f: &mut [f64], d_parameters: &mut [f64]) -> f64 {
        self.0.gradient(f, y, parameters, d_f, d_parameters)
    }
    fn curvature(&self, f: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        self.0.curvature(f, parameters, matrix);
    }
    fn mean(&self, f: &[f64], parameters: &[f64], mean: &mut [f64]) {
        self.0.mean(f, parameters, mean);
    }
    fn variance(&self, f: &[f64], parameters: &[f64], variance: &mut [f64]) {
        self.0.variance(f, parameters, variance);
    }
    fn entropy(&self, f: &[f64], parameters: &[f64]) -> f64 {
        self.0.entropy(f, parameters)
    }
    fn simulate(&self, f: &[f64], parameters: &[f64], rng: &mut ergodic_model::ChainRng, y: &mut [f64]) {
        self.0.simulate(f, parameters, rng, y);
    }
}

#[test]
fn parameters_that_no_model_can_have_are_refused_in_words() {
    let refused = |parameter: LikelihoodParameter, words: &[&str]| {
        let likelihood = Misplaced(Gaussian::learned_noise(), parameter);
        let data = data(&likelihood);
        let network = Network::dense(2, &[3], Activation::Tanh, 1).unwrap();
        let message = BayesianNetwork::new(network, likelihood, NormalPrior::default(), &data).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
    };
    refused(LikelihoodParameter::new("scale", 0.0, 1.0).in_unit_of(1), &["'scale'", "1 targets"]);
    refused(LikelihoodParameter::new("scale", 0.0, 0.0), &["'scale'", "positive"]);
    refused(LikelihoodParameter::new("layer0.weight", 0.0, 1.0), &["layer0.weight"]);
}
