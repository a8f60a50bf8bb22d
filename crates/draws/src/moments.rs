//! Accumulate the mean and the variance of every coordinate while draws pass, without keeping them.

use crate::per_chain::{Lent, PerChain};
use crate::{ChainSink, DrawRef, Layout, Phase, RunReport, Schema, Sink, SinkError};
use std::sync::Arc;

/// A sink that keeps, of each chain, the mean and the variance of every coordinate, on the scale people read.
///
/// It needs two numbers a coordinate and chain, whatever the number of draws, and no draw allocates. The recurrence is Welford's
/// (Technometrics 4, 1962), which loses no digits where the mean is large beside the standard deviation. A coordinate that is not
/// finite in one draw has a mean and variance that are not finite.
///
/// ```
/// use ergodic_draws::{ChainSink, DrawRef, Layout, Moments, Origin, Phase, RunReport, Schema, Sink};
/// let moments = Moments::new();
/// moments.begin(&Schema {
///     layout: Layout::flat(1).into(),
///     columns: vec![],
///     origin: Origin::Mcmc,
///     chains: 1,
///     warmup: 0,
///     draws: 3,
///     report: RunReport::new("nuts", 1),
/// })?;
/// let mut chain = moments.open_chain(0)?;
/// for (index, x) in [1.0, 2.0, 6.0].into_iter().enumerate() {
///     chain.record(&DrawRef { phase: Phase::Sampling, index, position: &[x], statistics: &[] })?;
/// }
/// drop(chain);
/// let chains = moments.into_chains();
/// assert_eq!((chains[0].mean()[0], chains[0].variance(0)), (3.0, Some(7.0)));
/// # Ok::<(), ergodic_draws::SinkError>(())
/// ```
#[derive(Debug, Default)]
pub struct Moments {
    chains: PerChain<ChainMoments>,
}

impl Moments {
    /// A sink without draws.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The moments of each chain, in order; none without a run.
    #[must_use]
    pub fn into_chains(self) -> Vec<ChainMoments> {
        self.chains.into_run().map_or_else(Vec::new, |(_, chains)| chains)
    }
}

/// Count, mean and variance of every coordinate over the draws of a chain, or of several.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainMoments {
    draws: u64,
    mean: Vec<f64>,
    /// Sum of squared distances from the mean.
    squares: Vec<f64>,
}

impl ChainMoments {
    /// The moments of no draws.
    fn try_new(dim: usize) -> Option<Self> {
        let zeros = || {
            let mut values = Vec::new();
            values.try_reserve_exact(dim).ok()?;
            values.resize(dim, 0.0);
            Some(values)
        };
        Some(Self { draws: 0, mean: zeros()?, squares: zeros()? })
    }

    /// Number of draws.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// The mean of every coordinate; zeros without draws.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The unbiased variance `Σ(x − mean)² / (n − 1)` of one coordinate; `None` below two draws.
    ///
    /// # Panics
    /// When there is no such coordinate.
    #[must_use]
    pub fn variance(&self, coordinate: usize) -> Option<f64> {
        let squares = self.squares[coordinate];
        (self.draws >= 2).then(|| squares / (self.draws - 1) as f64)
    }

    /// The moments of the draws of both, as if they had been one chain (Chan, Golub and LeVeque, 1979).
    ///
    /// # Panics
    /// When the two have different numbers of coordinates.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        assert_eq!(self.mean.len(), other.mean.len(), "moments of the same coordinates");
        let total = self.draws + other.draws;
        if other.draws == 0 {
            return self;
        }
        let share = other.draws as f64 / total as f64;
        let ours = self.draws as f64;
        let theirs = other.mean.iter().zip(&other.squares);
        for ((mean, squares), (other_mean, other_squares)) in self.mean.iter_mut().zip(&mut self.squares).zip(theirs) {
            let distance = other_mean - *mean;
            *mean += distance * share;
            *squares += other_squares + distance * distance * ours * share;
        }
        self.draws = total;
        self
    }

    fn push(&mut self, layout: &Layout, position: &[f64]) {
        self.draws += 1;
        let weight = 1.0 / self.draws as f64;
        for block in layout.blocks() {
            let range = block.range();
            let moments = self.mean[range.clone()].iter_mut().zip(&mut self.squares[range.clone()]);
            for (index, ((mean, squares), &x)) in moments.zip(&position[range]).enumerate() {
                let value = block.transform_of(index).constrain(x);
                let distance = value - *mean;
                *mean += distance * weight;
                *squares += distance * (value - *mean);
            }
        }
    }
}

