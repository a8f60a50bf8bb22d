//! Hold the settings of mean-field variational inference, and check them.

use crate::adam::check_clip;
use crate::error::{check_count, check_positive};
use crate::{FitError, Map, Schedule};
use serde::{Deserialize, Serialize};

/// How the gradient of the evidence lower bound is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// [`Local`](Self::Local) where the model offers it, [`StickingTheLanding`](Self::StickingTheLanding) elsewhere.
    Auto,
    /// Noise on pre-activations instead of weights, one for every row (Kingma et al. 2015). Needs
    /// [`LocalReparameterization`](ergodic_model::LocalReparameterization).
    Local,
    /// Noise on the whole vector, with the gradient of `ln q` along the path only (Roeder et al. 2017): without variance where q is
    /// the posterior. Draws come in antithetic pairs `mean ± sd · z`. Works on any posterior.
    StickingTheLanding,
}

/// Where the mean starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At a mode, found with these settings; the seed is the fit's own.
    Map(Map),
    /// At the posterior's initial position.
    InitialPosition,
}

/// An aid to optimisation: the first steps fit a colder posterior.
///
/// At temperature T the objective is E_q[log joint] + T · entropy(q). T rises in a straight line to 1 over the first steps and stays
/// there, so that the fit itself is always at temperature 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annealing {
    /// Temperature at the first step, from 0 to 1.
    pub initial_temperature: f64,
    /// The part of the steps over which it rises to 1, above 0 and at most 0.5; 0.1 to 0.2 is customary.
    pub fraction: f64,
}

impl Annealing {
    /// The temperature at step `step` (counted from 0) of `steps`.
    ///
    /// ```
    /// use ergodic_baselines::Annealing;
    /// let annealing = Annealing { initial_temperature: 0.2, fraction: 0.1 };
    /// assert_eq!(annealing.temperature(0, 1000), 0.2);
    /// assert!((annealing.temperature(50, 1000) - 0.6).abs() < 1e-12);
    /// assert_eq!(annealing.temperature(100, 1000), 1.0);
    /// ```
    #[must_use]
    pub fn temperature(&self, step: usize, steps: usize) -> f64 {
        let done = (step as f64 / (self.fraction * steps as f64)).min(1.0);
        if done < 1.0 { self.initial_temperature + (1.0 - self.initial_temperature) * done } else { 1.0 }
    }
}

/// Settings of [`mean_field`](crate::mean_field()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeanField {
    /// Adam steps. On a 6-16-16-1 network and 300 rows the bound after 5000 is 3 to 15 nats below that after 20 000; on 1-8-1 and 40
    /// rows it is the same.
    pub steps: usize,
    /// Adam's learning rate, in units of a coordinate for the mean and of ln sd for the standard deviation; 10⁻² suits networks of
    /// up to a thousand weights, 10⁻³ larger ones.
    pub learning_rate: f64,
    /// How the learning rate falls; a cosine to a thousandth, from 10⁻² to 10⁻⁵.
    pub schedule: Schedule,
    /// Longest gradient that is not shortened, in nats per unit; none by default, as Adam's steps are bounded already.
    pub clip_norm: Option<f64>,
    /// How the gradient is estimated.
    pub estimator: Estimator,
    /// Draws from q a step: 1 with local reparameterisation, whose noise is averaged over rows already, and 2, an antithetic pair,
    /// otherwise, unless given. Even for sticking the landing. More steps or starts gain more than more draws a step.
    pub draws_per_step: Option<usize>,
    /// Rows per step; all rows by default. Needs [`MinibatchGradient`](ergodic_model::MinibatchGradient), and sticking the landing.
    pub batch_size: Option<usize>,
    /// Where the mean starts; at a mode by default (Izmailov et al. 2021 start at a trained network), which ends in poor local maxima
    /// less often than the initial position does.
    pub start: Start,
    /// Starts, of which the one with the highest lower bound is kept. On small
    /// networks every second start ends several nats below the best.
    pub starts: usize,
    /// Upper bound of the standard deviations at the start, which are a tenth of the prior's where that is less. 0.05 is about
    /// softplus(−3), the customary start for networks.
    pub initial_sd: f64,
    /// A colder start; none by default.
    pub annealing: Option<Annealing>,
    /// The part of the steps, at the end, over which mean and ln sd are averaged (Polyak & Juditsky 1992; Dhaka et al. 2020 on
    /// variational fits), from 0 to 1. On normal posteriors a half makes errors a third to a half smaller than the last step's.
    pub averaging: f64,
    /// Draws from the fitted q, each with `lp` and `log_q`; the lower bound is estimated from them. All are held in memory
    /// (8 bytes a coordinate).
    pub draws: usize,
    /// Threads; one a core by default. Results are the same for any number.
    pub threads: Option<usize>,
    /// Seed of all random streams; start `m` uses those of chain `m`.
    pub seed: u64,
}

impl Default for MeanField {
    fn default() -> Self {
        Self {
            steps: 20_000,
            learning_rate: 0.01,
            schedule: Schedule::Cosine { final_fraction: 1e-3 },
            clip_norm: None,
            estimator: Estimator::Auto,
            draws_per_step: None,
            batch_size: None,
            start: Start::Map(Map::default()),
            starts: 4,
            initial_sd: 0.05,
            annealing: None,
            averaging: 0.5,
            draws: 4000,
            threads: None,
            seed: 0,
        }
    }
}

impl MeanField {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("steps", self.steps)?;
        check_count("starts", self.starts)?;
        self.threads.map_or(Ok(()), |threads| check_count("threads", threads))?;
        check_positive("learning_rate", self.learning_rate)?;
        self.schedule.validate()?;
        check_clip(self.clip_norm)?;
        check_positive("initial_sd", self.initial_sd)?;
        if let Start::Map(map) = &self.start {
            map.validate()?;
        }
        if let Some(Annealing { initial_temperature, fraction }) = self.annealing {
            if !(0.0..=1.0).contains(&initial_temperature) {
                return Err(FitError::setting("annealing.initial_temperature", initial_temperature, "from 0 to 1"));
            }
            if !(fraction > 0.0 && fraction <= 0.5) {
                return Err(FitError::setting("annealing.fraction", fraction, "above 0 and at most 0.5"));
            }
        }
        if !(0.0..=1.0).contains(&self.averaging) {
            return Err(FitError::setting("averaging", self.averaging, "from 0 to 1"));
        }
        if self.draws < 2 {
            return Err(FitError::setting("draws", self.draws, "at least 2, to estimate the lower bound's error"));
        }
        self.draws_per_step.map_or(Ok(()), |count| check_count("draws_per_step", count))?;
        match self.batch_size {
            Some(_) if self.estimator == Estimator::Local => Err(FitError::setting(
                "estimator",
                self.estimator,
                "sticking_the_landing or auto where batch_size is given: local reparameterisation passes over all rows",
            )),
            Some(size) => check_count("batch_size", size),
            None => Ok(()),
        }
    }
}
