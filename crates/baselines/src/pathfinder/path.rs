//! Follow one optimisation, and keep the normal along it that is nearest to the posterior.

use super::inverse_hessian::InverseHessian;
use super::{METHOD, Pathfinder};
use crate::lbfgs::Lbfgs;
use crate::log_joint::{LogJoint, find_start, is_finite};
use crate::observer::{stopped, trace_interval};
use crate::optimise::Failure;
use crate::{FitError, FitObserver, LowRankNormal, Progress};
use ergodic_draws::{ChainReport, Outcome};
use ergodic_model::{ChainRng, EvaluationError, Posterior, Purpose, stream};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

/// Where a path led: its best normal, and what it cost.
pub(crate) struct Path {
    pub(crate) number: usize,
    pub(crate) normal: LowRankNormal,
    /// The estimate of the evidence lower bound by which the normal was chosen.
    pub(crate) bound: f64,
    /// The iteration it was found at; 0 is the initial position.
    best_iteration: usize,
    pub(crate) iterations: usize,
    /// Steps that the inverse Hessian could not learn from.
    skipped_steps: usize,
    /// The log density at the end of the optimisation.
    log_density: f64,
    fit_gradients: u64,
    fit_seconds: f64,
    /// Gradients and seconds of its candidates.
    pub(crate) draw_gradients: u64,
    pub(crate) draw_seconds: f64,
    /// Bounds against gradients.
    pub(crate) trace: Vec<(u64, f64)>,
    outcome: Outcome,
}

impl Path {
    pub(crate) fn report(&self) -> ChainReport {
        let tuned = [
            ("path_elbo", self.bound),
            ("log_density", self.log_density),
            ("best_iteration", self.best_iteration as f64),
            ("steps", self.iterations as f64),
            ("skipped_steps", self.skipped_steps as f64),
        ];
        ChainReport {
            warmup_gradients: self.fit_gradients,
            sampling_gradients: self.draw_gradients,
            warmup_seconds: self.fit_seconds,
            sampling_seconds: self.draw_seconds,
            tuned: BTreeMap::from(tuned.map(|(name, value)| (name.to_owned(), value))),
            outcome: self.outcome.clone(),
        }
    }

    /// The failure of what followed a path, with its cost.
    pub(crate) fn failed(&self, error: FitError) -> Failure {
        Failure { error, gradients: self.fit_gradients, seconds: self.fit_seconds }
    }
}

/// The log joint density, −∞ where it or its gradient is not finite: outside of the support.
pub(crate) fn log_density(joint: &mut LogJoint<'_>, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
    let value = joint.evaluate(position, gradient)?;
    Ok(if is_finite(value, gradient) { value } else { f64::NEG_INFINITY })
}

/// Climbs from the initial position of path `number`; `settings` and the dimension are checked.
pub(crate) fn follow(
    posterior: &dyn Posterior,
    settings: &Pathfinder,
    number: usize,
    observer: &dyn FitObserver,
) -> Result<Path, Failure> {
    let begin = Instant::now();
    let mut joint = LogJoint::full(posterior);
    let mut path = climb(posterior, &mut joint, settings, number, observer).map_err(|error| Failure {
        error,
        gradients: joint.gradients(),
        seconds: begin.elapsed().as_secs_f64(),
    })?;
    path.fit_gradients = joint.gradients();
    path.fit_seconds = begin.elapsed().as_secs_f64();
    Ok(path)
}

