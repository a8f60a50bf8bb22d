//! Check that gradients of networks allocate nothing after the first.

mod counting;

use counting::allocations;
use ergodic_model::{
    Activation, BayesianNetwork, Categorical, Dataset, Gaussian, Likelihood, Network, NormalPrior, Posterior, Precision,
};
use nalgebra::DMatrix;

/// A network over made-up rows; the classes of a classification are 0, 1 and 2.
fn network(likelihood: impl Likelihood + 'static, activation: Activation, rows: usize) -> BayesianNetwork {
    let inputs = DMatrix::from_fn(rows, 3, |row, column| ((row * 3 + column) as f64 * 0.7).sin());
    let classes = likelihood.name() == "categorical";
    let targets = DMatrix::from_fn(rows, 1, |row, _| if classes { (row % 3) as f64 } else { (row as f64 * 0.3).cos() });
    let network = Network::dense(3, &[7, 5], activation, likelihood.num_outputs()).unwrap();
    BayesianNetwork::new(network, likelihood, NormalPrior::default(), &Dataset::new(inputs, targets).unwrap()).unwrap()
}

fn check(build: impl Fn() -> BayesianNetwork, name: &str) {
    for precision in [Precision::Double, Precision::Single] {
        let model = build().with_precision(precision);
        let mut evaluator = model.evaluator();
        let position: Vec<f64> = (0..evaluator.dim()).map(|i| (i as f64 * 1.3).sin() * 0.3).collect();
        let mut gradient = vec![0.0; position.len()];
        let first = evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
        let mut again = 0.0;
        let count = allocations(|| {
            for _ in 0..3 {
                again = evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
            }
        });
        assert_eq!(count, 0, "{name} in {precision:?}");
        assert_eq!(again, first);
    }
}

#[test]
fn gradients_allocate_nothing_after_the_first() {
    for rows in [5, 64, 65, 300] {
        for activation in Activation::ALL {
            check(|| network(Gaussian::learned_noise(), activation, rows), "learned noise");
            check(|| network(Gaussian::input_dependent_noise(), activation, rows), "input-dependent noise");
            check(|| network(Categorical { classes: 3 }, activation, rows), "categorical");
        }
    }
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![0.0_f64; 10]))) > 0);
}
