//! Read values of any shape as one vector.

use super::{BackwardRow, BoundLayer, Layer, LayerError};
use crate::network::Activation;
use crate::network::composed::FastLayer;

/// The same values as a vector, in row-major order; it costs nothing.
///
/// ```
/// use ergodic_model::layers::{Flatten, Layer};
/// assert_eq!(Flatten.bind(&[16, 5, 5])?.output_shape(), [400]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    fn kind(&self) -> String {
        "flatten".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        Ok(Box::new(BoundFlatten { shape: [input_shape.iter().product()] }))
    }
}

#[derive(Debug)]
struct BoundFlatten {
    shape: [usize; 1],
}

impl BoundLayer for BoundFlatten {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn forward(&self, _weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        output.copy_from_slice(input);
    }

    fn backward(&self, row: BackwardRow<'_>) {
        row.d_input.copy_from_slice(row.d_output);
    }

    fn fast_path(&self) -> Option<FastLayer> {
        Some(FastLayer::activation(Activation::Identity))
    }
}
