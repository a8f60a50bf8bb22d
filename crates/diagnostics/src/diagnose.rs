//! Say in plain words whether to believe the draws, what is wrong with them, and what to try.

use crate::burn_in::burn_in;
use crate::findings::{
    Finding, Severity, Thresholds, chains_and_draws, coordinates, divergences, energies, predictions as predictions_findings,
    run, trees,
};
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
/// A log density, noise scale or hyperparameter that drifts between early and late draws ([`drift`](crate::drift())) means that chains are
/// still burning in, whatever else agrees.
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
        findings.extend(burn_in(draws, thresholds));
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
