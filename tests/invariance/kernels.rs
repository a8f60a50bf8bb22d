//! Test the library's kernels: method × metric × target, with adaptation frozen.

use crate::conservation::{Conservation, Target};
use ergodic::model::{ChainRng, LogDensity, Purpose, stream};
use ergodic::sampler::{
    BuildContext, ChainState, Chees, HamiltonianKernel, Hmc, Info, Integrator, Kernel, Method, Metric, Nuts, Walnuts,
};
use ergodic_targets::{Banana, CorrelatedGaussian, Funnel, GaussianMixture, SmallNetwork};
use nalgebra::DMatrix;

/// Mean acceptance that step sizes are chosen for: low enough that a wrong accept step has an effect.
const ACCEPTANCE: f64 = 0.7;

/// The unit metric, the diagonal one of the target's variances, a dense one with correlation 0.3 between all coordinates, and one with
/// two stretched directions.
pub(crate) fn metrics(target: &impl Target) -> [(&'static str, Metric); 4] {
    let variance = target.variance().expect("the target's variance is known");
    let correlation = |i: usize, j: usize| if i == j { 1.0 } else { 0.3 };
    let entry = |i: usize, j: usize| correlation(i, j) * (variance[i] * variance[j]).sqrt();
    let dense = Metric::dense(DMatrix::from_fn(variance.len(), variance.len(), entry)).expect("positive definite");
    let low_rank = low_rank(variance.iter().map(|v| v.sqrt()).collect(), [3.0, 0.4]);
    let diagonal = Metric::diagonal(variance).expect("positive");
    [("unit", Metric::unit()), ("diagonal", diagonal), ("dense", dense), ("low rank", low_rank)]
}

/// A metric with variances stretched along the mean of all scaled coordinates, and along the difference of the first two.
pub(crate) fn low_rank(scales: Vec<f64>, eigenvalues: [f64; 2]) -> Metric {
    let dim = scales.len();
    let mut directions = vec![1.0 / (dim as f64).sqrt(); 2 * dim];
    directions[dim..].fill(0.0);
    directions[dim] = 0.5_f64.sqrt();
    directions[dim + 1] = -0.5_f64.sqrt();
    Metric::low_rank(scales, directions, eigenvalues.to_vec()).expect("orthonormal and positive")
}

/// A kernel of `method` with a given metric and step size.
pub(crate) fn frozen<M>(method: &M, dim: usize, metric: &Metric, step_size: f64) -> M::Kernel
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    let (mut kernel, _) = method.build(&BuildContext { dim, warmup: 0, prior_scales: &vec![1.0; dim], blocks: &[] });
    *kernel.metric_mut() = metric.clone();
    kernel.set_step_size(step_size);
    kernel
}

/// One transition of a kernel on a density of its own; returns the acceptance rate.
pub(crate) fn transition(
    kernel: &mut impl Kernel,
    density: &mut dyn LogDensity,
    position: &mut [f64],
    rng: &mut ChainRng,
) -> f64 {
    transitions(1, kernel, density, position, rng)
}

/// Several transitions, so that what a state holds beyond the position is kept from one to the next; returns the last acceptance rate.
pub(crate) fn transitions(
    count: usize,
    kernel: &mut impl Kernel,
    density: &mut dyn LogDensity,
    position: &mut [f64],
    rng: &mut ChainRng,
) -> f64 {
    let mut state = kernel.init(density, position).expect("the target evaluates");
    let mut acceptance_rate = 0.0;
    for _ in 0..count {
        acceptance_rate = kernel.step(density, &mut state, rng).expect("the target evaluates").acceptance_rate();
    }
    position.copy_from_slice(state.position());
    acceptance_rate
}

/// The step size at which the mean acceptance over 300 exact draws is about [`ACCEPTANCE`].
pub(crate) fn step_size<T: Target, M>(target: &T, method: &M, metric: &Metric) -> f64
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    step_size_at(ACCEPTANCE, target, method, metric)
}

/// The step size at which the mean acceptance over 300 exact draws is about `acceptance`, by bisection on its logarithm.
pub(crate) fn step_size_at<T: Target, M>(acceptance: f64, target: &T, method: &M, metric: &Metric) -> f64
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    let (mut low, mut high) = (1e-3f64, 1e2f64);
    let mut density = target.clone();
    for _ in 0..12 {
        let middle = (low * high).sqrt();
        let mut kernel = frozen(method, target.dim(), metric, middle);
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

/// One experiment per metric.
fn check<T: Target, M>(name: &str, target: &T, method: &M)
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    check_transitions(1, name, target, method);
}

