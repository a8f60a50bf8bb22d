//! Measure what checkpoints cost a run: their share of its time, and what one takes.
//!
//! `cargo run --release -p ergodic-sampler --example checkpoint_cost [seconds of each run]`

#![allow(clippy::print_stdout)]

use ergodic_draws::RunFolder;
use ergodic_model::density;
use ergodic_sampler::{Budget, CheckpointSchedule, Nuts, Run, Sampler};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(30.0), |seconds| seconds.parse())?;
    for dim in [500, 50_000] {
        // As much arithmetic as a network with 100 rows has.
        let target = density(dim, |x: &[f64], gradient: &mut [f64]| {
            for (i, (g, x)) in gradient.iter_mut().zip(x).enumerate() {
                let pull = (0..100).fold(0.0, |sum: f64, row| (x * f64::from(row)).mul_add(1e-3, sum) + 1e-6 * i as f64);
                *g = -x - 1e-9 * pull;
            }
            -0.5 * x.iter().map(|x| x * x).sum::<f64>()
        });
        let budget = Budget { seconds: Some(seconds), ..Budget::default() };
        let run = Run { chains: 4, warmup: 200, draws: 10_000_000, threads: Some(2), budget, ..Run::default() };
        let place = tempfile::tempdir()?;
        let folder = RunFolder::create(place.path().join("run.zarr"))?;
        let schedule = CheckpointSchedule { seconds: 1.0, ..CheckpointSchedule::default() };
        let sampler = Sampler::new(&target, Nuts::default(), run).sink(&folder);
        let (report, _) = sampler.checkpoint_to(place.path().join("run.checkpoint"), schedule).run_into_sink()?;
        let checkpoints = &report.settings["checkpoints"];
        let (written, cost) = (checkpoints["written"].as_f64().unwrap_or(0.0), checkpoints["seconds"].as_f64().unwrap_or(0.0));
        println!(
            "{dim} coordinates: {written} checkpoints in {:.0} s, {:.1} ms each, {:.2} % of the run",
            report.seconds,
            1e3 * cost / written,
            100.0 * cost / report.seconds
        );
    }
    Ok(())
}
