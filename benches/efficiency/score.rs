//! Hold draws against a reference: effective draws, bias, and gradients until errors are small.

use crate::cases::Case;
use crate::reference::Reference;
use ergodic::diagnostics::metrics::mean_log_predictive_density;
use ergodic::diagnostics::{ess_bulk, rhat};
use ergodic::prelude::*;
use serde::{Deserialize, Serialize};
use std::error::Error;

/// Squared standardised error that counts as small: that of 100 independent draws.
const SMALL: f64 = 0.01;
/// Places of a run at which errors are looked at, evenly in the logarithm of gradients.
const LOOKS: usize = 60;
/// Points of a curve of log predictive density.
const CURVE: usize = 12;

/// What one sampler reached on one posterior; gradients count warm-up and starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) sampler: String,
    /// Whether its draws follow the posterior exactly, in the limit.
    pub(crate) exact: bool,
    pub(crate) chains: usize,
    /// Of a chain: all, and those before the first draw.
    pub(crate) gradients: f64,
    pub(crate) warmup_gradients: f64,
    /// Processor time over gradients, everything included.
    pub(crate) microseconds_per_gradient: f64,
    pub(crate) step_size: f64,
    /// Largest R-hat, and least and median bulk ESS, of what is judged.
    pub(crate) rhat: f64,
    pub(crate) worst_ess: f64,
    pub(crate) median_ess: f64,
    pub(crate) worst_ess_per_1000_gradients: f64,
    pub(crate) median_ess_per_1000_gradients: f64,
    pub(crate) worst_ess_per_second: f64,
    /// Gradients of a chain until the mean over points of the squared standardised error of the mean, and of the variance, stays small.
    pub(crate) gradients_to_mean: Option<f64>,
    pub(crate) gradients_to_variance: Option<f64>,
    pub(crate) seconds_to_both: Option<f64>,
    /// Root mean square over points of (mean − reference) / sd, with Monte Carlo noise taken out.
    pub(crate) bias: f64,
    /// Geometric mean over points of sd / reference sd.
    pub(crate) sd_ratio: f64,
    /// Mean log predictive density at the test points, and its course over gradients of a chain.
    pub(crate) lppd: Option<f64>,
    pub(crate) curve: Vec<(u64, f64)>,
}

/// Mean log predictive density of held-out rows.
pub(crate) fn lppd(predictions: &Predictions) -> Result<f64, Box<dyn Error>> {
    Ok(mean_log_predictive_density(predictions)?.value)
}

