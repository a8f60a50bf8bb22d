//! Find chains that are still burning in: a log density, noise scale or hyperparameter that drifts, and log densities that disagree.

use crate::chains::UsableChains;
use crate::findings::{Finding, Severity, Thresholds, finding};
use crate::{Drift, ScalarSummary, drift, rhat_by_chance};
use ergodic_draws::{Draws, Role};

/// Name of the statistic that every sampler reports its log density under.
const LOG_DENSITY: &str = "lp";

const ADVICE: &str = "These draws are of the way to the posterior, and not from it, however well chains agree: warm up longer, or begin \
                      all chains at optimised weights (a warm start), and draw anew.";

/// What the kept draws say of whether warm-up was long enough.
///
/// The log density says most: it is one number for all of a network's weights, and rises for as long as chains burn in.
pub(crate) fn burn_in(draws: &Draws, thresholds: &Thresholds) -> Vec<Finding> {
    let lengths: Vec<usize> = draws.chains().iter().map(ergodic_draws::ChainDraws::len).collect();
    let usable = UsableChains::choose(&lengths);
    let cut = |series: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        let chosen = usable.chains.iter().filter_map(|&chain| series.get(chain)?.get(..usable.length));
        chosen.map(<[f64]>::to_vec).collect()
    };
    let log_density = draws.statistic(LOG_DENSITY).map(cut);
    let layout = draws.layout();
    let blocks = layout.blocks().iter().filter(|block| matches!(block.role, Role::Noise | Role::Hyperparameter));
    let scales = blocks.flat_map(ergodic_draws::Block::range);
    let of_scales = scales.map(|coordinate| (layout.coordinate_name(coordinate), drift(&cut(draws.coordinate(coordinate)))));
    let of_density = log_density.iter().map(|chains| ("the log density".to_owned(), drift(chains)));
    let drifts: Vec<(String, Drift)> = of_density.chain(of_scales).collect();
    let mut findings: Vec<Finding> = drifting(&drifts, thresholds).into_iter().collect();
    findings.extend(log_density.and_then(|chains| apart(&chains, thresholds)));
    findings
}

/// One finding for all quantities that drift. The probability is shared among those that were looked at, so that a healthy run is
/// accused as rarely whatever their number.
fn drifting(drifts: &[(String, Drift)], thresholds: &Thresholds) -> Option<Finding> {
    let looked_at = drifts.iter().filter(|(_, drift)| drift.status.is_defined()).count();
    let limit = thresholds.drift_probability / looked_at.max(1) as f64;
    let mut found: Vec<&(String, Drift)> = drifts.iter().filter(|(_, drift)| drift.p_value < limit).collect();
    // The log density comes first whatever the others do, then the furthest.
    found.sort_by(|(_, a), (_, b)| b.in_deviations().abs().total_cmp(&a.in_deviations().abs()));
    found.sort_by_key(|(name, _)| name != "the log density");
    let (first, others) = found.split_first()?;
    let furthest = found.iter().map(|(_, drift)| drift.in_deviations().abs()).fold(0.0, f64::max);
    let severity = if furthest > thresholds.drift_failure { Severity::Failure } else { Severity::Warning };
    let mut message = format!("the chains are still burning in: {}", in_words(first));
    if let Some(second) = others.first() {
        message = format!("{message}; {}", in_words(second));
    }
    if others.len() > 1 {
        message = format!("{message}; and {} more drift", others.len() - 1);
    }
    Some(finding(severity, message, ADVICE))
}

fn in_words((name, drift): &(String, Drift)) -> String {
    let Drift { early, late, early_share, p_value, .. } = drift;
    let part = if *early_share < 0.5 { "first tenth" } else { "first half" };
    let direction = if late > early { "rises" } else { "falls" };
    let chance = if *p_value < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p_value:.4}") };
    let deviations = drift.in_deviations().abs();
    format!(
        "{name} {direction} from {early:.4} in the {part} to {late:.4} in the last half, {deviations:.1} deviations ({chance})"
    )
}

/// Chains whose log densities have not the same distribution.
fn apart(chains: &[Vec<f64>], thresholds: &Thresholds) -> Option<Finding> {
    let ScalarSummary { rhat, ess_within, .. } = ScalarSummary::compute(chains);
    let (rhat, length) = (rhat.get()?, chains.first()?.len());
    let by_chance = rhat_by_chance(chains.len(), length, ess_within.get().unwrap_or(f64::NAN), 1, 0.01);
    if chains.len() < 2 || rhat <= thresholds.rhat || rhat <= by_chance {
        return None;
    }
    let means = chains.iter().map(|chain| crate::chains::mean(chain.iter().copied(), length));
    let [low, high] = means.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], mean| [low.min(mean), high.max(mean)]);
    let message =
        format!("chains disagree on the log density: R-hat is {rhat:.3}, and their means lie from {low:.4} to {high:.4} nats");
    let advice = "Chains are in places of different height, and the low ones may be on their way: warm up longer, or begin all \
                  chains at optimised weights.";
    let severity = if rhat > thresholds.rhat_failure { Severity::Warning } else { Severity::Remark };
    Some(finding(severity, message, advice))
}
