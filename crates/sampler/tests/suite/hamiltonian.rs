//! Check that the Hamiltonian methods have none of the faults seen in other samplers, and learn what they should.

use crate::support::{autoregression, mean_and_error, normal};
use ergodic_model::{LogDensity, Purpose, density, stream};
use ergodic_sampler::{
    Adaptation, BuildContext, Chees, CheesAdaptation, Counted, Ghmc, HamiltonianKernel, Hmc, Info, Kernel, Mala, Meeting,
    Member, Method, Nuts, Run, RunError, Walnuts, sample,
};

/// A normal whose gradient is not a number away from where a chain begins.
fn without_gradient() -> impl LogDensity + Clone + Send + Sync {
    density(2, |x: &[f64], gradient: &mut [f64]| {
        let at_start = x == [0.5, -0.5];
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = if at_start { -x } else { f64::NAN });
        -0.5 * x.iter().map(|x| x * x).sum::<f64>()
    })
}

/// The search for a first step size must end, and say what is wrong, instead of halving for ever.
fn gradients_that_are_not_numbers_end_the_search<M: Method>(method: &M) {
    let mut counted = Counted::new(without_gradient());
    let (mut kernel, mut adaptation) =
        method.build(&BuildContext { dim: 2, warmup: 100, prior_scales: &[1.0; 2], blocks: &[] });
    let mut state = kernel.init(&mut counted, &[0.5, -0.5]).unwrap();
    let mut rng = stream(1, 0, Purpose::Test);
    let error = adaptation.init(&mut kernel, &mut counted, &mut state, &mut rng).unwrap_err();
    assert!(error.to_string().contains("steps are still rejected"), "{}: {error}", M::NAME);
    assert!(counted.evaluations() < 110, "{}: {} evaluations", M::NAME, counted.evaluations());

    let target = without_gradient();
    let starts = vec![vec![0.5, -0.5]; 4];
    let sampler = ergodic_sampler::Sampler::new(&target, method.clone(), Run::default()).initial_positions(&starts);
    let error = sampler.run().unwrap_err();
    assert!(matches!(&error, RunError::NoDraws(_)), "{}: {error}", M::NAME);
}

#[test]
fn no_search_for_a_step_size_is_endless() {
    gradients_that_are_not_numbers_end_the_search(&Hmc::default());
    gradients_that_are_not_numbers_end_the_search(&Nuts::default());
    gradients_that_are_not_numbers_end_the_search(&Ghmc::default());
    gradients_that_are_not_numbers_end_the_search(&Mala::default());
    gradients_that_are_not_numbers_end_the_search(&Chees::default());
    gradients_that_are_not_numbers_end_the_search(&Walnuts::default());
}

/// The time of a trajectory is given and the number of its steps follows: halving the step size doubles the steps. (Where both are
/// fixed, no step size can be learnt.)
fn time_is_fixed_and_steps_follow<M: Method>(method: &M)
where
    M::Kernel: HamiltonianKernel,
{
    let steps = |step_size: f64| {
        let mut target = normal(&[1.0; 3]);
        let (mut kernel, _) = method.build(&BuildContext { dim: 3, warmup: 0, prior_scales: &[1.0; 3], blocks: &[] });
        kernel.set_step_size(step_size);
        let mut rng = stream(1, 0, Purpose::Test);
        let mut state = kernel.init(&mut target, &[0.1; 3]).unwrap();
        (0..200).map(|_| kernel.step(&mut target, &mut state, &mut rng).unwrap().n_steps()).sum::<usize>() as f64
    };
    let ratio = steps(0.01) / steps(0.02);
    assert!((1.95..=2.05).contains(&ratio), "{}: {ratio}", M::NAME);
}

#[test]
fn lengths_are_times() {
    time_is_fixed_and_steps_follow(&Hmc { jitter: 0.0, ..Hmc::default() });
    time_is_fixed_and_steps_follow(&Chees::default());
}

/// A normal that ends at −1: a third of all steps meet a log density that is not a number.
fn half_space() -> impl LogDensity + Clone + Send + Sync {
    density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
        if x[0] < -0.5 { f64::NAN } else { -0.5 * x.iter().map(|x| x * x).sum::<f64>() }
    })
}

/// Draws stay inside the support, and have the truncated normal's mean 0.5092 = φ(−½) / (1 − Φ(−½)) within five standard errors.
fn energies_that_are_not_numbers_reject<M: Method>(method: &M) {
    let draws = sample(&half_space(), method, &Run { draws: 4000, warmup: 500, seed: 3, ..Run::default() }).unwrap();
    let chains: Vec<Vec<f64>> = draws.chains().iter().map(|chain| chain.positions().map(|x| x[0]).collect()).collect();
    assert!(chains.iter().flatten().all(|x| *x >= -0.5), "{}", M::NAME);
    let (mean, error) = mean_and_error(&chains);
    assert!((mean - 0.509_16).abs() < 5.0 * error && error < 0.03, "{}: {mean} ± {error}", M::NAME);
}

#[test]
fn draws_stay_inside_the_support() {
    energies_that_are_not_numbers_reject(&Ghmc::default());
    energies_that_are_not_numbers_reject(&Mala::default());
    energies_that_are_not_numbers_reject(&Chees::default());
    energies_that_are_not_numbers_reject(&Walnuts::default());
}

/// The tuned quantities of every chain.
fn tuned(draws: &ergodic_draws::Draws, name: &str) -> Vec<f64> {
    draws.report.chains.iter().map(|chain| chain.tuned[name]).collect()
}

