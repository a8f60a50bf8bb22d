//! Check that gradients allocate nothing after the first, whole or in parts.

// A counting allocator cannot be written without `unsafe`: it passes every call on to the system's allocator with the same arguments,
// so its contract is that allocator's own.
#![allow(unsafe_code)]

use ergodic_model::{
    Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior, Precision, RowThreads, Standardize,
};
use nalgebra::DMatrix;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is about to end has no counter, and nobody reads it.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every method forwards to `System` with unchanged arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn posterior(rows: usize, precision: Precision) -> BayesianNetwork {
    let inputs = DMatrix::from_fn(rows, 70, |row, column| ((row * 70 + column) as f64 * 0.7).sin());
    let targets = DMatrix::from_fn(rows, 1, |row, _| (row as f64 * 0.3).cos());
    let data = Dataset::new(inputs, targets).unwrap();
    let network = Network::dense(70, &[64], Activation::Tanh, 1).unwrap();
    let prior = NormalPrior::default();
    BayesianNetwork::with_standardization(network, Box::new(Gaussian::learned_noise()), &prior, &data, Standardize::Nothing)
        .unwrap()
        .with_precision(precision)
}

/// Allocations of this thread over ten gradients, the first being made before.
fn allocations(posterior: &BayesianNetwork) -> usize {
    let mut evaluator = posterior.evaluator();
    let position: Vec<f64> = (0..evaluator.dim()).map(|i| (i as f64).sin() * 0.1).collect();
    let mut gradient = vec![0.0; position.len()];
    evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
    let before = ALLOCATIONS.get();
    for _ in 0..10 {
        evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
    }
    ALLOCATIONS.get() - before
}

#[test]
fn gradients_allocate_nothing_after_the_first() {
    let counted = {
        let before = ALLOCATIONS.get();
        drop(vec![1_u8; 100]);
        ALLOCATIONS.get() - before
    };
    assert_eq!(counted, 1, "the counter counts");
    for precision in [Precision::Double, Precision::Single] {
        for rows in [100, 5000] {
            let posterior = posterior(rows, precision);
            assert_eq!(allocations(&posterior), 0, "{rows} rows in {precision:?}");
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(one.install(|| allocations(&posterior)), 0, "{rows} rows in {precision:?} in a pool");
            assert_eq!(allocations(&posterior.with_row_threads(RowThreads::One)), 0, "{rows} rows on one thread");
        }
    }
}
