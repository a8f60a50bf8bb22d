//! Test the tuning of unadjusted step sizes: the estimator, its limits, the check, the end of warm-up.

use super::*;
use crate::{Kernel, Mclmc, Method};
use ergodic_model::{Purpose, density, stream};

fn normal(dim: usize) -> impl LogDensity + Clone {
    density(dim, |x: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
        -0.5 * x.iter().map(|x| x * x).sum::<f64>()
    })
}

/// Errors whose variance per dimension is 3ε⁶ on average.
#[test]
fn the_estimate_finds_the_step_of_the_target_from_steps_around_it() {
    let target = 5e-4;
    for first in [0.05, 0.3, 2.0] {
        let mut estimate = Estimate::new(first, target, 150.0);
        let mut mean = RunningMean::default();
        for i in 0..2000 {
            let step_size = estimate.step_size(target);
            let variance = 6.0 * step_size.powi(6) * (f64::from(i) * 0.7).sin().powi(2);
            estimate.push(step_size, variance, target);
            if i >= 1000 {
                mean.push(step_size.ln());
            }
        }
        let ratio = mean.mean.exp() / (target / 3.0_f64).powf(1.0 / 6.0);
        assert!((ratio - 1.0).abs() < 0.05, "{ratio} from {first}");
    }
}

/// Other libraries shrink the largest step for ever at every step that is not finite, lose it to 0 where it is met exactly, and to
/// NaN where the step itself is not finite.
#[test]
fn the_largest_step_recovers_and_is_met_exactly_and_infinite_steps_stay_finite() {
    let target = 5e-4;
    let mut estimate = Estimate::new(1.0, target, 150.0);
    estimate.push(1.0, f64::INFINITY, target);
    assert!((estimate.step_size(target) - 0.8).abs() < 1e-15, "the limit is met exactly");
    estimate.push(0.8, f64::NAN, target);
    assert!((estimate.step_size(target) - 0.64).abs() < 1e-15);
    for _ in 0..200 {
        let step_size = estimate.step_size(target);
        assert!(step_size > 0.0 && step_size.is_finite());
        estimate.push(step_size, target * step_size.powi(6), target);
    }
    assert!((estimate.step_size(target) - 1.0).abs() < 0.05, "{}", estimate.step_size(target));
    // Steps without any error: the estimate grows by a bounded factor.
    let mut estimate = Estimate::new(1.0, target, 150.0);
    for _ in 0..10 {
        estimate.push(estimate.step_size(target), 0.0, target);
    }
    assert!(estimate.step_size(target).is_finite());
}

#[test]
fn running_means_do_not_cancel() {
    // E[x²] − E[x]² of these loses all digits; so does a running sum of much larger values.
    let mut mean = RunningMean::default();
    for i in 0..1_000_000 {
        mean.push(1e8 + f64::from(i % 2));
    }
    assert!((mean.mean - (1e8 + 0.5)).abs() < 1e-6);
}

/// One chain and what tunes it.
struct Chain {
    kernel: MclmcKernel,
    adaptation: EnergyVarianceAdaptation,
    state: MicrocanonicalState,
    rng: ChainRng,
}

/// Warms chains up with their meetings; `disturb` may change a kernel before an iteration.
fn warm_up_chains(
    method: &Mclmc,
    target: &mut dyn LogDensity,
    [chains, warmup, extra]: [usize; 3],
    mut disturb: impl FnMut(usize, usize, &mut MclmcKernel),
) -> (Vec<Chain>, Meeting) {
    let dim = target.dim();
    let scales = vec![1.0; dim];
    let begin = |chain| {
        let (mut kernel, mut adaptation) = method.build(&BuildContext { dim, warmup, prior_scales: &scales, blocks: &[] });
        let mut rng = stream(5, chain, Purpose::Test);
        let mut state = kernel.init(target, &vec![0.5; dim]).unwrap();
        adaptation.init(&mut kernel, target, &mut state, &mut rng).unwrap();
        Chain { kernel, adaptation, state, rng }
    };
    let mut all: Vec<Chain> = (0..chains).map(begin).collect();
    let mut meeting = Meeting::new(5, 0, warmup, extra);
    let mut held = None;
    let mut iteration = 0;
    loop {
        if all[0].adaptation.meetings(meeting.warmup()).after(held, meeting.warmup()) == Some(iteration) {
            held = Some(iteration);
            let extra_left = extra - (meeting.warmup() - warmup);
            meeting = Meeting::new(5, iteration, meeting.warmup(), extra_left);
            let members = all.iter_mut().enumerate().map(|(chain, Chain { kernel, adaptation, state, .. })| Member {
                chain,
                kernel,
                adaptation,
                state,
            });
            EnergyVarianceAdaptation::meet(&mut meeting, &mut members.collect::<Vec<_>>());
        }
        if iteration == meeting.warmup() {
            break;
        }
        for (number, chain) in all.iter_mut().enumerate() {
            let Chain { kernel, adaptation, state, rng } = chain;
            disturb(number, iteration, kernel);
            let info = kernel.step(target, state, rng).unwrap();
            adaptation.update(kernel, target, state, &info, iteration, rng).unwrap();
        }
        iteration += 1;
    }
    all.iter_mut().for_each(|chain| chain.adaptation.finalize(&mut chain.kernel));
    (all, meeting)
}

