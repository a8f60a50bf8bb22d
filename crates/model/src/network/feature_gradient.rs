//! Compute the features below a linear output layer, their Gram matrix, and the gradient of what depends on both.
//!
//! Two passes: the first takes all rows forward, keeps their activations and sums the Gram matrix; between them the caller finds
//! what the output layer's weights are given the features; the second takes derivatives back through the hidden layers.

use super::block::{PackedRows, padded_rows, panel_rows};
use super::dense::{Dense, Panels, Sides, add_weight_gradient, back_propagate};
use super::forward::forward;
use super::gram::add_gram;
use super::{DenseLayer, DenseNetwork};
use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};
use std::sync::Arc;

/// Bytes of features that a block may take of the second-level cache.
const BLOCK_BYTES: usize = 128 << 10;

/// The rows that a gradient sums over; chains share them.
#[derive(Debug)]
pub(crate) struct FeatureData<E> {
    inputs: PackedRows<E>,
    targets: PackedRows<E>,
}

impl<E: Real> FeatureData<E> {
    /// Packs inputs and targets, each row after row.
    pub(crate) fn new(inputs: &[f64], num_inputs: usize, targets: &[f64], num_targets: usize) -> Self {
        Self { inputs: PackedRows::new(inputs, num_inputs), targets: PackedRows::new(targets, num_targets) }
    }
}

/// Where features stand in a panel: the last hidden layer's values, then a one for the bias, then the targets or residuals.
#[derive(Debug, Clone, Copy)]
struct Widths {
    hidden: usize,
    outputs: usize,
}

impl Widths {
    fn all(self) -> usize {
        self.hidden + 1 + self.outputs
    }
}

/// What the second pass needs of the output layer.
#[derive(Debug, Clone)]
pub(crate) struct OutputLayer<E> {
    /// Weights, row-major (outputs × hidden).
    pub(crate) weights: Vec<E>,
    /// One bias an output.
    pub(crate) biases: Vec<E>,
    /// The derivative in the hidden features as a linear function of all features and residuals: row-major
    /// (hidden + 1 + outputs) × hidden.
    pub(crate) back: Vec<E>,
}

/// Evaluates features, Gram matrices and gradients in arithmetic of `E`; one for each chain.
#[derive(Debug, Clone)]
pub(crate) struct FeatureGradient<E> {
    network: Arc<DenseNetwork>,
    data: Arc<FeatureData<E>>,
    arch: Arch,
    widths: Widths,
    /// Panels of a block.
    panels: usize,
    /// Features of all rows.
    features: AlignedBuffer<E>,
    /// Values of each hidden layer but the last, for all rows.
    values: Vec<AlignedBuffer<E>>,
    /// Slopes of each hidden layer that stores them, for all rows.
    slopes: Vec<AlignedBuffer<E>>,
    /// Deltas of each hidden layer, for a block.
    deltas: Vec<AlignedBuffer<E>>,
    /// Outputs of a panel.
    outputs: AlignedBuffer<E>,
    /// Ones, then zeros: a window of it masks a panel's padding.
    mask: AlignedBuffer<E>,
    position: Vec<E>,
    gram: Vec<f64>,
    squares: Vec<f64>,
    output_layer: OutputLayer<E>,
}

impl<E: Real> FeatureGradient<E> {
    /// For a network whose last layer is linear and has a layer below it.
    pub(crate) fn new(network: Arc<DenseNetwork>, data: Arc<FeatureData<E>>) -> Self {
        Self::with_arch(network, data, Arch::new())
    }

