//! Check normalisation, derivatives, curvature, moments and entropy against sums over all targets.

use crate::case::{Case, cases};

#[test]
fn densities_sum_or_integrate_to_one() {
    for case in cases() {
        let total = case.expectation(|_, _, _| 1.0);
        assert!((total - 1.0).abs() < 1e-11, "{}: {total}", case.name());
    }
}

#[test]
fn gradients_are_derivatives() {
    for case in cases() {
        let some = case.nodes.len().div_ceil(12);
        for (targets, _) in case.nodes.iter().step_by(some) {
            let (value, gradient) = case.gradient(targets);
            for (coordinate, gradient) in gradient.iter().enumerate() {
                let h = 1e-5;
                let (above, below) =
                    (case.moved(coordinate, h).gradient(targets).0, case.moved(coordinate, -h).gradient(targets).0);
                let difference = (above - below) / (2.0 * h);
                let tolerance = 1e-8 * (1.0 + gradient.abs() + value.abs());
                let name = case.name();
                assert!((difference - gradient).abs() < tolerance, "{name}, {targets:?}: {difference} and {gradient}");
            }
        }
    }
}

#[test]
fn parameter_gradients_are_added_to_what_is_there() {
    for case in cases() {
        let targets = &case.nodes[case.nodes.len() / 2].0;
        let (_, gradient) = case.gradient(targets);
        let mut d_outputs = vec![0.0; case.outputs.len()];
        let mut d_parameters = vec![10.0; case.parameters.len()];
        case.likelihood.gradient(&case.outputs, targets, &case.parameters, &mut d_outputs, &mut d_parameters);
        for (d, expected) in d_parameters.iter().zip(&gradient[case.outputs.len()..]) {
            assert!((d - 10.0 - expected).abs() < 1e-12 * (10.0 + expected.abs()), "{}", case.name());
        }
    }
}

/// The stated curvature of outputs and parameters together.
fn stated_curvature(case: &Case) -> Vec<Vec<f64>> {
    let (n, p) = (case.outputs.len(), case.parameters.len());
    let (mut outputs, mut parameters, mut mixed) = (vec![f64::NAN; n * n], vec![f64::NAN; p * p], vec![f64::NAN; n * p]);
    case.likelihood.curvature(&case.outputs, &case.parameters, &mut outputs);
    case.likelihood.parameter_curvature(&case.outputs, &case.parameters, &mut parameters);
    case.likelihood.mixed_curvature(&case.outputs, &case.parameters, &mut mixed);
    let entry = |i: usize, j: usize| match (i < n, j < n) {
        (true, true) => outputs[i * n + j],
        (true, false) => mixed[i * p + j - n],
        (false, true) => mixed[j * p + i - n],
        (false, false) => parameters[(i - n) * p + j - n],
    };
    (0..n + p).map(|i| (0..n + p).map(|j| entry(i, j)).collect()).collect()
}

#[test]
fn curvature_is_the_expected_negative_second_derivative() {
    for case in cases() {
        let stated = stated_curvature(&case);
        for i in 0..case.dim() {
            // The density that weights the expectation stays where it is while the derivative moves.
            let h = 1e-4;
            let (above, below) = (case.moved(i, h), case.moved(i, -h));
            for j in 0..case.dim() {
                let slope = |targets: &[f64]| (above.gradient(targets).1[j] - below.gradient(targets).1[j]) / (2.0 * h);
                let expected = -case.expectation(|targets, _, _| slope(targets));
                let stated = stated[i][j];
                let name = case.name();
                assert!((stated - expected).abs() < 1e-6 * (1.0 + stated.abs()), "{name} [{i},{j}]: {stated} and {expected}");
            }
        }
    }
}

#[test]
fn curvature_is_the_variance_of_the_score_which_makes_it_positive() {
    for case in cases() {
        let stated = stated_curvature(&case);
        for i in 0..case.dim() {
            for j in 0..case.dim() {
                let fisher = case.expectation(|_, _, score| score[i] * score[j]);
                let stated = stated[i][j];
                let name = case.name();
                assert!((fisher - stated).abs() < 1e-9 * (1.0 + fisher.abs()), "{name} [{i},{j}]: {stated} and {fisher}");
            }
        }
    }
}

#[test]
fn moments_and_entropy_are_those_of_the_density() {
    for case in cases() {
        let name = case.name();
        let means = case.likelihood.num_means();
        let (mut mean, mut variance) = (vec![f64::NAN; means], vec![f64::NAN; means]);
        case.likelihood.mean(&case.outputs, &case.parameters, &mut mean);
        case.likelihood.variance(&case.outputs, &case.parameters, &mut variance);
        for k in 0..means {
            if case.moments {
                let expected = case.expectation(|targets, _, _| case.quantity(targets, k));
                assert!((mean[k] - expected).abs() < 1e-9, "{name}: mean {} and {expected}", mean[k]);
                let expected = case.expectation(|targets, _, _| (case.quantity(targets, k) - mean[k]).powi(2));
                assert!((variance[k] - expected).abs() < 1e-9 * (1.0 + expected), "{name}: {} and {expected}", variance[k]);
            }
        }
        let entropy = case.likelihood.entropy(&case.outputs, &case.parameters);
        let expected = -case.expectation(|_, value, _| value);
        assert!((entropy - expected).abs() < 1e-10, "{name}: entropy {entropy} and {expected}");
    }
}

#[test]
fn a_variance_that_diverges_is_infinite() {
    use ergodic_model::{Likelihood, StudentT};
    let variance = |degrees: f64| {
        let mut variance = [f64::NAN];
        StudentT::known(degrees, 0.5).variance(&[0.0], &[], &mut variance);
        variance[0]
    };
    assert_eq!([variance(0.7), variance(1.5), variance(2.0)], [f64::INFINITY; 3]);
    assert!((variance(3.0) - 0.75).abs() < 1e-15);
}

#[test]
fn student_t_and_negative_binomial_have_their_limits() {
    use ergodic_model::{Gaussian, Likelihood, NegativeBinomial, Poisson, StudentT};
    let value = |likelihood: &dyn Likelihood, f: f64, y: f64| {
        let (value, gradient) = crate::case::gradient(likelihood, &[f], &[y], &[]);
        let entropy = likelihood.entropy(&[f], &[]);
        [value, gradient[0], entropy]
    };
    // The distance to the limit falls as 1/ν and 1/r; a sum of log-gamma functions alone would be off by 1e-3 here.
    for (f, y) in [(0.2, 1.7), (-3.0, 0.4)] {
        let pairs = [
            (value(&StudentT::known(1e10, 0.8), f, y), value(&Gaussian::known_noise(0.8), f, y)),
            (value(&NegativeBinomial::known(1e10), f, (10.0 * y).round()), value(&Poisson, f, (10.0 * y).round())),
        ];
        for (found, limit) in pairs {
            for (a, b) in found.iter().zip(limit) {
                assert!((a - b).abs() < 1e-6, "{found:?} and {limit:?}");
            }
        }
    }
}
