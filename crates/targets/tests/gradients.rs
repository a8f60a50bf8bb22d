//! Hold every target's gradient against finite differences at random points.

use ergodic_model::{LogDensity, MinibatchGradient, PointwiseLogLikelihood};
use ergodic_targets::{
    Banana, CorrelatedGaussian, DiagonalGaussian, EightSchools, Funnel, GaussianMixture, LinearNetwork, LogisticRegression,
    SmallNetwork,
};
use proptest::prelude::*;

/// Largest dimension of the targets below.
const LARGEST: usize = 10;
/// Largest disagreement, relative to 1 + |gradient| + |log density|: the five-point stencil's truncation and rounding stay below 10⁻⁸.
const TOLERANCE: f64 = 1e-7;

fn targets() -> Vec<(&'static str, Box<dyn LogDensity>)> {
    let mixture = GaussianMixture::new(&[0.3, 0.7], vec![vec![-1.0, 0.5], vec![2.0, -1.0]], vec![0.7, 1.2]);
    vec![
        ("diagonal", Box::new(DiagonalGaussian::new(vec![1.0, -2.0, 0.0], vec![0.3, 5.0, 1.0]).expect("valid"))),
        ("ill-conditioned", Box::new(CorrelatedGaussian::ill_conditioned(6, 100.0, 5).expect("valid"))),
        ("funnel", Box::new(Funnel::new(5, 3.0).expect("valid"))),
        ("banana", Box::new(Banana::new(2, 1.0, 2.0, 0.4).expect("valid"))),
        ("mixture", Box::new(mixture.expect("valid"))),
        ("eight schools", Box::new(EightSchools::new())),
        ("logistic regression", Box::new(LogisticRegression::simulated(40, 4, 9).expect("valid"))),
        ("small network", Box::new(SmallNetwork::example().expect("valid"))),
        ("linear network", Box::new(LinearNetwork::simulated(30, 3, 1.5, 0.8, 9).expect("valid"))),
    ]
}

/// The largest relative difference between the gradient, times `factor`, and the five-point stencil at `position`.
fn disagreement(target: &mut dyn LogDensity, position: &[f64], factor: f64) -> f64 {
    let dim = target.dim();
    let (mut gradient, mut unused) = (vec![0.0; dim], vec![0.0; dim]);
    let value = target.log_density_and_gradient(&position[..dim], &mut gradient).expect("evaluates");
    let step = 1e-3;
    let mut worst: f64 = 0.0;
    for i in 0..dim {
        let mut at = |shift: f64| {
            let mut moved = position[..dim].to_vec();
            moved[i] += shift;
            target.log_density_and_gradient(&moved, &mut unused).expect("evaluates")
        };
        let slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
        worst = worst.max((slope - factor * gradient[i]).abs() / (1.0 + slope.abs() + value.abs()));
    }
    worst
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_equal_finite_differences(position in prop::collection::vec(-3.0..3.0f64, LARGEST)) {
        for (name, mut target) in targets() {
            let found = disagreement(target.as_mut(), &position, 1.0);
            prop_assert!(found < TOLERANCE, "{name}: relative difference {found} at {position:?}");
        }
    }

    #[test]
    fn minibatches_sum_to_the_whole(position in prop::collection::vec(-3.0..3.0f64, 4), split in 0..30usize) {
        let mut target = LinearNetwork::simulated(30, 3, 1.5, 0.8, 9).expect("valid");
        let mut whole = vec![0.0; 4];
        let value = target.log_density_and_gradient(&position, &mut whole).expect("evaluates");
        let mut evaluator = target.minibatch_evaluator();
        let (mut sum, mut part) = (vec![0.0; 4], vec![0.0; 4]);
        let mut total = evaluator.log_prior_and_gradient(&position, &mut sum).expect("evaluates");
        let rows: Vec<usize> = (0..30).collect();
        for rows in [&rows[..split], &rows[split..]] {
            total += evaluator.log_likelihood_and_gradient(&position, rows, &mut part).expect("evaluates");
            sum.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
        }
        let mut each = vec![0.0; 30];
        target.log_likelihood_each(&position, &mut each).expect("evaluates");
        let log_prior = total - each.iter().sum::<f64>();
        let expected: f64 = position.iter().map(|w| -0.5 * (w / 1.5f64).powi(2) - 1.5f64.ln() - 0.918_938_533_204_672_7).sum();
        prop_assert!((total - value).abs() < 1e-10 * value.abs());
        prop_assert!((log_prior - expected).abs() < 1e-10 * value.abs());
        prop_assert!(sum.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + b.abs())));
    }
}

/// The broken twin: a gradient off by one part in a thousand is caught on every target.
#[test]
fn a_wrong_gradient_is_caught() {
    let position = [0.7, -1.3, 0.4, 1.9, -0.6, 1.1, -2.2, 0.9, -0.3, 1.6];
    for (name, mut target) in targets() {
        let found = disagreement(target.as_mut(), &position, 1.001);
        assert!(found > TOLERANCE, "{name}: relative difference {found}");
    }
}
