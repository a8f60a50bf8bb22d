//! Compare two ways to draw weights and data together (Geweke 2004): prior then data, and a kernel's step given data then data again.
//!
//! A chain that alternates a transition of the weights given the data with data simulated given the weights leaves their joint
//! distribution as it is, if priors, likelihood, simulation and kernel agree. Chains begin with exact joint draws. Every function of a
//! position is turned into its rank u among independent joint draws, and u and (u − ½)² are averaged along a chain. Chains are independent,
//! so the spread of their averages is the error of the mean, whatever the autocorrelation within a chain.

use crate::effort;
use crate::model::{COUNTS, Fault, HEAVY_TAILS, LEARNED_NOISE, SAMPLED_SCALES, Setting};
use ergodic_model::{Purpose, stream};
use ergodic_sampler::{Adaptation, BuildContext, ChainState, Hmc, Kernel, Method, Nuts, SliceGhmc, Warmup};

/// Chains, and transitions of each.
const CHAINS: usize = 100;
const STEPS: usize = 60;
/// Independent joint draws that ranks are taken among.
const REFERENCE: usize = 5000;
/// A statistic beyond this many standard errors raises the alarm: with 99 degrees of freedom one of 2.5·10⁻⁶, and below 3·10⁻⁴ for all
/// of the some 110 statistics of this file together. At this size the twins' largest statistics are 6.2 (Jacobian), 7.6 (prior scale) and
/// 10.5 (noise): a fault as small as the first is found with a probability of 0.88, the others with 0.99; at full power with certainty.
const ALARM: f64 = 5.0;

/// The largest statistic of all functions, in standard errors.
fn largest_statistic<M: Method>(setting: &Setting, method: &M, fault: Fault) -> f64 {
    let mut reference: Vec<Vec<f64>> = Vec::new();
    let mut rng = stream(31, 0, Purpose::Test);
    for _ in 0..REFERENCE {
        let (position, targets) = setting.joint_draw(&mut rng);
        let functions = setting.model(&targets, Fault::None).functions(&position);
        reference.resize(functions.len(), Vec::new());
        reference.iter_mut().zip(functions).for_each(|(all, value)| all.push(value));
    }
    reference.iter_mut().for_each(|all| all.sort_by(f64::total_cmp));

    // Per chain, the average of each function's rank and of its squared distance from the middle.
    let averages_of = |chain: usize| {
        let mut averages = vec![0.0; 2 * reference.len()];
        let mut rng = stream(32, chain, Purpose::Test);
        let (mut position, mut targets) = setting.joint_draw(&mut rng);
        let dim = position.len();
        let context = BuildContext { dim, warmup: 0, prior_scales: &vec![1.0; dim], blocks: &[] };
        let (mut kernel, mut adaptation) = method.build(&context);
        for _ in 0..STEPS {
            let model = setting.model(&targets, fault);
            let mut density = model.density();
            let mut state = kernel.init(&mut density, &position).expect("it evaluates");
            adaptation.init(&mut kernel, &mut density, &mut state, &mut rng).expect("the step size is fixed");
            kernel.step(&mut density, &mut state, &mut rng).expect("it evaluates");
            position.copy_from_slice(state.position());
            targets = model.simulate(&position, &mut rng);
            let functions = setting.model(&targets, Fault::None).functions(&position);
            for (pair, (value, all)) in averages.chunks_mut(2).zip(functions.iter().zip(&reference)) {
                let rank = all.partition_point(|x| x < value) as f64 / REFERENCE as f64;
                pair[0] += rank / STEPS as f64;
                pair[1] += (rank - 0.5).powi(2) / STEPS as f64;
            }
        }
        averages
    };
    let chains: Vec<Vec<f64>> = (0..CHAINS * effort()).map(averages_of).collect();
    let of_all = |number: usize| chains.iter().map(|averages| averages[number]).collect::<Vec<f64>>();
    let averages: Vec<Vec<f64>> = (0..2 * reference.len()).map(of_all).collect();
    let statistic = |(number, averages): (usize, &Vec<f64>)| {
        let n = averages.len() as f64;
        let mean = averages.iter().sum::<f64>() / n;
        let variance = averages.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        // A uniform rank has variance 1/12, and its squared distance from ½ 1/180: what the reference itself is uncertain by.
        let (expected, of_one) = if number % 2 == 0 { (0.5, 1.0 / 12.0) } else { (1.0 / 12.0, 1.0 / 180.0) };
        ((mean - expected) / (variance / n + of_one / REFERENCE as f64).sqrt()).abs()
    };
    let largest = averages.iter().enumerate().map(statistic).fold(0.0, f64::max);
    println!("{} on {}, {fault:?}: {largest:.1} of {} statistics (alarm at {ALARM})", M::NAME, setting.name, averages.len());
    largest
}

fn nuts(setting: &Setting) -> Nuts {
    Nuts { adaptation: Warmup::Fixed { step_size: setting.step_size }, max_tree_depth: 4, ..Nuts::default() }
}

#[test]
fn networks_and_kernels_agree_with_simulated_data() {
    let slice = SliceGhmc { fixed_step_size: Some(0.5), ..SliceGhmc::default() };
    let agrees = |setting: &Setting| largest_statistic(setting, &nuts(setting), Fault::None) < ALARM;
    assert!(agrees(&LEARNED_NOISE) && agrees(&SAMPLED_SCALES));
    assert!(largest_statistic(&HEAVY_TAILS, &slice, Fault::None) < ALARM);
    if effort() > 1 {
        assert!(agrees(&COUNTS) && agrees(&HEAVY_TAILS));
        let hmc = Hmc { adaptation: Warmup::Fixed { step_size: LEARNED_NOISE.step_size }, ..Hmc::default() };
        assert!(largest_statistic(&LEARNED_NOISE, &hmc, Fault::None) < ALARM);
        assert!(largest_statistic(&LEARNED_NOISE, &slice, Fault::None) < ALARM);
        assert!(largest_statistic(&SAMPLED_SCALES, &slice, Fault::None) < ALARM);
    }
}

#[test]
fn broken_twins_are_found() {
    let setting = LEARNED_NOISE;
    for fault in [Fault::Jacobian, Fault::PriorScale(1.1), Fault::Noise(1.1)] {
        assert!(largest_statistic(&setting, &nuts(&setting), fault) > ALARM, "{fault:?} goes unnoticed");
    }
}
