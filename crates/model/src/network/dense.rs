//! Compute dense layers on panels: forward, back-propagated deltas, and the gradients of weights and biases.
//!
//! A panel is `[feature][row]`, rows contiguous, so each weight is broadcast over vectors of rows. Sums live in a tile of registers:
//! up to five features by four vectors of rows on processors with 32 vector registers, five by two on others.

use super::DenseLayer;
use super::block::panel_rows;
use crate::simd::{Lanes, Real};
use std::ops::Range;

/// Inputs that a forward tile sums over at once: a chunk of a panel of 32 kB.
const FORWARD_INPUTS: usize = 128;

/// Bytes of a block's inputs that stay in the first-level cache while all rows of a weight gradient pass over them.
const GRADIENT_BYTES: usize = 32 << 10;

/// One layer's weights, row-major `[out][in]`, with its biases.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a, E> {
    pub(crate) weights: &'a [E],
    pub(crate) biases: &'a [E],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl<'a, E> Dense<'a, E> {
    /// The layer's part of a flat position.
    #[inline(always)]
    pub(crate) fn of(layer: DenseLayer, position: &'a [E]) -> Self {
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        Self { weights: &position[layer.weights()], biases: &position[layer.biases()], inputs, outputs }
    }
}

/// A slope as a quadratic of a stored value: constant + value·(linear + square·value).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quadratic {
    pub(crate) constant: f64,
    pub(crate) linear: f64,
    pub(crate) square: f64,
}

/// Splits `total` into tiles of at most `largest`, as equal as can be: (number of tiles, how many of them are one larger, smaller size).
#[inline(always)]
fn tiles(total: usize, largest: usize) -> (usize, usize, usize) {
    let count = total.div_ceil(largest).max(1);
    (count, total % count, total / count)
}

/// Writes W·x + b of one panel: `input` is `[in][vectors]`, `output` `[out][vectors]`.
#[inline(always)]
pub(crate) fn forward<L: Lanes>(l: L, layer: Dense<'_, L::E>, input: &[L::V], output: &mut [L::V], vectors: usize) {
    // Many inputs go in chunks that stay in the first-level cache; the sums wait in `output`.
    let (count, larger, size) = tiles(layer.inputs, FORWARD_INPUTS);
    let mut first = 0;
    for chunk in 0..count {
        let inputs = first..first + size + usize::from(chunk < larger);
        first = inputs.end;
        let mut column = 0;
        while column < vectors {
            let left = vectors - column;
            let step = if L::MANY_REGISTERS { left.min(4) } else { left.min(2) };
            match step {
                4 if L::MANY_REGISTERS => forward_columns::<L, 4>(l, layer, input, output, vectors, column, inputs.clone()),
                3 if L::MANY_REGISTERS => forward_columns::<L, 3>(l, layer, input, output, vectors, column, inputs.clone()),
                2 => forward_columns::<L, 2>(l, layer, input, output, vectors, column, inputs.clone()),
                _ => forward_columns::<L, 1>(l, layer, input, output, vectors, column, inputs.clone()),
            }
            column += step;
        }
    }
}

