//! Hold numbers aligned to cache lines, so that no vector straddles two of them.

use super::Real;
use bytemuck::{Pod, Zeroable};
use std::marker::PhantomData;

/// Bytes of a cache line, which is also the widest vector.
pub(crate) const CACHE_LINE: usize = 64;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; CACHE_LINE]);

/// A slice on the heap that starts at a cache line.
#[derive(Debug, Clone)]
pub(crate) struct AlignedBuffer<E> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<E>,
}

impl<E: Real> AlignedBuffer<E> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let lines = vec![Line::zeroed(); (len * size_of::<E>()).div_ceil(CACHE_LINE)];
        Self { lines, len, element: PhantomData }
    }

    pub(crate) fn as_slice(&self) -> &[E] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [E] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_a_cache_line_and_holds_what_is_written() {
        for len in [0, 1, 7, 8, 1000] {
            let mut buffer = AlignedBuffer::<f64>::zeros(len);
            assert_eq!(buffer.as_slice().as_ptr() as usize % CACHE_LINE, 0);
            assert_eq!(buffer.as_slice(), vec![0.0; len]);
            buffer.as_mut_slice().fill(2.5);
            assert_eq!(buffer.as_slice(), vec![2.5; len]);
        }
    }
}
