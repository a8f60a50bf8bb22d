//! Build the binary tree of a NUTS trajectory: doublings, multinomial proposals, and the no-U-turn criterion.
//!
//! Of the points of a trajectory no more is kept than is asked for again, so that weights by the million fit. Its two ends are whole
//! points, of which one is integrated in place. A stretch of it is the momenta at its ends and their sum, whitened and in single
//! precision. The proposal is the chain's state itself, and that of a half in the making one more position and gradient. Because the
//! criterion is the same read backwards, stretches are kept in the order in which they are integrated, and the direction of time is
//! only the sign of the step.

use crate::vector::{Stretches, join};
use crate::{GradientState, Integrator, Metric, PhasePoint};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;

/// Memory of trajectories, made when one first grows to need it and kept for the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arena {
    /// The end that is integrated, and the other one.
    ends: Option<[PhasePoint; 2]>,
    /// What the half in the making proposes.
    candidate: Candidate,
    /// The stretches of the half in the making that wait for their neighbours, each at most half as long as the one before.
    waiting: Vec<Stretch>,
    /// Vectors that nobody uses.
    free: Vec<Vec<f32>>,
    /// Room for whitening, where the metric needs it.
    scratch: Vec<f64>,
}

/// A point that may become the proposal.
#[derive(Debug, Clone, Default)]
struct Candidate {
    position: Vec<f64>,
    gradient: Vec<f64>,
    log_density: f64,
    found: Found,
}

/// Which point of a trajectory was chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    /// Number of the point, 0 for the initial one, negative before it.
    pub index: i64,
    /// Its Hamiltonian, in nats.
    pub energy: f64,
}

/// Neighbouring points of a trajectory, in the order of integration: whitened momenta at the ends, and their sum over all points.
#[derive(Debug, Clone, Default)]
struct Stretch {
    first: Vec<f32>,
    /// Empty for a single point, like the sum: both are its momentum.
    last: Vec<f32>,
    sum: Vec<f32>,
}

impl Stretch {
    fn ends(&self) -> [&[f32]; 2] {
        [&self.first, if self.last.is_empty() { &self.first } else { &self.last }]
    }

    fn sum(&self) -> &[f32] {
        if self.sum.is_empty() { &self.first } else { &self.sum }
    }

    fn reverse(&mut self) {
        if !self.last.is_empty() {
            std::mem::swap(&mut self.first, &mut self.last);
        }
    }
}

impl Arena {
    /// Room for points of `dim` coordinates, and for the numbers of trees of `max_depth`.
    fn reserve(&mut self, dim: usize, metric: &Metric, max_depth: usize) {
        if self.ends.as_ref().is_none_or(|ends| !ends[0].fits(dim, metric)) {
            let (position, gradient) = (vec![0.0; dim], vec![0.0; dim]);
            let candidate = Candidate { position, gradient, ..Candidate::default() };
            *self = Self { ends: Some([0, 1].map(|_| PhasePoint::new(dim, metric))), candidate, ..Self::default() };
        }
        self.waiting.reserve(max_depth + 1);
        self.free.reserve(3 * (max_depth + 2));
    }

    /// A stretch of one point.
    fn stretch_of(&mut self, metric: &Metric, momentum: &[f64]) -> Stretch {
        let mut first = self.take(momentum.len());
        metric.whiten(momentum, &mut self.scratch, &mut first);
        Stretch { first, ..Stretch::default() }
    }

    fn take(&mut self, dim: usize) -> Vec<f32> {
        self.free.pop().unwrap_or_else(|| vec![0.0; dim])
    }

    fn release(&mut self, vectors: impl IntoIterator<Item = Vec<f32>>) {
        self.free.extend(vectors.into_iter().filter(|vector| !vector.is_empty()));
    }

    fn release_stretch(&mut self, Stretch { first, last, sum }: Stretch) {
        self.release([first, last, sum]);
    }

