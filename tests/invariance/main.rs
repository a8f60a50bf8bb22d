//! Prove that every exact kernel leaves its target invariant, and that broken twins do not.
#![expect(clippy::print_stdout, reason = "distances beside their thresholds are worth reading")]

mod conservation;
mod kernels;
mod microcanonical;
mod microcanonical_twins;
mod mutants;
mod networks;
mod states;
mod stepwise;
mod stepwise_twins;
mod twins;
