//! Sample until the chains agree on what the network predicts, or a budget is spent.

use crate::methods::{Aim, Request, leg};
use crate::seen::Seen;
use crate::settings::check;
use ergodic_draws::{ChainDraws, Draws, Outcome, RunFolder};
use ergodic_model::{MissingCapability, ModelError, Posterior};
use ergodic_sampler::{Budget, Checkpoint, Method, NoObserver, Observer, Run, RunError, SettingsError};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What chains must reach, and when it is looked at.
///
/// R-hat is the rank-normalised one and the effective sample size that of the bulk (Vehtari et al. 2021), both of the worst quantity.
/// A look predicts with the draws since the last one, and judges all, so looks come at draws that grow geometrically.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Goal {
    /// Largest R-hat; 1.01 by default (Vehtari et al. 2021).
    pub rhat: f64,
    /// Least bulk effective sample size, of all chains together; 400 by default (Vehtari et al. 2021).
    pub ess: f64,
    /// Draws of a chain at the first look; 100 by default.
    pub first_look: usize,
    /// Factor from one look's draws to the next; 1.5 by default, so that a run is at most half longer than it had to be.
    pub growth: f64,
}

impl Default for Goal {
    fn default() -> Self {
        Self { rhat: 1.01, ess: 400.0, first_look: 100, growth: 1.5 }
    }
}

impl Goal {
    /// The draws at the first look after `done` draws, when there may be `most`.
    fn next_look(&self, done: usize, most: usize) -> usize {
        let mut wanted = self.first_look.min(most);
        while wanted <= done && wanted < most {
            wanted = ((wanted as f64 * self.growth).ceil() as usize).min(most);
        }
        wanted
    }

    fn validate(&self) -> Result<(), SettingsError> {
        check(self.rhat > 1.0, "goal.rhat", self.rhat, "above 1")?;
        check(self.ess > 0.0 && self.ess.is_finite(), "goal.ess", self.ess, "positive and finite")?;
        check(self.first_look >= 4, "goal.first_look", self.first_look as f64, "at least 4, for R-hat needs as many draws")?;
        check(self.growth > 1.0 && self.growth.is_finite(), "goal.growth", self.growth, "above 1 and finite")
    }
}

/// What was seen of the chains at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Look {
    /// Draws of each chain.
    pub draws: usize,
    /// Gradient evaluations of all chains, warm-up included.
    pub gradients: u64,
    /// Wall time since the beginning, in seconds.
    pub seconds: f64,
    /// Largest R-hat; NaN while it is undefined.
    pub rhat: f64,
    /// Least bulk effective sample size; NaN while it is undefined.
    pub ess: f64,
}

/// The draws of a run with a goal, and how it went.
#[derive(Debug, Clone)]
pub struct SampledUntil {
    /// All draws, bit for bit those of a run that was asked for as many at first.
    pub draws: Draws,
    /// Every look, in order.
    pub looks: Vec<Look>,
    /// Whether the goal was reached; otherwise a budget, the draws that were asked for, or the stop flag ended the run.
    pub reached: bool,
}

/// Why [`sample_until`] gave no draws.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UntilError {
    /// The chains did not run, or a setting is out of range.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The predictions could not be made.
    #[error(transparent)]
    Predict(#[from] ModelError),
    /// Points were given and the model has no outputs there.
    #[error(transparent)]
    MissingCapability(#[from] MissingCapability),
}

impl From<SettingsError> for UntilError {
    fn from(error: SettingsError) -> Self {
        Self::Run(error.into())
    }
}

/// Samples until `goal` is reached by what the network predicts at `points` (points × inputs), or by every coordinate where no points are
/// given. Noise scales, hyperparameters and plain parameters must reach its R-hat too.
///
/// [`Run::draws`] is the most draws of a chain, and [`Run::budget`] limits gradients and the seconds of the whole. Chains keep their
/// random streams and their tuning from one look to the next, so the draws are those of one long run. To look often and stop when it
/// pleases favours runs that look converged by chance, the more the earlier the first look: a goal of some hundred effective draws
/// makes that small.
///
/// # Errors
/// As [`Sampler::run`](ergodic_sampler::Sampler::run), and when the model cannot predict at the points.
///
/// ```
/// use ergodic::prelude::*;
/// use ergodic::{Goal, sample_until};
/// let normal = density(3, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let run = Run { draws: 20_000, ..Run::default() };
/// let found = sample_until(&normal, &Nuts::default(), &run, &Goal::default(), None)?;
/// assert!(found.reached && found.draws.min_len() < 5000);
/// println!("{:?}", found.looks);
/// # Ok::<(), ergodic::UntilError>(())
/// ```
pub fn sample_until<M: Method>(
    posterior: &dyn Posterior,
    method: &M,
    run: &Run,
    goal: &Goal,
    points: Option<&DMatrix<f64>>,
) -> Result<SampledUntil, UntilError> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    sample_until_observed(posterior, method, run, goal, points, &NoObserver, &NEVER)
}

