//! Run long exact chains once a posterior, and keep what they say of it.

use crate::cases::Case;
use crate::score::lppd;
use ergodic::diagnostics::{ess_bulk, rhat};
use ergodic::prelude::*;
use ergodic::sampler::{Budget, Method};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::path::Path;

/// Chains of each of the two samplers of a reference.
const CHAINS: usize = 4;
/// Integrator steps from one draw of a reference to the next.
const STEPS_PER_DRAW: usize = 40;

/// Moments of what is judged, from two exact samplers together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) mean: Vec<f64>,
    /// E(x − mean)², and the variance of (x − mean)².
    pub(crate) variance: Vec<f64>,
    pub(crate) variance_of_squares: Vec<f64>,
    /// Bulk effective sample size of each.
    pub(crate) ess: Vec<f64>,
    /// Largest R-hat over the chains of both samplers.
    pub(crate) rhat: f64,
    pub(crate) gradients: u64,
    /// Mean log predictive density at the test points.
    pub(crate) lppd: Option<f64>,
}

impl Reference {
    /// The reference in `folder`, made if it is missing.
    pub(crate) fn load_or_run(case: &Case, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let path = folder.join(format!("{}.reference.json", case.name));
        if let Ok(text) = fs::read_to_string(&path) {
            return Ok(serde_json::from_str(&text)?);
        }
        eprintln!("{}: reference, 2 x {CHAINS} chains of {} gradients", case.name, case.reference_gradients);
        let reference = Self::run(case)?;
        fs::write(&path, serde_json::to_string(&reference)?)?;
        Ok(reference)
    }

    fn run(case: &Case) -> Result<Self, Box<dyn Error>> {
        let slice = SliceGhmc { steps_per_draw: STEPS_PER_DRAW, target_acceptance: 0.98, ..SliceGhmc::default() };
        let (mut quantities, gradients, first) = chains(case, &slice, 500, 101)?;
        // A second sampler with other faults, if it had any.
        let second = if case.is_network {
            chains(case, &Mams::default(), 200, 102)?
        } else {
            chains(case, &Nuts { target_acceptance: 0.95, ..Nuts::default() }, 2000, 103)?
        };
        // Both have the same number of draws a chain, evenly thinned.
        let length = |quantities: &[Vec<Vec<f64>>]| quantities.iter().flatten().map(Vec::len).min().unwrap_or(0);
        let draws = length(&quantities).min(length(&second.0));
        let thin = |chain: &Vec<f64>| (0..draws).map(|draw| chain[draw * chain.len() / draws]).collect::<Vec<f64>>();
        for (chains, more) in quantities.iter_mut().zip(&second.0) {
            *chains = chains.iter().chain(more).map(thin).collect();
        }
        let moments: Vec<[f64; 3]> = quantities.iter().map(|chains| moments(chains)).collect();
        Ok(Self {
            mean: moments.iter().map(|m| m[0]).collect(),
            variance: moments.iter().map(|m| m[1]).collect(),
            variance_of_squares: moments.iter().map(|m| m[2]).collect(),
            ess: quantities.iter().map(|chains| ess_bulk(chains).value).collect(),
            rhat: quantities.iter().map(|chains| rhat(chains).value).fold(1.0, f64::max),
            gradients: gradients + second.1,
            lppd: first.zip(second.2).map(|(a, b)| 0.5 * (a + b)),
        })
    }
}

type Found = (Vec<Vec<Vec<f64>>>, u64, Option<f64>);

/// The quantities of some chains of one sampler, their gradients, and their log predictive density.
fn chains<M: Method>(case: &Case, method: &M, warmup: usize, seed: u64) -> Result<Found, Box<dyn Error>> {
    let budget = Budget { gradients_per_chain: Some(case.reference_gradients), seconds: None };
    let run = Run { chains: CHAINS, warmup, draws: usize::MAX / 4, seed, budget, ..Run::default() };
    let draws = sample(case.posterior(), method, &run)?;
    let predictions = case.predictions(&draws)?;
    let score = predictions.as_ref().map(lppd).transpose()?;
    Ok((Case::quantities(&draws, predictions.as_ref()), draws.report.gradients(), score))
}

/// Mean, variance about it, and variance of the squares about it, of all chains together.
fn moments(chains: &[Vec<f64>]) -> [f64; 3] {
    let values = || chains.iter().flatten();
    let n = values().count() as f64;
    let mean = values().sum::<f64>() / n;
    let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    [mean, variance, values().map(|x| ((x - mean).powi(2) - variance).powi(2)).sum::<f64>() / n]
}
