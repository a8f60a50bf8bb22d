//! Compare samplers on real data by effective draws of the network's function at the worst test point, with BlackJAX, NumPyro and nutpie.

#[path = "../../support/data.rs"]
mod data;

use crate::python::{Environment, Rival, Skip};
use crate::{Arguments, median};
use cpu_time::ProcessTime;
use ergodic::diagnostics::ess_bulk;
use ergodic::model::{Categorical, Likelihood, PredictOptions, Precision, Standardization, Standardize};
use ergodic::prelude::*;
use ergodic::sampler::{Budget, Method};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Chains of every contender, one after the other on one core.
const CHAINS: usize = 2;
/// Noise of the regressions, in standard deviations of the training targets.
const NOISE: f64 = 0.3;

/// A posterior, and how long everyone runs on it.
struct Case {
    name: &'static str,
    data: fn() -> Result<(Dataset, Dataset), Box<dyn Error>>,
    hidden: &'static [usize],
    /// Classes, 1 for a regression.
    outputs: usize,
    /// Gradients of a chain of ours.
    gradients: u64,
    /// NumPyro's and nutpie's iterations of warm-up and draws, each.
    nuts: usize,
    /// BlackJAX's stored draws.
    mclmc: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "yacht",
        data: || data::uci("yacht"),
        hidden: &[16, 16],
        outputs: 1,
        gradients: 200_000,
        nuts: 300,
        mclmc: 10_000,
    },
    Case {
        name: "energy",
        data: || data::uci("energy"),
        hidden: &[50],
        outputs: 1,
        gradients: 200_000,
        nuts: 300,
        mclmc: 10_000,
    },
    Case { name: "digits", data: data::digits, hidden: &[32], outputs: 10, gradients: 40_000, nuts: 200, mclmc: 2_000 },
];

/// A posterior on data that are standardised already, and its test rows.
struct Field {
    model: BayesianNetwork,
    train: Dataset,
    test: Dataset,
}

fn field(case: &Case) -> Result<Field, Box<dyn Error>> {
    let (train, test) = (case.data)()?;
    let classes = case.outputs > 1;
    let scales = if classes { Standardization::identity(train.num_inputs(), 1) } else { Standardization::fit(&train, true)? };
    let standardised =
        |data: &Dataset| Dataset::new(scales.apply_inputs(data.inputs()), scales.apply_targets(data.targets()));
    let (train, test) = (standardised(&train)?, standardised(&test)?);
    let network = Network::dense(train.num_inputs(), case.hidden, Activation::Tanh, case.outputs)?;
    let likelihood: Box<dyn Likelihood> =
        if classes { Box::new(Categorical { classes: case.outputs }) } else { Box::new(Gaussian::known_noise(NOISE)) };
    let prior = NormalPrior::standard(1.0);
    let model = BayesianNetwork::with_standardization(network, likelihood, &prior, &train, Standardize::Nothing)?;
    Ok(Field { model: model.with_precision(Precision::Single), train, test })
}

/// What one run of a contender brought.
struct Found {
    seconds: f64,
    gradients: f64,
    /// At each test point.
    ess: Vec<f64>,
}

fn ours<M: Method>(case: &Case, field: &Field, method: &M, seed: u64) -> Result<Found, Box<dyn Error>> {
    let budget = Budget { gradients_per_chain: Some(case.gradients), seconds: None };
    let run = Run { chains: CHAINS, draws: usize::MAX / 4, seed, budget, threads: Some(1), ..Run::default() };
    let begin = ProcessTime::now();
    let draws = sample(&field.model, method, &run)?;
    let seconds = begin.elapsed().as_secs_f64();
    let options = PredictOptions { simulations: 0, ..PredictOptions::default() };
    let predictions = field.model.predict_with(&draws, &field.test, &options)?;
    let output = |point: usize| if case.outputs > 1 { predictions.observed[point] as usize } else { 0 };
    let ess = (0..predictions.num_points).map(|point| ess_bulk(&predictions.series(point, output(point))).value);
    Ok(Found { seconds, gradients: draws.report.gradients() as f64, ess: ess.collect() })
}

/// Writes f64 values one after the other.
fn write<'a>(path: &Path, values: impl Iterator<Item = &'a f64>) -> Result<(), Box<dyn Error>> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Asks a rival for a run, and reads the function at the test points from the file it leaves.
fn theirs(case: &Case, field: &Field, rival: &mut Rival, folder: &Path, draws: usize, seed: u64) -> Result<Found, Skip> {
    let failed = |error: Box<dyn Error>| Skip::Evaluation(error.to_string());
    let path = |part: &str| -> PathBuf { folder.join(format!("{}.{part}", case.name)) };
    let (file, test, out) = (path("train"), path("test"), path("series"));
    let dim = field.model.layout().dim();
    let (zeros, ones) = (vec![0.0; dim], vec![1.0; dim]);
    let inputs = field.train.inputs().transpose();
    write(&file, inputs.iter().chain(field.train.targets()).chain(&zeros).chain(&ones)).map_err(failed)?;
    write(&test, field.test.inputs().transpose().iter().chain(field.test.targets())).map_err(failed)?;
    let widths: Vec<usize> =
        std::iter::once(field.train.num_inputs()).chain(case.hidden.iter().copied()).chain([case.outputs]).collect();
    let points = field.test.num_rows();
    let answer = rival.ask(&serde_json::json!({
        "layers": widths.windows(2).collect::<Vec<_>>(), "rows": field.train.num_rows(), "classes": case.outputs > 1,
        "noise": NOISE, "file": file, "precision": "f32", "test": test, "test_rows": points, "warmup": draws, "draws": draws,
        "chains": CHAINS, "seed": seed, "out": out,
    }))?;
    let bytes = std::fs::read(&out).map_err(|error| failed(error.into()))?;
    let values: Vec<f64> = bytes.as_chunks::<4>().0.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect();
    let chain = |number: usize, point: usize| -> Vec<f64> {
        values[number * draws * points..].iter().skip(point).step_by(points).take(draws).copied().collect()
    };
    let ess = |point: usize| ess_bulk(&(0..CHAINS).map(|number| chain(number, point)).collect::<Vec<_>>()).value;
    let number = |name: &str| answer[name].as_f64().ok_or_else(|| Skip::Evaluation(format!("it answered without {name}")));
    Ok(Found { seconds: number("seconds")?, gradients: number("gradients")?, ess: (0..points).map(ess).collect() })
}

