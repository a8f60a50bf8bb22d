//! Fit independent normals to a posterior by maximising the evidence lower bound (Graves 2011; Blundell et al. 2015).

mod agreement;
mod estimator;
mod settings;

pub use settings::{Annealing, Estimator, MeanField, Start};

use crate::adam::Adam;
use crate::log_joint::{LogJoint, find_start, is_finite};
use crate::map::{MAX_NOT_FINITE, optimise};
use crate::observer::{stopped, trace_interval};
use crate::{DiagonalNormal, FitError, FitObserver, Progress, Silent};
use ergodic_draws::{ChainDraws, ChainReport, Column, Draws, FieldKind, Origin, Outcome, RunReport, Statistics};
use ergodic_model::{Posterior, Purpose, stream};
use estimator::LowerBound;
use std::collections::BTreeMap;
use std::time::Instant;

const METHOD: &str = "mean_field";

/// A fitted mean-field approximation and draws from it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanFieldFit {
    /// Independent draws of [`Origin::Approximation`], one chain, with the log joint density `lp` and `log_q` of each: all that
    /// importance weights need. The report's objective is the lower bound against gradients.
    pub draws: Draws,
    /// The fitted family q.
    pub approximation: DiagonalNormal,
    /// The evidence lower bound E_q[log joint − ln q] in nats, from the draws above, which the fit has not seen. It bounds the log
    /// evidence of the model from below if the log density has all its constants.
    pub elbo: f64,
    /// Its Monte Carlo standard error; NaN where the bound is −∞.
    pub elbo_se: f64,
    /// How gradients were estimated; never [`Estimator::Auto`].
    pub estimator: Estimator,
}

impl MeanFieldFit {
    /// Mean of each coordinate.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.approximation.mean
    }

    /// Standard deviation of each coordinate.
    #[must_use]
    pub fn sd(&self) -> &[f64] {
        &self.approximation.sd
    }

    /// `ln q` of each draw.
    #[must_use]
    pub fn log_q(&self) -> Vec<f64> {
        self.draws.chains()[0].statistics.column("log_q").unwrap_or_default()
    }
}

/// Fits `q = N(mean, diag(sd²))` to `posterior`.
///
/// The objective is E_q[log joint] + entropy(q) in nats of the full log joint, at temperature 1; the divergence from the prior is a
/// sum over coordinates. Adam climbs in the mean and in ln sd, and the last part of the steps is averaged. A step whose estimate is
/// not finite is skipped and counted in `chains[0].tuned["non_finite_steps"]`.
///
/// Independent normals cannot follow correlations: on a normal posterior with precision P the optimum has the exact mean and
/// standard deviations 1/√Pᵢᵢ, which are too small. On networks, q is one mode of the many that permutations of hidden units make.
///
/// Gradients: each evaluation of the log joint counts one, as does each evaluation of the model's local reparameterisation, which
/// passes over the data twice forward (mean and variance) and once backward; a minibatch of n from N rows counts n/N. Those of the
/// start at a mode are included, as are those of the draws.
///
/// # Errors
/// When a setting is out of range, the model lacks what the estimator needs, no finite start is found, the bound is not finite many
/// times in a row, or the model reports an error.
pub fn mean_field(posterior: &dyn Posterior, settings: &MeanField) -> Result<MeanFieldFit, FitError> {
    mean_field_observed(posterior, settings, &Silent)
}

