//! Measure what a chain costs beyond its gradients: sampling time over the gradients' own time, end to end.
//!
//! `cargo bench --bench evaluations` prints a table, with `-- --json` one object a row. Each round runs one chain of each method on each
//! posterior, warm-up included, as a user would, and before and after it the same evaluator in a loop over positions of that chain. A row's
//! ratio is the median over rounds of (time of the run / its gradients) / (time of the loop / its gradients). Times are processor
//! time, so that other programs disturb them little.

#![allow(clippy::print_stdout)]

use cpu_time::ProcessTime;
use ergodic::model::{Purpose, stream};
use ergodic::prelude::*;
use ergodic::sampler::{Method, Observer, Progress};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use std::error::Error;
use std::hint::black_box;
use std::sync::Mutex;

const ROUNDS: usize = 7;
/// Processor time of each loop over the gradient alone.
const LOOP_SECONDS: f64 = 0.1;
/// Positions that a loop goes through.
const POSITIONS: usize = 8;

/// Hidden layers, rows, warm-up and draws; the larger posterior gets the shorter run.
const CASES: [(&[usize], usize, usize, usize); 2] = [(&[50], 691, 120, 30), (&[50, 50], 927, 60, 15)];

/// The posterior of a network with learned noise on eight inputs.
fn posterior(hidden: &[usize], rows: usize) -> Result<BayesianNetwork, Box<dyn Error>> {
    let mut rng = stream(11, 0, Purpose::Simulate);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let x = DMatrix::from_fn(rows, 8, |_, _| normal());
    let y = DMatrix::from_fn(rows, 1, |row, _| (x[(row, 0)] + 0.5 * x[(row, 1)]).sin() + 0.3 * x[(row, 2)] + 0.2 * normal());
    let network = Network::dense(8, hidden, Activation::Tanh, 1)?;
    Ok(BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &Dataset::new(x, y)?)?)
}

/// Notes when warm-up ends, and how many gradients it took.
struct EndOfWarmup {
    warmup: usize,
    began: ProcessTime,
    noted: Mutex<(f64, u64)>,
}

impl Observer for EndOfWarmup {
    fn progress(&self, progress: &Progress) {
        if progress.iteration == self.warmup {
            let noted = (self.began.elapsed().as_secs_f64(), progress.gradients);
            *self.noted.lock().expect("nobody panics while it holds the lock") = noted;
        }
    }
}

/// Seconds and gradients of a whole run and of its sampling phase, and the last positions.
struct Timed {
    whole: (f64, u64),
    sampling: (f64, u64),
    positions: Vec<Vec<f64>>,
}

fn timed_run(model: &BayesianNetwork, method: impl Method, run: Run) -> Result<Timed, Box<dyn Error>> {
    let began = ProcessTime::now();
    let observer = EndOfWarmup { warmup: run.warmup, began, noted: Mutex::new((0.0, 0)) };
    let draws = Sampler::new(model, method, run).observer(&observer).run()?;
    let seconds = began.elapsed().as_secs_f64();
    let chain = &draws.report.chains[0];
    let gradients = chain.warmup_gradients + chain.sampling_gradients;
    let (warmup_seconds, warmup_gradients) = *observer.noted.lock().map_err(|_| "the observer panicked")?;
    let positions = draws.positions().skip(draws.num_draws().saturating_sub(POSITIONS)).map(<[f64]>::to_vec).collect();
    Ok(Timed { whole: (seconds, gradients), sampling: (seconds - warmup_seconds, gradients - warmup_gradients), positions })
}

/// Seconds a gradient, of the evaluator alone, over changing positions.
fn timed_loop(model: &BayesianNetwork, positions: &[Vec<f64>]) -> Result<f64, Box<dyn Error>> {
    let mut evaluator = model.evaluator();
    let mut gradient = vec![0.0; evaluator.dim()];
    let began = ProcessTime::now();
    let mut evaluations = 0_u32;
    while evaluations == 0 || began.elapsed().as_secs_f64() < LOOP_SECONDS {
        // Reading the clock is a system call, so it is done once for many gradients.
        for position in positions.iter().cycle().take(64) {
            black_box(evaluator.log_density_and_gradient(black_box(position), &mut gradient)?);
        }
        evaluations += 64;
    }
    Ok(began.elapsed().as_secs_f64() / f64::from(evaluations))
}

