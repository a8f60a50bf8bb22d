//! Fit posteriors with known answers, and hold the fits against them.

mod mean_field;
mod modes;
mod networks;
mod pathfinder;
mod posteriors;