/// As [`mean_field`], with an observer.
///
/// # Errors
/// As [`mean_field`].
pub fn mean_field_observed(
    posterior: &dyn Posterior,
    settings: &MeanField,
    observer: &dyn FitObserver,
) -> Result<MeanFieldFit, FitError> {
    settings.validate()?;
    let begin = Instant::now();
    if posterior.layout().dim() == 0 {
        return Err(FitError::NoCoordinates);
    }
    let (mut bound, estimator, draws_per_step) = estimator::choose(posterior, settings, METHOD)?;
    let mut used = settings.clone();
    (used.estimator, used.draws_per_step) = (estimator, Some(draws_per_step));
    if let Start::Map(map) = &mut used.start {
        map.seed = settings.seed;
    }
    let start = begin_at(posterior, &used, observer)?;
    let fitted = climb(bound.as_mut(), &used, start, observer)?;
    let fit_seconds = begin.elapsed().as_secs_f64();

    let mut report = RunReport::new(METHOD, settings.seed);
    report.settings = serde_json::to_value(&used).unwrap_or_default();
    report.warnings = fitted.warnings;
    report.objective = fitted.trace;
    let (chain, elbo, elbo_se) = draw(posterior, &fitted.q, settings, &mut report.warnings)?;
    let mut extra = 0;
    if estimator == Estimator::Local {
        extra = agreement::check(posterior, bound.as_mut(), &fitted.q, settings.seed, &mut report.warnings)?;
    }
    let tuned = [
        ("elbo", elbo),
        ("elbo_se", elbo_se),
        ("steps", fitted.steps as f64),
        ("non_finite_steps", fitted.non_finite as f64),
        ("final_temperature", fitted.temperature),
    ];
    report.chains.push(ChainReport {
        warmup_gradients: fitted.gradients,
        sampling_gradients: settings.draws as u64 + extra,
        warmup_seconds: fit_seconds,
        sampling_seconds: begin.elapsed().as_secs_f64() - fit_seconds,
        tuned: BTreeMap::from(tuned.map(|(name, value)| (name.to_owned(), value))),
        outcome: fitted.outcome,
    });
    report.seconds = begin.elapsed().as_secs_f64();
    let draws = Draws::new(posterior.layout(), Origin::Approximation, vec![chain], report);
    Ok(MeanFieldFit { draws, approximation: fitted.q, elbo, elbo_se, estimator })
}

/// The first q, and what finding it cost.
struct Beginning {
    q: DiagonalNormal,
    gradients: u64,
    warnings: Vec<String>,
}

fn begin_at(posterior: &dyn Posterior, settings: &MeanField, observer: &dyn FitObserver) -> Result<Beginning, FitError> {
    let dim = posterior.layout().dim();
    let mut sd = vec![1.0; dim];
    posterior.prior_scales(&mut sd);
    for sd in &mut sd {
        let tenth = 0.1 * *sd;
        *sd = if tenth > 0.0 { tenth.min(settings.initial_sd) } else { settings.initial_sd };
    }
    let (mean, gradients, warnings) = match &settings.start {
        Start::Map(map) => {
            let optimum = optimise(posterior, map, 0, observer).map_err(|failure| failure.error)?;
            (optimum.position, optimum.gradients, optimum.warnings)
        }
        Start::InitialPosition => {
            let mut joint = LogJoint::new(posterior, None, METHOD, settings.seed, 0)?;
            let mut mean = vec![0.0; dim];
            find_start(posterior, &mut joint, METHOD, settings.seed, 0, &mut mean)?;
            (mean, joint.gradients(), Vec::new())
        }
    };
    Ok(Beginning { q: DiagonalNormal { mean, sd }, gradients, warnings })
}

/// The fitted q, and what fitting it cost.
struct Fitted {
    q: DiagonalNormal,
    gradients: u64,
    steps: usize,
    non_finite: usize,
    temperature: f64,
    trace: Vec<(u64, f64)>,
    warnings: Vec<String>,
    outcome: Outcome,
}

