//! Check that gradients allocate nothing after the first, whole or in parts.

mod counting;

use counting::allocations;
use ergodic_model::{
    Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior, Precision, RowThreads, Standardize,
};
use nalgebra::DMatrix;

fn posterior(rows: usize, precision: Precision) -> BayesianNetwork {
    let inputs = DMatrix::from_fn(rows, 70, |row, column| ((row * 70 + column) as f64 * 0.7).sin());
    let targets = DMatrix::from_fn(rows, 1, |row, _| (row as f64 * 0.3).cos());
    let data = Dataset::new(inputs, targets).unwrap();
    let network = Network::dense(70, &[64], Activation::Tanh, 1).unwrap();
    let prior = NormalPrior::default();
    BayesianNetwork::with_standardization(network, Box::new(Gaussian::learned_noise()), &prior, &data, Standardize::Nothing)
        .unwrap()
        .with_precision(precision)
}

/// Allocations of this thread over ten gradients, the first being made before.
fn allocations_of(posterior: &BayesianNetwork) -> usize {
    let mut evaluator = posterior.evaluator();
    let position: Vec<f64> = (0..evaluator.dim()).map(|i| (i as f64).sin() * 0.1).collect();
    let mut gradient = vec![0.0; position.len()];
    evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
    allocations(|| {
        for _ in 0..10 {
            evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
        }
    })
}

#[test]
fn gradients_allocate_nothing_after_the_first() {
    assert_eq!(allocations(|| drop(vec![1_u8; 100])), 1, "the counter counts");
    for precision in [Precision::Double, Precision::Single] {
        for rows in [100, 5000] {
            let posterior = posterior(rows, precision);
            assert_eq!(allocations_of(&posterior), 0, "{rows} rows in {precision:?}");
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(one.install(|| allocations_of(&posterior)), 0, "{rows} rows in {precision:?} in a pool");
            assert_eq!(allocations_of(&posterior.with_row_threads(RowThreads::One)), 0, "{rows} rows on one thread");
        }
    }
}
