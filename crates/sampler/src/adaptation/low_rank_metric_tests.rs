//! Check the low-rank estimator: exact on normals, bounded, and safe with what says nothing.

use super::*;
use crate::Metric;
use ergodic_model::{Purpose, stream};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Draws of a normal with covariance I + Σ (λ − 1) uuᵀ along the first coordinates' rotated axes, and their gradients.
fn feed(estimator: &mut LowRankEstimator, dim: usize, stretches: &[f64], draws: usize) -> Vec<Vec<f64>> {
    let mut rng = stream(7, 0, Purpose::Test);
    let mut axes: Vec<f64> = (0..stretches.len() * dim).map(|_| rng.sample(StandardNormal)).collect();
    orthonormalise(&mut axes, dim);
    for _ in 0..draws {
        let normal: Vec<f64> = (0..dim).map(|_| rng.sample(StandardNormal)).collect();
        let (mut x, mut g) = (normal.clone(), normal.iter().map(|z| -z).collect::<Vec<_>>());
        for (axis, stretch) in axes.chunks(dim).zip(stretches) {
            let along = dot(Equal, axis, &normal);
            add_scaled(&mut x, (stretch.sqrt() - 1.0) * along, axis);
            add_scaled(&mut g, -(1.0 / stretch.sqrt() - 1.0) * along, axis);
        }
        x.iter_mut().for_each(|x| *x += 5.0);
        estimator.push(&x, &g);
    }
    axes.chunks(dim).map(<[f64]>::to_vec).collect()
}

/// Condition number of the true precision in the coordinates that a metric with these directions makes round.
fn condition(axes: &[Vec<f64>], stretches: &[f64], (directions, eigenvalues): Directions) -> f64 {
    let dim = axes[0].len();
    let metric = Metric::low_rank(vec![1.0; dim], directions, eigenvalues).unwrap();
    let mut inverse_mass = DMatrix::zeros(dim, dim);
    let mut precision = DMatrix::<f64>::identity(dim, dim);
    for i in 0..dim {
        let unit: Vec<f64> = (0..dim).map(|j| f64::from(u8::from(i == j))).collect();
        metric.velocity(&unit, inverse_mass.column_mut(i).as_mut_slice());
        for j in 0..dim {
            precision[(i, j)] += axes.iter().zip(stretches).map(|(u, s)| (1.0 / s - 1.0) * u[i] * u[j]).sum::<f64>();
        }
    }
    let factor = inverse_mass.cholesky().unwrap().unpack();
    let eigenvalues = symmetric_eigen(symmetric(&(factor.transpose() * precision * &factor))).unwrap().eigenvalues;
    eigenvalues.max() / eigenvalues.min()
}

const STRETCHES: [f64; 4] = [100.0, 30.0, 0.01, 0.1];

#[test]
fn draws_that_span_the_space_give_a_normal_exactly() {
    // The condition number of the covariance is 10⁴. Draws alone, without gradients, would leave more than 10 here.
    let mut estimator = LowRankEstimator::new(&LowRankMetric::default(), 40);
    let axes = feed(&mut estimator, 40, &STRETCHES, 64);
    let left = condition(&axes, &STRETCHES, estimator.estimate(&[1.0; 40], 64));
    assert!(left < 1.1, "{left}");
}

#[test]
fn fewer_draws_than_coordinates_help_and_never_harm() {
    for (dim, draws, limit) in [(100, 64, 150.0), (400, 64, 1500.0), (400, 10, 5000.0)] {
        let mut estimator = LowRankEstimator::new(&LowRankMetric::default(), dim);
        let axes = feed(&mut estimator, dim, &STRETCHES, draws);
        let left = condition(&axes, &STRETCHES, estimator.estimate(&vec![1.0; dim], draws));
        assert!(left < limit, "{left} of 10,000 with {draws} draws of {dim} coordinates");
    }
}

#[test]
fn independent_coordinates_have_no_directions() {
    let mut estimator = LowRankEstimator::new(&LowRankMetric::default(), 200);
    feed(&mut estimator, 200, &[], 64);
    assert_eq!(estimator.estimate(&[1.0; 200], 64), Directions::default());
}

#[test]
fn memory_is_bounded_and_old_draws_are_overwritten() {
    let settings = LowRankMetric { max_rank: 10, ..LowRankMetric::default() };
    let mut estimator = LowRankEstimator::new(&settings, 15);
    for _ in 0..50 {
        estimator.push(&[1e6; 15], &[-1e6; 15]);
    }
    let axes = feed(&mut estimator, 15, &STRETCHES, 20);
    assert_eq!((estimator.positions.len(), estimator.gradients.len()), (20 * 15, 20 * 15));
    let (directions, eigenvalues) = estimator.estimate(&[1.0; 15], 1000);
    assert!(eigenvalues.len() <= 10 && directions.len() == 15 * eigenvalues.len());
    // Not one draw of the first fifty is left.
    assert!(condition(&axes, &STRETCHES, (directions, eigenvalues)) < 1.1);
}

#[test]
fn draws_that_say_nothing_give_no_directions() {
    let nothing = |position: &dyn Fn(usize) -> [f64; 3], gradient: &dyn Fn(usize) -> [f64; 3]| {
        let mut estimator = LowRankEstimator::new(&LowRankMetric::default(), 3);
        (0..30).for_each(|i| estimator.push(&position(i), &gradient(i)));
        estimator.estimate(&[1.0; 3], 30)
    };
    let ramp = |i: usize| [i as f64, (i * i % 7) as f64, (i % 3) as f64];
    assert_eq!(nothing(&|_| [2.0; 3], &|_| [1.0; 3]), Directions::default(), "nothing moves");
    assert_eq!(nothing(&ramp, &|_| [f64::NAN; 3]), Directions::default(), "gradients are not numbers");
    assert_eq!(LowRankEstimator::new(&LowRankMetric::default(), 3).estimate(&[1.0; 3], 0), Directions::default());
    // Coordinates of zero variance, with or without a gradient, make no metric unusable.
    let (directions, eigenvalues) = nothing(&|i| [ramp(i)[0], 1.0, 0.0], &|i| [-ramp(i)[0], ramp(i)[1], 0.0]);
    assert!(Metric::low_rank(vec![1.0; 3], directions, eigenvalues).is_ok());
}

#[test]
fn small_negative_eigenvalues_count_as_rounding() {
    // Rounding leaves −10⁻¹⁷ where 0 should be; its root would be NaN.
    let singular = DMatrix::from_diagonal(&nalgebra::dvector![4.0, -1e-17, 1.0]);
    let (root, inverse) = roots(singular.clone()).unwrap();
    assert!(root.iter().chain(inverse.iter()).all(|x| x.is_finite()) && (root[(0, 0)] - 2.0).abs() < 1e-14);
    let mean = geometric_mean(singular.clone(), singular).unwrap();
    assert!((mean - DMatrix::<f64>::identity(3, 3)).amax() < 1e-9);
    assert!(geometric_mean(DMatrix::from_element(2, 2, f64::INFINITY), DMatrix::identity(2, 2)).is_none());
}
