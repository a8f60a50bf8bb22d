//! Compare the time of a log posterior and its gradient.

use crate::models::{CASES, Case, position};
use crate::python::{Environment, Rival, Skip};
use crate::{Arguments, median};
use cpu_time::ProcessTime;
use ergodic::model::Precision;
use ergodic::prelude::{BayesianNetwork, LogDensity, Posterior};
use std::error::Error;
use std::path::Path;

/// Processor time of one turn.
const SECONDS_PER_TURN: f64 = 0.02;
/// Each evaluation moves the position by its gradient times this, as the rivals do.
const STEP: f64 = 1e-12;

/// The rivals in Python: what they are called, what `rival.py` calls them, and what is installed for them.
const LIBRARIES: [(&str, &str, &str); 3] =
    [("JAX", "jax", "jax"), ("PyTorch", "torch", "torch"), ("PyTorch compiled", "torch-compiled", "torch")];

/// A precision, its name, and how far log densities and gradients may differ, relative to the largest.
const PRECISIONS: [(Precision, &str, f64); 2] = [(Precision::Double, "f64", 1e-8), (Precision::Single, "f32", 1e-3)];

/// Ours: an evaluator, a position that moves, and its gradient.
struct Ours<'a> {
    evaluator: Box<dyn LogDensity + Send + 'a>,
    position: Vec<f64>,
    gradient: Vec<f64>,
}

impl<'a> Ours<'a> {
    fn new(posterior: &'a BayesianNetwork, position: &[f64]) -> Self {
        Self { evaluator: posterior.evaluator(), position: position.to_vec(), gradient: vec![0.0; position.len()] }
    }

    fn turn(&mut self, evaluations: usize) -> Result<f64, Box<dyn Error>> {
        let begin = ProcessTime::now();
        for _ in 0..evaluations {
            std::hint::black_box(self.evaluator.log_density_and_gradient(&self.position, &mut self.gradient)?);
            for (x, g) in self.position.iter_mut().zip(&self.gradient) {
                *x += STEP * g;
            }
        }
        Ok(begin.elapsed().as_secs_f64() / evaluations as f64)
    }
}

/// One contender on one posterior: how often it is evaluated in a turn, and seconds an evaluation of each round.
struct Times {
    evaluations: usize,
    seconds: Vec<f64>,
}

impl Times {
    /// Starts from the seconds of a first evaluation.
    fn new(seconds: f64) -> Self {
        Self { evaluations: ((SECONDS_PER_TURN / seconds) as usize).max(3), seconds: Vec::new() }
    }
}

/// A library that runs, or why it does not.
struct Library {
    name: &'static str,
    rival: Result<Rival, Skip>,
}

fn start(arguments: &Arguments) -> Vec<Library> {
    if arguments.no_python {
        return Vec::new();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
    let start = |library: &str, package: &str| {
        let environment = Environment::new(&folder)?;
        environment.install(package)?;
        environment.start("rival.py", library)
    };
    LIBRARIES.iter().map(|(name, library, package)| Library { name, rival: start(library, package) }).collect()
}

fn seconds_of(rival: &mut Rival, posterior: usize, evaluations: usize) -> Result<f64, Skip> {
    let answer = rival.ask(&serde_json::json!({ "posterior": posterior, "evaluations": evaluations }))?;
    let seconds = answer["seconds"].as_f64().ok_or_else(|| Skip::Evaluation("it answered without a time".to_owned()))?;
    Ok(seconds / evaluations as f64)
}

/// The largest difference from ours, relative to our largest: of the log density, or of the gradient, whichever is worse.
fn difference(answer: &serde_json::Value, log_density: f64, gradient: &[f64]) -> f64 {
    let theirs = answer["gradient"].as_array().map(Vec::as_slice).unwrap_or_default();
    if theirs.len() != gradient.len() {
        return f64::INFINITY;
    }
    let largest = gradient.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
    let of_value = (answer["log_density"].as_f64().unwrap_or(f64::NAN) - log_density).abs() / log_density.abs();
    let of_gradient = theirs.iter().zip(gradient).map(|(t, g)| (t.as_f64().unwrap_or(f64::NAN) - g).abs() / largest);
    // A number that is not one must not hide behind the larger of two.
    of_gradient.fold(of_value, |worst, d| if d.is_nan() || d > worst { d } else { worst })
}

/// What is printed of one contender on one posterior.
struct Row<'a> {
    case: &'a Case,
    precision: &'a str,
    contender: &'a str,
    seconds: f64,
    ratio: f64,
    difference: f64,
    agrees: bool,
}

