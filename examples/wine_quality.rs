//! Sample a network's posterior on the red wine data, see whether to believe it, and compare it with variational inference, a deep
//! ensemble and a single trained network.
//!
//! `cargo run --release --example wine_quality` takes about a minute on two cores; with `-- --quick` some seconds, for a look, not for
//! an answer. Pictures go to `output/wine_quality`, draws to `output/wine_quality/run.zarr`, which ArviZ opens.

#![allow(clippy::print_stdout)]

use ergodic::baselines::Start;
use ergodic::diagnostics::plots::{
    CoverageCurve, CoveragePlot, IntervalsPanel, ObjectivePlot, ObjectiveSeries, PredictiveIntervals,
};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use std::error::Error;
use std::path::Path;

/// What a run costs: the full one, or one that takes seconds.
struct Effort {
    warmup: usize,
    draws: usize,
    steps: usize,
    members: usize,
}

const FULL: Effort = Effort { warmup: 400, draws: 800, steps: 4000, members: 10 };
const QUICK: Effort = Effort { warmup: 60, draws: 40, steps: 200, members: 3 };

fn main() -> Result<(), Box<dyn Error>> {
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let folder = Path::new("output/wine_quality");

    let (train, test) = red_wine()?.split(0.2, 1)?;
    let network = Network::dense(train.num_inputs(), &[16, 16], Activation::Tanh, 1)?;
    let model = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::fan_in(1.0), &train)?;
    println!(
        "Red wine quality: {} training rows, {} test rows; network {} (tanh), {} coordinates; prior {}.\n",
        train.num_rows(),
        test.num_rows(),
        model.network().shape(),
        model.layout().dim(),
        model.prior_description(),
    );

    println!("Four NUTS chains:");
    let run_folder = folder.join("run.zarr");
    if run_folder.exists() {
        std::fs::remove_dir_all(&run_folder)?;
    }
    let sink = RunFolder::create(&run_folder)?;
    let bars = ProgressBars::new();
    let run = Run { chains: 4, warmup: effort.warmup, draws: effort.draws, seed: 1, ..Run::default() };
    let nuts = Sampler::new(&model, Nuts::default(), run).sink(&sink).observer(&bars).run()?;
    let nuts_predictions = model.predict(&nuts, &test)?;

    println!("\nThe same posterior by mean-field variational inference, a deep ensemble and a single trained network …\n");
    let map_settings = Map { steps: effort.steps, seed: 1, ..Map::default() };
    let start = Start::Map(map_settings.clone());
    let variational =
        mean_field(&model, &MeanField { steps: effort.steps, start, starts: 2, seed: 1, ..MeanField::default() })?;
    let ensemble =
        deep_ensemble(&model, &DeepEnsemble { members: effort.members, map: map_settings.clone(), ..DeepEnsemble::default() })?;
    let single = map(&model, &map_settings)?;
    let variational_predictions = model.predict(&variational.draws, &test)?;
    let ensemble_predictions = model.predict(&ensemble, &test)?;
    let single_predictions = model.predict(&single, &test)?;

    let functions = function_diagnostics(&nuts_predictions)?;
    let parameters = summary(&nuts);
    println!("{functions}\n{parameters}\n{}", diagnose(&nuts, Some(&nuts_predictions))?);
    let gradients = nuts.report.gradients() as f64;
    let worst = functions.roll_up.ess_bulk_min;
    println!(
        "Worst test point: {worst:.0} effective draws, {:.1} a second and {:.2} per 1,000 gradients, warm-up included.\n",
        worst / nuts.report.seconds,
        1000.0 * worst / gradients,
    );
    let comparison = compare(&[
        Entry { name: "NUTS", draws: &nuts, predictions: &nuts_predictions },
        Entry { name: "mean-field VI", draws: &variational.draws, predictions: &variational_predictions },
        Entry { name: "deep ensemble", draws: &ensemble, predictions: &ensemble_predictions },
        Entry { name: "single network", draws: &single, predictions: &single_predictions },
    ])?;
    println!("{comparison}");

    let methods = [
        ("NUTS", &nuts_predictions),
        ("mean-field VI", &variational_predictions),
        ("deep ensemble", &ensemble_predictions),
        ("single network", &single_predictions),
    ];
    let worst_point = functions.roll_up.worst.first().map_or(0, |worst| worst.index);
    let quantities = [
        Quantity::from_predictions(&nuts_predictions, worst_point, 0)?,
        Quantity::from_draws(&nuts, "noise_scale")?,
        Quantity::from_draws(&nuts, "layer2.bias[0]")?,
    ];
    let panels = methods.iter().map(|(name, predictions)| IntervalsPanel::from_predictions(*name, predictions, 0, 0.9));
    let curves = methods.iter().map(|(name, predictions)| CoverageCurve::from_predictions(*name, predictions, 0));
    let mut files = TracePlot::new(&quantities, &divergent(&nuts))?.save(folder.join("traces"))?;
    files.extend(RankPlot::new(&quantities, 20)?.save(folder.join("ranks"))?);
    files.extend(EnergyPlot::from_draws(&nuts)?.save(folder.join("energy"))?);
    files.extend(
        PredictiveIntervals::new(panels.collect::<Result<_, _>>()?, nuts_predictions.target_name.clone())?
            .save(folder.join("predictive"))?,
    );
    files.extend(CoveragePlot::new(curves.collect::<Result<_, _>>()?)?.save(folder.join("coverage"))?);
    files.extend(
        ObjectivePlot::new(vec![ObjectiveSeries::from_draws(&variational.draws)?], "evidence lower bound (nats)")?
            .save(folder.join("variational_objective"))?,
    );
    println!("Wrote {} pictures and the draws (run.zarr) into {}.", files.len(), folder.display());
    Ok(())
}

/// The red wine data of Cortez et al. (2009), 1,599 wines, as they come in the crate `linfa-datasets`.
fn red_wine() -> Result<Dataset, Box<dyn Error>> {
    let wine = linfa_datasets::winequality();
    let (rows, columns) = wine.records.dim();
    let inputs = DMatrix::from_fn(rows, columns, |row, column| wine.records[[row, column]]);
    let targets = DMatrix::from_fn(rows, 1, |row, _| wine.targets[row] as f64);
    Ok(Dataset::new(inputs, targets)?.with_input_names(wine.feature_names())?.with_target_names(&["quality (0 to 10)"])?)
}

/// Whether each draw of each chain ended a divergent trajectory.
fn divergent(draws: &Draws) -> Vec<Vec<bool>> {
    let flags = draws.statistic("diverging").unwrap_or_default();
    flags.iter().map(|chain| chain.iter().map(|&flag| flag != 0.0).collect()).collect()
}
