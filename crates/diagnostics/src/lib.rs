//! May I believe it: convergence diagnostics, summaries, calibration, comparison and plots.
//!
//! The functions at the root take the draws of one scalar, one series a chain, and return a [`Diagnostic`]: a value with the reason
//! when there is none.

mod autocorrelation;
mod chains;
mod diagnostic;
mod energy;
mod ess;
mod mcse;
mod nested_rhat;
mod quantiles;
mod ranks;
mod rhat;
mod scalar_summary;
mod special;
mod workspace;

pub use autocorrelation::autocorrelation;
pub use diagnostic::{Diagnostic, Interval, Status};
pub use energy::ebfmi;
pub use ess::{ess_basic, ess_bulk, ess_mean, ess_median, ess_quantile, ess_sd, ess_tail};
pub use mcse::{mcse_mean, mcse_median, mcse_quantile, mcse_sd};
pub use nested_rhat::{SuperchainError, nested_rhat, nested_rhat_bulk};
pub use quantiles::{equal_tailed_interval, highest_density_interval, quantile};
pub use rhat::{rhat, rhat_basic, rhat_bulk, rhat_folded, rhat_split};
pub use scalar_summary::{INTERVAL_PROBABILITY, ScalarSummary};
