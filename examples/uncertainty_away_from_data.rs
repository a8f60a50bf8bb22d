//! Show how uncertain four methods are away from the data: one input, a gap in the middle, the same posterior for all.
//!
//! `cargo run --release --example uncertainty_away_from_data` writes one picture with four panels to `output/uncertainty`, and prints the
//! numbers behind it: the standard deviation of the predicted function at the data, in the gap, and outside.

#![allow(clippy::print_stdout)]

use ergodic::diagnostics::plots::{BandsPanel, PredictiveBands};
use ergodic::model::{Purpose, Standardize, stream};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use std::error::Error;

const NOISE: f64 = 0.1;

/// Where the function is looked at: between the data, at them, and outside.
const REGIONS: [(&str, &[(f64, f64)]); 3] =
    [("at the data", &[(-1.0, -0.5), (0.5, 1.0)]), ("in the gap", &[(-0.25, 0.25)]), ("outside", &[(-2.0, -1.5), (1.5, 2.0)])];

fn truth(x: f64) -> f64 {
    (3.0 * x).sin() + 0.3 * x
}

/// 30 points on either side of a gap, with normal noise.
fn data() -> Result<Dataset, Box<dyn Error>> {
    let mut rng = stream(7, 0, Purpose::Simulate);
    let x = DMatrix::from_fn(60, 1, |row, _| if row < 30 { -1.0 + row as f64 / 58.0 } else { 1.0 - (row - 30) as f64 / 58.0 });
    let y = x.map(|x| {
        let noise: f64 = StandardNormal.sample(&mut rng);
        truth(x) + NOISE * noise
    });
    Ok(Dataset::new(x, y)?.with_input_names(&["x"])?.with_target_names(&["y"])?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let data = data()?;
    let network = Network::dense(1, &[50], Activation::Tanh, 1)?;
    let prior = NormalPrior::fan_in(3.0);
    let model = BayesianNetwork::with_standardization(
        network,
        Box::new(Gaussian::known_noise(NOISE)),
        &prior,
        &data,
        Standardize::Nothing,
    )?;

    let (warmup, draws, steps) = if quick { (50, 50, 200) } else { (500, 1000, 4000) };
    let bars = ProgressBars::new();
    let run = Run { warmup, draws, seed: 1, ..Run::default() };
    let nuts = Sampler::new(&model, Nuts::default(), run).observer(&bars).run()?;
    let map_settings = Map { steps, seed: 1, ..Map::default() };
    let single = map(&model, &map_settings)?;
    let ensemble = deep_ensemble(&model, &DeepEnsemble { members: 10, map: map_settings, ..DeepEnsemble::default() })?;
    let variational = mean_field(&model, &MeanField { steps, seed: 1, ..MeanField::default() })?.draws;

    let grid: Vec<f64> = (0..161).map(|i| -2.0 + i as f64 / 40.0).collect();
    let inputs = DMatrix::from_column_slice(grid.len(), 1, &grid);
    let methods = [
        ("single network", &single),
        ("mean-field VI", &variational),
        ("deep ensemble", &ensemble),
        ("posterior (NUTS)", &nuts),
    ];
    let (mut panels, mut open) = (Vec::new(), Vec::new());
    println!("Standard deviation of the predicted function (noise: {NOISE}):\n");
    println!("{:<18} {:>12} {:>12} {:>12}", "method", REGIONS[0].0, REGIONS[1].0, REGIONS[2].0);
    for (name, draws) in methods {
        let predictions = model.predict_inputs(draws, &inputs)?;
        let sd = |ranges: &[(f64, f64)]| {
            let inside = |x: f64| ranges.iter().any(|&(low, high)| (low..=high).contains(&x));
            let points: Vec<usize> = (0..grid.len()).filter(|&point| inside(grid[point])).collect();
            points.iter().map(|&point| function_sd(&predictions, point)).sum::<f64>() / points.len() as f64
        };
        let [at_data, in_gap, outside] = REGIONS.map(|(_, ranges)| sd(ranges));
        println!("{name:<18} {at_data:>12.4} {in_gap:>12.4} {outside:>12.4}");
        if in_gap.min(outside) > 2.0 * NOISE {
            open.push(name);
        }
        panels.push(BandsPanel::from_predictions(name, &grid, &predictions, 0)?);
    }
    let functions = function_diagnostics(&model.predict_inputs(&nuts, &inputs)?)?;
    println!("\nMore than twice the noise both in the gap and outside: {}.\n", open.join(", "));
    println!("{}", functions.roll_up_table());

    let truth: Vec<f64> = grid.iter().map(|&x| truth(x)).collect();
    let picture = PredictiveBands::new(panels, "x", "y")?
        .with_training(data.inputs().as_slice(), data.targets().as_slice())?
        .with_truth(&grid, &truth)?
        .with_y_range(-3.0, 3.0)?;
    for file in picture.save("output/uncertainty/bands")? {
        println!("wrote {}", file.display());
    }
    Ok(())
}

/// Standard deviation over draws of the function at one point, without the noise.
fn function_sd(predictions: &Predictions, point: usize) -> f64 {
    let values: Vec<f64> = (0..predictions.num_draws()).map(|draw| predictions.value(draw, point, 0)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}
