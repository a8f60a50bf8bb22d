//! Describe networks and evaluate them: row by row as the reference, in blocks of rows for speed.

mod activate;
mod activation;
mod block;
mod builder;
pub(crate) mod composed;
mod dense;
mod dense_network;
mod feature_gradient;
#[cfg(test)]
mod feature_gradient_tests;
mod forward;
mod fused;
#[cfg(test)]
mod fused_tests;
mod gram;
pub mod layers;
mod local;
mod narrow;
mod parts;
#[cfg(test)]
mod parts_tests;
mod plain;
mod reference;
mod spec;
mod sums;
mod wide;

pub use activation::Activation;
pub(crate) use activation::sigmoid;
pub(crate) use block::PackedRows;
pub use builder::NetworkBuilder;
pub use dense_network::DenseLayer;
pub(crate) use dense_network::DenseNetwork;
pub(crate) use feature_gradient::{FeatureData, FeatureGradient, OutputLayer};
pub(crate) use fused::{FusedData, FusedGradient};
pub(crate) use local::{LocalNetwork, OutputPanel};
pub(crate) use parts::SplitGradient;
pub(crate) use plain::PlainNetwork;
pub(crate) use reference::ReferenceNetwork;
pub(crate) use spec::Form;
pub use spec::{Network, NetworkError, Tensor};
