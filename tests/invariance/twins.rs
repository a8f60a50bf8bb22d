//! Hold plain transitions with one fault each, which the conservation test must find.
//!
//! Without a fault they are textbook HMC and NUTS, written once more from the library's public parts: these must pass.

use ergodic::model::{ChainRng, EvaluationError, LogDensity};
use ergodic::sampler::{Integrator, Metric, PhasePoint};
use rand::RngExt;

/// What is wrong with a transition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The end of the trajectory is always accepted.
    NoAcceptStep,
    /// The momentum is never drawn: every transition has the same one.
    KeptMomentum,
    /// Momenta are larger by this factor than their kinetic energy says.
    MomentumScale(f64),
    /// Momenta are drawn with variance M⁻¹ instead of M.
    InvertedMetric,
    /// Along the directions of a low-rank metric, momenta are drawn with its square root instead of the inverse of that.
    InvertedStretch,
    /// Points of a trajectory are chosen uniformly, not by their weights.
    UniformWeights,
    /// A half that turned back inside still enters the trajectory.
    TurnedHalfEnters,
    /// The preference for the new half, right between halves of the whole, is also used inside them.
    BiasedInside,
    /// Trajectories are shorter where the first coordinate is positive.
    LengthFromState,
    /// A macro step is used without asking whether the way back is the same.
    SkippedReversibilityCheck,
}

/// Step size, metric and fault of a plain transition.
#[derive(Debug, Clone)]
pub(crate) struct Twin {
    pub(crate) metric: Metric,
    /// Draws momenta under [`Fault::InvertedMetric`]: the metric with M and M⁻¹ exchanged; under [`Fault::InvertedStretch`] with the
    /// eigenvalues inverted.
    pub(crate) inverted: Metric,
    pub(crate) step_size: f64,
    /// The tolerance and the most halvings of macro steps, for NUTS that refines its steps.
    pub(crate) refined: Option<(f64, u32)>,
    pub(crate) fault: Fault,
}

impl Twin {
    fn start(&self, density: &mut dyn LogDensity, position: &[f64], rng: &mut ChainRng) -> PhasePoint {
        let mut momentum = vec![1.0; position.len()];
        match self.fault {
            Fault::KeptMomentum => {}
            Fault::InvertedMetric | Fault::InvertedStretch => self.inverted.sample_momentum(rng, &mut momentum),
            _ => self.metric.sample_momentum(rng, &mut momentum),
        }
        if let Fault::MomentumScale(scale) = self.fault {
            momentum.iter_mut().for_each(|p| *p *= scale);
        }
        PhasePoint::at(density, &self.metric, position, &momentum).expect("the target evaluates")
    }

    /// One transition of HMC over `length` of time, jittered by half to either side.
    pub(crate) fn hmc(&self, density: &mut dyn LogDensity, position: &mut Vec<f64>, length: f64, rng: &mut ChainRng) {
        let mut point = self.start(density, position, rng);
        let initial = point.energy();
        let shorter = self.fault == Fault::LengthFromState && position[0] > 0.0;
        let length = if shorter { 0.3 * length } else { length };
        let steps = ((0.5 + rng.random::<f64>()) * length / self.step_size).ceil() as usize;
        Integrator::Leapfrog.steps(density, &self.metric, self.step_size, steps, &mut point).expect("the target evaluates");
        let accept = (initial - point.energy()).exp();
        if self.fault == Fault::NoAcceptStep || rng.random::<f64>() < accept {
            *position = point.position;
        }
    }

    /// One transition of NUTS with at most `depth` doublings.
    pub(crate) fn nuts(&self, density: &mut dyn LogDensity, position: &mut Vec<f64>, depth: u32, rng: &mut ChainRng) {
        let point = self.start(density, position, rng);
        let initial = point.energy();
        let mut tree = Tree::leaf(point, 0.0);
        for level in 0..depth {
            let forward = rng.random::<bool>();
            let end = if forward { &tree.last } else { &tree.first }.clone();
            let half = self.build(density, &end, level, forward, initial, rng).expect("the target evaluates");
            if half.ended && self.fault != Fault::TurnedHalfEnters {
                break;
            }
            let ended = half.ended;
            if rng.random::<f64>() < (half.log_weight - tree.log_weight).exp() {
                tree.proposal = half.proposal.clone();
            }
            tree = tree.join(half, forward, &self.metric);
            if ended || tree.ended {
                break;
            }
        }
        *position = tree.proposal.position;
    }

