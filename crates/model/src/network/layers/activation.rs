//! Apply an activation function to every value.

use super::{BackwardRow, BoundLayer, Layer, LayerError};
use crate::network::Activation;
use crate::network::composed::FastLayer;

/// The function applied to each value, whatever their shape.
///
/// ```
/// use ergodic_model::{Activation, layers::Layer};
/// assert_eq!(Activation::Relu.bind(&[6, 28, 28])?.output_shape(), [6, 28, 28]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
impl Layer for Activation {
    fn kind(&self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        Ok(Box::new(BoundActivation { activation: *self, shape: input_shape.to_vec() }))
    }
}

#[derive(Debug)]
struct BoundActivation {
    activation: Activation,
    shape: Vec<usize>,
}

impl BoundLayer for BoundActivation {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn forward(&self, _weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        for (y, x) in output.iter_mut().zip(input) {
            *y = self.activation.value_and_derivative(*x).0;
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        for ((d, x), d_output) in row.d_input.iter_mut().zip(row.input).zip(row.d_output) {
            *d = d_output * self.activation.value_and_derivative(*x).1;
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        Some(FastLayer::activation(self.activation))
    }
}
