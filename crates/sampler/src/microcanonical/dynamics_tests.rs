//! Test microcanonical dynamics: the flow of a kick, reversibility, the Jacobian, the order of the energy error.

use super::*;
use crate::vector::dot;
use ergodic_model::density;
use nalgebra::{DMatrix, DVector};

/// A density that is neither Gaussian nor symmetric: −Σ (log cosh xᵢ + (xᵢ − xᵢ₋₁)²/2 + xᵢ/5).
fn curved(dim: usize) -> impl LogDensity + Clone {
    density(dim, move |x: &[f64], gradient: &mut [f64]| {
        let mut value = 0.0;
        gradient.fill(0.0);
        for i in 0..x.len() {
            value -= x[i].cosh().ln() + 0.2 * x[i];
            gradient[i] -= x[i].tanh() + 0.2;
            if i > 0 {
                let d = x[i] - x[i - 1];
                value -= 0.5 * d * d;
                gradient[i] -= d;
                gradient[i - 1] += d;
            }
        }
        value
    })
}

const SCALES: [[f64; 4]; 2] = [[1.0; 4], [0.5, 2.0, 1.0, 1.5]];
const POSITION: [f64; 4] = [0.3, -0.8, 1.1, 0.5];

fn state(direction: &[f64]) -> MicrocanonicalState {
    let dim = direction.len();
    let mut state = MicrocanonicalState::at(&mut curved(dim), &POSITION[..dim]).unwrap();
    let length = dot(Equal, direction, direction).sqrt();
    state.direction = direction.iter().map(|u| u / length).collect();
    state
}

fn start() -> MicrocanonicalState {
    state(&[0.7, 0.2, -1.3, 0.4])
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance)
}

fn kick(rate: f64, cosine: f64, dim: usize) -> Kick {
    Kick { freedom: dim as f64 - 1.0, rate, cosine, inverse_gradient: 1.0, inverse_direction: 1.0 }
}

#[test]
fn kinetic_energy_is_exact_for_tiny_and_huge_kicks() {
    for c in [-1.0, -0.7, 0.0, 0.4, 1.0] {
        // The textbook form holds to rounding where neither term vanishes or overflows.
        for delta in [0.1_f64, 0.4, 0.6, 3.0] {
            let expected = 4.0 * (delta.cosh() + c * delta.sinh()).ln();
            // A cosine of −1 is known to rounding, which a kick amplifies by exp(2δ).
            let tolerance = 1e-12 * (1.0 + expected.abs()) + 1e-15 * (2.0 * delta).exp();
            assert!((kick(1.0, c, 5).by(delta).kinetic - expected).abs() < tolerance, "{delta} {c}");
        }
        // For small kicks ΔK = (D − 1)(cδ + (1 − c²)δ²/2) up to δ³. The textbook form is off by 10⁻¹⁶(D − 1) here, in which the second
        // term drowns.
        let (delta, freedom) = (1e-9_f64, 999_999.0);
        let expected = freedom * (c * delta + 0.5 * (1.0 - c * c) * delta * delta);
        let found = kick(1.0, c, 1_000_000).by(delta).kinetic;
        assert!((found - expected).abs() < 1e-13 * expected.abs() + 1e-18, "{found} for {expected}");
        for delta in [40.0, 800.0, 1e6] {
            let change = kick(1.0, c, 5).by(delta);
            assert!(change.kinetic.is_finite() && change.factors.iter().all(|f| f.is_finite()), "{delta} {c}: {change:?}");
        }
    }
}

/// Straight up a normal of scale 10⁻⁸ and far out on the other side: both gradients lie on one line with the direction.
#[test]
fn a_step_far_beyond_stability_does_not_pass_for_a_good_one() {
    let mut normal = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x * 1e16);
        -0.5e16 * (x[0] * x[0] + x[1] * x[1])
    });
    let mut state = MicrocanonicalState::at(&mut normal, &[1e-8, 0.0]).unwrap();
    state.direction = vec![-1.0, 0.0];
    let error = Microcanonical::new(Integrator::Leapfrog, &[1.0; 2]).step(&mut normal, 0.1, &mut state).unwrap();
    assert!(error > 1e10, "{error}");
}

