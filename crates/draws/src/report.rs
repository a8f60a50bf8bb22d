//! Record what a run was asked, what it cost and how it ended.

use crate::{Origin, Temperatures};
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

    /// What tables, plots and files write beside draws of `origin`; `None` when they follow the posterior itself.
    ///
    /// Where chains without an accept step report their `energy_variance_per_dimension`, that of the worst chain is named, with what it
    /// implies.
    ///
    /// ```
    /// use ergodic_draws::{Origin, RunReport};
    /// assert_eq!(RunReport::new("nuts", 1).caveat(Origin::Mcmc), None);
    /// assert!(RunReport::new("mclmc", 1).caveat(Origin::BiasedMcmc).unwrap().contains("biased"));
    /// ```
    #[must_use]
    pub fn caveat(&self, origin: Origin) -> Option<String> {
        caveat(origin, self.temperatures, self.largest_energy_variance())
    }

    /// The realised energy variance per dimension, E(ΔE²)/D of a step, of the chain that has most; NaN where one is not a number, and
    /// `None` where no chain reports it.
    #[must_use]
    pub fn largest_energy_variance(&self) -> Option<f64> {
        let variances = self.chains.iter().filter_map(|chain| chain.tuned.get("energy_variance_per_dimension").copied());
        variances.max_by(f64::total_cmp)
    }
}

/// The caveat of draws of `origin` at `temperatures`, with what their energy variance implies.
pub(crate) fn caveat(origin: Origin, temperatures: Temperatures, energy_variance: Option<f64>) -> Option<String> {
    let caveat = origin.caveat_at(temperatures)?;
    match energy_variance {
        Some(variance) if origin == Origin::BiasedMcmc => Some(format!("{caveat}; {}", implied_bias(variance))),
        _ => Some(caveat),
    }
}

/// What an energy variance per dimension implies: predictive standard deviations within 2 % up to 10⁻³ (a target of 5·10⁻⁴ realises as
/// much), a third to a half too large from 0.1 on, as measured on tanh networks of 400 to 2,400 weights.
fn implied_bias(variance: f64) -> String {
    let implied = match variance {
        v if v <= 1e-3 => "predictive standard deviations of small networks are within about 1 to 2 % there",
        v if v < 0.1 => {
            "predictive standard deviations of small networks are off by more than 2 % there, though less than by a third"
        }
        _ => "predictive standard deviations of small networks may be a third to a half too large there",
    };
    format!("energy variance per dimension {variance:.1e} in the worst chain: {implied}; check_against_exact measures it")
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
    fn the_caveat_of_biased_draws_names_the_worst_chains_energy_variance() {
        let mut report = RunReport::new("mclmc", 1);
        report.chains = vec![chain(0, 1, Outcome::Completed), chain(0, 1, Outcome::Completed)];
        let plain = report.caveat(Origin::BiasedMcmc).unwrap();
        assert_eq!(plain, Origin::BiasedMcmc.caveat());
        let mut with = |variances: [f64; 2], origin| {
            for (chain, variance) in report.chains.iter_mut().zip(variances) {
                chain.tuned.insert("energy_variance_per_dimension".to_owned(), variance);
            }
            report.caveat(origin)
        };
        for (variances, named, implied) in [
            ([3e-4, 7e-4], "7.0e-4", "within about 1 to 2 %"),
            ([2e-2, 7e-4], "2.0e-2", "more than 2 %"),
            ([0.0, 0.4], "4.0e-1", "third to a half"),
            ([1e-4, f64::NAN], "NaN", "third to a half"),
        ] {
            let caveat = with(variances, Origin::BiasedMcmc).unwrap();
            assert!(caveat.starts_with(&plain) && caveat.contains(named) && caveat.contains(implied), "{caveat}");
            assert!(
                caveat.contains("noise scale") && caveat.contains("check_against_exact") && !caveat.contains('\n'),
                "{caveat}"
            );
        }
        assert_eq!(with([0.4, 0.4], Origin::Mcmc), None);
        assert_eq!(with([0.4, 0.4], Origin::Point).as_deref(), Some(Origin::Point.caveat()));
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
