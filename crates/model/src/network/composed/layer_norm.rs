//! Normalise lines of rows to mean 0 and variance 1.

use super::block_layer::{BlockLayer, Kernel, Pass, Sides, dispatch, line_vectors};
use crate::simd::{Lanes, Real};

#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerNormBlock {
    values: usize,
    epsilon: f64,
}

impl LayerNormBlock {
    pub(crate) fn new(values: usize, epsilon: f64) -> Self {
        Self { values, epsilon }
    }
}

/// Writes weights in the precision of a block.
pub(super) fn convert<E: Real>(weights: &[f64], packed: &mut [E]) {
    for (to, weight) in packed.iter_mut().zip(weights) {
        *to = E::from_f64(*weight);
    }
}

struct Forward<'a, E> {
    layer: LayerNormBlock,
    weights: &'a [E],
    input: &'a [E],
    output: &'a mut [E],
    /// The normalised values, then one over the standard deviation.
    kept: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (input, output, kept) = (L::vectors(self.input), L::vectors_mut(self.output), L::vectors_mut(self.kept));
        let (width, count) = (line_vectors::<L>(), self.layer.values);
        let (gains, biases) = self.weights.split_at(count);
        let share = l.splat(E::from_f64(1.0 / count as f64));
        for v in 0..width {
            let mut sum = l.splat(E::ZERO);
            for i in 0..count {
                sum = l.add(sum, input[i * width + v]);
            }
            let mean = l.mul(sum, share);
            let mut squares = l.splat(E::ZERO);
            for i in 0..count {
                let centred = l.sub(input[i * width + v], mean);
                squares = l.fma(centred, centred, squares);
            }
            let variance = l.fma(squares, share, l.splat(E::from_f64(self.layer.epsilon)));
            let scale = l.div(l.splat(E::ONE), l.sqrt(variance));
            kept[count * width + v] = scale;
            for i in 0..count {
                let normalised = l.mul(l.sub(input[i * width + v], mean), scale);
                kept[i * width + v] = normalised;
                output[i * width + v] = l.fma(normalised, l.splat(gains[i]), l.splat(biases[i]));
            }
        }
    }
}

struct Backward<'a, E> {
    count: usize,
    weights: &'a [E],
    kept: &'a [E],
    d_output: &'a [E],
    d_input: Option<&'a mut [E]>,
    gradient: &'a mut [f64],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (kept, d_output, count) = (L::vectors(self.kept), L::vectors(self.d_output), self.count);
        let width = line_vectors::<L>();
        let (d_gains, d_biases) = self.gradient.split_at_mut(count);
        for i in 0..count {
            let (mut gain, mut bias) = (l.splat(E::ZERO), l.splat(E::ZERO));
            for v in 0..width {
                gain = l.fma(d_output[i * width + v], kept[i * width + v], gain);
                bias = l.add(bias, d_output[i * width + v]);
            }
            d_gains[i] += l.sum(gain).to_f64();
            d_biases[i] += l.sum(bias).to_f64();
        }
        let Some(d_input) = self.d_input else { return };
        let d_input = L::vectors_mut(d_input);
        let share = l.splat(E::from_f64(1.0 / count as f64));
        for v in 0..width {
            let (mut sum, mut product) = (l.splat(E::ZERO), l.splat(E::ZERO));
            for i in 0..count {
                let d = l.mul(d_output[i * width + v], l.splat(self.weights[i]));
                sum = l.add(sum, d);
                product = l.fma(d, kept[i * width + v], product);
            }
            let (mean, slope) = (l.mul(sum, share), l.mul(product, share));
            let scale = kept[count * width + v];
            for i in 0..count {
                let d = l.mul(d_output[i * width + v], l.splat(self.weights[i]));
                d_input[i * width + v] = l.mul(scale, l.negative_fma(kept[i * width + v], slope, l.sub(d, mean)));
            }
        }
    }
}

impl<E: Real> BlockLayer<E> for LayerNormBlock {
    fn num_kept(&self) -> usize {
        self.values + 1
    }

    fn num_packed(&self) -> usize {
        2 * self.values
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        convert(weights, packed);
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]) {
        dispatch(pass.arch, Forward { layer: *self, weights: pass.packed, input, output, kept });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let Sides { kept, d_output, d_input, gradient, .. } = sides;
        dispatch(pass.arch, Backward { count: self.values, weights: pass.packed, kept, d_output, d_input, gradient });
    }
}
