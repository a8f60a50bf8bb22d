//! Say in plain words whether to believe the draws, what is wrong with them, and what to try.

use crate::findings::{chains_and_draws, coordinates, divergences, energies, predictions as predictions_findings, run, trees};
use crate::{
    FunctionDiagnostics, PredictionsError, Provenance, SamplerHealth, Summary, function_diagnostics, sampler_health, summary,
};
use ergodic_draws::{Draws, Predictions};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether the draws describe what their chains sample from.
///
/// That may be an approximation of the posterior: the caveat of a [`Diagnosis`] says so, and no verdict takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing speaks against the draws.
    Trustworthy,
    /// There is nothing to converge: independent draws of an approximation. Judge them by their predictions.
    Unchecked,
    /// Something speaks against the draws, or too little speaks for them.
    Doubtful,
    /// The chains have not reached a common distribution.
    NotConverged,
}

impl Verdict {
    /// The exit status for programs: 0 for trustworthy or unchecked, 1 for doubtful, 2 for not converged.
    ///
    /// ```
    /// assert_eq!(ergodic_diagnostics::Verdict::NotConverged.exit_code(), 2);
    /// ```
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Trustworthy | Self::Unchecked => 0,
            Self::Doubtful => 1,
            Self::NotConverged => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trustworthy => "trustworthy: nothing speaks against these draws",
            Self::Unchecked => "unchecked: independent draws of an approximation have nothing to converge",
            Self::Doubtful => "doubtful: read the findings before using these draws",
            Self::NotConverged => "not converged: do not use these draws",
        })
    }
}

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
            chains: 4,
        }
    }
}

/// What [`diagnose`] concludes; `Display` writes the verdict, the caveat and the findings, the weightiest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Whether to believe the draws.
    pub verdict: Verdict,
    /// Where the draws come from; its caveat holds whatever the verdict.
    pub provenance: Provenance,
    /// What was noticed, the weightiest first.
    pub findings: Vec<Finding>,
    /// The summary that the findings rest on.
    pub summary: Summary,
    /// The diagnostics of the predictions, where there are any: for a network, the ground of the verdict.
    pub functions: Option<FunctionDiagnostics>,
    /// What the sampler reports.
    pub sampler: SamplerHealth,
}

/// Weighs all diagnostics with the default [`Thresholds`].
///
/// With predictions, a network is judged by them, and by its noise scales, hyperparameters and plain parameters; weights, which
/// are not identified one by one, give no more than a remark. Without predictions, weights that disagree make the draws
/// doubtful. An R-hat counts only where it is also above what chance alone would give in one of a hundred runs
/// ([`rhat_by_chance`](crate::rhat_by_chance)), and a low effective sample size counts by itself.
///
/// # Errors
/// When the predictions' parts do not fit together.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Layout, Origin, RunReport};
/// let chain = |shift: f64| ChainDraws::from_positions(1, (0..500).map(|i| f64::from(i * 149 % 503) + shift).collect());
/// let draws = Draws::new(Layout::flat(1), Origin::Mcmc, vec![chain(0.0), chain(1e4)], RunReport::new("nuts", 1));
/// let diagnosis = ergodic_diagnostics::diagnose(&draws, None)?;
/// assert_eq!(diagnosis.verdict, ergodic_diagnostics::Verdict::NotConverged);
/// # Ok::<(), ergodic_diagnostics::PredictionsError>(())
/// ```
pub fn diagnose(draws: &Draws, predictions: Option<&Predictions>) -> Result<Diagnosis, PredictionsError> {
    diagnose_with(draws, predictions, &Thresholds::default())
}

/// As [`diagnose`], with other limits.
///
/// # Errors
/// As [`diagnose`].
pub fn diagnose_with(
    draws: &Draws,
    predictions: Option<&Predictions>,
    thresholds: &Thresholds,
) -> Result<Diagnosis, PredictionsError> {
    let summary = summary(draws);
    let functions = predictions.map(function_diagnostics).transpose()?;
    let sampler = sampler_health(draws);
    let mut findings = run(draws, &summary.left_out);
    let markov = draws.origin().is_markov();
    if markov {
        findings.extend(chains_and_draws(&summary, thresholds));
        if let Some(functions) = &functions {
            findings.extend(predictions_findings(functions, thresholds));
        }
        findings.extend(coordinates(&summary, functions.is_some(), thresholds));
        findings.extend(divergences(&sampler, thresholds));
        findings.extend(energies(&sampler, thresholds));
        findings.extend(trees(&sampler, thresholds));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let verdict = match findings.first().map(|finding| finding.severity) {
        Some(Severity::Failure) => Verdict::NotConverged,
        Some(Severity::Warning) => Verdict::Doubtful,
        _ if !markov => Verdict::Unchecked,
        _ => Verdict::Trustworthy,
    };
    Ok(Diagnosis { verdict, provenance: summary.provenance.clone(), findings, summary, functions, sampler })
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.provenance.method, self.verdict)?;
        if !self.provenance.caveat.is_empty() {
            writeln!(f, "! {}", self.provenance.caveat)?;
        }
        for Finding { severity, message, advice } in &self.findings {
            let mark = match severity {
                Severity::Failure => "failure",
                Severity::Warning => "warning",
                Severity::Remark => "remark ",
            };
            writeln!(f, "  {mark}  {message}")?;
            if !advice.is_empty() {
                writeln!(f, "           {advice}")?;
            }
        }
        Ok(())
    }
}
