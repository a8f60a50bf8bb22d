//! Build the binary tree of a NUTS trajectory: doublings, multinomial proposals, and the no-U-turn criterion.
//!
//! The points of a trajectory live in an arena with reference counts and are never copied: a subtree names its first and last point
//! and its proposal. Because the criterion is the same read backwards, subtrees are kept in the order in which they are integrated,
//! and the direction of time is only the sign of the step.

use crate::{Integrator, Metric, PhasePoint};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use rand::RngExt;

/// Points and sums of momenta, lent out by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arena {
    points: Vec<PhasePoint>,
    /// Number of each point in its trajectory, 0 for the initial one, negative before it.
    indices: Vec<i64>,
    references: Vec<u32>,
    free_points: Vec<usize>,
    sums: Vec<Vec<f64>>,
    free_sums: Vec<usize>,
}

impl Arena {
    /// Takes everything back, with room for trees of `max_depth`.
    ///
    /// A tree in work holds at most three points a level, and one sum. Memory is zeroed by the allocator, so what is never used is
    /// not touched either.
    pub(crate) fn reset(&mut self, dim: usize, metric: &Metric, max_depth: usize) {
        let points = 3 * (max_depth + 2);
        if self.points.len() != points || !self.points[0].fits(dim, metric) {
            self.points = (0..points).map(|_| PhasePoint::new(dim, metric)).collect();
            self.sums = (0..max_depth + 3).map(|_| vec![0.0; dim]).collect();
            self.indices = vec![0; points];
            self.references = vec![0; points];
            self.free_points = Vec::with_capacity(points);
            self.free_sums = Vec::with_capacity(self.sums.len());
        }
        self.free_points.clear();
        self.free_points.extend((0..points).rev());
        self.free_sums.clear();
        self.free_sums.extend((0..self.sums.len()).rev());
    }

    pub(crate) fn point_mut(&mut self, point: usize) -> &mut PhasePoint {
        &mut self.points[point]
    }

    pub(crate) fn index(&self, point: usize) -> i64 {
        self.indices[point]
    }

    /// A point that is first, last and proposal of a subtree of its own.
    fn take(&mut self, index: i64) -> usize {
        let point = self.free_points.pop().expect("the arena has room for every level of the tree");
        self.references[point] = 3;
        self.indices[point] = index;
        point
    }

    fn release(&mut self, point: usize) {
        self.references[point] -= 1;
        if self.references[point] == 0 {
            self.free_points.push(point);
        }
    }

    fn release_sum(&mut self, sum: Option<usize>) {
        self.free_sums.extend(sum);
    }

    /// The sum of momenta over a subtree.
    fn sum(&self, tree: &Subtree) -> &[f64] {
        tree.sum.map_or(&self.points[tree.first].momentum, |sum| &self.sums[sum])
    }

    /// The sum of momenta over two neighbouring subtrees, and whether their union makes a U-turn.
    ///
    /// With ρ the sum of momenta and v = M⁻¹p, a stretch of a trajectory goes on as long as v·ρ > 0 at both its ends (Betancourt 2017,
    /// appendix A.4.2). The ends count by half, which makes ερ the momentum's share of the distance that leapfrog covers: with whole
    /// ends, trajectories of few steps go on too long. It is asked of the whole, and of either half with the next point of the other
    /// one (Stan's extra checks), which catches trajectories that come round between the ends.
    fn join(&mut self, metric: &Metric, left: &Subtree, right: &Subtree) -> (usize, bool) {
        let joined = self.free_sums.pop().expect("the arena has a sum for every level of the tree");
        let mut total = std::mem::take(&mut self.sums[joined]);
        let ends = [left.first, left.last, right.first, right.last].map(|point| &self.points[point]);
        let products = metric.join(ends, [self.sum(left), self.sum(right)], &mut total);
        // For two single points the three checks are one. A product that is not a number ends the trajectory too.
        let turning = !products.iter().all(|product| *product > 0.0);
        self.sums[joined] = total;
        (joined, turning)
    }
}

/// Neighbouring points of a trajectory, in the order of integration.
#[derive(Debug)]
pub(crate) struct Subtree {
    first: usize,
    last: usize,
    proposal: usize,
    /// Sum of momenta; a single point's is its momentum.
    sum: Option<usize>,
    /// Logarithm of the sum of exp(H₀ − H).
    log_weight: f64,
}

