//! Sample a network's pre-activations under independent normal weights, and differentiate in the weights' means and variances.
//!
//! With weights N(M, V) and inputs a, a layer's pre-activations are normal with means M a + b and variances V a² + v_b (Kingma et al.
//! 2015): two products forward, two back and two for the gradients, on panels `[feature][row]` as in the fused gradient.

use super::block::{PackedRows, Place, padded_rows, panel_rows};
use super::dense::{Dense, Panels, Sides, Slope, add_weight_gradient, back_propagate};
use super::forward::forward;
use super::{DenseLayer, DenseNetwork as Network};
use crate::ChainRng;
use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};
use rand_distr::{Distribution, StandardNormal};

/// Bytes of buffers that a block of panels may take of the second-level cache.
const BLOCK_BYTES: usize = 1 << 20;

const ONE: Slope = Slope::Constant(1.0);
const TWICE: Slope = Slope::Stored(2.0);

/// A network at fixed inputs, with buffers for one block of rows.
pub(crate) struct LocalNetwork {
    layers: Vec<DenseLayer>,
    inputs: PackedRows<f64>,
    squared_inputs: PackedRows<f64>,
    panels: usize,
    buffers: Vec<Buffers>,
    /// Noise of one layer, and back-propagated variances of one layer, on one panel.
    noise: AlignedBuffer<f64>,
    spare: AlignedBuffer<f64>,
    arch: Arch,
}

/// One layer's values on one block.
struct Buffers {
    values: AlignedBuffer<f64>,
    slopes: AlignedBuffer<f64>,
    squares: AlignedBuffer<f64>,
    /// Derivatives in the pre-activations, which are those in their means.
    deltas: AlignedBuffer<f64>,
    /// Variances of the pre-activations, then noise / 2 √variance, then derivatives in the variances.
    variances: AlignedBuffer<f64>,
}

/// Outputs of some successive rows, `[output][row]` with `stride` places a row of values; the places after `rows` are padding.
pub(crate) struct OutputPanel<'a> {
    /// The first of these rows.
    pub(crate) first: usize,
    pub(crate) rows: usize,
    pub(crate) stride: usize,
    /// Outputs, to be replaced by the derivatives in them: 0 in the padding.
    pub(crate) outputs: &'a mut [f64],
}

impl LocalNetwork {
    /// `network` at `inputs`, row after row.
    pub(crate) fn new(network: &Network, inputs: &[f64]) -> Self {
        let layers = network.layers().to_vec();
        let squared: Vec<f64> = inputs.iter().map(|x| x * x).collect();
        let inputs = PackedRows::new(inputs, network.num_inputs());
        let panel = panel_rows::<f64>();
        let widths: usize = layers.iter().map(|layer| 5 * layer.outputs).sum::<usize>() + 2 * network.num_inputs();
        let most = inputs.rows().div_ceil(panel).max(1);
        let panels = (BLOCK_BYTES / (widths * panel * size_of::<f64>())).clamp(2, 16).min(most);
        let room = |width: usize| AlignedBuffer::zeros(panels * panel * width);
        let buffers = |(index, layer): (usize, &DenseLayer)| Buffers {
            values: room(layer.outputs),
            slopes: room(if layer.activation.stores_slope() { layer.outputs } else { 0 }),
            squares: room(if index + 1 < layers.len() { layer.outputs } else { 0 }),
            deltas: room(layer.outputs),
            variances: room(layer.outputs),
        };
        let widest = layers.iter().map(|layer| layer.outputs.max(layer.inputs)).max().unwrap_or(0);
        Self {
            buffers: layers.iter().enumerate().map(buffers).collect(),
            layers,
            squared_inputs: PackedRows::new(&squared, network.num_inputs()),
            inputs,
            panels,
            noise: AlignedBuffer::zeros(panel * widest),
            spare: AlignedBuffer::zeros(panel * widest),
            arch: Arch::new(),
        }
    }

