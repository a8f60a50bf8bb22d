//! Add weight gradients of wide layers as products of panels of inputs with transposed deltas.
//!
//! A panel of inputs is `[input][row]`. Transposed, a layer's deltas are `[row][output]`, so that a tile of the gradient is a sum over
//! rows of inputs (broadcast) times vectors of outputs, with no sum across lanes and one memory access a tile and slab of rows. Sums are
//! `[input][output]` in the network's arithmetic and go to the gradient, in f64, every few thousand rows.

use super::block::{padded_rows, panel_rows};
use super::dense::{Panels, Sides, add_weight_gradient, tiles};
use super::{DenseLayer, DenseNetwork as Network};
use crate::simd::{AlignedBuffer, Lanes, Real};
use std::ops::Range;

/// Rows of a slab: its transposed deltas, three vectors wide, stay in the first-level cache while all inputs pass over them.
const SLAB_ROWS: usize = 192;

/// Rows that the sums in the network's own arithmetic may span: slabs of rows, and then as many slabs again.
const FLUSH_ROWS: usize = 4096;

/// Bytes of a slab's inputs that stay in the second-level cache while all outputs pass over them.
const CHUNK_BYTES: usize = 256 << 10;

/// Least inputs and outputs of a wide layer: below, the transposition costs as much as it saves.
const WIDE_INPUTS: usize = 64;
const WIDE_OUTPUTS: usize = 32;

/// Whether the layer's weight gradient is computed here.
pub(super) fn is_wide(layer: &DenseLayer) -> bool {
    layer.inputs >= WIDE_INPUTS && layer.outputs >= WIDE_OUTPUTS
}

/// Least panels of a block: a slab where a layer is wide.
pub(crate) fn least_panels<E>(network: &Network) -> usize {
    if network.layers().iter().any(is_wide) { SLAB_ROWS / panel_rows::<E>() } else { 2 }
}

/// Room for the wide layers of a network.
#[derive(Debug, Clone)]
pub(crate) struct WideLayers<E> {
    /// Transposed deltas of one layer over a block.
    transposed: AlignedBuffer<E>,
    /// Of each layer, the sums that are not yet in the gradient; empty for narrow layers.
    sums: Vec<AlignedBuffer<E>>,
    /// Rows in the sums.
    rows: usize,
}

impl<E: Real> WideLayers<E> {
    /// Room for blocks of at most `rows` rows.
    pub(crate) fn new(network: &Network, rows: usize) -> Self {
        let layers = network.layers();
        let widest = layers.iter().filter(|layer| is_wide(layer)).map(|layer| layer.outputs).max();
        let room = |layer: &DenseLayer| if is_wide(layer) { layer.inputs * layer.outputs } else { 0 };
        Self {
            transposed: AlignedBuffer::zeros(padded_rows::<E>(rows) * widest.unwrap_or(0)),
            sums: layers.iter().map(|layer| AlignedBuffer::zeros(room(layer))).collect(),
            rows: 0,
        }
    }

    /// Whether this layer's weight gradient is computed here.
    pub(crate) fn includes(&self, layer: usize) -> bool {
        !self.sums[layer].as_slice().is_empty()
    }

