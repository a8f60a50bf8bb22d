//! Optimise a start for each chain, so that warm-up does not begin far from where the posterior's mass is.

use crate::adam::check_clip;
use crate::error::{check_count, check_dimension, check_positive};
use crate::log_joint::{LogJoint, find_start};
use crate::optimise::{Climb, MAX_NOT_FINITE};
use crate::{FitError, Schedule, parallel};
use ergodic_draws::{ChainReport, Outcome, RunReport};
use ergodic_model::Posterior;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

const METHOD: &str = "warm_start";

/// A score of a position, higher is better.
type Score<'a> = &'a (dyn Fn(&[f64]) -> f64 + Sync);

/// Settings of [`warm_start`].
///
/// Each chain climbs the full log joint by Adam from an initial position of its own, as the members of a deep ensemble do. The prior is
/// part of the objective, so there is no weight decay beside it. The point that Adam reaches is no draw: the sampler's warm-up takes
/// the chain from there into the typical set, and both are counted in its cost.
///
/// ```
/// use ergodic_baselines::{WarmStart, warm_start};
/// use ergodic_model::density;
/// let far = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 8.0 - x[0];
///     -0.5 * (x[0] - 8.0).powi(2)
/// });
/// let starts = warm_start(&far, 4, &WarmStart { steps: 4000, ..WarmStart::default() })?;
/// assert_eq!(starts.positions.len(), 4);
/// assert!(starts.positions.iter().all(|position| (position[0] - 8.0).abs() < 0.2));
/// assert_eq!(starts.chains[0].warmup_gradients, 4001);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmStart {
    /// Most Adam steps of a chain. 500 bring networks of some hundred to some thousand weights to where tuning a sampler's step can
    /// begin; more only follow the mode away from the posterior's mass.
    pub steps: usize,
    /// Adam's learning rate, in units of a coordinate.
    pub learning_rate: f64,
    /// How the learning rate falls; constant by default, since no mode has to be met.
    pub schedule: Schedule,
    /// Longest gradient that is not shortened, in nats per unit; none by default.
    pub clip_norm: Option<f64>,
    /// Rows per step; all rows by default. Needs [`MinibatchGradient`](ergodic_model::MinibatchGradient).
    pub batch_size: Option<usize>,
    /// With [`warm_start_validated`]: steps between two looks at the score.
    pub score_every: usize,
    /// With [`warm_start_validated`]: looks in a row without a better score after which a chain stops; 10 as in MILE (Sommer et al.
    /// 2025).
    pub patience: usize,
    /// Seed of all random streams; chain k begins where a sampler's chain k of this seed would.
    pub seed: u64,
    /// Threads; one a core by default. Results are the same for any number.
    pub threads: Option<usize>,
}

impl Default for WarmStart {
    fn default() -> Self {
        Self {
            steps: 500,
            learning_rate: 0.01,
            schedule: Schedule::Constant,
            clip_norm: None,
            batch_size: None,
            score_every: 10,
            patience: 10,
            seed: 1,
            threads: None,
        }
    }
}

impl WarmStart {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("steps", self.steps)?;
        check_positive("learning_rate", self.learning_rate)?;
        self.schedule.validate()?;
        check_clip(self.clip_norm)?;
        check_count("score_every", self.score_every)?;
        check_count("patience", self.patience)?;
        self.threads.map_or(Ok(()), |threads| check_count("threads", threads))?;
        self.batch_size.map_or(Ok(()), |size| check_count("batch_size", size))
    }
}

/// Where chains begin, and what it cost to get there.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmStarts {
    /// A position for each chain, in the coordinates that samplers move in.
    pub positions: Vec<Vec<f64>>,
    /// What each chain's start cost, as warm-up; `tuned` holds `log_density` there and the number of `steps`.
    pub chains: Vec<ChainReport>,
}

impl WarmStarts {
    /// Gradients of all chains; those over n of N rows count n/N.
    #[must_use]
    pub fn gradients(&self) -> u64 {
        self.chains.iter().map(|chain| chain.warmup_gradients).sum()
    }