    /// Samples pre-activations with weights of the given means and variances, and adds the gradients in both of the sum of `objective`
    /// over panels; `objective` replaces outputs by derivatives and returns the panel's value.
    pub(crate) fn add_gradients(
        &mut self,
        means: &[f64],
        variances: &[f64],
        rng: &mut ChainRng,
        objective: impl FnMut(&mut OutputPanel<'_>) -> f64,
        gradients: [&mut [f64]; 2],
    ) -> f64 {
        let arch = self.arch;
        arch.dispatch(Pass { network: self, weights: [means, variances], rng, objective, gradients })
    }
}

/// One evaluation, dispatched to an instruction set once.
struct Pass<'a, F> {
    network: &'a mut LocalNetwork,
    /// Means and variances.
    weights: [&'a [f64]; 2],
    rng: &'a mut ChainRng,
    objective: F,
    gradients: [&'a mut [f64]; 2],
}

impl<F: FnMut(&mut OutputPanel<'_>) -> f64> WithSimd for Pass<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> f64 {
        let l = <f64 as Real>::lanes(simd);
        let block = self.network.panels * panel_rows::<f64>();
        let total = self.network.inputs.rows();
        let mut value = 0.0;
        let mut first = 0;
        while first < total {
            let rows = block.min(total - first);
            value += self.add_block(l, first, rows);
            first += rows;
        }
        value
    }
}

impl<F: FnMut(&mut OutputPanel<'_>) -> f64> Pass<'_, F> {
    #[inline(always)]
    fn add_block<L: Lanes<E = f64>>(&mut self, l: L, first_row: usize, rows: usize) -> f64 {
        let panel = panel_rows::<f64>();
        let full_vectors = panel / L::WIDTH;
        let last_vectors = padded_rows::<f64>(rows % panel) / L::WIDTH;
        let panels = Panels { full: rows / panel, last_vectors };
        let mut value = 0.0;
        for p in 0..rows.div_ceil(panel) {
            let place = Place { first: p * full_vectors, vectors: if p < panels.full { full_vectors } else { last_vectors } };
            self.forward_panel(l, first_row, place);
            let LocalNetwork { layers, buffers, .. } = &mut *self.network;
            let top = layers.len() - 1;
            let (num_outputs, Buffers { values, deltas, .. }) = (layers[top].outputs, &mut buffers[top]);
            let outputs = place.of_mut(L::vectors_mut(deltas.as_mut_slice()), num_outputs);
            outputs.copy_from_slice(place.of(L::vectors(values.as_slice()), num_outputs));
            value += (self.objective)(&mut OutputPanel {
                first: first_row + p * panel,
                rows: (rows - p * panel).min(panel),
                stride: place.vectors * L::WIDTH,
                outputs: bytemuck::cast_slice_mut(outputs),
            });
            self.backward_panel(l, place);
        }
        let LocalNetwork { layers, buffers, inputs, squared_inputs, .. } = &*self.network;
        for (i, layer) in layers.iter().enumerate() {
            let (values, squares) = match i.checked_sub(1) {
                None => (inputs.panels_from(first_row), squared_inputs.panels_from(first_row)),
                Some(below) => (buffers[below].values.as_slice(), buffers[below].squares.as_slice()),
            };
            let sides = [(buffers[i].deltas.as_slice(), values), (buffers[i].variances.as_slice(), squares)];
            // One loop, so that the code of the product stands once.
            for ((delta, input), gradient) in sides.into_iter().zip(&mut self.gradients) {
                let (delta, input) = (L::vectors(delta), L::vectors(input));
                let end = layer.offset + (layer.inputs + 1) * layer.outputs;
                let (weights, biases) = gradient[layer.offset..end].split_at_mut(layer.inputs * layer.outputs);
                let sides = Sides { panels, delta, outputs: layer.outputs, input, inputs: layer.inputs };
                add_weight_gradient(l, sides, 0..layer.outputs, 0..layer.inputs, weights, biases);
            }
        }
        value
    }

    #[inline(always)]
    fn forward_panel<L: Lanes<E = f64>>(&mut self, l: L, first_row: usize, place: Place) {
        let LocalNetwork { layers, buffers, inputs, squared_inputs, noise, .. } = &mut *self.network;
        let top = layers.len() - 1;
        for (i, &layer) in layers.iter().enumerate() {
            let (below, here) = buffers.split_at_mut(i);
            let Buffers { values, slopes, squares, variances, .. } = &mut here[0];
            let (input, squared_input) = match below.last() {
                None => (inputs.panels_from(first_row), squared_inputs.panels_from(first_row)),
                Some(below) => (below.values.as_slice(), below.squares.as_slice()),
            };
            let values = place.of_mut(L::vectors_mut(values.as_mut_slice()), layer.outputs);
            let variances = place.of_mut(L::vectors_mut(variances.as_mut_slice()), layer.outputs);
            let sides = [(input, &mut *values), (squared_input, &mut *variances)];
            for ((input, output), weights) in sides.into_iter().zip(self.weights) {
                let (dense, input) = (Dense::of(layer, weights), place.of(L::vectors(input), layer.inputs));
                forward(l, dense, input, output, place.vectors, false);
            }
            let noise = &mut noise.as_mut_slice()[..place.vectors * L::WIDTH * layer.outputs];
            for z in noise.iter_mut() {
                *z = StandardNormal.sample(self.rng);
            }
            // A variance of 0 would make 0/0 of its derivative.
            let least = l.splat(f64::MIN_POSITIVE);
            for ((value, variance), &z) in values.iter_mut().zip(&mut *variances).zip(L::vectors(noise)) {
                let sd = l.sqrt(l.at_least(*variance, least));
                *value = l.fma(sd, z, *value);
                *variance = l.div(z, l.add(sd, sd));
            }
            let slopes = L::vectors_mut(slopes.as_mut_slice());
            let slopes = if layer.activation.stores_slope() { place.of_mut(slopes, layer.outputs) } else { slopes };
            layer.activation.apply(l, values, slopes);
            if i < top {
                let squares = place.of_mut(L::vectors_mut(squares.as_mut_slice()), layer.outputs);
                for (square, &value) in squares.iter_mut().zip(&*values) {
                    *square = l.mul(value, value);
                }
            }
        }
    }

    /// Turns the derivatives in the outputs into those in the means and variances of every layer's pre-activations.
    #[inline(always)]
    fn backward_panel<L: Lanes<E = f64>>(&mut self, l: L, place: Place) {
        let LocalNetwork { layers, buffers, spare, .. } = &mut *self.network;
        for (i, &layer) in layers.iter().enumerate().rev() {
            let (below, here) = buffers.split_at_mut(i);
            let Buffers { values, slopes, deltas, variances, .. } = &mut here[0];
            let stored = if layer.activation.stores_slope() { slopes } else { values };
            let stored = place.of(L::vectors(stored.as_slice()), layer.outputs);
            let deltas = place.of_mut(L::vectors_mut(deltas.as_mut_slice()), layer.outputs);
            let variances = place.of_mut(L::vectors_mut(variances.as_mut_slice()), layer.outputs);
            layer.activation.slope().multiply(l, stored, deltas);
            for (variance, &delta) in variances.iter_mut().zip(&*deltas) {
                *variance = l.mul(*variance, delta);
            }
            let Some(below) = below.last_mut() else { continue };
            let input = place.of(L::vectors(below.values.as_slice()), layer.inputs);
            let to = place.of_mut(L::vectors_mut(below.deltas.as_mut_slice()), layer.inputs);
            let spare = &mut L::vectors_mut(spare.as_mut_slice())[..place.vectors * layer.inputs];
            // The derivative of M a is M, that of V a² is 2 V a.
            let sides = [(&*deltas, ONE, &mut *to), (&*variances, TWICE, &mut *spare)];
            for ((delta, factor, output), weights) in sides.into_iter().zip(self.weights) {
                back_propagate(l, Dense::of(layer, weights), delta, input, factor, output, place.vectors);
            }
            for (to, &from) in to.iter_mut().zip(&*spare) {
                *to = l.add(*to, from);
            }
        }
    }
}
