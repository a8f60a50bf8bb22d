//! May I believe it: convergence diagnostics, summaries, calibration, comparison and plots.

pub mod plots;
