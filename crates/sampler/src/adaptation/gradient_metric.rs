//! Learn a metric from draws and gradients: the one whose normal fits the posterior's scores best (arXiv 2603.18845).
//!
//! Minimising the Fisher divergence between the posterior and a normal with diagonal variance gives σᵢ² = √(Var xᵢ / Var gᵢ), with g the
//! gradient of the log density. Gradients are there anyway, and ten draws suffice for a useful metric, also in thousands of dimensions.
//! Fewer numbers, one a block of coordinates, or a few more, the directions of a low-rank metric, come from the same draws.

use super::low_rank_metric::{LowRankEstimator, LowRankMetric};
use super::shrinkage::{prior_variance, shrink};
use super::welford::{Variance, pooled_variance};
use crate::settings::check;
use crate::{BuildContext, Metric, SettingsError, numbers};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Draws before the estimate replaces the initial metric.
const MIN_DRAWS: usize = 3;

/// What a metric learnt from draws and gradients has room for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientMetricShape {
    /// One variance a coordinate.
    #[default]
    Diagonal,
    /// One factor on the prior's variances a block of the layout, such as a layer's weights: σᵢ² = sᵢ² √(Σ Var xⱼ/sⱼ² / Σ sⱼ² Var gⱼ),
    /// with the prior's scales s and sums over the block. Few numbers, which few draws tell, and which units that may trade places share.
    Block,
    /// One variance a coordinate, and the directions in which the posterior is stretched beyond that.
    LowRank(LowRankMetric),
}

/// Settings of the gradient-based warm-up; defaults are those of nutpie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientBased {
    /// What is learnt; one variance a coordinate by default.
    pub metric: GradientMetricShape,
    /// Share of warm-up in which estimators change often, while the chain still looks for the posterior; 0.3.
    pub early_share: f64,
    /// Draws of a window in the early share; 10.
    pub early_window: usize,
    /// Draws of the first window afterwards; 80.
    pub first_window: usize,
    /// Factor by which windows grow; 1.5.
    pub growth: f64,
    /// Share of warm-up at its end in which the metric stands still and only the step size moves; 0.15.
    pub final_share: f64,
}

impl Default for GradientBased {
    fn default() -> Self {
        let metric = GradientMetricShape::Diagonal;
        Self { metric, early_share: 0.3, early_window: 10, first_window: 80, growth: 1.5, final_share: 0.15 }
    }
}

impl GradientBased {
    /// The defaults with one factor a block of the layout.
    #[must_use]
    pub fn by_block() -> Self {
        Self { metric: GradientMetricShape::Block, ..Self::default() }
    }

    /// The defaults with a metric that is diagonal but for a few directions.
    #[must_use]
    pub fn low_rank() -> Self {
        Self { metric: GradientMetricShape::LowRank(LowRankMetric::default()), ..Self::default() }
    }

    /// The first iteration after the early share of a warm-up.
    pub(super) fn early_end(&self, warmup: usize) -> usize {
        (self.early_share * warmup as f64) as usize
    }

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        if let GradientMetricShape::LowRank(settings) = &self.metric {
            settings.validate()?;
        }
        let share = |x: f64| (0.0..=1.0).contains(&x);
        check(share(self.early_share), "early_share", &self.early_share, "from 0 to 1")?;
        let both = self.early_share + self.final_share;
        check(share(self.final_share) && both <= 1.0, "final_share", &self.final_share, "from 0 to 1 − early_share")?;
        check(self.early_window >= MIN_DRAWS, "early_window", &self.early_window, "at least 3")?;
        check(self.first_window >= MIN_DRAWS, "first_window", &self.first_window, "at least 3")?;
        check(self.growth >= 1.0 && self.growth.is_finite(), "growth", &self.growth, "at least 1 and finite")
    }
}

