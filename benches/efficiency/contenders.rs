//! List the samplers of the comparison, each with its default settings.

use crate::cases::Case;
use cpu_time::ProcessTime;
use ergodic::baselines::{WarmStart, warm_start};
use ergodic::prelude::*;
use ergodic::sampler::{Budget, EnergyVariance, EnergyVarianceTarget, Method};
use std::error::Error;

/// Chains of a run, of an ensemble, and of a sampler that learns from many.
const CHAINS: usize = 4;
const MEMBERS: usize = 12;
const MANY: usize = 16;

/// A run on a case with a seed.
type RunOnce = fn(&Case, u64) -> Result<Timed, Box<dyn Error>>;

/// A sampler: its name, and a run of it that ends with its budget of gradients.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// What differs from its defaults.
    pub(crate) title: &'static str,
    pub(crate) run: RunOnce,
    /// Whether it is meant for networks alone.
    pub(crate) networks_only: bool,
}

/// Draws, and the processor time they took.
pub(crate) struct Timed {
    pub(crate) draws: Draws,
    pub(crate) seconds: f64,
}

/// One run of `chains` chains within the budget; from optimised starts if it is asked for, whose cost counts.
fn run<M: Method>(
    case: &Case,
    method: &M,
    (chains, warmup): (usize, usize),
    seed: u64,
    start: Option<&WarmStart>,
) -> Result<Timed, Box<dyn Error>> {
    let began = ProcessTime::now();
    let starts = start.map(|start| warm_start(case.posterior(), chains, &WarmStart { seed, ..start.clone() })).transpose()?;
    let spent = starts.as_ref().map_or(0, |starts| starts.gradients() / chains as u64);
    let budget = Budget {
        gradients_per_chain: Some((case.gradients * CHAINS as u64 / chains as u64).saturating_sub(spent).max(1)),
        seconds: None,
    };
    let run = Run { chains, warmup, draws: usize::MAX / 4, seed, budget, ..Run::default() };
    let mut sampler = Sampler::new(case.posterior(), method.clone(), run);
    if let Some(starts) = &starts {
        sampler = sampler.initial_positions(&starts.positions);
    }
    let mut draws = sampler.run()?;
    if let Some(starts) = &starts {
        starts.charge(&mut draws.report);
    }
    Ok(Timed { draws, seconds: began.elapsed().as_secs_f64() })
}

/// Chains, and their warm-up transitions, of samplers whose transitions take 8 gradients: the default 1,000, but no more than a third of
/// the budget.
fn short_transitions(case: &Case, chains: usize) -> (usize, usize) {
    let gradients = case.gradients as usize * CHAINS / chains;
    (chains, (gradients / 24).min(1000))
}

/// MILE's settings: a loose energy variance.
fn loose() -> Mclmc {
    let target = EnergyVarianceTarget::loose();
    Mclmc { adaptation: EnergyVariance { target, ..EnergyVariance::default() }, ..Mclmc::default() }
}

/// Every sampler that takes part.
pub(crate) const CONTENDERS: &[Contender] = &[
    Contender {
        name: "nuts",
        title: "No-U-Turn sampler",
        run: |case, seed| run(case, &Nuts::default(), (CHAINS, case.warmup), seed, None),
        networks_only: false,
    },
    Contender {
        name: "hmc",
        title: "Hamiltonian Monte Carlo, length π/2",
        run: |case, seed| run(case, &Hmc::default(), (CHAINS, case.warmup), seed, None),
        networks_only: false,
    },
    Contender {
        name: "chees",
        title: "ChEES-HMC, 16 chains",
        run: |case, seed| run(case, &Chees::default(), (MANY, 100), seed, None),
        networks_only: false,
    },
    Contender {
        name: "ghmc",
        title: "generalised HMC with slice acceptance",
        run: |case, seed| run(case, &Ghmc::default(), short_transitions(case, CHAINS), seed, None),
        networks_only: false,
    },
    Contender {
        name: "mams",
        title: "Metropolis-adjusted microcanonical",
        run: |case, seed| run(case, &Mams::default(), (CHAINS, if case.is_network { 200 } else { 1000 }), seed, None),
        networks_only: false,
    },
    Contender {
        name: "slice_ghmc",
        title: "isokinetic GHMC with slice acceptance",
        run: |case, seed| run(case, &SliceGhmc::default(), short_transitions(case, CHAINS), seed, None),
        networks_only: false,
    },
    Contender {
        name: "mclmc",
        title: "MCLMC, unadjusted",
        run: |case, seed| run(case, &Mclmc::default(), short_transitions(case, CHAINS), seed, None),
        networks_only: false,
    },
    Contender {
        name: "mclmc_warm",
        title: "MCLMC from 500 steps of Adam",
        run: |case, seed| run(case, &Mclmc::default(), short_transitions(case, CHAINS), seed, Some(&WarmStart::default())),
        networks_only: true,
    },
    Contender {
        name: "ensemble",
        title: "12 short warm-started chains, loose energy variance (MILE)",
        run: |case, seed| run(case, &loose(), short_transitions(case, MEMBERS), seed, Some(&WarmStart::default())),
        networks_only: true,
    },
];