    /// Adds the starts' cost to the warm-up of a run that began at them, chain by chain, so that comparisons count it.
    pub fn charge(&self, report: &mut RunReport) {
        for (chain, start) in report.chains.iter_mut().zip(&self.chains) {
            chain.warmup_gradients += start.warmup_gradients;
            chain.warmup_seconds += start.warmup_seconds;
            chain.tuned.insert("start_gradients".to_owned(), start.warmup_gradients as f64);
        }
        // Starts run in parallel as chains do: the longest of them is what the run waited for.
        report.seconds += self.chains.iter().fold(0.0, |longest: f64, chain| longest.max(chain.warmup_seconds));
    }
}

/// Optimises a start for each of `chains` chains.
///
/// # Errors
/// When a setting is out of range, the model lacks minibatches that were asked for, or a chain finds no finite position or meets an
/// error of the model.
pub fn warm_start(posterior: &dyn Posterior, chains: usize, settings: &WarmStart) -> Result<WarmStarts, FitError> {
    start_chains(posterior, chains, settings, None)
}

/// As [`warm_start`], with early stopping: a chain ends where `score` was best (higher is better), once it has not risen for
/// [`WarmStart::patience`] looks. The score of held-out rows makes the start of a deep ensemble; the rows must then not be among those
/// of the posterior.
///
/// ```
/// use ergodic_baselines::{WarmStart, warm_start_validated};
/// use ergodic_model::density;
/// let far = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 8.0 - x[0];
///     -0.5 * (x[0] - 8.0).powi(2)
/// });
/// // Rows that were held out would rather have 3.
/// let score = |position: &[f64]| -(position[0] - 3.0).powi(2);
/// let settings = WarmStart { steps: 5000, score_every: 1, ..WarmStart::default() };
/// let starts = warm_start_validated(&far, 2, &settings, &score)?;
/// assert!(starts.positions.iter().all(|position| (position[0] - 3.0).abs() < 0.02));
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// As [`warm_start`].
pub fn warm_start_validated(
    posterior: &dyn Posterior,
    chains: usize,
    settings: &WarmStart,
    score: &(dyn Fn(&[f64]) -> f64 + Sync),
) -> Result<WarmStarts, FitError> {
    start_chains(posterior, chains, settings, Some(score))
}

fn start_chains(
    posterior: &dyn Posterior,
    chains: usize,
    settings: &WarmStart,
    score: Option<Score<'_>>,
) -> Result<WarmStarts, FitError> {
    check_count("chains", chains)?;
    settings.validate()?;
    check_dimension(posterior)?;
    let started = parallel::run(chains, settings.threads, |chain| start_chain(posterior, chain, settings, score))?;
    let started = started.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (positions, chains) = started.into_iter().unzip();
    Ok(WarmStarts { positions, chains })
}