#[test]
fn kicks_compose_and_undo_each_other() {
    for c in [-0.9, -0.2, 0.5] {
        let point = kick(1.3, c, 5);
        let (first, second) = (point.by(0.2), point.after(point.by(0.2)).by(0.5));
        let both = point.by(0.7);
        assert!((first.kinetic + second.kinetic - both.kinetic).abs() < 1e-13);
        assert!((second.cosine - both.cosine).abs() < 1e-14);
        let back = point.after(both).by(-0.7);
        assert!((back.kinetic + both.kinetic).abs() < 1e-12 && (back.cosine - c).abs() < 1e-13);
    }
}

#[test]
fn a_gradient_of_zero_turns_nothing() {
    let kick = Kick::new([0.0, 0.0, 1.0], 3);
    let change = kick.by(0.5);
    assert_eq!((change.factors, change.kinetic), ([1.0, 0.0], 0.0));
}

#[test]
fn forward_reverse_forward_returns_to_the_start() {
    for integrator in Integrator::ALL {
        for scales in SCALES {
            let dynamics = Microcanonical::new(integrator, &scales);
            let mut target = curved(4);
            let begin = start();
            let mut state = begin.clone();
            let mut errors = 0.0;
            for _ in 0..50 {
                errors += dynamics.step(&mut target, 0.3, &mut state).unwrap();
            }
            assert!(!near(&state.position, &begin.position, 0.1), "the point moved");
            assert!((dot(Equal, &state.direction, &state.direction) - 1.0).abs() < 1e-14);
            state.direction.iter_mut().for_each(|u| *u = -*u);
            for _ in 0..50 {
                errors += dynamics.step(&mut target, 0.3, &mut state).unwrap();
            }
            state.direction.iter_mut().for_each(|u| *u = -*u);
            assert!(near(&state.position, &begin.position, 1e-10) && near(&state.direction, &begin.direction, 1e-10));
            assert!(errors.abs() < 1e-10, "{integrator:?}: energy errors there and back sum to {errors}");
            // A negative step size is the same way back.
            let mut state = begin.clone();
            dynamics.step(&mut target, 0.3, &mut state).unwrap();
            dynamics.step(&mut target, -0.3, &mut state).unwrap();
            assert!(near(&state.position, &begin.position, 1e-13) && near(&state.direction, &begin.direction, 1e-13));
        }
    }
}

#[test]
fn joined_kicks_equal_single_steps_and_reversed_flows_go_back() {
    for integrator in Integrator::ALL {
        for scales in SCALES {
            let dynamics = Microcanonical::new(integrator, &scales);
            let mut target = curved(4);
            let (mut joined, mut single, mut other) = (start(), start(), start());
            let mut flow = dynamics.begin(0.3, &joined);
            for step in 0..7 {
                let error = if step % 2 == 0 {
                    flow.step(&mut target, &mut joined).unwrap()
                } else {
                    let error = flow.step_from(&mut target, &joined, &mut other).unwrap();
                    std::mem::swap(&mut joined, &mut other);
                    error
                };
                let expected = dynamics.step(&mut target, 0.3, &mut single).unwrap();
                assert!((error - expected).abs() < 1e-13, "{error} {expected}");
            }
            flow.reverse(&mut joined);
            for _ in 0..7 {
                flow.step(&mut target, &mut joined).unwrap();
            }
            flow.reverse(&mut joined);
            assert!(near(&joined.position, &start().position, 1e-12) && near(&joined.direction, &start().direction, 1e-12));
        }
    }
}

