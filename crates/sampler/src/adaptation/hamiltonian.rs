//! Tune a Hamiltonian kernel: dual averaging of the step size beside one of the ways to learn a metric.

use super::dual_averaging::DualAveraging;
use super::gradient_metric::{GradientBased, GradientMetric};
use super::step_size_search::find_step_size;
use super::windowed_metric::{Windowed, WindowedMetric};
use crate::settings::positive;
use crate::{Adaptation, BuildContext, ChainError, ChainState, HamiltonianKernel, Info, SettingsError};
use ergodic_model::{ChainRng, LogDensity};
use serde::{Deserialize, Serialize};

/// Where the search begins for a metric near the posterior's scales; nutpie's.
const FIRST_STEP_SIZE: f64 = 0.1;

/// How step size and metric are found during warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    /// A diagonal metric from draws and gradients; the default, for it needs fewest draws.
    GradientBased(GradientBased),
    /// Stan's windows, with a unit, diagonal or dense metric from draws alone.
    Windowed(Windowed),
    /// Nothing moves: a unit metric and the given step size.
    Fixed {
        /// The step size ε.
        step_size: f64,
    },
}

impl Default for Warmup {
    fn default() -> Self {
        Self::GradientBased(GradientBased::default())
    }
}

impl Warmup {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        match self {
            Self::GradientBased(settings) => settings.validate(),
            Self::Windowed(settings) => settings.validate(),
            Self::Fixed { step_size } => positive("step_size", *step_size),
        }
    }

    /// Where the search for a step size begins: nutpie's 0.1, or Stan's 1.
    pub(crate) fn initial_step_size(&self) -> f64 {
        match self {
            Self::GradientBased(_) => FIRST_STEP_SIZE,
            Self::Windowed(_) => 1.0,
            Self::Fixed { step_size } => *step_size,
        }
    }
}

/// Tunes the step size and metric of any [`HamiltonianKernel`], as [`Warmup`] says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HamiltonianAdaptation {
    target: f64,
    averaging: DualAveraging,
    scheme: Scheme,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Scheme {
    GradientBased { metric: GradientMetric, learnt: bool },
    Windowed(WindowedMetric),
    Fixed,
}

impl HamiltonianAdaptation {
    /// Prepares a warm-up that aims at the acceptance rate `target`.
    #[must_use]
    pub fn new(settings: &Warmup, target: f64, context: &BuildContext<'_>) -> Self {
        let scheme = match settings {
            Warmup::GradientBased(settings) => Scheme::GradientBased {
                metric: GradientMetric::new(settings, context.warmup, context.prior_scales),
                learnt: false,
            },
            Warmup::Windowed(settings) => Scheme::Windowed(WindowedMetric::new(settings, context.warmup, context.prior_scales)),
            Warmup::Fixed { .. } => Scheme::Fixed,
        };
        Self { target, averaging: DualAveraging::new(target, settings.initial_step_size()), scheme }
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
        // On the way to the posterior energies fall, which the symmetric rate would take for errors.
        let is_symmetric = matches!(&self.scheme, Scheme::GradientBased { metric, .. } if iteration >= metric.early_end());
        let rate = if is_symmetric { K::symmetric_acceptance_rate(info) } else { info.acceptance_rate() };
        self.averaging.update(rate);
        kernel.set_step_size(self.averaging.step_size());
        match &mut self.scheme {
            Scheme::Fixed => {}
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
        if !matches!(self.scheme, Scheme::Fixed) {
            kernel.set_step_size(self.averaging.average());
        }
    }
}