fn start_chain(
    posterior: &dyn Posterior,
    chain: usize,
    settings: &WarmStart,
    score: Option<Score<'_>>,
) -> Result<(Vec<f64>, ChainReport), FitError> {
    let began = Instant::now();
    let mut joint = LogJoint::new(posterior, settings.batch_size, METHOD, settings.seed, chain)?;
    let mut climb = Climb::new(posterior.layout().dim(), settings.clip_norm);
    climb.begin(|position| find_start(posterior, &mut joint, METHOD, settings.seed, chain, position))?;
    let mut scored = score.map(|score| Scored { score, best: f64::NEG_INFINITY, position: Vec::new(), waited: 0 });
    let mut steps = 0;
    let mut outcome = Outcome::Completed;
    while steps < settings.steps {
        let rate = settings.learning_rate * settings.schedule.factor(steps, settings.steps);
        climb.step(&mut joint, rate).map_err(FitError::at(METHOD, steps))?;
        if climb.consecutive >= MAX_NOT_FINITE {
            return Err(FitError::NotFinite { method: METHOD, step: steps, times: climb.consecutive });
        }
        steps += 1;
        if let Some(scored) = scored.as_mut().filter(|_| steps.is_multiple_of(settings.score_every)) {
            scored.look(&climb.finite);
            if scored.waited >= settings.patience {
                outcome =
                    Outcome::Stopped(format!("early, after {steps} of {} steps: the score no longer rose", settings.steps));
                break;
            }
        }
    }
    let position = match scored.filter(|scored| scored.best.is_finite()) {
        Some(scored) => scored.position,
        None => climb.finite,
    };
    let log_density = if joint.is_exact() && score.is_none() {
        climb.finite_value
    } else {
        let mut gradient = vec![0.0; position.len()];
        posterior.evaluator().log_density_and_gradient(&position, &mut gradient).map_err(FitError::at(METHOD, steps))?
    };
    let tuned = [("log_density", log_density), ("steps", steps as f64)].map(|(name, value)| (name.to_owned(), value));
    let report = ChainReport {
        warmup_gradients: joint.gradients(),
        sampling_gradients: 0,
        warmup_seconds: began.elapsed().as_secs_f64(),
        sampling_seconds: 0.0,
        tuned: BTreeMap::from(tuned),
        outcome,
    };
    Ok((position, report))
}

/// Early stopping under way.
struct Scored<'a> {
    score: Score<'a>,
    best: f64,
    position: Vec<f64>,
    /// Looks since the score rose.
    waited: usize,
}

impl Scored<'_> {
    fn look(&mut self, position: &[f64]) {
        let value = (self.score)(position);
        if value > self.best {
            self.best = value;
            self.position = position.to_vec();
            self.waited = 0;
        } else {
            self.waited += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::density;

    #[test]
    fn costs_are_charged_to_the_chains_that_began_there() {
        let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[-x[0], -x[1]]);
            -0.5 * (x[0] * x[0] + x[1] * x[1])
        });
        let starts = warm_start(&normal, 3, &WarmStart { steps: 20, ..WarmStart::default() }).unwrap();
        assert_eq!(starts.gradients(), 3 * 21);
        let mut report = RunReport::new("mclmc", 1);
        report.chains = starts.chains.clone();
        starts.charge(&mut report);
        assert_eq!(report.gradients(), 2 * starts.gradients());
        assert_eq!(report.chains[2].tuned["start_gradients"], 21.0);
    }

    #[test]
    fn starts_do_not_depend_on_threads_and_differ_between_chains() {
        let modes = density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -x[0] * (x[0] * x[0] - 4.0);
            -0.25 * (x[0] * x[0] - 4.0).powi(2)
        });
        let run =
            |threads| warm_start(&modes, 6, &WarmStart { threads: Some(threads), ..WarmStart::default() }).unwrap().positions;
        let positions = run(1);
        assert_eq!(positions, run(3));
        assert!(positions.iter().any(|x| x[0] > 0.0) && positions.iter().any(|x| x[0] < 0.0));
    }

    #[test]
    fn a_step_out_of_the_support_is_taken_back() {
        let edge = density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 / x[0] - 5.0;
            x[0].ln() - 5.0 * x[0]
        });
        let starts = warm_start(&edge, 8, &WarmStart { steps: 3000, ..WarmStart::default() }).unwrap();
        assert!(starts.positions.iter().all(|x| (x[0] - 0.2).abs() < 0.05), "{:?}", starts.positions);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let named = |settings: WarmStart| settings.validate().unwrap_err().to_string();
        assert!(named(WarmStart { steps: 0, ..WarmStart::default() }).starts_with("steps"));
        assert!(named(WarmStart { learning_rate: f64::NAN, ..WarmStart::default() }).starts_with("learning_rate"));
        assert!(named(WarmStart { patience: 0, ..WarmStart::default() }).starts_with("patience"));
        assert!(named(WarmStart { score_every: 0, ..WarmStart::default() }).starts_with("score_every"));
    }
}