/// The runs of one contender on one posterior, one a round.
struct Contender {
    name: &'static str,
    runs: Vec<Found>,
}

impl Contender {
    /// Median over rounds of effective draws a second at the worst test point.
    fn worst_per_second(&self) -> f64 {
        median(&self.runs.iter().map(|run| worst(run) / run.seconds).collect::<Vec<_>>())
    }

    fn print(&self, case: &Case, best: f64, json: bool) {
        let over_runs = |value: fn(&Found) -> f64| median(&self.runs.iter().map(value).collect::<Vec<_>>());
        let per_second = self.worst_per_second();
        let (seconds, gradients) = (over_runs(|run| run.seconds), over_runs(|run| run.gradients));
        let microseconds = over_runs(|run| run.seconds / run.gradients * 1e6);
        let per_1000 = over_runs(|run| 1000.0 * worst(run) / run.gradients);
        let median_per_1000 = over_runs(|run| 1000.0 * median(&run.ess) / run.gradients);
        if json {
            println!(
                "{}",
                serde_json::json!({ "posterior": case.name, "contender": self.name, "seconds": seconds, "gradients": gradients,
                    "microseconds_per_gradient": microseconds, "worst_ess_per_second": per_second, "ratio": best / per_second,
                    "worst_ess_per_1000_gradients": per_1000, "median_ess_per_1000_gradients": median_per_1000 })
            );
        } else {
            println!(
                "{:8}  {:22} {gradients:10.0} {seconds:8.2} {microseconds:12.2} {per_1000:13.2} {median_per_1000:8.2} {per_second:13.1} \
                 {:10.1}",
                case.name,
                self.name,
                best / per_second
            );
        }
    }
}

fn worst(run: &Found) -> f64 {
    run.ess.iter().copied().fold(f64::INFINITY, f64::min)
}

/// A rival: its name, that of its package, and its draws on a posterior.
const RIVALS: [(&str, &str, fn(&Case) -> usize); 3] = [
    ("NumPyro NUTS", "numpyro", |case| case.nuts),
    ("nutpie NUTS", "nutpie", |case| case.nuts),
    ("BlackJAX MCLMC", "blackjax", |case| case.mclmc),
];

/// Compares all on every posterior, and prints a table.
pub(crate) fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.function_rounds == 0 {
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let start = |library: &str| {
        let environment = Environment::new(&folder.join("python"))?;
        environment.install("jax")?;
        environment.install(library)?;
        environment.start("sampling_rival.py", library)
    };
    let mut rivals: Vec<Result<Rival, Skip>> = match arguments.no_python {
        true => Vec::new(),
        false => RIVALS.iter().map(|rival| start(rival.1)).collect(),
    };
    let folder = folder.join("data");
    std::fs::create_dir_all(&folder)?;
    if !arguments.json {
        println!(
            "\nposterior contender             gradients  seconds  us/gradient  ESS/1000 gradients: worst, median  worst a second  ours / it"
        );
    }
    for case in CASES.iter().filter(|case| arguments.network.is_empty() || case.name == arguments.network) {
        let field = match field(case) {
            Ok(field) => field,
            Err(error) => {
                eprintln!("skipped: {}: {error}", case.name);
                continue;
            }
        };
        let contender = |name| Contender { name, runs: Vec::new() };
        let mut found = vec![contender("ergodic mclmc"), contender("ergodic slice_ghmc")];
        found.extend(rivals.iter().zip(&RIVALS).map(|(_, rival)| contender(rival.0)));
        for round in 0..arguments.function_rounds as u64 {
            found[0].runs.push(ours(case, &field, &Mclmc::default(), round + 1)?);
            found[1].runs.push(ours(case, &field, &SliceGhmc::default(), round + 1)?);
            for (number, (rival, (.., draws))) in rivals.iter_mut().zip(&RIVALS).enumerate() {
                let Ok(running) = rival else { continue };
                match theirs(case, &field, running, &folder, draws(case), round + 1) {
                    Ok(run) => found[number + 2].runs.push(run),
                    Err(skip) => *rival = Err(skip),
                }
            }
        }
        let best = found[0].worst_per_second();
        found.iter().filter(|contender| !contender.runs.is_empty()).for_each(|contender| contender.print(case, best, arguments.json));
    }
    for (rival, (name, ..)) in rivals.iter().zip(&RIVALS) {
        if let Err(skip) = rival {
            println!("skipped: {name}: {skip}");
        }
    }
    Ok(())
}
