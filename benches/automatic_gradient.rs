//! Measure what a gradient derived by the program costs against one derived by hand.
//!
//! `cargo bench --bench automatic_gradient` prints a table: the density alone, the gradient by hand and the automatic one take turns in
//! each round, and the best of the rounds is shown, since what else runs on a machine only adds time.

#![allow(clippy::print_stdout)]

use ergodic::model::{AutomaticGradient, DifferentiableDensity, LogDensity, Scalar};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 40;
const SECONDS_PER_TURN: f64 = 0.001;

/// Numbers in (−1, 1) that look random: the fractional parts of multiples of √2.
fn numbers(count: usize) -> Vec<f64> {
    (1..=count).map(|k| 2.0 * (k as f64 * std::f64::consts::SQRT_2).fract() - 1.0).collect()
}

/// A density written both ways.
trait BothWays: DifferentiableDensity + Clone + 'static {
    fn by_hand(&self, x: &[f64], gradient: &mut [f64]) -> f64;
}

/// Logistic regression: products with data, two elementary functions a row.
#[derive(Clone)]
struct Logistic {
    dim: usize,
    inputs: Vec<f64>,
    labels: Vec<f64>,
}

impl Logistic {
    fn new(dim: usize) -> Self {
        const ROWS: usize = 200;
        Self { dim, inputs: numbers(ROWS * dim), labels: (0..ROWS).map(|row| (row % 2) as f64).collect() }
    }
}

impl DifferentiableDensity for Logistic {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let mut value: T = x.iter().map(|&b| b * b * -0.5).sum();
        for (row, &y) in self.inputs.chunks_exact(self.dim).zip(&self.labels) {
            let score: T = row.iter().zip(x).map(|(&a, &b)| b * a).sum();
            value += score * y - score.softplus();
        }
        value
    }
}

impl BothWays for Logistic {
    fn by_hand(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = -0.5 * x.iter().map(|x| x * x).sum::<f64>();
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
        for (row, y) in self.inputs.chunks_exact(self.dim).zip(&self.labels) {
            let score: f64 = row.iter().zip(x).map(|(a, b)| a * b).sum();
            let small = (-score.abs()).exp();
            value += y * score - score.max(0.0) - small.ln_1p();
            let residual = y - if score > 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            gradient.iter_mut().zip(row).for_each(|(g, a)| *g += residual * a);
        }
        value
    }
}

/// A hierarchy like eight schools, of dim − 2 schools: few operations a coordinate.
#[derive(Clone)]
struct Schools {
    effects: Vec<f64>,
}

impl DifferentiableDensity for Schools {
    fn dim(&self) -> usize {
        self.effects.len() + 2
    }

    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let (mu, tau) = (x[0], x[1].exp());
        let mut value = mu * mu * -0.5 + x[1] - (tau * tau).ln_1p();
        for (&z, &y) in x[2..].iter().zip(&self.effects) {
            let residual = mu + tau * z - y;
            value -= (residual * residual + z * z) * 0.5;
        }
        value
    }
}

impl BothWays for Schools {
    fn by_hand(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let (mu, tau) = (x[0], x[1].exp());
        let square = tau * tau;
        let mut value = -0.5 * mu * mu + x[1] - square.ln_1p();
        gradient[0] = -mu;
        gradient[1] = 1.0 - 2.0 * square / (1.0 + square);
        for ((z, y), g) in x[2..].iter().zip(&self.effects).zip(2..) {
            let residual = mu + tau * z - y;
            value -= 0.5 * (residual * residual + z * z);
            gradient[0] -= residual;
            gradient[1] -= residual * tau * z;
            gradient[g] = -residual * tau - z;
        }
        value
    }
}

/// Something to time: a call, and the seconds it took in each round.
struct Contender {
    call: Box<dyn FnMut() -> f64>,
    calls_per_turn: usize,
    seconds: Vec<f64>,
}

impl Contender {
    fn new(mut call: impl FnMut() -> f64 + 'static) -> Self {
        let start = Instant::now();
        let mut calls = 0;
        while calls < 3 || start.elapsed().as_secs_f64() < SECONDS_PER_TURN {
            black_box(call());
            calls += 1;
        }
        Self { call: Box::new(call), calls_per_turn: calls, seconds: Vec::new() }
    }

    fn turn(&mut self) {
        let start = Instant::now();
        for _ in 0..self.calls_per_turn {
            black_box((self.call)());
        }
        self.seconds.push(start.elapsed().as_secs_f64() / self.calls_per_turn as f64);
    }

    fn best_microseconds(&self) -> f64 {
        1e6 * self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

fn measure<D: BothWays>(name: &str, density: D) {
    let dim = density.dim();
    let x = numbers(dim);
    let mut contenders = {
        let (value, by_hand) = (AutomaticGradient::new(density.clone()), density.clone());
        let mut automatic = AutomaticGradient::new(density);
        let (x1, x2, x3) = (x.clone(), x.clone(), x);
        let (mut g1, mut g2) = (vec![0.0; dim], vec![0.0; dim]);
        [
            Contender::new(move || value.value(black_box(&x1))),
            Contender::new(move || by_hand.by_hand(black_box(&x2), &mut g1)),
            Contender::new(move || automatic.log_density_and_gradient(black_box(&x3), &mut g2).unwrap_or(f64::NAN)),
        ]
    };
    for _ in 0..ROUNDS {
        contenders.iter_mut().for_each(Contender::turn);
    }
    let [value, by_hand, automatic] = contenders.each_ref().map(Contender::best_microseconds);
    println!(
        "{name:<20} {dim:>4} {value:>10.2} {by_hand:>10.2} {automatic:>11.2} {:>10.1} {:>10.1}",
        automatic / by_hand,
        automatic / value
    );
}

fn main() {
    println!("microseconds           dim    density    by hand   automatic   /by hand   /density");
    for dim in [2, 4, 8, 16, 32, 64, 128] {
        measure("logistic, 200 rows", Logistic::new(dim));
    }
    for dim in [10, 34, 130] {
        measure("schools", Schools { effects: numbers(dim - 2) });
    }
}