    /// The same on a given instruction set.
    pub(crate) fn with_arch(network: Arc<DenseNetwork>, data: Arc<FeatureData<E>>, arch: Arch) -> Self {
        let (top, hidden) = network.layers().split_last().expect("a network has a layer");
        let widths = Widths { hidden: top.inputs, outputs: top.outputs };
        let rows = padded_rows::<E>(data.inputs.rows());
        let total = rows.div_ceil(panel_rows::<E>()).max(1);
        let most = (BLOCK_BYTES / (widths.all() * panel_rows::<E>() * size_of::<E>())).clamp(2, 4);
        // Blocks of equal size, as far as panels allow.
        let panels = total.div_ceil(total.div_ceil(most));
        let mut mask = AlignedBuffer::zeros(2 * panel_rows::<E>());
        mask.as_mut_slice()[..panel_rows::<E>()].fill(E::ONE);
        let values = |layer: &DenseLayer| AlignedBuffer::zeros(rows * layer.outputs);
        let slopes =
            |layer: &DenseLayer| AlignedBuffer::zeros(if layer.activation.stores_slope() { rows * layer.outputs } else { 0 });
        let deltas = |layer: &DenseLayer| AlignedBuffer::zeros(panels * panel_rows::<E>() * layer.outputs);
        Self {
            widths,
            panels,
            features: AlignedBuffer::zeros(rows * widths.all()),
            values: hidden[..hidden.len() - 1].iter().map(values).collect(),
            slopes: hidden.iter().map(slopes).collect(),
            deltas: hidden.iter().map(deltas).collect(),
            outputs: AlignedBuffer::zeros(panel_rows::<E>() * widths.outputs),
            mask,
            position: vec![E::ZERO; top.offset],
            gram: vec![0.0; widths.all() * widths.all()],
            squares: vec![0.0; widths.outputs],
            output_layer: OutputLayer {
                weights: vec![E::ZERO; widths.outputs * widths.hidden],
                biases: vec![E::ZERO; widths.outputs],
                back: vec![E::ZERO; widths.all() * widths.hidden],
            },
            network,
            data,
            arch,
        }
    }

    /// Takes all rows forward and returns the sums over rows of products of features: the last hidden layer's values, a one, and the
    /// targets; row-major, the lower triangle. `weights` are the hidden layers'.
    pub(crate) fn gram(&mut self, weights: &[f64]) -> &[f64] {
        self.gram.fill(0.0);
        self.arch.dispatch(Forward {
            layers: self.network.layers(),
            position: E::convert(weights, &mut self.position),
            data: &self.data,
            widths: self.widths,
            panels: self.panels,
            features: &mut self.features,
            values: &mut self.values,
            slopes: &mut self.slopes,
            mask: &self.mask,
            gram: &mut self.gram,
        });
        &self.gram
    }

    /// The sums of the last [`gram`](Self::gram), and the output layer that the caller finds from them.
    pub(crate) fn gram_and_output_layer(&mut self) -> (&[f64], &mut OutputLayer<E>) {
        (&self.gram, &mut self.output_layer)
    }

    /// After [`gram`](Self::gram) at the same weights, writes the gradient in the hidden layers' weights, given the derivative in the
    /// features by the output layer, and returns each output's sum of squared residuals.
    pub(crate) fn gradient(&mut self, weights: &[f64], gradient: &mut [f64]) -> &[f64] {
        gradient.fill(0.0);
        self.squares.fill(0.0);
        self.arch.dispatch(Backward {
            layers: self.network.layers(),
            position: E::convert(weights, &mut self.position),
            data: &self.data,
            widths: self.widths,
            panels: self.panels,
            features: &mut self.features,
            values: &self.values,
            slopes: &self.slopes,
            deltas: &mut self.deltas,
            outputs: &mut self.outputs,
            mask: &self.mask,
            output_layer: &self.output_layer,
            squares: &mut self.squares,
            gradient,
        });
        &self.squares
    }
}

/// One panel among all.
#[derive(Clone, Copy)]
struct Panel {
    /// Vectors of a feature in the panels before.
    first: usize,
    /// Vectors of a feature in this panel.
    vectors: usize,
    /// Rows of the data in this panel.
    rows: usize,
}

impl Panel {
    #[inline(always)]
    fn new<L: Lanes>(index: usize, rows: usize) -> Self {
        let panel = panel_rows::<L::E>();
        let rows = (rows - index * panel).min(panel);
        Self { first: index * (panel / L::WIDTH), vectors: padded_rows::<L::E>(rows) / L::WIDTH, rows }
    }

    /// This panel's part of a buffer that holds `width` features of all rows.
    #[inline(always)]
    fn of<L: Lanes>(self, buffer: &[L::E], width: usize) -> &[L::V] {
        &L::vectors(buffer)[self.first * width..][..self.vectors * width]
    }

    #[inline(always)]
    fn of_mut<L: Lanes>(self, buffer: &mut [L::E], width: usize) -> &mut [L::V] {
        &mut L::vectors_mut(buffer)[self.first * width..][..self.vectors * width]
    }
}

