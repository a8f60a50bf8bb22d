//! Climb a noisy objective with Adam (Kingma & Ba 2015) on a learning-rate schedule.

use crate::FitError;
use serde::{Deserialize, Serialize};

/// How the learning rate falls over a fit.
///
/// ```
/// use ergodic_baselines::Schedule;
/// let cosine = Schedule::Cosine { final_fraction: 0.0 };
/// assert_eq!(cosine.factor(0, 101), 1.0);
/// assert!((cosine.factor(50, 101) - 0.5).abs() < 1e-12);
/// assert!(cosine.factor(100, 101).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same for all steps.
    Constant,
    /// Half a cosine from 1 down to `final_fraction` (Loshchilov & Hutter 2017, without restarts).
    Cosine {
        /// What is left of the learning rate at the last step, between 0 and 1.
        final_fraction: f64,
    },
}

impl Schedule {
    /// What the learning rate is multiplied by at step `step` (counted from 0) of `steps`.
    #[must_use]
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { final_fraction } => {
                let done = step as f64 / steps.saturating_sub(1).max(1) as f64;
                final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }

    pub(crate) fn validate(self) -> Result<(), FitError> {
        match self {
            Self::Cosine { final_fraction } if !(0.0..=1.0).contains(&final_fraction) => {
                Err(FitError::setting("schedule.final_fraction", final_fraction, "between 0 and 1"))
            }
            _ => Ok(()),
        }
    }
}

/// Decay of the mean of gradients; the paper's value.
const FIRST_DECAY: f64 = 0.9;
/// Decay of the mean of squared gradients; the paper's value.
const SECOND_DECAY: f64 = 0.999;
/// Keeps the division finite; the paper's value, for objectives in nats.
const EPSILON: f64 = 1e-8;

/// Running means of the gradient and of its square.
///
/// There is no weight decay: the prior is part of the objective.
#[derive(Debug, Clone)]
pub(crate) struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
    clip_norm: Option<f64>,
}

impl Adam {
    pub(crate) fn new(dim: usize, clip_norm: Option<f64>) -> Self {
        Self { first: vec![0.0; dim], second: vec![0.0; dim], steps: 0, clip_norm }
    }

    /// Moves `parameters` uphill along `gradient`, which must be finite.
    ///
    /// A gradient longer than the clipping norm is shortened to it first (Pascanu et al. 2013).
    pub(crate) fn ascend(&mut self, parameters: &mut [f64], gradient: &[f64], learning_rate: f64) {
        let scale = self.clip_norm.map_or(1.0, |limit| {
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            if norm > limit { limit / norm } else { 1.0 }
        });
        self.steps = self.steps.saturating_add(1);
        let first_correction = 1.0 - FIRST_DECAY.powi(self.steps);
        let second_correction = 1.0 - SECOND_DECAY.powi(self.steps);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((x, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = scale * g;
            *m += (1.0 - FIRST_DECAY) * (g - *m);
            *v += (1.0 - SECOND_DECAY) * (g * g - *v);
            *x += learning_rate * (*m / first_correction) / ((*v / second_correction).sqrt() + EPSILON);
        }
    }

    /// Forgets all gradients.
    pub(crate) fn reset(&mut self) {
        self.first.fill(0.0);
        self.second.fill(0.0);
        self.steps = 0;
    }
}

/// Checks a clipping norm.
pub(crate) fn check_clip(clip_norm: Option<f64>) -> Result<(), FitError> {
    clip_norm.map_or(Ok(()), |norm| crate::error::check_positive("clip_norm", norm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_step_is_the_learning_rate_whatever_the_gradient_s_scale() {
        let mut x = [0.0, 0.0];
        Adam::new(2, None).ascend(&mut x, &[1e6, -1e-3], 0.1);
        assert!((x[0] - 0.1).abs() < 1e-6 && (x[1] + 0.1).abs() < 1e-5, "{x:?}");
    }

    #[test]
    fn steps_follow_the_published_recursion() {
        // Two steps with g = 2 and then g = −1, by hand: m = 0.2, 0.08; v = 0.004, 0.004996.
        let mut adam = Adam::new(1, None);
        let mut x = [0.0];
        adam.ascend(&mut x, &[2.0], 0.5);
        adam.ascend(&mut x, &[-1.0], 0.5);
        let second = 0.5 * (0.08 / (1.0 - 0.81)) / ((0.004_996f64 / (1.0 - 0.998_001)).sqrt() + 1e-8);
        assert!((x[0] - (0.5 + second)).abs() < 1e-8, "{} is not {}", x[0], 0.5 + second);
    }

    #[test]
    fn clipping_shortens_long_gradients_only() {
        // Adam alone forgets a constant scale, so the clip shows in the second step: a long gradient weighs as much as a short one.
        let run = |clip, gradients: [f64; 2]| {
            let (mut adam, mut x) = (Adam::new(1, clip), [0.0]);
            for g in gradients {
                adam.ascend(&mut x, &[g], 0.1);
            }
            x[0]
        };
        assert_eq!(run(Some(1.0), [1.0, -100.0]), run(Some(1.0), [1.0, -1.0]));
        assert_eq!(run(Some(200.0), [1.0, -100.0]), run(None, [1.0, -100.0]));
        assert_ne!(run(Some(1.0), [1.0, -100.0]), run(None, [1.0, -100.0]));
    }

    #[test]
    fn schedules_out_of_range_are_refused() {
        for final_fraction in [-0.1, 1.1, f64::NAN] {
            assert!(Schedule::Cosine { final_fraction }.validate().is_err());
        }
        assert_eq!(Schedule::Cosine { final_fraction: 0.0 }.factor(0, 1), 1.0);
    }
}
