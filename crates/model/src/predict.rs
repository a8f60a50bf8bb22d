//! Predict targets at given inputs under every draw, in the targets' own unit.

use crate::{DataError, Likelihood, ModelError, NetworkOutputs, OutputEvaluator, Purpose, stream};
use ergodic_draws::{ChainDraws, Draws, PredictionKind, Predictions};
use nalgebra::DMatrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of [`predict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictOptions {
    /// Most draws to predict with: each chain is thinned evenly to reach it; all draws by default.
    pub max_draws: Option<usize>,
    /// Fewest simulated observations per point of a regression: several per draw where draws are fewer, one per draw where they are
    /// more, none when 0. Quantiles of 4000 have an error of at most 0.008 in probability.
    pub simulations: usize,
    /// Seed of the simulated observations.
    pub seed: u64,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self { max_draws: None, simulations: 4000, seed: 0 }
    }
}

/// Predictions at `inputs` (points × inputs, in the unit the model was given them in) under every draw, in the targets' own unit.
///
/// With f and σ the likelihood's mean and standard deviation on the standardised scale, and m and s the mean and standard deviation of
/// a training target (0 and 1 of a count), a regression predicts m + s f with noise s σ for each target. With `targets` (points × targets) the log density of each under
/// each draw comes along, ln p(y) = ln p(standardised y) − ln s: that of the target in its own unit.
///
/// Draw d simulates from its own random stream, `stream(seed, d, Purpose::Simulate)`, so results do not depend on the number of
/// threads. Draws are spread over the threads of the current rayon pool.
///
/// # Errors
/// When the draws are of another model or empty, the inputs or targets do not have the model's columns, or a value is not finite.
pub fn predict(
    model: &dyn NetworkOutputs,
    draws: &Draws,
    inputs: &DMatrix<f64>,
    targets: Option<&DMatrix<f64>>,
    options: &PredictOptions,
) -> Result<Predictions, ModelError> {
    check(model, draws, inputs, targets)?;
    let likelihood = model.likelihood();
    let (chain_lengths, positions) = thin(draws.chains(), options.max_draws);
    if positions.is_empty() {
        return Err(ModelError::NoDraws);
    }
    let regression = likelihood.kind() == PredictionKind::Regression;
    let repeats = if regression { options.simulations.div_ceil(positions.len()) } else { 0 };
    let observed: Vec<f64> = targets.map_or(Vec::new(), |targets| targets.transpose().as_slice().to_vec());
    let plan = Plan { model, likelihood, points: inputs.nrows(), observed: &observed, repeats, seed: options.seed };
    // A few parts a thread even out; the result does not depend on how many there are.
    let part = positions.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let predict_part = |(index, positions): (usize, &[&[f64]])| -> Result<Part, ModelError> {
        let mut evaluator = model.output_evaluator(inputs)?;
        Ok(plan.part(evaluator.as_mut(), index * part, positions))
    };
    let parts: Vec<Part> = positions.par_chunks(part).enumerate().map(predict_part).collect::<Result<_, _>>()?;
    let join = |select: fn(&Part) -> &Vec<f64>| parts.iter().flat_map(select).copied().collect::<Vec<f64>>();
    Ok(Predictions {
        origin: draws.origin(),
        temperatures: draws.report.temperatures,
        energy_variance: draws.report.largest_energy_variance(),
        kind: likelihood.kind(),
        target_name: model.target_name().to_owned(),
        chain_lengths,
        num_points: inputs.nrows(),
        num_outputs: likelihood.num_means(),
        values: join(|part| &part.values),
        noise_sd: join(|part| &part.noise_sd),
        simulated: join(|part| &part.simulated),
        log_likelihood: join(|part| &part.log_likelihood),
        observed,
    })
}

fn check(
    model: &dyn NetworkOutputs,
    draws: &Draws,
    inputs: &DMatrix<f64>,
    targets: Option<&DMatrix<f64>>,
) -> Result<(), ModelError> {
    if draws.dim() != model.num_coordinates() {
        return Err(ModelError::DrawDimension { draws: draws.dim(), model: model.num_coordinates() });
    }
    check_inputs(inputs, model.num_inputs())?;
    let Some(targets) = targets else { return Ok(()) };
    if targets.nrows() != inputs.nrows() {
        return Err(DataError::RowCount { inputs: inputs.nrows(), targets: targets.nrows() }.into());
    }
    let expected = model.likelihood().num_targets();
    if targets.ncols() != expected {
        return Err(DataError::ColumnCount { what: "targets", found: targets.ncols(), expected }.into());
    }
    let mut row_targets = vec![0.0; expected];
    for (row, values) in targets.row_iter().enumerate() {
        for (to, value) in row_targets.iter_mut().zip(values.iter()) {
            *to = *value;
        }
        if let Err(problem) = model.likelihood().check_targets(&row_targets) {
            return Err(DataError::Target { row, column: model.target_name().to_owned(), problem }.into());
        }
    }
    Ok(())
}

/// Checks that inputs have rows, `expected` columns and finite values.
pub(crate) fn check_inputs(inputs: &DMatrix<f64>, expected: usize) -> Result<(), DataError> {
    if inputs.ncols() != expected {
        return Err(DataError::ColumnCount { what: "inputs", found: inputs.ncols(), expected });
    }
    if inputs.nrows() == 0 {
        return Err(DataError::Empty("rows"));
    }
    for (index, column) in inputs.column_iter().enumerate() {
        if let Some((row, &value)) = column.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(DataError::NotFinite { row, column: format!("x{index}"), value });
        }
    }
    Ok(())
}

/// The lengths of the thinned chains and their positions, chain after chain.
fn thin(chains: &[ChainDraws], max_draws: Option<usize>) -> (Vec<usize>, Vec<&[f64]>) {
    let total: usize = chains.iter().map(ChainDraws::len).sum();
    let step = max_draws.map_or(1, |most| total.div_ceil(most.max(1)).max(1));
    let mut lengths = Vec::with_capacity(chains.len());
    let mut positions = Vec::with_capacity(total / step);
    let mut draw = 0;
    for chain in chains {
        let before = positions.len();
        for position in chain.positions() {
            draw += 1;
            if draw % step == 0 {
                positions.push(position);
            }
        }
        lengths.push(positions.len() - before);
    }
    (lengths, positions)
}

/// What is the same for all draws.
struct Plan<'a> {
    model: &'a dyn NetworkOutputs,
    likelihood: &'a dyn Likelihood,
    points: usize,
    observed: &'a [f64],
    repeats: usize,
    seed: u64,
}

/// Predictions of successive draws.
#[derive(Default)]
struct Part {
    values: Vec<f64>,
    noise_sd: Vec<f64>,
    simulated: Vec<f64>,
    log_likelihood: Vec<f64>,
}

impl Plan<'_> {
    fn part(&self, evaluator: &mut dyn OutputEvaluator, first_draw: usize, positions: &[&[f64]]) -> Part {
        let (num_outputs, num_means) = (self.likelihood.num_outputs(), self.likelihood.num_means());
        let num_targets = self.likelihood.num_targets();
        let regression = self.likelihood.kind() == PredictionKind::Regression;
        let scales = self.model.target_scales();
        let log_unit: f64 = scales.iter().map(|(_, sd)| sd.ln()).sum();
        let mut part = Part::default();
        part.values.reserve_exact(positions.len() * self.points * num_means);
        let mut outputs = vec![0.0; self.points * num_outputs];
        let (mut mean, mut variance) = (vec![0.0; num_means], vec![0.0; num_means]);
        let (mut targets, mut d_outputs) = (vec![0.0; num_targets], vec![0.0; num_outputs]);
        let mut d_parameters = vec![0.0; self.likelihood.num_parameters()];
        for (index, position) in positions.iter().enumerate() {
            let parameters = self.model.likelihood_parameters(position);
            evaluator.outputs(position, &mut outputs);
            for row in outputs.chunks_exact(num_outputs) {
                self.likelihood.mean(row, parameters, &mut mean);
                if regression {
                    self.likelihood.variance(row, parameters, &mut variance);
                    for (value, (centre, sd)) in mean.iter_mut().zip(scales) {
                        *value = centre + sd * *value;
                    }
                    part.noise_sd.extend(variance.iter().zip(scales).map(|(v, (_, sd))| sd * v.sqrt()));
                }
                part.values.extend_from_slice(&mean);
            }
            let rows = || outputs.chunks_exact(num_outputs);
            if !self.observed.is_empty() {
                for (row, observed) in rows().zip(self.observed.chunks_exact(num_targets)) {
                    for ((to, y), (centre, sd)) in targets.iter_mut().zip(observed).zip(scales) {
                        *to = (y - centre) / sd;
                    }
                    let value = self.likelihood.gradient(row, &targets, parameters, &mut d_outputs, &mut d_parameters);
                    part.log_likelihood.push(value - log_unit);
                }
            }
            let mut rng = stream(self.seed, first_draw + index, Purpose::Simulate);
            for _ in 0..self.repeats {
                for row in rows() {
                    self.likelihood.simulate(row, parameters, &mut rng, &mut targets);
                    part.simulated.extend(targets.iter().zip(scales).map(|(t, (centre, sd))| centre + sd * t));
                }
            }
        }
        part
    }
}
