//! Sample networks with learned noise, whose posteriors are thin sheets, without their output layer, and say how far the chains came.

use crate::cases::regression;
use crate::data::uci;
use crate::score::median;
use ergodic::baselines::{WarmStart, warm_start};
use ergodic::diagnostics::{ess_bulk, mcse_mean, rhat};
use ergodic::model::{IntegratedOutput, Precision, PredictOptions};
use ergodic::prelude::*;
use ergodic::sampler::{Budget, Method, Scaling};
use serde::Serialize;
use std::error::Error;

const CHAINS: usize = 4;
/// Adam's steps before a chain, which count among its gradients.
const START_STEPS: usize = 2000;
/// Integrator steps from one draw to the next.
const STEPS_PER_DRAW: usize = 20;

/// A posterior without its output layer, the rows it is judged at, and the gradients of a chain.
pub(crate) struct Stiff {
    posterior: IntegratedOutput,
    test: Dataset,
    gradients: u64,
    /// Warm-up transitions.
    warmup: usize,
    title: &'static str,
}

fn stiff(
    set: &str,
    hidden: &[usize],
    prior: NormalPrior,
    gradients: u64,
    title: &'static str,
) -> Result<Stiff, Box<dyn Error>> {
    let (train, test) = uci(set)?;
    let model = regression(hidden, Gaussian::learned_noise(), prior, &train)?.with_precision(Precision::Double);
    let posterior = IntegratedOutput::new(model)?.with_precision(Precision::Single);
    // A third of the run, for burn-in takes longest.
    let warmup = gradients as usize / 3 / STEPS_PER_DRAW;
    Ok(Stiff { posterior, test, gradients, warmup, title })
}

/// Builds a case.
type Build = fn() -> Result<Stiff, Box<dyn Error>>;

/// The name of each case, with what builds it.
pub(crate) const STIFF: &[(&str, Build)] = &[
    ("concrete", || stiff("concrete", &[50, 50], NormalPrior::standard(1.0), 150_000, "8-50-50-1, N(0, 1)")),
    ("energy_fan_in", || stiff("energy", &[50], NormalPrior::fan_in(1.0), 250_000, "8-50-1, N(0, 1/fan-in)")),
    ("energy", || stiff("energy", &[50], NormalPrior::standard(1.0), 4_000_000, "8-50-1, N(0, 1)")),
    ("yacht", || stiff("yacht", &[16, 16], NormalPrior::standard(1.0), 500_000, "6-16-16-1, N(0, 1)")),
];

/// How far one sampler came on one posterior.
#[derive(Debug, Serialize)]
struct Row {
    case: String,
    sampler: &'static str,
    gradients: f64,
    seconds: f64,
    rhat_max: f64,
    rhat_median: f64,
    worst_ess: f64,
    median_ess: f64,
    /// Of the logarithm of the noise scale: R-hat, mean, its Monte Carlo standard error, effective draws.
    noise_rhat: f64,
    log_noise: f64,
    log_noise_error: f64,
    noise_ess: f64,
    /// Mean log density of the second half of the draws less that of the first, in nats.
    drift: f64,
    energy_variance: f64,
    step_size: f64,
    verdict: String,
}

