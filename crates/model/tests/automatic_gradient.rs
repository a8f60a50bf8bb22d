//! Check automatic gradients against hand-written ones, finite differences, and at the ends of the domain.

#![cfg(feature = "autodiff")]

use ergodic_model::{
    AutomaticGradient, DifferentiableDensity, Labelled, LogDensity, Posterior, Purpose, Scalar, check_gradient, stream,
};
use rand::RngExt;

/// Logistic regression with a constant input; a coefficient is N(0, 1).
#[derive(Clone)]
struct Logistic {
    inputs: Vec<f64>,
    labels: Vec<f64>,
    dim: usize,
}

impl Logistic {
    fn new(rows: usize, dim: usize) -> Self {
        let mut rng = stream(7, dim, Purpose::Test);
        let inputs = (0..rows * dim).map(|k| if k % dim == 0 { 1.0 } else { rng.random_range(-2.0..2.0) }).collect();
        Self { inputs, labels: (0..rows).map(|row| (row % 2) as f64).collect(), dim }
    }

    fn by_hand(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = -x;
            value -= 0.5 * x * x;
        }
        for (row, y) in self.inputs.chunks_exact(self.dim).zip(&self.labels) {
            let score: f64 = row.iter().zip(x).map(|(a, b)| a * b).sum();
            value += y * score - score.max(0.0) - (-score.abs()).exp().ln_1p();
            let residual = y - 1.0 / (1.0 + (-score).exp());
            gradient.iter_mut().zip(row).for_each(|(g, a)| *g += residual * a);
        }
        value
    }
}

impl DifferentiableDensity for Logistic {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let mut value: T = x.iter().map(|&b| b * b * -0.5).sum();
        for (row, &y) in self.inputs.chunks_exact(self.dim).zip(&self.labels) {
            let score: T = row.iter().zip(x).map(|(&a, &b)| b * a).sum();
            value += score * y - score.softplus();
        }
        value
    }
}

/// Dimensions around the width of a pass, and a prime beyond two passes.
const DIMENSIONS: [usize; 7] = [1, 2, 7, 8, 9, 16, 19];

#[test]
fn gradients_are_those_derived_by_hand() {
    for dim in DIMENSIONS {
        let model = Logistic::new(23, dim);
        let mut automatic = AutomaticGradient::new(model.clone());
        let mut rng = stream(3, dim, Purpose::Test);
        for _ in 0..5 {
            let x: Vec<f64> = (0..dim).map(|_| rng.random_range(-3.0..3.0)).collect();
            let (mut by_hand, mut gradient) = (vec![0.0; dim], vec![f64::NAN; dim]);
            let expected = model.by_hand(&x, &mut by_hand);
            let value = automatic.log_density_and_gradient(&x, &mut gradient).unwrap();
            assert!((value - expected).abs() < 1e-12 * expected.abs(), "dim {dim}: {value} and {expected}");
            assert_eq!(value, automatic.value(&x), "derivatives do not change the value");
            for (g, expected) in gradient.iter().zip(&by_hand) {
                assert!((g - expected).abs() < 1e-12 * (1.0 + expected.abs()), "dim {dim}: {g} and {expected}");
            }
        }
        let check = check_gradient(&automatic, None, 5);
        assert!(check.is_ok(), "dim {dim}: {check}");
    }
}

/// Uses most functions that a density may use, each at arguments inside its domain.
#[derive(Clone)]
struct Functions;

impl DifferentiableDensity for Functions {
    fn dim(&self) -> usize {
        3
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let positive = x[0] * x[0] + 0.5;
        let small = x[1].tanh() * 0.9;
        let parts = [
            positive.ln() + positive.sqrt() + positive.recip() + positive.powf(1.7) + positive.ln_1p() + positive.log_gamma(),
            x[1].exp_m1() + x[1].sin() * x[2].cos() + x[2].tan() / (x[2] * x[2] + 1.0) + x[1].powi(3),
            small.asin() + small.acos() * 2.0 + x[2].atan() + x[2].sinh() - x[2].cosh(),
            x[0].logistic() * x[1].softplus() - (x[2] - 5.0).abs(),
        ];
        parts.into_iter().sum()
    }
}