/// As [`sample_until`], watched by an observer, and ended by a stop flag.
///
/// # Errors
/// As [`sample_until`].
pub fn sample_until_observed<M: Method>(
    posterior: &dyn Posterior,
    method: &M,
    run: &Run,
    goal: &Goal,
    points: Option<&DMatrix<f64>>,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<SampledUntil, UntilError> {
    let request = Request { observer, stop, ..Request::new(posterior, *run) };
    until(&request, method, Aim { goal, points })
}

/// Runs a request with a goal, look by look.
pub(crate) fn until<M: Method>(request: &Request<'_>, method: &M, aim: Aim<'_>) -> Result<SampledUntil, UntilError> {
    let (run, goal) = (request.run, aim.goal);
    goal.validate()?;
    run.validate()?;
    let began = Instant::now();
    let mut seen = Seen::new(request.posterior, aim.points)?;
    let mut checkpoint = request.resume.cloned();
    if let (Some(checkpoint), Some(folder)) = (&checkpoint, request.folder) {
        seen.add(earlier(&RunFolder::load(folder).map_err(RunError::from)?, checkpoint))?;
    }
    let mut looks: Vec<Look> = Vec::new();
    let mut wanted = goal.next_look(checkpoint.as_ref().map_or(0, Checkpoint::min_draws), run.draws);
    loop {
        let seconds = run.budget.seconds.map(|seconds| (seconds - began.elapsed().as_secs_f64()).max(f64::MIN_POSITIVE));
        let part = Run { draws: wanted, budget: Budget { seconds, ..run.budget }, ..run };
        let (more, state) = leg(request, method, part, checkpoint.take(), true)?;
        let ended_early = more.report.chains.iter().any(|chain| matches!(chain.outcome, Outcome::Stopped(_)));
        seen.add(more)?;
        let look = seen.look(began.elapsed().as_secs_f64());
        let reached = look.rhat <= goal.rhat && look.ess >= goal.ess;
        looks.push(look);
        if reached || ended_early || wanted == run.draws {
            let mut draws = seen.into_draws();
            draws.report.seconds = began.elapsed().as_secs_f64();
            draws.report.settings["run"] = serde_json::json!(run);
            draws.report.settings["goal"] = serde_json::json!({ "goal": goal, "reached": reached, "looks": looks });
            if !reached {
                draws.report.warnings.push(format!(
                    "the goal was not reached: R-hat is {:.3} (asked: {}), and the least bulk ESS {:.0} (asked: {})",
                    look.rhat, goal.rhat, look.ess, goal.ess
                ));
            }
            return Ok(SampledUntil { draws, looks, reached });
        }
        checkpoint = state;
        wanted = goal.next_look(wanted, run.draws);
    }
}

/// The draws of a run folder that a checkpoint counts on.
fn earlier(draws: &Draws, checkpoint: &Checkpoint) -> Draws {
    let cut = |(chain, count): (&ChainDraws, usize)| {
        let mut kept = ChainDraws::new(draws.dim());
        kept.statistics = ergodic_draws::Statistics::new(chain.statistics.columns().to_vec());
        kept.append(chain, count);
        kept
    };
    let chains = draws.chains().iter().zip(checkpoint.draws()).map(cut).collect();
    Draws::new(draws.layout().clone(), draws.origin(), chains, draws.report.clone())
}
