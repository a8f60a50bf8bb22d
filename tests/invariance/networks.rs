//! Test networks' posteriors and the kernel together, by simulating parameters and data (Geweke 2004).
//!
//! Draw parameters θ from the prior and targets y from the likelihood given θ: then θ is an exact draw from the posterior given y, and
//! one transition of a kernel that conserves this posterior leaves the pair (θ', y) distributed as (θ, y). N such pairs are compared
//! with N fresh ones by the Kolmogorov–Smirnov distance, as in the conservation test, in statistics of both: parameters, sums of
//! squares, outputs, log likelihood and log density. It fails when the prior's draws, the likelihood's simulation, the log density
//! and the kernel do not agree, so wrong scales and normalisations are found that no fixed data set would show.

use crate::conservation::{STATISTICS, detectable, distance, threshold};
use crate::kernels::frozen;
use ergodic::model::{
    Activation, BayesianNetwork, Bernoulli, Categorical, ChainRng, Dataset, Gaussian, Likelihood, LogDensity, Network,
    NormalPrior, Posterior, Precision, PriorDraws, Purpose, Standardize, stream,
};
use ergodic::sampler::{ChainState, Kernel, Metric, Nuts, NutsKernel};
use nalgebra::DMatrix;

/// Pairs of parameters and data in one experiment.
const PAIRS: usize = 60_000;
/// Rows of data: few, so that the posterior is near the prior and one step size suits all data.
const ROWS: usize = 4;
/// Parameters that are statistics of their own.
const PARAMETERS: usize = 20;

/// A family of posteriors: one for each vector of targets.
#[derive(Clone, Copy)]
struct Family<'a> {
    hidden: usize,
    likelihood: &'a dyn Fn() -> Box<dyn Likelihood>,
    /// The likelihood that simulates data; in a broken twin not that of the posterior.
    simulator: &'a dyn Fn() -> Box<dyn Likelihood>,
    /// Standard deviation of the prior's draws; in a broken twin not that of the posterior.
    drawn_sd: f64,
    precision: Precision,
}

impl Family<'_> {
    fn posterior(&self, likelihood: Box<dyn Likelihood>, prior_sd: f64, targets: &[f64]) -> BayesianNetwork {
        let inputs = DMatrix::from_fn(ROWS, 1, |row, _| row as f64 - 1.5);
        let data = Dataset::new(inputs, DMatrix::from_column_slice(ROWS, 1, targets)).expect("valid");
        let network = Network::dense(1, &[self.hidden], Activation::Tanh, likelihood.num_outputs()).expect("valid");
        let prior = NormalPrior::standard(prior_sd);
        BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::Nothing)
            .expect("valid")
            .with_precision(self.precision)
    }

    /// The largest distance over the statistics, and which statistic it is.
    fn test(&self, step_size: f64) -> (f64, usize) {
        let simulator = (self.simulator)();
        let template: Vec<f64> = (0..ROWS).map(|row| (row % 2) as f64).collect();
        let prior = self.posterior((self.simulator)(), self.drawn_sd, &template);
        let inputs = DMatrix::from_fn(ROWS, 1, |row, _| row as f64 - 1.5);
        let dim = prior.layout().dim();
        let num_weights = prior.network().num_weights();
        let capabilities = prior.capabilities();
        let mut outputs_at = capabilities.outputs.expect("a network").output_evaluator(&inputs).expect("valid inputs");
        let width = simulator.num_outputs();
        let (mut outputs, mut targets) = (vec![0.0; ROWS * width], vec![0.0; ROWS]);
        let mut simulate = |position: &mut [f64], rng: &mut ChainRng| loop {
            prior.draw_prior(rng, position);
            outputs_at.outputs(position, &mut outputs);
            for (row, target) in outputs.chunks_exact(width).zip(targets.chunks_exact_mut(1)) {
                simulator.simulate(row, &position[num_weights..], rng, target);
            }
            // A classification needs two classes; both samples of pairs leave out the same data.
            if targets.iter().any(|target| *target != targets[0]) {
                return targets.clone();
            }
        };

        let nuts = Nuts { max_tree_depth: 4, ..Nuts::default() };
        let mut kernel = frozen(&nuts, dim, &Metric::unit(), step_size);
        let mut rngs = [stream(1, 0, Purpose::Test), stream(1, 1, Purpose::Test)];
        let mut columns = [(); 2].map(|()| vec![Vec::new(); STATISTICS]);
        let (mut position, mut moves) = (vec![0.0; dim], 0);
        for _ in 0..PAIRS {
            for (side, (rng, columns)) in rngs.iter_mut().zip(&mut columns).enumerate() {
                let data = simulate(&mut position, rng);
                let posterior = self.posterior((self.likelihood)(), 1.0, &data);
                if side == 0 {
                    let start = position[0];
                    transition(&mut kernel, &posterior, &mut position, rng);
                    moves += usize::from(position[0] != start);
                }
                observe(&posterior, &position, columns);
            }
        }
        assert!(moves > PAIRS * 3 / 4, "{moves} of {PAIRS} transitions move");
        let [moved, fresh] = columns;
        let distances = moved.into_iter().zip(fresh).map(|(a, b)| if a.is_empty() { 0.0 } else { distance(a, b) });
        let (statistic, distance) = distances.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are statistics");
        (distance, statistic)
    }
}

