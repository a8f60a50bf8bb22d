//! Check that splitting rows into parts changes no bit with the number of threads, and no value beyond rounding.

use super::parts::{SplitGradient, part_rows};
use super::{Activation, DenseNetwork as Network, FusedData, FusedGradient};
use crate::RowThreads;
use crate::likelihood_block::BlockLikelihood;
use crate::simd::Real;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Arc;

fn number(seed: usize, i: usize) -> f64 {
    ((seed as f64 + 1.0) * 12.9898 + i as f64 * 78.233).sin()
}

fn network() -> Network {
    Network::dense(70, &[64, 9], Activation::Tanh, 3).unwrap()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Rows of the smallest gradient of two parts.
fn two_parts(network: &Network) -> usize {
    (1..).map(|panels| panels * 64).find(|&rows| part_rows(network, rows) < rows).unwrap()
}

struct Case {
    network: Arc<Network>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

/// A value, and the gradients of weights and parameters.
type Outcome = (f64, Vec<f64>, Vec<f64>);

impl Case {
    fn new(rows: usize) -> Self {
        let network = network();
        Self {
            inputs: (0..rows * network.num_inputs()).map(|i| number(2, i)).collect(),
            targets: (0..rows * network.num_outputs()).map(|i| number(1, i)).collect(),
            weights: (0..network.num_weights()).map(|i| 0.4 * number(3, i)).collect(),
            network: Arc::new(network),
        }
    }

    fn data<E: Real>(&self) -> Arc<FusedData<E>> {
        Arc::new(FusedData::new(&self.inputs, self.network.num_inputs(), &self.targets, self.network.num_outputs()))
    }

    fn split<E: Real>(&self, threads: RowThreads) -> SplitGradient<E> {
        SplitGradient::new(Arc::clone(&self.network), self.data(), BlockLikelihood::GaussianLearnedNoise, threads)
    }

    fn evaluate<E: Real>(&self, split: &mut SplitGradient<E>, rows: Option<&[usize]>) -> Outcome {
        let (mut weights, mut parameters) = (vec![f64::NAN; self.weights.len()], vec![f64::NAN]);
        let value = split.log_likelihood_and_gradient(rows, &self.weights, &[-0.3], &mut weights, &mut parameters);
        (value, weights, parameters)
    }

    fn whole<E: Real>(&self) -> Outcome {
        let (mut weights, mut parameters) = (vec![f64::NAN; self.weights.len()], vec![f64::NAN]);
        let mut fused = FusedGradient::<E>::new(Arc::clone(&self.network), self.data(), BlockLikelihood::GaussianLearnedNoise);
        let value = fused.log_likelihood_and_gradient(&self.weights, &[-0.3], &mut weights, &mut parameters);
        (value, weights, parameters)
    }
}

fn agree(found: &Outcome, expected: &Outcome, tolerance: f64) {
    assert!((found.0 - expected.0).abs() <= tolerance * expected.0.abs(), "{} and not {}", found.0, expected.0);
    let scale = expected.1.iter().chain(&expected.2).fold(1.0_f64, |most, g| most.max(g.abs()));
    for (i, (found, expected)) in found.1.iter().chain(&found.2).zip(expected.1.iter().chain(&expected.2)).enumerate() {
        assert!((found - expected).abs() <= tolerance * scale, "gradient {i} is {found} and not {expected}");
    }
}

fn same_for_any_threads<E: Real>(tolerance: f64) {
    let least = two_parts(&network());
    let part = part_rows(&network(), least);
    // A whole part, one row more and less, the last part of one row, and a prime.
    for rows in [least - 1, least, least + 1, 2 * part, 2 * part + 1, 2 * least + 1, 9973] {
        let case = Case::new(rows);
        let alone = case.evaluate(&mut case.split::<E>(RowThreads::One), None);
        agree(&alone, &case.whole::<E>(), tolerance);
        assert_eq!(case.evaluate(&mut case.split::<E>(RowThreads::Idle), None), alone, "{rows} rows outside a pool");
        let chosen: Vec<usize> = (0..rows).rev().collect();
        let alone_chosen = case.evaluate(&mut case.split::<E>(RowThreads::One), Some(&chosen));
        agree(&alone_chosen, &alone, tolerance);
        for threads in [1, 2, 8] {
            let mut split = case.split::<E>(RowThreads::Idle);
            let pool = pool(threads);
            for _ in 0..2 {
                let (all, some) = pool.install(|| (case.evaluate(&mut split, None), case.evaluate(&mut split, Some(&chosen))));
                assert_eq!(all, alone, "{rows} rows on {threads} threads");
                assert_eq!(some, alone_chosen, "{rows} chosen rows on {threads} threads");
            }
            assert!(split.evaluators() <= threads, "{} evaluators for {threads} threads", split.evaluators());
        }
    }
}

#[test]
fn gradients_are_the_same_for_any_number_of_threads() {
    same_for_any_threads::<f64>(1e-12);
    same_for_any_threads::<f32>(1e-4);
}

#[test]
fn single_precision_stays_near_double() {
    let case = Case::new(2 * two_parts(&network()) + 13);
    let double = case.evaluate(&mut case.split::<f64>(RowThreads::Idle), None);
    agree(&case.evaluate(&mut case.split::<f32>(RowThreads::Idle), None), &double, 1e-4);
}

#[test]
fn parts_cover_rows_in_whole_panels_and_are_few() {
    for shape in [vec![1, 8, 1], vec![4, 50, 1], vec![70, 64, 9, 3], vec![784, 200, 200, 10]] {
        let (last, hidden) = shape[1..].split_last().unwrap();
        let network = Network::dense(shape[0], hidden, Activation::Tanh, *last).unwrap();
        for rows in [0, 1, 63, 64, 65, 1000, 1024, 2047, 2048, 2049, 9973, 60_000, 1_000_003] {
            let part = part_rows(&network, rows);
            assert_eq!(part % 64, 0);
            assert!(rows.div_ceil(part) <= 16, "{rows} rows of {shape:?} make {} parts", rows.div_ceil(part));
            assert!(rows >= 2048 || part >= rows, "{rows} rows of {shape:?} are split");
        }
    }
}

#[test]
fn no_rows_give_zero() {
    let case = Case::new(0);
    let (value, weights, parameters) = case.evaluate(&mut case.split::<f64>(RowThreads::Idle), None);
    assert_eq!((value, parameters), (0.0, vec![0.0]));
    assert!(weights.iter().all(|g| *g == 0.0));
}