/// The estimator of a [`GradientBased`] warm-up.
///
/// Of two estimators one is used and both learn; at the end of a window the younger one takes over and a new one begins, so that the
/// draws of a chain's way to the posterior are forgotten without ever starting from nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientMetric {
    early_end: usize,
    final_begin: usize,
    early_window: usize,
    window: usize,
    growth: f64,
    /// Draws that replace the metric at hand.
    min_draws: usize,
    #[serde(deserialize_with = "numbers::exact")]
    prior_variances: Vec<f64>,
    /// The variances of the coordinates, where the metric itself has more than these; empty otherwise.
    #[serde(deserialize_with = "numbers::exact")]
    variances: Vec<f64>,
    /// The blocks that have one scale each; empty where each coordinate has its own.
    blocks: Vec<Range<usize>>,
    low_rank: Option<LowRankEstimator>,
    used: ScoreVariances,
    next: ScoreVariances,
}

/// Variances of draws, and of the gradients there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScoreVariances {
    positions: Variance,
    gradients: Variance,
}

impl ScoreVariances {
    pub(crate) fn new(dim: usize) -> Self {
        Self { positions: Variance::new(dim), gradients: Variance::new(dim) }
    }

    pub(crate) fn count(&self) -> usize {
        self.positions.count()
    }

    pub(crate) fn push(&mut self, position: &[f64], gradient: &[f64]) {
        self.positions.push(position);
        self.gradients.push(gradient);
    }

    fn reset(&mut self) {
        self.positions.reset();
        self.gradients.reset();
    }

    /// Var xᵢ and Var gᵢ.
    fn of(&self, i: usize) -> [f64; 2] {
        [self.positions.variance(i), self.gradients.variance(i)]
    }

    /// The same of the draws of several chains, about their common mean.
    pub(crate) fn pooled<'a>(chains: impl Iterator<Item = &'a Self> + Clone, i: usize) -> [f64; 2] {
        let moved = pooled_variance(chains.clone().map(|chain| &chain.positions), i);
        [moved, pooled_variance(chains.map(|chain| &chain.gradients), i)]
    }
}

impl GradientMetric {
    /// Prepares for a chain's warm-up.
    #[must_use]
    pub fn new(settings: &GradientBased, context: &BuildContext<'_>) -> Self {
        let (dim, warmup) = (context.dim, context.warmup);
        let prior_variances: Vec<f64> = context.prior_scales.iter().map(|s| prior_variance(*s)).collect();
        let everything = || std::iter::once(0..dim).collect();
        let (blocks, low_rank) = match &settings.metric {
            GradientMetricShape::Diagonal => (Vec::new(), None),
            GradientMetricShape::Block if context.blocks.is_empty() => (everything(), None),
            GradientMetricShape::Block => (context.blocks.to_vec(), None),
            GradientMetricShape::LowRank(settings) => (Vec::new(), Some(LowRankEstimator::new(settings, dim))),
        };
        Self {
            early_end: settings.early_end(warmup),
            final_begin: warmup - (settings.final_share * warmup as f64) as usize,
            early_window: settings.early_window,
            window: settings.first_window,
            growth: settings.growth,
            min_draws: MIN_DRAWS,
            variances: if low_rank.is_some() { prior_variances.clone() } else { Vec::new() },
            prior_variances,
            blocks,
            low_rank,
            used: ScoreVariances::new(dim),
            next: ScoreVariances::new(dim),
        }
    }

    /// The same for a chain that has a good metric already, which stays until as many draws as fill the first window know better.
    #[must_use]
    pub(super) fn going_on(settings: &GradientBased, context: &BuildContext<'_>) -> Self {
        Self { early_end: 0, min_draws: settings.first_window, ..Self::new(settings, context) }
    }

    /// The first iteration after the early share.
    pub(crate) fn early_end(&self) -> usize {
        self.early_end
    }