fn climb(
    bound: &mut dyn LowerBound,
    settings: &MeanField,
    start: Beginning,
    observer: &dyn FitObserver,
) -> Result<Fitted, FitError> {
    let Beginning { mut q, gradients: start_gradients, mut warnings } = start;
    let (dim, steps) = (q.dim(), settings.steps);
    // Means, then logarithms of standard deviations.
    let mut parameters: Vec<f64> = q.mean.iter().copied().chain(q.sd.iter().map(|sd| sd.ln())).collect();
    let mut gradient = vec![0.0; 2 * dim];
    let mut average = Average::new(2 * dim, steps - (settings.averaging * steps as f64) as usize);
    let mut adam = Adam::new(2 * dim, settings.clip_norm);
    let mut rng = stream(settings.seed, 0, Purpose::Optimise);
    let (mut trace, interval) = (Vec::with_capacity(1001), trace_interval(steps));
    let (mut non_finite, mut consecutive) = (0, 0);
    let (mut outcome, mut done, mut temperature) = (Outcome::Completed, steps, 1.0);
    for step in 0..steps {
        temperature = settings.annealing.map_or(1.0, |annealing| annealing.temperature(step, steps));
        let value = bound.estimate(&q, temperature, &mut rng, &mut gradient).map_err(FitError::at(METHOD, step))?;
        let gradients = start_gradients + bound.gradients();
        if is_finite(value, &gradient) {
            consecutive = 0;
            adam.ascend(&mut parameters, &gradient, settings.learning_rate * settings.schedule.factor(step, steps));
            set(&mut q, &parameters);
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
        let progress = Progress { method: METHOD, member: 0, step: step + 1, total: steps, objective: value, gradients };
        if observer.progress(&progress).is_break() {
            (done, outcome) = (step + 1, stopped(step + 1, steps));
            break;
        }
    }
    if let Some(parameters) = average.mean() {
        set(&mut q, parameters);
    }
    if non_finite > 0 {
        warnings.push(format!("{non_finite} of {done} steps met a lower bound that is not finite, and were skipped"));
    }
    if temperature < 1.0 {
        warnings.push(format!("the fit was stopped while it was annealed, at temperature {temperature}: q is too narrow"));
    }
    let gradients = start_gradients + bound.gradients();
    Ok(Fitted { q, gradients, steps: done, non_finite, temperature, trace, warnings, outcome })
}

fn set(q: &mut DiagonalNormal, parameters: &[f64]) {
    let (mean, log_sd) = parameters.split_at(q.dim());
    q.mean.copy_from_slice(mean);
    for (sd, log_sd) in q.sd.iter_mut().zip(log_sd) {
        *sd = log_sd.exp();
    }
}

/// The mean of the parameters from step `first` on.
struct Average {
    mean: Vec<f64>,
    first: usize,
    count: usize,
}

impl Average {
    fn new(dim: usize, first: usize) -> Self {
        Self { mean: vec![0.0; dim], first, count: 0 }
    }

    fn add(&mut self, step: usize, parameters: &[f64]) {
        if step >= self.first {
            self.count += 1;
            let share = 1.0 / self.count as f64;
            for (mean, x) in self.mean.iter_mut().zip(parameters) {
                *mean += share * (x - *mean);
            }
        }
    }

    fn mean(&self) -> Option<&[f64]> {
        (self.count > 0).then_some(&self.mean)
    }
}

/// Draws from q with their log densities, and the lower bound with its standard error.
fn draw(
    posterior: &dyn Posterior,
    q: &DiagonalNormal,
    settings: &MeanField,
    warnings: &mut Vec<String>,
) -> Result<(ChainDraws, f64, f64), FitError> {
    let mut rng = stream(settings.seed, 0, Purpose::Draw);
    let mut density = posterior.evaluator();
    let column = |name: &str| Column { name: name.to_owned(), kind: FieldKind::Real };
    let mut statistics = Statistics::new(vec![column("lp"), column("log_q")]);
    let dim = q.dim();
    let mut positions = vec![0.0; settings.draws * dim];
    let mut gradient = vec![0.0; dim];
    let mut differences = Vec::with_capacity(settings.draws);
    for (index, position) in positions.chunks_exact_mut(dim).enumerate() {
        q.draw(&mut rng, position);
        let lp =
            density.log_density_and_gradient(position, &mut gradient).map_err(FitError::at(METHOD, settings.steps + index))?;
        let log_q = q.log_density(position);
        statistics.push(&[lp, log_q]);
        differences.push(lp - log_q);
    }
    let outside = differences.iter().filter(|difference| !difference.is_finite()).count();
    let (elbo, elbo_se) = if outside == 0 { mean_and_error(&differences) } else { (f64::NEG_INFINITY, f64::NAN) };
    if outside > 0 {
        warnings.push(format!(
            "{outside} of {} draws have a log density that is not finite: q reaches where the posterior does not, the lower bound \
             is −∞ and its standard error is not defined",
            settings.draws
        ));
    }
    let mut chain = ChainDraws::from_positions(dim, positions);
    chain.statistics = statistics;
    Ok((chain, elbo, elbo_se))
}

/// The mean of independent values and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}
