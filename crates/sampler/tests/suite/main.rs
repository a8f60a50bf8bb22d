//! Check kernels, adaptation and driver together, through public parts only.

mod checkpoints;
mod determinism;
mod failures;
mod meetings;
mod moments;
mod nuts_reference;
mod support;