/// Warms one chain up and returns its kernel and state.
fn warm_up(method: &Mclmc, target: &mut dyn LogDensity, warmup: usize) -> (MclmcKernel, MicrocanonicalState) {
    let (mut chains, _) = warm_up_chains(method, target, [1, warmup, 0], |_, _, _| {});
    let Chain { kernel, state, .. } = chains.remove(0);
    (kernel, state)
}

fn realised(kernel: &mut MclmcKernel, target: &mut dyn LogDensity, state: &mut MicrocanonicalState, draws: usize) -> f64 {
    let mut rng = stream(5, 1, Purpose::Test);
    let mut mean = RunningMean::default();
    for _ in 0..draws {
        mean.push(kernel.step(target, state, &mut rng).unwrap().energy_variance_per_dimension);
    }
    mean.mean
}

#[test]
fn the_target_is_met_for_every_integrator_and_both_schedules() {
    for integrator in crate::Integrator::ALL {
        for target in [EnergyVarianceTarget::strict(), EnergyVarianceTarget::Falling { from: 1e-2, to: 1e-3 }] {
            let adaptation = EnergyVariance { target, ..EnergyVariance::default() };
            let method = Mclmc { integrator, adaptation, ..Mclmc::default() };
            let mut normal = normal(50);
            let (mut kernel, mut state) = warm_up(&method, &mut normal, 1000);
            let found = realised(&mut kernel, &mut normal, &mut state, 500);
            let ratio = found / target.last();
            assert!((0.1..5.0).contains(&ratio), "{integrator:?}: {found} for {target:?}");
        }
    }
}

#[test]
fn all_chains_take_the_geometric_mean_of_their_steps() {
    let mut normal = normal(20);
    let mut before = Vec::new();
    let method = Mclmc::default();
    let tuning = method.build(&BuildContext { dim: 20, warmup: 600, prior_scales: &[1.0; 20], blocks: &[] }).1.tuning;
    let (chains, _) = warm_up_chains(&method, &mut normal, [4, 600, 0], |_, iteration, kernel| {
        if iteration == tuning {
            before.push(kernel.step_size());
        }
    });
    assert!(before.iter().all(|step_size| *step_size == before[0]), "{before:?}");
    assert!(chains.iter().all(|chain| chain.kernel.step_size() == chains[0].kernel.step_size()));
    // They did not agree by themselves.
    let own = |chain: &Chain| chain.adaptation.log_step.mean;
    assert!(chains.iter().all(|chain| chain.kernel.step_size() != own(chain).exp()));
    let mean = chains.iter().map(own).sum::<f64>() / 4.0;
    assert!((before[0].ln() - mean).abs() < 1e-12);
    assert!((shared_step_size([0.1, 10.0].into_iter()) - 1.0).abs() < 1e-15);
}

/// A step size far too large for one chain, as if tuning had not seen the stiff part of the density: the check finds it out and
/// repairs it for all, as often as there are legs, and asks for one more leg after each repair.
#[test]
fn the_check_repairs_a_step_that_is_too_large_for_all_chains() {
    let mut normal = normal(20);
    let method = Mclmc::default();
    let tuning = method.build(&BuildContext { dim: 20, warmup: 500, prior_scales: &[1.0; 20], blocks: &[] }).1.tuning;
    let disturb = |_, iteration, kernel: &mut MclmcKernel| {
        if iteration == tuning {
            kernel.set_step_size(12.0);
        }
    };
    let (chains, meeting) = warm_up_chains(&method, &mut normal, [2, 500, 2000], disturb);
    let steps: Vec<f64> = chains.iter().map(|chain| chain.kernel.step_size()).collect();
    let repairs = (steps[0] / 12.0).ln() / REPAIR.ln();
    assert!(steps[0] == steps[1] && (repairs - repairs.round()).abs() < 1e-9, "{steps:?}");
    assert!(repairs.round() >= 3.0 && meeting.warmup() > 500, "{repairs} repairs, {meeting:?}");
    let Chain { mut kernel, mut state, .. } = chains.into_iter().next().unwrap();
    let found = realised(&mut kernel, &mut normal, &mut state, 500);
    assert!(found < 5.0 * 5e-4, "{found}");
}

