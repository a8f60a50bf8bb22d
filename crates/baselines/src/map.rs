//! Find one mode of a posterior: the maximum a posteriori position.

use crate::adam::{Adam, check_clip};
use crate::error::{check_count, check_positive};
use crate::log_joint::{LogJoint, find_start, is_finite};
use crate::observer::{stopped, trace_interval};
use crate::{FitError, FitObserver, Progress, Schedule, Silent};
use ergodic_draws::{ChainDraws, ChainReport, Column, Draws, FieldKind, Origin, Outcome, RunReport, Statistics};
use ergodic_model::{EvaluationError, Posterior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many evaluations in a row may fail to be finite before a fit gives up.
pub(crate) const MAX_NOT_FINITE: usize = 100;

const METHOD: &str = "map";

/// Settings of [`map`], and of each member of a [`deep_ensemble`](crate::deep_ensemble).
///
/// The log joint density, in nats and with the prior, climbs by Adam from [`Posterior::initial_position`]. The mode depends on the
/// coordinates: it is that of the unconstrained ones, in which samplers move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Map {
    /// Adam steps. 3000 settle networks of up to a few thousand weights on some hundred to thousand rows.
    pub steps: usize,
    /// Adam's learning rate, in units of a coordinate; 10⁻² suits networks of up to a thousand weights, 10⁻³ larger ones.
    pub learning_rate: f64,
    /// How the learning rate falls; a cosine to a thousandth, from 10⁻² to 10⁻⁵.
    pub schedule: Schedule,
    /// Longest gradient that is not shortened, in nats per unit; none by default, as Adam's steps are bounded already.
    pub clip_norm: Option<f64>,
    /// The fit ends early when no component of the gradient is larger, in nats per unit.
    /// Only the full gradient can say that, so minibatches make all steps.
    pub tolerance: f64,
    /// Rows per step; all rows by default. Needs [`MinibatchGradient`](ergodic_model::MinibatchGradient).
    pub batch_size: Option<usize>,
    /// Seed of all random streams.
    pub seed: u64,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            steps: 3000,
            learning_rate: 0.01,
            schedule: Schedule::Cosine { final_fraction: 1e-3 },
            clip_norm: None,
            tolerance: 1e-6,
            batch_size: None,
            seed: 0,
        }
    }
}

impl Map {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("steps", self.steps)?;
        check_positive("learning_rate", self.learning_rate)?;
        self.schedule.validate()?;
        check_clip(self.clip_norm)?;
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(FitError::setting("tolerance", self.tolerance, "a finite number, at least 0"));
        }
        self.batch_size.map_or(Ok(()), |size| check_count("batch_size", size))
    }
}

/// Finds one mode of `posterior`: one draw of [`Origin::Point`], with its log density as the statistic `lp`.
///
/// The best position of all steps is kept (the last one with minibatches, whose values are noisy). A step to where the log density
/// or its gradient is not finite is taken back, counted in `chains[0].tuned["non_finite_steps"]`, and halves the learning rate.
///
/// ```
/// use ergodic_baselines::{Map, map};
/// use ergodic_model::density;
/// let parabola = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 3.0 - x[0];
///     -0.5 * (x[0] - 3.0).powi(2)
/// });
/// let draws = map(&parabola, &Map::default())?;
/// assert!((draws.chains()[0].position(0)[0] - 3.0).abs() < 1e-3);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// When a setting is out of range, the model lacks minibatches that were asked for, no finite start is found, or the model reports
/// an error.
pub fn map(posterior: &dyn Posterior, settings: &Map) -> Result<Draws, FitError> {
    map_observed(posterior, settings, &Silent)
}