    /// Forgets what an evaluation before may have left.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
    }

    /// Adds the gradient of a layer's weights over a block, as far as it does not wait in the sums.
    #[inline(always)]
    pub(crate) fn add<L: Lanes<E = E>>(&mut self, l: L, layer: usize, sides: Sides<'_, L::V>, weights: &mut [f64]) {
        let Sides { panels, delta, outputs, input, inputs } = sides;
        let panel = panel_rows::<E>();
        let vectors = outputs / L::WIDTH;
        let whole = vectors * L::WIDTH;
        let rows = panels.full * panel + panels.last_vectors * L::WIDTH;
        let transposed = &mut L::vectors_mut(self.transposed.as_mut_slice())[..rows * vectors];
        l.outline(
            #[inline(always)]
            || transpose(l, delta, outputs, rows, transposed),
        );
        let (elements, sums) = (L::elements(input), self.sums[layer].as_mut_slice());
        let mut product = Product { input: elements, inputs, sums, fresh: self.rows == 0 };
        let (strips, wider, narrow) = strips::<L>(vectors);
        // Slabs of whole panels, as equal as can be.
        let (count, larger, size) = tiles(rows.div_ceil(panel), SLAB_ROWS / panel);
        let mut slab = 0;
        for number in 0..count {
            let slab_rows = (rows - slab).min((size + usize::from(number < larger)) * panel);
            let slab_sides = Sides {
                panels: Panels { full: slab_rows / panel, last_vectors: slab_rows % panel / L::WIDTH },
                delta: &delta[slab / L::WIDTH * outputs..][..slab_rows / L::WIDTH * outputs],
                input: &input[slab / L::WIDTH * inputs..][..slab_rows / L::WIDTH * inputs],
                ..sides
            };
            let chunk = (CHUNK_BYTES / (slab_rows * size_of::<E>()) / 8 * 8).max(8);
            let mut start = 0;
            while start < inputs {
                let range = start..inputs.min(start + chunk);
                start = range.end;
                let mut first = 0;
                for strip in 0..strips {
                    let width = narrow + usize::from(strip < wider);
                    let deltas = &transposed[first * rows + slab * width..][..slab_rows * width];
                    let place = Place { slab, output: first * L::WIDTH, whole };
                    let (product, range) = (&mut product, range.clone());
                    l.outline(
                        #[inline(always)]
                        || match width {
                            3 if L::MANY_REGISTERS => product.add_strip::<L, 3>(l, place, range, deltas),
                            2 => product.add_strip::<L, 2>(l, place, range, deltas),
                            _ => product.add_strip::<L, 1>(l, place, range, deltas),
                        },
                    );
                    first += width;
                }
                if whole < outputs {
                    // Outputs that fill no vector, while the inputs are near.
                    add_weight_gradient(l, slab_sides, whole..outputs, range, weights, &mut []);
                }
            }
            slab += slab_rows;
            product.fresh = false;
        }
    }

    /// Ends a block of `rows` rows; the sums go to the gradient when they span many rows, or when this is the last block.
    #[inline(always)]
    pub(crate) fn end_block<L: Lanes<E = E>>(
        &mut self,
        l: L,
        rows: usize,
        last: bool,
        layers: &[DenseLayer],
        gradient: &mut [f64],
    ) {
        self.rows += rows;
        if self.rows < FLUSH_ROWS && !last {
            return;
        }
        self.rows = 0;
        for (layer, sums) in layers.iter().zip(&self.sums) {
            if !sums.as_slice().is_empty() {
                let whole = layer.outputs / L::WIDTH * L::WIDTH;
                let (sums, gradient) = (L::vectors(sums.as_slice()), &mut gradient[layer.weights()]);
                l.outline(
                    #[inline(always)]
                    || add_transposed(l, sums, layer.inputs, whole, gradient),
                );
            }
        }
    }
}

/// Splits a layer's vectors of outputs into strips that a tile of registers takes at once, as [`tiles`] does.
#[inline(always)]
fn strips<L: Lanes>(vectors: usize) -> (usize, usize, usize) {
    tiles(vectors, if L::MANY_REGISTERS { 3 } else { 2 })
}

/// Writes the deltas of `rows` rows, `[output][row]` in panels, as `[strip][row][vector]`, as far as outputs fill vectors.
#[inline(always)]
fn transpose<L: Lanes>(l: L, delta: &[L::V], outputs: usize, rows: usize, to: &mut [L::V]) {
    let (strips, wider, narrow) = strips::<L>(outputs / L::WIDTH);
    let high = high_lanes(l);
    let mut first = 0;
    for strip in 0..strips {
        let width = narrow + usize::from(strip < wider);
        let to = &mut to[first * rows..][..rows * width];
        let mut row = 0;
        while row < rows {
            let here = (rows - row).min(panel_rows::<L::E>());
            let stride = here / L::WIDTH;
            let from = &delta[row / L::WIDTH * outputs..][..stride * outputs];
            let to = &mut to[row * width..][..here * width];
            for column in 0..stride {
                for s in 0..width {
                    let from = &from[(first + s) * L::WIDTH * stride + column..];
                    let to = &mut to[column * L::WIDTH * width + s..];
                    transpose_square(l, &high, from, stride, to, width);
                }
            }
            row += here;
        }
        first += width;
    }
}

/// For each step of 1, 2, 4 and 8 lanes: 1 in lanes whose number has that bit, else 0.
#[inline(always)]
fn high_lanes<L: Lanes>(l: L) -> [L::V; 4] {
    let mut high = [l.splat(L::E::ZERO); 4];
    for (stage, high) in high.iter_mut().enumerate() {
        for (lane, x) in bytemuck::cast_slice_mut::<L::V, L::E>(std::slice::from_mut(high)).iter_mut().enumerate() {
            *x = if lane >> stage & 1 == 1 { L::E::ONE } else { L::E::ZERO };
        }
    }
    high
}

/// Transposes as many vectors as a vector has lanes.
#[inline(always)]
fn transpose_square<L: Lanes>(l: L, high: &[L::V; 4], from: &[L::V], from_stride: usize, to: &mut [L::V], to_stride: usize) {
    let mut square = [l.splat(L::E::ZERO); 16];
    for i in 0..L::WIDTH {
        square[i] = from[i * from_stride];
    }
    exchange::<L, 1>(l, high[0], &mut square);
    exchange::<L, 2>(l, high[1], &mut square);
    exchange::<L, 4>(l, high[2], &mut square);
    exchange::<L, 8>(l, high[3], &mut square);
    for i in 0..L::WIDTH {
        to[i * to_stride] = square[i];
    }
}

