//! Time the gradient of a wide network on many rows, on one thread and with its rows split over two.
//!
//! The floor on two threads is the operations at the peak that two threads reach at once, plus half the activations at their best
//! measured time on one. Minibatches are compared with their share of the full gradient's time.

use ergodic::model::Activation;
use ergodic::model::bench_support::{Elementary, MeasuredGradient, Precision, apply_f32, apply_f64, multiply_adds};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

const ROUNDS: usize = 5;
const WIDTHS: [usize; 4] = [784, 200, 200, 10];
const ROWS: usize = 60_000;
const BATCH: usize = 256;
const ELEMENTS: usize = 1024;

fn seconds(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

/// Operations a second of as many threads as the pool has, at once.
fn peak(pool: &ThreadPool, precision: Precision) -> f64 {
    let barrier = Barrier::new(pool.current_num_threads());
    let rates = pool.broadcast(|_| {
        let mut best = 0.0_f64;
        barrier.wait();
        for _ in 0..40 {
            let start = Instant::now();
            let (value, operations) = multiply_adds(precision);
            black_box(value);
            best = best.max(operations / start.elapsed().as_secs_f64());
        }
        best
    });
    rates.iter().sum()
}

/// Best seconds of one value of an elementary function.
fn elementary(function: Elementary, precision: Precision) -> f64 {
    let inputs: Vec<f64> = (0..ELEMENTS).map(|i| (i as f64 * 0.37).sin() * 3.0).collect();
    let singles: Vec<f32> = inputs.iter().map(|x| *x as f32).collect();
    let (mut doubles, mut floats) = (inputs.clone(), singles.clone());
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        best = best.min(seconds(|| match precision {
            Precision::Double => apply_f64(function, black_box(&inputs), black_box(&mut doubles)),
            Precision::Single => apply_f32(function, black_box(&singles), black_box(&mut floats)),
        }));
    }
    best / ELEMENTS as f64
}

/// The best over the rounds, and the median.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

/// Measures and prints, as the table or as one object a line.
pub(crate) fn run(json: bool) {
    if !json {
        println!("\nrows over threads");
    }
    let products: usize = WIDTHS.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let operations = (2 * ROWS * (3 * products - WIDTHS[0] * WIDTHS[1])) as f64;
    for (name, precision) in [("f64", Precision::Double), ("f32", Precision::Single)] {
        let mut gradient = MeasuredGradient::with_activation(&WIDTHS, Activation::Relu, ROWS, precision);
        let position: Vec<f64> = (0..gradient.dim()).map(|i| (i as f64 * 1.3).sin() * 0.05).collect();
        let batch: Vec<usize> = (0..BATCH).map(|i| i * 7919 % ROWS).collect();
        let pools: Vec<ThreadPool> = [1, 2]
            .iter()
            .map(|&threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start"))
            .collect();
        let (mut times, mut batches, mut peaks) = ([Vec::new(), Vec::new()], Vec::new(), [0.0_f64; 2]);
        let (mut relu, mut exp) = (f64::INFINITY, f64::INFINITY);
        // The first round makes the evaluators.
        for round in 0..=ROUNDS {
            for (i, pool) in pools.iter().enumerate() {
                peaks[i] = peaks[i].max(peak(pool, precision));
                let time = pool.install(|| {
                    seconds(|| {
                        black_box(gradient.evaluate(black_box(&position)));
                    })
                });
                if round > 0 {
                    times[i].push(time);
                }
            }
            relu = relu.min(elementary(Elementary::Relu, precision));
            exp = exp.min(elementary(Elementary::Exp, precision));
            for turn in 0..20 {
                let rows: Vec<usize> = batch.iter().map(|row| (row + 131 * turn + 977 * round) % ROWS).collect();
                batches.push(seconds(|| {
                    black_box(gradient.evaluate_rows(black_box(&position), Some(&rows)));
                }));
            }
        }
        let [one, two] = times.map(summary);
        let (batch, _) = summary(batches);
        let activations = ROWS as f64 * ((WIDTHS[1] + WIDTHS[2]) as f64 * relu + WIDTHS[3] as f64 * exp);
        for (threads, (best, median), peak) in [(1, one, peaks[0]), (2, two, peaks[1])] {
            let floor = operations / peak + activations / threads as f64;
            let (us, floor_us, share, best_share) = (median * 1e6, floor * 1e6, floor / median, floor / best);
            let relative = batch / (one.0 * BATCH as f64 / ROWS as f64);
            if json {
                println!(
                    "{{\"precision\":\"{name}\",\"network\":\"784-200-200-10\",\"rows\":{ROWS},\"threads\":{threads},\
                     \"microseconds\":{us:.0},\"floor_microseconds\":{floor_us:.0},\"share\":{share:.3},\"best_share\":{best_share:.3},\
                     \"peak_gflops\":{:.1},\"minibatch_over_full\":{relative:.3}}}",
                    peak * 1e-9
                );
            } else {
                println!(
                    "{name} 784-200-200-10 ReLU, {ROWS} rows, {threads} thread(s): {us:.0} us, peak {:.1} GFLOP/s, floor {floor_us:.0} \
                     us, share {share:.2}, best {best_share:.2}; {BATCH} rows take {relative:.2} of their share",
                    peak * 1e-9
                );
            }
        }
    }
}
