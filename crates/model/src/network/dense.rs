//! Compute dense layers on panels: forward, back-propagated deltas, and the gradients of weights and biases.
//!
//! A panel is `[feature][row]`, rows contiguous, so each weight is broadcast over vectors of rows. Sums live in a tile of registers:
//! up to five features by four vectors of rows on processors with 32 vector registers, five by two on others.

use super::block::panel_rows;
use crate::simd::{Lanes, Real};

/// One layer's weights, row-major `[out][in]`, with its biases.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a, E> {
    pub(crate) weights: &'a [E],
    pub(crate) biases: &'a [E],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
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
    let mut column = 0;
    while column < vectors {
        let left = vectors - column;
        let step = if L::MANY_REGISTERS { left.min(4) } else { left.min(2) };
        match step {
            4 if L::MANY_REGISTERS => forward_columns::<L, 4>(l, layer, input, output, vectors, column),
            3 if L::MANY_REGISTERS => forward_columns::<L, 3>(l, layer, input, output, vectors, column),
            2 => forward_columns::<L, 2>(l, layer, input, output, vectors, column),
            _ => forward_columns::<L, 1>(l, layer, input, output, vectors, column),
        }
        column += step;
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
) {
    let (count, larger, size) = tiles(layer.outputs, 5);
    let mut row = 0;
    for tile in 0..count {
        let rows = size + usize::from(tile < larger);
        match rows {
            5 => forward_tile::<L, 5, N>(l, layer, input, output, vectors, row, column),
            4 => forward_tile::<L, 4, N>(l, layer, input, output, vectors, row, column),
            3 => forward_tile::<L, 3, N>(l, layer, input, output, vectors, row, column),
            2 => forward_tile::<L, 2, N>(l, layer, input, output, vectors, row, column),
            _ => forward_tile::<L, 1, N>(l, layer, input, output, vectors, row, column),
        }
        row += rows;
    }
}

#[inline(always)]
fn forward_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    vectors: usize,
    row: usize,
    column: usize,
) {
    let inputs = layer.inputs;
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    let biases = &layer.biases[row..row + M];
    let mut weights: [&[L::E]; M] = [&[]; M];
    for m in 0..M {
        sums[m] = [l.splat(biases[m]); N];
        weights[m] = &layer.weights[(row + m) * inputs..][..inputs];
    }
    for i in 0..inputs {
        let x: &[L::V] = &input[i * vectors + column..][..N];
        for m in 0..M {
            let weight = l.splat(weights[m][i]);
            for n in 0..N {
                sums[m][n] = l.fma(weight, x[n], sums[m][n]);
            }
        }
    }
    for m in 0..M {
        let to = &mut output[(row + m) * vectors + column..][..N];
        for n in 0..N {
            to[n] = sums[m][n];
        }
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
    bias_sums(l, sides, biases);
    let mut row = 0;
    for tile in 0..count {
        let rows = size + usize::from(tile < larger);
        match rows {
            5 if L::MANY_REGISTERS => gradient_rows::<L, 5>(l, sides, row, weights),
            4 if L::MANY_REGISTERS => gradient_rows::<L, 4>(l, sides, row, weights),
            3 => gradient_rows::<L, 3>(l, sides, row, weights),
            2 => gradient_rows::<L, 2>(l, sides, row, weights),
            _ => gradient_rows::<L, 1>(l, sides, row, weights),
        }
        row += rows;
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
fn gradient_rows<L: Lanes, const M: usize>(l: L, sides: Sides<'_, L::V>, row: usize, weights: &mut [f64]) {
    let largest = if L::MANY_REGISTERS { 4 } else { 3 };
    let (count, larger, size) = tiles(sides.inputs, largest);
    let mut feature = 0;
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
        for n in 0..N {
            to[n] += l.sum(sums[m][n]).to_f64();
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

/// Adds the sum of each delta over the block.
#[inline(always)]
fn bias_sums<L: Lanes>(l: L, sides: Sides<'_, L::V>, biases: &mut [f64]) {
    let full = full_vectors::<L>();
    let Sides { panels, delta, outputs, .. } = sides;
    let (whole, last) = delta.split_at(panels.full * full * outputs);
    for (row, bias) in biases.iter_mut().enumerate() {
        let mut sum = l.splat(L::E::ZERO);
        for panel in 0..panels.full {
            for value in &whole[(panel * outputs + row) * full..][..full] {
                sum = l.add(sum, *value);
            }
        }
        for value in &last[row * panels.last_vectors..][..panels.last_vectors] {
            sum = l.add(sum, *value);
        }
        *bias += l.sum(sum).to_f64();
    }
}