#[test]
fn functions_have_the_derivatives_of_finite_differences() {
    for seed in 0..20 {
        let check = check_gradient(&AutomaticGradient::new(Functions), None, seed);
        assert!(check.is_ok(), "{check}");
    }
}

/// A wrong slope is found by the same check: the twin of [`functions_have_the_derivatives_of_finite_differences`].
#[derive(Clone)]
struct WrongSlope;

impl DifferentiableDensity for WrongSlope {
    fn dim(&self) -> usize {
        2
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let square = x[0].value() * x[0].value();
        x[0].with_value_and_slope(-square, -1.99 * x[0].value()) - x[1] * x[1]
    }
}

#[test]
fn a_slope_that_is_off_by_half_a_percent_is_caught() {
    assert!(!check_gradient(&AutomaticGradient::new(WrongSlope), None, 1).is_ok());
}

/// ln x₀ − x₀ + ln(1 − x₁), on x₀ > 0 and x₁ < 1; the second bound is said by a branch.
#[derive(Clone)]
struct Bounded;

impl DifferentiableDensity for Bounded {
    fn dim(&self) -> usize {
        2
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        if x[1] >= 1.0 {
            return T::from(f64::NEG_INFINITY);
        }
        x[0].ln() - x[0] + (-x[1]).ln_1p()
    }
}

#[test]
fn outside_the_support_nothing_is_finite_and_nothing_panics() {
    let mut density = AutomaticGradient::new(Bounded);
    let mut gradient = [0.0; 2];
    for outside in
        [[-1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 7.0], [f64::NAN, 0.0], [1.0, f64::INFINITY], [f64::INFINITY, 0.0]]
    {
        let value = density.log_density_and_gradient(&outside, &mut gradient).unwrap();
        assert!(!value.is_finite(), "{outside:?}: {value}");
    }
    // What was outside leaves no trace.
    let value = density.log_density_and_gradient(&[2.0, 0.5], &mut gradient).unwrap();
    assert!((value - (2f64.ln() - 2.0 + 0.5f64.ln())).abs() < 1e-15);
    assert!((gradient[0] + 0.5).abs() < 1e-15 && (gradient[1] + 2.0).abs() < 1e-15);
}

#[test]
fn wrong_lengths_are_named() {
    let mut density = AutomaticGradient::new(Bounded);
    let error = density.log_density_and_gradient(&[1.0], &mut [0.0; 2]).unwrap_err().to_string();
    assert!(error.contains("the position has 1 coordinates and the density 2"), "{error}");
    assert!(density.log_density_and_gradient(&[1.0; 2], &mut [0.0; 3]).is_err());
}

/// A constant has no derivatives, and a density may ignore coordinates.
#[derive(Clone)]
struct Constant;

impl DifferentiableDensity for Constant {
    fn dim(&self) -> usize {
        3
    }

    fn log_density<T: Scalar>(&self, _: &[T]) -> T {
        T::from(1.5)
    }
}

#[test]
fn what_does_not_depend_on_a_coordinate_has_derivative_zero() {
    let mut gradient = [f64::NAN; 3];
    let value = AutomaticGradient::new(Constant).log_density_and_gradient(&[1.0, 2.0, 3.0], &mut gradient).unwrap();
    assert_eq!((value, gradient), (1.5, [0.0; 3]));
}

#[test]
fn it_is_a_posterior_with_names() {
    let layout = ergodic_draws::Layout::new(vec![ergodic_draws::Block::new("coefficient", &[4])]).unwrap();
    let posterior = Labelled::new(AutomaticGradient::new(Logistic::new(10, 4)), layout).unwrap();
    assert_eq!(posterior.layout().coordinate_name(2), "coefficient[2]");
    assert_eq!(posterior.evaluator().dim(), 4);
}
