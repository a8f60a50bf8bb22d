//! Take the largest value of images over windows.

use super::window::Windows;
use super::{BackwardRow, BoundLayer, Layer, LayerError};
use crate::network::composed::{FastLayer, MaxPoolBlock};

/// The largest value in windows of images `[channels, rows, columns]`, as PyTorch's `MaxPool2d` without padding.
///
/// Where several values are largest the derivative goes to the first of them, row by row. Rows and columns that no window fits over
/// are left out.
///
/// ```
/// use ergodic_model::layers::{Layer, MaxPool};
/// let overlapping = MaxPool::new([3, 3]).with_stride([2, 2]);
/// assert_eq!(overlapping.bind(&[6, 29, 29])?.output_shape(), [6, 14, 14]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    window: [usize; 2],
    stride: [usize; 2],
}

impl MaxPool {
    /// Windows of a given number of rows and columns, side by side.
    #[must_use]
    pub fn new(window: [usize; 2]) -> Self {
        Self { window, stride: window }
    }

    /// The same with another step from window to window, in rows and columns.
    #[must_use]
    pub fn with_stride(self, stride: [usize; 2]) -> Self {
        Self { stride, ..self }
    }
}

impl Layer for MaxPool {
    fn kind(&self) -> String {
        "max pool".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        Ok(Box::new(BoundMaxPool { windows: Windows::new(input_shape, self.window, self.stride)? }))
    }
}

#[derive(Debug)]
struct BoundMaxPool {
    windows: Windows,
}

impl BoundLayer for BoundMaxPool {
    fn output_shape(&self) -> &[usize] {
        &self.windows.output
    }

    fn forward(&self, _weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        for (to, start) in self.windows.starts() {
            let larger = |a: f64, b: f64| if a.is_nan() || a >= b { a } else { b };
            output[to] = self.windows.pixels(start).map(|from| input[from]).fold(f64::NEG_INFINITY, larger);
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        row.d_input.fill(0.0);
        for (to, start) in self.windows.starts() {
            if let Some(first) = self.windows.pixels(start).find(|from| row.input[*from] == row.output[to]) {
                row.d_input[first] += row.d_output[to];
            }
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        Some(FastLayer::new(MaxPoolBlock::new(self.windows), MaxPoolBlock::new(self.windows)))
    }
}
