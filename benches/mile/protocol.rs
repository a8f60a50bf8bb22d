//! Run the protocol of MILE (Sommer et al. 2025): optimised members that stop early, then unadjusted microcanonical chains.

use crate::folder::{data_folder, numbers};
use crate::split::train_test_split;
use cpu_time::ProcessTime;
use ergodic::baselines::{Schedule, warm_start_validated};
use ergodic::draws::{ChainDraws, Origin, Outcome, Predictions};
use ergodic::model::{Precision, PredictOptions, Standardization, Standardize};
use ergodic::prelude::*;
use ergodic::sampler::{Budget, EnergyVariance, EnergyVarianceTarget};
use nalgebra::DMatrix;
use serde::Serialize;
use std::error::Error;
use std::time::Instant;

/// Share of the training rows that decide when optimisation stops; the chains see them too.
const VALIDATION: f64 = 0.15;
/// Seed of the published split.
const SPLIT_SEED: u32 = 0;

/// A data set, what was published of it, and what a member of ours may spend.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    /// Root mean squared error and negative log likelihood to reach, of the standardised target.
    pub(crate) goals: (f64, f64),
    /// Seconds to reach them in, on two cores.
    pub(crate) seconds: f64,
    /// Gradients of a member, those of its start included.
    pub(crate) gradients: u64,
}

pub(crate) const SETS: &[Set] = &[
    Set { name: "airfoil", goals: (0.1215, -0.91), seconds: 100.0, gradients: 240_000 },
    Set { name: "bikesharing", goals: (0.2261, -0.7315), seconds: 1050.0, gradients: 80_000 },
];

/// What is run, beside the set's own figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    pub(crate) members: usize,
    pub(crate) seed: u64,
    /// Gradients of a member, where they are not the set's.
    pub(crate) gradients: Option<u64>,
    /// Energy variance per dimension that tuning begins and ends with.
    pub(crate) energy_variance: (f64, f64),
    /// Decoherence length over the root of the number of weights.
    pub(crate) length: f64,
    /// Share of warm-up in which the step size is tuned.
    pub(crate) tuning: f64,
    /// Share of a member's gradients that are warm-up, its start included.
    pub(crate) warmup: f64,
    /// Steps from one draw to the next.
    pub(crate) steps_per_draw: usize,
    /// Most steps of Adam, and its learning rate.
    pub(crate) start_steps: usize,
    pub(crate) learning_rate: f64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) set: &'static str,
    pub(crate) settings: Settings,
    /// Wall time, and processor time over two, which is what two cores of a quiet machine would take; the start's in the former.
    pub(crate) seconds: f64,
    pub(crate) half_processor_seconds: f64,
    pub(crate) start_seconds: f64,
    pub(crate) gradients: u64,
    pub(crate) start_gradients: u64,
    pub(crate) draws: usize,
    /// Of the members' starts alone, as a deep ensemble.
    pub(crate) start: Score,
    pub(crate) score: Score,
    pub(crate) step_size: f64,
    pub(crate) energy_variance: f64,
    /// Members that ended with a failure.
    pub(crate) failed: usize,
}

/// How good predictions of the standardised target are.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Score {
    pub(crate) rmse: f64,
    /// Negative mean log density of a normal with the predictive mean and variance: the published figure.
    pub(crate) nll: f64,
    /// Negative mean log predictive density, of the mixture itself.
    pub(crate) nlpd: f64,
}

/// Training and test rows, standardised by the training rows.
fn rows(set: &str) -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let table = numbers(&data_folder().join("mile").join(format!("{set}.data")))?;
    let inputs =
        table.first().map_or(0, Vec::len).checked_sub(1).filter(|inputs| *inputs > 0).ok_or("the file has no columns")?;
    let (train, test) = train_test_split(SPLIT_SEED, table.len() as u32);
    let all = Dataset::new(
        DMatrix::from_fn(table.len(), inputs, |row, column| table[row][column]),
        DMatrix::from_fn(table.len(), 1, |row, _| table[row][inputs]),
    )?;
    let (train, test) = (all.select(&train)?, all.select(&test)?);
    let scales = Standardization::fit(&train, true)?;
    let standardised = |data: &Dataset| Dataset::new(scales.apply_inputs(data.inputs()), scales.apply_targets(data.targets()));
    Ok((standardised(&train)?, standardised(&test)?))
}

/// Four rectified layers of 16 units, a mean and a logarithm of the noise, and normal priors of scale 1.
fn network(data: &Dataset) -> Result<BayesianNetwork, Box<dyn Error>> {
    let network = Network::dense(data.num_inputs(), &[16; 4], Activation::Relu, 2)?;
    let likelihood = Box::new(Gaussian::input_dependent_noise());
    let model =
        BayesianNetwork::with_standardization(network, likelihood, &NormalPrior::standard(1.0), data, Standardize::Nothing)?;
    Ok(model.with_precision(Precision::Single))
}

