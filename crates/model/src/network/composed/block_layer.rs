//! Define a layer's passes over a line of rows, feature-major.
//!
//! A line is as many rows as a cache line has values, `[feature][row]`, so that the values of a whole network of convolutions stay in
//! the second-level cache; the rows after the last are copies of it.

use crate::network::Activation;
use crate::simd::{CACHE_LINE, Lanes, Real};
use pulp::{Arch, Simd, WithSimd};
use std::fmt::Debug;
use std::sync::Arc;

/// Rows of a line.
pub(crate) const fn line_rows<E>() -> usize {
    CACHE_LINE / size_of::<E>()
}

/// Vectors of a line's feature.
pub(crate) const fn line_vectors<L: Lanes>() -> usize {
    CACHE_LINE / size_of::<L::V>()
}

/// What both passes of a layer read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a, E> {
    pub(crate) arch: Arch,
    /// The layer's weights.
    pub(crate) weights: &'a [f64],
    /// The layer's weights as [`BlockLayer::pack`] arranged them.
    pub(crate) packed: &'a [E],
    /// Rows of the data in this line.
    pub(crate) rows: usize,
    /// Number of this line since the last flush; in a flush, number of lines since the last.
    pub(crate) slot: usize,
}

/// Lines between flushes: sums across the lanes of vectors are then rare.
pub(crate) const SLOTS: usize = 16;

/// A line's values in a backward pass.
pub(crate) struct Sides<'a, E> {
    pub(crate) input: &'a [E],
    /// The outputs of the forward pass; overwritten unless the layer [reads them](BlockLayer::reads_output).
    pub(crate) output: &'a [E],
    pub(crate) kept: &'a mut [E],
    /// Derivative in the outputs, 0 in copies of the last row; the layer may overwrite it.
    pub(crate) d_output: &'a mut [E],
    /// Derivative in the inputs, to be written where it is wanted.
    pub(crate) d_input: Option<&'a mut [E]>,
    /// Derivative in the layer's weights, to be added to.
    pub(crate) gradient: &'a mut [f64],
}

/// A layer over lines of rows. It has no state: what passes on from forward to backward stands in `kept`.
pub(crate) trait BlockLayer<E: Real>: Debug + Send + Sync {
    /// Values a row that the layer keeps, or uses as scratch; zeros at first, and the layer's own ever after.
    fn num_kept(&self) -> usize {
        0
    }

    /// Number of packed weights.
    fn num_packed(&self) -> usize {
        0
    }

    /// Arranges the weights as the passes read them, once an evaluation.
    fn pack(&self, _weights: &[f64], _packed: &mut [E]) {}

    /// Whether [`backward`](Self::backward) reads the outputs, which are otherwise free to be overwritten by an activation.
    fn reads_output(&self) -> bool {
        false
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]);

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>);

    /// Adds what the lines since the last flush have left to be added to the gradient.
    fn flush(&self, _pass: Pass<'_, E>, _kept: &[E], _gradient: &mut [f64]) {}
}

/// The vectorised path of one of the library's layers.
#[derive(Debug, Clone)]
pub struct FastLayer {
    pub(crate) double: Arc<dyn BlockLayer<f64>>,
    pub(crate) single: Arc<dyn BlockLayer<f32>>,
    /// What follows the layer in place.
    pub(crate) activation: Activation,
    /// Whether the layer passes its inputs on.
    pub(crate) passes_on: bool,
}

impl FastLayer {
    pub(crate) fn new(double: impl BlockLayer<f64> + 'static, single: impl BlockLayer<f32> + 'static) -> Self {
        Self { double: Arc::new(double), single: Arc::new(single), activation: Activation::Identity, passes_on: false }
    }

    /// A layer that passes its inputs through an activation.
    pub(crate) fn activation(activation: Activation) -> Self {
        Self { double: Arc::new(PassOn), single: Arc::new(PassOn), activation, passes_on: true }
    }
}

/// Copies inputs to outputs.
#[derive(Debug)]
pub(crate) struct PassOn;

impl<E: Real> BlockLayer<E> for PassOn {
    fn forward(&self, _pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        output.copy_from_slice(input);
    }

    fn backward(&self, _pass: Pass<'_, E>, sides: Sides<'_, E>) {
        if let Some(d_input) = sides.d_input {
            d_input.copy_from_slice(sides.d_output);
        }
    }
}

/// The precisions that layers have blocks for.
pub(crate) trait BlockReal: Real {
    fn block(fast: &FastLayer) -> Arc<dyn BlockLayer<Self>>;
}

impl BlockReal for f64 {
    fn block(fast: &FastLayer) -> Arc<dyn BlockLayer<f64>> {
        Arc::clone(&fast.double)
    }
}

impl BlockReal for f32 {
    fn block(fast: &FastLayer) -> Arc<dyn BlockLayer<f32>> {
        Arc::clone(&fast.single)
    }
}

/// A piece of work that is compiled for each instruction set.
pub(crate) trait Kernel<E: Real> {
    fn run<L: Lanes<E = E>>(self, l: L);
}

/// Runs `kernel` on the given instruction set.
#[inline]
pub(crate) fn dispatch<E: Real, K: Kernel<E>>(arch: Arch, kernel: K) {
    arch.dispatch(Dispatched { kernel, element: std::marker::PhantomData });
}

struct Dispatched<E, K> {
    kernel: K,
    element: std::marker::PhantomData<E>,
}

impl<E: Real, K: Kernel<E>> WithSimd for Dispatched<E, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.kernel.run(E::lanes(simd));
    }
}
