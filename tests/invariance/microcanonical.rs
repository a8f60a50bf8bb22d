//! Test the exact microcanonical kernels: one transition leaves exact draws exact, and their broken twins do not.

use crate::conservation::{Conservation, Target};
use crate::kernels::{banana, funnel, gaussian, mixture, network, transition};
use crate::microcanonical_twins::{Fault, Twin};
use ergodic::model::{ChainRng, LogDensity, Purpose, stream};
use ergodic::sampler::{BuildContext, Integrator, Mams, Method, MicrocanonicalKernel, SliceGhmc};
use ergodic_targets::KnownMoments;

/// The kernel of a method in coordinates of the given scales, with adaptation frozen.
fn frozen<M>(method: &M, scales: &[f64], step_size: f64) -> M::Kernel
where
    M: Method,
    M::Kernel: MicrocanonicalKernel,
{
    let (mut kernel, _) = method.build(&BuildContext { dim: scales.len(), warmup: 0, prior_scales: scales, blocks: &[] });
    kernel.set_step_size(step_size);
    kernel
}

/// The step size at which the mean acceptance over 300 exact draws is about `acceptance`, by bisection on its logarithm.
fn step_size<T: Target, M>(target: &T, method: &M, scales: &[f64], acceptance: f64) -> f64
where
    M: Method,
    M::Kernel: MicrocanonicalKernel,
{
    let (mut low, mut high) = (1e-3f64, 1e2f64);
    let mut density = target.clone();
    for _ in 0..12 {
        let middle = (low * high).sqrt();
        let mut kernel = frozen(method, scales, middle);
        let mut rng = stream(5, 0, Purpose::Test);
        let mut position = vec![0.0; target.dim()];
        let mut sum = 0.0;
        for _ in 0..300 {
            target.draw(&mut rng, &mut position);
            sum += transition(&mut kernel, &mut density, &mut position, &mut rng);
        }
        if sum / 300.0 > acceptance { low = middle } else { high = middle }
    }
    low
}

/// One experiment in coordinates of the given scales.
fn check<T: Target, M>(name: &str, target: &T, method: &M, scales: &[f64], acceptance: f64)
where
    M: Method,
    M::Kernel: MicrocanonicalKernel,
{
    let step_size = step_size(target, method, scales, acceptance);
    let mut kernel = frozen(method, scales, step_size);
    let mut density = target.clone();
    let step = |position: &mut Vec<f64>, rng: &mut ChainRng| {
        transition(&mut kernel, &mut density, position, rng);
    };
    let found = Conservation::test(target, step, 400);
    let threshold = Conservation::threshold();
    println!(
        "{} {name:9} step size {step_size:.3}, moved {:.3}, distance {:.4} in {} (threshold {threshold:.4}, detectable {:.4})",
        M::NAME,
        found.movement,
        found.distance.0,
        found.distance.1,
        Conservation::detectable()
    );
    assert!(found.holds(), "{} on {name}: {found:?}, threshold {threshold}", M::NAME);
    assert!(found.movement > 0.05, "{} on {name} hardly moves: {found:?}", M::NAME);
}

/// All targets, in coordinates of their own scales and, for the Gaussian, of wrong ones too.
fn check_all<M>(method: impl Fn(Integrator) -> M, acceptance: f64)
where
    M: Method,
    M::Kernel: MicrocanonicalKernel,
{
    let scales = |target: &dyn Fn() -> Option<Vec<f64>>| -> Vec<f64> {
        target().expect("the variance is known").iter().map(|variance| variance.sqrt()).collect()
    };
    let target = gaussian();
    check("gaussian", &target, &method(Integrator::Leapfrog), &[1.0; 8], acceptance);
    check("gaussian", &target, &method(Integrator::FourthOrder), &scales(&|| target.variance()), acceptance);
    let target = mixture();
    check("mixture", &target, &method(Integrator::Leapfrog), &scales(&|| target.variance()), acceptance);
    let target = funnel();
    check("funnel", &target, &method(Integrator::ThreeStage), &[1.0; 4], acceptance);
    let target = banana();
    check("banana", &target, &method(Integrator::MinimalNorm), &scales(&|| target.variance()), acceptance);
    let target = network();
    check("network", &target, &method(Integrator::Leapfrog), &vec![1.0; target.dim()], acceptance);
}

fn mams(integrator: Integrator) -> Mams {
    Mams { trajectory_length: 1.5, max_steps: 64, integrator, ..Mams::default() }
}

/// Short enough a length that directions are refreshed for every step.
fn slice_ghmc(integrator: Integrator) -> SliceGhmc {
    SliceGhmc { decoherence_length: 2.0, steps_per_draw: 6, integrator, ..SliceGhmc::default() }
}

#[test]
fn mams_conserves_every_target() {
    check_all(mams, 0.7);
}

#[test]
fn slice_ghmc_conserves_every_target() {
    check_all(slice_ghmc, 0.7);
}

/// With directions kept for a whole transition, rejected steps go back along the flow.
#[test]
fn slice_ghmc_without_refreshments_conserves_a_gaussian() {
    let method = SliceGhmc { decoherence_length: 1e6, ..slice_ghmc(Integrator::Leapfrog) };
    check("gaussian", &gaussian(), &method, &[1.0; 8], 0.7);
}

/// A plain transition with a fault on the correlated Gaussian.
fn twin(fault: Fault, run: impl Fn(&Twin, &mut dyn LogDensity, &mut Vec<f64>, &mut ChainRng), step_size: f64) -> Conservation {
    let (target, twin) = (gaussian(), Twin { step_size, fault });
    let mut density = target.clone();
    let found = Conservation::test(&target, |position, rng| run(&twin, &mut density, position, rng), 500);
    println!("{fault:?}: {found:?}, threshold {:.4}", Conservation::threshold());
    found
}

#[test]
fn faults_of_mams_are_found() {
    let step_size = step_size(&gaussian(), &mams(Integrator::Leapfrog), &[1.0; 8], 0.6);
    let run = |fault| twin(fault, |twin, density, position, rng| twin.mams(density, position, 5, rng), step_size);
    assert!(run(Fault::None).holds());
    let faults = [
        Fault::NoAcceptStep,
        Fault::NoDimension,
        Fault::FullDimension,
        Fault::NoJacobian,
        Fault::KeptDirection,
        Fault::UnevenNoise(3.0),
    ];
    for fault in faults {
        assert!(!run(fault).holds(), "{fault:?} goes unnoticed");
    }
}

#[test]
fn faults_of_slice_ghmc_are_found() {
    let step_size = step_size(&gaussian(), &slice_ghmc(Integrator::Leapfrog), &[1.0; 8], 0.4);
    // Directions that are kept for long, and many rejections: what a missing flip does builds up over the steps.
    let length = 20.0 * 8f64.sqrt();
    let run =
        |fault| twin(fault, |twin, density, position, rng| twin.slice_ghmc(density, position, 12, length, rng), step_size);
    assert!(run(Fault::None).holds());
    assert!(run(Fault::RefreshmentScale(1.05)).holds(), "any amount of noise is right");
    let faults = [
        Fault::NoAcceptStep,
        Fault::NoDimension,
        Fault::FullDimension,
        Fault::NoJacobian,
        Fault::NoFlip,
        Fault::ForgottenSlice,
        Fault::UnevenNoise(3.0),
    ];
    for fault in faults {
        assert!(!run(fault).holds(), "{fault:?} goes unnoticed");
    }
}
