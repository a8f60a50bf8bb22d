//! Take macro steps: a stretch of time covered by as few integrator steps as conserve the energy, chosen so that it can be undone.

use crate::tree::Leap;
use crate::{Integrator, Metric, PhasePoint};
use ergodic_model::{EvaluationError, LogDensity};

/// Covers a stretch of time by 2^k integrator steps, with the least k at which the energies met on the way, both ends included, lie
/// within a tolerance of each other.
///
/// The map from one end to the other is undone by the same map backwards only if k is the least there too. So each coarser division is
/// tried from the far end; when one of them would do, the way back is another, and the point may not be used. Where it may, the map is a
/// symmetric integrator's with a k that both ends agree on: reversible, and volume is conserved.
#[derive(Debug)]
pub(crate) struct MacroStep<'a> {
    pub integrator: Integrator,
    /// Most of the spread of energies, in nats.
    pub tolerance: f64,
    /// Greatest k.
    pub max_halvings: usize,
    /// Room for an attempt.
    pub scratch: &'a mut PhasePoint,
    pub found: Steps,
}

/// What happened on the macro steps of a trajectory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    /// Integrator steps, those of failed attempts and of ways back too.
    pub n_steps: usize,
    /// Macro steps that one integrator step did not cover.
    pub n_refined: usize,
    /// Sum of exp(−|ΔH|) over the first attempts, of one integrator step each.
    pub first_acceptance_sum: f64,
    /// Whether a way back was another.
    pub irreversible: bool,
    /// Whether no allowed division conserved the energy.
    pub unresolved: bool,
}

impl Leap for MacroStep<'_> {
    fn leap(
        &mut self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        time: f64,
        point: &mut PhasePoint,
    ) -> Result<bool, EvaluationError> {
        let Self { integrator, tolerance, max_halvings, scratch, found } = self;
        let mut attempt = |found: &mut Steps, time: f64, halvings: usize, from: &PhasePoint, to: &mut PhasePoint| {
            let steps = 1usize << halvings;
            let step_size = time / steps as f64;
            let (mut low, mut high) = (from.energy(), from.energy());
            for step in 0..steps {
                if step == 0 {
                    integrator.step_from(density, metric, step_size, from, to)?;
                } else {
                    integrator.step(density, metric, step_size, to)?;
                }
                found.n_steps += 1;
                (low, high) = (low.min(to.energy()), high.max(to.energy()));
                // The energy outside the support is infinite.
                if high - low > *tolerance {
                    return Ok(false);
                }
            }
            Ok::<_, EvaluationError>(true)
        };
        for halvings in 0..=*max_halvings {
            let conserved = attempt(found, time, halvings, point, scratch)?;
            if halvings == 0 {
                found.first_acceptance_sum += (-(scratch.energy() - point.energy()).abs()).exp();
                found.n_refined += usize::from(!conserved);
            }
            if conserved {
                // Where the step began is of no more use: there is room for the way back.
                std::mem::swap(point, scratch);
                for coarser in 0..halvings {
                    if attempt(found, -time, coarser, point, scratch)? {
                        found.irreversible = true;
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
        }
        found.unresolved = true;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, density, stream};
    use rand::RngExt;

    /// Neal's funnel of two coordinates.
    fn funnel() -> impl LogDensity {
        density(2, |x: &[f64], gradient: &mut [f64]| {
            let precision = (-x[0]).exp();
            gradient[0] = -x[0] / 9.0 + 0.5 * x[1] * x[1] * precision - 0.5;
            gradient[1] = -x[1] * precision;
            -x[0] * x[0] / 18.0 - 0.5 * x[1] * x[1] * precision - 0.5 * x[0]
        })
    }

    fn leap(target: &mut dyn LogDensity, time: f64, from: &PhasePoint, max_halvings: usize) -> (bool, PhasePoint, Steps) {
        let metric = Metric::unit();
        let (mut scratch, mut to) = (PhasePoint::new(2, &metric), from.clone());
        let (integrator, found) = (Integrator::Leapfrog, Steps::default());
        let mut step = MacroStep { integrator, tolerance: 0.3, max_halvings, scratch: &mut scratch, found };
        let usable = step.leap(target, &metric, time, &mut to).unwrap();
        let found = step.found;
        (usable, to, found)
    }

    #[test]
    fn usable_steps_lead_back_and_the_others_would_not() {
        let mut target = funnel();
        let mut rng = stream(3, 0, Purpose::Test);
        let (mut usable, mut refined, mut irreversible) = (0, 0, 0);
        for _ in 0..2000 {
            let x0: f64 = rng.random_range(-4.0..3.0);
            let x = [x0, (0.5 * x0).exp() * rng.random_range(-2.0..2.0)];
            let p = [rng.random_range(-1.5..1.5), rng.random_range(-1.5..1.5)];
            let from = PhasePoint::at(&mut target, &Metric::unit(), &x, &p).unwrap();
            let (is_usable, to, found) = leap(&mut target, 0.9, &from, 10);
            refined += usize::from(found.n_refined > 0);
            let (leads_back, back, _) = leap(&mut target, -0.9, &to, 10);
            let returned = leads_back && back.position.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-8);
            if is_usable {
                usable += 1;
                assert!(returned, "{x:?} leads to {to:?}, and that to {back:?}");
                assert!((to.energy() - from.energy()).abs() <= 0.3);
            } else {
                assert!(found.irreversible && !returned, "{found:?}");
                irreversible += 1;
            }
        }
        assert!(usable > 1000 && refined > 300 && irreversible > 50, "{usable} {refined} {irreversible}");
    }

    #[test]
    fn attempts_end_where_they_fail_and_with_the_finest() {
        let mut target = funnel();
        let from = PhasePoint::at(&mut target, &Metric::unit(), &[-20.0, 1e-5], &[0.5, 1.0]).unwrap();
        let (is_usable, _, found) = leap(&mut target, 1.0, &from, 3);
        assert!(!is_usable && found.unresolved && !found.irreversible);
        // Each of four attempts leaves the tolerance with its first step: a fixed number of steps is not walked to the end.
        assert_eq!((found.n_steps, found.n_refined), (4, 1));
        assert!(found.first_acceptance_sum < 1e-9);
    }

    #[test]
    fn outside_the_support_nothing_is_usable() {
        let mut target = density(2, |x: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[-1.0, f64::NAN]);
            if x[0] > 0.0 { -x[0] } else { f64::NAN }
        });
        let from = PhasePoint::at(&mut target, &Metric::unit(), &[0.1, 0.0], &[-1.0, 0.0]).unwrap();
        let (is_usable, _, found) = leap(&mut target, 1.0, &from, 4);
        assert!(!is_usable && found.unresolved && found.first_acceptance_sum == 0.0, "{found:?}");
    }
}
