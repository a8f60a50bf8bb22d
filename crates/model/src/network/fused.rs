//! Compute a network's log likelihood and its gradient in one pass over blocks of rows.
//!
//! A block of a few panels of rows goes forward and through the likelihood; then, layer by layer from the last, the gradients of its
//! weights are summed over the block and deltas replace the values below. So little memory is in use that it stays in the nearest
//! caches, and sums across vector lanes happen once a block. Sums over blocks are in f64 and in the order of the rows.

use super::activation::Activation;
use super::block::{PackedRows, Place, padded_rows, panel_rows};
use super::dense::{BACK_ROWS, Below, Dense, Panels, Sides, add_weight_gradient, back_propagate_in_place};
use super::forward::forward;
use super::narrow::{NarrowSides, back_propagate_narrow, is_narrow};
use super::sums::VectorSums;
use super::wide::{WideLayers, is_wide, least_panels};
use super::{DenseLayer, DenseNetwork as Network};
use crate::likelihood_block::{BlockLikelihood, LikelihoodPanel, LikelihoodSum, RowScratch};
use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of inputs and values that a block may take of the second-level cache. More rows mean fewer sums across lanes.
const BLOCK_BYTES: usize = 256 << 10;

/// The same where a layer is wide: its sums need no lanes added up.
const WIDE_BLOCK_BYTES: usize = 128 << 10;

/// Most panels of a block, unless a wide layer asks for more.
const MOST_PANELS: usize = 6;

/// Panels of a block.
fn panels_per_block<E>(network: &Network) -> usize {
    let widths: usize = network.layers().iter().map(|layer| layer.outputs).sum();
    let panel = (network.num_inputs() + widths) * panel_rows::<E>() * size_of::<E>();
    let least = least_panels::<E>(network);
    let bytes = if network.layers().iter().any(is_wide) { WIDE_BLOCK_BYTES } else { BLOCK_BYTES };
    (bytes / panel).clamp(least, least.max(MOST_PANELS))
}

/// The rows that a gradient sums over; chains share them.
#[derive(Debug)]
pub(crate) struct FusedData<E> {
    inputs: PackedRows<E>,
    targets: PackedRows<E>,
    /// The inputs row after row, if the model keeps them: picking rows from panels reads a cache line for each value.
    row_major: Option<Arc<Vec<f64>>>,
}

impl<E: Real> FusedData<E> {
    /// Packs inputs and targets, each row after row.
    pub(crate) fn new(inputs: &[f64], num_inputs: usize, targets: &[f64], num_targets: usize) -> Self {
        let (inputs, targets) = (PackedRows::new(inputs, num_inputs), PackedRows::new(targets, num_targets));
        assert_eq!(inputs.rows(), targets.rows(), "a target for each row");
        Self { inputs, targets, row_major: None }
    }

    /// Shares the inputs as they were given to [`new`](Self::new), to pick rows from.
    pub(crate) fn with_row_major(mut self, inputs: &Arc<Vec<f64>>) -> Self {
        self.row_major = Some(Arc::clone(inputs));
        self
    }

