//! Sample, summarise, judge and plot posteriors of neural networks from the command line.

mod arguments;
mod inspect;
mod sample;
mod target;

use arguments::{Arguments, Command};
use clap::Parser;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Sample(arguments) => sample::sample(arguments),
        Command::Summary { run } => inspect::summarise(run),
        Command::Diagnose { run } => inspect::judge(run),
        Command::Plot { run, out } => inspect::plot(run, out),
        Command::Export { run, out, draw, f32 } => inspect::export(run, out, *draw, *f32),
        Command::Methods => {
            inspect::methods();
            Ok(ExitCode::SUCCESS)
        }
    }
}
