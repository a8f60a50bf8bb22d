//! Check that a state is what its kernel says: the log density and gradient of its position, moved exactly when a move is reported.
//!
//! The conservation test alone cannot see a kernel that sometimes stays where it reports a move: staying conserves every target.

use crate::conservation::Target;
use crate::kernels::{banana, chees, frozen, gaussian, hmc, metrics, nuts, step_size, walnuts};
use ergodic::model::{Purpose, stream};
use ergodic::sampler::{
    ChainState, GradientState, HamiltonianKernel, HmcInfo, Integrator, Kernel, Mala, Method, NutsInfo, StepwiseInfo,
    WalnutsInfo,
};

/// Follows 2000 transitions of a kernel on every metric.
fn check<T: Target, M: Method>(target: &T, method: &M, reported: impl Fn(&<M::Kernel as Kernel>::Info) -> (bool, f64))
where
    M::Kernel: HamiltonianKernel + Kernel<State = GradientState>,
{
    let mut density = target.clone();
    let mut rng = stream(7, 0, Purpose::Test);
    let (mut start, mut moves) = (vec![0.0; target.dim()], 0);
    for (name, metric) in metrics(target) {
        let mut kernel = frozen(method, target.dim(), &metric, step_size(target, method, &metric));
        target.draw(&mut rng, &mut start);
        let mut state = kernel.init(&mut density, &start).expect("the target evaluates");
        for step in 0..2000 {
            start.copy_from_slice(state.position());
            let info = kernel.step(&mut density, &mut state, &mut rng).expect("the target evaluates");
            let (moved, log_density) = reported(&info);
            assert_eq!(start != state.position(), moved, "{}, {name}, step {step}: {state:?}", M::NAME);
            assert_eq!(state.log_density().to_bits(), log_density.to_bits(), "{}, {name}, step {step}", M::NAME);
            let expected = GradientState::at(&mut density, state.position()).expect("the target evaluates");
            assert_eq!(state, expected, "{}, {name}, step {step}", M::NAME);
            moves += usize::from(moved);
        }
    }
    assert!(moves > 3000, "{}: {moves} moves of 6000", M::NAME);
}

#[test]
fn states_of_hmc_are_what_they_say() {
    let reported = |info: &HmcInfo| (info.accepted, info.log_density);
    check(&gaussian(), &hmc(Integrator::Leapfrog), reported);
    check(&banana(), &hmc(Integrator::MinimalNorm), reported);
}

#[test]
fn states_of_nuts_are_what_they_say() {
    let reported = |info: &NutsInfo| (info.index_in_trajectory != 0, info.log_density);
    check(&gaussian(), &nuts(Integrator::Leapfrog), reported);
    check(&banana(), &nuts(Integrator::MinimalNorm), reported);
}

#[test]
fn states_of_walnuts_are_what_they_say() {
    let reported = |info: &WalnutsInfo| (info.index_in_trajectory != 0, info.log_density);
    check(&gaussian(), &walnuts(Integrator::MinimalNorm), reported);
    check(&banana(), &walnuts(Integrator::Leapfrog), reported);
}

#[test]
fn states_of_mala_and_chees_are_what_they_say() {
    let reported = |info: &StepwiseInfo| (info.n_rejected < info.n_steps, info.log_density);
    check(&gaussian(), &Mala { steps_per_draw: 2, ..Mala::default() }, reported);
    let reported = |info: &HmcInfo| (info.accepted, info.log_density);
    check(&gaussian(), &chees(Integrator::FourthOrder), reported);
}