/// As [`map`], with an observer.
///
/// # Errors
/// As [`map`].
pub fn map_observed(posterior: &dyn Posterior, settings: &Map, observer: &dyn FitObserver) -> Result<Draws, FitError> {
    settings.validate()?;
    let start = Instant::now();
    let optimum = optimise(posterior, settings, 0, observer).map_err(|failure| failure.error)?;
    let mut report = RunReport::new(METHOD, settings.seed);
    report.settings = serde_json::to_value(settings).unwrap_or_default();
    report.warnings.extend(optimum.warnings.iter().cloned());
    let mut chain = ChainDraws::from_positions(optimum.position.len(), optimum.position.clone());
    chain.statistics = Statistics::new(vec![Column { name: "lp".to_owned(), kind: FieldKind::Real }]);
    chain.statistics.push(&[optimum.log_density]);
    report.chains.push(optimum.report());
    report.objective = optimum.trace;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(Draws::new(posterior.layout(), Origin::Point, vec![chain], report))
}

/// Where an optimisation ended, and what it cost.
#[derive(Debug, Clone)]
pub(crate) struct Optimum {
    pub(crate) position: Vec<f64>,
    /// The full log joint density there.
    pub(crate) log_density: f64,
    /// The largest component of its gradient, without sign.
    largest_gradient: f64,
    pub(crate) gradients: u64,
    steps: usize,
    non_finite_steps: usize,
    pub(crate) trace: Vec<(u64, f64)>,
    pub(crate) warnings: Vec<String>,
    pub(crate) outcome: Outcome,
    seconds: f64,
}

impl Optimum {
    pub(crate) fn report(&self) -> ChainReport {
        let tuned = [
            ("log_density", self.log_density),
            ("largest_gradient", self.largest_gradient),
            ("steps", self.steps as f64),
            ("non_finite_steps", self.non_finite_steps as f64),
        ];
        ChainReport {
            warmup_gradients: self.gradients,
            sampling_gradients: 0,
            warmup_seconds: self.seconds,
            sampling_seconds: 0.0,
            tuned: BTreeMap::from(tuned.map(|(name, value)| (name.to_owned(), value))),
            outcome: self.outcome.clone(),
        }
    }
}

/// The largest component without sign.
fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |largest, g| largest.max(g.abs()))
}

/// Why an optimisation did not end in a point, and what it had spent.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: FitError,
    pub(crate) gradients: u64,
    seconds: f64,
}

impl Failure {
    pub(crate) fn report(&self) -> ChainReport {
        ChainReport {
            warmup_gradients: self.gradients,
            sampling_gradients: 0,
            warmup_seconds: self.seconds,
            sampling_seconds: 0.0,
            tuned: BTreeMap::new(),
            outcome: Outcome::Failed(self.error.to_string()),
        }
    }
}