/// The panels from `first` on, `count` at most.
#[inline(always)]
fn block<L: Lanes>(rows: usize, first: usize, count: usize) -> Panels {
    let panel = panel_rows::<L::E>();
    let rows = (rows - first * panel).min(count * panel);
    Panels { full: rows / panel, last_vectors: padded_rows::<L::E>(rows % panel) / L::WIDTH }
}

/// The first pass, dispatched to an instruction set once.
struct Forward<'a, E> {
    layers: &'a [DenseLayer],
    position: &'a [E],
    data: &'a FeatureData<E>,
    widths: Widths,
    panels: usize,
    features: &'a mut AlignedBuffer<E>,
    values: &'a mut [AlignedBuffer<E>],
    slopes: &'a mut [AlignedBuffer<E>],
    mask: &'a AlignedBuffer<E>,
    gram: &'a mut [f64],
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let l = E::lanes(simd);
        let rows = self.data.inputs.rows();
        let total = rows.div_ceil(panel_rows::<E>());
        let width = self.widths.all();
        let mut first = 0;
        while first < total {
            let end = total.min(first + self.panels);
            for index in first..end {
                self.panel(l, Panel::new::<E::Lanes<S>>(index, rows));
            }
            let features = <E::Lanes<S> as Lanes>::vectors(self.features.as_slice());
            let start = Panel::new::<E::Lanes<S>>(first, rows).first;
            add_gram(l, block::<E::Lanes<S>>(rows, first, self.panels), &features[start * width..], width, self.gram);
            first = end;
        }
    }
}

impl<E: Real> Forward<'_, E> {
    #[inline(always)]
    fn panel<L: Lanes<E = E>>(&mut self, l: L, panel: Panel) {
        let vectors = panel.vectors;
        let hidden = &self.layers[..self.layers.len() - 1];
        let (width, outputs) = (self.widths.hidden, self.widths.outputs);
        let features = panel.of_mut::<L>(self.features.as_mut_slice(), self.widths.all());
        for (i, layer) in hidden.iter().enumerate() {
            let (lower, upper) = self.values.split_at_mut(i);
            let input = match lower.last() {
                None => panel.of::<L>(self.data.inputs.panels_from(0), layer.inputs),
                Some(below) => panel.of::<L>(below.as_slice(), layer.inputs),
            };
            let output = match upper.first_mut() {
                Some(values) => panel.of_mut::<L>(values.as_mut_slice(), layer.outputs),
                None => &mut features[..vectors * width],
            };
            forward(l, Dense::of(*layer, self.position), input, output, vectors, false);
            let slopes = if layer.activation.stores_slope() {
                panel.of_mut::<L>(self.slopes[i].as_mut_slice(), layer.outputs)
            } else {
                &mut []
            };
            layer.activation.apply(l, output, slopes);
        }
        let mask = &L::vectors(&self.mask.as_slice()[panel_rows::<E>() - panel.rows..])[..vectors];
        features[vectors * width..][..vectors].copy_from_slice(mask);
        let targets = panel.of::<L>(self.data.targets.panels_from(0), outputs);
        features[vectors * (width + 1)..].copy_from_slice(targets);
        if panel.rows < vectors * L::WIDTH {
            // Padding adds nothing to sums of products.
            for feature in features.chunks_exact_mut(vectors) {
                for (value, mask) in feature.iter_mut().zip(mask) {
                    *value = l.select_less(l.splat(E::ZERO), *mask, *value, l.splat(E::ZERO));
                }
            }
        }
    }
}

/// The second pass, dispatched to an instruction set once.
struct Backward<'a, E> {
    layers: &'a [DenseLayer],
    position: &'a [E],
    data: &'a FeatureData<E>,
    widths: Widths,
    panels: usize,
    features: &'a mut AlignedBuffer<E>,
    values: &'a [AlignedBuffer<E>],
    slopes: &'a [AlignedBuffer<E>],
    deltas: &'a mut [AlignedBuffer<E>],
    outputs: &'a mut AlignedBuffer<E>,
    mask: &'a AlignedBuffer<E>,
    output_layer: &'a OutputLayer<E>,
    squares: &'a mut [f64],
    gradient: &'a mut [f64],
}

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let l = E::lanes(simd);
        let rows = self.data.inputs.rows();
        let total = rows.div_ceil(panel_rows::<E>());
        let mut first = 0;
        while first < total {
            let end = total.min(first + self.panels);
            for index in first..end {
                let panel = Panel::new::<E::Lanes<S>>(index, rows);
                self.residuals(l, panel);
                self.deltas(l, panel, Panel { first: (index - first) * (panel_rows::<E>() / <E::Lanes<S>>::WIDTH), ..panel });
            }
            let start = Panel::new::<E::Lanes<S>>(first, rows).first;
            self.weight_gradients(l, block::<E::Lanes<S>>(rows, first, self.panels), start);
            first = end;
        }
    }
}