    /// Sets the first metric from the gradient at the initial position: σᵢ² = sᵢ / |gᵢ| with the prior's scale s, within a factor of
    /// 10²⁰ of s²; where the gradient is zero, s². For a normal posterior, a typical gradient is the inverse of its scale; the prior's
    /// scale gives σ² the right unit. A block shares its root mean square of s g.
    pub fn start(&mut self, gradient: &[f64], metric: &mut Metric) {
        let variances = metric.diagonal_mut(&self.prior_variances);
        for ((v, g), prior) in variances.iter_mut().zip(gradient).zip(&self.prior_variances) {
            *v = shrink(prior.sqrt() / g.abs(), 1, *prior, 0.0).unwrap_or(*prior);
        }
        for block in &self.blocks {
            let squares: f64 = block.clone().map(|i| gradient[i] * gradient[i] * self.prior_variances[i]).sum();
            self.share(block, 1.0 / (squares / block.len() as f64).sqrt(), 1, variances);
        }
        if self.low_rank.is_some() {
            self.variances.copy_from_slice(variances);
        }
    }

    /// Learns from the state after warm-up iteration `iteration`, if the step was `informative`; whether the metric changed.
    pub fn update(
        &mut self,
        iteration: usize,
        position: &[f64],
        gradient: &[f64],
        informative: bool,
        metric: &mut Metric,
    ) -> bool {
        if !self.learn(iteration, position, gradient, informative) {
            return false;
        }
        let is_last = iteration + 1 == self.final_begin;
        let mut variances = std::mem::take(&mut self.variances);
        let changed = match &mut self.low_rank {
            None => {
                self.estimate(metric.diagonal_mut(&self.prior_variances));
                true
            }
            Some(low_rank) => {
                let is_due = low_rank.is_due() || is_last;
                self.estimate(&mut variances);
                self.stretch(is_due, &variances, metric)
            }
        };
        self.variances = variances;
        changed
    }

    /// Gives a low-rank metric what was learnt: its directions where that `is_due`. Between two estimates of them nothing moves, and
    /// before the first there are the coordinates' variances.
    fn stretch(&mut self, is_due: bool, variances: &[f64], metric: &mut Metric) -> bool {
        if let Some(low_rank) = self.low_rank.as_mut().filter(|_| is_due) {
            let scales: Vec<f64> = variances.iter().map(|v| v.sqrt()).collect();
            let (directions, eigenvalues) = low_rank.estimate(&scales, self.used.count());
            if let Ok(stretched) = Metric::low_rank(scales, directions, eigenvalues) {
                *metric = stretched;
                return true;
            }
        } else if metric.keeps_velocity() {
            return false;
        }
        metric.diagonal_mut(variances).copy_from_slice(variances);
        true
    }

    /// Learns as [`update`](Self::update), without a new estimate; whether one is due.
    pub(crate) fn learn(&mut self, iteration: usize, position: &[f64], gradient: &[f64], informative: bool) -> bool {
        if iteration >= self.final_begin {
            return false;
        }
        if informative {
            self.used.push(position, gradient);
            self.next.push(position, gradient);
            if let Some(low_rank) = &mut self.low_rank {
                low_rank.push(position, gradient);
            }
        }
        let early = iteration < self.early_end;
        let window = if early { self.early_window } else { self.window };
        // A new estimator must be able to fill its window before the metric stands still.
        if self.next.count() >= window && window <= self.final_begin - (iteration + 1) {
            std::mem::swap(&mut self.used, &mut self.next);
            self.next.reset();
            if !early {
                self.window = (self.window as f64 * self.growth) as usize;
            }
        }
        informative && self.has_estimate()
    }

    /// Writes the estimate to the diagonal of M⁻¹, which holds the one before it.
    fn estimate(&self, variances: &mut [f64]) {
        let count = self.used.count();
        for block in &self.blocks {
            let [moved, pulled] = block_sums(block, &self.prior_variances, |i| self.used.of(i));
            self.share(block, if pulled == 0.0 { 1.0 } else { (moved / pulled).sqrt() }, count, variances);
        }
        if !self.blocks.is_empty() {
            return;
        }
        for (i, v) in variances.iter_mut().enumerate() {
            let [moved, pulled] = self.used.of(i);
            *v = scale(moved, pulled, count, self.prior_variances[i], *v);
        }
    }

    /// Gives a block's coordinates one factor on their prior variances, where it says anything.
    fn share(&self, block: &Range<usize>, factor: f64, count: usize, variances: &mut [f64]) {
        let (variances, priors) = (&mut variances[block.clone()], &self.prior_variances[block.clone()]);
        for (v, prior) in variances.iter_mut().zip(priors) {
            if let Some(shrunk) = shrink(factor * prior, count, *prior, 0.0) {
                *v = shrunk;
            }
        }
    }

