//! Count how many independent draws the chains are worth: effective sample sizes.
//!
//! All kinds rest on one estimator, Geyer's initial monotone sequence (Geyer 1992, Statistical Science 7(4)) on the
//! autocorrelations combined over chains (Vehtari et al. 2021, Bayesian Analysis 16(2)): for `C` sequences of `n` values
//! `ESS = C n / τ` with `τ = −1 + 2 Σ ρ_t + ρ_T`, and never more than `S log10 S` for `S = C n`.

use crate::chains::{MIN_DRAWS, Sample, Sequences, mean, variance};
use crate::rhat::flag_single;
use crate::workspace::Workspace;
use crate::{Diagnostic, Status};

/// Effective sample size of the bulk: of the normal scores of the half chains' ranks.
///
/// Defined for every distribution, heavy tails included, and invariant under monotone transforms. Vehtari et al. (2021) ask for
/// 100 per chain before R-hat and ESS themselves are to be trusted.
///
/// ```
/// let chain: Vec<f64> = (0..400).map(|i| f64::from(i * 149 % 401)).collect();
/// let other: Vec<f64> = (0..400).map(|i| f64::from(i * 211 % 401)).collect();
/// assert!(ergodic_diagnostics::ess_bulk(&[chain, other]).value > 100.0);
/// ```
#[must_use]
pub fn ess_bulk(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_order(chains, |sample, workspace| {
        workspace.order.split_scores(sample, &mut workspace.sequences);
        of_workspace(sample, workspace)
    })
}

/// Effective sample size of the tails: the smaller of those of the 5 % and the 95 % quantile.
#[must_use]
pub fn ess_tail(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_order(chains, tail)
}

/// Effective sample size for the mean, of the half chains.
#[must_use]
pub fn ess_mean(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_sample(chains, mean_kind)
}

/// Effective sample size for the standard deviation: of `(x − x̄)²` over the half chains.
#[must_use]
pub fn ess_sd(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_sample(chains, sd_kind)
}

/// Effective sample size for the median.
#[must_use]
pub fn ess_median(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    ess_quantile(chains, 0.5)
}

/// Effective sample size for the `probability` quantile `q`: of the indicator `x ≤ q` over the half chains.
///
/// [`Status::InvalidProbability`] unless `probability` is between 0 and 1; [`Status::Constant`] where all draws are on one side.
#[must_use]
pub fn ess_quantile(chains: &[impl AsRef<[f64]>], probability: f64) -> Diagnostic {
    if !(0.0..=1.0).contains(&probability) {
        return Diagnostic::undefined(Status::InvalidProbability);
    }
    with_order(chains, |sample, workspace| quantile_kind(sample, workspace, probability))
}

/// Effective sample size of the values of whole chains, without splitting or ranks.
#[must_use]
pub fn ess_basic(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_sample(chains, |sample, workspace| {
        sample.whole_into(&mut workspace.sequences);
        of_workspace(sample, workspace)
    })
}