#[test]
fn chees_learns_a_longer_trajectory_where_the_posterior_is_correlated() {
    let run = Run { chains: 16, warmup: 1000, draws: 10, seed: 9, ..Run::default() };
    let length = |target: &dyn ergodic_model::Posterior| {
        let draws = sample(target, &Chees::default(), &run).unwrap();
        let lengths = tuned(&draws, "trajectory_length");
        assert!(lengths.iter().all(|length| length.to_bits() == lengths[0].to_bits()), "{lengths:?}");
        let step_sizes = tuned(&draws, "step_size");
        assert!(step_sizes.iter().all(|step_size| step_size.to_bits() == step_sizes[0].to_bits()), "{step_sizes:?}");
        lengths[0]
    };
    // An autoregression with ρ = 0.95 has a slowest direction whose scale is √((1 + ρ)/(1 − ρ)) = 6.2 under any diagonal metric.
    let (plain, correlated) = (length(&normal(&[1.0, 0.01, 30.0, 2.0])), length(&autoregression(40, 0.95)));
    assert!((1.0..6.0).contains(&plain), "{plain}");
    assert!(correlated > 2.0 * plain, "{correlated} and {plain}");
}

#[test]
fn chees_of_one_chain_keeps_its_length_and_limits_hold() {
    let run = Run { warmup: 300, draws: 10, seed: 9, ..Run::default() };
    let alone = sample(&normal(&[1.0; 4]), &Chees::default(), &Run { chains: 1, ..run }).unwrap();
    assert!((tuned(&alone, "trajectory_length")[0] - std::f64::consts::PI).abs() < 1e-12);
    let settings = Chees { first_trajectory_length: 1.0, max_trajectory_length: 1.5, ..Chees::default() };
    let limited = sample(&autoregression(20, 0.95), &settings, &Run { chains: 16, ..run }).unwrap();
    assert!((tuned(&limited, "trajectory_length")[0] - 1.5).abs() < 0.05, "{:?}", tuned(&limited, "trajectory_length"));
}

#[test]
fn chees_measures_time_in_the_scales_of_the_posterior() {
    // Under the unit metric, the broken twin, the step size would be a thousand times smaller.
    let run = Run { chains: 8, warmup: 200, draws: 10, seed: 4, ..Run::default() };
    let step_size = |scales: &[f64]| tuned(&sample(&normal(scales), &Chees::default(), &run).unwrap(), "step_size")[0];
    let ratio = step_size(&[1.0, 1e-3, 1e3]) / step_size(&[1.0; 3]);
    assert!((0.6..1.6).contains(&ratio), "{ratio}");
}

#[test]
fn chains_of_chees_have_their_own_metric_early_and_one_metric_later() {
    let mut target = autoregression(4, 0.8);
    let (warmup, prior_scales) = (60, [1.0; 4]);
    let mut rngs: Vec<_> = (0..3).map(|chain| stream(8, chain, Purpose::Test)).collect();
    let mut begin = |rng: &mut ergodic_model::ChainRng| {
        let (mut kernel, mut adaptation) =
            Chees::default().build(&BuildContext { dim: 4, warmup, prior_scales: &prior_scales, blocks: &[] });
        let mut state = kernel.init(&mut target, &[0.3, -0.1, 0.2, 0.5]).unwrap();
        adaptation.init(&mut kernel, &mut target, &mut state, rng).unwrap();
        (kernel, adaptation, state)
    };
    let mut chains: Vec<_> = rngs.iter_mut().map(&mut begin).collect();
    for iteration in 0..warmup {
        for ((kernel, adaptation, state), rng) in chains.iter_mut().zip(&mut rngs) {
            let info = kernel.step(&mut target, state, rng).unwrap();
            adaptation.update(kernel, &mut target, state, &info, iteration, rng).unwrap();
        }
        let members = chains.iter_mut().enumerate();
        let members = members.map(|(chain, (kernel, adaptation, state))| Member { chain, kernel, adaptation, state });
        CheesAdaptation::meet(&mut Meeting::new(8, iteration + 1, warmup, 0), &mut members.collect::<Vec<_>>());
        let diagonal = |chain: usize| chains[chain].0.metric().inverse_mass_diagonal().unwrap();
        // The early share ends with iteration 18.
        let together = iteration + 1 >= 18;
        if together || iteration == 12 {
            assert_eq!(diagonal(0) == diagonal(1) && diagonal(0) == diagonal(2), together, "after iteration {iteration}");
            let step_size = |chain: usize| chains[chain].0.step_size();
            assert_eq!(step_size(0) == step_size(1) && step_size(0) == step_size(2), together, "after iteration {iteration}");
        }
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |result: Result<(), ergodic_sampler::SettingsError>| result.unwrap_err().setting;
    assert_eq!(refused(Ghmc { decoherence_time: f64::NAN, ..Ghmc::default() }.validate()), "decoherence_time");
    assert_eq!(refused(Ghmc { steps_per_draw: 0, ..Ghmc::default() }.validate()), "steps_per_draw");
    assert_eq!(refused(Mala { target_acceptance: 1.0, ..Mala::default() }.validate()), "target_acceptance");
    assert_eq!(refused(Walnuts { energy_tolerance: 0.0, ..Walnuts::default() }.validate()), "energy_tolerance");
    assert_eq!(refused(Walnuts { max_halvings: 21, ..Walnuts::default() }.validate()), "max_halvings");
    assert_eq!(refused(Walnuts { max_tree_depth: 0, ..Walnuts::default() }.validate()), "max_tree_depth");
}
