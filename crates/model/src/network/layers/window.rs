//! Say which pixels the windows of a pooling layer cover.

use super::LayerError;
use super::conv2d::{least, window_places};
use super::layer::{image, positive};

/// Windows over the images of each channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) size: [usize; 2],
    stride: [usize; 2],
}

impl Windows {
    pub(crate) fn new(input_shape: &[usize], size: [usize; 2], stride: [usize; 2]) -> Result<Self, LayerError> {
        let input = image(input_shape)?;
        positive("window", &size)?;
        positive("stride", &stride)?;
        let [rows, columns] = [0, 1].map(|side| window_places(input[1 + side], size[side], stride[side], 0));
        let (Some(rows), Some(columns)) = (rows, columns) else {
            let expected = format!("[channels, at least {}, at least {}]", least(size[0], 0), least(size[1], 0));
            return Err(LayerError::shape(expected, input_shape, "use a smaller window"));
        };
        Ok(Self { input, output: [input[0], rows, columns], size, stride })
    }

    /// Each output with the input at its window's first pixel.
    #[inline(always)]
    pub(crate) fn starts(&self) -> impl Iterator<Item = (usize, usize)> {
        let ([channels, rows, columns], [_, high, wide], stride) = (self.input, self.output, self.stride);
        (0..channels * high * wide).map(move |output| {
            let (channel, y, x) = (output / (high * wide), output / wide % high, output % wide);
            (output, (channel * rows + y * stride[0]) * columns + x * stride[1])
        })
    }

    /// The inputs of the window that starts at `start`.
    #[inline(always)]
    pub(crate) fn pixels(&self, start: usize) -> impl Iterator<Item = usize> {
        let ([high, wide], columns) = (self.size, self.input[2]);
        (0..high * wide).map(move |pixel| start + pixel / wide * columns + pixel % wide)
    }
}
