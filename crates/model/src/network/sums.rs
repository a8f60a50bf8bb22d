//! Keep sums over rows as vectors of lanes, to be added up across lanes once a block.

use super::dense::add_rows;
use crate::simd::{AlignedBuffer, CACHE_LINE, Lanes, Real};

/// Sums under way, a vector each; all zero between blocks.
#[derive(Debug, Clone)]
pub(super) struct VectorSums<E> {
    count: usize,
    lanes: AlignedBuffer<E>,
}

impl<E: Real> VectorSums<E> {
    /// `count` sums of nothing.
    pub(super) fn new(count: usize) -> Self {
        Self { count, lanes: AlignedBuffer::zeros(count * (CACHE_LINE / size_of::<E>())) }
    }

    /// The sums' vectors, one each.
    #[inline(always)]
    pub(super) fn vectors_mut<L: Lanes<E = E>>(&mut self) -> &mut [L::V] {
        &mut L::vectors_mut(self.lanes.as_mut_slice())[..self.count]
    }

    /// Adds to each sum its `vectors` values of a panel, `[sum][vectors]`.
    #[inline(always)]
    pub(super) fn add<L: Lanes<E = E>>(&mut self, l: L, panel: &[L::V], vectors: usize) {
        add_rows(l, panel, vectors, self.vectors_mut::<L>());
    }

    /// Adds the sums to `totals` and leaves zeros.
    #[inline(always)]
    pub(super) fn take<L: Lanes<E = E>>(&mut self, l: L, totals: &mut [f64]) {
        let zero = l.splat(E::ZERO);
        let (fours, rest) = self.vectors_mut::<L>().as_chunks_mut::<4>();
        let (four_totals, rest_totals) = totals.as_chunks_mut::<4>();
        for (sums, totals) in fours.iter_mut().zip(four_totals) {
            let four = l.sum_four(*sums);
            for n in 0..4 {
                totals[n] += four[n].to_f64();
            }
            *sums = [zero; 4];
        }
        for (sum, total) in rest.iter_mut().zip(rest_totals) {
            *total += l.sum(*sum).to_f64();
            *sum = zero;
        }
    }
}