/// How a trajectory goes from one of its points to the next.
pub(crate) trait Leap {
    /// Writes the point `time` after `from` to `to`, and says whether it may be used: from there, `-time` must lead back.
    ///
    /// # Errors
    /// When the density cannot be evaluated.
    fn leap(
        &mut self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        time: f64,
        from: &PhasePoint,
        to: &mut PhasePoint,
    ) -> Result<bool, EvaluationError>;
}

impl Leap for Integrator {
    fn leap(
        &mut self,
        density: &mut dyn LogDensity,
        metric: &Metric,
        time: f64,
        from: &PhasePoint,
        to: &mut PhasePoint,
    ) -> Result<bool, EvaluationError> {
        self.step_from(density, metric, time, from, to)?;
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
    pub arena: &'a mut Arena,
    pub rng: &'a mut ChainRng,
    pub initial_energy: f64,
    /// What happened so far.
    pub progress: Progress,
}

/// What happened on a trajectory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
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
    /// Grows from the point `root` of the arena, and returns the number of the proposal in the arena.
    pub(crate) fn grow(&mut self, max_depth: usize, root: usize) -> Result<usize, EvaluationError> {
        let mut tree = Subtree { first: root, last: root, proposal: root, sum: None, log_weight: 0.0 };
        let mut forward = true;
        while self.progress.depth < max_depth {
            if self.rng.random::<bool>() != forward {
                forward = !forward;
                std::mem::swap(&mut tree.first, &mut tree.last);
            }
            let direction = if forward { 1 } else { -1 };
            let Some(new) = self.extend(self.progress.depth, tree.last, direction)? else { break };
            self.progress.depth += 1;

            // Biased progressive sampling prefers the new half; both halves are whole, so the multinomial stays invariant.
            let prefer_new = self.rng.random::<f64>() < (new.log_weight - tree.log_weight).exp();
            let (joined, turning) = self.arena.join(self.metric, &tree, &new);
            let log_weight = log_add_exp(tree.log_weight, new.log_weight);
            tree = self.unite(&tree, &new, joined, log_weight, prefer_new);
            if turning {
                self.progress.turning = true;
                break;
            }
        }
        Ok(tree.proposal)
    }

    /// The 2^`depth` points after `from`; `None` when they hold a divergence or a U-turn, and may not be proposed.
    fn extend(&mut self, depth: usize, from: usize, direction: i64) -> Result<Option<Subtree>, EvaluationError> {
        if depth == 0 {
            return self.leap(from, direction);
        }
        let Some(left) = self.extend(depth - 1, from, direction)? else { return Ok(None) };
        let Some(right) = self.extend(depth - 1, left.last, direction)? else { return Ok(None) };
        let (joined, turning) = self.arena.join(self.metric, &left, &right);
        if turning {
            self.progress.turning = true;
            return Ok(None);
        }
        let log_weight = log_add_exp(left.log_weight, right.log_weight);
        let choose_right = self.rng.random::<f64>() < (right.log_weight - log_weight).exp();
        Ok(Some(self.unite(&left, &right, joined, log_weight, choose_right)))
    }

    /// One step, to a subtree of one point; `None` when the point may not be proposed.
    fn leap(&mut self, from: usize, direction: i64) -> Result<Option<Subtree>, EvaluationError> {
        let point = self.arena.take(self.arena.index(from) + direction);
        let [from, to] = self.arena.points.get_disjoint_mut([from, point]).expect("a free point is not in use");
        let usable = self.leaper.leap(self.density, self.metric, direction as f64 * self.step_size, from, to)?;
        let progress = &mut self.progress;
        progress.n_leaps += 1;
        if !usable {
            return Ok(None);
        }
        let energy_error = to.energy() - self.initial_energy;
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
        Ok(Some(Subtree { first: point, last: point, proposal: point, sum: None, log_weight: -energy_error }))
    }

    fn unite(&mut self, left: &Subtree, right: &Subtree, sum: usize, log_weight: f64, choose_right: bool) -> Subtree {
        let (proposal, rejected) = if choose_right { (right.proposal, left.proposal) } else { (left.proposal, right.proposal) };
        for point in [rejected, left.last, right.first] {
            self.arena.release(point);
        }
        self.arena.release_sum(left.sum);
        self.arena.release_sum(right.sum);
        Subtree { first: left.first, last: right.last, proposal, sum: Some(sum), log_weight }
    }
}

/// `ln(eᵃ + eᵇ)` without overflow.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let high = a.max(b);
    if high == f64::NEG_INFINITY { high } else { high + (-(a - b).abs()).exp().ln_1p() }
}

/// Takes the root of a trajectory from the arena.
pub(crate) fn take_root(arena: &mut Arena) -> usize {
    arena.take(0)
}
