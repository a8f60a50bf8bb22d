//! Hold plain microcanonical transitions with one fault each, which the conservation test must find.
//!
//! Without a fault they are MAMS and isokinetic GHMC with slice acceptance, written once more from the papers' formulas: these must pass.

use ergodic::model::{ChainRng, LogDensity};
use rand::RngExt;
use rand_distr::StandardNormal;

/// What is wrong with a transition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Every step or trajectory is accepted.
    NoAcceptStep,
    /// The kinetic energy is ln(cosh δ + c sinh δ), without its factor D − 1.
    NoDimension,
    /// Its factor is D instead of D − 1.
    FullDimension,
    /// The kinetic energy is left out, as if the dynamics conserved volume.
    NoJacobian,
    /// The direction is never drawn: every transition begins with the same one.
    KeptDirection,
    /// The direction is not turned round after a rejection.
    NoFlip,
    /// The slice variable is left as it was after an accepted step.
    ForgottenSlice,
    /// The normals behind directions are larger by this factor in the first half of the coordinates.
    UnevenNoise(f64),
    /// The noise of a partial refreshment is larger by this factor: harmless, for any amount of noise leaves a uniform direction uniform.
    RefreshmentScale(f64),
}

/// Step size and fault of a plain transition with leapfrog in unscaled coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Twin {
    pub(crate) step_size: f64,
    pub(crate) fault: Fault,
}

/// Position, direction, gradient and log density.
#[derive(Debug, Clone)]
struct Point {
    x: Vec<f64>,
    u: Vec<f64>,
    gradient: Vec<f64>,
    log_density: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn normalise(u: &mut [f64]) {
    let length = dot(u, u).sqrt();
    u.iter_mut().for_each(|u| *u /= length);
}

impl Point {
    /// Turns the direction over `time` at the present gradient; returns the kinetic energy.
    fn kick(&mut self, time: f64) -> f64 {
        let freedom = self.x.len() as f64 - 1.0;
        let length = dot(&self.gradient, &self.gradient).sqrt();
        let delta = time * length / freedom;
        let cosine = dot(&self.u, &self.gradient) / length;
        let along = (delta.sinh() + cosine * (delta.cosh() - 1.0)) / length;
        self.u.iter_mut().zip(&self.gradient).for_each(|(u, g)| *u += along * g);
        normalise(&mut self.u);
        freedom * (delta.cosh() + cosine * delta.sinh()).ln()
    }

    /// One leapfrog step; returns the kinetic energy.
    fn leapfrog(&mut self, density: &mut dyn LogDensity, step_size: f64) -> f64 {
        let first = self.kick(0.5 * step_size);
        self.x.iter_mut().zip(&self.u).for_each(|(x, u)| *x += step_size * u);
        self.log_density = density.log_density_and_gradient(&self.x, &mut self.gradient).expect("the target evaluates");
        first + self.kick(0.5 * step_size)
    }
}

impl Twin {
    fn noise(&self, dim: usize, rng: &mut ChainRng) -> Vec<f64> {
        let scale = |i: usize| match self.fault {
            Fault::UnevenNoise(factor) if i < dim / 2 => factor,
            _ => 1.0,
        };
        (0..dim).map(|i| scale(i) * rng.sample::<f64, _>(StandardNormal)).collect()
    }

    fn start(&self, density: &mut dyn LogDensity, position: &[f64], rng: &mut ChainRng) -> Point {
        let mut u =
            if self.fault == Fault::KeptDirection { vec![1.0; position.len()] } else { self.noise(position.len(), rng) };
        normalise(&mut u);
        let mut gradient = vec![0.0; position.len()];
        let log_density = density.log_density_and_gradient(position, &mut gradient).expect("the target evaluates");
        Point { x: position.to_vec(), u, gradient, log_density }
    }

    fn energy_error(&self, kinetic: f64, gain: f64, dim: usize) -> f64 {
        let freedom = dim as f64 - 1.0;
        let kinetic = match self.fault {
            Fault::NoDimension => kinetic / freedom,
            Fault::FullDimension => kinetic * (freedom + 1.0) / freedom,
            Fault::NoJacobian => 0.0,
            _ => kinetic,
        };
        kinetic - gain
    }

    /// One transition of MAMS with 1 to 2n − 1 steps, all equally likely.
    pub(crate) fn mams(&self, density: &mut dyn LogDensity, position: &mut Vec<f64>, n: usize, rng: &mut ChainRng) {
        let mut point = self.start(density, position, rng);
        let initial = point.log_density;
        let steps = rng.random_range(1..2 * n);
        let kinetic: f64 = (0..steps).map(|_| point.leapfrog(density, self.step_size)).sum();
        let error = self.energy_error(kinetic, point.log_density - initial, position.len());
        if self.fault == Fault::NoAcceptStep || rng.random::<f64>() < (-error).exp() {
            *position = point.x;
        }
    }

    /// `steps` steps of isokinetic GHMC with slice acceptance, refreshed over the decoherence length `length` before each.
    pub(crate) fn slice_ghmc(
        &self,
        density: &mut dyn LogDensity,
        position: &mut Vec<f64>,
        steps: usize,
        length: f64,
        rng: &mut ChainRng,
    ) {
        let dim = position.len();
        let mut point = self.start(density, position, rng);
        let mut slice = 2.0 * rng.random::<f64>() - 1.0;
        let scale = if let Fault::RefreshmentScale(factor) = self.fault { factor } else { 1.0 };
        let nu = scale * ((2.0 * self.step_size / length).exp_m1() / dim as f64).sqrt();
        for _ in 0..steps {
            let noise = self.noise(dim, rng);
            point.u.iter_mut().zip(noise).for_each(|(u, z)| *u += nu * z);
            normalise(&mut point.u);
            slice = (slice + 1.0 + self.step_size / (2.0 * length)).rem_euclid(2.0) - 1.0;
            let mut proposal = point.clone();
            let kinetic = proposal.leapfrog(density, self.step_size);
            let error = self.energy_error(kinetic, proposal.log_density - point.log_density, dim);
            let moved = slice * error.exp();
            if self.fault == Fault::NoAcceptStep || moved.abs() < 1.0 {
                point = proposal;
                if self.fault != Fault::ForgottenSlice && self.fault != Fault::NoAcceptStep {
                    slice = moved;
                }
            } else if self.fault != Fault::NoFlip {
                point.u.iter_mut().for_each(|u| *u = -*u);
            }
        }
        *position = point.x;
    }
}
