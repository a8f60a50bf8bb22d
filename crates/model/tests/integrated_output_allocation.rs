//! Check that gradients without the output layer allocate nothing after the first.

// A counting allocator cannot be written without `unsafe`: it passes every call on to the system's allocator with the same arguments,
// so its contract is that allocator's own.
#![allow(unsafe_code)]

mod integrated;

use ergodic_model::{Activation, Gaussian, IntegratedOutput, Likelihood, NormalPrior, Posterior, Precision, Prior};
use integrated::{LayerScales, TwoGaussians, data, whole};
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
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn gradients_allocate_nothing() {
    let likelihoods: [Box<dyn Likelihood>; 2] = [Box::new(Gaussian::learned_noise()), Box::new(TwoGaussians { known: 0.3 })];
    for likelihood in likelihoods {
        let data = data(150, 3, likelihood.num_targets(), 1);
        let fixed = NormalPrior::default();
        let prior: &dyn Prior = if likelihood.num_targets() == 1 { &fixed } else { &LayerScales };
        let mut posterior = IntegratedOutput::new(whole(&[9, 7], Activation::Silu, likelihood, prior, &data)).unwrap();
        for precision in [Precision::Double, Precision::Single] {
            posterior = posterior.with_precision(precision);
            let dim = posterior.layout().dim();
            let (position, mut gradient) = (vec![0.3; dim], vec![0.0; dim]);
            let mut evaluator = posterior.evaluator();
            let count = allocations(|| {
                for _ in 0..3 {
                    evaluator.log_density_and_gradient(&position, &mut gradient).unwrap();
                }
            });
            assert_eq!(count, 0, "{precision:?}");
            assert!(allocations(|| drop(vec![0.0; dim])) > 0, "allocations are counted");
        }
    }
}