    /// Joins two neighbouring stretches, and says whether their union makes a U-turn.
    ///
    /// With ρ the sum of momenta and v = M⁻¹p, a stretch of a trajectory goes on as long as v·ρ > 0 at both its ends (Betancourt 2017,
    /// appendix A.4.2). The ends count by half, which makes ερ the momentum's share of the distance that leapfrog covers: with whole
    /// ends, trajectories of few steps go on too long. It is asked of the whole, and of either half with the next point of the other
    /// one (Stan's extra checks), which catches trajectories that come round between the ends.
    fn join(&mut self, left: Stretch, right: Stretch) -> (Stretch, bool) {
        let mut total = self.take(left.first.len());
        let sums = [left.sum(), right.sum()];
        let products = join(Stretches { left: left.ends(), right: right.ends(), sums }, &mut total);
        // For two single points the three checks are one. A product that is not a number ends the trajectory too.
        let turning = !products.iter().all(|product| *product > 0.0);
        let (last, inner) = if right.last.is_empty() { (right.first, Vec::new()) } else { (right.last, right.first) };
        self.release([left.last, left.sum, inner, right.sum]);
        (Stretch { first: left.first, last, sum: total }, turning)
    }
}

/// How a trajectory goes from one of its points to the next.
pub(crate) trait Leap {
    /// Moves `point` by `time`, and says whether its end may be used: from there, `-time` must lead back. Where it may not, whatever is
    /// left in `point` is not used.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    fn leap(
        &mut self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        time: f64,
        point: &mut PhasePoint,
    ) -> Result<bool, EvaluationError>;
}

impl Leap for Integrator {
    fn leap(
        &mut self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        time: f64,
        point: &mut PhasePoint,
    ) -> Result<bool, EvaluationError> {
        self.step(density, metric, time, point)?;
        Ok(true)
    }
}

/// A trajectory that grows by doublings.
pub(crate) struct Trajectory<'a, L> {
    pub density: &'a mut dyn LogDensity,
    pub metric: &'a Metric,
    pub leaper: L,
    pub step_size: f64,
    pub max_energy_error: f64,
    pub rng: &'a mut ChainRng,
    /// What happened so far.
    pub progress: Progress,
}

/// What happened on a trajectory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Hamiltonian of the initial point, in nats.
    pub initial_energy: f64,
    /// Points that were reached for, those that may not be used too.
    pub n_leaps: usize,
    pub depth: usize,
    pub acceptance_sum: f64,
    pub symmetric_sum: f64,
    pub max_energy_error: f64,
    pub diverging: bool,
    pub turning: bool,
}

