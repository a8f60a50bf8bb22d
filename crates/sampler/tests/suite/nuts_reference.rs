//! Compare NUTS with a plain one that keeps every point and checks every stretch from its definition.

use crate::support::autoregression;
use ergodic_model::{ChainRng, LogDensity, Purpose, stream};
use ergodic_sampler::{BuildContext, HamiltonianKernel, Integrator, Kernel, Method, Metric, Nuts, PhasePoint, Warmup};
use nalgebra::DMatrix;
use rand::RngExt;

const MAX_DEPTH: usize = 6;

/// What a transition did: number of the chosen point, doublings, steps, whether it diverged, and where it ended.
#[derive(Debug)]
struct Outcome {
    index: i64,
    depth: usize,
    n_steps: usize,
    diverging: bool,
    position: Vec<f64>,
}

impl Outcome {
    fn equals(&self, other: &Self) -> bool {
        let near = self.position.iter().zip(&other.position).all(|(a, b)| (a - b).abs() < 1e-9);
        near && (self.index, self.depth, self.n_steps, self.diverging)
            == (other.index, other.depth, other.n_steps, other.diverging)
    }
}

/// A trajectory as a plain list of points in the order of time, with the number of each.
struct Reference<'a> {
    density: &'a mut dyn LogDensity,
    metric: &'a Metric,
    step_size: f64,
    rng: ChainRng,
    initial_energy: f64,
    limit: f64,
    /// Whether the checks across halves are made.
    across: bool,
    n_steps: usize,
    diverging: bool,
}

type Point = (i64, PhasePoint);

impl Reference<'_> {
    fn weight(&self, points: &[Point]) -> f64 {
        points.iter().map(|(_, point)| (self.initial_energy - point.energy()).exp()).sum()
    }

    /// v·ρ > 0 at both ends, with ρ summed over the stretch, its ends by half.
    fn goes_on(&self, stretch: &[&PhasePoint]) -> bool {
        let dim = stretch[0].momentum.len();
        let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
        let whole = |i: usize| stretch.iter().map(|point| point.momentum[i]).sum::<f64>();
        let sum: Vec<f64> = (0..dim).map(|i| whole(i) - 0.5 * (first.momentum[i] + last.momentum[i])).collect();
        let along = |point: &PhasePoint| {
            let mut velocity = vec![0.0; dim];
            self.metric.velocity(&point.momentum, &mut velocity);
            velocity.iter().zip(&sum).map(|(v, s)| v * s).sum::<f64>()
        };
        along(first) > 0.0 && along(last) > 0.0
    }

    fn turning(&self, left: &[Point], right: &[Point]) -> bool {
        let all: Vec<&PhasePoint> = left.iter().chain(right).map(|(_, point)| point).collect();
        let middle = left.len();
        !self.goes_on(&all) || self.across && (!self.goes_on(&all[..=middle]) || !self.goes_on(&all[middle - 1..]))
    }

    /// The 2^depth points after `from`, in the order of integration. After each point one of them is chosen: the new one with its share
    /// of the weight of all `so_far` in this half.
    fn extend(&mut self, depth: usize, from: &Point, direction: i64, so_far: &mut (f64, Option<Point>)) -> Option<Vec<Point>> {
        if depth == 0 {
            let mut point = from.1.clone();
            let step_size = direction as f64 * self.step_size;
            Integrator::Leapfrog.step(self.density, self.metric, step_size, &mut point).unwrap();
            self.n_steps += 1;
            self.diverging = point.energy() - self.initial_energy > self.limit;
            let point = (from.0 + direction, point);
            if self.diverging {
                return None;
            }
            let own = self.weight(std::slice::from_ref(&point));
            so_far.0 += own;
            if so_far.1.is_none() || self.rng.random::<f64>() < own / so_far.0 {
                so_far.1 = Some(point.clone());
            }
            return Some(vec![point]);
        }
        let mut left = self.extend(depth - 1, from, direction, so_far)?;
        let right = self.extend(depth - 1, &left[left.len() - 1].clone(), direction, so_far)?;
        if self.turning(&left, &right) {
            return None;
        }
        left.extend(right);
        Some(left)
    }

    fn transition(&mut self, root: PhasePoint) -> Outcome {
        let mut points = vec![(0, root)];
        let mut chosen = points[0].clone();
        let mut depth = 0;
        let mut forward = true;
        while depth < MAX_DEPTH {
            if self.rng.random::<bool>() != forward {
                forward = !forward;
                points.reverse();
            }
            let direction = if forward { 1 } else { -1 };
            let last = points[points.len() - 1].clone();
            let mut so_far = (0.0, None);
            let Some(new) = self.extend(depth, &last, direction, &mut so_far) else { break };
            depth += 1;
            if self.rng.random::<f64>() < self.weight(&new) / self.weight(&points)
                && let Some(proposal) = so_far.1
            {
                chosen = proposal;
            }
            let turning = self.turning(&points, &new);
            points.extend(new);
            if turning {
                break;
            }
        }
        let (n_steps, diverging) = (self.n_steps, self.diverging);
        Outcome { index: chosen.0, depth, n_steps, diverging, position: chosen.1.position }
    }
}

