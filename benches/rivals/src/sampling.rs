//! Compare what samplers cost beyond their gradients, and what their draws are worth.

use crate::models::Case;
use crate::{Arguments, median, nuts_rs_rival};
use cpu_time::ProcessTime;
use ergodic::diagnostics::ess_bulk;
use ergodic::draws::{ChainDraws, Origin, RunReport};
use ergodic::model::{Purpose, stream};
use ergodic::prelude::*;
use ergodic::sampler::{Observer, Progress};
use nalgebra::DMatrix;
use std::error::Error;
use std::sync::Mutex;

/// Posteriors, warm-up and draws.
const CASES: [(Case, usize, usize); 2] =
    [(Case { widths: &[8, 50, 1], rows: 691 }, 300, 300), (Case { widths: &[8, 50, 50, 1], rows: 927 }, 100, 100)];
/// Processor time of the loops over the gradient alone.
const LOOP_SECONDS: f64 = 0.2;
/// Points at which the effective sample size of predictions is asked for.
const POINTS: usize = 50;

/// A chain: seconds of processor time and gradients at the end of warm-up and at its end, and its draws, one after the other.
pub(crate) struct Timed {
    pub(crate) warmup: (f64, u64),
    pub(crate) whole: (f64, u64),
    pub(crate) positions: Vec<f64>,
}

/// Notes seconds and gradients when warm-up ends.
struct EndOfWarmup {
    warmup: usize,
    begin: ProcessTime,
    noted: Mutex<(f64, u64)>,
}

impl Observer for EndOfWarmup {
    fn progress(&self, progress: &Progress) {
        if progress.iteration == self.warmup {
            let noted = (self.begin.elapsed().as_secs_f64(), progress.gradients);
            // Nothing panics while it holds the lock.
            *self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = noted;
        }
    }
}

fn ours(model: &BayesianNetwork, run: &Run, initial: &[f64]) -> Result<Timed, Box<dyn Error>> {
    let begin = ProcessTime::now();
    let observer = EndOfWarmup { warmup: run.warmup, begin, noted: Mutex::default() };
    let initial = [initial.to_vec()];
    let draws = Sampler::new(model, Nuts::default(), *run).initial_positions(&initial).observer(&observer).run()?;
    let seconds = begin.elapsed().as_secs_f64();
    let chain = &draws.report.chains[0];
    let warmup = *observer.noted.lock().map_err(|_| "the observer panicked")?;
    let positions = draws.positions().flatten().copied().collect();
    Ok(Timed { warmup, whole: (seconds, chain.warmup_gradients + chain.sampling_gradients), positions })
}

/// Seconds a gradient, of the evaluator alone, over the draws of a chain.
fn alone(model: &BayesianNetwork, positions: &[f64]) -> Result<f64, Box<dyn Error>> {
    let mut evaluator = model.evaluator();
    let mut gradient = vec![0.0; evaluator.dim()];
    let last = &positions[positions.len() - 8 * gradient.len()..];
    let begin = ProcessTime::now();
    let mut evaluations = 0;
    while begin.elapsed().as_secs_f64() < LOOP_SECONDS {
        for position in last.chunks_exact(gradient.len()).cycle().take(64) {
            std::hint::black_box(evaluator.log_density_and_gradient(std::hint::black_box(position), &mut gradient)?);
        }
        evaluations += 64;
    }
    Ok(begin.elapsed().as_secs_f64() / f64::from(evaluations))
}

/// Effective sample sizes of the log density, and of the function at the worst of some new points.
fn effective(model: &BayesianNetwork, positions: Vec<f64>) -> Result<(f64, f64), Box<dyn Error>> {
    let layout = model.layout();
    let chain = ChainDraws::from_positions(layout.dim(), positions);
    let mut evaluator = model.evaluator();
    let mut gradient = vec![0.0; layout.dim()];
    let log_densities: Result<Vec<f64>, _> =
        chain.positions().map(|position| evaluator.log_density_and_gradient(position, &mut gradient)).collect();
    let draws = Draws::new(layout, Origin::Mcmc, vec![chain], RunReport::new("nuts", 0));
    let mut rng = stream(13, 0, Purpose::Simulate);
    let mut normal = || -> f64 { rand_distr::Distribution::sample(&rand_distr::StandardNormal, &mut rng) };
    let points = DMatrix::from_fn(POINTS, model.network().num_inputs(), |_, _| normal());
    let predictions = model.predict_inputs(&draws, &points)?;
    let at = |point| ess_bulk(&predictions.series(point, 0)).value;
    Ok((ess_bulk(&[log_densities?]).value, (0..POINTS).map(at).fold(f64::INFINITY, f64::min)))
}

