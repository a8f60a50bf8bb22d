//! Normalise each channel of an image by its mean square, and threshold what comes out.

use super::layer::image;
use super::layer_norm::check_epsilon;
use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{FastLayer, FilterResponseBlock};
use ergodic_draws::Role;

/// Filter response normalisation with its thresholded linear unit (Singh & Krishnan 2020), for images `[channels, rows, columns]`.
///
/// `y = max(g x / √(ν + ε) + b, t)` with ν the mean of x² over the pixels of a channel, and a gain g (the tensor `weight`), a bias b and
/// a threshold t for each channel. The threshold takes the place of an activation; a row's result depends on that row alone, which
/// batch normalisation's does not. Where the two are equal the derivative goes to the threshold.
///
/// ```
/// use ergodic_model::layers::{FilterResponseNorm, Layer};
/// let names: Vec<_> = FilterResponseNorm::new().bind(&[16, 28, 28])?.parameters().into_iter().map(|p| p.name).collect();
/// assert_eq!(names, ["weight", "bias", "threshold"]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FilterResponseNorm {
    epsilon: f64,
}

impl Default for FilterResponseNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl FilterResponseNorm {
    /// With ε = 10⁻⁶, the paper's.
    #[must_use]
    pub fn new() -> Self {
        Self { epsilon: 1e-6 }
    }

    /// The same with another ε.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon }
    }
}

impl Layer for FilterResponseNorm {
    fn kind(&self) -> String {
        "filter response norm".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        check_epsilon(self.epsilon)?;
        let shape = image(input_shape)?;
        if shape[1] * shape[2] < 2 {
            let remedy = "one pixel divided by its own size keeps its sign alone; leave the layer out";
            return Err(LayerError::shape("[channels, rows, columns] with at least 2 pixels", input_shape, remedy));
        }
        Ok(Box::new(BoundFilterResponseNorm { shape, epsilon: self.epsilon }))
    }
}

#[derive(Debug)]
struct BoundFilterResponseNorm {
    shape: [usize; 3],
    epsilon: f64,
}

impl BoundFilterResponseNorm {
    fn pixels(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// One over the root mean square of a channel.
    fn scale(&self, channel: &[f64]) -> f64 {
        let mean = channel.iter().map(|x| x * x).sum::<f64>() / channel.len() as f64;
        1.0 / (mean + self.epsilon).sqrt()
    }
}

impl BoundLayer for BoundFilterResponseNorm {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        let channels = [self.shape[0]];
        let threshold = LayerParameter { name: "threshold".into(), shape: channels.to_vec(), role: Role::Bias, fan_in: 1 };
        vec![LayerParameter::weight(&channels, 1), LayerParameter::bias(&channels, 1), threshold]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        let channels = self.shape[0];
        let images = input.chunks_exact(self.pixels()).zip(output.chunks_exact_mut(self.pixels()));
        for (channel, (x, y)) in images.enumerate() {
            let (gain, bias, threshold) = (weights[channel], weights[channels + channel], weights[2 * channels + channel]);
            let scale = self.scale(x);
            for (y, x) in y.iter_mut().zip(x) {
                let value = gain * x * scale + bias;
                *y = if value <= threshold { threshold } else { value };
            }
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let (channels, pixels) = (self.shape[0], self.pixels());
        for channel in 0..channels {
            let [gain, bias, threshold] = [0, 1, 2].map(|tensor| row.weights[tensor * channels + channel]);
            let x = &row.input[channel * pixels..][..pixels];
            let d_output = &row.d_output[channel * pixels..][..pixels];
            let d_input = &mut row.d_input[channel * pixels..][..pixels];
            let scale = self.scale(x);
            let mut product = 0.0;
            for i in 0..pixels {
                let normalised = x[i] * scale;
                let above = gain * normalised + bias > threshold;
                let d = if above { d_output[i] } else { 0.0 };
                row.d_weights[channel] += d * normalised;
                row.d_weights[channels + channel] += d;
                row.d_weights[2 * channels + channel] += d_output[i] - d;
                d_input[i] = d * gain;
                product += d * gain * normalised;
            }
            for i in 0..pixels {
                d_input[i] = scale * (d_input[i] - x[i] * scale * product / pixels as f64);
            }
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let block = FilterResponseBlock::new(self.shape[0], self.pixels(), self.epsilon);
        Some(FastLayer::new(block, block))
    }
}
