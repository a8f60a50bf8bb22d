//! Take the largest value over windows of lines of rows.

use super::block_layer::{BlockLayer, Kernel, Pass, Sides, dispatch, line_vectors};
use crate::network::layers::Windows;
use crate::simd::{Lanes, Real};

#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPoolBlock {
    windows: Windows,
}

impl MaxPoolBlock {
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows }
    }
}

struct Forward<'a, E> {
    windows: &'a Windows,
    input: &'a [E],
    output: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (input, output) = (L::vectors(self.input), L::vectors_mut(self.output));
        let width = line_vectors::<L>();
        for (to, start) in self.windows.starts() {
            for v in 0..width {
                let mut largest = input[start * width + v];
                let mut total = l.splat(E::ZERO);
                for from in self.windows.pixels(start) {
                    largest = l.at_least(input[from * width + v], largest);
                    total = l.add(total, input[from * width + v]);
                }
                // A value that is not a number would be lost among the others.
                output[to * width + v] = l.at_most(l.at_least(total, l.splat(E::INFINITY)), largest);
            }
        }
    }
}

struct Backward<'a, E> {
    windows: &'a Windows,
    input: &'a [E],
    output: &'a [E],
    d_output: &'a [E],
    d_input: &'a mut [E],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        self.d_input.fill(E::ZERO);
        let (input, output) = (L::vectors(self.input), L::vectors(self.output));
        let (d_output, d_input) = (L::vectors(self.d_output), L::vectors_mut(self.d_input));
        let width = line_vectors::<L>();
        let zero = l.splat(E::ZERO);
        for (to, start) in self.windows.starts() {
            for v in 0..width {
                let largest = output[to * width + v];
                let mut left = d_output[to * width + v];
                for from in self.windows.pixels(start) {
                    let at = from * width + v;
                    // The first that is not less than the largest takes all that is left.
                    let part = l.select_less(input[at], largest, zero, left);
                    d_input[at] = l.add(d_input[at], part);
                    left = l.select_less(input[at], largest, left, zero);
                }
            }
        }
    }
}

impl<E: Real> BlockLayer<E> for MaxPoolBlock {
    fn reads_output(&self) -> bool {
        true
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        dispatch(pass.arch, Forward { windows: &self.windows, input, output });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let Sides { input, output, d_output, d_input, .. } = sides;
        if let Some(d_input) = d_input {
            dispatch(pass.arch, Backward { windows: &self.windows, input, output, d_output, d_input });
        }
    }
}
