//! Compute a network's log likelihood and its gradient in one pass over blocks of rows.
//!
//! Each panel of rows goes forward, through the likelihood and back to the first layer's deltas while it is in the first-level cache;
//! the gradients of the weights follow once a block of panels, so that their sums across vector lanes are rare. Sums over blocks are
//! in f64 and in the order of the rows.

use super::block::{PackedRows, padded_rows, panel_rows};
use super::dense::{Dense, Panels, add_weight_gradient, back_propagate, forward};
use super::{DenseLayer, DenseNetwork as Network};
use crate::likelihood_block::{BlockLikelihood, LikelihoodPanel, LikelihoodSum, RowScratch};
use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};
use std::sync::Arc;

/// Bytes of activations and deltas that a block may take of the second-level cache.
const BLOCK_BYTES: usize = 1 << 20;

/// Panels of a block.
fn panels_per_block<E>(network: &Network) -> usize {
    let widths: usize = network.layers().iter().map(|layer| 2 * layer.outputs).sum();
    let panel = (network.num_inputs() + widths) * panel_rows::<E>() * size_of::<E>();
    (BLOCK_BYTES / panel).clamp(2, 16)
}

/// The rows that a gradient sums over; chains share them.
#[derive(Debug)]
pub(crate) struct FusedData<E> {
    inputs: PackedRows<E>,
    targets: PackedRows<E>,
}

impl<E: Real> FusedData<E> {
    /// Packs inputs and targets, each row after row.
    pub(crate) fn new(inputs: &[f64], num_inputs: usize, targets: &[f64], num_targets: usize) -> Self {
        let (inputs, targets) = (PackedRows::new(inputs, num_inputs), PackedRows::new(targets, num_targets));
        assert_eq!(inputs.rows(), targets.rows(), "a target for each row");
        Self { inputs, targets }
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.inputs.rows()
    }
}

/// Evaluates the log likelihood of a network and its gradient, in arithmetic of `E`; one for each chain.
#[derive(Debug, Clone)]
pub(crate) struct FusedGradient<E> {
    network: Arc<Network>,
    data: Arc<FusedData<E>>,
    likelihood: BlockLikelihood,
    arch: Arch,
    scratch: Scratch<E>,
    gathered: Option<Box<FusedRows<E>>>,
}

#[derive(Debug, Clone)]
struct FusedRows<E> {
    inputs: PackedRows<E>,
    targets: PackedRows<E>,
}

/// Buffers of one block.
#[derive(Debug, Clone)]
struct Scratch<E> {
    panels: usize,
    /// Values of each hidden layer.
    values: Vec<AlignedBuffer<E>>,
    /// Slopes of each hidden layer that stores them.
    slopes: Vec<AlignedBuffer<E>>,
    /// Deltas of each layer; the last holds the outputs first.
    deltas: Vec<AlignedBuffer<E>>,
    /// Ones, then zeros: a window of it masks a panel's padding.
    mask: AlignedBuffer<E>,
    position: Vec<E>,
    row: RowScratch,
}

impl<E: Real> Scratch<E> {
    fn new(network: &Network, num_targets: usize, rows: usize) -> Self {
        let most = rows.div_ceil(panel_rows::<E>()).max(1);
        // Blocks of equal size, as far as panels allow.
        let blocks = most.div_ceil(panels_per_block::<E>(network));
        let panels = most.div_ceil(blocks);
        let hidden = &network.layers()[..network.layers().len() - 1];
        let room = |width: usize| AlignedBuffer::zeros(panels * panel_rows::<E>() * width);
        let mut mask = AlignedBuffer::zeros(2 * panel_rows::<E>());
        mask.as_mut_slice()[..panel_rows::<E>()].fill(E::ONE);
        Self {
            panels,
            values: hidden.iter().map(|layer| room(layer.outputs)).collect(),
            slopes: hidden.iter().map(|layer| room(if layer.activation.stores_slope() { layer.outputs } else { 0 })).collect(),
            deltas: network.layers().iter().map(|layer| room(layer.outputs)).collect(),
            mask,
            position: Vec::with_capacity(network.num_weights()),
            row: RowScratch::new(network.num_outputs(), num_targets),
        }
    }

    fn rows(&self) -> usize {
        self.panels * panel_rows::<E>()
    }
}

impl<E: Real> FusedGradient<E> {
    pub(crate) fn new(network: Arc<Network>, data: Arc<FusedData<E>>, likelihood: BlockLikelihood) -> Self {
        Self::with_arch(network, data, likelihood, Arch::new())
    }

    /// The same on a given instruction set.
    pub(crate) fn with_arch(network: Arc<Network>, data: Arc<FusedData<E>>, likelihood: BlockLikelihood, arch: Arch) -> Self {
        let num_targets = likelihood.num_targets(network.num_outputs());
        let scratch = Scratch::new(&network, num_targets, data.num_rows());
        Self { network, data, likelihood, arch, scratch, gathered: None }
    }

