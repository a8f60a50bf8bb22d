//! Turn diagnostics into findings in plain words, one rule a function.

use crate::{FunctionDiagnostics, RollUp, SamplerHealth, ScalarSummary, Status, Summary, SummaryGroup, rhat_by_chance};
use ergodic_draws::{Draws, Outcome, Role};
use serde::{Deserialize, Serialize};

/// How much a [`Finding`] weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; does not touch the verdict.
    Remark,
    /// Makes the draws doubtful.
    Warning,
    /// Means that the chains have not converged.
    Failure,
}

/// One thing that the diagnosis noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What was noticed, with its numbers.
    pub message: String,
    /// What to try; empty where nothing needs to be done.
    pub advice: String,
}

/// Limits beyond which something becomes a finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// R-hat above this is a warning; 1.01, Vehtari et al. (2021).
    pub rhat: f64,
    /// R-hat above this is a failure; 1.05, the older limit of Stan's tools.
    pub rhat_failure: f64,
    /// Bulk or tail ESS per chain below this is a warning; 100, Vehtari et al. (2021).
    pub ess_per_chain: f64,
    /// E-BFMI below this is a warning; 0.3, Betancourt (2016) as used by Stan and ArviZ.
    pub ebfmi: f64,
    /// Share of divergent draws above this is a failure; any divergence is a warning. 5 %, a choice of this crate.
    pub divergent_share: f64,
    /// Share of saturated trees above this is a warning, and any a remark; 5 %, a choice of this crate.
    pub saturated_share: f64,
    /// Mean acceptance rate below this is a warning; 0.1, a choice of this crate, far below every kernel's target.
    pub acceptance_rate: f64,
    /// A drift between early and late draws counts where chance alone would give one of its size with less than this probability, all
    /// quantities looked at together; 0.01, a choice of this crate.
    pub drift_probability: f64,
    /// Standard deviations that a drift must span to be a failure, and not a warning; 1, a choice of this crate.
    pub drift_failure: f64,
    /// Number of chains below which a warning (for one) or a remark is given; 4, Vehtari et al. (2021).
    pub chains: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            rhat: crate::RHAT_THRESHOLD,
            rhat_failure: 1.05,
            ess_per_chain: 100.0,
            ebfmi: 0.3,
            divergent_share: 0.05,
            saturated_share: 0.05,
            acceptance_rate: 0.1,
            drift_probability: 0.01,
            drift_failure: 1.0,
            chains: 4,
        }
    }
}

pub(crate) fn finding(severity: Severity, message: String, advice: impl Into<String>) -> Finding {
    Finding { severity, message, advice: advice.into() }
}

/// Chains that did not complete, warnings of the run, and draws that there are none of.
pub(crate) fn run(draws: &Draws, left_out: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, chain) in draws.report.chains.iter().enumerate() {
        match &chain.outcome {
            Outcome::Completed => {}
            // The driver's own warning, below, also knows after how many draws.
            Outcome::Stopped(_) if draws.report.warnings.iter().any(|w| w.starts_with(&format!("chain {number} stopped"))) => {}
            Outcome::Stopped(reason) => {
                findings.push(finding(Severity::Remark, format!("chain {number} stopped early: {reason}"), ""));
            }
            Outcome::Failed(reason) => {
                let advice = "Draws made before the failure may favour regions where the model does not fail.";
                findings.push(finding(Severity::Warning, format!("chain {number} failed: {reason}"), advice));
            }
            other => findings.push(finding(Severity::Warning, format!("chain {number} ended as {other:?}"), "")),
        }
    }
    findings.extend(left_out.iter().map(|note| finding(Severity::Warning, note.clone(), "")));
    findings.extend(draws.report.warnings.iter().map(|warning| finding(Severity::Remark, warning.clone(), "")));
    let failed = draws.report.chains.iter().filter(|chain| matches!(chain.outcome, Outcome::Failed(_))).count();
    if failed > 0 && failed == draws.report.chains.len() {
        let message = "every chain failed".to_owned();
        findings.push(finding(Severity::Failure, message, "Mend what the chains report; the draws before it may be biased."));
    }
    if draws.num_draws() == 0 {
        findings.push(finding(Severity::Failure, "there are no draws".to_owned(), "Ask for at least four draws per chain."));
    }
    findings
}

/// Too few chains to compare, or too few draws for any diagnostic.
pub(crate) fn chains_and_draws(summary: &Summary, thresholds: &Thresholds) -> Vec<Finding> {
    let (chains, draws) = (summary.chains, summary.draws);
    let mut findings = Vec::new();
    let advice = format!("Run {} chains from different starting points.", thresholds.chains);
    if chains == 1 {
        let message = "a single chain cannot show whether another start leads elsewhere".to_owned();
        findings.push(finding(Severity::Warning, message, advice));
    } else if chains > 0 && chains < thresholds.chains {
        findings.push(finding(Severity::Remark, format!("R-hat compares only {chains} chains"), advice));
    }
    if chains > 0 && draws < crate::chains::MIN_DRAWS {
        let message = format!("{draws} draws per chain are too few for any diagnostic");
        findings.push(finding(Severity::Failure, message, "Ask for at least 100 draws per chain."));
    }
    findings
}