/// Runs both from the same states with the same random numbers; counts transitions that differ, of each depth.
fn compare(metric: &Metric, step_size: f64, limit: f64, across: bool) -> (usize, [usize; MAX_DEPTH + 1], usize) {
    let mut density = autoregression(3, 0.6);
    let settings =
        Nuts { max_tree_depth: MAX_DEPTH, max_energy_error: limit, adaptation: Warmup::Fixed { step_size }, ..Nuts::default() };
    let (mut kernel, _) = settings.build(&BuildContext { dim: 3, warmup: 0, prior_scales: &[1.0; 3], blocks: &[] });
    kernel.set_metric(metric.clone());
    let mut rng = stream(9, 0, Purpose::Test);
    let mut state = kernel.init(&mut density, &[0.5, -0.2, 1.0]).unwrap();
    let (mut different, mut depths, mut divergences) = (0, [0; MAX_DEPTH + 1], 0);
    for _ in 0..1500 {
        let mut root = PhasePoint::at(&mut density, metric, &state.position, &[0.0; 3]).unwrap();
        let mut reference_rng = rng.clone();
        root.draw_momentum(metric, &mut reference_rng);
        let mut reference = Reference {
            initial_energy: root.energy(),
            density: &mut autoregression(3, 0.6),
            metric,
            step_size,
            rng: reference_rng,
            limit,
            across,
            n_steps: 0,
            diverging: false,
        };
        let expected = reference.transition(root);
        let info = kernel.step(&mut density, &mut state, &mut rng).unwrap();
        let found = Outcome {
            index: info.index_in_trajectory,
            depth: info.tree_depth,
            n_steps: info.n_steps,
            diverging: info.diverging,
            position: state.position.clone(),
        };
        different += usize::from(!found.equals(&expected));
        depths[info.tree_depth] += 1;
        divergences += usize::from(info.diverging);
    }
    (different, depths, divergences)
}

#[test]
fn transitions_equal_those_of_the_plain_sampler() {
    let dense = DMatrix::from_row_slice(3, 3, &[1.0, 0.6, 0.36, 0.6, 1.0, 0.6, 0.36, 0.6, 1.0]);
    let metrics = [Metric::unit(), Metric::diagonal(vec![0.5, 2.0, 1.0]).unwrap(), Metric::dense(dense).unwrap()];
    for metric in &metrics {
        for step_size in [0.05, 0.3, 0.9] {
            let (different, depths, _) = compare(metric, step_size, 1000.0, true);
            assert_eq!(different, 0, "step size {step_size}");
            assert!(depths.iter().filter(|count| **count > 0).count() >= 2, "trees of several depths: {depths:?}");
        }
    }
    let (different, _, divergences) = compare(&metrics[0], 1.1, 0.8, true);
    assert_eq!(different, 0);
    assert!(divergences > 50, "divergences are compared too: {divergences}");
}

#[test]
fn a_sampler_without_the_checks_across_halves_is_told_apart() {
    let (different, ..) = compare(&Metric::unit(), 0.3, 1000.0, false);
    assert!(different > 10, "{different}");
}
