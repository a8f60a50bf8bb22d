//! Record what a run was asked, what it cost and how it ended.

use crate::Temperatures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How one chain (or one member of an ensemble, or one optimisation) ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
#[non_exhaustive]
pub enum Outcome {
    /// All that was asked for is done.
    Completed,
    /// Stopped early by a signal or a budget; the text says which.
    Stopped(String),
    /// The model or the sampler reported an error; draws made before it are kept.
    Failed(String),
}

impl Outcome {
    /// Whether the chain did all that it was asked for.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed)
    }
}

/// What one chain did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainReport {
    /// Gradient evaluations spent before the first kept draw, warm starts and initial step-size search included.
    pub warmup_gradients: u64,
    /// Gradient evaluations spent on kept draws.
    pub sampling_gradients: u64,
    /// Wall time of warm-up in seconds.
    #[serde(with = "crate::real")]
    pub warmup_seconds: f64,
    /// Wall time of sampling in seconds.
    #[serde(with = "crate::real")]
    pub sampling_seconds: f64,
    /// Tuned quantities by name, such as `step_size`.
    #[serde(with = "crate::real::by_name")]
    pub tuned: BTreeMap<String, f64>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a run was asked, what it cost and how it ended.
///
/// JSON keeps every value exactly, NaN and the infinities included.
///
/// ```
/// use ergodic_draws::RunReport;
/// let mut report = RunReport::new("variational", 1);
/// report.objective.push((100, f64::NEG_INFINITY));
/// let json = serde_json::to_string(&report)?;
/// assert_eq!(serde_json::from_str::<RunReport>(&json)?, report);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the method in the registry, such as `nuts`.
    pub method: String,
    /// What was sampled, as the model describes itself, such as its standardisation; null where it says nothing.
    #[serde(default)]
    pub model: serde_json::Value,
    /// Settings of the method and the run.
    pub settings: serde_json::Value,
    /// Seed of all random streams.
    pub seed: u64,
    /// Temperatures of the density that was sampled; (1, 1) is the posterior itself.
    #[serde(alias = "temperature")]
    pub temperatures: Temperatures,
    /// Version of the crate that made the draws.
    pub version: String,
    /// Wall time of the whole run in seconds.
    #[serde(with = "crate::real")]
    pub seconds: f64,
    /// One report a chain.
    pub chains: Vec<ChainReport>,
    /// The objective against iterations, for methods that optimise: pairs of gradient evaluations and value in nats.
    #[serde(with = "crate::real::against_count")]
    pub objective: Vec<(u64, f64)>,
    /// What the user should know: chains that failed, settings that were changed, limits that were met.
    pub warnings: Vec<String>,
}

impl RunReport {
    /// An empty report of a method.
    #[must_use]
    pub fn new(method: impl Into<String>, seed: u64) -> Self {
        Self {
            method: method.into(),
            model: serde_json::Value::Null,
            settings: serde_json::Value::Null,
            seed,
            temperatures: Temperatures::POSTERIOR,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seconds: 0.0,
            chains: Vec::new(),
            objective: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Gradient evaluations of all chains, warm-up included: the fair cost of a result.
    #[must_use]
    pub fn gradients(&self) -> u64 {
        self.chains.iter().map(|chain| chain.warmup_gradients + chain.sampling_gradients).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(warmup_gradients: u64, sampling_gradients: u64, outcome: Outcome) -> ChainReport {
        ChainReport {
            warmup_gradients,
            sampling_gradients,
            warmup_seconds: 0.1,
            sampling_seconds: 1.0 / 3.0,
            tuned: BTreeMap::from([("step_size".to_owned(), f64::INFINITY)]),
            outcome,
        }
    }

    #[test]
    fn gradients_of_all_chains_and_phases_are_counted() {
        let mut report = RunReport::new("nuts", 1);
        report.chains = vec![chain(1, 10, Outcome::Completed), chain(100, 1000, Outcome::Stopped("signal".into()))];
        assert_eq!(report.gradients(), 1111);
        assert!(report.chains[0].outcome.is_completed() && !report.chains[1].outcome.is_completed());
    }

    #[test]
    fn json_keeps_every_value() {
        let mut report = RunReport::new("nuts", u64::MAX);
        report.chains = vec![chain(0, u64::MAX, Outcome::Failed("row 3".into()))];
        report.settings = serde_json::json!({"step_size": 0.1, "nested": [1, null, "x"]});
        report.seconds = 2.0;
        report.objective = vec![(1, f64::NEG_INFINITY), (u64::MAX, 5e-324)];
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<RunReport>(&json).unwrap(), report);
        report.seconds = f64::NAN;
        report.temperatures = Temperatures { likelihood: 0.5, prior: f64::INFINITY };
        let json = serde_json::to_string(&report).unwrap();
        let read = serde_json::from_str::<RunReport>(&json).unwrap();
        assert!(read.seconds.is_nan() && read.temperatures == report.temperatures);
        assert!(serde_json::from_str::<RunReport>(&json.replace("\"NaN\"", "\"none\"")).is_err());
    }

    #[test]
    fn a_report_with_one_temperature_is_read() {
        let mut json = serde_json::to_value(RunReport::new("nuts", 1)).unwrap();
        json.as_object_mut().unwrap().remove("temperatures");
        json["temperature"] = 0.5.into();
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap().temperatures, Temperatures::both(0.5));
    }
}