/// How convergence of the predictions looks: the headline.
pub(crate) fn predictions(functions: &FunctionDiagnostics, thresholds: &Thresholds) -> Vec<Finding> {
    let judged = Judged { chains: functions.chains, draws: functions.draws, thresholds };
    let longer = "Run longer chains, or start them from optimised or annealed points; a less stiff posterior (standardised data, narrower \
                  network) mixes faster.";
    let scalars = functions.rows.iter().map(|row| &row.scalar);
    let mut findings = judged.group("the predictions", &functions.roll_up, scalars, Severity::Failure, longer);
    if let Some(noise) = &functions.noise {
        findings.extend(judged.roll_up("the predicted noise", noise, Severity::Failure, longer));
    }
    findings
}

/// Parameters that have a meaning of their own, and weights.
pub(crate) fn coordinates(summary: &Summary, with_predictions: bool, thresholds: &Thresholds) -> Vec<Finding> {
    let judged = Judged { chains: summary.chains, draws: summary.draws, thresholds };
    let mut findings = Vec::new();
    let scalars: Vec<ScalarSummary> = summary.rows.iter().map(|row| row.scalar).collect();
    if !scalars.is_empty() {
        let shape = crate::roll_up::ChainShape { chains: summary.chains, draws: summary.draws };
        let roll_up = RollUp::new(&scalars, shape, 1, |index| summary.rows[index].name.clone());
        let advice = "Run longer chains, or reparametrise (a scale and what it scales often need the non-centred form).";
        findings.extend(judged.group("the parameters", &roll_up, scalars.iter(), Severity::Failure, advice));
    }
    let is_weights = |role| matches!(role, Role::Weight | Role::Bias);
    for group in summary.groups.iter().filter(|group| !(with_predictions && is_weights(group.role))) {
        let (most, advice) = if is_weights(group.role) {
            let advice =
                "Weights are not identified one by one: pass predictions, which decide whether a network has converged.";
            (Severity::Warning, advice)
        } else {
            (Severity::Failure, "Run longer chains, or reparametrise.")
        };
        findings.extend(judged.roll_up(&group.name, &group.roll_up, most, advice));
    }
    if with_predictions {
        findings.extend(judged.weights(summary.groups.iter().filter(|group| is_weights(group.role))));
    }
    findings
}

/// What a group of diagnostics is judged by.
struct Judged<'a> {
    chains: usize,
    draws: usize,
    thresholds: &'a Thresholds,
}

impl Judged<'_> {
    /// Findings of a group with a look at every scalar for draws that are not finite.
    fn group<'s>(
        &self,
        subject: &str,
        roll_up: &RollUp,
        scalars: impl Iterator<Item = &'s ScalarSummary>,
        most: Severity,
        advice: &str,
    ) -> Vec<Finding> {
        let mut findings = self.roll_up(subject, roll_up, most, advice);
        let stuck = scalars.filter(|scalar| scalar.rhat.status == Status::ChainsStuckApart).count();
        if stuck > 0 {
            let message = format!("chains stand still at different values in {stuck} of {subject}");
            let advice = "The step size is far too large or the density is not finite around the chain.";
            findings.push(finding(most, message, advice));
        }
        findings
    }

    /// One remark about all weights that disagree, for a network that its predictions judge; and draws that are not finite.
    fn weights<'s>(&self, groups: impl Iterator<Item = &'s SummaryGroup> + Clone) -> Vec<Finding> {
        let mut findings = Vec::new();
        let disagree = groups.clone().filter(|group| group.roll_up.rhat_max > self.thresholds.rhat);
        if let Some(worst) = disagree.clone().max_by(|a, b| a.roll_up.rhat_max.total_cmp(&b.roll_up.rhat_max)) {
            let (count, rhat) = (disagree.count(), worst.roll_up.rhat_max);
            let message = format!("chains disagree on weights of {count} group(s): R-hat reaches {rhat:.3} in {}", worst.name);
            let advice = "Weights are not identified one by one: units may swap places without changing a prediction.";
            findings.push(finding(Severity::Remark, message, advice));
        }
        for group in groups {
            let lost = group.roll_up.undefined.iter().filter(|(status, _)| *status == Status::NonFinite);
            findings.extend(lost.map(|&(status, count)| undefined(&group.name, status, count)));
        }
        findings
    }

    /// Findings about R-hat, ESS and undefined values of a group, none weightier than `most`.
    fn roll_up(&self, subject: &str, roll_up: &RollUp, most: Severity, advice: &str) -> Vec<Finding> {
        let thresholds = self.thresholds;
        let mut findings = Vec::new();
        let by_chance = roll_up.by_chance_at(self.chains, self.draws, 0.01);
        let worst = roll_up.worst.first().map_or_else(String::new, |worst| format!(", the worst at {}", worst.name));
        if roll_up.rhat_max > thresholds.rhat && roll_up.rhat_max > by_chance {
            let severity = if roll_up.rhat_max > thresholds.rhat_failure { Severity::Failure } else { Severity::Warning };
            let message = format!(
                "chains disagree on {subject}: R-hat reaches {:.3}{worst}; {:.0} % are above {:.2}, the median is {:.3}",
                roll_up.rhat_max,
                100.0 * roll_up.rhat_share_above,
                thresholds.rhat,
                roll_up.rhat_median
            );
            findings.push(finding(severity.min(most), message, advice));
        }
        let needed = thresholds.ess_per_chain * self.chains as f64;
        let least = roll_up.ess_bulk_min.min(roll_up.ess_tail_min);
        if least < needed {
            let message = format!(
                "few effective draws of {subject}: the least ESS is {:.0} (bulk) and {:.0} (tail), {needed:.0} are needed",
                roll_up.ess_bulk_min, roll_up.ess_tail_min
            );
            let times = (needed / least).ceil();
            let advice = format!("Run about {times} times as many draws, or a sampler that moves further per draw.");
            findings.push(finding(Severity::Warning.min(most), message, advice));
        }
        for &(status, count) in &roll_up.undefined {
            let found = undefined(subject, status, count);
            if status == Status::Constant && count == roll_up.count {
                let advice = "The chains never moved: look at the acceptance rate, the step size and the starting point.";
                findings.push(finding(Severity::Failure, found.message, advice));
            } else {
                findings.push(found);
            }
        }
        findings
    }
}

