//! Describe layers that compose to networks; each is also its own reference, one row at a time.

mod activation;
mod average_pool;
mod conv2d;
mod dense;
mod embedding;
mod filter_response_norm;
mod flatten;
mod layer;
mod layer_norm;
mod max_pool;
mod residual;
mod sequence;
mod window;

pub use average_pool::AveragePool;
pub use conv2d::Conv2d;
pub(crate) use conv2d::Geometry;
pub use dense::Dense;
pub use embedding::Embedding;
pub use filter_response_norm::FilterResponseNorm;
pub use flatten::Flatten;
pub use layer::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
pub use layer_norm::LayerNorm;
pub use max_pool::MaxPool;
pub use residual::Residual;
pub(crate) use sequence::{Misfit, Sequence};
pub(crate) use window::Windows;

pub use super::composed::FastLayer;
