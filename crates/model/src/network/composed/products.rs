//! Compute products of weights and features on tiles of registers: what dense layers and convolutions share.
//!
//! Each target is a sum of weighted source features, its taps. A [`Plan`] says which: targets come in channels with weights of their
//! own, and in places to which the same taps are shifted. A dense layer has one place, a convolution one for each pixel. Tiles of up to
//! five channels by four places (two where there are 16 registers) stay in registers while all taps pass.

use super::block_layer::line_vectors;
use crate::simd::{Lanes, Real};

/// Channels of a tile.
const CHANNELS: usize = 5;

/// Taps that tiles sum over at once: their features stay in the first-level cache for all channels.
const TAPS: usize = 192;

/// Places over which a weight gradient sums at once: their derivatives stay in the first-level cache.
const PLACES: usize = 96;

/// Which source features each target sums over; all in features of a line.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Source feature of each tap, before the shift.
    pub(crate) taps: Vec<usize>,
    /// Shift of the taps, and target feature in the first channel.
    pub(crate) places: Vec<(usize, usize)>,
    pub(crate) channels: usize,
    /// Target features from one channel to the next.
    pub(crate) channel_stride: usize,
}

/// Splits `total` into tiles of at most `largest`, as equal as can be.
#[inline(always)]
fn tiles(total: usize, largest: usize) -> (usize, usize, usize) {
    let count = total.div_ceil(largest).max(1);
    (count, total % count, total / count)
}

impl Plan {
    pub(crate) fn num_weights(&self) -> usize {
        self.taps.len() * self.channels
    }

    /// Arranges weights as [`products`] reads them: by tile of channels, then tap, then channel.
    pub(crate) fn pack<E: Real>(&self, packed: &mut [E], weight: impl Fn(usize, usize) -> f64) {
        let (count, larger, size) = tiles(self.channels, CHANNELS);
        let (mut first, mut at) = (0, 0);
        for tile in 0..count {
            let channels = first..first + size + usize::from(tile < larger);
            first = channels.end;
            for tap in 0..self.taps.len() {
                for channel in channels.clone() {
                    packed[at] = E::from_f64(weight(channel, tap));
                    at += 1;
                }
            }
        }
    }
}

/// The sides of products.
pub(crate) struct Operands<'a, L: Lanes> {
    pub(crate) plan: &'a Plan,
    pub(crate) packed: &'a [L::E],
    /// What each channel's sums start from; 0 without.
    pub(crate) biases: Option<&'a [L::E]>,
    pub(crate) source: &'a [L::V],
}

/// Writes all targets of a plan.
#[inline(always)]
pub(crate) fn products<L: Lanes>(l: L, operands: &Operands<'_, L>, target: &mut [L::V]) {
    let width = line_vectors::<L>();
    let plan = operands.plan;
    for first in (0..plan.taps.len().max(1)).step_by(TAPS) {
        let taps = first..plan.taps.len().min(first + TAPS);
        let mut rest = &plan.places[..];
        while !rest.is_empty() {
            let step = if L::MANY_REGISTERS && rest.len() >= 4 { 4 } else { rest.len().min(2) };
            let (now, later) = rest.split_at(step);
            rest = later;
            for v in 0..width {
                match now {
                    [a, b, c, d] if L::MANY_REGISTERS => {
                        columns::<L, 4>(l, operands, target, [a, b, c, d].map(|place| shifted(place, width, v)), taps.clone());
                    }
                    [a, b, ..] => {
                        columns::<L, 2>(l, operands, target, [shifted(a, width, v), shifted(b, width, v)], taps.clone())
                    }
                    [a] => columns::<L, 1>(l, operands, target, [shifted(a, width, v)], taps.clone()),
                    [] => {}
                }
            }
        }
    }
}

#[inline(always)]
fn shifted(place: &(usize, usize), width: usize, v: usize) -> (usize, usize) {
    (place.0 * width + v, place.1 * width + v)
}