/// Scalars without R-hat. Some constant ones are no fault: a pruned weight, a class that is never probable.
fn undefined(subject: &str, status: Status, count: usize) -> Finding {
    let (severity, advice) = match status {
        Status::NonFinite => (Severity::Failure, "Look for overflow in the model; no finite density has such draws."),
        Status::OutOfRange | Status::TooFewDraws | Status::TooFewChains => (Severity::Failure, ""),
        _ => (Severity::Remark, ""),
    };
    finding(severity, format!("{count} of {subject} have no R-hat: {status}"), advice)
}

impl RollUp {
    /// The level of R-hat that chance passes with the given probability, from the stored level's effective sample size.
    fn by_chance_at(&self, chains: usize, draws: usize, exceedance: f64) -> f64 {
        let defined = self.count - self.undefined.iter().map(|(_, count)| count).sum::<usize>();
        rhat_by_chance(chains, draws, self.ess_within_median, defined, exceedance).max(1.0)
    }
}

/// Divergent trajectories: the sampler could not follow the posterior's curvature there.
pub(crate) fn divergences(sampler: &SamplerHealth, thresholds: &Thresholds) -> Vec<Finding> {
    let mut findings = Vec::new();
    let draws = sampler.draws();
    if let Some(count) = sampler.divergences().filter(|&count| count > 0) {
        let share = count as f64 / draws.max(1) as f64;
        let severity = if share > thresholds.divergent_share { Severity::Failure } else { Severity::Warning };
        let message = format!("{count} of {draws} trajectories diverged ({:.1} %)", 100.0 * share);
        let advice = "Raise the target acceptance rate (a smaller step size), standardise the data, or reparametrise a funnel: \
                      regions of high curvature are left out of the draws.";
        findings.push(finding(severity, message, advice));
    }
    for chain in &sampler.chains {
        if let Some(rate) = chain.acceptance_rate.filter(|&rate| rate < thresholds.acceptance_rate) {
            let message = format!("chain {} accepts {:.1} % of its proposals", chain.chain, 100.0 * rate);
            findings.push(finding(Severity::Warning, message, "Lengthen the warm-up, or set a smaller step size."));
        }
    }
    findings
}

/// Energies that momentum refreshment cannot reach.
pub(crate) fn energies(sampler: &SamplerHealth, thresholds: &Thresholds) -> Vec<Finding> {
    let value = |chain: &crate::ChainHealth| chain.ebfmi.and_then(crate::Diagnostic::get).map(|value| (chain.chain, value));
    let mut low: Vec<(usize, f64)> =
        sampler.chains.iter().filter_map(value).filter(|(_, value)| *value < thresholds.ebfmi).collect();
    low.sort_by(|a, b| a.1.total_cmp(&b.1));
    let Some(&(chain, least)) = low.first() else { return Vec::new() };
    let message = format!("E-BFMI is below {} in {} chain(s), {least:.2} in chain {chain}", thresholds.ebfmi, low.len());
    let advice = "Heavy tails or a funnel: reparametrise scales (non-centred form), or lengthen the warm-up.";
    vec![finding(Severity::Warning, message, advice)]
}

/// Trajectories cut by the largest tree depth: correct, but slow.
pub(crate) fn trees(sampler: &SamplerHealth, thresholds: &Thresholds) -> Vec<Finding> {
    let draws = sampler.draws();
    let Some(count) = sampler.saturated_trees().filter(|&count| count > 0) else { return Vec::new() };
    let share = count as f64 / draws.max(1) as f64;
    let severity = if share > thresholds.saturated_share { Severity::Warning } else { Severity::Remark };
    let message = format!("{count} of {draws} trees reached their largest depth ({:.1} %)", 100.0 * share);
    let advice = "The draws are valid but cost much: raise the largest depth, or lengthen the warm-up for a better metric.";
    vec![finding(severity, message, advice)]
}
