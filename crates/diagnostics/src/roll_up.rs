//! Condense the diagnostics of many scalars to what one can read: the worst, the typical, and what chance alone would give.

use crate::quantiles::quantile_of_sorted;
use crate::table::Cell;
use crate::{Diagnostic, RHAT_THRESHOLD, ScalarSummary, Status};
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// One of the scalars with the largest R-hat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    /// Name of the coordinate or point.
    pub name: String,
    /// Its place among the scalars that were rolled up.
    pub index: usize,
    /// Its R-hat.
    pub rhat: f64,
    /// Its bulk ESS.
    pub ess_bulk: Diagnostic,
    /// Its tail ESS.
    pub ess_tail: Diagnostic,
}

/// Diagnostics of many scalars together.
///
/// Numbers are over the scalars whose diagnostic is defined, NaN where there is none; `undefined` says how many have no R-hat,
/// and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollUp {
    /// Number of scalars.
    pub count: usize,
    /// Largest R-hat.
    pub rhat_max: f64,
    /// 95 % quantile of R-hat.
    pub rhat_q95: f64,
    /// Median of R-hat.
    pub rhat_median: f64,
    /// Share of R-hat above [`RHAT_THRESHOLD`].
    pub rhat_share_above: f64,
    /// The largest R-hat that chance alone would give, see [`rhat_by_chance`].
    pub rhat_by_chance: f64,
    /// Median of the bulk ESS from correlations within half chains alone, which `rhat_by_chance` rests on.
    pub ess_within_median: f64,
    /// Smallest bulk ESS.
    pub ess_bulk_min: f64,
    /// 5 % quantile of bulk ESS.
    pub ess_bulk_q05: f64,
    /// Median of bulk ESS.
    pub ess_bulk_median: f64,
    /// Smallest tail ESS.
    pub ess_tail_min: f64,
    /// Median of tail ESS.
    pub ess_tail_median: f64,
    /// Median of the scalars' standard deviations.
    pub sd_median: f64,
    /// Scalars without R-hat, by reason.
    pub undefined: Vec<(Status, usize)>,
    /// The scalars with the largest R-hat, the worst first.
    pub worst: Vec<Worst>,
}

/// Number of chains and draws per chain that a roll-up's diagnostics come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChainShape {
    pub(crate) chains: usize,
    pub(crate) draws: usize,
}

