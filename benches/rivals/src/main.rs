//! Compare the time of a gradient, and of sampling, with what other programs need for the same posteriors, in one interleaved run.

mod functions;
mod gradients;
mod models;
mod nuts_rs_rival;
mod python;
mod sampling;

use clap::Parser;
use std::process::ExitCode;

/// What to run.
#[derive(Debug, Parser)]
#[command(about = "Compare ergodic with JAX, PyTorch and nuts-rs on the same posteriors, in one interleaved run")]
struct Arguments {
    /// Print one JSON object a row instead of tables.
    #[arg(long)]
    json: bool,
    /// Rounds of gradients, in each of which every contender takes a turn; 0 leaves them out.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Rounds of sampling; 0 leaves it out.
    #[arg(long, default_value_t = 3)]
    sampling_rounds: usize,
    /// Rounds of sampling real data beside NumPyro and BlackJAX, minutes each; 0 leaves it out.
    #[arg(long, default_value_t = 0)]
    function_rounds: usize,
    /// Only networks whose name contains this, such as 8-50-1.
    #[arg(long, default_value = "")]
    network: String,
    /// Leave out the programs in Python; nothing is installed then.
    #[arg(long)]
    no_python: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let agreed = gradients::compare(&arguments)
        .and_then(|agreed| sampling::compare(&arguments).map(|()| agreed))
        .and_then(|agreed| functions::compare(&arguments).map(|()| agreed));
    match agreed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("some rivals do not agree on a log density or gradient; their times compare different things");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The middle of some values, the upper one of two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
