//! Hold a dense layer, and compute on panels what goes back through it: deltas, and the gradients of weights and biases.
//!
//! A panel is `[feature][row]`, rows contiguous, so each weight is broadcast over vectors of rows. Sums live in a tile of registers:
//! up to five features by four vectors of rows on processors with 32 vector registers, five by two on others.

use super::DenseLayer;
use super::block::panel_rows;
use crate::simd::{Lanes, Real};
use std::ops::Range;

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

/// An activation's slope, as a function of what the forward pass stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Slope {
    /// The same everywhere.
    Constant(f64),
    /// This multiple of the stored number.
    Stored(f64),
    /// 1 − value².
    OneMinusSquare,
    /// value·(1 − value).
    Logistic,
    /// 1 where the value is positive, else this.
    Step(f64),
}

impl Slope {
    /// Replaces values by `sums` times the slope at them.
    #[inline(always)]
    pub(crate) fn replace<L: Lanes>(self, l: L, sums: &[L::V], values: &mut [L::V]) {
        let one = l.splat(L::E::ONE);
        let pairs = values.iter_mut().zip(sums);
        match self {
            Self::OneMinusSquare => {
                for (value, &sum) in pairs {
                    *value = l.mul(sum, l.negative_fma(*value, *value, one));
                }
            }
            Self::Step(below) => {
                let (zero, below) = (l.splat(L::E::ZERO), l.splat(L::E::from_f64(below)));
                for (value, &sum) in pairs {
                    *value = l.select_less(zero, *value, sum, l.mul(sum, below));
                }
            }
            _ => {
                for (value, &sum) in pairs {
                    let mut delta = [sum];
                    self.multiply(l, &[*value], &mut delta);
                    [*value] = delta;
                }
            }
        }
    }

    /// Multiplies `deltas` by the slope at `stored`.
    #[inline(always)]
    pub(crate) fn multiply<L: Lanes>(self, l: L, stored: &[L::V], deltas: &mut [L::V]) {
        let pairs = deltas.iter_mut().zip(stored);
        match self {
            Self::Constant(slope) => {
                let slope = l.splat(L::E::from_f64(slope));
                for (delta, _) in pairs {
                    *delta = l.mul(*delta, slope);
                }
            }
            Self::Stored(factor) => {
                let factor = l.splat(L::E::from_f64(factor));
                for (delta, &stored) in pairs {
                    *delta = l.mul(*delta, l.mul(stored, factor));
                }
            }
            Self::OneMinusSquare => {
                let one = l.splat(L::E::ONE);
                for (delta, &value) in pairs {
                    *delta = l.mul(*delta, l.negative_fma(value, value, one));
                }
            }
            Self::Logistic => {
                let one = l.splat(L::E::ONE);
                for (delta, &value) in pairs {
                    *delta = l.mul(*delta, l.mul(value, l.sub(one, value)));
                }
            }
            Self::Step(below) => {
                let (zero, below) = (l.splat(L::E::ZERO), l.splat(L::E::from_f64(below)));
                for (delta, &value) in pairs {
                    *delta = l.select_less(zero, value, *delta, l.mul(*delta, below));
                }
            }
        }
    }
}

/// Units of the largest tile that takes deltas back.
pub(crate) const BACK_ROWS: usize = 5;

/// Splits `total` into tiles of at most `largest`, as equal as can be: (number of tiles, how many of them are one larger, smaller size).
#[inline(always)]
pub(super) fn tiles(total: usize, largest: usize) -> (usize, usize, usize) {
    let count = total.div_ceil(largest).max(1);
    (count, total % count, total / count)
}

/// Writes the deltas of the layer below, (Wᵀ·delta)·slope: `delta` is `[out][vectors]`, `stored` and `below` are `[in][vectors]`.
#[inline(always)]
pub(crate) fn back_propagate<L: Lanes>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    stored: &[L::V],
    slope: Slope,
    below: &mut [L::V],
    vectors: usize,
) {
    l.outline(
        #[inline(always)]
        || {
            let (count, larger, size) = tiles(layer.inputs, BACK_ROWS);
            let mut row = 0;
            for tile in 0..count {
                let rows = size + usize::from(tile < larger);
                let span = row * vectors..(row + rows) * vectors;
                let below = &mut below[span.clone()];
                back_rows(l, layer, delta, below, vectors, row, rows);
                slope.multiply(l, &stored[span], below);
                row += rows;
            }
        },
    )
}

/// Where a layer's deltas go back to.
pub(crate) struct Below<'a, V> {
    /// The values below, `[in][vectors]`, to be replaced by their deltas.
    pub(crate) values: &'a mut [V],
    /// The slopes below where they are stored, else empty.
    pub(crate) slopes: &'a [V],
    pub(crate) slope: Slope,
    /// A vector for each unit, to which the sums of its deltas are added.
    pub(crate) sums: &'a mut [V],
    /// Room for a tile, [`BACK_ROWS`] units.
    pub(crate) tile: &'a mut [V],
    pub(crate) vectors: usize,
}

