//! Tune a Hamiltonian kernel: dual averaging of the step size beside one of the ways to learn a metric.

use super::dual_averaging::DualAveraging;
use super::gradient_metric::{GradientBased, GradientMetric};
use super::step_size_search::find_step_size;
use super::windowed_metric::{Windowed, WindowedMetric};
use crate::settings::positive;
use crate::{Adaptation, BuildContext, ChainError, ChainState, HamiltonianKernel, Info, Metric, SettingsError};
use ergodic_model::{ChainRng, LogDensity};
use serde::{Deserialize, Serialize};

/// Where the search begins for a metric near the posterior's scales; nutpie's.
pub(crate) const FIRST_STEP_SIZE: f64 = 0.1;

/// How step size and metric are found during warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    /// A diagonal metric from draws and gradients; the default, for it needs fewest draws.
    GradientBased(GradientBased),
    /// Stan's windows, with a unit, diagonal or dense metric from draws alone.
    Windowed(Windowed),
    /// A metric that is known, such as one kept from an earlier run.
    Given(Box<GivenMetric>),
    /// Nothing moves: a unit metric and the given step size.
    Fixed {
        /// The step size ε.
        step_size: f64,
    },
}

/// A metric to begin with, and what may still move.
///
/// Warm-up then has only the step size to find and the posterior to reach: half of it, or less, will do.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Metric, Nuts, Run, Sampler, Warmup, sample};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -100.0 * x[1]]);
///     -0.5 * (x[0] * x[0] + 100.0 * x[1] * x[1])
/// });
/// # let place = tempfile::tempdir()?;
/// # let file = place.path().join("metric.json");
/// let (draws, checkpoint) = Sampler::new(&normal, Nuts::default(), Run::default()).run_with_checkpoint()?;
/// checkpoint.metric::<Nuts>()?.save(&file)?;
/// // Another day:
/// let nuts = Nuts { adaptation: Warmup::given(Metric::load(&file)?), ..Nuts::default() };
/// let more = sample(&normal, &nuts, &Run { warmup: 100, seed: 2, ..Run::default() })?;
/// # assert!(more.report.warnings.is_empty() && draws.num_draws() == more.num_draws());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenMetric {
    /// The metric; it must fit the number of coordinates.
    pub metric: Metric,
    /// The step size that tuning begins with; searched from one step when it is not given, the default.
    #[serde(default)]
    pub step_size: Option<f64>,
    /// How the metric is learnt further; it stays as it is when nothing is said, the default. The given one stays until as many draws as
    /// fill the first window say more, and there is no early share.
    #[serde(default)]
    pub learning: Option<GradientBased>,
}

impl Default for Warmup {
    fn default() -> Self {
        Self::GradientBased(GradientBased::default())
    }
}

impl Warmup {
    /// Begins with `metric`, and adapts the step size alone.
    #[must_use]
    pub fn given(metric: Metric) -> Self {
        Self::Given(Box::new(GivenMetric { metric, step_size: None, learning: None }))
    }

