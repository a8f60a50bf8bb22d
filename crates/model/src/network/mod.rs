//! Describe networks and evaluate them.

mod activation;
mod plain;
mod spec;

pub use activation::Activation;
pub(crate) use activation::sigmoid;
pub(crate) use plain::PlainNetwork;
pub use spec::{DenseLayer, Network, NetworkError};
