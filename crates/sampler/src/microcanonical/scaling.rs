//! Learn the coordinates that microcanonical dynamics move in: one scale a coordinate or a block, from draws and gradients.
//!
//! The scales are those of [`GradientBased`](crate::GradientBased) metrics, σᵢ² = √(Var xᵢ / Var gᵢ) with g the gradient of the log
//! density, or one factor on the prior's scales for a whole block; from the draws of all chains, and in such a unit that the posterior's
//! variances σᵢ⁻² Var xᵢ are 1 in the mean. A length of √D is then that of a typical draw from the mean, as it is in units of the prior's
//! scales for weights that data hardly tell.

use super::kernel::MicrocanonicalKernel;
use crate::adaptation::{ScoreVariances, block_sums, prior_variance, shrink};
use crate::settings::check;
use crate::{BuildContext, SettingsError};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The coordinates in which microcanonical dynamics move at the same speed in all directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// In units of the prior's scales: what networks do well with, and nothing to learn.
    #[default]
    Prior,
    /// One factor on the prior's scales for each block of the layout, such as a layer's weights, learnt halfway through warm-up: for
    /// networks whose layers differ.
    ByBlock,
    /// A scale for each coordinate, learnt halfway through warm-up: for densities whose coordinates differ and whose prior does not say so.
    ByCoordinate,
}

/// Fewest draws of a chain that scales are learnt from.
const MIN_DRAWS: usize = 10;

/// What one chain learns of the scales.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScaleEstimator {
    /// Warm-up iterations whose draws count; the last of them is followed by the meeting that sets the scales.
    window: Range<usize>,
    prior_variances: Vec<f64>,
    blocks: Vec<Range<usize>>,
    draws: ScoreVariances,
}

impl ScaleEstimator {
    /// An estimator of `scaling` in the second half of the first `iterations` of warm-up; none where nothing is to be learnt, or from
    /// too few draws.
    pub(crate) fn new(scaling: Scaling, iterations: usize, context: &BuildContext<'_>) -> Option<Self> {
        if iterations < 2 * MIN_DRAWS {
            return None;
        }
        let blocks = match scaling {
            Scaling::Prior => return None,
            Scaling::ByBlock if context.blocks.is_empty() => std::iter::once(0..context.dim).collect(),
            Scaling::ByBlock => context.blocks.to_vec(),
            Scaling::ByCoordinate => (0..context.dim).map(|i| i..i + 1).collect(),
        };
        let prior_variances = context.prior_scales.iter().map(|s| prior_variance(*s)).collect();
        Some(Self { window: iterations / 2..iterations, prior_variances, blocks, draws: ScoreVariances::new(context.dim) })
    }

    /// When the scales are set: after this many iterations.
    pub(crate) fn end(&self) -> usize {
        self.window.end
    }

    /// Learns from the state after warm-up iteration `iteration`.
    pub(crate) fn learn(&mut self, iteration: usize, position: &[f64], gradient: &[f64]) {
        if self.window.contains(&iteration) {
            self.draws.push(position, gradient);
        }
    }

    /// The scales that the draws of all chains tell; none where they are too few or say nothing.
    fn pooled(chains: &[Self]) -> Option<Vec<f64>> {
        let first = chains.first()?;
        let count: usize = chains.iter().map(|chain| chain.draws.count()).sum();
        let mut scales: Vec<f64> = first.prior_variances.iter().map(|v| v.sqrt()).collect();
        // Σ Var xᵢ/σᵢ², to set the unit.
        let mut total = 0.0;
        for block in &first.blocks {
            let of = |i: usize| ScoreVariances::pooled(chains.iter().map(|chain| &chain.draws), i);
            let [moved, pulled] = block_sums(block, &first.prior_variances, of);
            let squared = shrink((moved / pulled).sqrt(), count, 1.0, 0.0).unwrap_or(1.0);
            total += moved / squared;
            scales[block.clone()].iter_mut().for_each(|s| *s *= squared.sqrt());
        }
        let unit = (total / scales.len() as f64).sqrt();
        scales.iter_mut().for_each(|s| *s *= unit);
        scales.iter().all(|s| *s > 0.0 && s.is_finite()).then_some(scales)
    }
}

