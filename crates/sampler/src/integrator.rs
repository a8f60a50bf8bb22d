//! Integrate Hamilton's equations by symmetric splittings: leapfrog, and ones of more stages with a smaller error.

use crate::{Metric, PhasePoint};
use ergodic_model::{EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// A symmetric splitting of kicks `p ← p + b ε ∇log π(x)` and drifts `x ← x + a ε M⁻¹p`.
///
/// Every member is reversible and conserves volume, so any of them leaves an exact method exact; they differ in energy error and in
/// gradients per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Integrator {
    /// Half a kick, a drift, half a kick: one gradient a step, energy error of order ε².
    #[default]
    Leapfrog,
    /// The minimal-norm splitting of two stages (McLachlan 1995, λ = 0.1931833…): two gradients a step, energy error of order ε² with
    /// a smaller constant.
    MinimalNorm,
    /// The splitting of three stages for normal targets (Blanes, Casas & Sanz-Serna 2014): three gradients a step, energy error of
    /// order ε², small up to steps 4.66 times the shortest time scale of a normal.
    ThreeStage,
    /// The splitting of five stages of Omelyan, Mryglod & Folk (2003): five gradients a step, energy error of order ε⁴.
    FourthOrder,
}

/// McLachlan's λ.
const MINIMAL_NORM: f64 = 0.193_183_327_503_783_6;
/// First kick and first drift of the splitting of three stages.
const THREE_STAGE: (f64, f64) = (0.118_880_109_665_48, 0.296_195_042_611_26);
/// First two kicks and drifts of Omelyan's splitting.
const FOURTH_ORDER: ([f64; 2], [f64; 2]) =
    ([0.083_983_152_628_766_93, 0.682_236_533_571_909_1], [0.253_978_510_841_059_5, -0.032_302_867_652_699_67]);

impl Integrator {
    /// Every integrator.
    pub const ALL: [Self; 4] = [Self::Leapfrog, Self::MinimalNorm, Self::ThreeStage, Self::FourthOrder];

    /// Shares of the step size of the kicks; one more than there are drifts, and the same read backwards.
    pub(crate) fn kicks(self) -> &'static [f64] {
        match self {
            Self::Leapfrog => &[0.5, 0.5],
            Self::MinimalNorm => &[MINIMAL_NORM, 1.0 - 2.0 * MINIMAL_NORM, MINIMAL_NORM],
            Self::ThreeStage => &[THREE_STAGE.0, 0.5 - THREE_STAGE.0, 0.5 - THREE_STAGE.0, THREE_STAGE.0],
            Self::FourthOrder => {
                const INNER: f64 = 0.5 - FOURTH_ORDER.0[0] - FOURTH_ORDER.0[1];
                &[FOURTH_ORDER.0[0], FOURTH_ORDER.0[1], INNER, INNER, FOURTH_ORDER.0[1], FOURTH_ORDER.0[0]]
            }
        }
    }

    /// Shares of the step size of the drifts.
    pub(crate) fn drifts(self) -> &'static [f64] {
        match self {
            Self::Leapfrog => &[1.0],
            Self::MinimalNorm => &[0.5, 0.5],
            Self::ThreeStage => &[THREE_STAGE.1, 1.0 - 2.0 * THREE_STAGE.1, THREE_STAGE.1],
            Self::FourthOrder => {
                const MIDDLE: f64 = 1.0 - 2.0 * (FOURTH_ORDER.1[0] + FOURTH_ORDER.1[1]);
                &[FOURTH_ORDER.1[0], FOURTH_ORDER.1[1], MIDDLE, FOURTH_ORDER.1[1], FOURTH_ORDER.1[0]]
            }
        }
    }

    /// Order of the energy error over a given time: how many times smaller it is at half the step, as a power of 2.
    #[must_use]
    pub fn order(self) -> i32 {
        match self {
            Self::Leapfrog | Self::MinimalNorm | Self::ThreeStage => 2,
            Self::FourthOrder => 4,
        }
    }

    /// Gradient evaluations of one step.
    #[must_use]
    pub fn gradients_per_step(self) -> usize {
        self.drifts().len()
    }

    /// Moves `point` by one step of size `step_size`, backwards in time when it is negative.
    ///
    /// The gradient in `point` must be that of its position; afterwards it is that of the new one.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    ///
    /// ```
    /// use ergodic_model::density;
    /// use ergodic_sampler::{Integrator, Metric, PhasePoint};
    /// let mut normal = density(1, |x: &[f64], gradient: &mut [f64]| {
    ///     gradient[0] = -x[0];
    ///     -0.5 * x[0] * x[0]
    /// });
    /// let metric = Metric::unit();
    /// let mut point = PhasePoint::at(&mut normal, &metric, &[1.0], &[0.0])?;
    /// let before = point.energy();
    /// Integrator::Leapfrog.step(&mut normal, &metric, 0.1, &mut point)?;
    /// assert!((point.energy() - before).abs() < 1e-3);
    /// # Ok::<(), ergodic_model::EvaluationError>(())
    /// ```
    pub fn step(
        self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        step_size: f64,
        point: &mut PhasePoint,
    ) -> Result<(), EvaluationError> {
        self.steps(density, metric, step_size, 1, point).map(|_| ())
    }

    /// Moves `point` by up to `steps` steps, with the kicks between two steps joined to one.
    ///
    /// Stops early where the log density is not finite, and returns the number of steps that were begun.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    pub fn steps(
        self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        step_size: f64,
        steps: usize,
        point: &mut PhasePoint,
    ) -> Result<usize, EvaluationError> {
        let (kicks, drifts) = (self.kicks(), self.drifts());
        let mut kick = kicks[0];
        for step in 0..steps {
            for (stage, drift) in drifts.iter().enumerate() {
                metric.kick_and_drift(kick * step_size, drift * step_size, point);
                if !evaluate(density, point)? {
                    return Ok(step + 1);
                }
                kick = kicks[stage + 1];
            }
            if step + 1 < steps {
                kick += kicks[0];
            }
        }
        if steps > 0 {
            metric.last_kick(kick * step_size, point);
        }
        Ok(steps)
    }

    /// As [`step`](Self::step), from one point to another, without copying.
    pub(crate) fn step_from(
        self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        step_size: f64,
        from: &PhasePoint,
        to: &mut PhasePoint,
    ) -> Result<(), EvaluationError> {
        let (kicks, drifts) = (self.kicks(), self.drifts());
        metric.kick_and_drift_from(kicks[0] * step_size, drifts[0] * step_size, from, to);
        if !evaluate(density, to)? {
            return Ok(());
        }
        for (kick, drift) in kicks[1..].iter().zip(&drifts[1..]) {
            metric.kick_and_drift(kick * step_size, drift * step_size, to);
            if !evaluate(density, to)? {
                return Ok(());
            }
        }
        metric.last_kick(kicks[drifts.len()] * step_size, to);
        Ok(())
    }
}

