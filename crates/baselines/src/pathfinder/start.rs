//! Begin chains at draws of the normals that Pathfinder finds.

use super::path::{Path, follow, log_density};
use super::{METHOD, Pathfinder};
use crate::error::{check_count, check_dimension};
use crate::log_joint::LogJoint;
use crate::optimise::Failure;
use crate::{FitError, LowRankNormal, Silent, WarmStarts, parallel};
use ergodic_draws::{ChainReport, Outcome};
use ergodic_model::{Posterior, Purpose, stream};
use std::time::Instant;

/// Draws that are tried as a chain's start, as many as initial positions are.
const TRIES: usize = 100;

/// Begins each of `chains` chains at a draw of a normal that [`pathfinder`](crate::pathfinder()) finds along a path of its own.
///
/// Chain k follows path k, and so begins apart from the others; `paths`, `candidates`, `resample` and `draws` are not used. A chain
/// whose path fails begins at a draw of another path's normal, and its report says why. `tuned` holds the log density at the start and
/// what the path's entry of a fit has.
///
/// ```
/// use ergodic_baselines::{Pathfinder, pathfinder_start};
/// use ergodic_model::density;
/// let far = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 80.0 - x[0];
///     -0.5 * (x[0] - 80.0).powi(2)
/// });
/// let starts = pathfinder_start(&far, 4, &Pathfinder::default())?;
/// assert!(starts.positions.iter().all(|position| (position[0] - 80.0).abs() < 5.0));
/// assert!(starts.gradients() < 4 * 200);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// When a setting is out of range, threads cannot be started, or all paths fail.
pub fn pathfinder_start(posterior: &dyn Posterior, chains: usize, settings: &Pathfinder) -> Result<WarmStarts, FitError> {
    check_count("chains", chains)?;
    settings.validate()?;
    check_dimension(posterior)?;
    let started = parallel::run(chains, settings.threads, |chain| -> Result<(Path, Start), Failure> {
        let path = follow(posterior, settings, chain, &Silent)?;
        match Start::draw(posterior, &path.normal, path.iterations, settings.seed, chain) {
            Ok(start) => Ok((path, start)),
            Err(error) => Err(path.failed(error)),
        }
    })?;
    let lenders: Vec<(usize, usize, LowRankNormal)> =
        started.iter().flatten().map(|(path, _)| (path.number, path.iterations, path.normal.clone())).collect();
    let (mut positions, mut reports) = (Vec::with_capacity(chains), Vec::with_capacity(chains));
    for (chain, path) in started.into_iter().enumerate() {
        let (start, report) = match path {
            Ok((path, start)) => (start, path.report()),
            Err(failure) => {
                let mut report = failure.report();
                let Some((lender, iterations, normal)) = lenders.get(chain % lenders.len().max(1)) else {
                    return Err(failure.error);
                };
                report.outcome = Outcome::Failed(format!("{}; the chain begins at a draw of path {lender}", failure.error));
                (Start::draw(posterior, normal, *iterations, settings.seed, chain)?, report)
            }
        };
        reports.push(start.added_to(report));
        positions.push(start.position);
    }
    Ok(WarmStarts { positions, chains: reports })
}

/// A draw that a chain can begin at, and what it cost.
struct Start {
    position: Vec<f64>,
    log_density: f64,
    gradients: u64,
    seconds: f64,
}

impl Start {
    /// The first draw whose log density and gradient are finite, of a normal that a path of `iterations` iterations ended in.
    fn draw(
        posterior: &dyn Posterior,
        normal: &LowRankNormal,
        iterations: usize,
        seed: u64,
        chain: usize,
    ) -> Result<Self, FitError> {
        let begin = Instant::now();
        let mut joint = LogJoint::full(posterior);
        let mut rng = stream(seed, chain, Purpose::Draw);
        let (mut position, mut gradient) = (vec![0.0; normal.dim()], vec![0.0; normal.dim()]);
        for _ in 0..TRIES {
            let _ = normal.draw(&mut rng, &mut position);
            let found = log_density(&mut joint, &position, &mut gradient).map_err(FitError::at(METHOD, iterations))?;
            if found.is_finite() {
                let (gradients, seconds) = (joint.gradients(), begin.elapsed().as_secs_f64());
                return Ok(Self { position, log_density: found, gradients, seconds });
            }
        }
        Err(FitError::NoApproximation { method: METHOD, iterations })
    }

    /// The report of the path it was drawn after, with its own cost and log density.
    fn added_to(&self, mut report: ChainReport) -> ChainReport {
        report.warmup_gradients += self.gradients;
        report.warmup_seconds += self.seconds;
        report.tuned.insert("log_density".to_owned(), self.log_density);
        report
    }
}
