//! Fit normals along the paths of optimisations, and choose draws from them by importance (Zhang, Carpenter, Gelman & Vehtari 2022).

mod candidates;
mod inverse_hessian;
mod path;
mod settings;
mod start;

pub use settings::Pathfinder;
pub use start::pathfinder_start;

use crate::error::check_dimension;
use crate::{FitError, FitObserver, LowRankNormal, Silent};
use candidates::Candidates;
use ergodic_draws::{ChainDraws, Column, Draws, FieldKind, Origin, ParetoSmoothed, Statistics, pareto_smooth};
use ergodic_model::{Posterior, Recording, record_stream};
use std::time::Instant;

const METHOD: &str = "pathfinder";

/// Normals along the paths of optimisations, and draws chosen from them.
#[derive(Debug, Clone, PartialEq)]
pub struct PathfinderFit {
    /// Draws of [`Origin::Approximation`], one chain, with the log joint density `lp` and the `path` of each. The report has one entry
    /// a path, failed ones too, with the bound `path_elbo` that its normal was chosen by; that of the best path also has `elbo`,
    /// `elbo_se`, `log_evidence`, and `pareto_khat` where it is defined.
    pub draws: Draws,
    /// The normal of each path that did not fail. Candidates are drawn from their equal mixture q.
    pub normals: Vec<LowRankNormal>,
    /// The evidence lower bound E_q[log joint − ln q] of the mixture in nats, from all candidates, which no normal was chosen by; −∞
    /// where one is outside of the posterior's support.
    pub elbo: f64,
    /// Its Monte Carlo standard error; NaN where the bound is −∞ or a path has one candidate.
    pub elbo_se: f64,
    /// The importance weights log joint − ln q of all candidates, smoothed: k̂, and the logarithm of their mean, which estimates the log
    /// evidence if the log density has all its constants.
    pub weights: ParetoSmoothed,
}

impl PathfinderFit {
    /// `ln q(position)` of the equal mixture of the paths' normals.
    ///
    /// # Panics
    /// When `position` has another number of coordinates.
    #[must_use]
    pub fn log_density(&self, position: &[f64]) -> f64 {
        candidates::log_mixture(&self.normals, position)
    }
}

/// Fits normals to `posterior` along paths of L-BFGS, and chooses draws from them by importance.
///
/// Each path climbs the log joint density from an initial position of its own. At every iteration its last steps give an estimate of the
/// inverse Hessian, and so a normal whose mean is one Newton step ahead; the one with the highest evidence lower bound, estimated by a few
/// draws, is the path's. That is mostly one before the mode, as in posteriors whose mode has little mass about it. `candidates` are then
/// drawn from the equal mixture q of the paths' normals, and draws are chosen among them, with replacement, with probabilities
/// proportional to the Pareto-smoothed weights of log joint − ln q. With `paths: 1` this is the single-path method.
///
/// Weights are those of the mixture, where the paper divides by the density of a draw's own normal: two paths that end at one mode then
/// do not count it twice.
///
/// The shape k̂ of the weights' tail says how far to trust the result: above 0.7 a warning is in the report, and draws are no more than
/// a place to begin (see [`pathfinder_start`]). In more than some ten dimensions, or on networks, it mostly is.
///
/// Gradients: those of the optimisation, `elbo_draws` an iteration, and one a candidate. A path that fails takes no other with it: it is
/// missing from the mixture, its report says why, and the run's warnings name it.
///
/// ```
/// use ergodic_baselines::{Pathfinder, pathfinder};
/// use ergodic_model::density;
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     let (a, b) = (x[0] - 1.0, x[1] + 0.9 * x[0]);
///     gradient.copy_from_slice(&[-a - 0.9 * b / 0.04, -b / 0.04]);
///     -0.5 * (a * a + b * b / 0.04)
/// });
/// let fit = pathfinder(&normal, &Pathfinder::default())?;
/// assert!(fit.weights.is_reliable());
/// let x = &fit.draws.coordinate(0)[0];
/// assert!((x.iter().sum::<f64>() / x.len() as f64 - 1.0).abs() < 0.2);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// When a setting is out of range, threads cannot be started, all paths fail, or every candidate is outside of the posterior's support.
pub fn pathfinder(posterior: &dyn Posterior, settings: &Pathfinder) -> Result<PathfinderFit, FitError> {
    pathfinder_observed(posterior, settings, &Silent)
}