impl RollUp {
    /// Rolls up summaries; `name` names the scalar of an index, `worst` is how many of the worst to name.
    pub(crate) fn new(summaries: &[ScalarSummary], shape: ChainShape, worst: usize, name: impl Fn(usize) -> String) -> Self {
        let rhat = sorted(summaries.iter().map(|s| s.rhat));
        let ess_bulk = sorted(summaries.iter().map(|s| s.ess_bulk));
        let ess_tail = sorted(summaries.iter().map(|s| s.ess_tail));
        let ess_within_median = quantile_of_sorted(&sorted(summaries.iter().map(|s| s.ess_within)), 0.5);
        let sd = sorted(summaries.iter().map(|s| Diagnostic::in_range(s.sd)));
        let above = rhat.len() - rhat.partition_point(|&r| r <= RHAT_THRESHOLD);
        let mut undefined: Vec<(Status, usize)> = Vec::new();
        for status in summaries.iter().map(|s| s.rhat.status).filter(|status| !status.is_defined()) {
            match undefined.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += 1,
                None => undefined.push((status, 1)),
            }
        }
        let mut order: Vec<usize> = (0..summaries.len()).filter(|&i| summaries[i].rhat.status.is_defined()).collect();
        order.sort_by(|&a, &b| summaries[b].rhat.value.total_cmp(&summaries[a].rhat.value));
        order.truncate(worst);
        let named = |index: usize| {
            let ScalarSummary { rhat, ess_bulk, ess_tail, .. } = summaries[index];
            Worst { name: name(index), index, rhat: rhat.value, ess_bulk, ess_tail }
        };
        Self {
            count: summaries.len(),
            rhat_max: quantile_of_sorted(&rhat, 1.0),
            rhat_q95: quantile_of_sorted(&rhat, 0.95),
            rhat_median: quantile_of_sorted(&rhat, 0.5),
            rhat_share_above: if rhat.is_empty() { f64::NAN } else { above as f64 / rhat.len() as f64 },
            rhat_by_chance: rhat_by_chance(shape.chains, shape.draws, ess_within_median, rhat.len(), 0.5),
            ess_within_median,
            ess_bulk_min: quantile_of_sorted(&ess_bulk, 0.0),
            ess_bulk_q05: quantile_of_sorted(&ess_bulk, 0.05),
            ess_bulk_median: quantile_of_sorted(&ess_bulk, 0.5),
            ess_tail_min: quantile_of_sorted(&ess_tail, 0.0),
            ess_tail_median: quantile_of_sorted(&ess_tail, 0.5),
            sd_median: quantile_of_sorted(&sd, 0.5),
            undefined,
            worst: order.into_iter().map(named).collect(),
        }
    }

    /// Headers of [`cells`](Self::cells).
    pub(crate) const COLUMNS: [&'static str; 11] = [
        "count",
        "R-hat max",
        "R-hat 95 %",
        "R-hat median",
        "share > 1.01",
        "max by chance",
        "ESS bulk min",
        "ESS bulk 5 %",
        "ESS bulk median",
        "ESS tail min",
        "undefined",
    ];

    /// The numbers as cells of a table.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let undefined: usize = self.undefined.iter().map(|(_, count)| count).sum();
        vec![
            Cell::Count(self.count as u64),
            Cell::fixed(self.rhat_max, 3),
            Cell::fixed(self.rhat_q95, 3),
            Cell::fixed(self.rhat_median, 3),
            Cell::share(self.rhat_share_above),
            Cell::fixed(self.rhat_by_chance, 3),
            Cell::fixed(self.ess_bulk_min, 0),
            Cell::fixed(self.ess_bulk_q05, 0),
            Cell::fixed(self.ess_bulk_median, 0),
            Cell::fixed(self.ess_tail_min, 0),
            Cell::Count(undefined as u64),
        ]
    }

    /// Why some scalars have no R-hat, in words; empty where all have one.
    pub(crate) fn undefined_note(&self, subject: &str) -> Option<String> {
        let reasons: Vec<String> = self.undefined.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        (!reasons.is_empty()).then(|| format!("{subject} without R-hat: {}", reasons.join("; ")))
    }
}

fn sorted(diagnostics: impl Iterator<Item = Diagnostic>) -> Vec<f64> {
    let mut values: Vec<f64> = diagnostics.filter_map(Diagnostic::get).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The level that the largest R-hat of `count` independent scalars passes with probability `exceedance` although all chains agree.
///
/// Among many weights some R-hat is above 1.01 by chance, and this is how far. The means of the `C` half chains, of `n` draws
/// each, scatter around their common value with variance `σ² C / ESS`, so that `R² = (n − 1)/n + (C / ESS) · χ²_{C−1} / (C − 1)`.
/// R-hat is the larger of a bulk and a folded value, so the level is that formula at the `(1 − exceedance)^(1 / (2 count))` quantile of
/// `χ²_{C−1}`. `ess` is that of a typical scalar from the correlations within half chains alone, lest chains that disagree excuse
/// themselves. Scalars that depend on each other stay below the level more often. NaN where `ess` or `count` is missing.
///
/// The level is a guide, not a test: for 100 autoregressive scalars (ρ = 0.5) on four chains that agree, the level at
/// `exceedance = 0.5` is passed by 68 %, 47 % and 35 % of runs with 200, 400 and 1000 draws per chain.
///
/// ```
/// let one = ergodic_diagnostics::rhat_by_chance(4, 1000, 1000.0, 1, 0.5);
/// let many = ergodic_diagnostics::rhat_by_chance(4, 1000, 1000.0, 100_000, 0.5);
/// assert!(1.0 < one && one < 1.01 && 1.01 < many && many < 1.03);
/// ```
#[must_use]
pub fn rhat_by_chance(chains: usize, draws: usize, ess: f64, count: usize, exceedance: f64) -> f64 {
    let (halves, n) = (2.0 * chains as f64, (draws / 2) as f64);
    let level = (1.0 - exceedance).powf(0.5 / count as f64);
    let possible = chains > 0 && n >= 1.0 && ess > 0.0 && count > 0 && exceedance > 0.0 && exceedance < 1.0;
    match ChiSquared::new(halves - 1.0) {
        Ok(distribution) if possible => {
            ((n - 1.0) / n + halves / ess * distribution.inverse_cdf(level) / (halves - 1.0)).sqrt()
        }
        _ => f64::NAN,
    }
}