/// What the rounds found of one sampler.
#[derive(Default)]
struct Found {
    gradients: Vec<f64>,
    seconds: Vec<f64>,
    microseconds: Vec<f64>,
    ratio: Vec<f64>,
    sampling_ratio: Vec<f64>,
    ess_log_density: Vec<f64>,
    ess_function: Vec<f64>,
}

impl Found {
    fn push(&mut self, model: &BayesianNetwork, timed: Timed, alone: f64) -> Result<(), Box<dyn Error>> {
        let ((warmup_seconds, warmup_gradients), (seconds, gradients)) = (timed.warmup, timed.whole);
        let sampling_gradients = (gradients - warmup_gradients) as f64;
        let (log_density, function) = effective(model, timed.positions)?;
        self.gradients.push(gradients as f64);
        self.seconds.push(seconds);
        self.microseconds.push(seconds / gradients as f64 * 1e6);
        self.ratio.push(seconds / gradients as f64 / alone);
        self.sampling_ratio.push((seconds - warmup_seconds) / sampling_gradients / alone);
        self.ess_log_density.push(1000.0 * log_density / sampling_gradients);
        self.ess_function.push(1000.0 * function / sampling_gradients);
        Ok(())
    }

    fn print(&self, json: bool, case: &Case, dim: usize, sampler: &str) {
        let (network, rows) = (case.name(), case.rows);
        let (gradients, seconds, microseconds) = (median(&self.gradients), median(&self.seconds), median(&self.microseconds));
        let (ratio, sampling_ratio) = (median(&self.ratio), median(&self.sampling_ratio));
        let (log_density, function) = (median(&self.ess_log_density), median(&self.ess_function));
        if json {
            println!(
                "{}",
                serde_json::json!({ "network": network, "rows": rows, "dim": dim, "sampler": sampler, "gradients": gradients,
                    "seconds": seconds, "microseconds_per_gradient": microseconds, "ratio": ratio, "sampling_ratio": sampling_ratio,
                    "ess_log_density_per_1000_gradients": log_density, "ess_function_per_1000_gradients": function })
            );
        } else {
            println!(
                "{network:10} {rows:5} {dim:5}  {sampler:8} {gradients:9} {seconds:8.2} {microseconds:12.2} {ratio:7.3} {sampling_ratio:9.3} \
                 {log_density:12.2} {function:10.2}"
            );
        }
    }
}

/// Compares our NUTS with nuts-rs, and prints a table.
pub(crate) fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.sampling_rounds == 0 {
        return Ok(());
    }
    if !arguments.json {
        println!(
            "\nnetwork     rows   dim  sampler  gradients  seconds  us/gradient   ratio  sampling   ESS/1000 gradients: lp, function"
        );
    }
    for (case, warmup, draws) in CASES.iter().filter(|(case, ..)| case.name().contains(&arguments.network)) {
        let model = case.posterior_with_learned_noise()?;
        let dim = model.layout().dim();
        let (mut of_ours, mut of_nuts_rs) = (Found::default(), Found::default());
        for round in 0..arguments.sampling_rounds as u64 {
            let run = Run { chains: 1, threads: Some(1), warmup: *warmup, draws: *draws, seed: round + 1, ..Run::default() };
            let mut initial = vec![0.0; dim];
            model.initial_position(&mut stream(round, 0, Purpose::Initialise), &mut initial);
            let ours = ours(&model, &run, &initial)?;
            let before = alone(&model, &ours.positions)?;
            let theirs = nuts_rs_rival::sample(&model, &run, &initial)?;
            let gradient = 0.5 * (before + alone(&model, &theirs.positions)?);
            of_ours.push(&model, ours, gradient)?;
            of_nuts_rs.push(&model, theirs, gradient)?;
        }
        of_ours.print(arguments.json, case, dim, "ergodic");
        of_nuts_rs.print(arguments.json, case, dim, "nuts-rs");
    }
    Ok(())
}
