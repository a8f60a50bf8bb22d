//! Check that transitions allocate nothing once their memory has grown as far as it has to.

#[path = "../../model/tests/counting/mod.rs"]
mod counting;

use counting::allocations;
use ergodic_model::{LogDensity, Purpose, density, stream};
use ergodic_sampler::{
    Adaptation, BuildContext, Chees, Ghmc, HamiltonianKernel, Hmc, Integrator, Kernel, Mala, Mams, Mclmc, Meeting, Member,
    Method, Metric, MicrocanonicalKernel, Nuts, SliceGhmc, Walnuts, Warmup,
};
use nalgebra::DMatrix;

const DIM: usize = 20;

fn normal() -> impl LogDensity {
    density(DIM, |x: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
        -0.5 * x.iter().map(|x| x * x).sum::<f64>()
    })
}

/// Allocations of 300 transitions, under a metric, after a few whose trees are as deep as they may be.
fn of_transitions<M: Method>(method: &M, metric: Metric) -> usize
where
    M::Kernel: HamiltonianKernel,
{
    let mut density = normal();
    let (mut kernel, _) = method.build(&BuildContext { dim: DIM, warmup: 0, prior_scales: &[1.0; DIM], blocks: &[] });
    kernel.set_metric(metric);
    let mut rng = stream(1, 0, Purpose::Test);
    let mut state = kernel.init(&mut density, &[0.1; DIM]).unwrap();
    kernel.set_step_size(1e-4);
    for _ in 0..3 {
        kernel.step(&mut density, &mut state, &mut rng).unwrap();
    }
    allocations(|| {
        for i in 0..300 {
            // Small and large steps make deep and shallow trees.
            kernel.set_step_size(if i % 2 == 0 { 0.01 } else { 0.4 });
            kernel.step(&mut density, &mut state, &mut rng).unwrap();
        }
    })
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1.0; 10]))) >= 1);
}

#[test]
fn transitions_allocate_nothing() {
    let fixed = Warmup::Fixed { step_size: 0.1 };
    let nuts = Nuts { adaptation: fixed.clone(), ..Nuts::default() };
    let hmc = Hmc { adaptation: fixed, ..Hmc::default() };
    let metrics = || {
        let dense = DMatrix::from_fn(DIM, DIM, |i, j| 0.5_f64.powi(i.abs_diff(j) as i32));
        [Metric::unit(), Metric::diagonal(vec![0.5; DIM]).unwrap(), Metric::dense(dense).unwrap()]
    };
    for metric in metrics() {
        assert_eq!(of_transitions(&nuts, metric), 0);
    }
    for metric in metrics() {
        assert_eq!(of_transitions(&hmc, metric), 0);
    }
    for metric in metrics() {
        assert_eq!(of_transitions(&Ghmc::default(), metric), 0);
    }
    for metric in metrics() {
        assert_eq!(of_transitions(&Mala::default(), metric), 0);
    }
    for metric in metrics() {
        assert_eq!(of_transitions(&Chees::default(), metric), 0);
    }
    for metric in metrics() {
        // A narrow tolerance, so that macro steps are refined and ways back tried.
        assert_eq!(of_transitions(&Walnuts { energy_tolerance: 0.05, ..Walnuts::default() }, metric), 0);
    }
}

/// Allocations of 200 transitions after the first.
fn of_microcanonical_transitions<M: Method>(method: &M) -> usize
where
    M::Kernel: MicrocanonicalKernel,
{
    let mut density = normal();
    let scales: Vec<f64> = (0..DIM).map(|i| 1.0 + i as f64 / 10.0).collect();
    let (mut kernel, _) = method.build(&BuildContext { dim: DIM, warmup: 0, prior_scales: &scales, blocks: &[] });
    let mut rng = stream(1, 0, Purpose::Test);
    let mut state = kernel.init(&mut density, &[0.1; DIM]).unwrap();
    kernel.step(&mut density, &mut state, &mut rng).unwrap();
    allocations(|| {
        for i in 0..200 {
            kernel.set_step_size(if i % 2 == 0 { 0.02 } else { 1.5 });
            kernel.step(&mut density, &mut state, &mut rng).unwrap();
        }
    })
}

#[test]
fn microcanonical_transitions_allocate_nothing() {
    for integrator in Integrator::ALL {
        assert_eq!(of_microcanonical_transitions(&Mclmc { integrator, ..Mclmc::default() }), 0);
        assert_eq!(of_microcanonical_transitions(&SliceGhmc { integrator, ..SliceGhmc::default() }), 0);
        assert_eq!(of_microcanonical_transitions(&Mams { integrator, ..Mams::default() }), 0);
    }
}

#[test]
fn warm_up_by_gradients_allocates_nothing_but_for_its_step_size_searches() {
    let mut density = normal();
    let context = BuildContext { dim: DIM, warmup: 400, prior_scales: &[1.0; DIM], blocks: &[] };
    let (mut kernel, mut adaptation) = Nuts::default().build(&context);
    let mut rng = stream(1, 0, Purpose::Test);
    let mut state = kernel.init(&mut density, &[0.1; DIM]).unwrap();
    adaptation.init(&mut kernel, &mut density, &mut state, &mut rng).unwrap();
    let mut warm_up = |range: std::ops::Range<usize>| {
        for iteration in range {
            let info = kernel.step(&mut density, &mut state, &mut rng).unwrap();
            adaptation.update(&mut kernel, &mut density, &mut state, &info, iteration, &mut rng).unwrap();
        }
        // A tree as deep as they may be.
        let step_size = kernel.step_size();
        kernel.set_step_size(1e-4);
        kernel.step(&mut density, &mut state.clone(), &mut rng).unwrap();
        kernel.set_step_size(step_size);
    };
    warm_up(0..20);
    // The two of the state's clone.
    assert_eq!(allocations(|| warm_up(20..400)), 2);
}

#[test]
fn warm_up_with_meetings_allocates_nothing() {
    const CHAINS: usize = 3;
    let mut density = normal();
    let context = BuildContext { dim: DIM, warmup: 400, prior_scales: &[1.0; DIM], blocks: &[] };
    let mut rngs: Vec<_> = (0..CHAINS).map(|chain| stream(1, chain, Purpose::Test)).collect();
    let chains = rngs.iter_mut().map(|rng| {
        let (mut kernel, mut adaptation) = Chees::default().build(&context);
        let mut state = kernel.init(&mut density, &[0.1; DIM]).unwrap();
        adaptation.init(&mut kernel, &mut density, &mut state, rng).unwrap();
        (kernel, adaptation, state)
    });
    let mut chains: Vec<_> = chains.collect();
    let mut warm_up = |range: std::ops::Range<usize>| {
        let mut found = 0;
        for iteration in range {
            found += allocations(|| {
                for ((kernel, adaptation, state), rng) in chains.iter_mut().zip(&mut rngs) {
                    let info = kernel.step(&mut density, state, rng).unwrap();
                    adaptation.update(kernel, &mut density, state, &info, iteration, rng).unwrap();
                }
            });
            let members = chains.iter_mut().enumerate();
            let members = members.map(|(chain, (kernel, adaptation, state))| Member { chain, kernel, adaptation, state });
            let mut members: Vec<_> = members.collect();
            let mut meeting = Meeting::new(1, iteration + 1, 400, 0);
            found += allocations(|| <Chees as Method>::Adaptation::meet(&mut meeting, &mut members));
        }
        found
    };
    // Chains begin to learn together at iteration 120, and make room for their trajectories.
    assert!(warm_up(0..122) > 0);
    assert_eq!(warm_up(122..400), 0);
}
