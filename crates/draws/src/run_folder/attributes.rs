//! State what a run was and how far it came, in the attributes of a run folder's root.

use crate::{Column, Layout, Outcome, RunReport, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the attributes; it grows when older readers would misread newer folders.
pub(super) const FORMAT: u32 = 1;

/// The attributes of the root.
///
/// ArviZ shows all of them, and NetCDF can hold all of them: numbers, text, and lists of those. What is nested is text in JSON.
/// `layout`, `statistics`, `report` and the counts are what loading needs; the others repeat parts of these for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attributes {
    format: u32,
    created_at: String,
    creation_library: String,
    creation_library_version: String,
    creation_library_language: String,
    inference_library: String,
    inference_library_version: String,
    method: String,
    settings: String,
    seed: u64,
    #[serde(with = "crate::real", default)]
    likelihood_temperature: f64,
    #[serde(with = "crate::real", default)]
    prior_temperature: f64,
    #[serde(with = "crate::real")]
    sampling_time: f64,
    pub(super) origin: crate::Origin,
    /// What the user must know before trusting the draws; empty for exact ones.
    caveat: String,
    /// `running` until the run is finished, also when it was killed.
    pub(super) status: Status,
    /// Draws on disk of each chain.
    pub(super) chain_draws: Vec<usize>,
    /// Warm-up iterations on disk of each chain.
    pub(super) chain_warmup_draws: Vec<usize>,
    chain_outcomes: Vec<String>,
    #[serde(with = "json_text")]
    pub(super) layout: Layout,
    #[serde(with = "json_text")]
    pub(super) statistics: Vec<Column>,
    #[serde(with = "json_text")]
    pub(super) report: RunReport,
}

/// Whether a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Running,
    Finished,
}

impl Attributes {
    /// The attributes of a run that starts now.
    pub(super) fn new(schema: &Schema) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let mut attributes = Self {
            format: FORMAT,
            created_at: iso_8601(SystemTime::now()),
            creation_library: "ergodic".to_owned(),
            creation_library_version: version.to_owned(),
            creation_library_language: "Rust".to_owned(),
            inference_library: "ergodic".to_owned(),
            inference_library_version: version.to_owned(),
            method: String::new(),
            settings: String::new(),
            seed: 0,
            likelihood_temperature: 1.0,
            prior_temperature: 1.0,
            sampling_time: 0.0,
            origin: schema.origin,
            caveat: String::new(),
            status: Status::Running,
            chain_draws: vec![0; schema.chains],
            chain_warmup_draws: vec![0; schema.chains],
            chain_outcomes: Vec::new(),
            layout: (*schema.layout).clone(),
            statistics: schema.columns.clone(),
            report: schema.report.clone(),
        };
        attributes.set_report(&schema.report);
        attributes.set_running();
        attributes
    }

    /// Says that the run is not finished, or not any more.
    pub(super) fn set_running(&mut self) {
        self.status = Status::Running;
        self.chain_outcomes = vec!["running".to_owned(); self.chain_draws.len()];
    }

    /// Replaces the report, and what the attributes repeat of it.
    pub(super) fn set_report(&mut self, report: &RunReport) {
        self.method.clone_from(&report.method);
        self.settings = report.settings.to_string();
        self.seed = report.seed;
        (self.likelihood_temperature, self.prior_temperature) = (report.temperatures.likelihood, report.temperatures.prior);
        self.sampling_time = report.seconds;
        self.inference_library_version.clone_from(&report.version);
        self.caveat = report.caveat(self.origin).unwrap_or_default();
        self.chain_outcomes = report.chains.iter().map(|chain| describe(&chain.outcome)).collect();
        self.report = report.clone();
    }

    /// What groups repeat, so that it is seen where draws are read.
    pub(super) fn of_group(&self) -> serde_json::Value {
        serde_json::json!({
            "sample_dims": ["chain", "draw"],
            "created_at": self.created_at,
            "creation_library": self.creation_library,
            "creation_library_version": self.creation_library_version,
            "creation_library_language": self.creation_library_language,
            "inference_library": self.inference_library,
            "inference_library_version": self.inference_library_version,
            "origin": self.origin,
            "caveat": self.caveat,
        })
    }
}

/// One line for a chain's outcome.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed => "completed".to_owned(),
        Outcome::Stopped(reason) => format!("stopped: {reason}"),
        Outcome::Failed(reason) => format!("failed: {reason}"),
    }
}

/// A time in UTC, such as `2026-11-20T10:20:20+00:00`; the start of 1970 for times before it.
fn iso_8601(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}+00:00", month + 1, days + 1)
}

/// Nested values as one text in JSON, for `#[serde(with = "json_text")]`.
mod json_text {
    use super::{Deserialize, DeserializeOwned, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(value).map_err(serde::ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_dates_of_the_calendar() {
        let at = |seconds| iso_8601(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59+00:00");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00+00:00");
        assert_eq!(at(1_000_000_000), "2001-09-09T01:46:40+00:00");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00+00:00");
        assert_eq!(iso_8601(UNIX_EPOCH - Duration::from_secs(1)), at(0));
    }
}
