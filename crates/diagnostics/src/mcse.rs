//! Say how far an estimate may be off because draws are finite: Monte Carlo standard errors.

use crate::chains::{MIN_DRAWS, Sample, mean};
use crate::special::beta_quantile;
use crate::workspace::Workspace;
use crate::{Diagnostic, Status, ess};

/// Monte Carlo standard error of the mean: `sd / sqrt(ESS_mean)`, in the unit of the draws.
///
/// ```
/// let chain: Vec<f64> = (0..400).map(|i| f64::from(i * 149 % 401)).collect();
/// let error = ergodic_diagnostics::mcse_mean(&[&chain]).value;
/// assert!(error > 0.0 && error < 20.0);
/// ```
#[must_use]
pub fn mcse_mean(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_sample(chains, mean_kind)
}

/// Monte Carlo standard error of the standard deviation.
///
/// With `c = x − x̄` and `E = mean c²`: `sqrt((mean c⁴ − E²) / ESS(c²) / (4 E))` (Kenney & Keeping 1951), where the effective
/// sample size is that of `c²`, not of `x`.
#[must_use]
pub fn mcse_sd(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_sample(chains, sd_kind)
}

/// Monte Carlo standard error of the median.
#[must_use]
pub fn mcse_median(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    mcse_quantile(chains, 0.5)
}

/// Monte Carlo standard error of the `probability` quantile: half the distance of the order statistics at the 16 % and 84 %
/// quantiles of `Beta(E p + 1, E (1 − p) + 1)` with `E` the quantile's effective sample size (Vehtari et al. 2021, section 4.4).
#[must_use]
pub fn mcse_quantile(chains: &[impl AsRef<[f64]>], probability: f64) -> Diagnostic {
    if !(0.0..=1.0).contains(&probability) {
        return Diagnostic::undefined(Status::InvalidProbability);
    }
    with_sample(chains, |sample, workspace| {
        workspace.order.sort(sample);
        let ess = ess::quantile_kind(sample, workspace, probability);
        ess.map(|ess| {
            let (a, b) = (ess * probability + 1.0, ess * (1.0 - probability) + 1.0);
            let total = sample.total() as f64;
            let lower = (beta_quantile(0.158_655_3, a, b) * total).floor().max(1.0);
            let upper = (beta_quantile(0.841_344_7, a, b) * total).ceil().min(total);
            (workspace.order.value(upper as usize - 1) - workspace.order.value(lower as usize - 1)) / 2.0
        })
    })
}

fn with_sample(chains: &[impl AsRef<[f64]>], compute: impl FnOnce(&Sample<'_>, &mut Workspace) -> Diagnostic) -> Diagnostic {
    match Sample::new(chains, MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => compute(&sample, &mut Workspace::default()),
    }
}

pub(crate) fn mean_kind(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    let sd = variance_of(sample).sqrt();
    ess::mean_kind(sample, workspace).map(|ess| sd / ess.sqrt())
}

pub(crate) fn sd_kind(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    let centre = sample.mean();
    let second = mean(sample.values().map(|x| (x - centre).powi(2)), sample.total());
    let fourth = mean(sample.values().map(|x| (x - centre).powi(4)), sample.total());
    let ess = ess::sd_kind(sample, workspace);
    if ess.status == Status::Constant {
        // All draws are equally far from the mean: their standard deviation is known exactly.
        return Diagnostic::ok(0.0);
    }
    ess.map(|ess| ((fourth - second * second).max(0.0) / ess / second / 4.0).sqrt())
}

/// Variance of all draws with divisor `S − 1`.
pub(crate) fn variance_of(sample: &Sample<'_>) -> f64 {
    let centre = sample.mean();
    sample.values().map(|x| (x - centre) * (x - centre)).sum::<f64>() / (sample.total() as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_the_mean_has_the_unit_of_the_draws() {
        let chain: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101)).collect();
        let tenfold: Vec<f64> = chain.iter().map(|x| 10.0 * x).collect();
        let ratio = mcse_mean(&[&tenfold]).value / mcse_mean(&[&chain]).value;
        assert!((ratio - 10.0).abs() < 1e-10);
    }

    #[test]
    fn two_values_equally_far_from_the_mean_have_a_known_spread() {
        let chain: Vec<f64> = (0..100).map(|i| if i * 7 % 10 < 5 { 1.0 } else { -1.0 }).collect();
        assert_eq!(mcse_sd(&[&chain]), Diagnostic::ok(0.0));
    }

    #[test]
    fn probabilities_out_of_range_have_a_reason() {
        assert_eq!(mcse_quantile(&[[1.0, 2.0, 3.0, 4.0]], -0.1).status, Status::InvalidProbability);
    }
}
