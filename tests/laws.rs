//! Hold the driver to its law: the same seed gives the same bits, whatever the threads, the other chains and the interruptions.

use ergodic::draws::{ChainDraws, Draws};
use ergodic::model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior};
use ergodic::sampler::{
    Budget, Checkpoint, Chees, Ghmc, Hmc, Mala, Method, MetricShape, Nuts, Observer, Progress, Run, Sampler, Walnuts, Warmup,
    Windowed, sample,
};
use ergodic_targets::{EightSchools, LinearNetwork};
use nalgebra::DMatrix;
use std::sync::atomic::{AtomicBool, Ordering};

const RUN: Run = Run { chains: 4, warmup: 120, draws: 40, seed: 11, ..Run::DEFAULT };

/// Positions and statistics of a chain, draw by draw, as bits.
fn chain_bits(chain: &ChainDraws) -> Vec<Vec<u64>> {
    let row = |draw: usize| chain.position(draw).iter().chain(chain.statistics.row(draw)).map(|x| x.to_bits()).collect();
    (0..chain.len()).map(row).collect()
}

/// The bits of every chain.
fn bits(draws: &Draws) -> Vec<Vec<Vec<u64>>> {
    draws.chains().iter().map(chain_bits).collect()
}

fn run<M: Method>(posterior: &dyn Posterior, method: &M, run: &Run) -> Draws {
    sample(posterior, method, run).expect("the run ends well")
}

/// The number of threads, a pool of the caller's and repetition change no bit; another seed does.
fn threads_do_not_matter<M: Method>(posterior: &dyn Posterior, method: &M) {
    let with = |threads| bits(&run(posterior, method, &Run { chains: 8, threads: Some(threads), ..RUN }));
    let one = with(1);
    assert!(one.iter().all(|chain| chain.len() == RUN.draws));
    for threads in [1, 2, 8] {
        assert!(with(threads) == one, "{} on {threads} threads", M::NAME);
    }
    let other = bits(&run(posterior, method, &Run { chains: 8, seed: RUN.seed + 1, ..RUN }));
    assert!(other != one, "another seed gives other draws");
}

/// Chain k is the same in runs of 4 and of 8 chains, and no two chains are alike.
fn chains_do_not_matter<M: Method>(posterior: &dyn Posterior, method: &M) {
    let four = bits(&run(posterior, method, &RUN));
    let eight = bits(&run(posterior, method, &Run { chains: 8, ..RUN }));
    assert!(four[..] == eight[..4], "{}: chains know of each other", M::NAME);
    for (k, chain) in eight.iter().enumerate() {
        assert!(eight[..k].iter().all(|other| other != chain), "{}: chain {k} repeats another", M::NAME);
    }
}

/// Sets the stop flag once chain 0 has made a number of transitions.
struct StopAfter {
    iteration: usize,
    stop: AtomicBool,
}

