//! Check unadjusted draws against a short exact run that begins where they end, block by block, noise first.

use super::SliceGhmc;
use crate::{Method, Run, RunError, Sampler};
use ergodic_draws::{Block, Draws, Role};
use ergodic_model::{Posterior, position_of};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Settings of a check against an exact method.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{ExactnessCheck, Mclmc, Run, check_against_exact, sample};
/// let normal = density(10, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let draws = sample(&normal, &Mclmc::default(), &Run { draws: 2000, ..Run::default() })?;
/// let check = check_against_exact(&normal, &draws, &ExactnessCheck::default())?;
/// assert!(check.worst().is_some_and(|shift| shift.score.abs() < 5.0));
/// println!("{check}");
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExactnessCheck<M = SliceGhmc> {
    /// The exact method.
    pub exact: M,
    /// Its warm-up, draws, seed, threads and budget; as many chains run as there are in the draws, whatever `chains` says.
    pub run: Run,
}

impl Default for ExactnessCheck {
    fn default() -> Self {
        Self { exact: SliceGhmc::default(), run: Run { warmup: 300, ..Run::default() } }
    }
}

/// How far a block's unadjusted draws are from the exact ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// Name of the block.
    pub block: String,
    /// Mean over the unadjusted draws of the block's value: a scalar itself, unconstrained, or the root mean square of a tensor.
    pub unadjusted: f64,
    /// The same of the exact draws.
    pub exact: f64,
    /// Difference of the two in standard errors of the difference, which count autocorrelation and disagreement of chains.
    pub score: f64,
    /// Difference of the two in posterior standard deviations of the value, those of the exact draws.
    pub shift_in_sd: f64,
    /// Ratio of the value's standard deviations, unadjusted over exact.
    pub sd_ratio: f64,
}

/// What a check found, block by block: noise, then hyperparameters and other parameters, then weights and biases.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactnessReport {
    /// One row per block.
    pub shifts: Vec<Shift>,
    /// Gradient evaluations that the exact run took.
    pub gradients: u64,
    /// Warnings of the exact run.
    pub warnings: Vec<String>,
}

impl ExactnessReport {
    /// The row with the largest score.
    #[must_use]
    pub fn worst(&self) -> Option<&Shift> {
        self.shifts.iter().max_by(|a, b| a.score.abs().total_cmp(&b.score.abs()))
    }
}

impl fmt::Display for ExactnessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.shifts.iter().map(|shift| shift.block.len()).max().unwrap_or(0).max(5);
        writeln!(f, "{:width$}  unadjusted       exact  score  shift/sd  sd ratio", "block")?;
        for Shift { block, unadjusted, exact, score, shift_in_sd, sd_ratio } in &self.shifts {
            writeln!(
                f,
                "{block:width$}  {unadjusted:>10.4}  {exact:>10.4}  {score:>5.1}  {shift_in_sd:>8.3}  {sd_ratio:>8.3}"
            )?;
        }
        Ok(())
    }
}

/// Runs a short exact leg from the last draw of every chain, and compares it with the draws.
///
/// Scores beyond 4 in a few blocks are bias, or chains that move too slowly to tell: the exact chains begin where the unadjusted ones
/// end, so what they find different is different, and what they do not find needs as many exact draws as the question has digits.
///
/// # Errors
/// When the draws are not those of the posterior or too few, the exact run cannot start, or ends without draws.
pub fn check_against_exact<P: Posterior + ?Sized, M: Method>(
    posterior: &P,
    draws: &Draws,
    check: &ExactnessCheck<M>,
) -> Result<ExactnessReport, RunError> {
    let problem = |problem: String| RunError::Model { problem };
    if draws.layout().blocks() != posterior.draw_layout().blocks() {
        return Err(problem(
            "the draws have another layout than the posterior stores; check them against their own".to_owned(),
        ));
    }
    if draws.min_len() < FEWEST {
        return Err(problem(format!("a chain has {} draws; a check needs {FEWEST} or more", draws.min_len())));
    }
    let starts = draws.chains().iter().map(|chain| position_of(posterior, chain.position(chain.len() - 1)));
    let starts = starts.collect::<Result<Vec<_>, _>>().map_err(|error| problem(error.to_string()))?;
    let run = Run { chains: starts.len(), draws: check.run.draws.max(FEWEST), ..check.run };
    let exact = Sampler::new(posterior, check.exact.clone(), run).initial_positions(&starts).run()?;
    let mut blocks: Vec<&Block> = draws.layout().blocks().iter().collect();
    blocks.sort_by_key(|block| match block.role {
        Role::Noise => 0,
        Role::Hyperparameter | Role::Parameter => 1,
        _ => 2,
    });
    let shifts = blocks.into_iter().map(|block| shift(block, draws, &exact)).collect();
    Ok(ExactnessReport { shifts, gradients: exact.report.gradients(), warnings: exact.report.warnings.clone() })
}

/// Fewest draws of a chain: four batches of four.
const FEWEST: usize = 16;

fn shift(block: &Block, draws: &Draws, exact: &Draws) -> Shift {
    let value = |position: &[f64]| {
        let values = &position[block.range()];
        match values {
            [value] => *value,
            values => (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt(),
        }
    };
    let of = |draws: &Draws| {
        let chains: Vec<Vec<f64>> = draws.chains().iter().map(|chain| chain.positions().map(value).collect()).collect();
        moments(&chains)
    };
    let ([unadjusted, sd, error], [exact, exact_sd, exact_error]) = (of(draws), of(exact));
    let difference = unadjusted - exact;
    let ratio = |a: f64, b: f64| if a == b { 0.0 } else { a / b };
    Shift {
        block: block.name.clone(),
        unadjusted,
        exact,
        score: ratio(difference, error.hypot(exact_error)),
        shift_in_sd: ratio(difference, exact_sd),
        sd_ratio: if sd == exact_sd { 1.0 } else { sd / exact_sd },
    }
}

/// Mean, standard deviation, and the mean's standard error: the larger of that from batches of √n draws and that from chains' means.
fn moments(chains: &[Vec<f64>]) -> [f64; 3] {
    let mean_of = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    };
    let mean = mean_of(&mut chains.iter().flatten().copied());
    let sd = mean_of(&mut chains.iter().flatten().map(|x| (x - mean).powi(2))).sqrt();
    let error_of = |means: &[f64]| {
        let center = mean_of(&mut means.iter().copied());
        let count = means.len() as f64;
        (means.iter().map(|x| (x - center).powi(2)).sum::<f64>() / (count - 1.0).max(1.0) / count).sqrt()
    };
    let batches: Vec<f64> = chains
        .iter()
        .flat_map(|chain| {
            chain.chunks_exact((chain.len() as f64).sqrt() as usize).map(|batch| mean_of(&mut batch.iter().copied()))
        })
        .collect();
    let means: Vec<f64> = chains.iter().map(|chain| mean_of(&mut chain.iter().copied())).collect();
    [mean, sd, error_of(&batches).max(error_of(&means))]
}
