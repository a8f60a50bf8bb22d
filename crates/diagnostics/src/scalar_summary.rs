//! Compute everything that is asked of one scalar at once, sorting its draws a single time.

use crate::chains::{MIN_DRAWS, Sample};
use crate::quantiles::equal_tails;
use crate::workspace::Workspace;
use crate::{Diagnostic, Interval, Status, ess, mcse, rhat};
use serde::Serialize;

/// Probability of the equal-tailed intervals in summaries; 89 % is what ArviZ 1 reports.
pub const INTERVAL_PROBABILITY: f64 = 0.89;

/// Location, spread and convergence of one scalar over chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScalarSummary {
    /// Mean of all draws.
    pub mean: f64,
    /// Standard deviation of all draws, with divisor `S − 1`.
    pub sd: f64,
    /// Median of all draws.
    pub median: f64,
    /// Equal-tailed interval of [`INTERVAL_PROBABILITY`].
    pub interval: Interval,
    /// Monte Carlo standard error of the mean.
    pub mcse_mean: Diagnostic,
    /// Monte Carlo standard error of the standard deviation.
    pub mcse_sd: Diagnostic,
    /// Effective sample size of the bulk.
    pub ess_bulk: Diagnostic,
    /// Effective sample size of the tails.
    pub ess_tail: Diagnostic,
    /// Rank-normalised split R-hat.
    pub rhat: Diagnostic,
    /// Bulk ESS as it would be if the chains agreed: what R-hat by chance alone depends on.
    #[serde(skip)]
    pub(crate) ess_within: Diagnostic,
}

impl ScalarSummary {
    /// Everything about one scalar, given as one series a chain; equal to the single functions' values.
    ///
    /// Chains are cut to the length of the shortest. Mean, sd, median and interval need one draw, the rest 4 per chain.
    ///
    /// ```
    /// use ergodic_diagnostics::ScalarSummary;
    /// let chain: Vec<f64> = (0..400).map(|i| f64::from(i * 149 % 401)).collect();
    /// let summary = ScalarSummary::compute(&[&chain]);
    /// assert_eq!(summary.ess_bulk, ergodic_diagnostics::ess_bulk(&[&chain]));
    /// ```
    #[must_use]
    pub fn compute(chains: &[impl AsRef<[f64]>]) -> Self {
        Self::compute_in(chains, true, &mut Workspace::default())
    }

    /// As [`compute`](Self::compute), in a workspace; `markov` says whether convergence has a meaning.
    pub(crate) fn compute_in(chains: &[impl AsRef<[f64]>], markov: bool, workspace: &mut Workspace) -> Self {
        let sample = match Sample::new(chains, 1) {
            Err(Status::Constant) => return Self::constant(chains[0].as_ref()[0], chains[0].as_ref().len(), markov),
            Err(status) => return Self::without_convergence(if markov { status } else { Status::NotMarkov }, status),
            Ok(sample) => sample,
        };
        workspace.order.sort(&sample);
        let order = &workspace.order;
        let (lower, upper) = equal_tails(INTERVAL_PROBABILITY);
        let located = Self {
            mean: sample.mean(),
            sd: mcse::variance_of(&sample).sqrt(),
            median: order.median(),
            interval: Interval { lower: order.quantile(lower), upper: order.quantile(upper), status: Status::Ok },
            ..Self::without_convergence(if markov { Status::TooFewDraws } else { Status::NotMarkov }, Status::Ok)
        };
        if !markov || sample.length < MIN_DRAWS {
            return located;
        }
        let mcse_mean = mcse::mean_kind(&sample, workspace);
        let mcse_sd = mcse::sd_kind(&sample, workspace);
        let ess_tail = ess::tail(&sample, workspace);
        // Bulk ESS and bulk R-hat read the same normal scores, so they follow each other.
        workspace.order.split_scores(&sample, &mut workspace.sequences);
        let readings = ess::of_sequences(workspace);
        let bulk = rhat::flag_single(&sample, rhat::of_sequences(&workspace.sequences));
        let ess_bulk = rhat::flag_single(&sample, readings.combined);
        let rhat = rhat::larger(bulk, rhat::folded(&sample, workspace));
        Self { mcse_mean, mcse_sd, ess_bulk, ess_tail, rhat, ess_within: readings.within, ..located }
    }

    /// All draws equal to `value`.
    fn constant(value: f64, draws: usize, markov: bool) -> Self {
        let status = if !markov {
            Status::NotMarkov
        } else if draws < MIN_DRAWS {
            Status::TooFewDraws
        } else {
            Status::Constant
        };
        let interval = Interval { lower: value, upper: value, status: Status::Constant };
        Self { mean: value, sd: 0.0, median: value, interval, ..Self::without_convergence(status, Status::Constant) }
    }

    fn without_convergence(status: Status, interval: Status) -> Self {
        let none = Diagnostic::undefined(status);
        Self {
            mean: f64::NAN,
            sd: f64::NAN,
            median: f64::NAN,
            interval: Interval::undefined(interval),
            mcse_mean: none,
            mcse_sd: none,
            ess_bulk: none,
            ess_tail: none,
            rhat: none,
            ess_within: none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_single_functions() {
        let chains: Vec<Vec<f64>> =
            (0..3).map(|c| (0..101).map(|i| f64::from((i * i + 17 * c) % 43) + 0.1 * f64::from(i)).collect()).collect();
        let all = chains.concat();
        let summary = ScalarSummary::compute(&chains);
        assert_eq!(summary.rhat, rhat::rhat(&chains));
        assert_eq!(summary.ess_bulk, ess::ess_bulk(&chains));
        assert_eq!(summary.ess_tail, ess::ess_tail(&chains));
        assert_eq!(summary.mcse_mean, mcse::mcse_mean(&chains));
        assert_eq!(summary.mcse_sd, mcse::mcse_sd(&chains));
        assert_eq!(summary.interval, crate::equal_tailed_interval(&all, INTERVAL_PROBABILITY));
        assert_eq!(summary.median, crate::quantile(&all, 0.5).value);
    }

    #[test]
    fn what_needs_no_chain_is_there_without_one() {
        let summary = ScalarSummary::compute(&[[1.0, 3.0]]);
        assert_eq!((summary.mean, summary.median), (2.0, 2.0));
        assert_eq!(summary.rhat.status, Status::TooFewDraws);
        let constant = ScalarSummary::compute(&[[5.0; 8]]);
        assert_eq!((constant.mean, constant.sd, constant.rhat.status), (5.0, 0.0, Status::Constant));
    }
}