    /// The estimate of coordinate `i` from the draws of several chains, where it was `old`: the variances are those of all draws about
    /// their common mean.
    ///
    /// # Panics
    /// When there is no chain.
    pub(crate) fn pooled<'a>(mut chains: impl Iterator<Item = &'a Self> + Clone, i: usize, old: f64) -> f64 {
        let count = chains.clone().map(|chain| chain.used.count()).sum();
        let [moved, pulled] = ScoreVariances::pooled(chains.clone().map(|chain| &chain.used), i);
        let first = chains.next().expect("chains that meet are one or more");
        scale(moved, pulled, count, first.prior_variances[i], old)
    }

    /// The prior's variances.
    pub(crate) fn prior_variances(&self) -> &[f64] {
        &self.prior_variances
    }

    /// Whether there are enough draws for an estimate.
    pub(crate) fn has_estimate(&self) -> bool {
        self.used.count() >= self.min_draws
    }
}

/// Σ Var xᵢ/sᵢ² and Σ sᵢ² Var gᵢ over a block, with the prior's variances sᵢ² and `variances` of a coordinate and its gradient.
pub(crate) fn block_sums(block: &Range<usize>, prior_variances: &[f64], variances: impl Fn(usize) -> [f64; 2]) -> [f64; 2] {
    let [mut moved, mut pulled] = [0.0; 2];
    for i in block.clone() {
        let [of_position, of_gradient] = variances(i);
        moved += of_position / prior_variances[i];
        pulled += of_gradient * prior_variances[i];
    }
    [moved, pulled]
}