#[inline(always)]
fn columns<L: Lanes, const N: usize>(
    l: L,
    operands: &Operands<'_, L>,
    target: &mut [L::V],
    places: [(usize, usize); N],
    taps: std::ops::Range<usize>,
) {
    let (count, larger, size) = tiles(operands.plan.channels, CHANNELS);
    let (mut first, mut packed) = (0, 0);
    for tile in 0..count {
        let channels = size + usize::from(tile < larger);
        let all = operands.plan.taps.len();
        let weights = &operands.packed[packed + taps.start * channels..][..taps.len() * channels];
        match channels {
            5 => product_tile::<L, 5, N>(l, operands, weights, target, places, taps.clone(), first),
            4 => product_tile::<L, 4, N>(l, operands, weights, target, places, taps.clone(), first),
            3 => product_tile::<L, 3, N>(l, operands, weights, target, places, taps.clone(), first),
            2 => product_tile::<L, 2, N>(l, operands, weights, target, places, taps.clone(), first),
            _ => product_tile::<L, 1, N>(l, operands, weights, target, places, taps.clone(), first),
        }
        first += channels;
        packed += all * channels;
    }
}

#[inline(always)]
fn product_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    operands: &Operands<'_, L>,
    weights: &[L::E],
    target: &mut [L::V],
    places: [(usize, usize); N],
    taps: std::ops::Range<usize>,
    channel: usize,
) {
    let width = line_vectors::<L>();
    let stride = operands.plan.channel_stride * width;
    let zero = l.splat(L::E::ZERO);
    let mut sums = [[zero; N]; M];
    if taps.start > 0 {
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = target[(channel + m) * stride + places[n].1];
            }
        }
    } else if let Some(biases) = operands.biases {
        let biases = &biases[channel..channel + M];
        for m in 0..M {
            sums[m] = [l.splat(biases[m]); N];
        }
    }
    let source = operands.source;
    let (weights, _) = weights.as_chunks::<M>();
    let taps = &operands.plan.taps[taps];
    if N == 1 {
        // Two sums a target, so that a multiply-add seldom waits for the one before.
        let mut others = [zero; M];
        let (pairs, last) = weights.as_chunks::<2>();
        let (tap_pairs, last_tap) = taps.as_chunks::<2>();
        for ([w0, w1], [t0, t1]) in pairs.iter().zip(tap_pairs) {
            let x0 = source[t0 * width + places[0].0];
            let x1 = source[t1 * width + places[0].0];
            for m in 0..M {
                sums[m][0] = l.fma(l.splat(w0[m]), x0, sums[m][0]);
                others[m] = l.fma(l.splat(w1[m]), x1, others[m]);
            }
        }
        for (w, tap) in last.iter().zip(last_tap) {
            let x = source[tap * width + places[0].0];
            for m in 0..M {
                others[m] = l.fma(l.splat(w[m]), x, others[m]);
            }
        }
        for m in 0..M {
            sums[m][0] = l.add(sums[m][0], others[m]);
        }
    } else {
        for (w, tap) in weights.iter().zip(taps) {
            let mut x = [zero; N];
            for n in 0..N {
                x[n] = source[tap * width + places[n].0];
            }
            for m in 0..M {
                let weight = l.splat(w[m]);
                for n in 0..N {
                    sums[m][n] = l.fma(weight, x[n], sums[m][n]);
                }
            }
        }
    }
    for m in 0..M {
        for n in 0..N {
            target[(channel + m) * stride + places[n].1] = sums[m][n];
        }
    }
}

/// Adds to the gradients of weights (`[channel][tap]`) and biases, given the derivatives in the targets.
#[inline(always)]
pub(crate) fn add_gradient<L: Lanes>(
    l: L,
    plan: &Plan,
    lines: usize,
    source: &[L::V],
    derivatives: &[L::V],
    weights: &mut [f64],
    biases: &mut [f64],
) {
    let width = line_vectors::<L>();
    // A dense layer's places are the lines that were collected.
    let (source_line, target_line) = (source.len() / lines, derivatives.len() / lines);
    let mut places = [(0, 0); PLACES];
    let mut count = 0;
    for line in 0..lines {
        for (index, place) in plan.places.iter().enumerate() {
            places[count] = (place.0 * width + line * source_line, place.1 * width + line * target_line);
            count += 1;
            if count == PLACES || (line + 1 == lines && index + 1 == plan.places.len()) {
                add_places(l, plan, &places[..count], source, derivatives, weights, biases);
                count = 0;
            }
        }
    }
}

