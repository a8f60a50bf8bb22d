//! Carry where results come from to every table made of them: the method, the caveat, and how the chains ended.

use ergodic_draws::{Draws, Origin, Outcome};
use serde::Serialize;

/// Where a table's numbers come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// Name of the method.
    pub method: String,
    /// The kind of method.
    pub origin: Origin,
    /// Why results are not exact draws from the posterior; empty where they are.
    pub caveat: String,
    /// Chains that did not complete, and the run's warnings.
    pub notes: Vec<String>,
}

impl Provenance {
    /// The provenance of `draws`.
    #[must_use]
    pub fn of(draws: &Draws) -> Self {
        let mut notes = Vec::new();
        for (number, chain) in draws.report.chains.iter().enumerate() {
            let kept = draws.chains().get(number).map_or(0, ergodic_draws::ChainDraws::len);
            match &chain.outcome {
                Outcome::Completed => {}
                Outcome::Stopped(reason) => notes.push(format!("chain {number} stopped after {kept} draws: {reason}")),
                Outcome::Failed(reason) => notes.push(format!("chain {number} failed after {kept} draws: {reason}")),
                other => notes.push(format!("chain {number} ended after {kept} draws: {other:?}")),
            }
        }
        notes.extend(draws.report.warnings.iter().cloned());
        Self { method: draws.report.method.clone(), origin: draws.origin(), caveat: draws.caveat().unwrap_or_default(), notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_draws::{ChainDraws, ChainReport, Layout, RunReport, Temperatures};

    #[test]
    fn temperature_and_failures_are_carried() {
        let mut report = RunReport::new("sgld", 1);
        report.temperatures = Temperatures::both(0.1);
        report.warnings.push("step size was cut".to_owned());
        report.chains.push(ChainReport {
            warmup_gradients: 0,
            sampling_gradients: 0,
            warmup_seconds: 0.0,
            sampling_seconds: 0.0,
            tuned: std::collections::BTreeMap::new(),
            outcome: Outcome::Failed("no memory".to_owned()),
        });
        let chain = ChainDraws::from_positions(1, vec![1.0, 2.0]);
        let provenance = Provenance::of(&Draws::new(Layout::flat(1), Origin::BiasedMcmc, vec![chain], report));
        assert!(provenance.caveat.contains("biased") && provenance.caveat.contains("temperature 0.1"));
        assert_eq!(provenance.notes, ["chain 0 failed after 2 draws: no memory", "step size was cut"]);
    }
}