impl<E: Real> Backward<'_, E> {
    /// Replaces a panel's targets by residuals, and adds their squares.
    #[inline(always)]
    fn residuals<L: Lanes<E = E>>(&mut self, l: L, panel: Panel) {
        let Panel { vectors, .. } = panel;
        let Widths { hidden, outputs } = self.widths;
        let features = panel.of_mut::<L>(self.features.as_mut_slice(), self.widths.all());
        let (values, residuals) = features.split_at_mut(vectors * (hidden + 1));
        let fitted = &mut L::vectors_mut(self.outputs.as_mut_slice())[..vectors * outputs];
        let OutputLayer { weights, biases, .. } = self.output_layer;
        forward(l, Dense { weights, biases, inputs: hidden, outputs }, &values[..vectors * hidden], fitted, vectors, false);
        let mask = &L::vectors(&self.mask.as_slice()[panel_rows::<E>() - panel.rows..])[..vectors];
        for output in 0..outputs {
            let mut squares = l.splat(E::ZERO);
            for c in 0..vectors {
                let residual = &mut residuals[output * vectors + c];
                *residual = l.mul(l.sub(*residual, fitted[output * vectors + c]), mask[c]);
                squares = l.fma(*residual, *residual, squares);
            }
            self.squares[output] += l.sum(squares).to_f64();
        }
    }

    /// Writes a panel's deltas of all hidden layers; `within` is the panel's place in its block.
    #[inline(always)]
    fn deltas<L: Lanes<E = E>>(&mut self, l: L, panel: Panel, within: Panel) {
        let vectors = panel.vectors;
        let top = self.layers.len() - 1;
        let features = panel.of::<L>(self.features.as_slice(), self.widths.all());
        for i in (1..=top).rev() {
            let below = self.layers[i - 1];
            let activation = below.activation;
            let stored = if activation.stores_slope() {
                panel.of::<L>(self.slopes[i - 1].as_slice(), below.outputs)
            } else if i == top {
                &features[..vectors * below.outputs]
            } else {
                panel.of::<L>(self.values[i - 1].as_slice(), below.outputs)
            };
            let (lower, upper) = self.deltas.split_at_mut(i);
            let to = within.of_mut::<L>(lower[i - 1].as_mut_slice(), below.outputs);
            let (layer, delta) = match upper.first() {
                Some(upper) => {
                    let layer = self.layers[i];
                    (Dense::of(layer, self.position), within.of::<L>(upper.as_slice(), layer.outputs))
                }
                None => {
                    let (inputs, outputs) = (self.widths.hidden, self.widths.all());
                    (Dense { weights: &self.output_layer.back[..], biases: &[], inputs, outputs }, features)
                }
            };
            back_propagate(l, layer, delta, stored, activation.slope(), to, vectors);
        }
    }

    /// Adds a block's sums to the gradients of the hidden layers' weights; `first` counts a feature's vectors before the block.
    #[inline(always)]
    fn weight_gradients<L: Lanes<E = E>>(&mut self, l: L, panels: Panels, first: usize) {
        for (i, layer) in self.layers[..self.layers.len() - 1].iter().enumerate() {
            let input = if i == 0 { self.data.inputs.panels_from(0) } else { self.values[i - 1].as_slice() };
            let input = &L::vectors(input)[first * layer.inputs..];
            let delta = L::vectors(self.deltas[i].as_slice());
            let (weights, biases) = self.gradient[layer.offset..layer.biases().end].split_at_mut(layer.inputs * layer.outputs);
            let sides = Sides { panels, delta, outputs: layer.outputs, input, inputs: layer.inputs };
            add_weight_gradient(l, sides, 0..layer.outputs, 0..layer.inputs, weights, biases);
        }
    }
}