fn transition(kernel: &mut NutsKernel, posterior: &BayesianNetwork, position: &mut [f64], rng: &mut ChainRng) {
    let mut density = posterior.evaluator();
    let mut state = kernel.init(density.as_mut(), position).expect("the network evaluates");
    kernel.step(density.as_mut(), &mut state, rng).expect("the network evaluates");
    position.copy_from_slice(state.position());
}

/// Appends the statistics of one pair: the first parameters, then sums of squares, log likelihood, its largest term, log density.
fn observe(posterior: &BayesianNetwork, position: &[f64], columns: &mut [Vec<f64>]) {
    for (column, x) in columns.iter_mut().zip(position).take(PARAMETERS) {
        column.push(*x);
    }
    let half = position.len() / 2;
    let squares = |part: &[f64]| part.iter().map(|x| x * x).sum::<f64>();
    let mut each = [0.0; ROWS];
    let pointwise = posterior.capabilities().pointwise.expect("a network");
    pointwise.log_likelihood_each(position, &mut each).expect("the network evaluates");
    let mut gradient = [0.0; 64];
    let log_density = posterior
        .evaluator()
        .log_density_and_gradient(position, &mut gradient[..position.len()])
        .expect("the network evaluates");
    let statistics = [
        squares(position),
        squares(&position[..half]),
        each.iter().sum(),
        each.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        each[0],
        log_density,
    ];
    for (column, value) in columns[PARAMETERS..].iter_mut().zip(statistics) {
        column.push(value);
    }
}

fn known(sd: f64) -> Box<dyn Likelihood> {
    Box::new(Gaussian::known_noise(sd))
}

fn check(name: &str, precision: Precision, likelihood: &dyn Fn() -> Box<dyn Likelihood>, step_size: f64) {
    let family = Family { hidden: 3, likelihood, simulator: likelihood, drawn_sd: 1.0, precision };
    let (found, statistic) = family.test(step_size);
    let (threshold, detectable) = (threshold(PAIRS), detectable(PAIRS));
    println!("{name}: distance {found:.4} in statistic {statistic} (threshold {threshold:.4}, detectable {detectable:.4})");
    assert!(found < threshold, "{name}: distance {found} in statistic {statistic}, threshold {threshold}");
}

#[test]
fn known_noise_is_conserved() {
    check("known noise", Precision::Double, &|| known(0.5), 0.25);
}

#[test]
fn learned_noise_is_conserved() {
    check("learned noise", Precision::Double, &|| Box::new(Gaussian::learned_noise()), 0.2);
}

#[test]
fn binary_targets_are_conserved() {
    check("binary", Precision::Double, &|| Box::new(Bernoulli), 0.5);
}

#[test]
fn classes_are_conserved() {
    check("three classes", Precision::Double, &|| Box::new(Categorical { classes: 3 }), 0.5);
}

/// Single precision changes the log density by 10⁻⁷ of its terms, far below what is detectable here.
#[test]
fn single_precision_is_conserved() {
    check("single precision", Precision::Single, &|| known(0.5), 0.25);
}

/// The broken twins: data with 10 % more noise than the posterior believes, and prior draws 5 % wider than the posterior's prior.
#[test]
fn disagreement_of_model_and_simulation_is_found() {
    let likelihood = || known(0.5);
    let right =
        Family { hidden: 3, likelihood: &likelihood, simulator: &likelihood, drawn_sd: 1.0, precision: Precision::Double };
    let noisy = Family { simulator: &|| known(0.55), ..right }.test(0.25);
    let wide = Family { drawn_sd: 1.05, ..right }.test(0.25);
    println!("noise off by 10 %: {noisy:?}, prior off by 5 %: {wide:?}, threshold {:.4}", threshold(PAIRS));
    assert!(noisy.0 > threshold(PAIRS), "noise off by 10 % goes unnoticed: {noisy:?}");
    assert!(wide.0 > threshold(PAIRS), "a prior off by 5 % goes unnoticed: {wide:?}");
}