/// Gives every kernel the scales that all chains together have learnt; the estimators have done their work.
pub(crate) fn share_scales<'a, K: MicrocanonicalKernel + 'a>(
    members: impl Iterator<Item = (&'a mut K, Option<ScaleEstimator>)>,
) {
    let (kernels, estimators): (Vec<_>, Vec<_>) = members.unzip();
    let Some(estimators) = estimators.into_iter().collect::<Option<Vec<_>>>() else { return };
    let Some(scales) = ScaleEstimator::pooled(&estimators) else { return };
    for kernel in kernels {
        kernel.dynamics_mut().set_scales(&scales);
    }
}

/// An error where scales are to be learnt and the step size, whose unit they are, is fixed.
pub(crate) fn check_scaling(scaling: Scaling, fixed_step_size: Option<f64>) -> Result<(), SettingsError> {
    let allowed = "prior where the step size is fixed";
    check(scaling == Scaling::Prior || fixed_step_size.is_none(), "scaling", &format_args!("{scaling:?}"), allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    const SDS: [f64; 4] = [1e-3, 0.1, 2.0, 30.0];
    const PRIORS: [f64; 4] = [1.0, 1.0, 0.5, 0.5];

    /// What `chains` chains learn from 30 exact draws each of independent normals, chain by chain about other means.
    fn estimators(scaling: Scaling, chains: u64) -> Vec<ScaleEstimator> {
        let context = BuildContext { dim: 4, warmup: 100, prior_scales: &PRIORS, blocks: &[0..2, 2..4] };
        let chain = |number: u64| {
            let mut estimator = ScaleEstimator::new(scaling, 60, &context).unwrap();
            let mut rng = stream(number, 0, Purpose::Test);
            for iteration in 0..100 {
                // Draws before and after the window are from elsewhere, and must not count.
                let far = if (30..60).contains(&iteration) { 1.0 } else { 1e6 };
                let x = SDS.map(|sd| far * sd * rng.sample::<f64, _>(StandardNormal));
                let gradient = [0, 1, 2, 3].map(|i| -x[i] / (SDS[i] * SDS[i]));
                estimator.learn(iteration, &x, &gradient);
            }
            estimator
        };
        (0..chains).map(chain).collect()
    }

    fn pooled(scaling: Scaling) -> Vec<f64> {
        let chains = estimators(scaling, 4);
        ScaleEstimator::pooled(&chains).unwrap()
    }

    /// Variances of 120 draws are known to 13 %, and their mean over the coordinates, which sets the unit, to 7 %.
    #[test]
    fn independent_normals_have_their_standard_deviations_as_scales() {
        let scales = pooled(Scaling::ByCoordinate);
        // √(Var x / Var g) is exact for a normal, so the ratios are.
        for (found, sd) in scales.iter().zip(SDS) {
            assert!((found / sd / (scales[0] / SDS[0]) - 1.0).abs() < 1e-9, "{scales:?}");
            assert!((found / sd - 1.0).abs() < 0.35, "{scales:?}");
        }
    }

    #[test]
    fn a_block_shares_one_factor_on_its_prior_scales() {
        let scales = pooled(Scaling::ByBlock);
        assert!(scales[0] == scales[1] && scales[2] == scales[3], "{scales:?}");
        // One factor for all has the ratio of the priors, 2.
        assert!(scales[0] < 0.1 * scales[2], "{scales:?}");
    }

    #[test]
    fn few_draws_or_a_gradient_that_never_changes_leave_the_prior_scales() {
        let context = BuildContext { dim: 2, warmup: 30, prior_scales: &[1.0, f64::NAN], blocks: &[] };
        assert!(ScaleEstimator::new(Scaling::ByCoordinate, 15, &context).is_none());
        assert!(ScaleEstimator::new(Scaling::Prior, 1000, &context).is_none());
        let mut estimator = ScaleEstimator::new(Scaling::ByBlock, 20, &context).unwrap();
        (0..20).for_each(|iteration| estimator.learn(iteration, &[1.0, f64::from(iteration as u8)], &[0.0, 0.0]));
        let scales = ScaleEstimator::pooled(&[estimator]).unwrap();
        assert!(scales[0] == scales[1] && scales[0].is_finite(), "{scales:?}");
    }

    #[test]
    fn a_fixed_step_size_goes_with_the_prior_scales_alone() {
        assert!(check_scaling(Scaling::ByBlock, None).is_ok() && check_scaling(Scaling::Prior, Some(0.1)).is_ok());
        let error = check_scaling(Scaling::ByCoordinate, Some(0.1)).unwrap_err();
        assert_eq!((error.setting, error.value.as_str()), ("scaling", "ByCoordinate"));
    }
}