/// Exchanges off-diagonal blocks of `STEP` lanes by `STEP` vectors.
#[inline(always)]
fn exchange<L: Lanes, const STEP: usize>(l: L, high: L::V, square: &mut [L::V; 16]) {
    if STEP >= L::WIDTH {
        return;
    }
    let half = l.splat(L::E::from_f64(0.5));
    for i in 0..L::WIDTH {
        if i & STEP == 0 {
            let (a, b) = (square[i], square[i + STEP]);
            square[i] = l.select_less(half, high, l.rotate_left(b, L::WIDTH - STEP), a);
            square[i + STEP] = l.select_less(half, high, b, l.rotate_left(a, STEP));
        }
    }
}

/// A product under way.
struct Product<'a, E> {
    input: &'a [E],
    inputs: usize,
    sums: &'a mut [E],
    /// Whether the sums hold nothing yet.
    fresh: bool,
}

/// Where a strip stands: its first row in the block, its first output, and the outputs of the sums.
#[derive(Clone, Copy)]
struct Place {
    slab: usize,
    output: usize,
    whole: usize,
}

impl<E: Real> Product<'_, E> {
    /// Adds a slab's products of some inputs with one strip of outputs.
    #[inline(always)]
    fn add_strip<L: Lanes<E = E>, const N: usize>(&mut self, l: L, place: Place, inputs: Range<usize>, deltas: &[L::V]) {
        let (deltas, _) = deltas.as_chunks::<N>();
        let mut input = inputs.start;
        while input < inputs.end {
            match inputs.end - input {
                8.. if L::MANY_REGISTERS => input += self.add_tile::<L, 8, N>(l, place, input, deltas),
                4.. => input += self.add_tile::<L, 4, N>(l, place, input, deltas),
                2.. => input += self.add_tile::<L, 2, N>(l, place, input, deltas),
                _ => input += self.add_tile::<L, 1, N>(l, place, input, deltas),
            }
        }
    }

    /// Adds a slab's products of M inputs and N vectors of outputs, and returns M.
    #[inline(always)]
    fn add_tile<L: Lanes<E = E>, const M: usize, const N: usize>(
        &mut self,
        l: L,
        place: Place,
        input: usize,
        deltas: &[[L::V; N]],
    ) -> usize {
        let panel = panel_rows::<E>();
        let mut sums = [[l.splat(E::ZERO); N]; M];
        for (p, deltas) in deltas.chunks(panel).enumerate() {
            let stride = deltas.len();
            let from = &self.input[(place.slab + p * panel) * self.inputs + input * stride..][..M * stride];
            let mut x: [&[E]; M] = [&[]; M];
            for m in 0..M {
                x[m] = &from[m * stride..][..stride];
            }
            for r in 0..stride {
                let d = deltas[r];
                for m in 0..M {
                    let x = l.splat(x[m][r]);
                    for n in 0..N {
                        sums[m][n] = l.fma(x, d[n], sums[m][n]);
                    }
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            let to = &mut self.sums[(input + m) * place.whole + place.output..][..N * L::WIDTH];
            let to = &mut L::vectors_mut(to)[..N];
            for n in 0..N {
                to[n] = if self.fresh { sums[n] } else { l.add(to[n], sums[n]) };
            }
        }
        M
    }
}

/// Adds `sums`, `[input][output]` over the first `whole` outputs, to `gradient`, `[output][input]`.
#[inline(always)]
fn add_transposed<L: Lanes>(l: L, sums: &[L::V], inputs: usize, whole: usize, gradient: &mut [f64]) {
    let high = high_lanes(l);
    let vectors = whole / L::WIDTH;
    let mut square = [l.splat(L::E::ZERO); 16];
    let mut input = 0;
    while input + L::WIDTH <= inputs {
        for vector in 0..vectors {
            transpose_square(l, &high, &sums[input * vectors + vector..], vectors, &mut square, 1);
            for (o, column) in square[..L::WIDTH].iter().enumerate() {
                let to = &mut gradient[(vector * L::WIDTH + o) * inputs + input..][..L::WIDTH];
                for (to, sum) in to.iter_mut().zip(bytemuck::cast_slice::<L::V, L::E>(std::slice::from_ref(column))) {
                    *to += sum.to_f64();
                }
            }
        }
        input += L::WIDTH;
    }
    for input in input..inputs {
        let sums: &[L::E] = L::elements(&sums[input * vectors..][..vectors]);
        for (output, sum) in sums.iter().enumerate() {
            gradient[output * inputs + input] += sum.to_f64();
        }
    }
}
