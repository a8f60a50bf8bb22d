//! Sample until the chains agree on what the network predicts, or a budget is spent.

use ergodic_diagnostics::{ess_bulk, rhat};
use ergodic_draws::{ChainDraws, Draws, Outcome, Role};
use ergodic_model::{MissingCapability, ModelError, Posterior, PredictOptions, predict};
use ergodic_sampler::{Budget, Method, NoObserver, Observer, Run, RunError, Sampler, SettingsError};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What chains must reach, and when it is looked at.
///
/// R-hat is the rank-normalised one and the effective sample size that of the bulk (Vehtari et al. 2021), both of the worst quantity.
/// A look costs as much as predicting with all draws so far, so looks come at draws that grow geometrically.
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
    fn validate(&self) -> Result<(), SettingsError> {
        let check = |valid: bool, setting: &'static str, value: f64, range: &'static str| {
            if valid { Ok(()) } else { Err(SettingsError { setting, value: value.to_string(), range }) }
        };
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
/// As [`Sampler::run`], and when the model cannot predict at the points.
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
    goal.validate()?;
    run.validate()?;
    let began = Instant::now();
    let (mut whole, mut checkpoint, mut looks): (Option<Draws>, _, Vec<Look>) = (None, None, Vec::new());
    let mut wanted = goal.first_look.min(run.draws);
    loop {
        let seconds = run.budget.seconds.map(|seconds| (seconds - began.elapsed().as_secs_f64()).max(f64::MIN_POSITIVE));
        let leg = Run { draws: wanted, budget: Budget { seconds, ..run.budget }, ..*run };
        let mut sampler = Sampler::new(posterior, method.clone(), leg).observer(observer).stop(stop);
        if let Some(checkpoint) = checkpoint.take() {
            sampler = sampler.resume(checkpoint);
        }
        let (more, state) = sampler.run_with_checkpoint()?;
        let ended_early = more.report.chains.iter().any(|chain| matches!(chain.outcome, Outcome::Stopped(_)));
        let mut draws = match whole.take() {
            None => more,
            Some(first) => joined(&first, more),
        };
        draws.report.seconds = began.elapsed().as_secs_f64();
        draws.report.settings["run"] = serde_json::json!(run);
        let look = look(posterior, &draws, points)?;
        let reached = look.rhat <= goal.rhat && look.ess >= goal.ess;
        looks.push(look);
        if reached || ended_early || wanted == run.draws {
            draws.report.settings["goal"] = serde_json::json!({ "goal": goal, "reached": reached, "looks": looks });
            if !reached {
                draws.report.warnings.push(format!(
                    "the goal was not reached: R-hat is {:.3} (asked: {}), and the least bulk ESS {:.0} (asked: {})",
                    look.rhat, goal.rhat, look.ess, goal.ess
                ));
            }
            return Ok(SampledUntil { draws, looks, reached });
        }
        whole = Some(draws);
        checkpoint = Some(state);
        wanted = ((wanted as f64 * goal.growth).ceil() as usize).min(run.draws);
    }
}

/// The draws of both, with the report of the second, which counts from the chains' beginning.
fn joined(first: &Draws, second: Draws) -> Draws {
    let join = |(first, second): (&ChainDraws, &ChainDraws)| {
        let mut chain = first.clone();
        for (draw, position) in second.positions().enumerate() {
            chain.push(position);
            if draw < second.statistics.len() {
                chain.statistics.push(second.statistics.row(draw));
            }
        }
        chain
    };
    let chains = first.chains().iter().zip(second.chains()).map(join).collect();
    Draws::new(second.layout().clone(), second.origin(), chains, second.report)
}

/// R-hat and effective draws of the worst of what is judged.
fn look(posterior: &dyn Posterior, draws: &Draws, points: Option<&DMatrix<f64>>) -> Result<Look, UntilError> {
    let (mut rhats, mut sizes) = (Vec::new(), Vec::new());
    let mut judge = |series: &[Vec<f64>], with_ess: bool| {
        rhats.push(rhat(series).value);
        if with_ess {
            sizes.push(ess_bulk(series).value);
        }
    };
    let length = draws.min_len();
    let coordinate = |coordinate: usize| -> Vec<Vec<f64>> {
        draws.chains().iter().map(|chain| chain.coordinate(coordinate)[..length].to_vec()).collect()
    };
    match points {
        None => (0..draws.dim()).for_each(|i| judge(&coordinate(i), true)),
        Some(points) => {
            let outputs = posterior.capabilities().outputs;
            let model = outputs.ok_or(MissingCapability { method: "sample_until", capability: "NetworkOutputs" })?;
            let options = PredictOptions { simulations: 0, ..PredictOptions::default() };
            let predictions = predict(model, draws, points, None, &options)?;
            for point in 0..predictions.num_points {
                for output in 0..predictions.num_outputs {
                    let mut series = predictions.series(point, output);
                    series.iter_mut().for_each(|chain| chain.truncate(length));
                    judge(&series, true);
                }
            }
            let layout = draws.layout().clone();
            let others = layout.blocks().iter().filter(|block| !matches!(block.role, Role::Weight | Role::Bias));
            others.flat_map(|block| block.range()).for_each(|i| judge(&coordinate(i), false));
        }
    }
    Ok(Look {
        draws: length,
        gradients: draws.report.gradients(),
        seconds: draws.report.seconds,
        rhat: worst(&rhats, f64::max),
        ess: worst(&sizes, f64::min),
    })
}

/// The worst value, undefined where any is: an undefined one must not hide behind the others.
fn worst(values: &[f64], worse: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { worse(a, b) }).unwrap_or(f64::NAN)
}
