//! Test the kernels that accept or reject single steps, MALA and generalised HMC: exact draws stay exact, and broken twins are found.
//!
//! Generalised HMC is followed over two transitions, so that the momentum and slice variable that the state keeps are used; both are
//! drawn with the first, so that a start is an exact draw of position, momentum and slice variable.

use crate::conservation::{Conservation, Target};
use crate::kernels::{banana, check_transitions, funnel, gaussian, network, step_size_at};
use crate::stepwise_twins::{Fault, Twin};
use ergodic::model::{ChainRng, LogDensity};
use ergodic::sampler::{Ghmc, Integrator, Mala, Metric};

fn mala() -> Mala {
    Mala { steps_per_draw: 6, ..Mala::default() }
}

/// Short enough a time that momenta are refreshed several times a transition.
fn ghmc(integrator: Integrator) -> Ghmc {
    Ghmc { decoherence_time: 3.0, steps_per_draw: 4, integrator, ..Ghmc::default() }
}

#[test]
fn mala_conserves_its_targets() {
    check_transitions(1, "gaussian", &gaussian(), &mala());
    check_transitions(1, "network", &network(), &mala());
}

#[test]
fn ghmc_conserves_its_targets() {
    check_transitions(2, "gaussian", &gaussian(), &ghmc(Integrator::Leapfrog));
    check_transitions(2, "funnel", &funnel(), &ghmc(Integrator::ThreeStage));
    check_transitions(2, "banana", &banana(), &ghmc(Integrator::MinimalNorm));
}

/// With momenta kept for all of both transitions, rejected steps go back the way they came.
#[test]
fn ghmc_without_refreshments_conserves_a_gaussian() {
    let method = Ghmc { decoherence_time: 1e6, ..ghmc(Integrator::Leapfrog) };
    check_transitions(2, "gaussian", &gaussian(), &method);
}

fn metric(target: &impl Target) -> Metric {
    Metric::diagonal(target.variance().expect("the variance is known")).expect("positive")
}

/// A plain transition with a fault, under the diagonal metric of the target's variances.
fn twin<T: Target>(
    target: &T,
    step_size: f64,
    fault: Fault,
    run: impl Fn(&Twin, &mut dyn LogDensity, &mut Vec<f64>, &mut ChainRng),
) -> Conservation {
    let twin = Twin { metric: metric(target), step_size, fault };
    let mut density = target.clone();
    let found = Conservation::test(target, |position, rng| run(&twin, &mut density, position, rng), 600);
    println!("{fault:?}: {found:?}, threshold {:.4}", Conservation::threshold());
    found
}

#[test]
fn faults_of_mala_are_found() {
    // On the funnel gradients differ from place to place, so that a wrong one is felt.
    let target = funnel();
    let step_size = step_size_at(0.6, &target, &mala(), &metric(&target));
    let run = |fault| twin(&target, step_size, fault, |twin, density, position, rng| twin.mala(density, position, 20, rng));
    assert!(run(Fault::None).holds());
    for fault in [Fault::NoAcceptStep, Fault::RejectedGradient, Fault::NoiseScale(1.05)] {
        assert!(!run(fault).holds(), "{fault:?} goes unnoticed");
    }
}

#[test]
fn faults_of_ghmc_are_found() {
    // Many rejections, and momenta that are kept for long: what a missing flip does builds up over the steps.
    let target = gaussian();
    let step_size = step_size_at(0.4, &target, &ghmc(Integrator::Leapfrog), &metric(&target));
    let run = |fault, time| {
        twin(&target, step_size, fault, |twin, density, position, rng| twin.ghmc(density, position, 12, time, rng))
    };
    assert!(run(Fault::None, 20.0).holds());
    let to_and_fro = run(Fault::FlipOnAcceptance, 20.0);
    assert!(to_and_fro.holds() && to_and_fro.movement < 0.2, "{to_and_fro:?}");
    let faults = [
        (Fault::NoAcceptStep, 20.0),
        (Fault::NoFlip, 20.0),
        (Fault::ForgottenSlice, 20.0),
        (Fault::RejectedGradient, 20.0),
        // Much noise, so that a little more of it is felt.
        (Fault::NoiseScale(1.05), 1.0),
        (Fault::NoShrinkage, 1.0),
    ];
    for (fault, time) in faults {
        assert!(!run(fault, time).holds(), "{fault:?} goes unnoticed");
    }
}
