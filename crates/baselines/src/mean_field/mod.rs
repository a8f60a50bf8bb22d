//! Fit independent normals to a posterior by maximising the evidence lower bound (Graves 2011; Blundell et al. 2015).

mod agreement;
mod climb;
mod estimator;
mod settings;

pub use settings::{Annealing, Estimator, MeanField, Start};

use crate::error::check_dimension;
use crate::optimise::Failure;
use crate::{DiagonalNormal, FitError, FitObserver, Silent, parallel};
use climb::{Fitted, fit_from};
use ergodic_draws::{ChainDraws, Column, Draws, FieldKind, Origin, RunReport, Statistics};
use ergodic_model::{Posterior, Purpose, Recording, record_stream, stream};
use std::time::Instant;

const METHOD: &str = "mean_field";

/// A fitted mean-field approximation and draws from it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanFieldFit {
    /// Independent draws of [`Origin::Approximation`], one chain, with the log joint density `lp` and `log_q` of each: all that
    /// importance weights need. The report's objective is the lower bound of the start that was kept, against its own gradients.
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
/// not finite is skipped and counted in `tuned["non_finite_steps"]` of its start.
///
/// The bound of a network has many local maxima, so the fit is made from several starts, and the one with the highest bound is kept;
/// the report has one entry a start, with its bound over the last tenth of its steps as `settled_elbo`. The bound of the result is
/// estimated from draws that had no part in the choice.
///
/// Independent normals cannot follow correlations: on a normal posterior with precision P the optimum has the exact mean and
/// standard deviations 1/√Pᵢᵢ, which are too small. On networks, q is one mode of the many that permutations of hidden units make.
///
/// Gradients: each evaluation of the log joint counts one, as does each evaluation of the model's local reparameterisation, which
/// passes over the data twice forward (mean and variance) and once backward; a minibatch of n from N rows counts n/N. Those of all
/// starts are included, as are those of the draws and, with local reparameterisation, of a check that it bounds the same log joint
/// as the log density states: 200 of each.
///
/// # Errors
/// When a setting is out of range or the model lacks what the estimator needs; when all starts fail, because no finite position is
/// found, the bound is not finite many times in a row, or the model reports an error; when the model reports an error at a draw.
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
    check_dimension(posterior)?;
    let mut used = settings.clone();
    let (estimator, draws_per_step) = estimator::resolve(posterior, settings)?;
    (used.estimator, used.draws_per_step) = (estimator, Some(draws_per_step));
    if let Start::Map(map) = &mut used.start {
        map.seed = settings.seed;
    }
    let fit = |member| fit_from(posterior, &used, member, observer);
    let starts = parallel::run(used.starts, used.threads, fit)?;

    let mut report = posterior.new_report(METHOD, settings.seed);
    report.settings = serde_json::to_value(&used).unwrap_or_default();
    let (best, fitted) = choose(starts, &mut report)?;
    report.objective = fitted.trace;
    let fitted_at = begin.elapsed();
    let (chain, elbo, elbo_se) = draw(posterior, &fitted.q, &used, &mut report.warnings)?;
    let mut sampling_gradients = used.draws as u64;
    if estimator == Estimator::Local {
        sampling_gradients += agreement::check(posterior, &used, &fitted.q, &mut report.warnings)?;
    }
    let chosen = &mut report.chains[best];
    chosen.tuned.extend([("elbo".to_owned(), elbo), ("elbo_se".to_owned(), elbo_se)]);
    chosen.sampling_gradients = sampling_gradients;
    chosen.sampling_seconds = (begin.elapsed() - fitted_at).as_secs_f64();
    report.seconds = begin.elapsed().as_secs_f64();
    let draws = Draws::new(posterior.draw_layout(), Origin::Approximation, vec![chain], report);
    Ok(MeanFieldFit { draws, approximation: fitted.q, elbo, elbo_se, estimator })
}

/// The start with the highest lower bound, and its number; all of them, and those that failed, enter the report.
fn choose(starts: Vec<Result<Fitted, Failure>>, report: &mut RunReport) -> Result<(usize, Fitted), FitError> {
    let mut best: Option<(usize, Fitted)> = None;
    let mut first_failure = None;
    for (member, start) in starts.into_iter().enumerate() {
        match start {
            Ok(mut fitted) => {
                report.chains.push(fitted.report());
                report.warnings.append(&mut fitted.warnings);
                if best.as_ref().is_none_or(|(_, best)| fitted.settled_bound > best.settled_bound) {
                    best = Some((member, fitted));
                }
            }
            Err(failure) => {
                report.chains.push(failure.report());
                report.warnings.push(format!("start {member} failed: {}", failure.error));
                first_failure.get_or_insert(failure.error);
            }
        }
    }
    match (best, first_failure) {
        (Some(best), _) => Ok(best),
        (None, Some(error)) => Err(error),
        (None, None) => Err(FitError::setting("starts", 0, "at least 1")),
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
    let mut position = vec![0.0; dim];
    let mut recording = Recording::new(posterior);
    let mut chain = ChainDraws::new(posterior.draw_layout().dim());
    let mut gradient = vec![0.0; dim];
    let mut differences = Vec::with_capacity(settings.draws);
    for index in 0..settings.draws {
        q.draw(&mut rng, &mut position);
        let lp =
            density.log_density_and_gradient(&position, &mut gradient).map_err(FitError::at(METHOD, settings.steps + index))?;
        let log_q = q.log_density(&position);
        let recorded = recording.draw(&position, || record_stream(settings.seed, 0, index));
        chain.push(recorded.map_err(FitError::at(METHOD, settings.steps + index))?);
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