#[test]
fn the_step_is_frozen_after_warm_up_and_the_draws_have_their_steps() {
    let method = Mclmc { steps_per_draw: 20, ..Mclmc::default() };
    let mut normal = normal(10);
    let (mut kernel, mut state) = warm_up(&method, &mut normal, 300);
    let frozen = kernel.step_size();
    let info = kernel.step(&mut normal, &mut state, &mut stream(1, 0, Purpose::Test)).unwrap();
    assert_eq!((info.n_steps, info.step_size), (20, frozen));
    let fixed = EnergyVariance { fixed_step_size: Some(0.7), ..EnergyVariance::default() };
    let (kernel, _) = warm_up(&Mclmc { adaptation: fixed, ..Mclmc::default() }, &mut normal, 30);
    assert_eq!(kernel.step_size(), 0.7);
}

/// Other libraries turn what is not a number into zeros, and nobody sees it.
#[test]
fn steps_that_are_not_finite_are_seen_and_undone() {
    let mut target = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[-x[0], -x[1]]);
        if x[0] > 0.0 { f64::NAN } else { -0.5 * (x[0] * x[0] + x[1] * x[1]) }
    });
    let fixed = EnergyVariance { fixed_step_size: Some(0.5), ..EnergyVariance::default() };
    let method = Mclmc { adaptation: fixed, ..Mclmc::default() };
    let (mut kernel, mut adaptation) = method.build(&BuildContext { dim: 2, warmup: 0, prior_scales: &[1.0; 2], blocks: &[] });
    let mut rng = stream(2, 0, Purpose::Test);
    let mut state = kernel.init(&mut target, &[-0.5, 0.1]).unwrap();
    adaptation.init(&mut kernel, &mut target, &mut state, &mut rng).unwrap();
    adaptation.finalize(&mut kernel);
    let mut diverged = 0;
    for _ in 0..300 {
        let before = state.clone();
        let info = kernel.step(&mut target, &mut state, &mut rng).unwrap();
        assert!(state.log_density.is_finite() && state.position[0] <= 0.0);
        if info.diverging {
            diverged += 1;
            assert_eq!(state.position, before.position);
            assert!(info.energy_error.is_infinite() && info.energy_variance_per_dimension > 0.1);
        }
    }
    assert!(diverged > 20 && diverged < 290, "{diverged}");
    assert!(kernel.warning().is_some_and(|warning| warning.contains("noise scale")), "{:?}", kernel.tuned());
}

#[test]
fn settings_out_of_range_are_named() {
    let named = |adaptation: EnergyVariance| Mclmc { adaptation, ..Mclmc::default() }.validate().unwrap_err().setting;
    let default = EnergyVariance::default;
    assert!(Mclmc::default().validate().is_ok());
    assert_eq!(named(EnergyVariance { target: EnergyVarianceTarget::Constant(0.0), ..default() }), "adaptation.target");
    let target = EnergyVarianceTarget::Falling { from: 0.5, to: f64::NAN };
    assert_eq!(named(EnergyVariance { target, ..default() }), "adaptation.target");
    assert_eq!(named(EnergyVariance { tuning_gradients: Some(0), ..default() }), "adaptation.tuning_gradients");
    assert_eq!(named(EnergyVariance { memory: 1.0, ..default() }), "adaptation.memory");
    assert_eq!(named(EnergyVariance { tolerance: 0.5, ..default() }), "adaptation.tolerance");
    assert_eq!(named(EnergyVariance { fixed_step_size: Some(-1.0), ..default() }), "adaptation.fixed_step_size");
    let error = Mclmc { decoherence_length: 0.0, ..Mclmc::default() }.validate().unwrap_err();
    assert_eq!(error.setting, "decoherence_length");
}
