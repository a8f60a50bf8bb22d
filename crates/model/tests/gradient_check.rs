//! Check that the gradient check passes right gradients and names what is wrong with wrong ones.

use ergodic_draws::{Block, Layout};
use ergodic_model::{EvaluationError, Finding, GradientCheck, Labelled, LogDensity, Posterior, check_gradient, density};

/// A density with curvature, coupling and very different scales: Σ −½ (xᵢ/sᵢ)² − ¼ Σ (xᵢ/sᵢ)⁴ + sin(Σ xᵢ/sᵢ).
#[derive(Clone)]
struct Curved {
    scales: Vec<f64>,
    fault: fn(&mut [f64]),
}

impl LogDensity for Curved {
    fn dim(&self) -> usize {
        self.scales.len()
    }

    fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let scaled: Vec<f64> = x.iter().zip(&self.scales).map(|(x, s)| x / s).collect();
        let total: f64 = scaled.iter().sum();
        for ((g, z), s) in gradient.iter_mut().zip(&scaled).zip(&self.scales) {
            *g = (-z - z.powi(3) + total.cos()) / s;
        }
        (self.fault)(gradient);
        Ok(scaled.iter().map(|z| -0.5 * z * z - 0.25 * z.powi(4)).sum::<f64>() + total.sin())
    }
}

fn labelled(scales: &[f64], fault: fn(&mut [f64])) -> Labelled<Curved> {
    let blocks = vec![Block::new("first", &[2]), Block::new("second", &[scales.len() - 3]), Block::new("third", &[])];
    Labelled::new(Curved { scales: scales.to_vec(), fault }, Layout::new(blocks).unwrap()).unwrap()
}

fn check(fault: fn(&mut [f64])) -> GradientCheck {
    check_gradient(&labelled(&[1.0, 2.0, 1.0, 5.0, 0.5, 1.0], fault), None, 1)
}

#[test]
fn right_gradients_pass_on_scales_from_1e_minus_4_to_1e4() {
    assert!(check(|_| ()).is_ok(), "{}", check(|_| ()));
    let scales = [1e-4, 1e4, 1.0, 0.01, 30.0, 1.0];
    let position: Vec<f64> = scales.iter().enumerate().map(|(i, s)| s * (0.3 * i as f64 - 0.8)).collect();
    let wide = check_gradient(&labelled(&scales, |_| ()), Some(&position), 1);
    assert!(wide.is_ok(), "{wide}");
    let at_zero = check_gradient(&labelled(&scales, |_| ()), Some(&[0.0; 6]), 1);
    assert!(at_zero.is_ok(), "{at_zero}");
}

#[test]
fn large_constants_do_not_hide_or_fake_errors() {
    let with_constant = |factor: f64| {
        density(3, move |x: &[f64], gradient: &mut [f64]| {
            for (g, x) in gradient.iter_mut().zip(x) {
                *g = -x * factor;
            }
            -1e7 - 0.5 * x.iter().map(|x| x * x).sum::<f64>()
        })
    };
    let position = [0.3, -1.4, 0.9];
    let right = check_gradient(&with_constant(1.0), Some(&position), 1);
    assert!(right.is_ok(), "{right}");
    assert!(!check_gradient(&with_constant(1.01), Some(&position), 1).is_ok());
}

#[test]
fn a_common_factor_is_named() {
    let doubled = check(|gradient| gradient.iter_mut().for_each(|g| *g *= 2.0));
    assert!(
        matches!(doubled.findings[..], [Finding::Factor { block: None, ratio }] if (ratio - 2.0).abs() < 1e-5),
        "{doubled}"
    );
    let negated = check(|gradient| gradient.iter_mut().for_each(|g| *g = -*g));
    assert!(negated.to_string().contains("wrong sign"), "{negated}");
    let slightly = check(|gradient| gradient.iter_mut().for_each(|g| *g *= 1.0002));
    assert!(matches!(slightly.findings[..], [Finding::Factor { block: None, .. }]), "{slightly}");
}

#[test]
fn a_factor_of_one_block_is_named() {
    let check = check(|gradient| gradient[2..5].iter_mut().for_each(|g| *g *= 0.5));
    let [Finding::Factor { block: Some(block), ratio }] = &check.findings[..] else { panic!("{check}") };
    assert_eq!(block, "second");
    assert!((ratio - 0.5).abs() < 1e-5);
}

