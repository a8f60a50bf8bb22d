//! Fit one q from one start.

use super::estimator::{LowerBound, build};
use super::{METHOD, MeanField, Start};
use crate::adam::Adam;
use crate::log_joint::{LogJoint, find_start, is_finite};
use crate::observer::{stopped, trace_interval};
use crate::optimise::{Failure, MAX_NOT_FINITE, optimise};
use crate::{DiagonalNormal, FitError, FitObserver, Progress};
use ergodic_draws::{ChainReport, Outcome};
use ergodic_model::{Posterior, Purpose, stream};
use std::collections::BTreeMap;
use std::time::Instant;

/// The part of the steps, at the end, over which estimates of the lower bound are averaged to compare starts.
const SETTLED: f64 = 0.1;

/// A fitted q, and what fitting it cost.
pub(super) struct Fitted {
    pub(super) q: DiagonalNormal,
    /// The mean of the estimates of the lower bound over the last steps: noisy, and good enough to choose between starts.
    pub(super) settled_bound: f64,
    pub(super) gradients: u64,
    steps: usize,
    non_finite: usize,
    temperature: f64,
    pub(super) trace: Vec<(u64, f64)>,
    pub(super) warnings: Vec<String>,
    outcome: Outcome,
    seconds: f64,
}

impl Fitted {
    pub(super) fn report(&self) -> ChainReport {
        let tuned = [
            ("settled_elbo", self.settled_bound),
            ("steps", self.steps as f64),
            ("non_finite_steps", self.non_finite as f64),
            ("final_temperature", self.temperature),
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

/// Fits from start `member`, with the random streams of chain `member`; `settings` are valid and resolved.
pub(super) fn fit_from(
    posterior: &dyn Posterior,
    settings: &MeanField,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Fitted, Failure> {
    let begin = Instant::now();
    let fail = |error, gradients| Failure { error, gradients, seconds: begin.elapsed().as_secs_f64() };
    let mut bound = build(posterior, settings, member).map_err(|error| fail(error, 0))?;
    let start = begin_at(posterior, settings, member, observer)?;
    let spent = start.gradients;
    let fitted = climb(bound.as_mut(), settings, start, member, observer);
    let mut fitted = fitted.map_err(|error| fail(error, spent + bound.gradients()))?;
    fitted.seconds = begin.elapsed().as_secs_f64();
    Ok(fitted)
}

/// The first q, and what finding it cost.
struct Beginning {
    q: DiagonalNormal,
    gradients: u64,
    warnings: Vec<String>,
}

fn begin_at(
    posterior: &dyn Posterior,
    settings: &MeanField,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Beginning, Failure> {
    let dim = posterior.layout().dim();
    let mut sd = vec![1.0; dim];
    posterior.prior_scales(&mut sd);
    for sd in &mut sd {
        let tenth = 0.1 * *sd;
        *sd = if tenth > 0.0 { tenth.min(settings.initial_sd) } else { settings.initial_sd };
    }
    let (mean, gradients, warnings) = match &settings.start {
        Start::Map(map) => {
            let optimum = optimise(posterior, map, member, observer)?;
            (optimum.position, optimum.gradients, optimum.warnings)
        }
        Start::InitialPosition => {
            let begin = Instant::now();
            let mut joint = LogJoint::full(posterior);
            let mut mean = vec![0.0; dim];
            find_start(posterior, &mut joint, METHOD, settings.seed, member, &mut mean).map_err(|error| Failure {
                error,
                gradients: joint.gradients(),
                seconds: begin.elapsed().as_secs_f64(),
            })?;
            (mean, joint.gradients(), Vec::new())
        }
    };
    Ok(Beginning { q: DiagonalNormal { mean, sd }, gradients, warnings })
}

fn climb(
    bound: &mut dyn LowerBound,
    settings: &MeanField,
    start: Beginning,
    member: usize,
    observer: &dyn FitObserver,
) -> Result<Fitted, FitError> {
    let Beginning { mut q, gradients: start_gradients, mut warnings } = start;
    let (dim, total) = (q.dim(), settings.steps);
    // Means, then logarithms of standard deviations.
    let mut parameters: Vec<f64> = q.mean.iter().copied().chain(q.sd.iter().map(|sd| sd.ln())).collect();
    let mut gradient = vec![0.0; 2 * dim];
    let mut average = Average::new(2 * dim, last_part(total, settings.averaging));
    let mut settled = Average::new(1, last_part(total, SETTLED));
    let mut adam = Adam::new(2 * dim, settings.clip_norm);
    let mut rng = stream(settings.seed, member, Purpose::Optimise);
    let (mut trace, interval) = (Vec::with_capacity(1001), trace_interval(total));
    let (mut non_finite, mut consecutive) = (0, 0);
    let (mut outcome, mut steps, mut temperature, mut last) = (Outcome::Completed, total, 1.0, f64::NEG_INFINITY);
    for step in 0..total {
        temperature = settings.annealing.map_or(1.0, |annealing| annealing.temperature(step, total));
        let value = bound.estimate(&q, temperature, &mut rng, &mut gradient).map_err(FitError::at(METHOD, step))?;
        let gradients = start_gradients + bound.gradients();
        if is_finite(value, &gradient) {
            (last, consecutive) = (value, 0);
            adam.ascend(&mut parameters, &gradient, settings.learning_rate * settings.schedule.factor(step, total));
            set(&mut q, &parameters);
            settled.add(step, &[value]);
            if step % interval == 0 {
                trace.push((gradients, value));
            }
        } else {
            non_finite += 1;
            consecutive += 1;
            if consecutive >= MAX_NOT_FINITE {
                return Err(FitError::NotFinite { method: METHOD, step, times: consecutive });
            }
        }
        average.add(step, &parameters);
        let progress = Progress { method: METHOD, member, step: step + 1, total, objective: value, gradients };
        if observer.progress(&progress).is_break() {
            (steps, outcome) = (step + 1, stopped(step + 1, total));
            break;
        }
    }
    if let Some(parameters) = average.mean() {
        set(&mut q, parameters);
    }
    if non_finite > 0 {
        warnings.push(format!(
            "start {member}: {non_finite} of {steps} steps met a lower bound that is not finite, and were skipped"
        ));
    }
    if temperature < 1.0 {
        warnings.push(format!(
            "start {member} was stopped while it was annealed, at temperature {temperature:.3}: its q is too narrow"
        ));
    }
    Ok(Fitted {
        q,
        settled_bound: settled.mean().map_or(last, |mean| mean[0]),
        gradients: start_gradients + bound.gradients(),
        steps,
        non_finite,
        temperature,
        trace,
        warnings,
        outcome,
        seconds: 0.0,
    })
}

/// The first of the steps that make up the part `fraction` at the end.
fn last_part(steps: usize, fraction: f64) -> usize {
    steps - (fraction * steps as f64) as usize
}

fn set(q: &mut DiagonalNormal, parameters: &[f64]) {
    let (mean, log_sd) = parameters.split_at(q.dim());
    q.mean.copy_from_slice(mean);
    for (sd, log_sd) in q.sd.iter_mut().zip(log_sd) {
        *sd = log_sd.exp();
    }
}

/// The mean of some values from step `first` on.
struct Average {
    mean: Vec<f64>,
    first: usize,
    count: usize,
}

impl Average {
    fn new(dim: usize, first: usize) -> Self {
        Self { mean: vec![0.0; dim], first, count: 0 }
    }

    fn add(&mut self, step: usize, values: &[f64]) {
        if step >= self.first {
            self.count += 1;
            let share = 1.0 / self.count as f64;
            for (mean, x) in self.mean.iter_mut().zip(values) {
                *mean += share * (x - *mean);
            }
        }
    }

    fn mean(&self) -> Option<&[f64]> {
        (self.count > 0).then_some(&self.mean)
    }
}