fn score(model: &BayesianNetwork, draws: &Draws, test: &Dataset) -> Result<Score, Box<dyn Error>> {
    let predictions = model.predict_with(draws, test, &PredictOptions { simulations: 0, ..PredictOptions::default() })?;
    let Predictions { num_points, observed, values, noise_sd, log_likelihood, .. } = &predictions;
    let count = predictions.num_draws() as f64;
    let (mut squares, mut nll, mut nlpd) = (0.0, 0.0, 0.0);
    for (point, y) in observed.iter().enumerate() {
        let of = |all: &[f64]| -> Vec<f64> { all.iter().skip(point).step_by(*num_points).copied().collect() };
        let (means, sds, logs) = (of(values), of(noise_sd), of(log_likelihood));
        let mean = means.iter().sum::<f64>() / count;
        let variance = means.iter().zip(&sds).map(|(m, sd)| (m - mean).powi(2) + sd * sd).sum::<f64>() / count;
        squares += (y - mean).powi(2);
        nll += 0.5 * ((y - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln());
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        nlpd -= largest + (logs.iter().map(|log| (log - largest).exp()).sum::<f64>() / count).ln();
    }
    let points = observed.len() as f64;
    Ok(Score { rmse: (squares / points).sqrt(), nll: nll / points, nlpd: nlpd / points })
}

/// Runs the protocol on a set.
pub(crate) fn run(set: &Set, settings: Settings) -> Result<Row, Box<dyn Error>> {
    let (train, test) = rows(set.name)?;
    let model = network(&train)?;
    let (began, processor) = (Instant::now(), ProcessTime::now());
    let (fitted, held_out) = train.split(VALIDATION, settings.seed)?;
    let part = network(&fitted)?;
    let outputs = part.capabilities().outputs.ok_or("a network has outputs")?;
    // The log density of the rows that were held out.
    let validation = |position: &[f64]| {
        let Ok(mut evaluator) = outputs.output_evaluator(held_out.inputs()) else { return f64::NEG_INFINITY };
        let mut found = vec![0.0; 2 * held_out.num_rows()];
        evaluator.outputs(position, &mut found);
        let rows = found.chunks_exact(2).zip(held_out.targets().iter());
        rows.map(|(output, y)| -0.5 * ((y - output[0]) * (-output[1]).exp()).powi(2) - output[1]).sum::<f64>()
    };
    let start = WarmStart {
        steps: settings.start_steps,
        learning_rate: settings.learning_rate,
        schedule: Schedule::Constant,
        clip_norm: None,
        score_every: 20,
        patience: 20,
        seed: settings.seed,
        ..WarmStart::default()
    };
    let starts = warm_start_validated(&part, settings.members, &start, &validation)?;
    let start_seconds = began.elapsed().as_secs_f64();

    let gradients = settings.gradients.unwrap_or(set.gradients);
    let spent = starts.gradients() / settings.members as u64;
    let warmup_gradients = (settings.warmup * gradients as f64) as u64;
    // Warm-up takes transitions of at most eight steps.
    let warmup = (warmup_gradients.saturating_sub(spent) as usize / settings.steps_per_draw.min(8)).max(100);
    let (from, to) = settings.energy_variance;
    let adaptation = EnergyVariance {
        target: EnergyVarianceTarget::Falling { from, to },
        tuning_gradients: Some(((settings.tuning * warmup_gradients as f64) as usize).max(1)),
        ..EnergyVariance::default()
    };
    let (decoherence_length, steps_per_draw) = (settings.length, settings.steps_per_draw);
    let method = Mclmc { decoherence_length, steps_per_draw, adaptation, ..Mclmc::default() };
    let budget = Budget { gradients_per_chain: Some(gradients.saturating_sub(spent).max(1)), seconds: None };
    let run = Run { chains: settings.members, warmup, draws: usize::MAX / 4, seed: settings.seed, budget, ..Run::default() };
    let mut draws = Sampler::new(&model, method, run).initial_positions(&starts.positions).run()?;
    starts.charge(&mut draws.report);
    let (seconds, half_processor_seconds) = (began.elapsed().as_secs_f64(), 0.5 * processor.elapsed().as_secs_f64());
    let tuned = |name: &str| {
        let values = draws.report.chains.iter().filter_map(|chain| chain.tuned.get(name).copied());
        values.fold(f64::NAN, f64::max)
    };
    let chains = starts.positions.iter().map(|position| ChainDraws::from_positions(position.len(), position.clone()));
    let report = model.new_report("warm_start", settings.seed);
    let ensemble = Draws::new(draws.layout().clone(), Origin::Ensemble, chains.collect(), report);
    Ok(Row {
        set: set.name,
        settings,
        seconds,
        half_processor_seconds,
        start_seconds,
        gradients: draws.report.gradients(),
        start_gradients: starts.gradients(),
        draws: draws.num_draws(),
        start: score(&model, &ensemble, &test)?,
        score: score(&model, &draws, &test)?,
        step_size: tuned("step_size"),
        energy_variance: tuned("energy_variance_per_dimension"),
        failed: draws.report.chains.iter().filter(|chain| matches!(chain.outcome, Outcome::Failed(_))).count(),
    })
}
