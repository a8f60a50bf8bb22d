//! Hold predictions of every draw at every point, the space in which networks are identified.

use crate::{Origin, Temperatures};

/// What a model predicts at one point under one draw.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PredictionKind {
    /// Real targets and counts: a mean and a noise standard deviation per output, both in the target's own unit.
    Regression,
    /// Class labels: a probability per class. Two classes also for a binary likelihood.
    Classification,
}

/// Predictions of every draw at every point.
///
/// `values` is indexed `[draw][point][output]`, with the draws of all chains one after the other. For regression `values` is the
/// mean of the likelihood and `noise_sd` its standard deviation, both in the target's own unit; for classification `values` is the
/// probability of each class and `noise_sd` is empty.
///
/// ```
/// use ergodic_draws::{Origin, PredictionKind, Predictions, Temperatures};
/// let predictions = Predictions {
///     origin: Origin::Mcmc,
///     temperatures: Temperatures::POSTERIOR,
///     energy_variance: None,
///     kind: PredictionKind::Classification,
///     target_name: "label".into(),
///     chain_lengths: vec![1, 1],
///     num_points: 1,
///     num_outputs: 2,
///     values: vec![0.25, 0.75, 0.5, 0.5],
///     noise_sd: vec![],
///     simulated: vec![],
///     log_likelihood: vec![],
///     observed: vec![],
/// };
/// assert_eq!(predictions.series(0, 1), [vec![0.75], vec![0.5]]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Where the draws come from.
    pub origin: Origin,
    /// Temperatures of the density the draws come from; (1, 1) is the posterior itself.
    pub temperatures: Temperatures,
    /// The [largest energy variance per dimension](crate::RunReport::largest_energy_variance) of the chains that made the draws, where
    /// they report one.
    pub energy_variance: Option<f64>,
    /// Regression or classification.
    pub kind: PredictionKind,
    /// Name of the target, for labels; with its unit if it has one.
    pub target_name: String,
    /// Draws of each chain.
    pub chain_lengths: Vec<usize>,
    /// Number of points.
    pub num_points: usize,
    /// Number of outputs per point: targets of a regression, classes of a classification.
    pub num_outputs: usize,
    /// Likelihood's mean or class probability, `[draw][point][output]`.
    pub values: Vec<f64>,
    /// Likelihood's standard deviation, `[draw][point][output]`, infinite where it has none; empty for classification.
    pub noise_sd: Vec<f64>,
    /// Simulated observations, `[simulation][point][output]`, several per draw where draws are few; empty for classification.
    pub simulated: Vec<f64>,
    /// Log density (in the target's unit) or, of counts and classes, log probability of the observed targets, `[draw][point]`, that of all
    /// outputs of a point together; empty without targets.
    pub log_likelihood: Vec<f64>,
    /// Observed targets, `[point][output]` for regression, `[point]` with the class number for classification; empty without targets.
    pub observed: Vec<f64>,
}

impl Predictions {
    /// What tables and plots write beside these predictions, as beside [the draws](crate::RunReport::caveat) they come from; `None` when
    /// these follow the posterior itself.
    #[must_use]
    pub fn caveat(&self) -> Option<String> {
        crate::report::caveat(self.origin, self.temperatures, self.energy_variance)
    }

    /// Number of draws of all chains.
    #[must_use]
    pub fn num_draws(&self) -> usize {
        self.chain_lengths.iter().sum()
    }

    /// Number of simulated observations per point and output.
    #[must_use]
    pub fn num_simulated(&self) -> usize {
        self.simulated.len().checked_div(self.num_points * self.num_outputs).unwrap_or(0)
    }

    /// The likelihood's mean or class probability of one draw at one point.
    ///
    /// # Panics
    /// When there is no such draw, point or output.
    #[must_use]
    pub fn value(&self, draw: usize, point: usize, output: usize) -> f64 {
        assert!(point < self.num_points && output < self.num_outputs, "no output {output} at point {point}");
        self.values[(draw * self.num_points + point) * self.num_outputs + output]
    }

    /// The predictions of one output of a regression alone, under the name of its target.
    ///
    /// Without the log likelihood, which is that of all outputs together.
    ///
    /// # Panics
    /// When there is no such output.
    #[must_use]
    pub fn of_output(&self, output: usize, target_name: impl Into<String>) -> Self {
        assert!(output < self.num_outputs, "output {output} of {}", self.num_outputs);
        let pick = |values: &[f64]| values.iter().skip(output).step_by(self.num_outputs).copied().collect();
        let regression = self.kind == PredictionKind::Regression;
        Self {
            target_name: target_name.into(),
            num_outputs: 1,
            values: pick(&self.values),
            noise_sd: pick(&self.noise_sd),
            simulated: pick(&self.simulated),
            observed: if regression { pick(&self.observed) } else { self.observed.clone() },
            log_likelihood: Vec::new(),
            ..self.clone()
        }
    }

    /// One output at one point over the draws, one series a chain: what function-space R-hat and ESS are computed from.
    ///
    /// # Panics
    /// When there is no such point or output.
    #[must_use]
    pub fn series(&self, point: usize, output: usize) -> Vec<Vec<f64>> {
        let mut start = 0;
        let mut chains = Vec::with_capacity(self.chain_lengths.len());
        for &length in &self.chain_lengths {
            chains.push((start..start + length).map(|draw| self.value(draw, point, output)).collect());
            start += length;
        }
        chains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        let (num_points, num_outputs) = (2, 3);
        Predictions {
            origin: Origin::Mcmc,
            temperatures: Temperatures::POSTERIOR,
            energy_variance: None,
            kind: PredictionKind::Regression,
            target_name: "y".into(),
            chain_lengths: vec![2, 0, 1],
            num_points,
            num_outputs,
            values: (0..18).map(f64::from).collect(),
            noise_sd: vec![1.0; 18],
            simulated: vec![0.0; 30],
            log_likelihood: vec![],
            observed: vec![],
        }
    }

    #[test]
    fn the_caveat_is_that_of_the_draws() {
        let mut report = crate::RunReport::new("mclmc", 1);
        let tuned = [("energy_variance_per_dimension".to_owned(), 0.02)].into();
        report.chains.push(crate::ChainReport {
            warmup_gradients: 1,
            sampling_gradients: 1,
            warmup_seconds: 0.0,
            sampling_seconds: 0.0,
            tuned,
            outcome: crate::Outcome::Completed,
        });
        let biased =
            Predictions { origin: Origin::BiasedMcmc, energy_variance: report.largest_energy_variance(), ..predictions() };
        assert_eq!(biased.caveat(), report.caveat(Origin::BiasedMcmc));
        assert!(biased.of_output(1, "z").caveat().unwrap().contains("2.0e-2"));
        assert_eq!(Predictions { energy_variance: Some(0.02), ..predictions() }.caveat(), None);
    }

    #[test]
    fn series_follow_chains_of_different_length() {
        let predictions = predictions();
        assert_eq!(predictions.num_draws(), 3);
        assert_eq!(predictions.num_simulated(), 5);
        assert_eq!(predictions.value(2, 1, 0), 15.0);
        assert_eq!(predictions.series(1, 2), [vec![5.0, 11.0], vec![], vec![17.0]]);
        let last = predictions.of_output(2, "z");
        assert_eq!((last.num_outputs, last.num_simulated(), last.target_name.as_str()), (1, 5, "z"));
        assert_eq!(last.series(1, 0), predictions.series(1, 2));
    }
}