    /// The metric that a kernel is built with.
    pub(crate) fn initial_metric(&self) -> Metric {
        match self {
            Self::Given(given) => given.metric.clone(),
            _ => Metric::unit(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        match self {
            Self::GradientBased(settings) => settings.validate(),
            Self::Windowed(settings) => settings.validate(),
            Self::Given(given) => {
                given.step_size.map_or(Ok(()), |step_size| positive("step_size", step_size))?;
                given.learning.as_ref().map_or(Ok(()), GradientBased::validate)
            }
            Self::Fixed { step_size } => positive("step_size", *step_size),
        }
    }

    /// Where the search for a step size begins: nutpie's 0.1, or Stan's 1.
    pub(crate) fn initial_step_size(&self) -> f64 {
        match self {
            Self::GradientBased(_) => FIRST_STEP_SIZE,
            Self::Windowed(_) => 1.0,
            Self::Given(given) => given.step_size.unwrap_or(FIRST_STEP_SIZE),
            Self::Fixed { step_size } => *step_size,
        }
    }
}

/// Tunes the step size and metric of any [`HamiltonianKernel`], as [`Warmup`] says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HamiltonianAdaptation {
    target: f64,
    averaging: DualAveraging,
    /// The first iteration at which the symmetric acceptance rate counts: on the way to the posterior energies fall, which it would take
    /// for errors.
    symmetric_from: usize,
    scheme: Scheme,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Scheme {
    GradientBased { metric: GradientMetric, learnt: bool },
    Windowed(WindowedMetric),
    Given { has_step_size: bool, learning: Option<GradientMetric> },
    Fixed,
}

impl HamiltonianAdaptation {
    /// Prepares a warm-up that aims at the acceptance rate `target`.
    #[must_use]
    pub fn new(settings: &Warmup, target: f64, context: &BuildContext<'_>) -> Self {
        let scheme = match settings {
            Warmup::GradientBased(settings) => {
                Scheme::GradientBased { metric: GradientMetric::new(settings, context), learnt: false }
            }
            Warmup::Windowed(settings) => Scheme::Windowed(WindowedMetric::new(settings, context.warmup, context.prior_scales)),
            Warmup::Given(given) => {
                let learning = given.learning.as_ref().map(|settings| GradientMetric::going_on(settings, context));
                Scheme::Given { has_step_size: given.step_size.is_some(), learning }
            }
            Warmup::Fixed { .. } => Scheme::Fixed,
        };
        let symmetric_from = match settings {
            Warmup::GradientBased(settings) => settings.early_end(context.warmup),
            Warmup::Given(_) => GradientBased::default().early_end(context.warmup),
            Warmup::Windowed(_) | Warmup::Fixed { .. } => usize::MAX,
        };
        Self { target, averaging: DualAveraging::new(target, settings.initial_step_size()), symmetric_from, scheme }
    }

    /// Searches a step size for the present metric and starts averaging from it.
    fn restart<K: HamiltonianKernel>(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &K::State,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        find_step_size(kernel, density, state, rng)?;
        self.averaging = DualAveraging::new(self.target, kernel.step_size());
        Ok(())
    }
}

impl<K: HamiltonianKernel> Adaptation<K> for HamiltonianAdaptation {
    fn init(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &mut K::State,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        match &mut self.scheme {
            Scheme::Fixed => return Ok(()),
            Scheme::GradientBased { metric, .. } => metric.start(state.gradient(), kernel.metric_mut()),
            Scheme::Windowed(_) => {}
            Scheme::Given { has_step_size, .. } => {
                let (given, dim) = (kernel.metric().dim(), state.position().len());
                if given.is_some_and(|given| given != dim) {
                    return Err(ChainError::MetricDimension { given: given.unwrap_or(0), dim });
                }
                if *has_step_size {
                    self.averaging = DualAveraging::near(self.target, kernel.step_size());
                    return Ok(());
                }
            }
        }
        self.restart(kernel, density, state, rng)
    }

    fn update(
        &mut self,
        kernel: &mut K,
        density: &mut dyn LogDensity,
        state: &mut K::State,
        info: &K::Info,
        iteration: usize,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        if matches!(self.scheme, Scheme::Fixed) {
            return Ok(());
        }
        let rate = if iteration >= self.symmetric_from { K::symmetric_acceptance_rate(info) } else { info.acceptance_rate() };
        self.averaging.update(rate);
        kernel.set_step_size(self.averaging.step_size());
        match &mut self.scheme {
            Scheme::Fixed => {}
            Scheme::Given { learning, .. } => {
                if let Some(learning) = learning {
                    let informative = K::is_informative(info);
                    learning.update(iteration, state.position(), state.gradient(), informative, kernel.metric_mut());
                }
            }
            Scheme::Windowed(metric) => {
                if let Some(metric) = metric.update(iteration, state.position()) {
                    kernel.set_metric(metric);
                    self.restart(kernel, density, state, rng)?;
                }
            }
            Scheme::GradientBased { metric, learnt } => {
                let informative = K::is_informative(info);
                let metric_mut = kernel.metric_mut();
                let changed = metric.update(iteration, state.position(), state.gradient(), informative, metric_mut);
                if changed && !*learnt {
                    // The first learnt metric may have another unit than the initial one, and the step size may have gone far astray
                    // under that: the search begins anew.
                    *learnt = true;
                    kernel.set_step_size(FIRST_STEP_SIZE);
                    self.restart(kernel, density, state, rng)?;
                }
            }
        }
        Ok(())
    }

    fn finalize(&mut self, kernel: &mut K) {
        // What has learnt is of no more use, and takes as much memory as a dozen positions.
        if !matches!(std::mem::replace(&mut self.scheme, Scheme::Fixed), Scheme::Fixed) {
            kernel.set_step_size(self.averaging.average());
        }
    }
}
