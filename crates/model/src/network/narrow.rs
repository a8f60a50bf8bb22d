//! Take deltas back through a last layer of one or two outputs, with the gradient of its weights on the way.
//!
//! Such a layer has one or two products a hidden unit, so a pass of its own over the hidden values would wait for them and not for
//! arithmetic; here they are in registers anyway.

use super::DenseLayer;
use super::dense::{Dense, Slope, add_up};
use crate::simd::{Lanes, Real};

/// Outputs of the widest narrow layer.
const NARROW: usize = 2;

/// Whether the last of these layers is narrow and has a hidden layer below.
#[inline(always)]
pub(super) fn is_narrow(layers: &[DenseLayer]) -> bool {
    layers.len() > 1 && layers[layers.len() - 1].outputs <= NARROW
}

/// One panel at a narrow layer.
#[derive(Clone, Copy)]
pub(super) struct NarrowSides<'a, V> {
    /// Deltas of its outputs, `[out][vectors]`.
    pub(super) delta: &'a [V],
    /// The slopes below where they are stored, `[in][vectors]`, else empty.
    pub(super) slopes: &'a [V],
    pub(super) slope: Slope,
    pub(super) vectors: usize,
}

/// Replaces the values below, `[in][vectors]`, by their deltas; adds the deltas' sums to `bias_sums` and those of delta·inputᵀ to
/// `weight_sums` (`[out][in]`).
#[inline(always)]
pub(super) fn back_propagate_narrow<L: Lanes>(
    l: L,
    layer: Dense<'_, L::E>,
    sides: NarrowSides<'_, L::V>,
    values: &mut [L::V],
    bias_sums: &mut [L::V],
    weight_sums: &mut [L::V],
) {
    l.outline(
        #[inline(always)]
        || {
            let mut column = 0;
            while column < sides.vectors {
                let step = if sides.vectors - column >= 4 { 4 } else { 1 };
                match (layer.outputs, step) {
                    (1, 4) => columns::<L, 1, 4>(l, layer, sides, values, bias_sums, weight_sums, column),
                    (1, _) => columns::<L, 1, 1>(l, layer, sides, values, bias_sums, weight_sums, column),
                    (_, 4) => columns::<L, 2, 4>(l, layer, sides, values, bias_sums, weight_sums, column),
                    _ => columns::<L, 2, 1>(l, layer, sides, values, bias_sums, weight_sums, column),
                }
                column += step;
            }
        },
    )
}

#[inline(always)]
fn columns<L: Lanes, const O: usize, const N: usize>(
    l: L,
    layer: Dense<'_, L::E>,
    sides: NarrowSides<'_, L::V>,
    values: &mut [L::V],
    bias_sums: &mut [L::V],
    weight_sums: &mut [L::V],
    column: usize,
) {
    let NarrowSides { delta, slopes, slope, vectors } = sides;
    let zero = l.splat(L::E::ZERO);
    let mut d = [[zero; N]; O];
    for o in 0..O {
        d[o].copy_from_slice(&delta[o * vectors + column..][..N]);
    }
    let weights = &layer.weights[..O * layer.inputs];
    let weight_sums = &mut weight_sums[..O * layer.inputs];
    let bias_sums = &mut bias_sums[..layer.inputs];
    if O == 1 && slope == Slope::OneMinusSquare {
        for i in 0..layer.inputs {
            let values = &mut values[i * vectors + column..][..N];
            let weight = l.splat(weights[i]);
            let (mut products, mut deltas) = ([zero; N], [zero; N]);
            for n in 0..N {
                products[n] = l.mul(values[n], d[0][n]);
                deltas[n] = l.mul(weight, l.negative_fma(products[n], values[n], d[0][n]));
                values[n] = deltas[n];
            }
            weight_sums[i] = l.add(weight_sums[i], add_up::<L, N>(l, &products));
            bias_sums[i] = l.add(bias_sums[i], add_up::<L, N>(l, &deltas));
        }
        return;
    }
    for i in 0..layer.inputs {
        let place = i * vectors + column;
        let values = &mut values[place..][..N];
        let mut sums = [zero; N];
        for o in 0..O {
            let weight = l.splat(weights[o * layer.inputs + i]);
            let mut products = [zero; N];
            for n in 0..N {
                sums[n] = l.fma(weight, d[o][n], sums[n]);
                products[n] = l.mul(values[n], d[o][n]);
            }
            let sum = &mut weight_sums[o * layer.inputs + i];
            *sum = l.add(*sum, add_up::<L, N>(l, &products));
        }
        if slopes.is_empty() {
            slope.replace(l, &sums, values);
        } else {
            values.copy_from_slice(&sums);
            slope.multiply(l, &slopes[place..][..N], values);
        }
        bias_sums[i] = l.add(bias_sums[i], add_up::<L, N>(l, values));
    }
}
