//! Check that a run of a million weights, streamed to disk with a checkpoint beside it, stays under forty vectors of that length.

// A counting allocator cannot be written without `unsafe`: it passes every call on to the system's allocator with the same arguments,
// so its contract is that allocator's own.
#![allow(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the documented table is made of what is printed")]

use ergodic_draws::RunFolder;
use ergodic_model::{LogDensity, density};
use ergodic_sampler::{
    Checkpoint, CheckpointSchedule, Chees, Ghmc, GivenMetric, GradientBased, Hmc, Mala, Mams, Mclmc, Method, Metric, Nuts, Run,
    Sampler, SliceGhmc, Walnuts, Warmup,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Vectors of the weights' length that a chain may have at once.
const LIMIT: f64 = 40.0;

/// Counts the bytes of all threads.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Tests of this file measure one after the other.
static MEASURING: Mutex<()> = Mutex::new(());

fn add(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every method forwards to `System` with unchanged arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both are there.
        add(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that a run has whatever the number of weights, such as the buffers of its files.
const FIXED: usize = 1 << 19;

/// The most vectors of `dim` numbers that `work` has at once.
fn peak(dim: usize, work: impl FnOnce()) -> f64 {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    (PEAK.load(Relaxed) - before).saturating_sub(FIXED) as f64 / (8 * dim) as f64
}

fn normal(dim: usize) -> impl LogDensity + Clone + Send + Sync {
    density(dim, |x: &[f64], gradient: &mut [f64]| {
        let mut sum = 0.0;
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = -x;
            sum += x * x;
        }
        -0.5 * sum
    })
}

/// The most vectors a chain has at once: in a run that writes draws to a folder and a checkpoint whenever it can, and in one that
/// goes on from there.
fn vectors<M: Method>(method: &M, density: &(impl LogDensity + Clone + Send + Sync), run: Run) -> f64 {
    let _one_at_a_time = MEASURING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("run.zarr"), place.path().join("run.checkpoint"));
    let schedule = CheckpointSchedule { seconds: 0.0, largest_share: 0.3 };
    let sampled = peak(density.dim(), || {
        let sink = RunFolder::create(&folder).unwrap();
        let sampler = Sampler::new(density, method.clone(), run).sink(&sink).checkpoint_to(&file, schedule);
        let (report, _) = sampler.run_into_sink().unwrap();
        let checkpoints = report.settings["checkpoints"]["written"].as_u64().unwrap();
        assert!(checkpoints >= 2 && report.chains.iter().all(|chain| chain.sampling_gradients > 0), "{report:?}");
    });
    let went_on = peak(density.dim(), || {
        let sink = RunFolder::open(&folder).unwrap();
        let run = Run { draws: run.draws + 1, ..run };
        let sampler = Sampler::new(density, method.clone(), run).sink(&sink).checkpoint_to(&file, schedule);
        sampler.resume(Checkpoint::load(&file).unwrap()).run_into_sink().unwrap();
    });
    let [sampled, went_on] = [sampled, went_on].map(|vectors| vectors / run.chains as f64);
    println!("| {} | {} | {sampled:.1} | {went_on:.1} |", M::NAME, density.dim());
    sampled.max(went_on)
}

fn every_sampler_is_within_the_limit(dim: usize) {
    let normal = normal(dim);
    let run = Run { chains: 1, warmup: 6, draws: 1, threads: Some(1), ..Run::default() };
    assert!(vectors(&Nuts::default(), &normal, run) < LIMIT);
    assert!(vectors(&Hmc { max_steps: 16, ..Hmc::default() }, &normal, run) < LIMIT);
    assert!(vectors(&Walnuts::default(), &normal, run) < LIMIT);
    assert!(vectors(&Chees { max_steps: 16, ..Chees::default() }, &normal, Run { chains: 4, ..run }) < LIMIT);
    assert!(vectors(&Ghmc::default(), &normal, run) < LIMIT);
    assert!(vectors(&Mala::default(), &normal, run) < LIMIT);
    assert!(vectors(&Mclmc::default(), &normal, run) < LIMIT);
    assert!(vectors(&SliceGhmc::default(), &normal, run) < LIMIT);
    assert!(vectors(&Mams { max_steps: 16, ..Mams::default() }, &normal, run) < LIMIT);
}

#[test]
fn every_sampler_has_less_than_forty_vectors_a_chain() {
    every_sampler_is_within_the_limit(25_000);
}

#[test]
#[ignore = "two minutes; part of `cargo xtask verify`"]
fn every_sampler_of_a_million_weights_has_less_than_forty_vectors_a_chain() {
    every_sampler_is_within_the_limit(1_000_000);
}

/// A density without curvature, on which no trajectory turns and every one is as long as it may be.
fn slope(dim: usize) -> impl LogDensity + Clone + Send + Sync {
    density(dim, |x: &[f64], gradient: &mut [f64]| {
        gradient.fill(1e-3);
        1e-3 * x.iter().sum::<f64>()
    })
}

#[test]
fn the_deepest_trees_have_less_than_forty_vectors_while_warm_up_learns() {
    let learning = Some(GradientBased::default());
    let adaptation = || {
        let given = GivenMetric { metric: Metric::unit(), step_size: Some(1e-3), learning: learning.clone() };
        Warmup::Given(Box::new(given))
    };
    let run = Run { chains: 1, warmup: 2, draws: 1, threads: Some(1), ..Run::default() };
    let slope = slope(25_000);
    assert!(vectors(&Nuts { adaptation: adaptation(), ..Nuts::default() }, &slope, run) < LIMIT);
    assert!(vectors(&Walnuts { adaptation: adaptation(), ..Walnuts::default() }, &slope, run) < LIMIT);
}