    /// The point `time` after `from`; `None` where a macro step may not be used.
    fn leap(&self, density: &mut dyn LogDensity, from: &PhasePoint, time: f64) -> Result<Option<PhasePoint>, EvaluationError> {
        let Some((tolerance, halvings)) = self.refined else {
            return self.cover(density, from, time, 0).map(|(end, _)| Some(end));
        };
        for halving in 0..=halvings {
            let (end, spread) = self.cover(density, from, time, halving)?;
            if spread <= tolerance {
                for coarser in 0..halving {
                    let back = self.cover(density, &end, -time, coarser)?.1 <= tolerance;
                    if back && self.fault != Fault::SkippedReversibilityCheck {
                        return Ok(None);
                    }
                }
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// The end of 2^`halvings` steps that cover `time`, and the spread of the energies on the way.
    fn cover(
        &self,
        density: &mut dyn LogDensity,
        from: &PhasePoint,
        time: f64,
        halvings: u32,
    ) -> Result<(PhasePoint, f64), EvaluationError> {
        let mut point = from.clone();
        let (mut low, mut high) = (from.energy(), from.energy());
        let steps = 2u32.pow(halvings);
        for _ in 0..steps {
            Integrator::Leapfrog.step(density, &self.metric, time / f64::from(steps), &mut point)?;
            (low, high) = (low.min(point.energy()), high.max(point.energy()));
        }
        Ok((point, high - low))
    }

    /// A subtree of 2^`level` points beyond `end`.
    fn build(
        &self,
        density: &mut dyn LogDensity,
        end: &PhasePoint,
        level: u32,
        forward: bool,
        initial: f64,
        rng: &mut ChainRng,
    ) -> Result<Tree, EvaluationError> {
        if level == 0 {
            let time = if forward { self.step_size } else { -self.step_size };
            let Some(point) = self.leap(density, end, time)? else {
                return Ok(Tree { ended: true, ..Tree::leaf(end.clone(), f64::NEG_INFINITY) });
            };
            let error = point.energy() - initial;
            let mut leaf = Tree::leaf(point, if self.fault == Fault::UniformWeights { 0.0 } else { -error });
            leaf.ended = error > 1000.0;
            return Ok(leaf);
        }
        let mut near = self.build(density, end, level - 1, forward, initial, rng)?;
        if near.ended && self.fault != Fault::TurnedHalfEnters {
            return Ok(near);
        }
        let outer = if forward { near.last.clone() } else { near.first.clone() };
        let far = self.build(density, &outer, level - 1, forward, initial, rng)?;
        let ratio = (far.log_weight - near.log_weight).exp();
        let share = if self.fault == Fault::BiasedInside { ratio } else { ratio / (1.0 + ratio) };
        if rng.random::<f64>() < share || ratio.is_infinite() {
            near.proposal = far.proposal.clone();
        }
        let ended = near.ended || far.ended;
        let mut tree = near.join(far, forward, &self.metric);
        tree.ended |= ended;
        Ok(tree)
    }
}

/// A stretch of a trajectory, in the order of time.
#[derive(Debug, Clone)]
struct Tree {
    first: PhasePoint,
    last: PhasePoint,
    proposal: PhasePoint,
    momentum_sum: Vec<f64>,
    log_weight: f64,
    /// Whether it turned back or diverged.
    ended: bool,
}

impl Tree {
    fn leaf(point: PhasePoint, log_weight: f64) -> Self {
        let momentum_sum = point.momentum.clone();
        Self { first: point.clone(), last: point.clone(), proposal: point, momentum_sum, log_weight, ended: false }
    }

    /// The union with a neighbour; keeps the proposal of `self`.
    fn join(self, other: Self, forward: bool, metric: &Metric) -> Self {
        let (first, last) = if forward { (self.first, other.last) } else { (other.first, self.last) };
        let momentum_sum: Vec<f64> = self.momentum_sum.iter().zip(&other.momentum_sum).map(|(a, b)| a + b).collect();
        let mut velocity = vec![0.0; momentum_sum.len()];
        metric.velocity(&momentum_sum, &mut velocity);
        let along = |point: &PhasePoint| point.momentum.iter().zip(&velocity).map(|(p, v)| p * v).sum::<f64>() > 0.0;
        let ended = !(along(&first) && along(&last));
        let largest = self.log_weight.max(other.log_weight);
        let log_weight = largest + (-(self.log_weight - other.log_weight).abs()).exp().ln_1p();
        Self { first, last, proposal: self.proposal, momentum_sum, log_weight, ended }
    }
}