    /// Writes the gradient of the log likelihood of all rows in the network's weights and in the likelihood's own parameters, and
    /// returns the log likelihood with all constants.
    pub(crate) fn log_likelihood_and_gradient(
        &mut self,
        weights: &[f64],
        parameters: &[f64],
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let data = Arc::clone(&self.data);
        let rows = Rows::All { inputs: &data.inputs, targets: &data.targets };
        self.evaluate(rows, weights, parameters, weight_gradient, parameter_gradient)
    }

    /// The same over the given rows alone, in their order.
    pub(crate) fn log_likelihood_and_gradient_of_rows(
        &mut self,
        rows: &[usize],
        weights: &[f64],
        parameters: &[f64],
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let data = Arc::clone(&self.data);
        let mut gathered = self.gathered.take().unwrap_or_else(|| {
            let room = self.scratch.rows();
            let targets = self.likelihood.num_targets(self.network.num_outputs());
            Box::new(FusedRows {
                inputs: PackedRows::with_capacity(room, self.network.num_inputs()),
                targets: PackedRows::with_capacity(room, targets),
            })
        });
        let source = Rows::Some { rows, data: &data, gathered: &mut gathered };
        let value = self.evaluate(source, weights, parameters, weight_gradient, parameter_gradient);
        self.gathered = Some(gathered);
        value
    }

    fn evaluate(
        &mut self,
        rows: Rows<'_, E>,
        weights: &[f64],
        parameters: &[f64],
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let Scratch { panels, values, slopes, deltas, mask, position, row } = &mut self.scratch;
        let sum = LikelihoodSum::new(&self.likelihood, parameters, parameter_gradient, row);
        let layers = self.network.layers();
        let position = E::convert(weights, position);
        let buffers = Buffers { values, slopes, deltas, mask: mask.as_slice() };
        self.arch.dispatch(Pass { layers, panels: *panels, position, rows, buffers, sum, gradient: weight_gradient })
    }
}

/// Where a pass takes its rows from.
enum Rows<'a, E> {
    All { inputs: &'a PackedRows<E>, targets: &'a PackedRows<E> },
    Some { rows: &'a [usize], data: &'a FusedData<E>, gathered: &'a mut FusedRows<E> },
}

struct Buffers<'a, E> {
    values: &'a mut [AlignedBuffer<E>],
    slopes: &'a mut [AlignedBuffer<E>],
    deltas: &'a mut [AlignedBuffer<E>],
    mask: &'a [E],
}

/// One evaluation, dispatched to an instruction set once.
struct Pass<'a, E> {
    layers: &'a [DenseLayer],
    panels: usize,
    position: &'a [E],
    rows: Rows<'a, E>,
    buffers: Buffers<'a, E>,
    sum: LikelihoodSum<'a>,
    gradient: &'a mut [f64],
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> f64 {
        let l = E::lanes(simd);
        self.gradient.fill(0.0);
        let block = self.panels * panel_rows::<E>();
        let total = match &self.rows {
            Rows::All { inputs, .. } => inputs.rows(),
            Rows::Some { rows, .. } => rows.len(),
        };
        let mut first = 0;
        while first < total {
            let rows = block.min(total - first);
            let (inputs, targets) = match &mut self.rows {
                Rows::All { inputs, targets } => (inputs.panels_from(first), targets.panels_from(first)),
                Rows::Some { rows: all, data, gathered } => {
                    gathered.inputs.gather(&data.inputs, &all[first..first + rows]);
                    gathered.targets.gather(&data.targets, &all[first..first + rows]);
                    (gathered.inputs.panels_from(0), gathered.targets.panels_from(0))
                }
            };
            add_block(l, self.layers, self.position, inputs, targets, rows, &mut self.buffers, &mut self.sum, self.gradient);
            first += rows;
        }
        self.sum.finish()
    }
}

