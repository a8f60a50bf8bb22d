//! Test whether one transition turns exact draws into exact draws.
//!
//! Take N independent draws from the target, move each by one transition, and compare statistics of the result with those of N fresh
//! draws, by the two-sample Kolmogorov–Smirnov distance D. When both have the same distribution, P(D > t) ≤ 2 exp(−N t²) (Wei and
//! Dudley 2012, for N ≥ 458). The threshold is Bonferroni's over every statistic of every experiment.
//!
//! Power: when the distribution function of a statistic is off by δ anywhere, D > δ − 2 √(ln(4/β) / 2N) with probability 1 − β
//! (Dvoretzky, Kiefer and Wolfowitz, for each sample), so that any effect above [`Conservation::detectable`] is found with probability 0.99.

use ergodic::model::{ChainRng, LogDensity, Purpose, stream};
use ergodic_targets::{ExactDraws, KnownMoments};
use rand::RngExt;

/// Family-wise rate of false alarms over all experiments.
const FALSE_ALARM: f64 = 1e-6;
/// An upper bound on the number of experiments that must pass.
const EXPERIMENTS: f64 = 256.0;
/// An upper bound on the statistics of one experiment.
pub(crate) const STATISTICS: usize = 32;
/// Number of random directions that positions are projected on.
const PROJECTIONS: usize = 4;

/// What every experiment needs of its target.
pub(crate) trait Target: LogDensity + ExactDraws + KnownMoments + Clone {}
impl<T: LogDensity + ExactDraws + KnownMoments + Clone> Target for T {}

/// The outcome of one experiment.
#[derive(Debug)]
pub(crate) struct Conservation {
    /// The largest Kolmogorov–Smirnov distance over the statistics, and the statistic's name.
    pub(crate) distance: (f64, String),
    /// Mean over coordinates of E (x' − x)² / (2 Var x): 1 for independent draws, 0 for a chain that stays.
    pub(crate) movement: f64,
}

impl Conservation {
    /// Exact draws in one experiment.
    pub(crate) const DRAWS: usize = 100_000;

    /// The distance above which a transition does not conserve the target.
    pub(crate) fn threshold() -> f64 {
        threshold(Self::DRAWS)
    }

    /// The error of a distribution function that is found with probability 0.99.
    pub(crate) fn detectable() -> f64 {
        detectable(Self::DRAWS)
    }

    pub(crate) fn holds(&self) -> bool {
        self.distance.0 < Self::threshold()
    }

    /// Moves exact draws of `target` by one `transition` each and compares.
    pub(crate) fn test<T: Target>(target: &T, mut transition: impl FnMut(&mut Vec<f64>, &mut ChainRng), seed: u64) -> Self {
        let observer = Observer::new(target, seed);
        let mut rng = stream(seed, 0, Purpose::Test);
        let mut fresh_rng = stream(seed, 1, Purpose::Test);
        let mut evaluator = target.clone();
        let (mut moved, mut fresh) = (observer.columns(), observer.columns());
        let (mut start, mut position) = (vec![0.0; target.dim()], vec![0.0; target.dim()]);
        let mut movement = 0.0;
        for _ in 0..Self::DRAWS {
            target.draw(&mut rng, &mut start);
            position.copy_from_slice(&start);
            transition(&mut position, &mut rng);
            movement += observer.movement(&start, &position);
            observer.observe(&mut evaluator, &position, &mut moved);
            target.draw(&mut fresh_rng, &mut position);
            observer.observe(&mut evaluator, &position, &mut fresh);
        }
        let distances = moved.into_iter().zip(fresh).enumerate().map(|(k, (a, b))| (distance(a, b), observer.name(k)));
        let distance = distances.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are statistics");
        Self { distance, movement: movement / Self::DRAWS as f64 }
    }
}

/// Computes the statistics: coordinates, random projections, radius and log density.
struct Observer {
    mean: Vec<f64>,
    sd: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

impl Observer {
    fn new<T: Target>(target: &T, seed: u64) -> Self {
        let mean = target.mean().expect("the target's mean is known");
        let sd: Vec<f64> = target.variance().expect("the target's variance is known").iter().map(|v| v.sqrt()).collect();
        let mut rng = stream(seed, 2, Purpose::Test);
        let directions = (0..PROJECTIONS).map(|_| mean.iter().map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        assert!(mean.len() + PROJECTIONS + 2 <= STATISTICS, "the Bonferroni bound counts every statistic");
        Self { mean, sd, directions }
    }

    fn columns(&self) -> Vec<Vec<f64>> {
        vec![Vec::new(); self.mean.len() + self.directions.len() + 2]
    }

    fn name(&self, statistic: usize) -> String {
        let dim = self.mean.len();
        match statistic {
            k if k < dim => format!("coordinate {k}"),
            k if k < dim + PROJECTIONS => format!("projection {}", k - dim),
            k if k == dim + PROJECTIONS => "radius".to_owned(),
            _ => "log density".to_owned(),
        }
    }

    fn standardised<'a>(&'a self, position: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        position.iter().zip(&self.mean).zip(&self.sd).map(|((x, mean), sd)| (x - mean) / sd)
    }

    fn movement(&self, start: &[f64], end: &[f64]) -> f64 {
        let sum: f64 = self.standardised(start).zip(self.standardised(end)).map(|(a, b)| (a - b).powi(2)).sum();
        0.5 * sum / start.len() as f64
    }

    fn observe<T: Target>(&self, target: &mut T, position: &[f64], columns: &mut [Vec<f64>]) {
        let dim = position.len();
        for (column, x) in columns.iter_mut().zip(position) {
            column.push(*x);
        }
        for (column, direction) in columns[dim..].iter_mut().zip(&self.directions) {
            column.push(self.standardised(position).zip(direction).map(|(z, d)| z * d).sum());
        }
        columns[dim + PROJECTIONS].push(self.standardised(position).map(|z| z * z).sum());
        let mut gradient = [0.0; STATISTICS];
        let value = target.log_density_and_gradient(position, &mut gradient[..dim]).expect("the target evaluates");
        columns[dim + PROJECTIONS + 1].push(value);
    }
}

/// The distance above which two samples of `draws` each differ.
pub(crate) fn threshold(draws: usize) -> f64 {
    let each = FALSE_ALARM / (EXPERIMENTS * STATISTICS as f64);
    ((2.0 / each).ln() / draws as f64).sqrt()
}

/// The error of a distribution function that two samples of `draws` each show with probability 0.99.
pub(crate) fn detectable(draws: usize) -> f64 {
    threshold(draws) + 2.0 * ((4.0f64 / 0.01).ln() / (2.0 * draws as f64)).sqrt()
}

/// The Kolmogorov–Smirnov distance of two samples.
pub(crate) fn distance(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        i += a[i..].iter().take_while(|&&y| y <= x).count();
        j += b[j..].iter().take_while(|&&y| y <= x).count();
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

#[test]
fn distances_are_those_of_distribution_functions() {
    assert_eq!(distance(vec![1.0, 2.0], vec![3.0, 4.0]), 1.0);
    assert_eq!(distance(vec![4.0, 1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0, 4.0]), 0.0);
    assert_eq!(distance(vec![1.0, 1.0, 5.0, 9.0], vec![1.0, 5.0, 5.0, 9.0]), 0.25);
}
