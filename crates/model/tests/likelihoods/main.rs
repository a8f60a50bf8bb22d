//! Check the likelihoods of outliers, counts, ordered classes and several targets against their definitions.

mod case;
mod definitions;
mod extremes;
mod models;
mod simulation;
