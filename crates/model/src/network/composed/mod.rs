//! Evaluate networks of any layers on lines of rows.

mod average_pool;
mod block_layer;
mod convolution;
mod dense;
mod embedding;
mod filter_response_norm;
mod gradient;
mod layer_norm;
mod max_pool;
mod products;
mod residual;
mod row_network;
mod row_wise;
mod sequence;
mod slopes;
#[cfg(test)]
mod tests;

pub(crate) use average_pool::AveragePoolBlock;
pub use block_layer::FastLayer;
pub(crate) use convolution::ConvolutionBlock;
pub(crate) use dense::DenseBlock;
pub(crate) use embedding::EmbeddingBlock;
pub(crate) use filter_response_norm::FilterResponseBlock;
pub(crate) use gradient::{ComposedData, ComposedGradient, Lined};
pub(crate) use layer_norm::LayerNormBlock;
pub(crate) use max_pool::MaxPoolBlock;
pub(crate) use residual::ResidualBlock;
pub(crate) use row_network::RowNetwork;
pub(crate) use sequence::BlockSequence;