#[inline(always)]
fn forward_columns<L: Lanes, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    vectors: usize,
    column: usize,
    inputs: Range<usize>,
) {
    let (count, larger, size) = tiles(layer.outputs, 5);
    let mut row = 0;
    for tile in 0..count {
        let rows = size + usize::from(tile < larger);
        match rows {
            5 => forward_tile::<L, 5, N>(l, layer, input, output, vectors, row, column, inputs.clone()),
            4 => forward_tile::<L, 4, N>(l, layer, input, output, vectors, row, column, inputs.clone()),
            3 => forward_tile::<L, 3, N>(l, layer, input, output, vectors, row, column, inputs.clone()),
            2 => forward_tile::<L, 2, N>(l, layer, input, output, vectors, row, column, inputs.clone()),
            _ => forward_tile::<L, 1, N>(l, layer, input, output, vectors, row, column, inputs.clone()),
        }
        row += rows;
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the panel's parts stay apart so that they stay in registers")]
fn forward_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    vectors: usize,
    row: usize,
    column: usize,
    inputs: Range<usize>,
) {
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    if inputs.start == 0 {
        let biases = &layer.biases[row..row + M];
        for m in 0..M {
            sums[m] = [l.splat(biases[m]); N];
        }
    } else {
        for m in 0..M {
            let from = &output[(row + m) * vectors + column..][..N];
            sums[m].copy_from_slice(from);
        }
    }
    let mut weights: [&[L::E]; M] = [&[]; M];
    for (m, weights) in weights.iter_mut().enumerate() {
        *weights = &layer.weights[(row + m) * layer.inputs + inputs.start..][..inputs.len()];
    }
    for i in 0..inputs.len() {
        let x: &[L::V] = &input[(inputs.start + i) * vectors + column..][..N];
        for m in 0..M {
            let weight = l.splat(weights[m][i]);
            for n in 0..N {
                sums[m][n] = l.fma(weight, x[n], sums[m][n]);
            }
        }
    }
    for m in 0..M {
        let to = &mut output[(row + m) * vectors + column..][..N];
        to.copy_from_slice(&sums[m]);
    }
}

/// Writes the deltas of the layer below, (Wᵀ·delta)·slope: `delta` is `[out][vectors]`, `stored` and `below` are `[in][vectors]`.
#[inline(always)]
pub(crate) fn back_propagate<L: Lanes>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    stored: &[L::V],
    slope: Quadratic,
    below: &mut [L::V],
    vectors: usize,
) {
    let mut column = 0;
    while column < vectors {
        let left = vectors - column;
        let step = if L::MANY_REGISTERS { left.min(4) } else { left.min(2) };
        match step {
            4 if L::MANY_REGISTERS => back_columns::<L, 4>(l, layer, delta, stored, slope, below, vectors, column),
            3 if L::MANY_REGISTERS => back_columns::<L, 3>(l, layer, delta, stored, slope, below, vectors, column),
            2 => back_columns::<L, 2>(l, layer, delta, stored, slope, below, vectors, column),
            _ => back_columns::<L, 1>(l, layer, delta, stored, slope, below, vectors, column),
        }
        column += step;
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the panel's parts stay apart so that they stay in registers")]
fn back_columns<L: Lanes, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    stored: &[L::V],
    slope: Quadratic,
    below: &mut [L::V],
    vectors: usize,
    column: usize,
) {
    let (count, larger, size) = tiles(layer.inputs, 5);
    let mut row = 0;
    for tile in 0..count {
        let rows = size + usize::from(tile < larger);
        match rows {
            5 => back_tile::<L, 5, N>(l, layer, delta, stored, slope, below, vectors, row, column),
            4 => back_tile::<L, 4, N>(l, layer, delta, stored, slope, below, vectors, row, column),
            3 => back_tile::<L, 3, N>(l, layer, delta, stored, slope, below, vectors, row, column),
            2 => back_tile::<L, 2, N>(l, layer, delta, stored, slope, below, vectors, row, column),
            _ => back_tile::<L, 1, N>(l, layer, delta, stored, slope, below, vectors, row, column),
        }
        row += rows;
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the panel's parts stay apart so that they stay in registers")]
fn back_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    stored: &[L::V],
    slope: Quadratic,
    below: &mut [L::V],
    vectors: usize,
    row: usize,
    column: usize,
) {
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    for h in 0..layer.outputs {
        let d: &[L::V] = &delta[h * vectors + column..][..N];
        let weights = &layer.weights[h * layer.inputs + row..][..M];
        for m in 0..M {
            let weight = l.splat(weights[m]);
            for n in 0..N {
                sums[m][n] = l.fma(weight, d[n], sums[m][n]);
            }
        }
    }
    let constant = l.splat(L::E::from_f64(slope.constant));
    let linear = l.splat(L::E::from_f64(slope.linear));
    let square = l.splat(L::E::from_f64(slope.square));
    for m in 0..M {
        let from = &stored[(row + m) * vectors + column..][..N];
        let to = &mut below[(row + m) * vectors + column..][..N];
        for n in 0..N {
            let value = from[n];
            let slope = l.fma(value, l.fma(value, square, linear), constant);
            to[n] = l.mul(sums[m][n], slope);
        }
    }
}

/// Vectors of a feature in a full panel.
#[inline(always)]
fn full_vectors<L: Lanes>() -> usize {
    panel_rows::<L::E>() / L::WIDTH
}

/// A block's panels: full ones, then perhaps a shorter one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panels {
    /// Number of full panels.
    pub(crate) full: usize,
    /// Vectors of a feature in the last panel, if it is shorter; 0 if there is none.
    pub(crate) last_vectors: usize,
}

/// Adds to the gradients of weights (`[out][in]`) and biases the sums over a block of delta·inputᵀ and of delta.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the block's parts stay apart so that they stay in registers")]
pub(crate) fn add_weight_gradient<L: Lanes>(
    l: L,
    panels: Panels,
    delta: &[L::V],
    outputs: usize,
    input: &[L::V],
    inputs: usize,
    weights: &mut [f64],
    biases: &mut [f64],
) {
    let largest = if L::MANY_REGISTERS { 5 } else { 3 };
    let (count, larger, size) = tiles(outputs, largest);
    let sides = Sides { panels, delta, outputs, input, inputs };
    let vectors = panels.full * full_vectors::<L>() + panels.last_vectors;
    let chunk = (GRADIENT_BYTES / (vectors * size_of::<L::V>()).max(1) / 4 * 4).max(4);
    let mut first = 0;
    while first < inputs {
        let features = first..inputs.min(first + chunk);
        first = features.end;
        let mut row = 0;
        for tile in 0..count {
            let rows = size + usize::from(tile < larger);
            if features.start == 0 {
                // Just before the tiles read the same deltas.
                add_biases(l, sides, row, &mut biases[row..row + rows]);
            }
            match rows {
                5 if L::MANY_REGISTERS => gradient_rows::<L, 5>(l, sides, row, features.clone(), weights),
                4 if L::MANY_REGISTERS => gradient_rows::<L, 4>(l, sides, row, features.clone(), weights),
                3 => gradient_rows::<L, 3>(l, sides, row, features.clone(), weights),
                2 => gradient_rows::<L, 2>(l, sides, row, features.clone(), weights),
                _ => gradient_rows::<L, 1>(l, sides, row, features.clone(), weights),
            }
            row += rows;
        }
    }
}

/// The two sides of a weight gradient over a block.
#[derive(Clone, Copy)]
struct Sides<'a, V> {
    panels: Panels,
    delta: &'a [V],
    outputs: usize,
    input: &'a [V],
    inputs: usize,
}