/// Climbs from the initial position of member `member`; `settings` are valid.
pub(crate) fn optimise(
    posterior: &dyn Posterior,
    settings: &Map,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Optimum, Failure> {
    let start = Instant::now();
    let fail = |error, gradients| Failure { error, gradients, seconds: start.elapsed().as_secs_f64() };
    if posterior.layout().dim() == 0 {
        return Err(fail(FitError::NoCoordinates, 0));
    }
    let mut joint =
        LogJoint::new(posterior, settings.batch_size, METHOD, settings.seed, member).map_err(|error| fail(error, 0))?;
    let climbed = climb_from_start(posterior, &mut joint, settings, member, observer);
    let mut optimum = climbed.map_err(|error| fail(error, joint.gradients()))?;
    optimum.seconds = start.elapsed().as_secs_f64();
    Ok(optimum)
}

fn climb_from_start(
    posterior: &dyn Posterior,
    joint: &mut LogJoint<'_>,
    settings: &Map,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Optimum, FitError> {
    let dim = posterior.layout().dim();
    let mut climb = Climb::new(dim, settings);
    find_start(posterior, joint, METHOD, settings.seed, member, &mut climb.finite)?;
    climb.position.copy_from_slice(&climb.finite);
    let (mut trace, interval) = (Vec::with_capacity(1001), trace_interval(settings.steps));
    let mut outcome = Outcome::Completed;
    let mut steps = settings.steps;
    for step in 0..settings.steps {
        let factor = settings.schedule.factor(step, settings.steps);
        let value = climb.step(joint, settings.learning_rate * factor).map_err(FitError::at(METHOD, step))?;
        if climb.consecutive >= MAX_NOT_FINITE {
            return Err(FitError::NotFinite { method: METHOD, step, times: climb.consecutive });
        }
        let gradients = joint.gradients();
        if step % interval == 0 && value.is_finite() {
            trace.push((gradients, value));
        }
        let progress = Progress { method: METHOD, member, step: step + 1, total: settings.steps, objective: value, gradients };
        if observer.progress(&progress).is_break() {
            (steps, outcome) = (step + 1, stopped(step + 1, settings.steps));
            break;
        }
        if joint.is_exact() && climb.best_gradient <= settings.tolerance {
            steps = step + 1;
            break;
        }
    }
    let mut gradients = joint.gradients();
    let (mut position, mut log_density, mut largest_gradient) = (climb.best, climb.best_value, climb.best_gradient);
    if !joint.is_exact() {
        position = climb.finite;
        log_density = posterior
            .evaluator()
            .log_density_and_gradient(&position, &mut climb.gradient)
            .map_err(FitError::at(METHOD, steps))?;
        largest_gradient = largest(&climb.gradient);
        gradients += 1;
    }
    trace.push((gradients, log_density));
    let mut warnings = Vec::new();
    if climb.non_finite > 0 {
        warnings.push(format!(
            "member {member}: {} of {steps} steps met a log density or gradient that is not finite, and were taken back",
            climb.non_finite
        ));
    }
    Ok(Optimum {
        position,
        log_density,
        largest_gradient,
        gradients,
        steps,
        non_finite_steps: climb.non_finite,
        trace,
        warnings,
        outcome,
        seconds: 0.0,
    })
}

/// The moving parts of one optimisation.
struct Climb {
    adam: Adam,
    /// Where the next evaluation takes place.
    position: Vec<f64>,
    gradient: Vec<f64>,
    /// The last position where all was finite.
    finite: Vec<f64>,
    best: Vec<f64>,
    best_value: f64,
    best_gradient: f64,
    /// What is left of the learning rate after steps that were taken back.
    backoff: f64,
    non_finite: usize,
    /// Evaluations in a row that were not finite.
    consecutive: usize,
}

impl Climb {
    fn new(dim: usize, settings: &Map) -> Self {
        Self {
            adam: Adam::new(dim, settings.clip_norm),
            position: vec![0.0; dim],
            gradient: vec![0.0; dim],
            finite: vec![0.0; dim],
            best: vec![0.0; dim],
            best_value: f64::NEG_INFINITY,
            best_gradient: f64::INFINITY,
            backoff: 1.0,
            non_finite: 0,
            consecutive: 0,
        }
    }

    /// Evaluates where it stands and moves on; returns the value there.
    fn step(&mut self, joint: &mut LogJoint<'_>, learning_rate: f64) -> Result<f64, EvaluationError> {
        let value = joint.evaluate(&self.position, &mut self.gradient)?;
        if !is_finite(value, &self.gradient) {
            self.non_finite += 1;
            self.consecutive += 1;
            self.backoff *= 0.5;
            // Momentum led out of the support: halfway back, and start the means anew.
            for (x, finite) in self.position.iter_mut().zip(&self.finite) {
                *x = finite + 0.5 * (*x - finite);
            }
            self.adam.reset();
            return Ok(value);
        }
        self.consecutive = 0;
        self.finite.copy_from_slice(&self.position);
        if value > self.best_value {
            self.best.copy_from_slice(&self.position);
            self.best_value = value;
            self.best_gradient = largest(&self.gradient);
        }
        self.adam.ascend(&mut self.position, &self.gradient, self.backoff * learning_rate);
        Ok(value)
    }
}
