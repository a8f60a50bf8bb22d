//! Check that true values rank uniformly among posterior draws (simulation-based calibration; Talts et al. 2018).
//!
//! For a position drawn from the prior and data simulated from it, the rank of any function of the position among that function's values
//! over independent posterior draws is uniform. Ranks are counted in bins and held against that by Pearson's χ².

use crate::effort;
use crate::model::{Fault, HEAVY_TAILS, LEARNED_NOISE, SAMPLED_SCALES, Setting};
use ergodic_model::{Purpose, stream};
use ergodic_sampler::{Method, Nuts, Run, SliceGhmc, sample};

/// Simulated data sets.
const DATA_SETS: usize = 120;
/// Posterior draws that a rank is taken among: ranks from 0 to 15, two a bin.
const RANKED: usize = 15;
const BINS: usize = 8;
/// χ² of 7 degrees of freedom above which the alarm is raised: probability 10⁻⁵, and below 4·10⁻⁴ for all functions of this file together.
const ALARM: f64 = 35.3;

/// The largest χ² of all functions; every `thinning`-th draw of a chain counts.
fn largest_chi_square<M: Method>(setting: &Setting, method: &M, thinning: usize, fault: Fault) -> f64 {
    let data_sets = DATA_SETS * effort();
    let mut counts: Vec<[usize; BINS]> = Vec::new();
    for number in 0..data_sets {
        let mut rng = stream(41, number, Purpose::Test);
        let (position, targets) = setting.joint_draw(&mut rng);
        let truth = setting.model(&targets, Fault::None);
        let expected = truth.functions(&position);
        let run =
            Run { chains: 1, warmup: 200, draws: RANKED * thinning, seed: number as u64, threads: Some(1), ..Run::DEFAULT };
        let draws = sample(&setting.model(&targets, fault), method, &run).expect("it runs");
        let mut ranks = vec![0; expected.len()];
        for draw in draws.positions().skip(thinning - 1).step_by(thinning) {
            let values = truth.functions(draw);
            ranks.iter_mut().zip(values.iter().zip(&expected)).for_each(|(rank, (x, y))| *rank += usize::from(x < y));
        }
        counts.resize(ranks.len(), [0; BINS]);
        counts.iter_mut().zip(ranks).for_each(|(bins, rank)| bins[rank * BINS / (RANKED + 1)] += 1);
    }
    let expected = data_sets as f64 / BINS as f64;
    let chi_square = |bins: &[usize; BINS]| bins.iter().map(|n| (*n as f64 - expected).powi(2) / expected).sum::<f64>();
    let largest = counts.iter().map(chi_square).fold(0.0, f64::max);
    println!("{} on {}, {fault:?}: χ² {largest:.1} of {} functions (alarm at {ALARM})", M::NAME, setting.name, counts.len());
    largest
}

#[test]
fn true_values_rank_uniformly_among_draws() {
    assert!(largest_chi_square(&LEARNED_NOISE, &Nuts::default(), 4, Fault::None) < ALARM);
    assert!(largest_chi_square(&HEAVY_TAILS, &SliceGhmc::default(), 12, Fault::None) < ALARM);
    if effort() > 1 {
        assert!(largest_chi_square(&SAMPLED_SCALES, &Nuts::default(), 4, Fault::None) < ALARM);
        assert!(largest_chi_square(&LEARNED_NOISE, &SliceGhmc::default(), 12, Fault::None) < ALARM);
    }
}

/// The twin: weights whose prior is half as wide again as the one that the true values are drawn from. Its χ² is 300, which leaves no
/// doubt; a prior that is 10 % off takes the joint distribution test.
#[test]
fn true_values_of_another_prior_do_not() {
    assert!(largest_chi_square(&LEARNED_NOISE, &Nuts::default(), 4, Fault::PriorScale(1.5)) > ALARM);
}
