//! Replace whole numbers by vectors.

use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{EmbeddingBlock, FastLayer};

/// A vector for each of n categories: inputs are category numbers 0, 1, …, n − 1, as PyTorch's `Embedding`.
///
/// Inputs of shape s give outputs of shape s × length; W of shape (categories, length) holds the vectors. It is a network's first
/// layer, and its data are not standardised ([`Standardize::Targets`](crate::Standardize::Targets)).
///
/// ```
/// use ergodic_model::layers::{Embedding, Layer};
/// assert_eq!(Embedding::new(100, 4).bind(&[3])?.output_shape(), [3, 4]);
/// # Ok::<(), ergodic_model::layers::LayerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    categories: usize,
    length: usize,
}

impl Embedding {
    /// Vectors of a given length for a number of categories.
    #[must_use]
    pub fn new(categories: usize, length: usize) -> Self {
        Self { categories, length }
    }
}

impl Layer for Embedding {
    fn kind(&self) -> String {
        "embedding".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        for (what, count) in [("categories", self.categories), ("values in its vectors", self.length)] {
            if count == 0 {
                return Err(LayerError::Setting(format!("has no {what}; give it at least 1")));
            }
        }
        let mut shape = input_shape.to_vec();
        shape.push(self.length);
        Ok(Box::new(BoundEmbedding { categories: self.categories, length: self.length, shape }))
    }
}

#[derive(Debug)]
struct BoundEmbedding {
    categories: usize,
    length: usize,
    shape: Vec<usize>,
}

impl BoundEmbedding {
    /// Where the vector of the category `x` stands.
    fn vector(&self, x: f64) -> std::ops::Range<usize> {
        let first = (x as usize).min(self.categories - 1) * self.length;
        first..first + self.length
    }
}

impl BoundLayer for BoundEmbedding {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        vec![LayerParameter::weight(&[self.categories, self.length], 1)]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        for (x, to) in input.iter().zip(output.chunks_exact_mut(self.length)) {
            to.copy_from_slice(&weights[self.vector(*x)]);
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        row.d_input.fill(0.0);
        for (x, from) in row.input.iter().zip(row.d_output.chunks_exact(self.length)) {
            for (to, d) in row.d_weights[self.vector(*x)].iter_mut().zip(from) {
                *to += d;
            }
        }
    }

    fn reads_numbers(&self) -> bool {
        true
    }

    fn check_input(&self, input: &[f64]) -> Result<(), String> {
        let wrong = |x: &&f64| x.fract() != 0.0 || !(0.0..self.categories as f64).contains(*x);
        match input.iter().find(wrong) {
            Some(x) => Err(format!("{x} is no category; categories are the whole numbers from 0 to {}", self.categories - 1)),
            None => Ok(()),
        }
    }

    fn fast_path(&self) -> Option<FastLayer> {
        let block = EmbeddingBlock::new(self.categories, self.length);
        Some(FastLayer::new(block, block))
    }
}