impl Row<'_> {
    fn print(&self, json: bool) {
        let Self { case, precision, contender, seconds, ratio, difference, agrees } = self;
        let (network, rows, microseconds) = (case.name(), case.rows, seconds * 1e6);
        if json {
            println!(
                "{}",
                serde_json::json!({ "network": network, "rows": rows, "precision": precision, "contender": contender,
                    "microseconds": microseconds, "ratio": ratio, "difference": difference, "agrees": agrees })
            );
        } else {
            let note = if *agrees { "" } else { "  DIFFERS" };
            println!(
                "{network:12} {rows:5}  {precision}  {contender:17} {microseconds:11.2} {ratio:8.2} {difference:11.1e}{note}"
            );
        }
    }
}

/// Compares all, prints a table, and says whether all agree on every log density and gradient.
pub(crate) fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if arguments.rounds == 0 {
        return Ok(true);
    }
    let mut libraries = start(arguments);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data");
    std::fs::create_dir_all(&data)?;
    if !arguments.json {
        println!("network       rows       contender         us/gradient  / ours   difference");
    }
    let (mut all_agree, mut posteriors) = (true, 0);
    for case in CASES.iter().filter(|case| case.name().contains(&arguments.network)) {
        for precision in &PRECISIONS {
            all_agree &= compare_one(case, precision, &data, posteriors, &mut libraries, arguments)?;
            posteriors += 1;
        }
    }
    for Library { name, rival } in &libraries {
        match rival {
            Ok(_) => {}
            Err(skip) if arguments.json => {
                println!("{}", serde_json::json!({ "contender": name, "skipped": skip.to_string() }));
            }
            Err(skip) => println!("skipped: {name}: {skip}"),
        }
    }
    Ok(all_agree)
}

/// Compares all on one posterior, the `number`th that the rivals load, and says whether they agree.
fn compare_one(
    case: &Case,
    &(precision, precision_name, tolerance): &(Precision, &str, f64),
    data: &Path,
    number: usize,
    libraries: &mut [Library],
    arguments: &Arguments,
) -> Result<bool, Box<dyn Error>> {
    let posterior = case.posterior()?.with_precision(precision);
    let position = position(posterior.layout().dim());
    let path = data.join(format!("{}.f64", case.name()));
    case.write(&posterior, &position, &path)?;
    let mut ours = Ours::new(&posterior, &position);
    let log_density = ours.evaluator.log_density_and_gradient(&position, &mut ours.gradient)?;
    let gradient = ours.gradient.clone();
    let mut our_times = Times::new(ours.turn(5)?);

    let mut theirs: Vec<Option<(Times, f64)>> = Vec::new();
    for library in libraries.iter_mut() {
        let loaded = library.rival.as_mut().ok().map(|rival| {
            let answer = rival.ask(&case.task(&path, precision_name))?;
            let first = seconds_of(rival, number, 3)?;
            Ok((Times::new(first), difference(&answer, log_density, &gradient)))
        });
        // Who cannot take this posterior takes no further one.
        theirs.push(loaded.transpose().unwrap_or_else(|skip| {
            library.rival = Err(skip);
            None
        }));
    }
    for _ in 0..arguments.rounds {
        our_times.seconds.push(ours.turn(our_times.evaluations)?);
        for (library, times) in libraries.iter_mut().zip(&mut theirs) {
            if let (Ok(rival), Some((times, _))) = (&mut library.rival, times) {
                times.seconds.push(seconds_of(rival, number, times.evaluations)?);
            }
        }
    }

    let row = |contender, times: &Times, difference| {
        let ratios: Vec<f64> = times.seconds.iter().zip(&our_times.seconds).map(|(t, o)| t / o).collect();
        let (seconds, ratio, agrees) = (median(&times.seconds), median(&ratios), difference <= tolerance);
        Row { case, precision: precision_name, contender, seconds, ratio, difference, agrees }
    };
    row("ergodic", &our_times, 0.0).print(arguments.json);
    let mut all_agree = true;
    for (library, times) in libraries.iter().zip(&theirs) {
        if let Some((times, difference)) = times {
            let row = row(library.name, times, *difference);
            all_agree &= row.agrees;
            row.print(arguments.json);
        }
    }
    Ok(all_agree)
}
