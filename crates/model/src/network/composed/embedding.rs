//! Look vectors up for lines of rows.

use super::block_layer::{BlockLayer, Pass, Sides, line_rows};
use crate::simd::Real;

#[derive(Debug, Clone, Copy)]
pub(crate) struct EmbeddingBlock {
    categories: usize,
    length: usize,
}

impl EmbeddingBlock {
    pub(crate) fn new(categories: usize, length: usize) -> Self {
        Self { categories, length }
    }

    fn vector<E: Real>(self, x: E) -> usize {
        (x.to_f64() as usize).min(self.categories - 1) * self.length
    }
}

impl<E: Real> BlockLayer<E> for EmbeddingBlock {
    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        let line = line_rows::<E>();
        for (inputs, outputs) in input.chunks_exact(line).zip(output.chunks_exact_mut(line * self.length)) {
            for (row, x) in inputs.iter().enumerate() {
                let vector = self.vector(*x);
                for (value, to) in pass.weights[vector..vector + self.length].iter().zip(outputs.chunks_exact_mut(line)) {
                    to[row] = E::from_f64(*value);
                }
            }
        }
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let line = line_rows::<E>();
        for (inputs, d_outputs) in sides.input.chunks_exact(line).zip(sides.d_output.chunks_exact(line * self.length)) {
            for (row, x) in inputs.iter().enumerate().take(pass.rows) {
                let vector = self.vector(*x);
                for (to, from) in sides.gradient[vector..vector + self.length].iter_mut().zip(d_outputs.chunks_exact(line)) {
                    *to += from[row].to_f64();
                }
            }
        }
        if let Some(d_input) = sides.d_input {
            d_input.fill(E::ZERO);
        }
    }
}
