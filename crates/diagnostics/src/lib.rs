//! Judge whether draws may be believed: convergence diagnostics, summaries, calibration, comparison and plots.
//!
//! - One scalar: [`rhat`](rhat()), [`ess_bulk`], [`mcse_mean`] and their kin take its draws, one series a chain, and return a
//!   [`Diagnostic`]: a value with the reason when there is none. [`ScalarSummary`] computes all at once.
//! - A run: [`summary()`] for parameters and layers, [`function_diagnostics`] for predictions, [`sampler_health()`] for the sampler's
//!   own statistics, [`diagnose()`] for a verdict in plain words.
//! - Predictions of any origin: [`metrics`] scores them, [`compare()`] holds methods against each other.
//!
//! Every table carries the caveat of draws that are not exact.

mod autocorrelation;
mod burn_in;
mod chains;
mod compare;
mod diagnose;
mod diagnostic;
mod drift;
mod energy;
mod ess;
mod findings;
mod functions;
mod mcse;
pub mod metrics;
mod nested_rhat;
pub mod plots;
mod predictions_check;
mod provenance;
mod quantiles;
mod ranks;
mod rhat;
mod roll_up;
mod sampler_health;
mod scalar_summary;
mod special;
mod summary;
pub mod table;
mod workspace;

pub use autocorrelation::autocorrelation;
pub use compare::{CompareError, Comparison, ComparisonRow, Entry, compare};
pub use diagnose::{Diagnosis, Verdict, diagnose, diagnose_with};
pub use diagnostic::{Diagnostic, Interval, Status};
pub use drift::{Drift, drift};
pub use energy::ebfmi;
pub use ess::{ess_basic, ess_bulk, ess_mean, ess_median, ess_quantile, ess_sd, ess_tail};
pub use findings::{Finding, Severity, Thresholds};
pub use functions::{FunctionDiagnostics, FunctionRow, function_diagnostics};
pub use mcse::{mcse_mean, mcse_median, mcse_quantile, mcse_sd};
pub use nested_rhat::{SuperchainError, nested_rhat, nested_rhat_bulk};
pub use predictions_check::PredictionsError;
pub use provenance::Provenance;
pub use quantiles::{equal_tailed_interval, highest_density_interval, quantile};
pub use rhat::{RHAT_THRESHOLD, rhat, rhat_basic, rhat_bulk, rhat_folded, rhat_split};
pub use roll_up::{RollUp, Worst, rhat_by_chance};
pub use sampler_health::{ChainHealth, SamplerHealth, sampler_health};
pub use scalar_summary::{INTERVAL_PROBABILITY, ScalarSummary};
pub use summary::{Summary, SummaryGroup, SummaryOptions, SummaryRow, summary, summary_with};
