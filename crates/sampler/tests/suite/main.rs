//! Check kernels, adaptation and driver together, through public parts only.

mod determinism;
mod failures;
mod meetings;
mod microcanonical;
mod moments;
mod nuts_reference;
mod support;
