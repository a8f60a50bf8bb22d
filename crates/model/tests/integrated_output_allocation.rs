//! Check that gradients without the output layer allocate nothing after the first.

mod counting;
mod integrated;

use counting::allocations;
use ergodic_model::{Activation, Gaussian, IntegratedOutput, Likelihood, NormalPrior, Posterior, Precision, Prior};
use integrated::{LayerScales, TwoGaussians, data, whole};

#[test]
fn gradients_allocate_nothing() {
    let likelihoods: [Box<dyn Likelihood>; 2] = [Box::new(Gaussian::learned_noise()), Box::new(TwoGaussians { known: 0.3 })];
    for likelihood in likelihoods {
        let data = data(150, 3, likelihood.num_targets(), 1);
        let fixed = NormalPrior::default();
        let prior: &dyn Prior = if likelihood.num_targets() == 1 { &fixed } else { &LayerScales };
        let mut posterior = IntegratedOutput::new(whole(&[9, 7], Activation::Silu, likelihood, prior, &data)).unwrap();
        for precision in [Precision::Double, Precision::Single] {
            posterior = posterior.with_precision(precision);
            let dim = posterior.layout().dim();
            let (position, mut gradient) = (vec![0.3; dim], vec![0.0; dim]);
            let mut evaluator = posterior.evaluator();
            let count = allocations(|| {
                for _ in 0..3 {
                    evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
                }
            });
            assert_eq!(count, 0, "{precision:?}");
            assert!(allocations(|| drop(vec![0.0; dim])) > 0, "allocations are counted");
        }
    }
}