#[test]
fn the_worst_coordinate_and_its_block_are_named() {
    let check = check(|gradient| {
        gradient[3] += 0.001;
        gradient[4] += 0.9;
    });
    let [Finding::Wrong { coordinate, count: 2, compared: 3, .. }] = &check.findings[..] else { panic!("{check}") };
    assert_eq!((coordinate.name.as_str(), coordinate.block.as_str()), ("second[2]", "second"));
    assert_eq!(check.worst().unwrap().name, "second[2]");
    assert!(check.to_string().contains("second[2]"));
}

#[test]
fn entries_that_are_zero_or_not_finite_are_named() {
    let zero = check(|gradient| gradient[5] = 0.0);
    assert!(matches!(&zero.findings[..], [Finding::Zero { coordinate, count: 1, .. }] if coordinate.name == "third"), "{zero}");
    let nan = check(|gradient| gradient[1] = f64::NAN);
    assert!(
        matches!(&nan.findings[..], [Finding::NotFinite { coordinate, count: 1, .. }] if coordinate.name == "first[1]"),
        "{nan}"
    );
}

#[test]
fn a_buffer_that_is_added_to_or_left_alone_is_named() {
    let added = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient[0] -= x[0];
        gradient[1] -= x[1];
        -0.5 * (x[0] * x[0] + x[1] * x[1])
    });
    let added = check_gradient(&added, None, 1);
    assert!(matches!(added.findings[..], [Finding::AddedTo { count: 2, .. }]), "{added}");
    let left = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient[0] = -x[0];
        -0.5 * (x[0] * x[0] + x[1] * x[1])
    });
    let left = check_gradient(&left, None, 1);
    assert!(
        matches!(&left.findings[..], [Finding::NotWritten { coordinate, count: 1 }] if coordinate.name == "x[1]"),
        "{left}"
    );
}

#[test]
fn a_density_that_changes_from_call_to_call_is_named() {
    let mut calls = 0.0;
    let drifting = density(1, move |x: &[f64], gradient: &mut [f64]| {
        calls += 0.1;
        gradient[0] = -x[0];
        -0.5 * x[0] * x[0] + calls
    });
    let check = check_gradient(&drifting, None, 1);
    assert!(matches!(check.findings[..], [Finding::NotReproducible { .. }]), "{check}");
}

#[test]
fn positions_outside_the_support_or_of_wrong_length_are_errors_in_words() {
    let positive = density(1, |x: &[f64], gradient: &mut [f64]| {
        gradient[0] = -1.0;
        if x[0] > 0.0 { -x[0] } else { f64::NEG_INFINITY }
    });
    let outside = check_gradient(&positive, Some(&[-1.0]), 1);
    assert!(matches!(outside.findings[..], [Finding::OutsideSupport { .. }]), "{outside}");
    assert!(check_gradient(&positive, None, 1).is_ok(), "random positions are drawn until one is inside");
    let short = check_gradient(&positive, Some(&[]), 1);
    assert!(matches!(short.findings[..], [Finding::Dimension { found: 0, expected: 1, .. }]), "{short}");
}

#[test]
fn evaluations_that_fail_are_reported() {
    #[derive(Clone)]
    struct Failing;
    impl LogDensity for Failing {
        fn dim(&self) -> usize {
            1
        }
        fn log_density_and_gradient(&mut self, _: &[f64], _: &mut [f64]) -> Result<f64, EvaluationError> {
            Err(EvaluationError::new("the table is not loaded"))
        }
    }
    let check = check_gradient(&Failing as &dyn Posterior, None, 1);
    assert!(check.to_string().contains("the table is not loaded"), "{check}");
}

#[test]
fn long_positions_are_sampled_in_every_block() {
    let layout = Layout::new(vec![Block::new("many", &[5000]), Block::new("few", &[3])]).unwrap();
    let make = |fault: fn(&mut [f64])| {
        let normal = density(5003, move |x: &[f64], gradient: &mut [f64]| {
            for (g, x) in gradient.iter_mut().zip(x) {
                *g = -x;
            }
            fault(gradient);
            -0.5 * x.iter().map(|x| x * x).sum::<f64>()
        });
        Labelled::new(normal, layout.clone()).unwrap()
    };
    let right = check_gradient(&make(|_| ()), None, 3);
    assert!(right.is_ok() && right.coordinates.len() < 2100, "{right}");
    let wrong = check_gradient(&make(|gradient| gradient[5001] *= 1.5), None, 3);
    assert!(matches!(&wrong.findings[..], [Finding::Wrong { coordinate, .. }] if coordinate.block == "few"), "{wrong}");
}