/// As [`pathfinder`](crate::pathfinder()), with an observer that all paths share.
///
/// # Errors
/// As [`pathfinder`](crate::pathfinder()).
pub fn pathfinder_observed(
    posterior: &dyn Posterior,
    settings: &Pathfinder,
    observer: &dyn FitObserver,
) -> Result<PathfinderFit, FitError> {
    settings.validate()?;
    check_dimension(posterior)?;
    let begin = Instant::now();
    let mut report = posterior.new_report(METHOD, settings.seed);
    report.settings = serde_json::to_value(settings).unwrap_or_default();
    let candidates = Candidates::draw(posterior, settings, observer, &mut report)?;
    let weights = pareto_smooth(&candidates.log_ratios, 1.0).map_err(|error| FitError::Weights { method: METHOD, error })?;
    let (elbo, elbo_se) = bound(&candidates, &mut report.warnings);
    describe(&weights, &mut report.warnings);
    let of_mixture = [("elbo", elbo), ("elbo_se", elbo_se), ("log_evidence", weights.log_mean)].into_iter();
    let of_mixture = of_mixture.chain(weights.khat.ok().map(|khat| ("pareto_khat", khat)));
    report.chains[candidates.best_path()].tuned.extend(of_mixture.map(|(name, value)| (name.to_owned(), value)));

    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    let layout = posterior.draw_layout();
    let mut chain = ChainDraws::new(layout.dim());
    chain.statistics = Statistics::new(vec![column("lp", FieldKind::Real), column("path", FieldKind::Integer)]);
    let mut recording = Recording::new(posterior);
    let mut position = vec![0.0; posterior.layout().dim()];
    for (draw, chosen) in candidates.choose(settings.draws, &weights).into_iter().enumerate() {
        let path = candidates.write(chosen, &mut position);
        let recorded = recording.draw(&position, || record_stream(settings.seed, 0, draw));
        chain.push(recorded.map_err(FitError::at(METHOD, draw))?);
        chain.statistics.push(&[candidates.log_densities[chosen], path as f64]);
    }
    report.seconds = begin.elapsed().as_secs_f64();
    let draws = Draws::new(layout, Origin::Approximation, vec![chain], report);
    Ok(PathfinderFit { draws, normals: candidates.into_normals(), elbo, elbo_se, weights })
}

/// The evidence lower bound of the mixture and its standard error: the candidates of each path are a stratum of their own.
fn bound(candidates: &Candidates<'_>, warnings: &mut Vec<String>) -> (f64, f64) {
    let ratios = &candidates.log_ratios;
    let outside = ratios.iter().filter(|ratio| !ratio.is_finite()).count();
    if outside > 0 {
        warnings.push(format!(
            "{outside} of {} candidates have a log density or gradient that is not finite: the normals reach where the posterior does \
             not, the lower bound is −∞ and its standard error is not defined",
            ratios.len()
        ));
        return (f64::NEG_INFINITY, f64::NAN);
    }
    let (mut sum, mut variance, mut paths) = (0.0, 0.0, 0.0);
    for of_path in candidates.by_path(ratios) {
        let n = of_path.len() as f64;
        let mean = of_path.iter().sum::<f64>() / n;
        sum += mean;
        variance += of_path.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (n - 1.0) / n;
        paths += 1.0;
    }
    (sum / paths, variance.sqrt() / paths)
}

/// Says what the weights' tail means for the draws, where it is too heavy.
fn describe(weights: &ParetoSmoothed, warnings: &mut Vec<String>) {
    if weights.is_reliable() {
        return;
    }
    let shape = match weights.khat {
        Ok(khat) => format!("k-hat is {khat:.2}, above {:.2}", weights.largest_reliable_khat()),
        Err(reason) => format!("k-hat is undefined: {reason}"),
    };
    warnings.push(format!(
        "{shape}; the normals are too far from the posterior for draws chosen by importance to follow it, and about {:.0} candidates \
         carry the weights; they are no more than where to start chains",
        weights.effective_draws()
    ));
}
