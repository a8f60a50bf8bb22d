//! Sample seven published posteriors and hold every mean and standard deviation against their reference draws.
#![expect(clippy::print_stdout, reason = "a skipped check says so, and the agreement is a table worth reading")]

mod agreement;
mod eight_schools;
mod garch;
mod gradients;
mod mixture;
mod model;
mod reference;
mod regression;
mod samplers;
