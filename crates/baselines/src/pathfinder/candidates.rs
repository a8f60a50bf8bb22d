//! Draw candidates from the normals of all paths, weigh them, and choose among them.

use super::path::{Path, follow, log_density};
use super::{METHOD, Pathfinder};
use crate::log_joint::LogJoint;
use crate::optimise::Failure;
use crate::{FitError, FitObserver, LowRankNormal, parallel};
use ergodic_draws::{ParetoSmoothed, RunReport};
use ergodic_model::{ChainRng, Posterior, Purpose, stream};
use rand::RngExt;
use std::time::Instant;

/// Candidates of all paths that did not fail, path after path. Positions are drawn again where they are wanted, so that memory holds
/// two numbers a candidate.
pub(crate) struct Candidates<'a> {
    settings: &'a Pathfinder,
    numbers: Vec<usize>,
    normals: Vec<LowRankNormal>,
    best_path: usize,
    /// The log joint density of each; −∞ outside of the support.
    pub(crate) log_densities: Vec<f64>,
    /// That minus the log density of the equal mixture of all normals.
    pub(crate) log_ratios: Vec<f64>,
}

impl<'a> Candidates<'a> {
    /// Follows all paths and draws their candidates; what became of the paths enters the report.
    pub(crate) fn draw(
        posterior: &dyn Posterior,
        settings: &'a Pathfinder,
        observer: &dyn FitObserver,
        report: &mut RunReport,
    ) -> Result<Self, FitError> {
        let followed = parallel::run(settings.paths, settings.threads, |number| {
            let path = follow(posterior, settings, number, observer)?;
            evaluate(posterior, settings, path)
        })?;
        let (numbers, normals, log_densities, log_ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut found = Self { settings, numbers, normals, best_path: 0, log_densities, log_ratios };
        let (mut best_bound, mut first_failure) = (f64::NEG_INFINITY, None);
        for (number, path) in followed.into_iter().enumerate() {
            match path {
                Ok((path, log_densities)) => {
                    report.chains.push(path.report());
                    if found.normals.is_empty() || path.bound > best_bound {
                        (best_bound, found.best_path, report.objective) = (path.bound, number, path.trace);
                    }
                    found.numbers.push(number);
                    found.normals.push(path.normal);
                    found.log_densities.extend(log_densities);
                }
                Err(failure) => {
                    report.chains.push(failure.report());
                    report.warnings.push(format!("path {number} failed and is missing: {}", failure.error));
                    first_failure.get_or_insert(failure.error);
                }
            }
        }
        if let Some(error) = first_failure.filter(|_| found.normals.is_empty()) {
            return Err(error);
        }
        let ratios = parallel::run(found.normals.len(), settings.threads, |path| found.ratios(path))?;
        found.log_ratios = ratios.concat();
        Ok(found)
    }

    /// The log ratios of the candidates of one path.
    fn ratios(&self, path: usize) -> Vec<f64> {
        let per_path = self.settings.candidates;
        let mut position = vec![0.0; self.normals[path].dim()];
        let ratio = |index: usize| {
            let log_density = self.log_densities[path * per_path + index];
            if log_density == f64::NEG_INFINITY {
                return log_density;
            }
            self.write(path * per_path + index, &mut position);
            log_density - log_mixture(&self.normals, &position)
        };
        (0..per_path).map(ratio).collect()
    }

    /// Number of the path with the highest lower bound.
    pub(crate) fn best_path(&self) -> usize {
        self.best_path
    }

    /// One slice of `values` a path.
    pub(crate) fn by_path<'b>(&self, values: &'b [f64]) -> impl Iterator<Item = &'b [f64]> {
        values.chunks_exact(self.settings.candidates)
    }

    /// Writes a candidate's position and returns the number of its path.
    pub(crate) fn write(&self, candidate: usize, position: &mut [f64]) -> usize {
        let (path, index) = (candidate / self.settings.candidates, candidate % self.settings.candidates);
        let number = self.numbers[path];
        let _ = self.normals[path].draw(&mut candidate_stream(self.settings.seed, number, index), position);
        number
    }

    /// Chooses candidates with replacement, with probabilities proportional to their weights.
    pub(crate) fn choose(&self, draws: usize, weights: &ParetoSmoothed) -> Vec<usize> {
        let mut sum = 0.0;
        let cumulative: Vec<f64> = weights
            .log_weights
            .iter()
            .map(|weight| {
                sum += weight.exp();
                sum
            })
            .collect();
        // Paths' streams end before the number of paths.
        let mut rng = stream(self.settings.seed, self.settings.paths, Purpose::Draw);
        let mut choose = || {
            let level = rng.random::<f64>() * sum;
            cumulative.partition_point(|below| *below <= level).min(cumulative.len() - 1)
        };
        (0..draws).map(|_| choose()).collect()
    }

    pub(crate) fn into_normals(self) -> Vec<LowRankNormal> {
        self.normals
    }
}

/// The stream of one candidate, 2²⁸ words long.
fn candidate_stream(seed: u64, path: usize, index: usize) -> ChainRng {
    let mut rng = stream(seed, path, Purpose::Draw);
    rng.set_word_pos((index as u128) << 28);
    rng
}

/// The log joint densities of a path's candidates.
fn evaluate(posterior: &dyn Posterior, settings: &Pathfinder, mut path: Path) -> Result<(Path, Vec<f64>), Failure> {
    let begin = Instant::now();
    let mut joint = LogJoint::full(posterior);
    let (mut position, mut gradient) = (vec![0.0; path.normal.dim()], vec![0.0; path.normal.dim()]);
    let mut log_densities = Vec::with_capacity(settings.candidates);
    for index in 0..settings.candidates {
        let _ = path.normal.draw(&mut candidate_stream(settings.seed, path.number, index), &mut position);
        match log_density(&mut joint, &position, &mut gradient) {
            Ok(value) => log_densities.push(value),
            Err(source) => return Err(path.failed(FitError::at(METHOD, path.iterations)(source))),
        }
    }
    path.draw_gradients = joint.gradients();
    path.draw_seconds = begin.elapsed().as_secs_f64();
    Ok((path, log_densities))
}

/// `ln q(position)` of the equal mixture of normals.
pub(crate) fn log_mixture(normals: &[LowRankNormal], position: &[f64]) -> f64 {
    let terms: Vec<f64> = normals.iter().map(|normal| normal.log_density(position)).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + (terms.iter().map(|term| (term - largest).exp()).sum::<f64>() / normals.len() as f64).ln()
}
