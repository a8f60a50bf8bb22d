//! Climb from an initial position to a mode, by Adam and then by L-BFGS.

use crate::adam::Adam;
use crate::lbfgs::{HISTORY, Lbfgs};
use crate::log_joint::{LogJoint, find_start, is_finite};
use crate::observer::{stopped, trace_interval};
use crate::{FitError, FitObserver, Map, Progress};
use ergodic_draws::{ChainReport, Outcome};
use ergodic_model::{EvaluationError, Posterior};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// How many evaluations in a row may fail to be finite before a fit gives up.
pub(crate) const MAX_NOT_FINITE: usize = 100;

/// Name of the method in reports.
pub(crate) const METHOD: &str = "map";

/// Where an optimisation ended, and what it cost.
#[derive(Debug, Clone)]
pub(crate) struct Optimum {
    pub(crate) position: Vec<f64>,
    /// The full log joint density there.
    pub(crate) log_density: f64,
    /// The largest component of its gradient, without sign.
    largest_gradient: f64,
    pub(crate) gradients: u64,
    pub(crate) steps: usize,
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
    pub(crate) seconds: f64,
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

/// Climbs from the initial position of member `member`; `settings` and the dimension are checked.
pub(crate) fn optimise(
    posterior: &dyn Posterior,
    settings: &Map,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Optimum, Failure> {
    let start = Instant::now();
    let fail = |error, gradients| Failure { error, gradients, seconds: start.elapsed().as_secs_f64() };
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
    let mut climb = Climb::new(dim, settings.clip_norm);
    climb.begin(|position| find_start(posterior, joint, METHOD, settings.seed, member, position))?;
    let planned = settings.steps + if joint.is_exact() { settings.polish } else { 0 };
    let mut watch = Watch { observer, member, planned, interval: trace_interval(planned), step: 0, trace: Vec::new() };
    watch.trace.reserve(1001);
    let mut outcome = Outcome::Completed;
    for step in 0..settings.steps {
        let factor = settings.schedule.factor(step, settings.steps);
        let value = climb.step(joint, settings.learning_rate * factor).map_err(FitError::at(METHOD, step))?;
        if climb.consecutive >= MAX_NOT_FINITE {
            return Err(FitError::NotFinite { method: METHOD, step, times: climb.consecutive });
        }
        if watch.saw(value, joint.gradients()).is_break() {
            outcome = stopped(watch.step, planned);
            break;
        }
        if joint.is_exact() && climb.best_gradient <= settings.tolerance {
            break;
        }
    }
    if joint.is_exact() && outcome.is_completed() && settings.polish > 0 && climb.best_gradient > settings.tolerance {
        outcome = polish(joint, settings, &mut climb, &mut watch)?;
    }
    let (steps, mut trace) = (watch.step, watch.trace);
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
            "member {member}: {} of {steps} steps met a log density or gradient that is not finite, and were shortened",
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

/// Climbs on from the best position by L-BFGS, until the gradient is flat, nothing rises, or the iterations are used up.
fn polish(joint: &mut LogJoint<'_>, settings: &Map, climb: &mut Climb, watch: &mut Watch<'_>) -> Result<Outcome, FitError> {
    let value = joint.evaluate(&climb.best, &mut climb.gradient).map_err(FitError::at(METHOD, watch.step))?;
    let mut lbfgs = Lbfgs::new(climb.best.clone(), value, climb.gradient.clone(), HISTORY);
    let mut outcome = Outcome::Completed;
    for _ in 0..settings.polish {
        let moved = lbfgs.iterate(joint).map_err(FitError::at(METHOD, watch.step))?;
        if watch.saw(lbfgs.value, joint.gradients()).is_break() {
            outcome = stopped(watch.step, watch.planned);
            break;
        }
        if !moved || largest(&lbfgs.gradient) <= settings.tolerance {
            break;
        }
    }
    climb.best_value = lbfgs.value;
    climb.best_gradient = largest(&lbfgs.gradient);
    climb.best = lbfgs.position;
    Ok(outcome)
}

/// Counts steps, keeps the trace, and tells the observer.
struct Watch<'a> {
    observer: &'a dyn FitObserver,
    member: usize,
    planned: usize,
    interval: usize,
    step: usize,
    trace: Vec<(u64, f64)>,
}

impl Watch<'_> {
    fn saw(&mut self, objective: f64, gradients: u64) -> ControlFlow<()> {
        if self.step.is_multiple_of(self.interval) && objective.is_finite() {
            self.trace.push((gradients, objective));
        }
        self.step += 1;
        let (member, step, total) = (self.member, self.step, self.planned);
        self.observer.progress(&Progress { method: METHOD, member, step, total, objective, gradients })
    }
}

/// The moving parts of one optimisation.
pub(crate) struct Climb {
    adam: Adam,
    /// Where the next evaluation takes place.
    position: Vec<f64>,
    gradient: Vec<f64>,
    /// The last position where all was finite, and the value there.
    pub(crate) finite: Vec<f64>,
    pub(crate) finite_value: f64,
    best: Vec<f64>,
    best_value: f64,
    best_gradient: f64,
    non_finite: usize,
    /// Evaluations in a row that were not finite.
    pub(crate) consecutive: usize,
}

impl Climb {
    pub(crate) fn new(dim: usize, clip_norm: Option<f64>) -> Self {
        Self {
            adam: Adam::new(dim, clip_norm),
            position: vec![0.0; dim],
            gradient: vec![0.0; dim],
            finite: vec![0.0; dim],
            finite_value: f64::NAN,
            best: vec![0.0; dim],
            best_value: f64::NEG_INFINITY,
            best_gradient: f64::INFINITY,
            non_finite: 0,
            consecutive: 0,
        }
    }

    /// Stands at the position that `find` writes.
    pub(crate) fn begin(&mut self, find: impl FnOnce(&mut [f64]) -> Result<(), FitError>) -> Result<(), FitError> {
        find(&mut self.finite)?;
        self.position.copy_from_slice(&self.finite);
        Ok(())
    }

    /// Evaluates where it stands and moves on; returns the value there.
    pub(crate) fn step(&mut self, joint: &mut LogJoint<'_>, learning_rate: f64) -> Result<f64, EvaluationError> {
        let value = joint.evaluate(&self.position, &mut self.gradient)?;
        if !is_finite(value, &self.gradient) {
            self.non_finite += 1;
            self.consecutive += 1;
            // Momentum led out of the support: halfway back, and start the means anew.
            for (x, finite) in self.position.iter_mut().zip(&self.finite) {
                *x = finite + 0.5 * (*x - finite);
            }
            self.adam.reset();
            return Ok(value);
        }
        self.consecutive = 0;
        self.finite.copy_from_slice(&self.position);
        self.finite_value = value;
        if value > self.best_value {
            self.best.copy_from_slice(&self.position);
            self.best_value = value;
            self.best_gradient = largest(&self.gradient);
        }
        self.adam.ascend(&mut self.position, &self.gradient, learning_rate);
        Ok(value)
    }
}