/// Scores `draws`, which took `seconds` of processor time.
pub(crate) fn score(
    case: &Case,
    sampler: &str,
    draws: &Draws,
    seconds: f64,
    reference: &Reference,
) -> Result<Row, Box<dyn Error>> {
    let predictions = case.predictions(draws)?;
    let quantities = Case::quantities(draws, predictions.as_ref());
    let chains = draws.chains().len();
    let total = draws.report.gradients() as f64;
    let axis = gradient_axis(draws);
    let ess: Vec<f64> = quantities.iter().map(|series| ess_bulk(series).value).collect();
    let worst_ess = ess.iter().copied().fold(f64::INFINITY, f64::min);
    let median_ess = median(&ess);
    let microseconds = seconds / total * 1e6;
    let (to_mean, to_variance) = convergence(&quantities, &axis, reference);
    let both = to_mean.zip(to_variance).map(|(mean, variance)| mean.max(variance));
    let (bias, sd_ratio) = bias(&quantities, &ess, reference);
    let warmup: u64 = draws.report.chains.iter().map(|chain| chain.warmup_gradients).sum();
    Ok(Row {
        case: case.name.to_owned(),
        sampler: sampler.to_owned(),
        exact: draws.caveat().is_none(),
        chains,
        gradients: total / chains as f64,
        warmup_gradients: warmup as f64 / chains as f64,
        microseconds_per_gradient: microseconds,
        step_size: draws.report.chains.first().and_then(|chain| chain.tuned.get("step_size").copied()).unwrap_or(f64::NAN),
        rhat: quantities.iter().map(|series| rhat(series).value).fold(1.0, f64::max),
        worst_ess,
        median_ess,
        worst_ess_per_1000_gradients: 1000.0 * worst_ess / total,
        median_ess_per_1000_gradients: 1000.0 * median_ess / total,
        worst_ess_per_second: worst_ess / seconds,
        gradients_to_mean: to_mean,
        gradients_to_variance: to_variance,
        seconds_to_both: both.map(|gradients| gradients * microseconds * 1e-6),
        bias,
        sd_ratio,
        lppd: predictions.as_ref().map(lppd).transpose()?,
        curve: predictions.as_ref().map_or(Vec::new(), |predictions| curve(predictions, &axis)),
    })
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Gradients that each chain had spent when it made each of its draws.
fn gradient_axis(draws: &Draws) -> Vec<Vec<f64>> {
    let steps = draws.statistic("n_steps");
    let chain = |(number, report): (usize, &ergodic::draws::ChainReport)| {
        let length = draws.chains()[number].len();
        let weight = |draw: usize| steps.as_ref().map_or(1.0, |steps| steps[number][draw]);
        let all: f64 = (0..length).map(weight).sum();
        let mut done = 0.0;
        let spent = |draw| {
            done += weight(draw);
            report.warmup_gradients as f64 + report.sampling_gradients as f64 * done / all
        };
        (0..length).map(spent).collect()
    };
    draws.report.chains.iter().enumerate().map(chain).collect()
}

/// Looks at a run, from the first draw of the chain that began to draw last to that chain's end.
fn looks(axis: &[Vec<f64>], count: usize) -> Vec<f64> {
    let longest = axis.iter().max_by(|a, b| a[0].total_cmp(&b[0])).expect("there is a chain");
    let (first, last) = (longest[0], longest[longest.len() - 1]);
    (1..=count).map(|look| first * (last / first).powf(look as f64 / count as f64)).collect()
}

/// Gradients of a chain until the error of the mean, and that of the variance, stays small; means over chains and points of
/// (estimate − truth)² / variance of one draw, which is one over the number of effective draws.
fn convergence(quantities: &[Vec<Vec<f64>>], axis: &[Vec<f64>], reference: &Reference) -> (Option<f64>, Option<f64>) {
    let looks = looks(axis, LOOKS);
    let mut errors = vec![[0.0; 2]; LOOKS];
    let weight = 1.0 / (quantities.len() * axis.len()) as f64;
    for (quantity, chains) in quantities.iter().enumerate() {
        let (mean, variance) = (reference.mean[quantity], reference.variance[quantity]);
        let variance_of_squares = reference.variance_of_squares[quantity];
        for (series, spent) in chains.iter().zip(axis) {
            let (mut sum, mut squares, mut draw) = (0.0, 0.0, 0);
            for (look, error) in looks.iter().zip(&mut errors) {
                while draw < series.len() && (spent[draw] <= *look || draw == 0) {
                    sum += series[draw] - mean;
                    squares += (series[draw] - mean).powi(2);
                    draw += 1;
                }
                let n = draw as f64;
                error[0] += weight * (sum / n).powi(2) / variance;
                error[1] += weight * (squares / n - variance).powi(2) / variance_of_squares;
            }
        }
    }
    let stays_small = |which: usize| {
        let large = errors.iter().rposition(|error| error[which].is_nan() || error[which] > SMALL);
        looks.get(large.map_or(0, |last| last + 1)).copied()
    };
    (stays_small(0), stays_small(1))
}

/// Bias of means in standard deviations with the noise of both runs taken out, and the geometric mean of ratios of sds.
fn bias(quantities: &[Vec<Vec<f64>>], ess: &[f64], reference: &Reference) -> (f64, f64) {
    let (mut square, mut log_ratio) = (0.0, 0.0);
    for (quantity, chains) in quantities.iter().enumerate() {
        let n = chains.iter().map(Vec::len).sum::<usize>() as f64;
        let mean = chains.iter().flatten().sum::<f64>() / n;
        let variance = chains.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let z = (mean - reference.mean[quantity]).powi(2) / reference.variance[quantity];
        square += z - 1.0 / ess[quantity] - 1.0 / reference.ess[quantity];
        log_ratio += 0.5 * (variance / reference.variance[quantity]).ln();
    }
    let count = quantities.len() as f64;
    ((square / count).max(0.0).sqrt(), (log_ratio / count).exp())
}

/// Mean log predictive density of all chains together, of the draws made with so many gradients a chain.
fn curve(predictions: &Predictions, axis: &[Vec<f64>]) -> Vec<(u64, f64)> {
    let points = predictions.num_points;
    if predictions.log_likelihood.is_empty() {
        return Vec::new();
    }
    let at = |look: f64| {
        let (mut largest, mut sums, mut count) = (vec![f64::NEG_INFINITY; points], vec![0.0; points], 0.0);
        let mut start = 0;
        for spent in axis {
            let made = spent.partition_point(|&gradients| gradients <= look);
            for draw in start..start + made {
                let row = &predictions.log_likelihood[draw * points..(draw + 1) * points];
                for ((value, largest), sum) in row.iter().zip(&mut largest).zip(&mut sums) {
                    let new = largest.max(*value);
                    *sum = *sum * (*largest - new).exp() + (value - new).exp();
                    *largest = new;
                }
                count += 1.0;
            }
            start += spent.len();
        }
        largest.iter().zip(&sums).map(|(largest, sum)| largest + (sum / count).ln()).sum::<f64>() / points as f64
    };
    looks(axis, CURVE).into_iter().map(|look| (look as u64, at(look))).filter(|(_, value)| value.is_finite()).collect()
}