/// Replaces the values of the layer below by their deltas, (Wᵀ·delta)·slope: `delta` is `[out][vectors]`.
#[inline(always)]
pub(crate) fn back_propagate_in_place<L: Lanes>(l: L, layer: Dense<'_, L::E>, delta: &[L::V], below: Below<'_, L::V>) {
    l.outline(
        #[inline(always)]
        || {
            let Below { values, slopes, slope, sums, tile: room, vectors } = below;
            let (count, larger, size) = tiles(layer.inputs, BACK_ROWS);
            let mut row = 0;
            for tile in 0..count {
                let rows = size + usize::from(tile < larger);
                let span = row * vectors..(row + rows) * vectors;
                let room = &mut room[..rows * vectors];
                back_rows(l, layer, delta, room, vectors, row, rows);
                let values = &mut values[span.clone()];
                if slopes.is_empty() {
                    slope.replace(l, room, values);
                } else {
                    values.copy_from_slice(room);
                    slope.multiply(l, &slopes[span], values);
                }
                add_rows(l, values, vectors, &mut sums[row..row + rows]);
                row += rows;
            }
        },
    )
}

#[inline(always)]
fn back_rows<L: Lanes>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    products: &mut [L::V],
    vectors: usize,
    row: usize,
    rows: usize,
) {
    match rows {
        5 => back_columns::<L, 5>(l, layer, delta, products, vectors, row),
        4 => back_columns::<L, 4>(l, layer, delta, products, vectors, row),
        3 => back_columns::<L, 3>(l, layer, delta, products, vectors, row),
        2 => back_columns::<L, 2>(l, layer, delta, products, vectors, row),
        _ => back_columns::<L, 1>(l, layer, delta, products, vectors, row),
    }
}

/// Adds to each sum its `vectors` values of a panel, `[sum][vectors]`.
#[inline(always)]
pub(super) fn add_rows<L: Lanes>(l: L, panel: &[L::V], vectors: usize, sums: &mut [L::V]) {
    for (sum, values) in sums.iter_mut().zip(panel.chunks_exact(vectors)) {
        let (fours, rest) = values.as_chunks::<4>();
        for four in fours {
            *sum = l.add(*sum, add_up::<L, 4>(l, four));
        }
        for value in rest {
            *sum = l.add(*sum, *value);
        }
    }
}

#[inline(always)]
fn back_columns<L: Lanes, const M: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    products: &mut [L::V],
    vectors: usize,
    row: usize,
) {
    let mut column = 0;
    while column < vectors {
        let left = vectors - column;
        let step = if L::MANY_REGISTERS { left.min(4) } else { left.min(2) };
        match step {
            4 if L::MANY_REGISTERS => back_tile::<L, M, 4>(l, layer, delta, products, vectors, row, column),
            3 if L::MANY_REGISTERS => back_tile::<L, M, 3>(l, layer, delta, products, vectors, row, column),
            2 => back_tile::<L, M, 2>(l, layer, delta, products, vectors, row, column),
            _ => back_tile::<L, M, 1>(l, layer, delta, products, vectors, row, column),
        }
        column += step;
    }
}

/// Writes M rows of Wᵀ·delta from row `row` on to the start of `products`.
#[inline(always)]
fn back_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    delta: &[L::V],
    products: &mut [L::V],
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
    for m in 0..M {
        products[m * vectors + column..][..N].copy_from_slice(&sums[m]);
    }
}

/// The sum of N vectors, at most four.
#[inline(always)]
pub(super) fn add_up<L: Lanes, const N: usize>(l: L, vectors: &[L::V]) -> L::V {
    match N {
        4 => l.add(l.add(vectors[0], vectors[1]), l.add(vectors[2], vectors[3])),
        3 => l.add(l.add(vectors[0], vectors[1]), vectors[2]),
        2 => l.add(vectors[0], vectors[1]),
        _ => vectors[0],
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

/// Adds to the gradients of weights (`[out][in]`) and biases the sums over a block of delta·inputᵀ and of delta, as far as they are of
/// the outputs in `range` and the inputs in `features`; biases go with the first input,
/// and are left out where `biases` is empty.
#[inline(always)]
pub(crate) fn add_weight_gradient<L: Lanes>(
    l: L,
    sides: Sides<'_, L::V>,
    range: Range<usize>,
    features: Range<usize>,
    weights: &mut [f64],
    biases: &mut [f64],
) {
    l.outline(
        #[inline(always)]
        || {
            let largest = if L::MANY_REGISTERS { 5 } else { 3 };
            let (count, larger, size) = tiles(range.len(), largest);
            let panels = sides.panels;
            let vectors = panels.full * full_vectors::<L>() + panels.last_vectors;
            let chunk = (GRADIENT_BYTES / (vectors * size_of::<L::V>()).max(1) / 4 * 4).max(4);
            let (mut first, end) = (features.start, features.end);
            while first < end {
                let features = first..end.min(first + chunk);
                first = features.end;
                let mut row = range.start;
                for tile in 0..count {
                    let rows = size + usize::from(tile < larger);
                    if features.start == 0 && !biases.is_empty() {
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
        },
    )
}

/// The two sides of a weight gradient over a block, each `[panel][unit][vectors]`.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a, V> {
    pub(crate) panels: Panels,
    pub(crate) delta: &'a [V],
    pub(crate) outputs: usize,
    pub(crate) input: &'a [V],
    pub(crate) inputs: usize,
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
