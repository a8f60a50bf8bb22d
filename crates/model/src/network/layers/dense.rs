//! Multiply by a matrix and add biases.

use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{DenseBlock, FastLayer};

/// `y = W x + b`, with W of shape (outputs, inputs), as PyTorch's `Linear`.
///
/// It reads vectors; [`Flatten`](super::Flatten) makes one of an image.
///
/// ```
/// use ergodic_model::layers::{Dense, Layer};
/// assert_eq!(Dense::new(10).bind(&[84])?.output_shape(), [10]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dense {
    outputs: usize,
}

impl Dense {
    /// A layer with this many outputs.
    #[must_use]
    pub fn new(outputs: usize) -> Self {
        Self { outputs }
    }
}

impl Layer for Dense {
    fn kind(&self) -> String {
        "dense".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        let [inputs] = *input_shape else {
            return Err(LayerError::shape("[inputs]", input_shape, "put Flatten before it"));
        };
        if self.outputs == 0 {
            return Err(LayerError::Setting("has no outputs; give it at least 1".into()));
        }
        Ok(Box::new(BoundDense { inputs, shape: [self.outputs] }))
    }
}

#[derive(Debug)]
struct BoundDense {
    inputs: usize,
    shape: [usize; 1],
}

impl BoundLayer for BoundDense {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        let [outputs] = self.shape;
        vec![LayerParameter::weight(&[outputs, self.inputs], self.inputs), LayerParameter::bias(&[outputs], self.inputs)]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        let (matrix, biases) = weights.split_at(self.inputs * output.len());
        for ((y, row), bias) in output.iter_mut().zip(matrix.chunks_exact(self.inputs)).zip(biases) {
            *y = bias + row.iter().zip(input).map(|(w, x)| w * x).sum::<f64>();
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let (d_matrix, d_biases) = row.d_weights.split_at_mut(self.inputs * row.d_output.len());
        row.d_input.fill(0.0);
        for (output, d) in row.d_output.iter().enumerate() {
            let weights = &row.weights[output * self.inputs..][..self.inputs];
            let d_weights = &mut d_matrix[output * self.inputs..][..self.inputs];
            for (input, x) in row.input.iter().enumerate() {
                d_weights[input] += d * x;
                row.d_input[input] += d * weights[input];
            }
            d_biases[output] += d;
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let block = DenseBlock::new(self.inputs, self.shape[0]);
        Some(FastLayer::new(block.clone(), block))
    }
}
