//! Draws from a posterior: what is produced by samplers and approximations, how it is stored, and what it cost.
//!
//! This crate knows no model's mathematics and no sampler. A [`Layout`] names the coordinates of a flat position, a [`Sink`] receives
//! draws while they are made, [`Draws`] holds finished ones whatever their [`Origin`], and [`Predictions`] holds what a model says
//! about new inputs under each draw.
//!
//! Files for other programs: [`write_csv`] writes a table, [`write_safetensors`] named tensors, and [`SafetensorsFile`] reads those.
//!
//! Draws of one distribution stand for another by importance weights: [`pareto_smooth`] steadies them and says whether to trust them.
//!
//! Sinks that end in something: [`Memory`] becomes [`Draws`], [`RunFolder`] is a folder on disk that Python's ArviZ opens, and
//! [`Moments`] keeps means and variances alone. Sinks around sinks: [`Thin`] keeps every k-th draw, [`Tee`] hands draws to two.

mod csv;
mod draws;
mod layout;
mod memory;
mod moments;
mod origin;
mod pareto_smoothing;
mod per_chain;
mod predictions;
mod real;
mod report;
mod run_folder;
mod safetensors;
mod sink;
mod statistics;
mod tee;
mod temperatures;
mod thin;

pub use csv::write_csv;
pub use draws::{ChainDraws, Draws};
pub use layout::{Block, Layout, LayoutError, Role, Transform};
pub use memory::Memory;
pub use moments::{ChainMoments, Moments};
pub use origin::Origin;
pub use pareto_smoothing::{NoKhat, ParetoSmoothed, WeightError, pareto_smooth};
pub use predictions::{PredictionKind, Predictions};
pub use report::{ChainReport, Outcome, RunReport};
pub use run_folder::RunFolder;
pub use safetensors::{
    DrawSelection, SafetensorsError, SafetensorsFile, SafetensorsOptions, TensorNames, TensorPrecision, write_safetensors,
};
pub use sink::{ChainSink, DrawRef, Phase, Recorded, Schema, Sink, SinkError};
pub use statistics::{Column, Field, FieldKind, Statistics};
pub use tee::Tee;
pub use temperatures::Temperatures;
pub use thin::Thin;