fn climb(
    posterior: &dyn Posterior,
    joint: &mut LogJoint<'_>,
    settings: &Pathfinder,
    number: usize,
    observer: &dyn FitObserver,
) -> Result<Path, FitError> {
    let dim = posterior.layout().dim();
    let mut position = vec![0.0; dim];
    let mut gradient = vec![0.0; dim];
    find_start(posterior, joint, METHOD, settings.seed, number, &mut position)?;
    let value = joint.evaluate(&position, &mut gradient).map_err(FitError::at(METHOD, 0))?;
    let mut lbfgs = Lbfgs::new(position.clone(), value, gradient.clone(), settings.history);
    let mut estimate = InverseHessian::new(dim, settings.history);
    let mut search = Search {
        rng: stream(settings.seed, number, Purpose::Optimise),
        draw: vec![0.0; dim],
        gradient: vec![0.0; dim],
        draws: settings.elbo_draws,
        best: None,
    };
    search.consider(joint, estimate.normal_at(&position, &gradient), 0).map_err(FitError::at(METHOD, 0))?;
    let (mut trace, interval) = (Vec::new(), trace_interval(settings.iterations));
    let (mut iterations, mut skipped_steps, mut outcome) = (0, 0, Outcome::Completed);
    while iterations < settings.iterations {
        let before = lbfgs.value;
        position.copy_from_slice(&lbfgs.position);
        gradient.copy_from_slice(&lbfgs.gradient);
        if !lbfgs.iterate(joint).map_err(FitError::at(METHOD, iterations))? {
            break;
        }
        iterations += 1;
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        if !estimate.learn(difference(&lbfgs.position, &position), difference(&gradient, &lbfgs.gradient)) {
            skipped_steps += 1;
        }
        let normal = estimate.normal_at(&lbfgs.position, &lbfgs.gradient);
        let bound = search.consider(joint, normal, iterations).map_err(FitError::at(METHOD, iterations))?;
        if (iterations - 1).is_multiple_of(interval) {
            trace.push((joint.gradients(), bound));
        }
        let (total, gradients) = (settings.iterations, joint.gradients());
        let progress = Progress { method: METHOD, member: number, step: iterations, total, objective: bound, gradients };
        if let ControlFlow::Break(()) = observer.progress(&progress) {
            outcome = stopped(iterations, total);
            break;
        }
        if lbfgs.value - before <= settings.tolerance * before.abs().max(lbfgs.value.abs()) {
            break;
        }
    }
    let Some(Found { bound, iteration: best_iteration, normal, .. }) = search.best else {
        return Err(FitError::NoApproximation { method: METHOD, iterations });
    };
    Ok(Path {
        number,
        normal,
        bound,
        best_iteration,
        iterations,
        skipped_steps,
        log_density: lbfgs.value,
        fit_gradients: 0,
        fit_seconds: 0.0,
        draw_gradients: 0,
        draw_seconds: 0.0,
        trace,
        outcome,
    })
}

/// The search for the normal of the highest evidence lower bound.
struct Search {
    rng: ChainRng,
    draw: Vec<f64>,
    gradient: Vec<f64>,
    draws: usize,
    best: Option<Found>,
}

/// The best normal so far.
struct Found {
    /// How many of its draws are inside the support, and the mean of log joint − ln q over them: what normals are ranked by.
    rank: (usize, f64),
    bound: f64,
    iteration: usize,
    normal: LowRankNormal,
}

impl Search {
    /// Estimates the bound E_q[log joint − ln q] of a normal, and keeps it if it is the best.
    ///
    /// The bound is −∞ where a draw is outside of the support. Where all are, as at an edge, the normal with most draws inside is the
    /// best, and one without any is none.
    fn consider(
        &mut self,
        joint: &mut LogJoint<'_>,
        normal: Option<LowRankNormal>,
        iteration: usize,
    ) -> Result<f64, EvaluationError> {
        let Some(normal) = normal else { return Ok(f64::NEG_INFINITY) };
        let (mut sum, mut inside) = (0.0, 0);
        for _ in 0..self.draws {
            let log_q = normal.draw(&mut self.rng, &mut self.draw);
            let ratio = log_density(joint, &self.draw, &mut self.gradient)? - log_q;
            if ratio.is_finite() {
                sum += ratio;
                inside += 1;
            }
        }
        let rank = (inside, sum / inside.max(1) as f64);
        let bound = if inside == self.draws { rank.1 } else { f64::NEG_INFINITY };
        if inside > 0 && rank.1.is_finite() && self.best.as_ref().is_none_or(|best| rank > best.rank) {
            self.best = Some(Found { rank, bound, iteration, normal });
        }
        Ok(bound)
    }
}
