//! Measure the gradient of a posterior without its output layer against that of the whole network.
//!
//! `cargo bench --bench integrated_output` prints a table, with `-- --json` one object a line. All cases take turns in each round, and
//! medians over rounds are shown; `whole` is the gradient of the whole network in the same precision, and `ratio` the time over that.
//! A floor is the multiply-adds that must be done at the core's own peak, measured in the same run, plus the activations at their best
//! measured time each.

#![allow(clippy::print_stdout)]

#[path = "support/contender.rs"]
mod contender;

use contender::Contender;
use ergodic::model::bench_support::{Elementary, apply_f32, apply_f64, multiply_adds};
use ergodic::model::{
    Activation, BayesianNetwork, Dataset, Gaussian, IntegratedOutput, Network, NormalPrior, Posterior, Precision, bench_support,
};
use nalgebra::DMatrix;
use std::hint::black_box;

const ROUNDS: usize = 25;
const ELEMENTS: usize = 1024;

const NETWORKS: [(&[usize], usize); 4] =
    [(&[8, 50, 1], 691), (&[8, 50, 50, 1], 927), (&[6, 16, 16, 1], 277), (&[4, 50, 1], 9568)];

/// Multiply-adds of the two gradients: (whole, without output layer) in the network's precision, and those of the latter in f64.
fn multiply_add_counts(widths: &[usize], rows: usize) -> (f64, f64, f64) {
    let hidden = &widths[..widths.len() - 1];
    let (inputs, features, outputs) = (widths[0] * widths[1], hidden[hidden.len() - 1] + 1, widths[widths.len() - 1]);
    let products: usize = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let hidden_products: usize = hidden.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let whole = 3 * products - inputs;
    let gram = features * (features + 1) / 2 + features * outputs;
    let back = (features + outputs) * (features - 1) + outputs * features;
    let integrated = 3 * hidden_products - inputs + gram + back;
    ((rows * whole) as f64, (rows * integrated) as f64, 0.5 * (features as f64).powi(3))
}

/// An evaluator that owns its posterior, so that it can wait for its turn.
fn gradient(posterior: &'static dyn Posterior) -> Contender {
    let dim = posterior.layout().dim();
    let mut evaluator = posterior.evaluator();
    let position: Vec<f64> = (0..dim).map(|i| (i as f64 * 1.3).sin() * 0.3).collect();
    let mut gradient = vec![0.0; dim];
    Contender::new(move || {
        let value = evaluator.log_density_and_gradient(black_box(&position), &mut gradient);
        black_box(value).expect("the density can be evaluated");
    })
}

struct Pair {
    whole: Contender,
    integrated: Contender,
}

fn pair(widths: &[usize], rows: usize, precision: Precision) -> Pair {
    let model = || {
        let inputs = DMatrix::from_fn(rows, widths[0], |row, column| ((row * 31 + column * 7) as f64 * 0.7).sin() * 1.5);
        let targets = DMatrix::from_fn(rows, 1, |row, _| (row as f64 * 0.3).cos());
        let data = Dataset::new(inputs, targets).expect("the data are finite");
        let network =
            Network::dense(widths[0], &widths[1..widths.len() - 1], Activation::Tanh, 1).expect("widths are positive");
        BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::fan_in(1.0), &data)
            .expect("the data suit the model")
    };
    // The program's whole life long.
    let whole: &'static BayesianNetwork = Box::leak(Box::new(model().with_precision(precision)));
    let integrated = IntegratedOutput::new(model()).expect("the likelihood is normal").with_precision(precision);
    let integrated: &'static IntegratedOutput = Box::leak(Box::new(integrated));
    Pair { whole: gradient(whole), integrated: gradient(integrated) }
}

/// The contenders of one precision.
struct Field {
    name: &'static str,
    operations: f64,
    peak: Contender,
    tanh: Contender,
    pairs: Vec<Pair>,
}

fn field(name: &'static str, precision: Precision, measured: bench_support::Precision) -> Field {
    let inputs: Vec<f64> = (0..ELEMENTS).map(|i| (i as f64 * 0.37).sin() * 3.0).collect();
    let tanh = match precision {
        Precision::Double => {
            let mut values = inputs.clone();
            Contender::new(move || {
                apply_f64(Elementary::Tanh, black_box(&inputs), black_box(&mut values));
            })
        }
        Precision::Single => {
            let inputs: Vec<f32> = inputs.iter().map(|x| *x as f32).collect();
            let mut values = inputs.clone();
            Contender::new(move || {
                apply_f32(Elementary::Tanh, black_box(&inputs), black_box(&mut values));
            })
        }
    };
    Field {
        name,
        operations: multiply_adds(measured).1,
        peak: Contender::new(move || {
            black_box(multiply_adds(measured));
        }),
        tanh,
        pairs: NETWORKS.iter().map(|(widths, rows)| pair(widths, *rows, precision)).collect(),
    }
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut fields = [
        field("f64", Precision::Double, bench_support::Precision::Double),
        field("f32", Precision::Single, bench_support::Precision::Single),
    ];
    for _ in 0..ROUNDS {
        for field in &mut fields {
            field.peak.turn();
            field.tanh.turn();
            for pair in &mut field.pairs {
                pair.whole.turn();
                pair.integrated.turn();
            }
        }
    }
    let double_peak = fields[0].operations / fields[0].peak.best();
    for field in &fields {
        let peak = field.operations / field.peak.best();
        let tanh = field.tanh.best() / ELEMENTS as f64;
        if !json {
            println!("\n{}: peak {:.1} GFLOP/s, tanh {:.3} ns", field.name, peak * 1e-9, tanh * 1e9);
            println!(
                "network         rows   whole us  floor us   integrated us  floor us   ratio   best ratio   floors' ratio"
            );
        }
        for ((widths, rows), pair) in NETWORKS.iter().zip(&field.pairs) {
            let (whole, integrated, double) = multiply_add_counts(widths, *rows);
            let hidden: usize = widths[1..widths.len() - 1].iter().sum();
            let activations = (rows * hidden) as f64 * tanh;
            let whole_floor = 1e6 * (2.0 * whole / peak + activations);
            let integrated_floor = 1e6 * (2.0 * integrated / peak + 2.0 * double / double_peak + activations);
            let (whole, integrated) = (pair.whole.median() * 1e6, pair.integrated.median() * 1e6);
            let (ratio, floors) = (integrated / whole, integrated_floor / whole_floor);
            let best = pair.integrated.best() / pair.whole.best();
            let name = widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
            if json {
                println!(
                    "{{\"precision\":\"{}\",\"network\":\"{name}\",\"rows\":{rows},\"whole_microseconds\":{whole:.3},\
                     \"whole_floor_microseconds\":{whole_floor:.3},\"microseconds\":{integrated:.3},\
                     \"floor_microseconds\":{integrated_floor:.3},\"ratio\":{ratio:.3},\"best_ratio\":{best:.3},\
                     \"floors_ratio\":{floors:.3}}}",
                    field.name
                );
            } else {
                println!(
                    "{name:12} {rows:7} {whole:10.2} {whole_floor:9.2} {integrated:15.2} {integrated_floor:9.2} {ratio:7.2} {best:12.2} \
                     {floors:15.2}"
                );
            }
        }
    }
}
