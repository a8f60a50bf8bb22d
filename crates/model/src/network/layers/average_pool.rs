//! Average images over windows.

use super::window::Windows;
use super::{BackwardRow, BoundLayer, Layer, LayerError};
use crate::network::composed::{AveragePoolBlock, FastLayer};

/// The mean over windows of images `[channels, rows, columns]`, as PyTorch's `AvgPool2d` without padding.
///
/// Rows and columns that no window fits over are left out.
///
/// ```
/// use ergodic_model::layers::{AveragePool, Layer};
/// assert_eq!(AveragePool::new([2, 2]).bind(&[6, 28, 28])?.output_shape(), [6, 14, 14]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AveragePool {
    window: [usize; 2],
    stride: [usize; 2],
}

impl AveragePool {
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

impl Layer for AveragePool {
    fn kind(&self) -> String {
        "average pool".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        Ok(Box::new(BoundAveragePool { windows: Windows::new(input_shape, self.window, self.stride)? }))
    }
}

#[derive(Debug)]
struct BoundAveragePool {
    windows: Windows,
}

impl BoundLayer for BoundAveragePool {
    fn output_shape(&self) -> &[usize] {
        &self.windows.output
    }

    fn forward(&self, _weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        let share = 1.0 / self.windows.size.iter().product::<usize>() as f64;
        for (to, start) in self.windows.starts() {
            output[to] = share * self.windows.pixels(start).map(|from| input[from]).sum::<f64>();
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let share = 1.0 / self.windows.size.iter().product::<usize>() as f64;
        row.d_input.fill(0.0);
        for (to, start) in self.windows.starts() {
            for from in self.windows.pixels(start) {
                row.d_input[from] += share * row.d_output[to];
            }
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        Some(FastLayer::new(AveragePoolBlock::new(self.windows), AveragePoolBlock::new(self.windows)))
    }
}
