//! Sample a stiff posterior twice, whole and with its output layer integrated out, and compare what a gradient and a second bring.
//!
//! `cargo run --release --example integrated_output` takes well under a minute on two cores, with `-- --quick` some seconds.
//! `-- data.csv target` does the same with a table of one's own.

#![allow(clippy::print_stdout)]

use ergodic::model::IntegratedOutput;
use ergodic::prelude::*;
use nalgebra::DMatrix;
use std::error::Error;

/// Iterations of a chain: warm-up, draws.
const FULL: (usize, usize) = (300, 400);
const QUICK: (usize, usize) = (40, 20);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let files: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let data = match files[..] {
        [path, target] => Dataset::from_csv(path, &[target])?,
        _ => heat_exchanger()?,
    };
    let (train, test) = data.split(0.1, 1)?;
    let (warmup, draws) = if quick { QUICK } else { FULL };
    let run = Run { warmup, draws, ..Run::default() };
    let whole = || -> Result<BayesianNetwork, Box<dyn Error>> {
        let network = Network::dense(train.num_inputs(), &[20], Activation::Tanh, 1)?;
        Ok(BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::fan_in(1.0), &train)?)
    };
    let model = whole()?;
    let integrated = IntegratedOutput::new(whole()?)?;
    println!(
        "{} training rows, network {} (tanh); NUTS, {} chains of {warmup} + {draws} iterations.\n",
        train.num_rows(),
        model.network().shape(),
        run.chains
    );
    println!("posterior    coordinates   gradients   seconds   worst ESS   per 1,000 gradients   per second   R-hat    noise");
    report("whole", &model, &model, &test, &run)?;
    report("integrated", &integrated, integrated.model(), &test, &run)?;
    println!("\nBoth are draws of the same network; the worst of all test points counts, warm-up included.");
    Ok(())
}

/// Samples and prints one row; `model` is the network that the draws are of.
fn report(
    name: &str,
    posterior: &dyn Posterior,
    model: &BayesianNetwork,
    test: &Dataset,
    run: &Run,
) -> Result<(), Box<dyn Error>> {
    let draws = sample(posterior, &Nuts::default(), run)?;
    let functions = function_diagnostics(&model.predict(&draws, test)?)?.roll_up;
    let (gradients, seconds) = (draws.report.gradients() as f64, draws.report.seconds);
    let noise = draws.layout().coordinate_of("noise_scale").ok_or("the noise is sampled")?;
    let logs: Vec<f64> = draws.chains().iter().flat_map(|chain| chain.positions().map(|draw| draw[noise])).collect();
    let noise_sd = draws.layout().constrain(noise, logs.iter().sum::<f64>() / logs.len() as f64);
    let ess = functions.ess_bulk_min;
    println!(
        "{name:12} {:11} {gradients:11} {seconds:9.1} {ess:11.0} {:21.3} {:12.2} {:7.3} {noise_sd:8.4}",
        posterior.layout().dim(),
        1000.0 * ess / gradients,
        ess / seconds,
        functions.rhat_max,
    );
    Ok(())
}

/// A heat exchanger's effectiveness by the counterflow formula, as measured with an error of 0.003: little noise, so a stiff posterior.
fn heat_exchanger() -> Result<Dataset, Box<dyn Error>> {
    let rows = 200;
    // A low-discrepancy sequence covers the inputs evenly.
    let inputs = DMatrix::from_fn(rows, 2, |row, column| {
        let share = ((row + 1) as f64 * [0.754_877_666_246_693, 0.569_840_290_998_053][column]).fract();
        if column == 0 { 0.2 + 3.8 * share } else { 0.05 + 0.9 * share }
    });
    let targets = DMatrix::from_fn(rows, 1, |row, _| {
        let (units, ratio) = (inputs[(row, 0)], inputs[(row, 1)]);
        let decay = (-units * (1.0 - ratio)).exp();
        let error = ((row * row) as f64 * 0.618_033_988_749_895).fract() - 0.5;
        (1.0 - decay) / (1.0 - ratio * decay) + 0.003 * 12.0_f64.sqrt() * error
    });
    Ok(Dataset::new(inputs, targets)?
        .with_input_names(&["transfer units", "capacity ratio"])?
        .with_target_names(&["effectiveness"])?)
}