/// σᵢ² = √(Var xᵢ / Var gᵢ) from the variances of `count` draws. A coordinate whose gradient never changes (the weights of a unit that is
/// always off, without a prior) says nothing of its scale, and has its prior's; one that never moved keeps `old`, what it has.
fn scale(moved: f64, pulled: f64, count: usize, prior: f64, old: f64) -> f64 {
    if pulled == 0.0 { prior } else { shrink((moved / pulled).sqrt(), count, prior, 0.0).unwrap_or(old) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    fn context(warmup: usize, prior_scales: &[f64]) -> BuildContext<'_> {
        BuildContext { dim: prior_scales.len(), warmup, prior_scales, blocks: &[] }
    }

    /// Feeds `draws` exact draws of independent normals with the given scales; the last coordinate has no gradient at all.
    fn learn(scales: &[f64], prior_scales: &[f64], draws: usize) -> Vec<f64> {
        let mut estimator = GradientMetric::new(&GradientBased::default(), &context(1000, prior_scales));
        let mut metric = Metric::unit();
        let mut rng = stream(4, 0, Purpose::Test);
        for iteration in 0..draws {
            let mut x: Vec<f64> = scales.iter().map(|s| s * rng.sample::<f64, _>(StandardNormal)).collect();
            let mut g: Vec<f64> = x.iter().zip(scales).map(|(x, s)| -x / (s * s)).collect();
            x.push(rng.sample(StandardNormal));
            g.push(0.0);
            estimator.update(iteration, &x, &g, true, &mut metric);
        }
        metric.inverse_mass_diagonal().unwrap()
    }

    #[test]
    fn exact_scales_are_learnt_from_a_handful_of_draws() {
        // For an independent normal Var g = Var x / σ⁴, so the estimate is exact with any draws, but for shrinkage.
        let scales = [1e-3, 0.1, 1.0, 30.0];
        let variances = learn(&scales, &[1.0; 5], 900);
        for (v, s) in variances.iter().zip(&scales) {
            assert!((v / (s * s)).ln().abs() < 0.3, "{v} for {}", s * s);
        }
    }

    #[test]
    fn a_coordinate_without_gradient_has_its_prior_scale() {
        let variances = learn(&[1.0], &[1.0, 0.2], 300);
        assert!((variances[1] - 0.04).abs() < 1e-15, "{variances:?}");
    }

    #[test]
    fn a_block_shares_one_factor_on_its_priors() {
        let scales = [1e-3, 0.1, 2.0, 30.0];
        let (priors, blocks) = ([1.0, 1.0, 0.5, 0.5], [0..2, 2..4]);
        let context = BuildContext { blocks: &blocks, ..context(1000, &priors) };
        let mut estimator = GradientMetric::new(&GradientBased::by_block(), &context);
        let mut metric = Metric::unit();
        estimator.start(&[3.0, 4.0, 0.0, 0.0], &mut metric);
        let first = metric.inverse_mass_diagonal().unwrap();
        assert!((first[0] - 1.0 / 12.5_f64.sqrt()).abs() < 1e-12 && first[0] == first[1]);
        assert_eq!(first[2..], [0.25, 0.25]);
        let draws: Vec<[f64; 4]> = (0..20).map(|i| scales.map(|s| s * f64::from(i * i % 11))).collect();
        for (iteration, x) in draws.iter().enumerate().take(6) {
            let mut gradient = *x;
            gradient.iter_mut().zip(&scales).for_each(|(g, s)| *g /= -s * s);
            estimator.update(iteration, x, &gradient, true, &mut metric);
        }
        // All variances of x are σ² times one number, and those of gradients σ⁻² times it.
        let variances = metric.inverse_mass_diagonal().unwrap();
        for i in 0..4 {
            let block = if i < 2 { &scales[..2] } else { &scales[2..] };
            let [moved, pulled] = [2, -2].map(|power| block.iter().map(|s| s.powi(power)).sum::<f64>());
            assert!((variances[i] / (moved / pulled).sqrt() - 1.0).abs() < 1e-9, "{variances:?}");
        }
    }

    #[test]
    fn four_draws_give_the_exact_scale_of_a_normal() {
        // Shrinking toward the prior's scale, the broken twin, leaves 10⁻⁴ here.
        let few = learn(&[1e-3], &[1.0, 1.0], 4)[0];
        assert!((few / 1e-6 - 1.0).abs() < 1e-9, "{few}");
    }

    #[test]
    fn the_first_metric_is_usable_for_any_gradient() {
        let mut estimator = GradientMetric::new(&GradientBased::default(), &context(100, &[1.0, 0.5, 1.0, 1.0, 1.0]));
        let mut metric = Metric::unit();
        estimator.start(&[4.0, 0.0, 1e300, -1e-300, f64::NAN], &mut metric);
        let variances = metric.inverse_mass_diagonal().unwrap();
        assert!((variances[0] - 0.25).abs() < 1e-12 && variances[1] == 0.25 && variances[4] == 1.0);
        assert!((variances[2] / 1e-20 - 1.0).abs() < 1e-9 && (variances[3] / 1e20 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_metric_stands_still_at_the_end_and_ignores_steps_that_stayed() {
        let mut estimator = GradientMetric::new(&GradientBased::default(), &context(100, &[1.0]));
        let mut metric = Metric::unit();
        for iteration in 0..100 {
            let x = f64::from(iteration as u8);
            let changed = estimator.update(iteration, &[x], &[-x * x], iteration % 2 == 0, &mut metric);
            assert_eq!(changed, iteration < 85 && iteration % 2 == 0 && iteration >= 4, "iteration {iteration}");
        }
    }

    #[test]
    fn old_draws_are_forgotten() {
        // Draws far from the posterior in the first tenth must not be seen in the metric at the end.
        let mut estimator = GradientMetric::new(&GradientBased::default(), &context(1000, &[1.0]));
        let mut metric = Metric::unit();
        let mut rng = stream(8, 0, Purpose::Test);
        for iteration in 0..1000 {
            let scale = if iteration < 100 { 1e3 } else { 1.0 };
            let x: f64 = scale * rng.sample::<f64, _>(StandardNormal);
            estimator.update(iteration, &[x], &[-x / scale.powi(2)], true, &mut metric);
        }
        let variance = metric.inverse_mass_diagonal().unwrap()[0];
        assert!((variance - 1.0).abs() < 1e-6, "{variance}");
    }
}
