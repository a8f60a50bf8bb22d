//! Read run folders: tables, verdict, pictures; and list the methods.

use ergodic::diagnostics::{Diagnosis, Verdict};
use ergodic::draws::{DrawSelection, Role, SafetensorsOptions, TensorPrecision, write_safetensors};
use ergodic::methods::METHODS;
use ergodic::prelude::*;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// Quantities that a plot shows at most, so that it stays readable.
const MOST_ROWS: usize = 6;

pub(crate) fn summarise(run: &Path) -> Result<ExitCode, Box<dyn Error>> {
    println!("{}", summary(&RunFolder::load(run)?));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn judge(run: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let diagnosis = diagnose(&RunFolder::load(run)?, None)?;
    println!("{diagnosis}");
    Ok(verdict_code(&diagnosis))
}

/// 0 when the draws can be believed, 3 when in doubt, 4 when they cannot; 1 and 2 are left to errors.
pub(crate) fn verdict_code(diagnosis: &Diagnosis) -> ExitCode {
    ExitCode::from(match diagnosis.verdict {
        Verdict::Doubtful => 3,
        Verdict::NotConverged => 4,
        _ => 0,
    })
}

pub(crate) fn plot(run: &Path, out: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let draws = RunFolder::load(run)?;
    let names = shown(&draws);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let quantities = names.iter().map(|name| Quantity::from_draws(&draws, name)).collect::<Result<Vec<_>, _>>()?;
    let mut files = TracePlot::from_draws(&draws, &names)?.save(out.join("traces"))?;
    files.extend(RankPlot::new(&quantities, 20)?.save(out.join("ranks"))?);
    if draws.statistic("energy").is_some() {
        files.extend(EnergyPlot::from_draws(&draws)?.save(out.join("energy"))?);
    }
    for file in files {
        println!("wrote {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn export(run: &Path, out: &Path, draw: Option<(usize, usize)>, f32: bool) -> Result<ExitCode, Box<dyn Error>> {
    let draws = RunFolder::load(run)?;
    let selection = draw.map_or(DrawSelection::All, |(chain, draw)| DrawSelection::One { chain, draw });
    let precision = if f32 { TensorPrecision::F32 } else { TensorPrecision::F64 };
    write_safetensors(&draws, selection, out, &SafetensorsOptions { precision, ..SafetensorsOptions::default() })?;
    if let Some(caveat) = draws.caveat() {
        println!("{caveat}");
    }
    println!("wrote {}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Scales and parameters first, then the biases of the output: what a reader looks at before single weights.
fn shown(draws: &Draws) -> Vec<String> {
    let layout = draws.layout();
    let mut blocks: Vec<_> = layout.blocks().iter().collect();
    blocks.sort_by_key(|block| match block.role {
        Role::Noise | Role::Hyperparameter | Role::Parameter => (0, 0),
        Role::Bias => (1, usize::MAX - block.layer.unwrap_or(0)),
        _ => (2, usize::MAX - block.layer.unwrap_or(0)),
    });
    let coordinates = blocks.into_iter().flat_map(|block| block.range());
    coordinates.take(MOST_ROWS).map(|coordinate| layout.coordinate_name(coordinate)).collect()
}

pub(crate) fn methods() {
    println!("{:<14} {:<50} {:<6} needs", "name", "method", "exact");
    for row in METHODS {
        let exact = if row.origin.is_exact() { "yes" } else { "no" };
        println!("{:<14} {:<50} {exact:<6} {}", row.name, row.title, row.needs.join(", "));
    }
}
