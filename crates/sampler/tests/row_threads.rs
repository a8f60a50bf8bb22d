//! Check that draws do not depend on the threads that share a gradient's rows.

use ergodic_draws::Draws;
use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, RowThreads};
use ergodic_sampler::{Hmc, Run, Sampler};
use nalgebra::DMatrix;

fn posterior() -> BayesianNetwork {
    // Two parts: enough rows and operations for the gradient to be split.
    let inputs = DMatrix::from_fn(4000, 60, |row, column| ((row * 60 + column) as f64 * 0.7).sin());
    let targets = DMatrix::from_fn(4000, 1, |row, _| (row as f64 * 0.3).cos());
    let network = Network::dense(60, &[50], Activation::Tanh, 1).unwrap();
    let data = Dataset::new(inputs, targets).unwrap();
    BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data).unwrap()
}

fn bits(draws: &Draws) -> Vec<u64> {
    let chains = draws.chains().iter();
    chains.flat_map(|chain| (0..chain.len()).flat_map(|i| chain.position(i)).map(|x| x.to_bits())).collect()
}

fn hmc() -> Hmc {
    Hmc { max_steps: 5, ..Hmc::default() }
}

fn sampled(posterior: &BayesianNetwork, threads: usize) -> Vec<u64> {
    let run = Run { chains: 2, warmup: 6, draws: 4, seed: 3, ..Run::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    bits(&Sampler::new(posterior, hmc(), run).pool(&pool).run().unwrap())
}

#[test]
fn draws_do_not_depend_on_who_sums_the_rows() {
    let alone = sampled(&posterior().with_row_threads(RowThreads::One), 1);
    for threads in [1, 2, 8] {
        assert_eq!(sampled(&posterior(), threads), alone, "{threads} threads");
    }
    let more_threads = Run { chains: 2, warmup: 6, draws: 4, seed: 3, threads: Some(5), ..Run::default() };
    let posterior = posterior();
    assert_eq!(bits(&Sampler::new(&posterior, hmc(), more_threads).run().unwrap()), alone);
}
