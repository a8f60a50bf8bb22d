//! Find one mode of a posterior: the maximum a posteriori position.

use crate::adam::check_clip;
use crate::error::{check_count, check_dimension, check_positive};
use crate::optimise::{METHOD, optimise};
use crate::{FitError, FitObserver, Schedule, Silent};
use ergodic_draws::{ChainDraws, Column, Draws, FieldKind, Origin, Statistics};
use ergodic_model::{Posterior, Recording};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Settings of [`map`], and of each member of a [`deep_ensemble`](crate::deep_ensemble).
///
/// The log joint density, in nats and with the prior, climbs from [`Posterior::initial_position`]: by Adam, which finds its way
/// through the valleys of networks, and then by L-BFGS, which ends at the mode itself. The mode depends on the coordinates: it is
/// that of the unconstrained ones, in which samplers move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Map {
    /// Adam steps. 3000 settle networks of up to a few thousand weights on some hundred to thousand rows.
    pub steps: usize,
    /// Adam's learning rate, in units of a coordinate; 10⁻² suits networks of up to a thousand weights, 10⁻³ larger ones.
    pub learning_rate: f64,
    /// How the learning rate falls; a cosine to a thousandth, from 10⁻² to 10⁻⁵.
    pub schedule: Schedule,
    /// Longest gradient that is not shortened, in nats per unit; none by default, as Adam's steps are bounded already.
    pub clip_norm: Option<f64>,
    /// Most L-BFGS iterations after Adam's steps; 0 for none. With minibatches there are none.
    pub polish: usize,
    /// The fit ends early when no component of the gradient is larger, in nats per unit. At 10⁻⁴ the log density is within some
    /// 10⁻⁸ nats a coordinate of the mode's, where the prior's scale is 1. Only the full gradient can say that, so minibatches make
    /// all steps.
    pub tolerance: f64,
    /// Rows per step; all rows by default. Needs [`MinibatchGradient`](ergodic_model::MinibatchGradient).
    pub batch_size: Option<usize>,
    /// Seed of all random streams.
    pub seed: u64,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            steps: 3000,
            learning_rate: 0.01,
            schedule: Schedule::Cosine { final_fraction: 1e-3 },
            clip_norm: None,
            polish: 500,
            tolerance: 1e-4,
            batch_size: None,
            seed: 0,
        }
    }
}

impl Map {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("steps", self.steps)?;
        check_positive("learning_rate", self.learning_rate)?;
        self.schedule.validate()?;
        check_clip(self.clip_norm)?;
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(FitError::setting("tolerance", self.tolerance, "a finite number, at least 0"));
        }
        self.batch_size.map_or(Ok(()), |size| check_count("batch_size", size))
    }
}

/// Finds one mode of `posterior`: one draw of [`Origin::Point`], with its log density as the statistic `lp`.
///
/// The best position of all steps is kept (the last one with minibatches, whose values are noisy). A step to where the log density
/// or its gradient is not finite is halved until they are, without the momentum that led there, and counted in
/// `chains[0].tuned["non_finite_steps"]`.
///
/// ```
/// use ergodic_baselines::{Map, map};
/// use ergodic_model::density;
/// let parabola = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 3.0 - x[0];
///     -0.5 * (x[0] - 3.0).powi(2)
/// });
/// let draws = map(&parabola, &Map::default())?;
/// assert!((draws.chains()[0].position(0)[0] - 3.0).abs() < 1e-4);
/// # Ok::<(), ergodic_baselines::FitError>(())
/// ```
///
/// # Errors
/// When a setting is out of range, the model lacks minibatches that were asked for, no finite start is found, or the model reports
/// an error.
pub fn map(posterior: &dyn Posterior, settings: &Map) -> Result<Draws, FitError> {
    map_observed(posterior, settings, &Silent)
}

/// As [`map`], with an observer.
///
/// # Errors
/// As [`map`].
pub fn map_observed(posterior: &dyn Posterior, settings: &Map, observer: &dyn FitObserver) -> Result<Draws, FitError> {
    settings.validate()?;
    check_dimension(posterior)?;
    let start = Instant::now();
    let optimum = optimise(posterior, settings, 0, observer).map_err(|failure| failure.error)?;
    let mut report = posterior.new_report(METHOD, settings.seed);
    report.settings = serde_json::to_value(settings).unwrap_or_default();
    report.warnings.extend(optimum.warnings.iter().cloned());
    let layout = posterior.draw_layout();
    let mut recording = Recording::new(posterior);
    let draw = recording.mode(&optimum.position).map_err(FitError::at(METHOD, optimum.steps))?;
    let mut chain = ChainDraws::from_positions(layout.dim(), draw.to_vec());
    chain.statistics = Statistics::new(vec![Column { name: "lp".to_owned(), kind: FieldKind::Real }]);
    chain.statistics.push(&[optimum.log_density]);
    report.chains.push(optimum.report());
    report.objective = optimum.trace;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(Draws::new(layout, Origin::Point, vec![chain], report))
}
