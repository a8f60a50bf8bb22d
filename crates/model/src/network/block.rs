//! Hold rows of data in panels: feature-major, eight cache lines of rows at a time.
//!
//! A panel holds [`panel_rows`] rows of every feature, `[feature][row]`, so that a panel of inputs and of each layer's activations
//! stays in the first-level cache while it goes through the network. Panels follow each other; only the last may be shorter, rounded
//! up to a cache line by repeating its last row, which the likelihood masks.

use crate::simd::{AlignedBuffer, CACHE_LINE, Real};

/// Bytes of one feature in a full panel: eight of the widest vectors.
const PANEL_BYTES: usize = 8 * CACHE_LINE;

/// Rows of a full panel.
pub(crate) const fn panel_rows<E>() -> usize {
    PANEL_BYTES / size_of::<E>()
}

/// `rows` rounded up to whole cache lines.
pub(crate) const fn padded_rows<E>(rows: usize) -> usize {
    let line = CACHE_LINE / size_of::<E>();
    rows.div_ceil(line) * line
}

/// One panel within a block.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Vectors of a feature in the panels before.
    pub(crate) first: usize,
    /// Vectors of a feature in this panel.
    pub(crate) vectors: usize,
}

impl Place {
    /// The panel's part of a buffer with `width` features.
    #[inline(always)]
    pub(crate) fn of<V>(self, values: &[V], width: usize) -> &[V] {
        &values[self.first * width..][..self.vectors * width]
    }

    #[inline(always)]
    pub(crate) fn of_mut<V>(self, values: &mut [V], width: usize) -> &mut [V] {
        &mut values[self.first * width..][..self.vectors * width]
    }
}

/// Rows of values, packed in panels.
#[derive(Debug, Clone)]
pub(crate) struct PackedRows<E> {
    rows: usize,
    width: usize,
    values: AlignedBuffer<E>,
}

impl<E: Real> PackedRows<E> {
    /// Packs `values`, row after row, `width` values each.
    pub(crate) fn new(values: &[f64], width: usize) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0);
        let mut packed = Self::with_capacity(rows, width);
        packed.fill(rows, |row, feature| E::from_f64(values[row * width + feature]));
        packed
    }

    /// Room for `rows` rows of `width` values.
    pub(crate) fn with_capacity(rows: usize, width: usize) -> Self {
        Self { rows: 0, width, values: AlignedBuffer::zeros(padded_rows::<E>(rows) * width) }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The panels from row `first` on, which must start a panel.
    pub(crate) fn panels_from(&self, first: usize) -> &[E] {
        debug_assert_eq!(first % panel_rows::<E>(), 0);
        &self.values.as_slice()[first * self.width..padded_rows::<E>(self.rows) * self.width]
    }

    /// Replaces the contents by the given rows of `source`.
    pub(crate) fn gather(&mut self, source: &Self, rows: &[usize]) {
        self.fill(rows.len(), |row, feature| source.get(rows[row], feature));
    }

    /// Replaces the contents by the given rows of `source`, which holds values row after row.
    pub(crate) fn gather_row_major(&mut self, source: &[f64], rows: &[usize]) {
        self.rows = rows.len();
        let (width, line) = (self.width, CACHE_LINE / size_of::<E>());
        let padded = padded_rows::<E>(rows.len());
        let values = self.values.as_mut_slice();
        for first in (0..padded).step_by(panel_rows::<E>()) {
            let stride = (padded - first).min(panel_rows::<E>());
            let panel = &mut values[first * width..][..stride * width];
            // As many rows as fill a cache line of each feature.
            for column in (0..stride).step_by(line) {
                for row in column..column + line {
                    let from = rows[(first + row).min(rows.len() - 1)];
                    let from = &source[from * width..][..width];
                    for (feature, value) in panel.chunks_exact_mut(stride).zip(from) {
                        feature[row] = E::from_f64(*value);
                    }
                }
            }
        }
    }

    fn get(&self, row: usize, feature: usize) -> E {
        self.values.as_slice()[offset::<E>(self.rows, self.width, row, feature)]
    }

    fn fill(&mut self, rows: usize, value: impl Fn(usize, usize) -> E) {
        self.rows = rows;
        let values = self.values.as_mut_slice();
        for row in 0..padded_rows::<E>(rows) {
            let from = row.min(rows - 1);
            for feature in 0..self.width {
                values[offset::<E>(rows, self.width, row, feature)] = value(from, feature);
            }
        }
    }
}

/// Where a value stands among `rows` rows of `width` features.
fn offset<E>(rows: usize, width: usize, row: usize, feature: usize) -> usize {
    let panel = panel_rows::<E>();
    let first = row / panel * panel;
    first * width + feature * padded_rows::<E>((rows - first).min(panel)) + (row - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_gathers_every_value_and_repeats_the_last_row() {
        for rows in [0, 1, 7, 8, 31, 32, 33, 64, 100] {
            let width = 3;
            let values: Vec<f64> = (0..rows * width).map(|i| i as f64).collect();
            let packed = PackedRows::<f64>::new(&values, width);
            for (i, value) in values.iter().enumerate() {
                assert_eq!(packed.get(i / width, i % width), *value);
            }
            let mut sorted = packed.panels_from(0).to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted.dedup();
            assert_eq!(sorted, values, "padding repeats rows and adds no value");
            let order: Vec<usize> = (0..rows).rev().collect();
            let mut gathered = PackedRows::with_capacity(rows, width);
            let mut again = PackedRows::<f64>::with_capacity(rows, width);
            gathered.gather(&packed, &order);
            again.gather_row_major(&values, &order);
            assert_eq!(gathered.panels_from(0), again.panels_from(0));
            for row in 0..rows {
                assert_eq!(gathered.get(row, 1), packed.get(rows - 1 - row, 1));
            }
        }
    }
}
