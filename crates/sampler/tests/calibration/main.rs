//! Prove priors, likelihoods, simulation and kernels together: joint distribution tests and simulation-based calibration.
#![expect(clippy::print_stdout, reason = "statistics beside their thresholds are worth reading")]

mod joint;
mod model;
mod ranks;

/// How many times the default sample sizes are used: `cargo xtask verify` sets `ERGODIC_CALIBRATION` to 8.
fn effort() -> usize {
    std::env::var("ERGODIC_CALIBRATION").ok().and_then(|value| value.parse().ok()).unwrap_or(1)
}
