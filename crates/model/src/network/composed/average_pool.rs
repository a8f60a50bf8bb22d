//! Average lines of rows over windows.

use super::block_layer::{BlockLayer, Kernel, Pass, Sides, dispatch, line_vectors};
use crate::network::layers::Windows;
use crate::simd::{Lanes, Real};

#[derive(Debug, Clone, Copy)]
pub(crate) struct AveragePoolBlock {
    windows: Windows,
}

impl AveragePoolBlock {
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows }
    }

    fn share<E: Real>(&self) -> E {
        E::from_f64(1.0 / self.windows.size.iter().product::<usize>() as f64)
    }
}

struct Forward<'a, E> {
    layer: &'a AveragePoolBlock,
    input: &'a [E],
    output: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (input, output) = (L::vectors(self.input), L::vectors_mut(self.output));
        let (width, share) = (line_vectors::<L>(), l.splat(self.layer.share()));
        for (to, start) in self.layer.windows.starts() {
            for v in 0..width {
                let mut sum = l.splat(E::ZERO);
                for from in self.layer.windows.pixels(start) {
                    sum = l.add(sum, input[from * width + v]);
                }
                output[to * width + v] = l.mul(sum, share);
            }
        }
    }
}

struct Backward<'a, E> {
    layer: &'a AveragePoolBlock,
    d_output: &'a [E],
    d_input: &'a mut [E],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        self.d_input.fill(E::ZERO);
        let (d_output, d_input) = (L::vectors(self.d_output), L::vectors_mut(self.d_input));
        let (width, share) = (line_vectors::<L>(), l.splat(self.layer.share()));
        for (to, start) in self.layer.windows.starts() {
            for v in 0..width {
                let part = l.mul(d_output[to * width + v], share);
                for from in self.layer.windows.pixels(start) {
                    d_input[from * width + v] = l.add(d_input[from * width + v], part);
                }
            }
        }
    }
}

impl<E: Real> BlockLayer<E> for AveragePoolBlock {
    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        dispatch(pass.arch, Forward { layer: self, input, output });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        if let Some(d_input) = sides.d_input {
            dispatch(pass.arch, Backward { layer: self, d_output: sides.d_output, d_input });
        }
    }
}