fn with_sample(chains: &[impl AsRef<[f64]>], compute: impl FnOnce(&Sample<'_>, &mut Workspace) -> Diagnostic) -> Diagnostic {
    match Sample::new(chains, MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => compute(&sample, &mut Workspace::default()),
    }
}

fn with_order(chains: &[impl AsRef<[f64]>], compute: impl FnOnce(&Sample<'_>, &mut Workspace) -> Diagnostic) -> Diagnostic {
    with_sample(chains, |sample, workspace| {
        workspace.order.sort(sample);
        compute(sample, workspace)
    })
}

pub(crate) fn mean_kind(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    sample.split_into(&mut workspace.sequences, |x| x);
    of_workspace(sample, workspace)
}

pub(crate) fn sd_kind(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    let centre = sample.mean();
    sample.split_into(&mut workspace.sequences, |x| (x - centre) * (x - centre));
    of_workspace(sample, workspace)
}

/// Needs the sample's order.
pub(crate) fn tail(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    let lower = quantile_kind(sample, workspace, 0.05);
    let upper = quantile_kind(sample, workspace, 0.95);
    if !lower.status.is_defined() || lower.value <= upper.value { lower } else { upper }
}

/// Needs the sample's order.
pub(crate) fn quantile_kind(sample: &Sample<'_>, workspace: &mut Workspace, probability: f64) -> Diagnostic {
    // The largest draw has no draw above it, so the highest quantile is taken half a draw below it.
    let total = sample.total() as f64;
    let quantile = workspace.order.quantile(if probability == 1.0 { (total - 0.5) / total } else { probability });
    sample.split_into(&mut workspace.sequences, |x| f64::from(u8::from(x <= quantile)));
    of_workspace(sample, workspace)
}

/// ESS of the sequences that stand in the workspace.
pub(crate) fn of_workspace(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    flag_single(sample, of_sequences(workspace).combined)
}

/// Two readings of the same autocovariances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EssReadings {
    /// ESS with the variance between sequences counted in.
    pub(crate) combined: Diagnostic,
    /// ESS as it would be if the sequences agreed, from the correlations within them alone.
    pub(crate) within: Diagnostic,
}

/// Both readings of the sequences that stand in the workspace.
pub(crate) fn of_sequences(workspace: &mut Workspace) -> EssReadings {
    let sequences: &Sequences = &workspace.sequences;
    if sequences.is_constant() {
        let constant = Diagnostic::undefined(Status::Constant);
        return EssReadings { combined: constant, within: constant };
    }
    let (n, rows) = (sequences.length, sequences.rows().len());
    let covariances = workspace.autocovariance.mean_over(sequences);
    let within_variance = covariances[0];
    let mut total_variance = within_variance;
    if rows > 1 {
        total_variance += variance(sequences.rows().map(|row| mean(row.iter().copied(), n)), rows);
    }
    let rho = &mut workspace.correlations;
    if sequences.is_stuck() {
        // Without movement inside the sequences there are no correlations to read within them.
        let found = geyer(covariances, total_variance, rows, rho);
        let status = if found.status.is_defined() { Status::ChainsStuckApart } else { found.status };
        let combined = Diagnostic { status, ..found };
        return EssReadings { combined, within: Diagnostic::undefined(Status::Constant) };
    }
    if !(within_variance > 0.0 && total_variance.is_finite()) {
        let out_of_range = Diagnostic::undefined(Status::OutOfRange);
        return EssReadings { combined: out_of_range, within: out_of_range };
    }
    EssReadings {
        combined: geyer(covariances, total_variance, rows, rho),
        within: geyer(covariances, within_variance, rows, rho),
    }
}

/// Sums of two autocorrelations up to this are zero but for rounding, as they often are for indicators; where the sum stops must not
/// depend on the order of the chains.
const NOTHING: f64 = 1e-12;

/// Geyer's estimate from the mean autocovariances of `rows` sequences and the variance of all their values.
///
/// Sums of neighbouring pairs of autocorrelations are positive and decreasing for a reversible chain; the sum stops where an
/// estimate is not positive, and estimates that grow again are cut to the pair before.
fn geyer(covariances: &[f64], total_variance: f64, rows: usize, rho: &mut Vec<f64>) -> Diagnostic {
    let n = covariances.len();
    let within = covariances[0] * n as f64 / (n as f64 - 1.0);
    let correlation = |lag: usize| 1.0 - (within - covariances[lag]) / total_variance;
    rho.clear();
    rho.resize(n + 1, 0.0);
    let (mut even, mut odd) = (1.0, correlation(1));
    (rho[0], rho[1]) = (even, odd);
    let mut last = 0;
    while last + 5 < n && even + odd > NOTHING {
        last += 2;
        (even, odd) = (correlation(last), correlation(last + 1));
        if even + odd >= -NOTHING {
            (rho[last], rho[last + 1]) = (even, odd);
        }
    }
    if even > 0.0 {
        rho[last] = even;
    }
    for t in (2..last.saturating_sub(1)).step_by(2) {
        let before = rho[t - 2] + rho[t - 1];
        if rho[t] + rho[t + 1] > before {
            (rho[t], rho[t + 1]) = (before / 2.0, before / 2.0);
        }
    }
    let tau = -1.0 + 2.0 * rho[..last].iter().sum::<f64>() + rho[last];
    let total = rows as f64 * n as f64;
    let least = 1.0 / total.log10();
    if tau.is_nan() {
        Diagnostic::undefined(Status::OutOfRange)
    } else if tau >= least {
        Diagnostic::in_range(total / tau)
    } else {
        Diagnostic { value: total / least, status: Status::Capped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternating_draws_reach_the_cap() {
        let chain: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let ess = ess_mean(&[&chain, &chain, &chain, &chain]);
        assert_eq!(ess.status, Status::Capped);
        assert!((ess.value - 400.0 * 400f64.log10()).abs() < 1e-9);
    }

    #[test]
    fn extreme_quantiles_and_bad_probabilities_have_a_reason() {
        let chain: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 101)).collect();
        let chains = [&chain];
        assert_eq!(ess_quantile(&chains, 1.5).status, Status::InvalidProbability);
        assert_eq!(ess_quantile(&chains, f64::NAN).status, Status::InvalidProbability);
        assert!(ess_quantile(&chains, 1.0).value > 0.0);
        assert!(ess_quantile(&chains, 0.0).value > 0.0);
        let discrete: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        assert_eq!(ess_tail(&[&discrete]).status, Status::Constant);
    }
}