impl Sink for Moments {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        let dim = schema.layout.dim();
        let chains: Option<Vec<_>> = (0..schema.chains).map(|_| ChainMoments::try_new(dim)).collect();
        let bytes = schema.chains as u128 * 2 * dim as u128 * size_of::<f64>() as u128;
        let chains = chains.ok_or(SinkError::TooLarge { bytes, chains: schema.chains, draws: schema.draws, dim })?;
        self.chains.begin(schema, chains);
        Ok(())
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        let layout = self.chains.layout()?;
        Ok(Box::new(MomentsChain { layout, moments: self.chains.lend(chain)? }))
    }

    fn finish(&self, _report: &RunReport) -> Result<(), SinkError> {
        Ok(())
    }
}

struct MomentsChain<'a> {
    layout: Arc<Layout>,
    moments: Lent<'a, ChainMoments>,
}

impl ChainSink for MomentsChain<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        if draw.phase == Phase::Sampling {
            self.moments.push(&self.layout, draw.position);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Origin, Transform};
    use proptest::prelude::*;

    /// The moments of each chain of `chains`, whose draws are values of one coordinate.
    fn moments_of(transform: Transform, chains: &[Vec<f64>]) -> Vec<ChainMoments> {
        let layout = Layout::new(vec![Block::new("other", &[]), Block::new("x", &[1]).with_transform(transform)]).unwrap();
        let sink = Moments::new();
        let schema = Schema {
            layout: layout.into(),
            columns: vec![],
            origin: Origin::Mcmc,
            chains: chains.len(),
            warmup: 1,
            draws: 0,
            report: RunReport::new("test", 1),
        };
        sink.begin(&schema).unwrap();
        for (number, values) in chains.iter().enumerate() {
            let mut chain = sink.open_chain(number).unwrap();
            chain.record(&DrawRef { phase: Phase::Warmup, index: 0, position: &[1e9, 1e9], statistics: &[] }).unwrap();
            for (index, &x) in values.iter().enumerate() {
                chain.record(&DrawRef { phase: Phase::Sampling, index, position: &[0.0, x], statistics: &[] }).unwrap();
            }
            chain.finish().unwrap();
        }
        sink.finish(&schema.report).unwrap();
        sink.into_chains()
    }

    fn two_pass(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0))
    }

    #[test]
    fn digits_survive_a_large_mean() {
        // The textbook E[x²] − E[x]² gives 0 or a negative variance here.
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        let variance = moments_of(Transform::Identity, std::slice::from_ref(&values))[0].variance(1).unwrap();
        assert!((variance - 0.25 * 1000.0 / 999.0).abs() < 1e-9, "{variance}");
    }

    #[test]
    fn moments_are_of_constrained_values() {
        let moments = &moments_of(Transform::EXP, &[vec![0.0, 3f64.ln()]])[0];
        assert!((moments.mean()[1] - 2.0).abs() < 1e-15 && (moments.variance(1).unwrap() - 2.0).abs() < 1e-14);
        assert_eq!(moments.mean()[0], 0.0);
    }

    #[test]
    fn few_draws_have_no_variance() {
        let moments = moments_of(Transform::Identity, &[vec![], vec![4.0]]);
        assert_eq!((moments[0].draws(), moments[0].variance(1)), (0, None));
        assert_eq!((moments[1].draws(), moments[1].mean()[1], moments[1].variance(1)), (1, 4.0, None));
        assert!(Moments::new().into_chains().is_empty());
    }

    proptest! {
        #[test]
        fn streamed_and_merged_moments_equal_the_two_pass_formula(
            first in prop::collection::vec(-1e3..1e3, 0..40),
            second in prop::collection::vec(-1e3..1e3, 2..40),
        ) {
            let moments = moments_of(Transform::Identity, &[first.clone(), second.clone()]);
            let (mean, variance) = two_pass(&second);
            prop_assert!((moments[1].mean()[1] - mean).abs() < 1e-9);
            prop_assert!((moments[1].variance(1).unwrap() - variance).abs() < 1e-6);
            let (mean, variance) = two_pass(&[first, second].concat());
            for merged in [moments[0].clone().merge(&moments[1]), moments[1].clone().merge(&moments[0])] {
                prop_assert!((merged.mean()[1] - mean).abs() < 1e-9);
                prop_assert!((merged.variance(1).unwrap() - variance).abs() < 1e-6);
            }
        }
    }
}