    fn gather_inputs(&self, rows: &[usize], to: &mut PackedRows<E>) {
        match &self.row_major {
            Some(inputs) => to.gather_row_major(inputs, rows),
            None => to.gather(&self.inputs, rows),
        }
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
    /// Values of each layer, then their deltas.
    values: Vec<AlignedBuffer<E>>,
    /// Slopes of each hidden layer that stores them.
    slopes: Vec<AlignedBuffer<E>>,
    /// A tile of deltas before their slopes.
    tile: AlignedBuffer<E>,
    /// Sums over a block that need no tiles: of each layer's deltas, and of the products of a narrow last layer.
    bias_sums: Vec<VectorSums<E>>,
    narrow_sums: VectorSums<E>,
    /// Ones, then zeros: a window of it masks a panel's padding.
    mask: AlignedBuffer<E>,
    position: Vec<E>,
    row: RowScratch,
    wide: WideLayers<E>,
}

impl<E: Real> Scratch<E> {
    fn new(network: &Network, num_targets: usize, rows: usize) -> Self {
        let most = rows.div_ceil(panel_rows::<E>()).max(1);
        // Blocks of equal size, as far as panels allow.
        let blocks = most.div_ceil(panels_per_block::<E>(network));
        let panels = most.div_ceil(blocks);
        let (top, hidden) = network.layers().split_last().expect("a network has a layer");
        let room = |width: usize| AlignedBuffer::zeros(panels * panel_rows::<E>() * width);
        let mut mask = AlignedBuffer::zeros(2 * panel_rows::<E>());
        mask.as_mut_slice()[..panel_rows::<E>()].fill(E::ONE);
        Self {
            panels,
            values: network.layers().iter().map(|layer| room(layer.outputs)).collect(),
            slopes: hidden.iter().map(|layer| room(if layer.activation.stores_slope() { layer.outputs } else { 0 })).collect(),
            tile: AlignedBuffer::zeros(BACK_ROWS * panel_rows::<E>()),
            bias_sums: network.layers().iter().map(|layer| VectorSums::new(layer.outputs)).collect(),
            narrow_sums: VectorSums::new(if is_narrow(network.layers()) { top.inputs * top.outputs } else { 0 }),
            mask,
            position: Vec::with_capacity(network.num_weights()),
            row: RowScratch::new(network.num_outputs(), num_targets),
            wide: WideLayers::new(network, panels * panel_rows::<E>()),
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
        let rows = data.num_rows();
        Self::with_room(network, data, likelihood, arch, rows)
    }

    /// The same for calls over at most `rows` rows, or more in several blocks.
    pub(crate) fn with_room(
        network: Arc<Network>,
        data: Arc<FusedData<E>>,
        likelihood: BlockLikelihood,
        arch: Arch,
        rows: usize,
    ) -> Self {
        let num_targets = likelihood.num_targets(network.num_outputs());
        let scratch = Scratch::new(&network, num_targets, rows);
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
        let rows = 0..self.data.num_rows();
        self.log_likelihood_and_gradient_of_range(rows, weights, parameters, weight_gradient, parameter_gradient)
    }

    /// The same over a range of rows that begins where a panel begins.
    pub(crate) fn log_likelihood_and_gradient_of_range(
        &mut self,
        range: Range<usize>,
        weights: &[f64],
        parameters: &[f64],
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let data = Arc::clone(&self.data);
        let rows = Rows::Range { inputs: &data.inputs, targets: &data.targets, range };
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
        let Scratch { panels, values, slopes, tile, bias_sums, narrow_sums, mask, position, row, wide } = &mut self.scratch;
        let sum = LikelihoodSum::new(&self.likelihood, parameters, parameter_gradient, row);
        let layers = self.network.layers();
        let position = E::convert(weights, position);
        let buffers = Buffers { values, slopes, tile, bias_sums, narrow_sums, mask: mask.as_slice(), wide };
        self.arch.dispatch(Pass { layers, panels: *panels, position, rows, buffers, sum, gradient: weight_gradient })
    }
}

/// Where a pass takes its rows from.
enum Rows<'a, E> {
    Range { inputs: &'a PackedRows<E>, targets: &'a PackedRows<E>, range: Range<usize> },
    Some { rows: &'a [usize], data: &'a FusedData<E>, gathered: &'a mut FusedRows<E> },
}

struct Buffers<'a, E> {
    values: &'a mut [AlignedBuffer<E>],
    slopes: &'a mut [AlignedBuffer<E>],
    tile: &'a mut AlignedBuffer<E>,
    bias_sums: &'a mut [VectorSums<E>],
    narrow_sums: &'a mut VectorSums<E>,
    mask: &'a [E],
    wide: &'a mut WideLayers<E>,
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
        self.buffers.wide.clear();
        let block = self.panels * panel_rows::<E>();
        let total = match &self.rows {
            Rows::Range { range, .. } => range.len(),
            Rows::Some { rows, .. } => rows.len(),
        };
        let mut first = 0;
        while first < total {
            let rows = block.min(total - first);
            let (inputs, targets) = match &mut self.rows {
                Rows::Range { inputs, targets, range } => {
                    (inputs.panels_from(range.start + first), targets.panels_from(range.start + first))
                }
                Rows::Some { rows: all, data, gathered } => {
                    data.gather_inputs(&all[first..first + rows], &mut gathered.inputs);
                    gathered.targets.gather(&data.targets, &all[first..first + rows]);
                    (gathered.inputs.panels_from(0), gathered.targets.panels_from(0))
                }
            };
            add_block(l, self.layers, self.position, inputs, targets, rows, &mut self.buffers, &mut self.sum, self.gradient);
            first += rows;
            self.buffers.wide.end_block(l, rows, first == total, self.layers, self.gradient);
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
    let place =
        |p: usize| Place { first: p * full_vectors, vectors: if p < panels.full { full_vectors } else { last_vectors } };
    for p in 0..rows.div_ceil(panel) {
        let here = place(p);
        forward_panel(l, layers, position, here.of(inputs, layers[0].inputs), buffers, here);
        let rows_here = (rows - p * panel).min(panel);
        let outputs = here.of_mut(L::vectors_mut(buffers.values[top].as_mut_slice()), num_outputs);
        let mask = &L::vectors(&buffers.mask[panel - rows_here..])[..here.vectors];
        let targets = here.of(targets, num_targets);
        sum.add(l, LikelihoodPanel { outputs: &mut *outputs, targets, mask, rows: rows_here, num_outputs });
        buffers.bias_sums[top].add(l, outputs, here.vectors);
        if is_narrow(layers) {
            // While the values below are near.
            back_panel(l, layers, position, top, buffers, here);
        }
    }
    for (i, layer) in layers.iter().enumerate().rev() {
        let narrow = i == top && is_narrow(layers);
        let (weights, biases) = gradient[layer.offset..layer.biases().end].split_at_mut(layer.inputs * layer.outputs);
        if !narrow {
            let (lower, upper) = buffers.values.split_at(i);
            let delta = L::vectors(upper[0].as_slice());
            let input = lower.last().map_or(inputs, |values| L::vectors(values.as_slice()));
            let sides = Sides { panels, delta, outputs: layer.outputs, input, inputs: layer.inputs };
            if buffers.wide.includes(i) {
                buffers.wide.add(l, i, sides, weights);
            } else {
                add_weight_gradient(l, sides, 0..layer.outputs, 0..layer.inputs, weights, &mut []);
            }
        }
        if i > 0 && !narrow {
            for p in 0..rows.div_ceil(panel) {
                back_panel(l, layers, position, i, buffers, place(p));
            }
        }
        buffers.bias_sums[i].take(l, biases);
        if narrow {
            buffers.narrow_sums.take(l, weights);
        }
    }
}

/// Takes the deltas of one panel back through layer `i`.
#[inline(always)]
fn back_panel<L: Lanes>(
    l: L,
    layers: &[DenseLayer],
    position: &[L::E],
    i: usize,
    buffers: &mut Buffers<'_, L::E>,
    here: Place,
) {
    let (layer, activation) = (layers[i], layers[i - 1].activation);
    let (lower, upper) = buffers.values.split_at_mut(i);
    let delta = here.of(L::vectors(upper[0].as_slice()), layer.outputs);
    let values = here.of_mut(L::vectors_mut(lower[i - 1].as_mut_slice()), layer.inputs);
    let slopes = L::vectors(buffers.slopes[i - 1].as_slice());
    let slopes = if activation.stores_slope() { here.of(slopes, layer.inputs) } else { &[] };
    let (slope, vectors) = (activation.slope(), here.vectors);
    let sums = buffers.bias_sums[i - 1].vectors_mut::<L>();
    let dense = Dense::of(layer, position);
    if i + 1 == layers.len() && is_narrow(layers) {
        let sides = NarrowSides { delta, slopes, slope, vectors };
        back_propagate_narrow(l, dense, sides, values, sums, buffers.narrow_sums.vectors_mut::<L>());
    } else {
        let tile = L::vectors_mut(buffers.tile.as_mut_slice());
        back_propagate_in_place(l, dense, delta, Below { values, slopes, slope, sums, tile, vectors });
    }
}

/// Takes one panel forward.
#[inline(always)]
fn forward_panel<L: Lanes>(
    l: L,
    layers: &[DenseLayer],
    position: &[L::E],
    input: &[L::V],
    buffers: &mut Buffers<'_, L::E>,
    here: Place,
) {
    for (i, layer) in layers.iter().enumerate() {
        let (lower, upper) = buffers.values.split_at_mut(i);
        let input = lower.last().map_or(input, |values| here.of(L::vectors(values.as_slice()), layer.inputs));
        let output = here.of_mut(L::vectors_mut(upper[0].as_mut_slice()), layer.outputs);
        let slopes = match buffers.slopes.get_mut(i) {
            Some(slopes) if layer.activation.stores_slope() => {
                here.of_mut(L::vectors_mut(slopes.as_mut_slice()), layer.outputs)
            }
            _ => &mut [],
        };
        let rectify = layer.activation == Activation::Relu;
        forward(l, Dense::of(*layer, position), input, output, here.vectors, rectify);
        if !rectify {
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
        let Scratch { values, slopes, tile, bias_sums, narrow_sums, mask, position, wide, .. } = &mut self.scratch;
        let position = E::convert(weights, position);
        let buffers = Buffers { values, slopes, tile, bias_sums, narrow_sums, mask: mask.as_slice(), wide };
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
            forward_panel(l, self.layers, self.position, input, &mut self.buffers, Place { first: 0, vectors });
            let from = self.buffers.values[top].as_slice();
            for row in 0..rows {
                for output in 0..num_outputs {
                    self.outputs[(first + row) * num_outputs + output] = from[output * stride + row].to_f64();
                }
            }
            first += rows;
        }
    }
}
