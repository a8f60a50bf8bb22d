//! Hold plain transitions of single steps with one fault each, which the conservation test must find.
//!
//! Without a fault they are MALA and generalised HMC with slice acceptance, written once more from the papers' formulas: these must pass.

use ergodic::model::{ChainRng, LogDensity};
use ergodic::sampler::{Integrator, Metric, PhasePoint};
use rand::RngExt;

/// What is wrong with a transition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Every step is accepted.
    NoAcceptStep,
    /// After a rejection the momentum goes on instead of turning round.
    NoFlip,
    /// The momentum turns round after accepted steps, not after rejected ones: harmless, for both turns together are, but the chain
    /// goes to and fro.
    FlipOnAcceptance,
    /// The slice variable is left as it was after an accepted step.
    ForgottenSlice,
    /// After a rejection the gradient is that of the rejected point.
    RejectedGradient,
    /// The noise of every refreshment is larger by this factor.
    NoiseScale(f64),
    /// Momenta that persist are not shrunk before noise is added.
    NoShrinkage,
}

/// Step size, metric and fault of a plain transition with leapfrog.
#[derive(Debug, Clone)]
pub(crate) struct Twin {
    pub(crate) metric: Metric,
    pub(crate) step_size: f64,
    pub(crate) fault: Fault,
}

impl Twin {
    fn noise(&self, dim: usize, rng: &mut ChainRng) -> Vec<f64> {
        let mut noise = vec![0.0; dim];
        self.metric.sample_momentum(rng, &mut noise);
        noise
    }

    fn step(&self, density: &mut dyn LogDensity, point: &PhasePoint) -> PhasePoint {
        let mut end = point.clone();
        Integrator::Leapfrog.step(density, &self.metric, self.step_size, &mut end).expect("the target evaluates");
        end
    }

    /// p ← a p + b n with n ~ N(0, M).
    fn refresh(&self, point: &mut PhasePoint, a: f64, b: f64, rng: &mut ChainRng) {
        let scale = if let Fault::NoiseScale(factor) = self.fault { factor } else { 1.0 };
        let a = if self.fault == Fault::NoShrinkage { 1.0 } else { a };
        let noise = self.noise(point.momentum.len(), rng);
        point.momentum.iter_mut().zip(noise).for_each(|(p, n)| *p = a * *p + b * scale * n);
        point.kinetic_energy = self.metric.kinetic_energy(&point.momentum);
    }

    /// `steps` steps of MALA.
    pub(crate) fn mala(&self, density: &mut dyn LogDensity, position: &mut Vec<f64>, steps: usize, rng: &mut ChainRng) {
        let zero = vec![0.0; position.len()];
        let mut point = PhasePoint::at(density, &self.metric, position, &zero).expect("the target evaluates");
        for _ in 0..steps {
            self.refresh(&mut point, 0.0, 1.0, rng);
            let end = self.step(density, &point);
            if self.fault == Fault::NoAcceptStep || rng.random::<f64>() < (point.energy() - end.energy()).exp() {
                point = end;
            } else if self.fault == Fault::RejectedGradient {
                point.gradient = end.gradient;
            }
        }
        *position = point.position;
    }

    /// `steps` steps of generalised HMC, with a partial refreshment before each that forgets momenta over the time `time`.
    pub(crate) fn ghmc(
        &self,
        density: &mut dyn LogDensity,
        position: &mut Vec<f64>,
        steps: usize,
        time: f64,
        rng: &mut ChainRng,
    ) {
        let momentum = self.noise(position.len(), rng);
        let mut point = PhasePoint::at(density, &self.metric, position, &momentum).expect("the target evaluates");
        let mut slice = 2.0 * rng.random::<f64>() - 1.0;
        let share = (-self.step_size / time).exp();
        for _ in 0..steps {
            self.refresh(&mut point, share, (1.0 - share * share).sqrt(), rng);
            slice = (slice + 1.0 + self.step_size / (2.0 * time)).rem_euclid(2.0) - 1.0;
            let mut end = self.step(density, &point);
            let moved = slice * (end.energy() - point.energy()).exp();
            if self.fault == Fault::NoAcceptStep || moved.abs() < 1.0 {
                if self.fault == Fault::FlipOnAcceptance {
                    end.momentum.iter_mut().for_each(|p| *p = -*p);
                }
                point = end;
                if self.fault != Fault::ForgottenSlice && self.fault != Fault::NoAcceptStep {
                    slice = moved;
                }
            } else {
                if self.fault == Fault::RejectedGradient {
                    point.gradient = end.gradient;
                }
                if self.fault != Fault::NoFlip && self.fault != Fault::FlipOnAcceptance {
                    point.momentum.iter_mut().for_each(|p| *p = -*p);
                }
            }
        }
        *position = point.position;
    }
}
