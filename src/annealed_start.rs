//! Begin chains hot and cool them down, so that they are in the posterior's mass, not in the nearest dip, when they begin.

use crate::settings::check;
use ergodic_baselines::WarmStarts;
use ergodic_draws::{ChainReport, Draws, Outcome, Temperatures};
use ergodic_model::{EvaluationError, Posterior, Purpose, Tempered, TemperedError, position_of, stream};
use ergodic_sampler::{Method, Run, RunError, Sampler, SettingsError};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of [`annealed_start`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealedStart {
    /// The first likelihood temperature; 100 by default, at which the data weigh as much as a hundredth of their rows.
    pub first_temperature: f64,
    /// Temperatures above 1, each the same factor below the one before, the first included; 10 by default, so that the factor is 1.6.
    pub temperatures: usize,
    /// Warm-up iterations of the sampler at each temperature; 100 by default, since the step of a colder density is another one.
    pub warmup: usize,
    /// Iterations at each temperature after warm-up, with the tuned step; 25 by default.
    pub draws: usize,
    /// Seed of all random streams.
    pub seed: u64,
    /// Threads; one a core by default. Results are the same for any number.
    pub threads: Option<usize>,
}

impl Default for AnnealedStart {
    fn default() -> Self {
        Self { first_temperature: 100.0, temperatures: 10, warmup: 100, draws: 25, seed: 1, threads: None }
    }
}

impl AnnealedStart {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let first = self.first_temperature;
        check(first >= 1.0 && first.is_finite(), "first_temperature", first, "finite, and at least 1")?;
        check(self.temperatures >= 1, "temperatures", self.temperatures, "at least 1")?;
        check(self.draws >= 1, "draws", self.draws, "at least 1")?;
        check(self.threads != Some(0), "threads", format!("{:?}", self.threads), "at least 1")
    }

    /// The temperatures in order, hottest first: `first_temperature` to the power of 1, 1 − 1/n, …, 1/n.
    fn ladder(&self) -> impl Iterator<Item = f64> + use<> {
        let (first, count) = (self.first_temperature, self.temperatures);
        (0..count).map(move |rung| first.powf((count - rung) as f64 / count as f64))
    }
}

/// Why chains could not be annealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnealedStartError {
    /// A setting is out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The posterior cannot be tempered.
    #[error(transparent)]
    Tempered(#[from] TemperedError),
    /// The chains did not run at a temperature.
    #[error("at temperature {temperature:.3}: {error}")]
    Run {
        /// The likelihood temperature.
        temperature: f64,
        /// What went wrong.
        error: RunError,
    },
    /// A chain has no position to begin at, since it failed at the first temperature.
    #[error("chain {chain} failed at the first temperature: {reason}")]
    Chain {
        /// The chain.
        chain: usize,
        /// What it says.
        reason: String,
    },
    /// The position of a stored draw could not be found.
    #[error("chain {chain}: the position of its last draw cannot be found: {source}")]
    Position {
        /// The chain.
        chain: usize,
        /// What the model says.
        source: EvaluationError,
    },
}