fn run_one<M: Method>(name: &str, case: &Stiff, method: &M, seed: u64) -> Result<Row, Box<dyn Error>> {
    let starts = warm_start(&case.posterior, CHAINS, &WarmStart { steps: START_STEPS, seed, ..WarmStart::default() })?;
    let spent = starts.gradients() / CHAINS as u64;
    let budget = Budget { gradients_per_chain: Some(case.gradients.saturating_sub(spent).max(1)), seconds: None };
    let run = Run { chains: CHAINS, warmup: case.warmup, draws: usize::MAX / 4, seed, budget, ..Run::default() };
    let sampler = Sampler::new(&case.posterior, method.clone(), run).initial_positions(&starts.positions);
    let mut draws = sampler.run()?;
    starts.charge(&mut draws.report);
    let options = PredictOptions { simulations: 0, ..PredictOptions::default() };
    let predictions = case.posterior.predict_with(&draws, &case.test, &options)?;
    let series: Vec<_> = (0..predictions.num_points).map(|point| predictions.series(point, 0)).collect();
    let rhats: Vec<f64> = series.iter().map(|series| rhat(series).value).collect();
    let ess: Vec<f64> = series.iter().map(|series| ess_bulk(series).value).collect();
    let noise = draws.layout().coordinate_of("noise_scale").ok_or("the noise is sampled")?;
    let log_noise: Vec<Vec<f64>> =
        draws.chains().iter().map(|chain| chain.positions().map(|position| position[noise]).collect()).collect();
    let log_density = draws.statistic("lp").unwrap_or_default();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let drift = |chain: &Vec<f64>| mean(&chain[chain.len() / 2..]) - mean(&chain[..chain.len() / 2]);
    let tuned = |name: &str| draws.report.chains[0].tuned.get(name).copied().unwrap_or(f64::NAN);
    Ok(Row {
        case: name.to_owned(),
        sampler: M::NAME,
        gradients: draws.report.gradients() as f64 / CHAINS as f64,
        seconds: draws.report.seconds,
        rhat_max: rhats.iter().copied().fold(1.0, f64::max),
        rhat_median: median(&rhats),
        worst_ess: ess.iter().copied().fold(f64::INFINITY, f64::min),
        median_ess: median(&ess),
        noise_rhat: rhat(&log_noise).value,
        log_noise: mean(&log_noise.iter().flatten().copied().collect::<Vec<_>>()),
        log_noise_error: mcse_mean(&log_noise).value,
        noise_ess: ess_bulk(&log_noise).value,
        drift: mean(&log_density.iter().map(drift).collect::<Vec<_>>()),
        energy_variance: tuned("energy_variance_per_dimension"),
        step_size: tuned("step_size"),
        verdict: diagnose(&draws, Some(&predictions))?.to_string(),
    })
}

impl Row {
    fn print(&self, title: &str) {
        println!(
            "\n{} ({title}), {}: {:.0} gradients a chain, {:.0} s; step size {:.2e}, energy variance {:.1e}\n\
             test outputs: R-hat at most {:.3}, median {:.3}; effective draws at least {:.0}, median {:.0}\n\
             ln noise: {:.4} ± {:.4}, R-hat {:.3}, {:.0} effective draws; log density: second half less first {:+.1}\n{}",
            self.case,
            self.sampler,
            self.gradients,
            self.seconds,
            self.step_size,
            self.energy_variance,
            self.rhat_max,
            self.rhat_median,
            self.worst_ess,
            self.median_ess,
            self.log_noise,
            self.log_noise_error,
            self.noise_rhat,
            self.noise_ess,
            self.drift,
            self.verdict
        );
    }
}

/// Runs the wanted cases: MCLMC, and the exact sampler of the same motion for the bias of the noise.
pub(crate) fn run(wanted: impl Fn(&str) -> bool, gradients: Option<u64>, seed: u64, json: bool) -> Result<(), Box<dyn Error>> {
    for (name, build) in STIFF.iter().filter(|case| wanted(case.0)) {
        let mut case = match build() {
            Ok(case) => case,
            Err(error) => {
                eprintln!("{name}: skipped: {error}");
                continue;
            }
        };
        if let Some(gradients) = gradients {
            case.warmup = gradients as usize / 3 / STEPS_PER_DRAW;
            case.gradients = gradients;
        }
        let (steps_per_draw, scaling) = (STEPS_PER_DRAW, Scaling::ByBlock);
        let mclmc = Mclmc { steps_per_draw, scaling, ..Mclmc::default() };
        // Its warm-up takes shorter transitions.
        let unadjusted = run_one(name, &case, &mclmc, seed)?;
        let slice = SliceGhmc { steps_per_draw, scaling, ..SliceGhmc::default() };
        let exact = run_one(name, &case, &slice, seed + 1)?;
        for row in [&unadjusted, &exact] {
            if json { println!("{}", serde_json::to_string(row)?) } else { row.print(case.title) }
        }
        let error = unadjusted.log_noise_error.hypot(exact.log_noise_error);
        if !json {
            println!("\nln noise, MCLMC less exact: {:+.4} ± {error:.4}", unadjusted.log_noise - exact.log_noise);
        }
    }
    Ok(())
}
