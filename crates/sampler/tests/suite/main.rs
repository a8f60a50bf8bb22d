//! Check kernels, adaptation and driver together, through public parts only.

mod checkpoints;
mod determinism;
mod exactness;
mod failures;
mod hamiltonian;
mod meetings;
mod microcanonical;
mod moments;
mod nuts_reference;
mod support;