#[inline(always)]
fn gradient_rows<L: Lanes, const M: usize>(
    l: L,
    sides: Sides<'_, L::V>,
    row: usize,
    features: Range<usize>,
    weights: &mut [f64],
) {
    let largest = if L::MANY_REGISTERS { 4 } else { 3 };
    let (count, larger, size) = tiles(features.len(), largest);
    let mut feature = features.start;
    for tile in 0..count {
        let features = size + usize::from(tile < larger);
        match features {
            4 if L::MANY_REGISTERS => gradient_tile::<L, M, 4>(l, sides, row, feature, weights),
            3 => gradient_tile::<L, M, 3>(l, sides, row, feature, weights),
            2 => gradient_tile::<L, M, 2>(l, sides, row, feature, weights),
            _ => gradient_tile::<L, M, 1>(l, sides, row, feature, weights),
        }
        feature += features;
    }
}

#[inline(always)]
fn gradient_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    sides: Sides<'_, L::V>,
    row: usize,
    feature: usize,
    weights: &mut [f64],
) {
    let Sides { panels, delta, outputs, input, inputs } = sides;
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    let full = full_vectors::<L>();
    for panel in 0..panels.full {
        let delta = &delta[(panel * outputs + row) * full..][..M * full];
        let input = &input[(panel * inputs + feature) * full..][..N * full];
        add_products(l, delta, input, full, &mut sums);
    }
    let last = panels.last_vectors;
    if last > 0 {
        let delta = &delta[panels.full * full * outputs + row * last..][..M * last];
        let input = &input[panels.full * full * inputs + feature * last..][..N * last];
        add_products(l, delta, input, last, &mut sums);
    }
    for m in 0..M {
        let to = &mut weights[(row + m) * inputs + feature..][..N];
        let mut four = [l.splat(L::E::ZERO); 4];
        four[..N].copy_from_slice(&sums[m]);
        let four = l.sum_four(four);
        for n in 0..N {
            to[n] += four[n].to_f64();
        }
    }
}

/// Adds the products of M deltas and N inputs, a vector of rows at a time.
#[inline(always)]
fn add_products<L: Lanes, const M: usize, const N: usize>(
    l: L,
    delta: &[L::V],
    input: &[L::V],
    vectors: usize,
    sums: &mut [[L::V; N]; M],
) {
    let mut deltas: [&[L::V]; M] = [&[]; M];
    for m in 0..M {
        deltas[m] = &delta[m * vectors..][..vectors];
    }
    let mut inputs: [&[L::V]; N] = [&[]; N];
    for n in 0..N {
        inputs[n] = &input[n * vectors..][..vectors];
    }
    for c in 0..vectors {
        let mut x = [inputs[0][c]; N];
        for n in 1..N {
            x[n] = inputs[n][c];
        }
        for m in 0..M {
            let d = deltas[m][c];
            for n in 0..N {
                sums[m][n] = l.fma(d, x[n], sums[m][n]);
            }
        }
    }
}

/// Adds the sums of deltas over the block, from row `first` on.
#[inline(always)]
fn add_biases<L: Lanes>(l: L, sides: Sides<'_, L::V>, first: usize, biases: &mut [f64]) {
    let full = full_vectors::<L>();
    let Sides { panels, delta, outputs, .. } = sides;
    let (whole, last) = delta.split_at(panels.full * full * outputs);
    for (row, bias) in biases.iter_mut().enumerate() {
        let row = first + row;
        // Four sums, so that no addition waits for the one before.
        let mut sums = [l.splat(L::E::ZERO); 4];
        for panel in 0..panels.full {
            let (fours, _) = whole[(panel * outputs + row) * full..][..full].as_chunks::<4>();
            for four in fours {
                for n in 0..4 {
                    sums[n] = l.add(sums[n], four[n]);
                }
            }
        }
        for (n, value) in last[row * panels.last_vectors..][..panels.last_vectors].iter().enumerate() {
            sums[n % 4] = l.add(sums[n % 4], *value);
        }
        *bias += l.sum(l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3]))).to_f64();
    }
}