/// The derivative of (x, u) → (x', |u| u') by central differences: its determinant is that of the map on the sphere, for along u it is
/// the identity. Density is carried along when ln det = −ΔK, and ΔK is the energy error plus the change of the log density.
#[test]
fn the_jacobian_is_what_the_kinetic_energy_says() {
    for integrator in Integrator::ALL {
        for dim in [2, 3, 4] {
            for scales in SCALES {
                let dynamics = Microcanonical::new(integrator, &scales[..dim]);
                let begin = state(&[0.7, 0.2, -1.3, 0.4][..dim]);
                let run = |z: &[f64]| {
                    let mut target = curved(dim);
                    let mut state = MicrocanonicalState::at(&mut target, &z[..dim]).unwrap();
                    state.direction.copy_from_slice(&z[dim..]);
                    let length = dot(Equal, &z[dim..], &z[dim..]).sqrt();
                    let first = state.log_density;
                    let mut kinetic = 0.0;
                    for _ in 0..3 {
                        kinetic += dynamics.step(&mut target, 0.4, &mut state).unwrap();
                    }
                    kinetic += state.log_density - first;
                    state.direction.iter_mut().for_each(|u| *u *= length);
                    (DVector::from_vec([state.position, state.direction].concat()), kinetic)
                };
                let z = [begin.position, begin.direction].concat();
                let h = 1e-5;
                let columns: Vec<DVector<f64>> = (0..2 * dim)
                    .map(|i| {
                        let (mut up, mut down) = (z.clone(), z.clone());
                        up[i] += h;
                        down[i] -= h;
                        (run(&up).0 - run(&down).0) / (2.0 * h)
                    })
                    .collect();
                let determinant = DMatrix::from_columns(&columns).determinant();
                let kinetic = run(&z).1;
                assert!(kinetic.abs() > 0.05, "the Jacobian is not that of a map that conserves volume");
                assert!((determinant.ln() + kinetic).abs() < 1e-7, "{integrator:?}, {dim}: {} {kinetic}", determinant.ln());
            }
        }
    }
}

#[test]
fn energy_error_falls_with_the_order_of_the_integrator() {
    for integrator in Integrator::ALL {
        let dynamics = Microcanonical::new(integrator, &SCALES[1]);
        let error = |step_size: f64| {
            let (mut target, mut state) = (curved(4), start());
            let steps = (1.6 / step_size).round() as usize;
            (0..steps).map(|_| dynamics.step(&mut target, step_size, &mut state).unwrap()).sum::<f64>().abs()
        };
        let order = (error(0.08) / error(0.04)).log2();
        assert!((order - f64::from(integrator.order())).abs() < 0.15, "{integrator:?} has order {order}");
    }
}

#[test]
fn what_is_not_finite_has_an_infinite_energy_error() {
    let values: [fn(f64) -> f64; 3] = [|_| f64::NAN, |_| f64::INFINITY, |x| if x > 0.0 { f64::NEG_INFINITY } else { f64::NAN }];
    let dynamics = Microcanonical::new(Integrator::Leapfrog, &[1.0; 2]);
    for outside in values {
        for in_gradient in [true, false] {
            let mut target = density(2, move |x: &[f64], gradient: &mut [f64]| {
                let inside = x[0] < 1.0;
                gradient[0] = if inside || !in_gradient { -x[0] } else { outside(x[0]) };
                gradient[1] = -x[1];
                if inside || in_gradient { -0.5 * (x[0] * x[0] + x[1] * x[1]) } else { outside(x[0]) }
            });
            let mut state = MicrocanonicalState::at(&mut target, &[0.9, 0.0]).unwrap();
            state.direction = vec![1.0, 0.0];
            assert_eq!(dynamics.step(&mut target, 0.5, &mut state).unwrap(), f64::INFINITY);
        }
    }
}

#[test]
fn one_coordinate_is_refused_with_the_way_out() {
    let error = MicrocanonicalState::at(&mut curved(1), &[0.1]).unwrap_err().to_string();
    assert!(error.contains("at least 2 coordinates") && error.contains("nuts"), "{error}");
}

#[test]
fn scales_that_are_no_scales_count_as_one() {
    let dynamics = Microcanonical::new(Integrator::Leapfrog, &[0.0, -1.0, f64::NAN, f64::INFINITY]);
    assert_eq!(dynamics, Microcanonical::new(Integrator::Leapfrog, &[1.0; 4]));
}
