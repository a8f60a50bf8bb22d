//! Normalise the channels of lines of rows by their mean square, and threshold what comes out.

use super::block_layer::{BlockLayer, Kernel, Pass, Sides, dispatch, line_rows, line_vectors};
use super::layer_norm::convert;
use crate::simd::{Lanes, Real};

#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterResponseBlock {
    channels: usize,
    pixels: usize,
    epsilon: f64,
}

impl FilterResponseBlock {
    pub(crate) fn new(channels: usize, pixels: usize, epsilon: f64) -> Self {
        Self { channels, pixels, epsilon }
    }

    /// Gain, bias and threshold of a channel.
    #[inline(always)]
    fn of_channel<L: Lanes>(self, l: L, weights: &[L::E], channel: usize) -> [L::V; 3] {
        let (gains, rest) = weights.split_at(self.channels);
        let (biases, thresholds) = rest.split_at(self.channels);
        [l.splat(gains[channel]), l.splat(biases[channel]), l.splat(thresholds[channel])]
    }
}

struct Forward<'a, E> {
    layer: FilterResponseBlock,
    weights: &'a [E],
    input: &'a [E],
    output: &'a mut [E],
    /// One over each channel's root mean square.
    scales: &'a mut [E],
}

impl<E: Real> Kernel<E> for Forward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (input, output, scales) = (L::vectors(self.input), L::vectors_mut(self.output), L::vectors_mut(self.scales));
        let (width, pixels) = (line_vectors::<L>(), self.layer.pixels);
        let share = l.splat(E::from_f64(1.0 / pixels as f64));
        let epsilon = l.splat(E::from_f64(self.layer.epsilon));
        for channel in 0..self.layer.channels {
            let [gain, bias, threshold] = self.layer.of_channel(l, self.weights, channel);
            for v in 0..width {
                let at = channel * pixels * width + v;
                let mut squares = [l.splat(E::ZERO); 4];
                for i in 0..pixels {
                    let x = input[at + i * width];
                    squares[i % 4] = l.fma(x, x, squares[i % 4]);
                }
                let squares = l.add(l.add(squares[0], squares[1]), l.add(squares[2], squares[3]));
                let scale = l.div(l.splat(E::ONE), l.sqrt(l.fma(squares, share, epsilon)));
                scales[channel * width + v] = scale;
                for i in 0..pixels {
                    let value = l.fma(l.mul(input[at + i * width], scale), gain, bias);
                    output[at + i * width] = l.at_least(value, threshold);
                }
            }
        }
    }
}

struct Backward<'a, E> {
    layer: FilterResponseBlock,
    weights: &'a [E],
    input: &'a [E],
    scales: &'a [E],
    d_output: &'a mut [E],
    d_input: Option<&'a mut [E]>,
    gradient: &'a mut [f64],
}

impl<E: Real> Kernel<E> for Backward<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(mut self, l: L) {
        let (input, scales, d_output) = (L::vectors(self.input), L::vectors(self.scales), L::vectors_mut(self.d_output));
        let FilterResponseBlock { channels, pixels, .. } = self.layer;
        let width = line_vectors::<L>();
        let zero = l.splat(E::ZERO);
        let share = l.splat(E::from_f64(1.0 / pixels as f64));
        for channel in 0..channels {
            let [gain, bias, threshold] = self.layer.of_channel(l, self.weights, channel);
            let (mut products, mut sums, mut all) = (zero, zero, zero);
            for v in 0..width {
                let at = channel * pixels * width + v;
                let scale = scales[channel * width + v];
                let (mut product, mut sum) = (zero, zero);
                for i in 0..pixels {
                    let normalised = l.mul(input[at + i * width], scale);
                    let value = l.fma(normalised, gain, bias);
                    let d = d_output[at + i * width];
                    all = l.add(all, d);
                    let above = l.select_less(threshold, value, d, zero);
                    d_output[at + i * width] = above;
                    product = l.fma(above, normalised, product);
                    sum = l.add(sum, above);
                }
                products = l.add(products, product);
                sums = l.add(sums, sum);
                if let Some(d_input) = &mut self.d_input {
                    let d_input = L::vectors_mut(d_input);
                    let (factor, mean) = (l.mul(gain, scale), l.mul(product, share));
                    for i in 0..pixels {
                        let normalised = l.mul(input[at + i * width], scale);
                        d_input[at + i * width] = l.mul(factor, l.negative_fma(normalised, mean, d_output[at + i * width]));
                    }
                }
            }
            self.gradient[channel] += l.sum(products).to_f64();
            self.gradient[channels + channel] += l.sum(sums).to_f64();
            self.gradient[2 * channels + channel] += l.sum(l.sub(all, sums)).to_f64();
        }
    }
}

impl<E: Real> BlockLayer<E> for FilterResponseBlock {
    fn num_kept(&self) -> usize {
        self.channels
    }

    fn num_packed(&self) -> usize {
        3 * self.channels
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        convert(weights, packed);
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]) {
        dispatch(pass.arch, Forward { layer: *self, weights: pass.packed, input, output, scales: kept });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let Sides { input, kept, d_output, d_input, gradient, .. } = sides;
        debug_assert_eq!(kept.len(), self.channels * line_rows::<E>());
        dispatch(pass.arch, Backward { layer: *self, weights: pass.packed, input, scales: kept, d_output, d_input, gradient });
    }
}
