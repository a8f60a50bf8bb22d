//! Take panels forward through dense layers.
//!
//! Sums live in a tile of registers, a weight being broadcast over vectors of rows: up to five units by four vectors on processors with 32
//! vector registers, five by two on others.

use super::dense::{Dense, tiles};
use crate::simd::{Lanes, Real};
use std::ops::Range;

/// Inputs that a forward tile sums over at once: a chunk of a panel of 32 kB.
const FORWARD_INPUTS: usize = 64;

/// Writes W·x + b of one panel, or the larger of it and 0 if `rectify`: `input` is `[in][vectors]`, `output` `[out][vectors]`.
#[inline(always)]
pub(crate) fn forward<L: Lanes>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    vectors: usize,
    rectify: bool,
) {
    l.outline(
        #[inline(always)]
        || {
            // Many inputs go in chunks that stay in the first-level cache; the sums wait in `output`.
            let (chunks, larger_chunks, chunk_size) = tiles(layer.inputs, FORWARD_INPUTS);
            let (count, larger, size) = tiles(layer.outputs, 5);
            let widest = if L::MANY_REGISTERS { 4 } else { 2 };
            let mut first = 0;
            for chunk in 0..chunks {
                let inputs = first..first + chunk_size + usize::from(chunk < larger_chunks);
                first = inputs.end;
                let rectify = rectify && inputs.end == layer.inputs;
                // All units pass over the same few columns while these are near.
                for column in (0..vectors).step_by(widest) {
                    let columns = widest.min(vectors - column);
                    let mut row = 0;
                    for tile in 0..count {
                        let rows = size + usize::from(tile < larger);
                        let place = Place { vectors, row, column, columns, rectify };
                        match rows {
                            5 => forward_rows::<L, 5>(l, layer, input, output, place, inputs.clone()),
                            4 => forward_rows::<L, 4>(l, layer, input, output, place, inputs.clone()),
                            3 => forward_rows::<L, 3>(l, layer, input, output, place, inputs.clone()),
                            2 => forward_rows::<L, 2>(l, layer, input, output, place, inputs.clone()),
                            _ => forward_rows::<L, 1>(l, layer, input, output, place, inputs.clone()),
                        }
                        row += rows;
                    }
                }
            }
        },
    )
}

/// Where a tile stands in a panel.
#[derive(Clone, Copy)]
struct Place {
    vectors: usize,
    row: usize,
    column: usize,
    columns: usize,
    rectify: bool,
}

#[inline(always)]
fn forward_rows<L: Lanes, const M: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    place: Place,
    inputs: Range<usize>,
) {
    match place.columns {
        4 if L::MANY_REGISTERS => forward_tile::<L, M, 4>(l, layer, input, output, place, inputs),
        3 if L::MANY_REGISTERS => forward_tile::<L, M, 3>(l, layer, input, output, place, inputs),
        2 => forward_tile::<L, M, 2>(l, layer, input, output, place, inputs),
        _ => forward_tile::<L, M, 1>(l, layer, input, output, place, inputs),
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "tiles are indexed alike throughout")]
fn forward_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    input: &[L::V],
    output: &mut [L::V],
    place: Place,
    inputs: Range<usize>,
) {
    let Place { vectors, row, column, rectify, .. } = place;
    let zero = l.splat(L::E::ZERO);
    let mut sums = [[zero; N]; M];
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
    if M * N <= 4 {
        // Few sums: two sets of them, so that no product waits for the one before.
        let mut others = [[l.splat(L::E::ZERO); N]; M];
        for i in 0..inputs.len() / 2 {
            add_input(l, &weights, 2 * i, &input[(inputs.start + 2 * i) * vectors + column..], &mut sums);
            add_input(l, &weights, 2 * i + 1, &input[(inputs.start + 2 * i + 1) * vectors + column..], &mut others);
        }
        if inputs.len() % 2 == 1 {
            add_input(l, &weights, inputs.len() - 1, &input[(inputs.end - 1) * vectors + column..], &mut sums);
        }
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = l.add(sums[m][n], others[m][n]);
            }
        }
    } else {
        for i in 0..inputs.len() {
            add_input(l, &weights, i, &input[(inputs.start + i) * vectors + column..], &mut sums);
        }
    }
    for m in 0..M {
        if rectify {
            for n in 0..N {
                sums[m][n] = l.at_least(sums[m][n], zero);
            }
        }
        let to = &mut output[(row + m) * vectors + column..][..N];
        to.copy_from_slice(&sums[m]);
    }
}

/// Adds one input's products with M rows of weights.
#[inline(always)]
fn add_input<L: Lanes, const M: usize, const N: usize>(
    l: L,
    weights: &[&[L::E]; M],
    i: usize,
    input: &[L::V],
    sums: &mut [[L::V; N]; M],
) {
    let x: &[L::V] = &input[..N];
    for m in 0..M {
        let weight = l.splat(weights[m][i]);
        for n in 0..N {
            sums[m][n] = l.fma(weight, x[n], sums[m][n]);
        }
    }
}
