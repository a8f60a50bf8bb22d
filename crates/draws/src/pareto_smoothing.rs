//! Smooth importance weights by a generalised Pareto tail, and say from its shape whether they can be trusted.

use std::fmt;

/// Fewest weights in the tail that a Pareto distribution is fitted to, as in the R package `loo`.
const LEAST_TAIL: usize = 5;
/// Log weights closer together than this are equal: sums of log densities are not known better, in nats.
const EQUAL: f64 = 1e-8;
/// The largest k̂ that any number of draws makes reliable (Vehtari et al. 2024, section 3.2.4).
const LARGEST_RELIABLE: f64 = 0.7;

/// Importance weights after smoothing, and what their tail says of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ParetoSmoothed {
    /// Normalised log weights in the order given: their exponentials add up to 1. A weight of 0 is −∞.
    pub log_weights: Vec<f64>,
    /// Logarithm of the mean of the smoothed weights before they were normalised, in nats. Where weights are a log joint density minus
    /// the log density of a normalised proposal, it estimates the log evidence.
    pub log_mean: f64,
    /// The shape k̂ of the weights' tail; without one, weights are as they were, and the reason is given.
    pub khat: Result<f64, NoKhat>,
}

/// Why the tail of importance weights has no shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoKhat {
    /// All weights are equal, to 10⁻⁸ in their logarithms: draws of the target itself, as far as they can tell.
    Equal,
    /// Fewer than five weights are in the tail. Nothing is known of their reliability.
    ShortTail {
        /// How many there are.
        weights: usize,
    },
    /// The Pareto fit to the tail is not finite, as when a quarter of its weights equal the cut-off. Nothing is known of their
    /// reliability.
    NoFit,
}

impl fmt::Display for NoKhat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => {
                f.write_str("all weights are equal, so there is no tail; the draws follow the target as far as they can tell")
            }
            Self::ShortTail { weights } => {
                write!(f, "{weights} weights in the tail, and at least {LEAST_TAIL} are needed; make more draws")
            }
            Self::NoFit => f.write_str("a Pareto distribution does not fit the tail; too many of its weights are equal"),
        }
    }
}

/// Why there are no importance weights.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// There is no log ratio.
    #[error("there are no draws to weigh")]
    Empty,
    /// A log ratio is NaN or +∞.
    #[error("log ratio {index} is {value}; it must be finite, or −∞ for a draw outside of the target's support")]
    NotANumber {
        /// Number of the draw, from 0.
        index: usize,
        /// Its log ratio.
        value: f64,
    },
    /// All log ratios are −∞.
    #[error("every draw is outside of the target's support, so that no weight is positive")]
    AllZero,
    /// The relative efficiency is out of range.
    #[error("the relative efficiency is {0}; it must be positive and finite, and is 1 for independent draws")]
    RelativeEfficiency(f64),
}

impl ParetoSmoothed {
    /// Effective number of independent draws of the weights, 1 / Σ w² (Kong 1992), which is optimistic where k̂ is above 0.7.
    #[must_use]
    pub fn effective_draws(&self) -> f64 {
        self.log_weights.iter().map(|w| (2.0 * w).exp()).sum::<f64>().recip()
    }

    /// The largest k̂ with which this many draws are reliable: min(1 − 1 / log₁₀ S, 0.7) (Vehtari et al. 2024).
    #[must_use]
    pub fn largest_reliable_khat(&self) -> f64 {
        (1.0 - 1.0 / (self.log_weights.len() as f64).log10()).min(LARGEST_RELIABLE)
    }

    /// Whether weighted means may be trusted: the weights are equal, or k̂ is at most the
    /// [largest reliable one](Self::largest_reliable_khat).
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        match self.khat {
            Ok(khat) => khat <= self.largest_reliable_khat(),
            Err(reason) => reason == NoKhat::Equal,
        }
    }
}

/// Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024, 'Pareto smoothed importance sampling', JMLR 25(72)).
///
/// `log_ratios` are log target minus log proposal at draws of the proposal, both up to a constant, in nats; −∞ for a draw outside of the
/// target's support. The M = ⌈min(S/5, 3√(S/r))⌉ largest of S weights are the tail, where r = `relative_efficiency` is effective draws
/// divided by draws, 1 for independent ones. What the tail exceeds the largest weight below it by is fitted by a generalised Pareto
/// distribution, and replaced by the expected order statistics of that, none larger than the largest weight was.
///
/// The shape k is estimated as by Zhang & Stephens (2009), with the paper's weakly informative prior of weight 10 at ½. The weights have
/// 1/k finite moments: for k̂ below ½ the central limit theorem holds, up to 0.7 the smoothed mean is reliable, above it the number
/// of draws that would be needed is out of reach, and above 1 the mean does not exist.
///
/// ```
/// use ergodic_draws::pareto_smooth;
/// // Ratios of a Pareto distribution of shape ½ at evenly spread probabilities.
/// let log_ratios: Vec<f64> = (0..1000).map(|i| -0.5 * ((f64::from(i) + 0.5) / 1000.0).ln()).collect();
/// let smoothed = pareto_smooth(&log_ratios, 1.0)?;
/// assert!((smoothed.khat.unwrap() - 0.5).abs() < 0.1 && smoothed.is_reliable());
/// assert!((smoothed.log_weights.iter().map(|w| w.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
/// # Ok::<(), ergodic_draws::WeightError>(())
/// ```
///
/// # Errors
/// When there is no weight, none is positive, one is not a number, or the relative efficiency is not positive.
pub fn pareto_smooth(log_ratios: &[f64], relative_efficiency: f64) -> Result<ParetoSmoothed, WeightError> {
    if !(relative_efficiency > 0.0 && relative_efficiency.is_finite()) {
        return Err(WeightError::RelativeEfficiency(relative_efficiency));
    }
    if let Some(index) = log_ratios.iter().position(|ratio| ratio.is_nan() || *ratio == f64::INFINITY) {
        return Err(WeightError::NotANumber { index, value: log_ratios[index] });
    }
    let Some(largest) = log_ratios.iter().copied().reduce(f64::max) else { return Err(WeightError::Empty) };
    if largest == f64::NEG_INFINITY {
        return Err(WeightError::AllZero);
    }
    let mut log_weights: Vec<f64> = log_ratios.iter().map(|ratio| ratio - largest).collect();
    let khat = smooth_tail(&mut log_weights, relative_efficiency);
    let log_sum = log_weights.iter().map(|w| w.exp()).sum::<f64>().ln();
    log_weights.iter_mut().for_each(|w| *w -= log_sum);
    let log_mean = largest + log_sum - (log_ratios.len() as f64).ln();
    Ok(ParetoSmoothed { log_weights, log_mean, khat })
}

