//! Climb to the top of a smooth hill with limited-memory BFGS (Nocedal & Wright 2006, chapter 7).

use crate::log_joint::{LogJoint, is_finite};
use ergodic_model::EvaluationError;

/// Steps that the curvature is remembered from, where nothing else is asked for; 5 to 20 are customary.
pub(crate) const HISTORY: usize = 10;
/// Part of the promised rise that a step must make; Nocedal & Wright's value.
const SUFFICIENT_RISE: f64 = 1e-4;
/// Part of the slope that may be left; Nocedal & Wright's value.
const SLOPE_LEFT: f64 = 0.9;
/// Evaluations of one line search; each halves or doubles the step.
const LINE_EVALUATIONS: usize = 30;

/// A position with a finite log joint density, and what is known of the curvature around it.
pub(crate) struct Lbfgs {
    pub(crate) position: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// A ring of moves s, falls of the gradient y, and 1/(sᵀy); the first `known` from `next` backwards are filled.
    pairs: Vec<Pair>,
    next: usize,
    known: usize,
    direction: Vec<f64>,
    trial: Vec<f64>,
    trial_gradient: Vec<f64>,
}

#[derive(Clone)]
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    inverse: f64,
    weight: f64,
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Lbfgs {
    /// Starts at a position whose log joint density and gradient are finite, and remembers the last `history` steps, at least 1.
    pub(crate) fn new(position: Vec<f64>, value: f64, gradient: Vec<f64>, history: usize) -> Self {
        let zeros = vec![0.0; position.len()];
        let pair = Pair { s: zeros.clone(), y: zeros.clone(), inverse: 0.0, weight: 0.0 };
        Self {
            position,
            value,
            gradient,
            pairs: vec![pair; history],
            next: 0,
            known: 0,
            direction: zeros.clone(),
            trial: zeros.clone(),
            trial_gradient: zeros,
        }
    }

    /// One line search uphill. `false` when none of its steps rises, as at a mode to the last digit or at a kink.
    pub(crate) fn iterate(&mut self, joint: &mut LogJoint<'_>) -> Result<bool, EvaluationError> {
        self.set_direction();
        let mut slope = dot(&self.gradient, &self.direction);
        if !(slope.is_finite() && slope > 0.0) {
            self.forget();
            slope = dot(&self.gradient, &self.gradient);
        }
        if self.search(joint, slope)? {
            return Ok(true);
        }
        if self.known == 0 {
            return Ok(false);
        }
        // What was known of the curvature misleads: once more along the gradient.
        self.forget();
        let slope = dot(&self.gradient, &self.gradient);
        self.search(joint, slope)
    }

    fn forget(&mut self) {
        self.known = 0;
        self.direction.copy_from_slice(&self.gradient);
    }

    /// Writes the inverse of the remembered curvature times the gradient, by the two-loop recursion.
    fn set_direction(&mut self) {
        let history = self.pairs.len();
        self.direction.copy_from_slice(&self.gradient);
        for age in 0..self.known {
            let pair = &mut self.pairs[(self.next + history - 1 - age) % history];
            pair.weight = pair.inverse * dot(&pair.s, &self.direction);
            self.direction.iter_mut().zip(&pair.y).for_each(|(d, y)| *d -= pair.weight * y);
        }
        if self.known > 0 {
            let last = &self.pairs[(self.next + history - 1) % history];
            let scale = 1.0 / (last.inverse * dot(&last.y, &last.y));
            self.direction.iter_mut().for_each(|d| *d *= scale);
        }
        for age in (0..self.known).rev() {
            let pair = &self.pairs[(self.next + history - 1 - age) % history];
            let weight = pair.weight - pair.inverse * dot(&pair.y, &self.direction);
            self.direction.iter_mut().zip(&pair.s).for_each(|(d, s)| *d += weight * s);
        }
    }

    /// Looks along the direction for a step that rises enough and leaves little slope (Lewis & Overton 2013, which also serves
    /// functions with kinks), and takes it. A value that is not finite counts as too far.
    fn search(&mut self, joint: &mut LogJoint<'_>, slope: f64) -> Result<bool, EvaluationError> {
        let (mut low, mut high) = (0.0, f64::INFINITY);
        // Without known curvature, a first step no longer than 1.
        let mut step = if self.known > 0 { 1.0 } else { (1.0 / slope.sqrt()).min(1.0) };
        for evaluation in 1..=LINE_EVALUATIONS {
            for ((trial, x), d) in self.trial.iter_mut().zip(&self.position).zip(&self.direction) {
                *trial = x + step * d;
            }
            let value = joint.evaluate(&self.trial, &mut self.trial_gradient)?;
            let rises = is_finite(value, &self.trial_gradient) && value > self.value + SUFFICIENT_RISE * step * slope;
            let flat = rises && dot(&self.trial_gradient, &self.direction) <= SLOPE_LEFT * slope;
            if flat || (rises && evaluation == LINE_EVALUATIONS) {
                self.take(value);
                return Ok(true);
            }
            if rises {
                low = step;
            } else {
                high = step;
            }
            step = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * step };
        }
        Ok(false)
    }

    /// Moves to the trial position and learns from the move.
    fn take(&mut self, value: f64) {
        let pair = &mut self.pairs[self.next];
        for (i, (s, y)) in pair.s.iter_mut().zip(&mut pair.y).enumerate() {
            *s = self.trial[i] - self.position[i];
            *y = self.gradient[i] - self.trial_gradient[i];
        }
        let (curvature, length) = (dot(&pair.s, &pair.y), dot(&pair.s, &pair.s).sqrt() * dot(&pair.y, &pair.y).sqrt());
        if curvature > 1e-10 * length {
            pair.inverse = 1.0 / curvature;
            let history = self.pairs.len();
            self.next = (self.next + 1) % history;
            self.known = (self.known + 1).min(history);
        }
        std::mem::swap(&mut self.position, &mut self.trial);
        std::mem::swap(&mut self.gradient, &mut self.trial_gradient);
        self.value = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Posterior, density};

    /// Climbs until nothing rises; the position, the value and the evaluations it took.
    fn top(posterior: &dyn Posterior, start: &[f64], iterations: usize) -> (Vec<f64>, f64, u64) {
        let mut joint = LogJoint::full(posterior);
        let mut gradient = vec![0.0; start.len()];
        let value = joint.evaluate(start, &mut gradient).unwrap();
        let mut climb = Lbfgs::new(start.to_vec(), value, gradient, HISTORY);
        for _ in 0..iterations {
            let before = climb.value;
            if !climb.iterate(&mut joint).unwrap() {
                break;
            }
            assert!(climb.value > before, "a step never falls");
        }
        (climb.position, climb.value, joint.gradients())
    }

    #[test]
    fn rosenbrock_s_valley_is_followed_to_its_end() {
        let valley = density(2, |x: &[f64], gradient: &mut [f64]| {
            let bend = x[1] - x[0] * x[0];
            gradient[0] = 2.0 * (1.0 - x[0]) + 400.0 * x[0] * bend;
            gradient[1] = -200.0 * bend;
            -(1.0 - x[0]).powi(2) - 100.0 * bend * bend
        });
        let (x, value, evaluations) = top(&valley, &[-1.2, 1.0], 200);
        assert!((x[0] - 1.0).abs() < 1e-7 && (x[1] - 1.0).abs() < 1e-7 && value > -1e-14, "{x:?}");
        // Steepest ascent needs thousands.
        assert!(evaluations < 200, "{evaluations}");
    }

    #[test]
    fn an_ill_conditioned_parabola_of_few_dimensions_takes_few_iterations() {
        let scales: Vec<f64> = (0..8).map(|i| 10f64.powi(i - 4)).collect();
        let parabola = density(8, move |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for i in 0..8 {
                gradient[i] = scales[i] * (1.0 - x[i]);
                value -= 0.5 * scales[i] * (1.0 - x[i]).powi(2);
            }
            value
        });
        let (_, value, evaluations) = top(&parabola, &[0.0; 8], 300);
        assert!(value > -1e-10 && evaluations < 400, "{value} after {evaluations}");
    }

    #[test]
    fn edges_and_kinks_do_not_stop_the_climb_below_the_top() {
        let edge = density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 / x[0] - 100.0;
            x[0].ln() - 100.0 * x[0]
        });
        assert!((top(&edge, &[3.0], 100).0[0] - 0.01).abs() < 1e-6);
        let kink = density(2, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -x[0].signum();
            gradient[1] = -2.0 * x[1];
            -x[0].abs() - x[1] * x[1]
        });
        let (x, _, _) = top(&kink, &[0.7, 1.3], 300);
        assert!(x[0].abs() < 1e-3 && x[1].abs() < 1e-3, "{x:?}");
    }
}