impl<L: Leap> Trajectory<'_, L> {
    /// Draws a momentum, grows from `state`, and moves it to the proposal.
    pub(crate) fn grow(
        &mut self,
        arena: &mut Arena,
        max_depth: usize,
        state: &mut GradientState,
    ) -> Result<Found, EvaluationError> {
        arena.reserve(state.position.len(), self.metric, max_depth);
        let [mut near, mut far] = arena.ends.take().expect("room for the ends was just made");
        near.set_position(&state.position, &state.gradient, state.log_density);
        near.draw_momentum(self.metric, self.rng);
        far.copy_from(&near);
        let mut ends = Ends { points: [near, far], indices: [0, 0] };
        self.progress.initial_energy = ends.points[0].energy();
        let grown = self.double(arena, max_depth, state, &mut ends);
        arena.ends = Some(ends.points);
        grown
    }

    fn double(
        &mut self,
        arena: &mut Arena,
        max_depth: usize,
        state: &mut GradientState,
        ends: &mut Ends,
    ) -> Result<Found, EvaluationError> {
        let mut tree = arena.stretch_of(self.metric, &ends.points[0].momentum);
        let mut log_weight = 0.0;
        let mut proposal = Found { index: 0, energy: self.progress.initial_energy };
        let mut forward = true;
        while self.progress.depth < max_depth {
            if self.rng.random::<bool>() != forward {
                forward = !forward;
                tree.reverse();
                ends.points.swap(0, 1);
                ends.indices.swap(0, 1);
            }
            let direction = if forward { 1 } else { -1 };
            let Some((new, new_log_weight)) = self.extend(arena, 1 << self.progress.depth, ends, direction)? else { break };
            self.progress.depth += 1;

            // Biased progressive sampling prefers the new half; both halves are whole, so the multinomial stays invariant.
            if self.rng.random::<f64>() < (new_log_weight - log_weight).exp() {
                let candidate = &mut arena.candidate;
                std::mem::swap(&mut state.position, &mut candidate.position);
                std::mem::swap(&mut state.gradient, &mut candidate.gradient);
                state.log_density = candidate.log_density;
                proposal = candidate.found;
            }
            log_weight = log_add_exp(log_weight, new_log_weight);
            let (joined, turning) = arena.join(tree, new);
            tree = joined;
            if turning {
                self.progress.turning = true;
                break;
            }
        }
        while let Some(stretch) = arena.waiting.pop() {
            arena.release_stretch(stretch);
        }
        arena.release_stretch(tree);
        Ok(proposal)
    }

    /// The `length` points after the near end, and the logarithm of their weight, the sum of exp(H₀ − H); one of them, drawn by weight,
    /// is the candidate. `None` when they hold a divergence or a U-turn, and may not be proposed.
    fn extend(
        &mut self,
        arena: &mut Arena,
        length: usize,
        ends: &mut Ends,
        direction: i64,
    ) -> Result<Option<(Stretch, f64)>, EvaluationError> {
        let mut log_weight = f64::NEG_INFINITY;
        for number in 0..length {
            let Some(own) = self.leap(ends, direction)? else { return Ok(None) };
            log_weight = log_add_exp(log_weight, own);
            // Each point takes the candidate's place with its share of the weight so far, which leaves each with its share of the whole.
            if number == 0 || self.rng.random::<f64>() < (own - log_weight).exp() {
                let (point, candidate) = (&ends.points[0], &mut arena.candidate);
                candidate.position.copy_from_slice(&point.position);
                candidate.gradient.copy_from_slice(&point.gradient);
                candidate.log_density = point.log_density;
                candidate.found = Found { index: ends.indices[0], energy: point.energy() };
            }
            let mut stretch = arena.stretch_of(self.metric, &ends.points[0].momentum);
            // The stretches that end with this point are as many as its number has ones at its end.
            for _ in 0..number.trailing_ones() {
                let left = arena.waiting.pop().expect("a neighbour waits for every one of the number");
                let (joined, turning) = arena.join(left, stretch);
                stretch = joined;
                if turning {
                    self.progress.turning = true;
                    arena.release_stretch(stretch);
                    return Ok(None);
                }
            }
            arena.waiting.push(stretch);
        }
        let whole = arena.waiting.pop().expect("the stretches of all points have been joined to one");
        Ok(Some((whole, log_weight)))
    }

    /// One step of the near end, and the logarithm of its weight; `None` when the point may not be proposed.
    fn leap(&mut self, ends: &mut Ends, direction: i64) -> Result<Option<f64>, EvaluationError> {
        let point = &mut ends.points[0];
        ends.indices[0] += direction;
        let usable = self.leaper.leap(self.density, self.metric, direction as f64 * self.step_size, point)?;
        let progress = &mut self.progress;
        progress.n_leaps += 1;
        if !usable {
            return Ok(None);
        }
        let energy_error = point.energy() - progress.initial_energy;
        let weight = (-energy_error).exp();
        progress.acceptance_sum += weight.min(1.0);
        progress.symmetric_sum += 2.0 * weight.min(1.0) / (1.0 + weight);
        if energy_error.abs() > progress.max_energy_error.abs() {
            progress.max_energy_error = energy_error;
        }
        if energy_error > self.max_energy_error {
            progress.diverging = true;
            return Ok(None);
        }
        Ok(Some(-energy_error))
    }
}

/// The ends of a trajectory, the one that is integrated first, and their numbers.
struct Ends {
    points: [PhasePoint; 2],
    indices: [i64; 2],
}

/// `ln(eᵃ + eᵇ)` without overflow.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let high = a.max(b);
    if high == f64::NEG_INFINITY { high } else { high + (-(a - b).abs()).exp().ln_1p() }
}