/// Replaces the tail of log weights whose largest is 0, and returns its shape.
fn smooth_tail(log_weights: &mut [f64], relative_efficiency: f64) -> Result<f64, NoKhat> {
    let draws = log_weights.len();
    let smallest = log_weights.iter().copied().fold(f64::INFINITY, f64::min);
    if smallest > -EQUAL {
        return Err(NoKhat::Equal);
    }
    let mut order: Vec<usize> = (0..draws).collect();
    order.sort_by(|i, j| log_weights[*i].total_cmp(&log_weights[*j]));
    let length = (draws as f64 / 5.0).min(3.0 * (draws as f64 / relative_efficiency).sqrt()).ceil() as usize;
    let below = draws.saturating_sub(length + 1);
    // What is smaller than the smallest positive number is as good as 0.
    let cutoff = log_weights[order[below]].max(f64::MIN_POSITIVE.ln());
    let above = order.partition_point(|&i| log_weights[i] <= cutoff);
    let tail = &order[above..];
    if tail.len() < LEAST_TAIL {
        return Err(NoKhat::ShortTail { weights: tail.len() });
    }
    let floor = cutoff.exp();
    let excess: Vec<f64> = tail.iter().map(|&i| log_weights[i].exp() - floor).collect();
    let fit = GeneralisedPareto::fit(&excess).ok_or(NoKhat::NoFit)?;
    for (rank, &i) in tail.iter().enumerate() {
        let probability = (rank as f64 + 0.5) / tail.len() as f64;
        log_weights[i] = (fit.quantile(probability) + floor).ln().min(0.0);
    }
    Ok(fit.shape)
}

/// The distribution with survival function (1 + k x / σ)^(−1/k), which the excesses of most distributions over a high level follow.
#[derive(Debug, Clone, Copy)]
struct GeneralisedPareto {
    /// k, toward ½ by the prior.
    shape: f64,
    /// σ.
    scale: f64,
}

impl GeneralisedPareto {
    /// Zhang & Stephens' (2009) estimate from ascending values: the posterior mean of θ = −k/σ over a grid, and k from it.
    fn fit(values: &[f64]) -> Option<Self> {
        /// The estimate's own prior of θ, and the weight of the prior at k = ½ (Vehtari et al. 2024, appendix).
        const PRIOR_OF_THETA: f64 = 3.0;
        const PRIOR_WEIGHT: f64 = 10.0;
        let count = values.len() as f64;
        let grid = 30 + values.len().isqrt();
        let quartile = values[((count / 4.0 + 0.5) as usize).max(1) - 1];
        let largest = values[values.len() - 1];
        let shape_at = |theta: f64| values.iter().map(|x| (-theta * x).ln_1p()).sum::<f64>() / count;
        let thetas: Vec<f64> = (1..=grid)
            .map(|j| 1.0 / largest + (1.0 - (grid as f64 / (j as f64 - 0.5)).sqrt()) / (PRIOR_OF_THETA * quartile))
            .collect();
        let profile: Vec<f64> = thetas
            .iter()
            .map(|&theta| {
                let shape = shape_at(theta);
                count * ((-theta / shape).ln() - shape - 1.0)
            })
            .collect();
        let highest = profile.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = profile.iter().map(|value| (value - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let theta = thetas.iter().zip(&weights).map(|(theta, weight)| theta * weight).sum::<f64>() / total;
        let shape = shape_at(theta);
        let scale = -shape / theta;
        let shape = (count * shape + 0.5 * PRIOR_WEIGHT) / (count + PRIOR_WEIGHT);
        (shape.is_finite() && scale.is_finite() && scale > 0.0).then_some(Self { shape, scale })
    }

    /// The value that a share `probability` lies below.
    fn quantile(self, probability: f64) -> f64 {
        let log_survival = (-probability).ln_1p();
        if self.shape.abs() < f64::EPSILON {
            -self.scale * log_survival
        } else {
            self.scale * (-self.shape * log_survival).exp_m1() / self.shape
        }
    }
}

#[cfg(test)]
#[path = "pareto_smoothing_tests.rs"]
mod tests;
