//! Test the alarm and the repair of an unadjusted kernel's step while it samples.

use super::*;
use crate::{EnergyVariance, Mclmc, Run, Sampler, sample};
use ergodic_draws::Draws;
use ergodic_model::{Posterior, density};

const DIM: usize = 10;
/// 5 times the target.
const ALARM: f64 = 5.0 * 5e-4;

fn normal() -> impl Posterior {
    density(DIM, |x: &[f64], gradient: &mut [f64]| {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
        -0.5 * x.iter().map(|x| x * x).sum::<f64>()
    })
}

/// Student-t of 9 degrees of freedom: gentle slopes far out, where chains begin, and a stiff middle, which they enter after warm-up.
fn narrow() -> impl Posterior {
    density(DIM, |x: &[f64], gradient: &mut [f64]| {
        let mut value = 0.0;
        for (x, g) in x.iter().zip(gradient) {
            *g = -10.0 * x / (0.81 + x * x);
            value -= 5.0 * (1.0 + x * x / 0.81).ln();
        }
        value
    })
}

/// No warm-up: the step is what the slopes bear.
fn run_into_the_middle(repair_while_sampling: bool, draws: usize) -> (Mclmc, Run) {
    let adaptation = EnergyVariance { repair_while_sampling, ..EnergyVariance::default() };
    (Mclmc { adaptation, ..Mclmc::default() }, Run { chains: 2, warmup: 0, draws, seed: 3, ..Run::default() })
}

fn starts() -> Vec<Vec<f64>> {
    vec![vec![30.0; DIM], vec![-25.0; DIM]]
}

/// Mean energy variance per dimension over the last 700 draws of each chain, more than the 625 of a window.
fn final_variances(draws: &Draws) -> Vec<f64> {
    let of = |chain: &ergodic_draws::ChainDraws| {
        let column = chain.statistics.column("energy_variance_per_dimension").unwrap();
        let last = &column[column.len() - 700..];
        last.iter().sum::<f64>() / last.len() as f64
    };
    draws.chains().iter().map(of).collect()
}

#[test]
fn a_stiff_region_entered_after_warm_up_shortens_the_step_and_the_report_says_so() {
    let sampled = |repair| {
        let (method, run) = run_into_the_middle(repair, 12_000);
        Sampler::new(&narrow(), method, run).initial_positions(&starts()).run().unwrap()
    };
    let repaired = sampled(true);
    for (chain, report) in repaired.report.chains.iter().enumerate() {
        let tuned = &report.tuned;
        let (repairs, before) = (tuned["repairs"], tuned["draws_before_repair"] as usize);
        assert!(repairs >= 1.0 && before % 625 == 0 && before >= 625, "{tuned:?}");
        let steps = repaired.chains()[chain].statistics.column("step_size").unwrap();
        assert!(steps[before] < steps[before - 1] && steps[before] == tuned["step_size"], "{before}");
        let (first, last) = (steps[0], *steps.last().unwrap());
        assert!((last / first - REPAIR.powf(repairs)).abs() < 1e-9 && last == tuned["step_size"]);
        let named = repaired.report.warnings.iter().find(|warning| warning.starts_with(&format!("chain {chain}: ")));
        assert!(named.is_some_and(|warning| warning.contains(&format!("the {before} draws before"))), "{named:?}");
    }
    assert!(final_variances(&repaired).iter().all(|variance| *variance < ALARM), "{:?}", final_variances(&repaired));

    let broken = sampled(false);
    assert!(final_variances(&broken).iter().all(|variance| *variance > ALARM), "{:?}", final_variances(&broken));
    assert!(broken.report.chains.iter().all(|chain| chain.tuned["repairs"] == 0.0));
    assert!(
        broken.report.warnings.iter().any(|warning| warning.contains("repair_while_sampling")),
        "{:?}",
        broken.report.warnings
    );
}

/// 80 chains of 3 windows, none of which is alarming: with 95 % confidence fewer than 1 window in 80 of a density like this one is.
#[test]
fn a_density_that_warm_up_has_seen_raises_no_alarm() {
    for seed in 0..20 {
        let run = Run { chains: 4, warmup: 500, draws: 2000, seed, ..Run::default() };
        let draws = sample(&normal(), &Mclmc::default(), &run).unwrap();
        assert!(draws.report.chains.iter().all(|chain| chain.tuned["repairs"] == 0.0), "seed {seed}: {:?}", draws.report);
    }
}

/// Interrupted inside the first window, and between repairs.
#[test]
fn a_resumed_run_repairs_at_the_same_draws() {
    let (method, run) = run_into_the_middle(true, 2500);
    let target = narrow();
    let whole = Sampler::new(&target, method.clone(), run).initial_positions(&starts()).run().unwrap();
    assert!(whole.report.chains.iter().any(|chain| chain.tuned["repairs"] >= 1.0));
    for interrupted in [300, 900] {
        let first = Run { draws: interrupted, ..run };
        let (head, checkpoint) =
            Sampler::new(&target, method.clone(), first).initial_positions(&starts()).run_with_checkpoint().unwrap();
        let tail = Sampler::new(&target, method.clone(), run).resume(checkpoint).run().unwrap();
        for (chain, whole_chain) in whole.chains().iter().enumerate() {
            let joined = head.chains()[chain].positions().chain(tail.chains()[chain].positions());
            assert!(joined.eq(whole_chain.positions()), "chain {chain} interrupted at {interrupted}");
            assert_eq!(tail.report.chains[chain].tuned, whole.report.chains[chain].tuned);
        }
    }
}