/// Evaluates the density at the point; `false`, and an infinite energy, outside the support.
fn evaluate(density: &mut dyn LogDensity, point: &mut PhasePoint) -> Result<bool, EvaluationError> {
    point.log_density = density.log_density_and_gradient(&point.position, &mut point.gradient)?;
    if !point.log_density.is_finite() {
        point.kinetic_energy = f64::INFINITY;
    }
    Ok(point.log_density.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::density;
    use nalgebra::DMatrix;

    const ALL: [Integrator; 4] = Integrator::ALL;

    #[test]
    fn splittings_are_symmetric_and_cover_one_step() {
        for integrator in ALL {
            for shares in [integrator.kicks(), integrator.drifts()] {
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-14, "{integrator:?}");
                assert!(shares.iter().eq(shares.iter().rev()), "{integrator:?}");
            }
            assert_eq!(integrator.kicks().len(), integrator.gradients_per_step() + 1);
        }
    }

    /// A density that is neither Gaussian nor symmetric: −Σ (log cosh xᵢ + (xᵢ − xᵢ₋₁)²/2 + xᵢ/5).
    fn curved(dim: usize) -> impl LogDensity + Clone {
        density(dim, move |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            gradient.fill(0.0);
            for i in 0..x.len() {
                value -= x[i].cosh().ln() + 0.2 * x[i];
                gradient[i] -= x[i].tanh() + 0.2;
                if i > 0 {
                    let d = x[i] - x[i - 1];
                    value -= 0.5 * d * d;
                    gradient[i] -= d;
                    gradient[i - 1] += d;
                }
            }
            value
        })
    }

    fn metrics() -> [Metric; 3] {
        let dense = DMatrix::from_row_slice(3, 3, &[2.0, 0.5, 0.1, 0.5, 1.0, -0.2, 0.1, -0.2, 0.5]);
        [Metric::unit(), Metric::diagonal(vec![2.0, 0.5, 1.0]).unwrap(), Metric::dense(dense).unwrap()]
    }

    #[test]
    fn forward_flip_forward_returns_to_the_start() {
        for integrator in ALL {
            for metric in metrics() {
                let mut target = curved(3);
                let (x, p) = ([0.3, -0.8, 1.1], [0.7, 0.2, -1.3]);
                let mut point = PhasePoint::at(&mut target, &metric, &x, &p).unwrap();
                integrator.steps(&mut target, &metric, 0.2, 50, &mut point).unwrap();
                assert!(point.position.iter().zip(&x).any(|(a, b)| (a - b).abs() > 0.1), "the point moved");
                point.momentum.iter_mut().for_each(|p| *p = -*p);
                integrator.steps(&mut target, &metric, 0.2, 50, &mut point).unwrap();
                for i in 0..3 {
                    assert!((point.position[i] - x[i]).abs() < 1e-10);
                    assert!((point.momentum[i] + p[i]).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn joined_kicks_equal_single_steps() {
        for integrator in ALL {
            for metric in metrics() {
                let mut target = curved(3);
                let start = PhasePoint::at(&mut target, &metric, &[0.3, -0.8, 1.1], &[0.7, 0.2, -1.3]).unwrap();
                let (mut joined, mut single) = (start.clone(), start);
                integrator.steps(&mut target, &metric, 0.2, 7, &mut joined).unwrap();
                for _ in 0..7 {
                    integrator.step(&mut target, &metric, 0.2, &mut single).unwrap();
                }
                assert!((joined.energy() - single.energy()).abs() < 1e-12);
                assert!(joined.position.iter().zip(&single.position).all(|(a, b)| (a - b).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn volume_is_conserved() {
        // The Jacobian of (x, p) → (x', p') by central differences; its determinant is 1 up to their error.
        for integrator in ALL {
            for metric in metrics() {
                let map = |z: &[f64]| {
                    let mut target = curved(3);
                    let mut point = PhasePoint::at(&mut target, &metric, &z[..3], &z[3..]).unwrap();
                    integrator.steps(&mut target, &metric, 0.4, 3, &mut point).unwrap();
                    [point.position, point.momentum].concat()
                };
                let start = [0.3, -0.8, 1.1, 0.7, 0.2, -1.3];
                let h = 1e-5;
                let jacobian = DMatrix::from_fn(6, 6, |row, column| {
                    let (mut up, mut down) = (start, start);
                    up[column] += h;
                    down[column] -= h;
                    (map(&up)[row] - map(&down)[row]) / (2.0 * h)
                });
                assert!((jacobian.determinant() - 1.0).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn leapfrog_on_the_harmonic_oscillator_follows_its_closed_form() {
        // Leapfrog conserves p² + x²(1 − ε²/4) and turns by the angle arccos(1 − ε²/2) a step.
        let mut target = density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -x[0];
            -0.5 * x[0] * x[0]
        });
        let step_size: f64 = 0.3;
        let metric = Metric::unit();
        let mut point = PhasePoint::at(&mut target, &metric, &[1.5], &[0.0]).unwrap();
        let angle = (1.0 - step_size * step_size / 2.0).acos();
        let stretch = (1.0 - step_size * step_size / 4.0).sqrt();
        for n in 1..=100 {
            Integrator::Leapfrog.step(&mut target, &metric, step_size, &mut point).unwrap();
            let turned = angle * f64::from(n);
            assert!((point.position[0] - 1.5 * turned.cos()).abs() < 1e-12);
            assert!((point.momentum[0] + 1.5 * stretch * turned.sin()).abs() < 1e-12);
        }
    }

    #[test]
    fn energy_error_falls_with_the_order_of_the_integrator() {
        for integrator in ALL {
            let error = |step_size: f64| {
                let mut target = curved(3);
                let metric = Metric::unit();
                let mut point = PhasePoint::at(&mut target, &metric, &[0.3, -0.8, 1.1], &[0.7, 0.2, -1.3]).unwrap();
                let before = point.energy();
                let steps = (1.6 / step_size).round() as usize;
                integrator.steps(&mut target, &metric, step_size, steps, &mut point).unwrap();
                (point.energy() - before).abs()
            };
            let order = (error(0.08) / error(0.04)).log2();
            assert!((order - f64::from(integrator.order())).abs() < 0.15, "{integrator:?} has order {order}");
        }
    }

    #[test]
    fn outside_the_support_the_energy_is_infinite() {
        let mut target = density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -1.0;
            if x[0] > 0.0 { -x[0] } else { f64::NAN }
        });
        let metric = Metric::unit();
        let mut point = PhasePoint::at(&mut target, &metric, &[0.1], &[-1.0]).unwrap();
        assert_eq!(Integrator::Leapfrog.steps(&mut target, &metric, 1.0, 5, &mut point).unwrap(), 1);
        assert_eq!(point.energy(), f64::INFINITY);
    }
}