impl Observer for StopAfter {
    fn progress(&self, progress: &Progress) {
        if progress.chain == 0 && progress.iteration >= self.iteration {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

/// What a first part kept and what the resumed part made, joined.
fn joined(first: &Draws, rest: &Draws) -> Vec<Vec<Vec<u64>>> {
    bits(first).into_iter().zip(bits(rest)).map(|(a, b)| [a, b].concat()).collect()
}

/// Goes on from a checkpoint that went through its bytes.
fn resumed<M: Method>(posterior: &dyn Posterior, method: &M, checkpoint: &Checkpoint) -> Draws {
    let bytes = checkpoint.to_bytes().expect("a checkpoint has bytes");
    let checkpoint = Checkpoint::from_bytes(&bytes).expect("the bytes are a checkpoint");
    Sampler::new(posterior, method.clone(), RUN).resume(checkpoint).run().expect("the run ends well")
}

/// A run that is stopped anywhere, in warm-up or between any two draws, and resumed gives the bits of an uninterrupted one.
fn interruptions_do_not_matter<M: Method>(posterior: &dyn Posterior, method: &M) {
    let whole = run(posterior, method, &RUN);
    let expected = bits(&whole);
    for draws in 1..RUN.draws {
        let (first, checkpoint) =
            Sampler::new(posterior, method.clone(), Run { draws, ..RUN }).run_with_checkpoint().expect("the run ends well");
        assert_eq!((first.min_len(), checkpoint.min_draws()), (draws, draws));
        assert!(joined(&first, &resumed(posterior, method, &checkpoint)) == expected, "{}: {draws} draws", M::NAME);
    }
    for iteration in (1..RUN.warmup + RUN.draws).step_by(7) {
        let observer = StopAfter { iteration, stop: AtomicBool::new(false) };
        let sampler = Sampler::new(posterior, method.clone(), RUN).observer(&observer).stop(&observer.stop);
        let (first, checkpoint) = sampler.run_with_checkpoint().expect("a stopped run can go on");
        let rest = resumed(posterior, method, &checkpoint);
        assert!(joined(&first, &rest) == expected, "{}: stopped after iteration {iteration}", M::NAME);
    }
    let gradients = whole.report.chains[0].warmup_gradients + whole.report.chains[0].sampling_gradients;
    for share in 1..8 {
        let budget = Budget { gradients_per_chain: Some(gradients * share / 8), seconds: None };
        let limited = Run { budget, ..RUN };
        let (first, checkpoint) =
            Sampler::new(posterior, method.clone(), limited).run_with_checkpoint().expect("a stopped run can go on");
        let rest = resumed(posterior, method, &checkpoint);
        assert!(joined(&first, &rest) == expected, "{}: stopped at {share}/8 of the gradients", M::NAME);
        for (a, b) in rest.report.chains.iter().zip(&whole.report.chains) {
            assert_eq!(a.warmup_gradients + a.sampling_gradients, b.warmup_gradients + b.sampling_gradients);
        }
    }
    // The broken twin: going on from the last position alone, without the random stream and the tuning, is noticed.
    let (first, _) =
        Sampler::new(posterior, method.clone(), Run { draws: 20, ..RUN }).run_with_checkpoint().expect("the run ends well");
    let last: Vec<Vec<f64>> = first.chains().iter().map(|chain| chain.position(19).to_vec()).collect();
    let sampler = Sampler::new(posterior, method.clone(), Run { draws: 20, ..RUN }).initial_positions(&last);
    let rest = sampler.run_with_checkpoint().expect("the run ends well").0;
    assert!(joined(&first, &rest) != expected, "{}: a lossy checkpoint goes unnoticed", M::NAME);
}

/// Twenty observations of a curve, seen by a network of one hidden layer with noise to be learnt.
fn network() -> BayesianNetwork {
    let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64 / 5.0 - 2.0);
    let targets = inputs.map(|x| (1.5 * x).sin() + 0.1 * (17.0 * x).cos());
    let data = Dataset::new(inputs, targets).expect("valid");
    let network = Network::dense(1, &[6], Activation::Tanh, 1).expect("valid");
    BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data).expect("valid")
}

fn linear_network() -> impl Posterior {
    LinearNetwork::simulated(40, 5, 1.0, 0.5, 3).expect("valid").into_posterior()
}

#[test]
fn threads_do_not_change_draws() {
    threads_do_not_matter(&EightSchools::new(), &Nuts::default());
    threads_do_not_matter(&linear_network(), &Hmc::default());
    threads_do_not_matter(&network(), &Nuts::default());
    threads_do_not_matter(&EightSchools::new(), &Ghmc::default());
    threads_do_not_matter(&EightSchools::new(), &Mala::default());
    threads_do_not_matter(&EightSchools::new(), &Walnuts::default());
    // Its chains share what they learn, and their sums must not depend on who is first.
    threads_do_not_matter(&EightSchools::new(), &Chees::default());
    threads_do_not_matter(&network(), &Chees { max_steps: 64, ..Chees::default() });
}

#[test]
fn other_chains_do_not_change_draws() {
    chains_do_not_matter(&EightSchools::new(), &Nuts::default());
    chains_do_not_matter(&linear_network(), &Hmc::default());
    chains_do_not_matter(&network(), &Nuts::default());
    chains_do_not_matter(&EightSchools::new(), &Ghmc::default());
    chains_do_not_matter(&EightSchools::new(), &Mala::default());
    chains_do_not_matter(&EightSchools::new(), &Walnuts::default());
}

#[test]
fn interruptions_do_not_change_draws_of_nuts() {
    interruptions_do_not_matter(&EightSchools::new(), &Nuts::default());
}

#[test]
fn interruptions_do_not_change_draws_under_a_dense_metric() {
    let adaptation = Warmup::Windowed(Windowed { metric: MetricShape::Dense, ..Windowed::default() });
    interruptions_do_not_matter(&linear_network(), &Nuts { adaptation, ..Nuts::default() });
}

#[test]
fn interruptions_do_not_change_draws_of_hmc() {
    interruptions_do_not_matter(&linear_network(), &Hmc::default());
}

#[test]
fn interruptions_do_not_change_draws_of_a_network() {
    interruptions_do_not_matter(&network(), &Nuts { max_tree_depth: 5, ..Nuts::default() });
}

#[test]
fn interruptions_do_not_change_draws_of_single_steps() {
    let dense = Warmup::Windowed(Windowed { metric: MetricShape::Dense, ..Windowed::default() });
    interruptions_do_not_matter(&EightSchools::new(), &Ghmc::default());
    interruptions_do_not_matter(&linear_network(), &Ghmc { adaptation: dense, ..Ghmc::default() });
    interruptions_do_not_matter(&EightSchools::new(), &Mala::default());
}

#[test]
fn interruptions_do_not_change_draws_of_chains_that_meet() {
    interruptions_do_not_matter(&EightSchools::new(), &Chees::default());
}

#[test]
fn interruptions_do_not_change_draws_of_walnuts() {
    interruptions_do_not_matter(&EightSchools::new(), &Walnuts::default());
}
