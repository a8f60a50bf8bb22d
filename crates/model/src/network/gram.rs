//! Sum the products of all pairs of features over a block of rows: the lower triangle of a Gram matrix.

use super::block::panel_rows;
use super::dense::Panels;
use crate::simd::{Lanes, Real};
use std::ops::Range;

/// Bytes of features that stay in the first-level cache while all others pass over them.
const CHUNK_BYTES: usize = 32 << 10;

/// Adds Σₙ fᵢ(n) fⱼ(n) over a block of panels to `gram[i][j]` for j ≤ i (features × features, row-major; entries above the diagonal
/// may be written, in part).
#[inline(always)]
pub(crate) fn add_gram<L: Lanes>(l: L, panels: Panels, features: &[L::V], width: usize, gram: &mut [f64]) {
    let side = Side { panels, features, width };
    let vectors = panels.full * (panel_rows::<L::E>() / L::WIDTH) + panels.last_vectors;
    let chunk = (CHUNK_BYTES / (vectors * size_of::<L::V>()).max(1) / 4 * 4).max(4);
    let largest = if L::MANY_REGISTERS { 5 } else { 3 };
    let mut first = 0;
    while first < width {
        let columns = first..width.min(first + chunk);
        let tiles = (width - first).div_ceil(largest);
        for tile in 0..tiles {
            // Rows of tiles as equal as can be.
            let row = first + tile * (width - first) / tiles;
            let end = first + (tile + 1) * (width - first) / tiles;
            let columns = columns.start..columns.end.min(end);
            match end - row {
                5 if L::MANY_REGISTERS => gram_rows::<L, 5>(l, side, row, columns, gram),
                4 if L::MANY_REGISTERS => gram_rows::<L, 4>(l, side, row, columns, gram),
                3 => gram_rows::<L, 3>(l, side, row, columns, gram),
                2 => gram_rows::<L, 2>(l, side, row, columns, gram),
                _ => gram_rows::<L, 1>(l, side, row, columns, gram),
            }
        }
        first = columns.end;
    }
}

/// A block of features.
#[derive(Clone, Copy)]
struct Side<'a, V> {
    panels: Panels,
    features: &'a [V],
    width: usize,
}

#[inline(always)]
fn gram_rows<L: Lanes, const M: usize>(l: L, side: Side<'_, L::V>, row: usize, columns: Range<usize>, gram: &mut [f64]) {
    let largest = if L::MANY_REGISTERS { 4 } else { 3 };
    let tiles = columns.len().div_ceil(largest);
    for tile in 0..tiles {
        let column = columns.start + tile * columns.len() / tiles;
        let end = columns.start + (tile + 1) * columns.len() / tiles;
        match end - column {
            4 if L::MANY_REGISTERS => gram_tile::<L, M, 4>(l, side, row, column, gram),
            3 => gram_tile::<L, M, 3>(l, side, row, column, gram),
            2 => gram_tile::<L, M, 2>(l, side, row, column, gram),
            _ => gram_tile::<L, M, 1>(l, side, row, column, gram),
        }
    }
}

#[inline(always)]
fn gram_tile<L: Lanes, const M: usize, const N: usize>(
    l: L,
    side: Side<'_, L::V>,
    row: usize,
    column: usize,
    gram: &mut [f64],
) {
    let Side { panels, features, width } = side;
    let full = panel_rows::<L::E>() / L::WIDTH;
    let mut sums = [[l.splat(L::E::ZERO); N]; M];
    for panel in 0..panels.full {
        let features = &features[panel * width * full..][..width * full];
        add_products(l, &features[row * full..][..M * full], &features[column * full..][..N * full], full, &mut sums);
    }
    let last = panels.last_vectors;
    if last > 0 {
        let features = &features[panels.full * width * full..][..width * last];
        add_products(l, &features[row * last..][..M * last], &features[column * last..][..N * last], last, &mut sums);
    }
    for m in 0..M {
        let mut four = [l.splat(L::E::ZERO); 4];
        four[..N].copy_from_slice(&sums[m]);
        let four = l.sum_four(four);
        let to = &mut gram[(row + m) * width + column..][..N];
        for n in 0..N {
            to[n] += four[n].to_f64();
        }
    }
}

/// Adds the products of M features and N features, a vector of rows at a time.
#[inline(always)]
fn add_products<L: Lanes, const M: usize, const N: usize>(
    l: L,
    left: &[L::V],
    right: &[L::V],
    vectors: usize,
    sums: &mut [[L::V; N]; M],
) {
    let mut lefts: [&[L::V]; M] = [&[]; M];
    for m in 0..M {
        lefts[m] = &left[m * vectors..][..vectors];
    }
    let mut rights: [&[L::V]; N] = [&[]; N];
    for n in 0..N {
        rights[n] = &right[n * vectors..][..vectors];
    }
    for c in 0..vectors {
        let mut x = [rights[0][c]; N];
        for n in 1..N {
            x[n] = rights[n][c];
        }
        for m in 0..M {
            let value = lefts[m][c];
            for n in 0..N {
                sums[m][n] = l.fma(value, x[n], sums[m][n]);
            }
        }
    }
}
