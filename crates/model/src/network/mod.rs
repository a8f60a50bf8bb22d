//! Describe networks and evaluate them: row by row as the reference, in blocks of rows for speed.

mod activate;
mod activation;
mod block;
mod dense;
mod feature_gradient;
#[cfg(test)]
mod feature_gradient_tests;
mod fused;
#[cfg(test)]
mod fused_tests;
mod gram;
mod local;
mod plain;
mod spec;

pub use activation::Activation;
pub(crate) use activation::sigmoid;
pub(crate) use block::PackedRows;
pub(crate) use feature_gradient::{FeatureData, FeatureGradient, OutputLayer};
pub(crate) use fused::{FusedData, FusedGradient};
pub(crate) use local::{LocalNetwork, OutputPanel};
pub(crate) use plain::PlainNetwork;
pub use spec::{DenseLayer, Network, NetworkError, Tensor};
