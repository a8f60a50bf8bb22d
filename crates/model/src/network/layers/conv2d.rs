//! Convolve images with kernels, in two dimensions.

use super::layer::{image, positive};
use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{ConvolutionBlock, FastLayer};

/// A two-dimensional convolution of images `[channels, rows, columns]`, as PyTorch's `Conv2d`.
///
/// `y[o, i, j] = b[o] + Σ W[o, c, k, l] x[c, i s₁ + k − p₁, j s₂ + l − p₂]` with strides s, zeros in a padding of width p around the
/// image, and W of shape (channels out, channels in, kernel rows, kernel columns). The output has
/// `(rows + 2 p₁ − kernel rows) / s₁ + 1` rows, rounded down, and columns alike.
///
/// ```
/// use ergodic_model::layers::{Conv2d, Layer};
/// let layer = Conv2d::new(6, [5, 5]).with_padding([2, 2]);
/// assert_eq!(layer.bind(&[1, 28, 28])?.output_shape(), [6, 28, 28]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv2d {
    channels: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Conv2d {
    /// Kernels of a given number of rows and columns for each of `channels` output channels; stride 1, no padding.
    #[must_use]
    pub fn new(channels: usize, kernel: [usize; 2]) -> Self {
        Self { channels, kernel, stride: [1, 1], padding: [0, 0] }
    }

    /// The same with another step between neighbouring outputs, in rows and columns.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }

    /// The same with rows and columns of zeros on each side of the image.
    #[must_use]
    pub fn with_padding(self, padding: [usize; 2]) -> Self {
        Self { padding, ..self }
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> String {
        "conv2d".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        let input = image(input_shape)?;
        positive("number of output channels", &[self.channels])?;
        positive("kernel", &self.kernel)?;
        positive("stride", &self.stride)?;
        let [rows, columns] =
            [0, 1].map(|side| window_places(input[1 + side], self.kernel[side], self.stride[side], self.padding[side]));
        let (Some(rows), Some(columns)) = (rows, columns) else {
            let expected = format!(
                "[channels, at least {}, at least {}]",
                least(self.kernel[0], self.padding[0]),
                least(self.kernel[1], self.padding[1])
            );
            return Err(LayerError::shape(expected, input_shape, "use a smaller kernel, or padding"));
        };
        let geometry = Geometry {
            input,
            output: [self.channels, rows, columns],
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        };
        Ok(Box::new(BoundConv2d { geometry }))
    }
}

/// The fewest rows or columns that a window with this padding fits in.
pub(crate) fn least(window: usize, padding: usize) -> usize {
    window.saturating_sub(2 * padding).max(1)
}

/// How many places a window has along one side of an image, if it has any.
pub(crate) fn window_places(length: usize, window: usize, stride: usize, padding: usize) -> Option<usize> {
    Some((length + 2 * padding).checked_sub(window)? / stride + 1)
}

/// The lengths of a convolution; shapes are `[channels, rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
}

impl Geometry {
    /// Number of inputs that an output sums over.
    pub(crate) fn taps(&self) -> usize {
        self.input[0] * self.kernel[0] * self.kernel[1]
    }

    /// Calls `visit` with (weight, input, output) for each product of one image.
    fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([channels, rows, columns], [outputs, high, wide]) = (self.input, self.output);
        let inside = |place: usize, stride: usize, tap: usize, padding: usize, length: usize| {
            (place * stride + tap).checked_sub(padding).filter(|at| *at < length)
        };
        for output in 0..outputs {
            for channel in 0..channels {
                for k in 0..self.kernel[0] {
                    for l in 0..self.kernel[1] {
                        let weight = ((output * channels + channel) * self.kernel[0] + k) * self.kernel[1] + l;
                        for i in 0..high {
                            let Some(y) = inside(i, self.stride[0], k, self.padding[0], rows) else { continue };
                            for j in 0..wide {
                                let Some(x) = inside(j, self.stride[1], l, self.padding[1], columns) else { continue };
                                visit(weight, (channel * rows + y) * columns + x, (output * high + i) * wide + j);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct BoundConv2d {
    geometry: Geometry,
}

impl BoundLayer for BoundConv2d {
    fn output_shape(&self) -> &[usize] {
        &self.geometry.output
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        let Geometry { input: [channels, ..], output: [outputs, ..], kernel: [high, wide], .. } = self.geometry;
        let fan_in = self.geometry.taps();
        vec![LayerParameter::weight(&[outputs, channels, high, wide], fan_in), LayerParameter::bias(&[outputs], fan_in)]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        let [channels, rows, columns] = self.geometry.output;
        let (kernels, biases) = weights.split_at(channels * self.geometry.taps());
        for (image, bias) in output.chunks_exact_mut(rows * columns).zip(biases) {
            image.fill(*bias);
        }
        self.geometry.for_each(|weight, from, to| output[to] += kernels[weight] * input[from]);
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let [channels, rows, columns] = self.geometry.output;
        let (d_kernels, d_biases) = row.d_weights.split_at_mut(channels * self.geometry.taps());
        for (image, bias) in row.d_output.chunks_exact(rows * columns).zip(d_biases) {
            *bias += image.iter().sum::<f64>();
        }
        row.d_input.fill(0.0);
        self.geometry.for_each(|weight, from, to| {
            d_kernels[weight] += row.d_output[to] * row.input[from];
            row.d_input[from] += row.d_output[to] * row.weights[weight];
        });
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let block = ConvolutionBlock::new(self.geometry);
        Some(FastLayer::new(block.clone(), block))
    }
}
