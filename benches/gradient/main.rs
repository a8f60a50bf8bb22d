//! Measure the gradient of networks against what the core's arithmetic allows.
//!
//! `cargo bench --bench gradient` prints a table, with `-- --json` one object a line. All cases take turns in each round, and medians
//! over rounds are shown. The floor of a case is the operations that its matrix products need at the core's own peak (measured here with
//! independent multiply-adds) plus its elementary functions at their best measured time each; the share is floor over measured time.

#![allow(clippy::print_stdout)]

#[path = "../support/contender.rs"]
mod contender;

mod rows_over_threads;

use contender::Contender;
use ergodic::model::Activation;
use ergodic::model::bench_support::{Elementary, MeasuredGradient, Precision, apply_f32, apply_f64, multiply_adds};
use std::hint::black_box;

const ROUNDS: usize = 15;

/// Widths, activation of the hidden layers, rows.
const NETWORKS: [(&[usize], Activation, usize); 8] = [
    (&[8, 50, 1], Activation::Tanh, 691),
    (&[6, 16, 16, 1], Activation::Tanh, 277),
    (&[8, 50, 50, 1], Activation::Tanh, 927),
    (&[5, 16, 16, 16, 16, 2], Activation::Relu, 1202),
    (&[4, 50, 1], Activation::Tanh, 9568),
    (&[64, 32, 10], Activation::Tanh, 1437),
    (&[784, 100, 10], Activation::Tanh, 1000),
    (&[1, 8, 1], Activation::Tanh, 100),
];

/// The contenders of one precision.
struct Field {
    name: &'static str,
    operations: f64,
    peak: Contender,
    tanh: Contender,
    exp: Contender,
    relu: Contender,
    gradients: Vec<Contender>,
}

/// Values that an elementary function is timed on: they stay in the first-level cache.
const ELEMENTS: usize = 1024;

fn elementary(function: Elementary, precision: Precision) -> Contender {
    let inputs: Vec<f64> = (0..ELEMENTS).map(|i| (i as f64 * 0.37).sin() * 3.0).collect();
    match precision {
        Precision::Double => {
            let mut values = inputs.clone();
            Contender::new(move || {
                apply_f64(function, black_box(&inputs), black_box(&mut values));
            })
        }
        Precision::Single => {
            let inputs: Vec<f32> = inputs.iter().map(|x| *x as f32).collect();
            let mut values = inputs.clone();
            Contender::new(move || {
                apply_f32(function, black_box(&inputs), black_box(&mut values));
            })
        }
    }
}

fn field(name: &'static str, precision: Precision) -> Field {
    let gradients = NETWORKS
        .iter()
        .map(|(widths, activation, rows)| {
            let mut gradient = MeasuredGradient::with_activation(widths, *activation, *rows, precision);
            let position: Vec<f64> = (0..gradient.dim()).map(|i| (i as f64 * 1.3).sin() * 0.3).collect();
            Contender::new(move || {
                black_box(gradient.evaluate(black_box(&position)));
            })
        })
        .collect();
    Field {
        name,
        operations: multiply_adds(precision).1,
        peak: Contender::new(move || {
            black_box(multiply_adds(precision));
        }),
        tanh: elementary(Elementary::Tanh, precision),
        exp: elementary(Elementary::Exp, precision),
        relu: elementary(Elementary::Relu, precision),
        gradients,
    }
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut fields = [field("f64", Precision::Double), field("f32", Precision::Single)];
    for _ in 0..ROUNDS {
        for field in &mut fields {
            field.peak.turn();
            field.tanh.turn();
            field.exp.turn();
            field.relu.turn();
            for gradient in &mut field.gradients {
                gradient.turn();
            }
        }
    }
    for field in &fields {
        let peak = field.operations / field.peak.best();
        let tanh = field.tanh.best() / ELEMENTS as f64;
        let exp = field.exp.best() / ELEMENTS as f64;
        let relu = field.relu.best() / ELEMENTS as f64;
        if !json {
            println!("\n{}: peak {:.1} GFLOP/s, tanh {:.3} ns, exp {:.3} ns", field.name, peak * 1e-9, tanh * 1e9, exp * 1e9);
            println!("network            rows   us/gradient   GFLOP/s   floor us   share   best share");
        }
        for ((widths, activation, rows), gradient) in NETWORKS.iter().zip(&field.gradients) {
            let products: usize = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
            let operations = (2 * rows * (3 * products - widths[0] * widths[1])) as f64;
            let hidden: usize = widths[1..widths.len() - 1].iter().sum();
            let outputs = widths[widths.len() - 1];
            // A standard deviation for each row takes one exponential, classes one each.
            let each = if *activation == Activation::Tanh { tanh } else { relu };
            let exps = if outputs > 2 { outputs } else { outputs - 1 };
            let floor = operations / peak + *rows as f64 * (hidden as f64 * each + exps as f64 * exp);
            let (time, best) = (gradient.median(), gradient.best());
            let name = widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
            let (us, gflops, floor_us, share) = (time * 1e6, operations / time * 1e-9, floor * 1e6, floor / time);
            if json {
                println!(
                    "{{\"precision\":\"{}\",\"network\":\"{name}\",\"rows\":{rows},\"microseconds\":{us:.3},\"gflops\":{gflops:.2},\
                     \"floor_microseconds\":{floor_us:.3},\"share\":{share:.3},\"peak_gflops\":{:.2},\"tanh_ns\":{:.4},\"exp_ns\":{:.4}}}",
                    field.name,
                    peak * 1e-9,
                    tanh * 1e9,
                    exp * 1e9
                );
            } else {
                let best_share = floor / best;
                println!("{name:17} {rows:5} {us:13.2} {gflops:9.1} {floor_us:10.2} {share:7.2} {best_share:12.2}");
            }
        }
    }
    rows_over_threads::run(json);
}