/// Adds one block of rows to the sums.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one call, inlined")]
fn add_block<L: Lanes>(
    l: L,
    layers: &[DenseLayer],
    position: &[L::E],
    inputs: &[L::E],
    targets: &[L::E],
    rows: usize,
    buffers: &mut Buffers<'_, L::E>,
    sum: &mut LikelihoodSum<'_>,
    gradient: &mut [f64],
) {
    let inputs = L::vectors(inputs);
    let targets = L::vectors(targets);
    let panel = panel_rows::<L::E>();
    let full_vectors = panel / L::WIDTH;
    let last_vectors = padded_rows::<L::E>(rows % panel) / L::WIDTH;
    let panels = Panels { full: rows / panel, last_vectors };
    let num_targets = targets.len() / (inputs.len() / layers[0].inputs);
    let top = layers.len() - 1;
    let num_outputs = layers[top].outputs;
    for p in 0..rows.div_ceil(panel) {
        let first = p * full_vectors;
        let vectors = if p < panels.full { full_vectors } else { last_vectors };
        let input = &inputs[first * layers[0].inputs..][..vectors * layers[0].inputs];
        forward_panel(l, layers, position, input, buffers, first, vectors);

        let rows_here = (rows - p * panel).min(panel);
        let outputs = &mut L::vectors_mut(buffers.deltas[top].as_mut_slice())[first * num_outputs..][..vectors * num_outputs];
        let targets = &targets[first * num_targets..][..vectors * num_targets];
        let mask = &L::vectors(&buffers.mask[panel - rows_here..])[..vectors];
        sum.add(l, LikelihoodPanel { outputs, targets, mask, rows: rows_here, num_outputs });

        for i in (1..=top).rev() {
            let width = layers[i].outputs;
            let below = layers[i].inputs;
            let activation = layers[i - 1].activation;
            let stored = if activation.stores_slope() { &buffers.slopes[i - 1] } else { &buffers.values[i - 1] };
            let stored = &L::vectors(stored.as_slice())[first * below..][..vectors * below];
            let (lower, upper) = buffers.deltas.split_at_mut(i);
            let delta = &L::vectors(upper[0].as_slice())[first * width..][..vectors * width];
            let to = &mut L::vectors_mut(lower[i - 1].as_mut_slice())[first * below..][..vectors * below];
            back_propagate(l, Dense::of(layers[i], position), delta, stored, activation.slope(), to, vectors);
        }
    }
    for (i, layer) in layers.iter().enumerate() {
        let input = if i == 0 { inputs } else { L::vectors(buffers.values[i - 1].as_slice()) };
        let delta = L::vectors(buffers.deltas[i].as_slice());
        let (weights, biases) = gradient[layer.offset..layer.biases().end].split_at_mut(layer.inputs * layer.outputs);
        add_weight_gradient(l, panels, delta, layer.outputs, input, layer.inputs, weights, biases);
    }
}

/// Takes one panel forward; its outputs go to the last layer's deltas.
#[inline(always)]
fn forward_panel<L: Lanes>(
    l: L,
    layers: &[DenseLayer],
    position: &[L::E],
    input: &[L::V],
    buffers: &mut Buffers<'_, L::E>,
    first: usize,
    vectors: usize,
) {
    let top = layers.len() - 1;
    for (i, layer) in layers.iter().enumerate() {
        let span = first * layer.outputs..(first + vectors) * layer.outputs;
        let (lower, upper) = buffers.values.split_at_mut(i);
        let input =
            if i == 0 { input } else { &L::vectors(lower[i - 1].as_slice())[first * layer.inputs..][..vectors * layer.inputs] };
        let output = if i == top { &mut buffers.deltas[top] } else { &mut upper[0] };
        let output = &mut L::vectors_mut(output.as_mut_slice())[span.clone()];
        forward(l, Dense::of(*layer, position), input, output, vectors);
        if i < top {
            let slopes = L::vectors_mut(buffers.slopes[i].as_mut_slice());
            let slopes = if layer.activation.stores_slope() { &mut slopes[span] } else { slopes };
            layer.activation.apply(l, output, slopes);
        }
    }
}

impl<E: Real> FusedGradient<E> {
    /// An evaluator for [`outputs`](Self::outputs) alone.
    pub(crate) fn without_data(network: &Network) -> Self {
        let data = FusedData::new(&[], network.num_inputs(), &[], network.num_outputs());
        Self::new(Arc::new(network.clone()), Arc::new(data), BlockLikelihood::Gaussian { noise_sd: 1.0 })
    }

    /// Writes the network's outputs at `inputs`, row after row.
    pub(crate) fn outputs(&mut self, weights: &[f64], inputs: &PackedRows<E>, outputs: &mut [f64]) {
        let Scratch { values, slopes, deltas, mask, position, .. } = &mut self.scratch;
        let position = E::convert(weights, position);
        let buffers = Buffers { values, slopes, deltas, mask: mask.as_slice() };
        self.arch.dispatch(Forward { layers: self.network.layers(), position, inputs, buffers, outputs });
    }
}

/// A forward pass, panel by panel.
struct Forward<'a, E> {
    layers: &'a [DenseLayer],
    position: &'a [E],
    inputs: &'a PackedRows<E>,
    buffers: Buffers<'a, E>,
    outputs: &'a mut [f64],
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let l = E::lanes(simd);
        let top = self.layers.len() - 1;
        let (width, num_outputs) = (self.layers[0].inputs, self.layers[top].outputs);
        let panel = panel_rows::<E>();
        let mut first = 0;
        while first < self.inputs.rows() {
            let rows = (self.inputs.rows() - first).min(panel);
            let stride = padded_rows::<E>(rows);
            let vectors = stride / <E::Lanes<S> as Lanes>::WIDTH;
            let input = <E::Lanes<S> as Lanes>::vectors(&self.inputs.panels_from(first)[..stride * width]);
            forward_panel(l, self.layers, self.position, input, &mut self.buffers, 0, vectors);
            let from = self.buffers.deltas[top].as_slice();
            for row in 0..rows {
                for output in 0..num_outputs {
                    self.outputs[(first + row) * num_outputs + output] = from[output * stride + row].to_f64();
                }
            }
            first += rows;
        }
    }
}
