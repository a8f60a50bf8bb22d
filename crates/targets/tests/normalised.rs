//! Integrate every density in one or two dimensions: normalised ones to 1, joint ones to their evidence.

use ergodic_model::LogDensity;
use ergodic_targets::{Banana, CorrelatedGaussian, DiagonalGaussian, EightSchools, Funnel, GaussianMixture};
use ergodic_targets::{LinearNetwork, LogisticRegression};
use nalgebra::DMatrix;

/// Name, density, and the corners of the box that holds its mass.
type Case = (&'static str, Box<dyn LogDensity>, [f64; 2], [f64; 2]);

/// The log integral over the box from `low` to `high`, by the trapezoid rule with `steps` steps a side. On smooth functions that vanish
/// at the ends it converges faster than any power of the step.
fn log_integral(target: &mut dyn LogDensity, low: &[f64], high: &[f64], steps: usize) -> f64 {
    let dim = target.dim();
    assert_eq!((low.len(), high.len()), (dim, dim));
    let widths: Vec<f64> = low.iter().zip(high).map(|(l, h)| (h - l) / steps as f64).collect();
    let mut gradient = vec![0.0; dim];
    let mut position = vec![0.0; dim];
    let mut values = Vec::with_capacity((steps + 1).pow(dim as u32));
    for index in 0..(steps + 1).pow(dim as u32) {
        let mut rest = index;
        for ((x, l), w) in position.iter_mut().zip(low).zip(&widths) {
            *x = l + (rest % (steps + 1)) as f64 * w;
            rest /= steps + 1;
        }
        values.push(target.log_density_and_gradient(&position, &mut gradient).expect("evaluates"));
    }
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    largest + sum.ln() + widths.iter().map(|w| w.ln()).sum::<f64>()
}

#[test]
fn normalised_densities_integrate_to_one() {
    let covariance = DMatrix::from_row_slice(2, 2, &[1.0, 0.9, 0.9, 2.0]);
    let mixture = GaussianMixture::new(&[0.3, 0.7], vec![vec![-2.0, 0.5], vec![2.0, -1.0]], vec![0.7, 1.2]).expect("valid");
    let mut targets: Vec<Case> = vec![
        (
            "diagonal",
            Box::new(DiagonalGaussian::new(vec![1.0, -2.0], vec![0.3, 5.0]).expect("valid")),
            [-2.0, -47.0],
            [4.0, 43.0],
        ),
        (
            "correlated",
            Box::new(CorrelatedGaussian::new(vec![0.0, 1.0], &covariance).expect("valid")),
            [-10.0, -13.0],
            [10.0, 15.0],
        ),
        ("mixture", Box::new(mixture), [-12.0; 2], [13.0; 2]),
        // The funnel with v within ±6 standard deviations; beyond it has less than 10⁻⁸ of its mass.
        ("funnel", Box::new(Funnel::new(2, 0.5).expect("valid")), [-3.0, -35.0], [3.0, 35.0]),
        ("banana", Box::new(Banana::new(1, 0.5, 0.7, 0.4).expect("valid")), [-4.0, -4.0], [5.5, 32.0]),
    ];
    for (name, target, low, high) in &mut targets {
        let found = log_integral(target.as_mut(), low, high, 1500);
        assert!(found.abs() < 1e-7, "{name}: log integral {found}");
    }
    let mut line = DiagonalGaussian::new(vec![0.5], vec![2.0]).expect("valid");
    assert!(log_integral(&mut line, &[-20.0], &[20.0], 400).abs() < 1e-12);
}

#[test]
fn joint_densities_integrate_to_their_evidence() {
    let mut network = LinearNetwork::simulated(12, 1, 1.3, 0.7, 2).expect("valid");
    let found = log_integral(&mut network, &[-10.0; 2], &[10.0; 2], 1500);
    assert!((found - network.log_evidence()).abs() < 1e-9, "{found} and {}", network.log_evidence());

    let mut regression = LogisticRegression::simulated(25, 2, 2).expect("valid");
    let expected = regression.log_evidence().expect("two coefficients");
    let found = log_integral(&mut regression, &[-10.0; 2], &[10.0; 2], 1000);
    assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
}

/// Ten dimensions are too many for a grid, but z integrates out by hand: yⱼ ~ N(μ, σⱼ² + τ²). What is left, over μ and log τ, is
/// integrated plainly and held against the target's own one-dimensional sum.
#[test]
fn eight_schools_evidence_is_that_of_the_marginal_likelihood() {
    let effects = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0];
    let errors = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0f64];
    let normal = |x: f64, variance: f64| (-0.5 * x * x / variance).exp() / (2.0 * std::f64::consts::PI * variance).sqrt();
    let mut sum = 0.0;
    for i in 0..=800 {
        let mu = -40.0 + 0.1 * f64::from(i);
        for j in 0..=1100 {
            let tau = (-36.0 + 0.05 * f64::from(j)).exp();
            let prior = normal(mu, 25.0) * 2.0 / (std::f64::consts::PI * 5.0 * (1.0 + tau * tau / 25.0)) * tau;
            let likelihood: f64 = effects.iter().zip(&errors).map(|(y, s)| normal(y - mu, s * s + tau * tau)).product();
            sum += prior * likelihood * 0.1 * 0.05;
        }
    }
    let expected = EightSchools::new().log_evidence();
    assert!((sum.ln() - expected).abs() < 1e-9, "{} and {expected}", sum.ln());
}