/// What the rounds found for one phase of one chain: seconds a gradient alone and in the run, and their ratio.
#[derive(Default)]
struct Phase {
    gradients: u64,
    alone: Vec<f64>,
    sampled: Vec<f64>,
    ratio: Vec<f64>,
}

impl Phase {
    fn push(&mut self, (seconds, gradients): (f64, u64), alone: f64) {
        let sampled = seconds / gradients as f64;
        self.gradients = gradients;
        self.alone.push(alone);
        self.sampled.push(sampled);
        self.ratio.push(sampled / alone);
    }

    fn print(&self, json: bool, network: &str, rows: usize, dim: usize, method: &str, phase: &str) {
        let gradients = self.gradients;
        let (alone, sampled, ratio) = (median(&self.alone) * 1e6, median(&self.sampled) * 1e6, median(&self.ratio));
        let (low, high) = range(&self.ratio);
        if json {
            println!(
                "{{\"network\":\"{network}\",\"rows\":{rows},\"dim\":{dim},\"method\":\"{method}\",\"phase\":\"{phase}\",\
                 \"gradients\":{gradients},\"gradient_microseconds\":{alone:.3},\"sampling_microseconds\":{sampled:.3},\
                 \"ratio\":{ratio:.4},\"least_ratio\":{low:.4},\"largest_ratio\":{high:.4}}}"
            );
        } else {
            println!(
                "{network:10} {rows:5} {dim:5}  {method:6} {phase:8} {gradients:9} {alone:13.2} {sampled:13.2} {ratio:7.3}   {low:.3}..{high:.3}"
            );
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn range(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
}

/// One chain of a method on a posterior.
type Chain = fn(&BayesianNetwork, Run) -> Result<Timed, Box<dyn Error>>;

/// A method on a posterior, and what its rounds found.
struct Contender {
    name: &'static str,
    run: Chain,
    positions: Vec<Vec<f64>>,
    whole: Phase,
    sampling: Phase,
}

impl Contender {
    fn new(name: &'static str, run: Chain) -> Self {
        Self { name, run, positions: Vec::new(), whole: Phase::default(), sampling: Phase::default() }
    }

    fn turn(&mut self, model: &BayesianNetwork, run: Run) -> Result<(), Box<dyn Error>> {
        let first = self.positions.is_empty();
        let before = if first { 0.0 } else { timed_loop(model, &self.positions)? };
        let timed = (self.run)(model, run)?;
        self.positions = timed.positions;
        if !first {
            let alone = 0.5 * (before + timed_loop(model, &self.positions)?);
            self.whole.push(timed.whole, alone);
            self.sampling.push(timed.sampling, alone);
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut fields = Vec::new();
    for (hidden, rows, warmup, draws) in CASES {
        let contenders = [
            Contender::new("nuts", |model, run| timed_run(model, Nuts::default(), run)),
            Contender::new("hmc", |model, run| timed_run(model, Hmc::default(), run)),
        ];
        let run = Run { chains: 1, threads: Some(1), warmup, draws, seed: 3, ..Run::default() };
        fields.push((posterior(hidden, rows)?, run, contenders));
    }
    // The first round only brings each chain's positions, and the processor to its speed.
    for _ in 0..=ROUNDS {
        for (model, run, contenders) in &mut fields {
            for contender in contenders {
                contender.turn(model, *run)?;
            }
        }
    }
    if !json {
        println!("network     rows   dim  method phase    gradients   us/gradient   us, sampling   ratio   over rounds");
    }
    for ((hidden, rows, ..), (model, _, contenders)) in CASES.iter().zip(&fields) {
        let network = format!("8-{}-1", hidden.iter().map(ToString::to_string).collect::<Vec<_>>().join("-"));
        for contender in contenders {
            for (phase, name) in [(&contender.whole, "whole"), (&contender.sampling, "sampling")] {
                phase.print(json, &network, *rows, model.layout().dim(), contender.name, name);
            }
        }
    }
    Ok(())
}