#[inline(always)]
fn add_places<L: Lanes>(
    l: L,
    plan: &Plan,
    places: &[(usize, usize)],
    source: &[L::V],
    derivatives: &[L::V],
    weights: &mut [f64],
    biases: &mut [f64],
) {
    let (count, larger, size) = tiles(plan.channels, if L::MANY_REGISTERS { CHANNELS } else { 3 });
    let mut first = 0;
    for tile in 0..count {
        let channels = size + usize::from(tile < larger);
        for (bias, channel) in biases[first..].iter_mut().zip(first..first + channels) {
            *bias += channel_sum(l, plan, places, derivatives, channel);
        }
        match channels {
            5 if L::MANY_REGISTERS => gradient_tiles::<L, 5>(l, plan, places, source, derivatives, weights, first),
            4 if L::MANY_REGISTERS => gradient_tiles::<L, 4>(l, plan, places, source, derivatives, weights, first),
            3 => gradient_tiles::<L, 3>(l, plan, places, source, derivatives, weights, first),
            2 => gradient_tiles::<L, 2>(l, plan, places, source, derivatives, weights, first),
            _ => gradient_tiles::<L, 1>(l, plan, places, source, derivatives, weights, first),
        }
        first += channels;
    }
}

/// The sum of one channel's derivatives over places and rows.
#[inline(always)]
fn channel_sum<L: Lanes>(l: L, plan: &Plan, places: &[(usize, usize)], derivatives: &[L::V], channel: usize) -> f64 {
    let width = line_vectors::<L>();
    let at = channel * plan.channel_stride * width;
    let mut sums = [l.splat(L::E::ZERO); 4];
    for (index, place) in places.iter().enumerate() {
        for v in 0..width {
            sums[index % 4] = l.add(sums[index % 4], derivatives[at + place.1 + v]);
        }
    }
    l.sum(l.add(l.add(sums[0], sums[1]), l.add(sums[2], sums[3]))).to_f64()
}

#[inline(always)]
fn gradient_tiles<L: Lanes, const M: usize>(
    l: L,
    plan: &Plan,
    places: &[(usize, usize)],
    source: &[L::V],
    derivatives: &[L::V],
    weights: &mut [f64],
    channel: usize,
) {
    let mut tap = 0;
    while tap < plan.taps.len() {
        if L::MANY_REGISTERS {
            gradient_tile::<L, M, 4>(l, plan, places, source, derivatives, weights, channel, tap);
            tap += 4;
        } else {
            gradient_tile::<L, M, 3>(l, plan, places, source, derivatives, weights, channel, tap);
            tap += 3;
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the parts stay apart so that they stay in registers")]
fn gradient_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    plan: &Plan,
    places: &[(usize, usize)],
    source: &[L::V],
    derivatives: &[L::V],
    weights: &mut [f64],
    channel: usize,
    tap: usize,
) {
    let width = line_vectors::<L>();
    let stride = plan.channel_stride * width;
    // A last tile that is not full repeats its last tap, and drops what comes of it.
    let used = N.min(plan.taps.len() - tap);
    let mut from = [0; N];
    for (n, from) in from.iter_mut().enumerate() {
        *from = plan.taps[tap + n.min(used - 1)] * width;
    }
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    for &(shift, to) in places {
        for v in 0..width {
            let mut x = [l.splat(L::E::ZERO); N];
            for n in 0..N {
                x[n] = source[from[n] + shift + v];
            }
            for m in 0..M {
                let d = derivatives[(channel + m) * stride + to + v];
                for n in 0..N {
                    sums[m][n] = l.fma(d, x[n], sums[m][n]);
                }
            }
        }
    }
    for m in 0..M {
        let mut four = [l.splat(L::E::ZERO); 4];
        four[..N].copy_from_slice(&sums[m]);
        let four = l.sum_four(four);
        for (to, sum) in weights[(channel + m) * plan.taps.len() + tap..][..used].iter_mut().zip(four) {
            *to += sum.to_f64();
        }
    }
}
