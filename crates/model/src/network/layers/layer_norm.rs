//! Normalise each row's values to mean 0 and variance 1.

use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{FastLayer, LayerNormBlock};

/// Layer normalisation over all values of a row (Ba, Kiros & Hinton 2016), as PyTorch's `LayerNorm` over the whole shape.
///
/// `y = g (x − m) / √(v + ε) + b` with mean m and variance v (with n) of the row's values, and a gain g and bias b for each value. The
/// gains are the tensor `weight`.
///
/// ```
/// use ergodic_model::layers::{Layer, LayerNorm};
/// assert_eq!(LayerNorm::new().bind(&[16])?.parameters().len(), 2);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    epsilon: f64,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// With ε = 10⁻⁵, PyTorch's.
    #[must_use]
    pub fn new() -> Self {
        Self { epsilon: 1e-5 }
    }

    /// The same with another ε.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon }
    }
}

/// Checks the ε of a normalisation.
pub(super) fn check_epsilon(epsilon: f64) -> Result<(), LayerError> {
    if epsilon.is_finite() && epsilon > 0.0 {
        return Ok(());
    }
    Err(LayerError::Setting(format!("has an epsilon of {epsilon}; it must be positive and finite")))
}

impl Layer for LayerNorm {
    fn kind(&self) -> String {
        "layer norm".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        check_epsilon(self.epsilon)?;
        if input_shape.iter().product::<usize>() < 2 {
            let remedy = "one value minus its own mean is always 0; leave the layer out";
            return Err(LayerError::shape("at least 2 values", input_shape, remedy));
        }
        Ok(Box::new(BoundLayerNorm { shape: input_shape.to_vec(), epsilon: self.epsilon }))
    }
}

#[derive(Debug)]
struct BoundLayerNorm {
    shape: Vec<usize>,
    epsilon: f64,
}

impl BoundLayerNorm {
    /// The mean, and one over the standard deviation.
    fn moments(&self, input: &[f64]) -> (f64, f64) {
        let count = input.len() as f64;
        let mean = input.iter().sum::<f64>() / count;
        let variance = input.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + self.epsilon).sqrt())
    }
}

impl BoundLayer for BoundLayerNorm {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        vec![LayerParameter::weight(&self.shape, 1), LayerParameter::bias(&self.shape, 1)]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        let (mean, scale) = self.moments(input);
        let (gains, biases) = weights.split_at(input.len());
        for (i, y) in output.iter_mut().enumerate() {
            *y = gains[i] * (input[i] - mean) * scale + biases[i];
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let count = row.input.len();
        let (mean, scale) = self.moments(row.input);
        let (d_gains, d_biases) = row.d_weights.split_at_mut(count);
        let (mut sum, mut product) = (0.0, 0.0);
        for i in 0..count {
            let normalised = (row.input[i] - mean) * scale;
            let d = row.d_output[i] * row.weights[i];
            d_gains[i] += row.d_output[i] * normalised;
            d_biases[i] += row.d_output[i];
            sum += d;
            product += d * normalised;
        }
        for i in 0..count {
            let normalised = (row.input[i] - mean) * scale;
            let d = row.d_output[i] * row.weights[i];
            row.d_input[i] = scale * (d - (sum + normalised * product) / count as f64);
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let block = LayerNormBlock::new(self.shape.iter().product(), self.epsilon);
        Some(FastLayer::new(block, block))
    }
}