/// Finds a start for each of `chains` chains by sampling at likelihood temperatures that fall geometrically towards 1.
///
/// Each chain runs `method` at the first temperature from an initial position of its own, goes on at the next one from where it is, and so on;
/// where it stands after the last temperature is its start. The method is warmed up anew at each. High temperatures flatten what
/// separates the dips of a posterior, and leave a learned noise scale large at first; cooling moves it down while weights keep up, where
/// optimisation leads it below the posterior's mass or into the nearest mode. The prior keeps its temperature, so that hot chains
/// stay where weights are plausible.
///
/// The result is no draw but where to begin, in the same shape as that of [`warm_start`](crate::baselines::warm_start()): pass its
/// positions to [`Sampler::initial_positions`], and [`charge`](WarmStarts::charge) its cost to the run. `tuned` of each chain has
/// `log_density` at the start, at temperature 1, `temperatures`, and what the method tuned at the last of them. A chain that fails on its
/// way stays where it was at the end of the temperature before, and its outcome says so.
///
/// ```
/// use ergodic::prelude::*;
/// use ergodic::sampler::Sampler;
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_fn(30, 1, |row, _| row as f64 / 10.0);
/// let data = Dataset::new(inputs.clone(), inputs.map(|x| (2.0 * x).sin()))?;
/// let network = Network::dense(1, &[5], Activation::Tanh, 1)?;
/// let model = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data)?;
///
/// let settings = AnnealedStart { temperatures: 4, ..AnnealedStart::default() };
/// let starts = annealed_start(&model, 2, &Mclmc::default(), &settings)?;
/// let run = Run { chains: 2, warmup: 200, draws: 100, ..Run::default() };
/// let mut draws = Sampler::new(&model, Mclmc::default(), run).initial_positions(&starts.positions).run()?;
/// let own = draws.report.gradients();
/// starts.charge(&mut draws.report);
/// assert_eq!(draws.report.gradients(), own + starts.gradients());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When a setting is out of range; when the posterior does not tell log likelihood and log prior apart, as one with its output layer
/// integrated out does not; when all chains fail at a temperature, or one fails at the first.
pub fn annealed_start<M: Method>(
    posterior: &dyn Posterior,
    chains: usize,
    method: &M,
    settings: &AnnealedStart,
) -> Result<WarmStarts, AnnealedStartError> {
    settings.validate()?;
    let mut starts = WarmStarts { positions: Vec::new(), chains: Vec::new() };
    for (rung, temperature) in settings.ladder().enumerate() {
        let tempered = Tempered::new(posterior, Temperatures { likelihood: temperature, prior: 1.0 })?;
        // Every temperature has random streams of its own, none of them the run's.
        let seed = stream(settings.seed, rung, Purpose::Optimise).random();
        let (warmup, draws, threads) = (settings.warmup, settings.draws, settings.threads);
        let run = Run { chains, warmup, draws, seed, threads, ..Run::default() };
        let mut sampler = Sampler::new(&tempered, method.clone(), run);
        if !starts.positions.is_empty() {
            sampler = sampler.initial_positions(&starts.positions);
        }
        let leg = sampler.run().map_err(|error| AnnealedStartError::Run { temperature, error })?;
        starts = cooled(posterior, starts, &leg, temperature)?;
    }
    for (chain, (position, report)) in starts.positions.iter().zip(&mut starts.chains).enumerate() {
        let mut gradient = vec![0.0; position.len()];
        let log_density = posterior
            .evaluator()
            .log_density_and_gradient(position, &mut gradient)
            .map_err(|source| AnnealedStartError::Position { chain, source })?;
        report.warmup_gradients += 1;
        let more = [("log_density", log_density), ("temperatures", settings.temperatures as f64)];
        report.tuned.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(starts)
}

/// Where the chains are after one more temperature, and what they cost so far.
fn cooled(
    posterior: &dyn Posterior,
    before: WarmStarts,
    leg: &Draws,
    temperature: f64,
) -> Result<WarmStarts, AnnealedStartError> {
    let mut after = WarmStarts { positions: Vec::new(), chains: Vec::new() };
    let mut before = before.positions.into_iter().zip(before.chains);
    for (chain, (draws, report)) in leg.chains().iter().zip(&leg.report.chains).enumerate() {
        let (stood, mut cost) = match before.next() {
            Some((position, cost)) => (Some(position), cost),
            None => (None, nothing_yet()),
        };
        cost.warmup_gradients += report.warmup_gradients + report.sampling_gradients;
        cost.warmup_seconds += report.warmup_seconds + report.sampling_seconds;
        let failure = match &report.outcome {
            Outcome::Failed(reason) | Outcome::Stopped(reason) => Some(reason.clone()),
            _ => draws.is_empty().then(|| "it has no draw".to_owned()),
        };
        let position = match failure {
            Some(reason) => {
                let stood = stood.ok_or_else(|| AnnealedStartError::Chain { chain, reason: reason.clone() })?;
                if cost.outcome.is_completed() {
                    cost.outcome = Outcome::Failed(format!("at temperature {temperature:.3}: {reason}; it stays where it was"));
                }
                stood
            }
            None => {
                cost.tuned.clone_from(&report.tuned);
                let last = draws.position(draws.len() - 1);
                position_of(posterior, last).map_err(|source| AnnealedStartError::Position { chain, source })?
            }
        };
        after.positions.push(position);
        after.chains.push(cost);
    }
    Ok(after)
}

/// The report of a chain that has not begun.
fn nothing_yet() -> ChainReport {
    ChainReport {
        warmup_gradients: 0,
        sampling_gradients: 0,
        warmup_seconds: 0.0,
        sampling_seconds: 0.0,
        tuned: BTreeMap::new(),
        outcome: Outcome::Completed,
    }
}
