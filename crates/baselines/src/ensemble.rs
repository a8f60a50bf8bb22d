//! Optimise several members from starts of their own: a deep ensemble (Lakshminarayanan et al. 2017).

use crate::error::{check_count, check_dimension};
use crate::optimise::{Failure, METHOD, Optimum, optimise};
use crate::{FitError, FitObserver, Map, Silent, parallel};
use ergodic_draws::{ChainDraws, Column, Draws, FieldKind, Origin, Statistics};
use ergodic_model::{Posterior, Recording, StartingAt};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Settings of [`deep_ensemble`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeepEnsemble {
    /// Members. 5 is the paper's choice; 10 is what comparisons with Markov chains use.
    pub members: usize,
    /// How each member is optimised; its seed is the ensemble's. Member `m` uses the random streams of chain `m`, so that member 0
    /// is what [`map`](crate::map()) finds.
    pub map: Map,
    /// Threads; one a core by default. Results are the same for any number.
    pub threads: Option<usize>,
}

impl Default for DeepEnsemble {
    fn default() -> Self {
        Self { members: 10, map: Map::default(), threads: None }
    }
}

impl DeepEnsemble {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("members", self.members)?;
        self.threads.map_or(Ok(()), |threads| check_count("threads", threads))?;
        self.map.validate()
    }
}

/// Finds a mode from each of several initial positions: draws of [`Origin::Ensemble`], one chain whose draws are the members.
///
/// Every member maximises the full log joint, prior included, so that predictions are the equal mixture of members under the
/// posterior's own likelihood. Statistics are `lp`, the log joint, and `member`. A member that fails takes no other with it: it is
/// missing from the draws, its report says why, and the run's warnings name it. `report.objective` is that of the first member
/// that did not fail.
///
/// ```
/// use ergodic_baselines::{DeepEnsemble, Map, deep_ensemble};
/// use ergodic_model::density;
/// // Two modes, at −2 and 2.
/// let modes = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0] * (x[0] * x[0] - 4.0);
///     -0.25 * (x[0] * x[0] - 4.0).powi(2)
/// });
/// let draws = deep_ensemble(&modes, &DeepEnsemble { members: 8, ..DeepEnsemble::default() })?;
/// let members = &draws.coordinate(0)[0];
/// assert!(members.iter().all(|x| (x.abs() - 2.0).abs() < 1e-3));
/// assert!(members.iter().any(|x| *x > 0.0) && members.iter().any(|x| *x < 0.0));
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// When a setting is out of range, the model lacks minibatches that were asked for, threads cannot be started, or all members fail.
pub fn deep_ensemble(posterior: &dyn Posterior, settings: &DeepEnsemble) -> Result<Draws, FitError> {
    deep_ensemble_observed(posterior, settings, &Silent)
}

/// As [`deep_ensemble`], with an observer that all members share.
///
/// # Errors
/// As [`deep_ensemble`].
pub fn deep_ensemble_observed(
    posterior: &dyn Posterior,
    settings: &DeepEnsemble,
    observer: &dyn FitObserver,
) -> Result<Draws, FitError> {
    fit_members(posterior, settings, None, observer)
}

/// As [`deep_ensemble`], with member k beginning at position k, such as networks trained elsewhere.
///
/// ```
/// use ergodic_baselines::{DeepEnsemble, Silent, deep_ensemble_from};
/// use ergodic_model::density;
/// // Two modes, at −2 and 2.
/// let modes = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0] * (x[0] * x[0] - 4.0);
///     -0.25 * (x[0] * x[0] - 4.0).powi(2)
/// });
/// let settings = DeepEnsemble { members: 2, ..DeepEnsemble::default() };
/// let draws = deep_ensemble_from(&modes, &settings, &[vec![-1.5], vec![1.5]], &Silent)?;
/// let members = &draws.coordinate(0)[0];
/// assert!((members[0] + 2.0).abs() < 1e-3 && (members[1] - 2.0).abs() < 1e-3);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// As [`deep_ensemble`], and when the number of positions is not the number of members or one has another dimension than the
/// posterior.
pub fn deep_ensemble_from(
    posterior: &dyn Posterior,
    settings: &DeepEnsemble,
    starts: &[Vec<f64>],
    observer: &dyn FitObserver,
) -> Result<Draws, FitError> {
    if starts.len() != settings.members {
        return Err(FitError::setting("the number of starts", starts.len(), "the number of members"));
    }
    let dim = posterior.layout().dim();
    if let Some(start) = starts.iter().find(|start| start.len() != dim) {
        return Err(FitError::setting("the number of coordinates of a start", start.len(), "the posterior's"));
    }
    fit_members(posterior, settings, Some(starts), observer)
}

fn fit_members(
    posterior: &dyn Posterior,
    settings: &DeepEnsemble,
    starts: Option<&[Vec<f64>]>,
    observer: &dyn FitObserver,
) -> Result<Draws, FitError> {
    settings.validate()?;
    check_dimension(posterior)?;
    let start = Instant::now();
    let fit = |member: usize| match starts.and_then(|starts| StartingAt::new(posterior, starts[member].clone()).ok()) {
        Some(started) => optimise(&started, &settings.map, member, observer),
        None => optimise(posterior, &settings.map, member, observer),
    };
    let members = parallel::run(settings.members, settings.threads, fit)?;
    let mut draws = join(posterior, settings, members)?;
    draws.report.seconds = start.elapsed().as_secs_f64();
    Ok(draws)
}

/// Joins what became of the members to one result.
fn join(posterior: &dyn Posterior, settings: &DeepEnsemble, members: Vec<Result<Optimum, Failure>>) -> Result<Draws, FitError> {
    let layout = posterior.draw_layout();
    let mut recording = Recording::new(posterior);
    let mut report = posterior.new_report("deep_ensemble", settings.map.seed);
    report.settings = serde_json::to_value(settings).unwrap_or_default();
    let mut chain = ChainDraws::new(layout.dim());
    chain.statistics = Statistics::new(vec![
        Column { name: "lp".to_owned(), kind: FieldKind::Real },
        Column { name: "member".to_owned(), kind: FieldKind::Integer },
    ]);
    let mut first_failure = None;
    for (member, result) in members.into_iter().enumerate() {
        match result {
            Ok(optimum) => {
                chain.push(recording.mode(&optimum.position).map_err(FitError::at(METHOD, optimum.steps))?);
                chain.statistics.push(&[optimum.log_density, member as f64]);
                report.chains.push(optimum.report());
                report.warnings.extend(optimum.warnings);
                if report.objective.is_empty() {
                    report.objective = optimum.trace;
                }
            }
            // What is wrong with every member is wrong with the call.
            Err(Failure { error: error @ (FitError::Settings { .. } | FitError::MissingCapability(_)), .. }) => {
                return Err(error);
            }
            Err(failure) => {
                report.chains.push(failure.report());
                report.warnings.push(format!("member {member} failed and is missing: {}", failure.error));
                first_failure.get_or_insert(failure.error);
            }
        }
    }
    match first_failure {
        Some(error) if chain.is_empty() => Err(FitError::NoMembers { members: settings.members, first: error.to_string() }),
        _ => Ok(Draws::new(layout, Origin::Ensemble, vec![chain], report)),
    }
}