/// One experiment per metric, of `count` transitions a draw.
pub(crate) fn check_transitions<T: Target, M>(count: usize, name: &str, target: &T, method: &M)
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    let (threshold, detectable) = (Conservation::threshold(), Conservation::detectable());
    for (number, (metric_name, metric)) in metrics(target).into_iter().enumerate() {
        let step_size = step_size(target, method, &metric);
        let mut kernel = frozen(method, target.dim(), &metric, step_size);
        let mut density = target.clone();
        let seed = 100 + number as u64;
        let found = Conservation::test(
            target,
            |position, rng| {
                transitions(count, &mut kernel, &mut density, position, rng);
            },
            seed,
        );
        println!(
            "{} {name:9} {metric_name:8} step size {step_size:.3}, moved {:.3}, distance {:.4} in {} (threshold {threshold:.4}, \
             detectable {detectable:.4})",
            M::NAME,
            found.movement,
            found.distance.0,
            found.distance.1
        );
        assert!(found.holds(), "{} on {name}, {metric_name}: {found:?}, threshold {threshold}", M::NAME);
        assert!(found.movement > 0.05, "{} on {name}, {metric_name}, hardly moves: {found:?}", M::NAME);
    }
}

pub(crate) fn gaussian() -> CorrelatedGaussian {
    CorrelatedGaussian::ill_conditioned(8, 30.0, 6).expect("valid")
}

/// Two modes that overlap, so that one transition can pass between them.
pub(crate) fn mixture() -> GaussianMixture {
    GaussianMixture::new(&[0.4, 0.6], vec![vec![-1.5, 0.0, 0.5], vec![1.5, 1.0, -0.5]], vec![0.6, 1.1]).expect("valid")
}

pub(crate) fn funnel() -> Funnel {
    Funnel::new(4, 1.5).expect("valid")
}

pub(crate) fn banana() -> Banana {
    Banana::new(2, 0.5, 1.0, 0.5).expect("valid")
}

/// A neural network's posterior, with its two equal modes.
pub(crate) fn network() -> SmallNetwork {
    SmallNetwork::example().expect("valid")
}

pub(crate) fn hmc(integrator: Integrator) -> Hmc {
    Hmc { trajectory_length: 2.0, jitter: 0.5, max_steps: 64, integrator, ..Hmc::default() }
}

pub(crate) fn chees(integrator: Integrator) -> Chees {
    Chees { first_trajectory_length: 4.0, max_steps: 64, integrator, ..Chees::default() }
}

/// A tolerance that many macro steps pass only after halvings.
pub(crate) fn walnuts(integrator: Integrator) -> Walnuts {
    Walnuts { energy_tolerance: 0.3, max_halvings: 6, max_tree_depth: 5, integrator, ..Walnuts::default() }
}

pub(crate) fn nuts(integrator: Integrator) -> Nuts {
    Nuts { max_tree_depth: 6, integrator, ..Nuts::default() }
}

#[test]
fn hmc_conserves_a_correlated_gaussian() {
    check("gaussian", &gaussian(), &hmc(Integrator::Leapfrog));
}

#[test]
fn hmc_conserves_a_mixture() {
    check("mixture", &mixture(), &hmc(Integrator::Leapfrog));
}

#[test]
fn hmc_conserves_a_funnel() {
    check("funnel", &funnel(), &hmc(Integrator::Leapfrog));
}

#[test]
fn hmc_conserves_a_banana() {
    check("banana", &banana(), &hmc(Integrator::MinimalNorm));
}

#[test]
fn nuts_conserves_a_correlated_gaussian() {
    check("gaussian", &gaussian(), &nuts(Integrator::Leapfrog));
}

#[test]
fn nuts_conserves_a_mixture() {
    check("mixture", &mixture(), &nuts(Integrator::Leapfrog));
}

#[test]
fn nuts_conserves_a_funnel() {
    check("funnel", &funnel(), &nuts(Integrator::Leapfrog));
}

#[test]
fn nuts_conserves_a_banana() {
    check("banana", &banana(), &nuts(Integrator::MinimalNorm));
}

#[test]
fn hmc_conserves_a_network() {
    check("network", &network(), &hmc(Integrator::Leapfrog));
}

#[test]
fn nuts_conserves_a_network() {
    check("network", &network(), &nuts(Integrator::Leapfrog));
}

#[test]
fn chees_conserves_a_correlated_gaussian_and_a_banana() {
    check("gaussian", &gaussian(), &chees(Integrator::Leapfrog));
    check("banana", &banana(), &chees(Integrator::ThreeStage));
}

#[test]
fn walnuts_conserves_a_correlated_gaussian() {
    check("gaussian", &gaussian(), &walnuts(Integrator::Leapfrog));
}

#[test]
fn walnuts_conserves_a_funnel() {
    check("funnel", &funnel(), &walnuts(Integrator::Leapfrog));
}

#[test]
fn walnuts_conserves_a_banana() {
    check("banana", &banana(), &walnuts(Integrator::MinimalNorm));
}
