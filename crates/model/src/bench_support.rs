//! Open the compute core to the benchmarks.

use crate::likelihood_block::BlockLikelihood;
use crate::network::composed::{ComposedData, ComposedGradient};
use crate::network::{Activation, DenseNetwork as Network, Form, FusedData, FusedGradient};
use crate::simd::{Lanes, Real, exp};
use pulp::{Arch, Simd, WithSimd};
use std::sync::Arc;

/// The arithmetic of a measured gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f64.
    Double,
    /// f32, with f64 sums.
    Single,
}

#[derive(Debug, Clone)]
enum Evaluator {
    Double(FusedGradient<f64>),
    Single(FusedGradient<f32>),
}

/// The gradient of the log likelihood of a tanh network: Gaussian with noise 0.5 for one output, categorical for several.
#[derive(Debug, Clone)]
pub struct MeasuredGradient {
    evaluator: Evaluator,
    gradient: Vec<f64>,
}

impl MeasuredGradient {
    /// A network of the given widths over `rows` rows of smooth made-up data.
    #[must_use]
    pub fn new(widths: &[usize], rows: usize, precision: Precision) -> Self {
        let network = {
            let (last, hidden) = widths[1..].split_last().expect("a network has an output");
            Arc::new(Network::dense(widths[0], hidden, Activation::Tanh, *last).expect("widths are positive"))
        };
        let outputs = network.num_outputs();
        let likelihood = if outputs == 1 { BlockLikelihood::Gaussian { noise_sd: 0.5 } } else { BlockLikelihood::Categorical };
        let inputs: Vec<f64> = (0..rows * widths[0]).map(|i| (i as f64 * 0.7).sin() * 1.5).collect();
        let targets: Vec<f64> =
            (0..rows).map(|i| if outputs == 1 { (i as f64 * 0.3).cos() } else { (i * 7 % outputs) as f64 }).collect();
        let gradient = vec![0.0; network.num_weights()];
        let evaluator = match precision {
            Precision::Double => {
                let data = Arc::new(FusedData::new(&inputs, widths[0], &targets, 1));
                Evaluator::Double(FusedGradient::new(network, data, likelihood))
            }
            Precision::Single => {
                let data = Arc::new(FusedData::new(&inputs, widths[0], &targets, 1));
                Evaluator::Single(FusedGradient::new(network, data, likelihood))
            }
        };
        Self { evaluator, gradient }
    }

    /// Number of weights.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.gradient.len()
    }

    /// Evaluates once and returns the log likelihood.
    pub fn evaluate(&mut self, position: &[f64]) -> f64 {
        let gradient = &mut self.gradient;
        match &mut self.evaluator {
            Evaluator::Double(evaluator) => evaluator.log_likelihood_and_gradient(position, &[], gradient, &mut []),
            Evaluator::Single(evaluator) => evaluator.log_likelihood_and_gradient(position, &[], gradient, &mut []),
        }
    }
}

/// The gradient of a categorical log likelihood of a composed network, as chains evaluate it.
#[derive(Debug)]
pub struct MeasuredNetwork {
    evaluator: ComposedEvaluator,
    gradient: Vec<f64>,
}

#[derive(Debug)]
enum ComposedEvaluator {
    Double(ComposedGradient<f64>),
    Single(ComposedGradient<f32>),
}

impl MeasuredNetwork {
    /// `network`, from a builder, over `rows` rows of smooth made-up data.
    ///
    /// # Panics
    /// When the network is a dense one.
    #[must_use]
    pub fn new(network: &crate::Network, rows: usize, precision: Precision) -> Self {
        let Form::Composed(layers) = network.form() else { panic!("the network comes from a builder") };
        let (num_inputs, num_outputs) = (network.num_inputs(), network.num_outputs());
        let inputs: Vec<f64> = (0..rows * num_inputs).map(|i| (i as f64 * 0.7).sin()).collect();
        let targets: Vec<f64> = (0..rows).map(|i| (i * 7 % num_outputs) as f64).collect();
        let likelihood = BlockLikelihood::Categorical;
        let evaluator = match precision {
            Precision::Double => {
                let data = Arc::new(ComposedData::new(&inputs, num_inputs, &targets, 1));
                ComposedEvaluator::Double(ComposedGradient::new(layers, data, likelihood))
            }
            Precision::Single => {
                let data = Arc::new(ComposedData::new(&inputs, num_inputs, &targets, 1));
                ComposedEvaluator::Single(ComposedGradient::new(layers, data, likelihood))
            }
        };
        Self { evaluator, gradient: vec![0.0; network.num_weights()] }
    }

    /// Number of weights.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.gradient.len()
    }

    /// Evaluates once and returns the log likelihood.
    pub fn evaluate(&mut self, position: &[f64]) -> f64 {
        let gradient = &mut self.gradient;
        match &mut self.evaluator {
            ComposedEvaluator::Double(composed) => composed.log_likelihood_and_gradient(None, position, &[], gradient, &mut []),
            ComposedEvaluator::Single(composed) => composed.log_likelihood_and_gradient(None, position, &[], gradient, &mut []),
        }
    }
}

/// Multiply-adds that [`multiply_adds`] does on each lane of each of its sums.
const MULTIPLY_ADDS: usize = 4096;

struct Peak<E> {
    factor: E,
    seed: E,
}

impl<E: Real> WithSimd for Peak<E> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let l = E::lanes(simd);
        let factor = l.splat(self.factor);
        let mut sums = [l.splat(self.seed); 12];
        for _ in 0..MULTIPLY_ADDS {
            for sum in &mut sums {
                *sum = l.fma(*sum, factor, factor);
            }
        }
        let mut total = sums[0];
        for sum in &sums[1..] {
            total = l.add(total, *sum);
        }
        (l.sum(total).to_f64(), (2 * MULTIPLY_ADDS * sums.len() * <E::Lanes<S> as Lanes>::WIDTH) as f64)
    }
}

/// Does independent multiply-adds in registers; returns a value that depends on all of them, and the number of operations.
#[must_use]
pub fn multiply_adds(precision: Precision) -> (f64, f64) {
    let factor = std::hint::black_box(0.5);
    match precision {
        Precision::Double => Arch::new().dispatch(Peak { factor, seed: 1.0_f64 }),
        Precision::Single => Arch::new().dispatch(Peak { factor: factor as f32, seed: 1.0_f32 }),
    }
}

/// The elementary functions that a tanh network with a categorical likelihood spends time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elementary {
    /// tanh, once for each hidden unit.
    Tanh,
    /// exp, once for each class.
    Exp,
}

struct Apply<'a, E> {
    function: Elementary,
    values: &'a mut [E],
}

impl<E: Real> WithSimd for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let l = E::lanes(simd);
        let values = <E::Lanes<S> as Lanes>::vectors_mut(self.values);
        match self.function {
            Elementary::Tanh => Activation::Tanh.apply(l, values, &mut []),
            Elementary::Exp => {
                for value in values {
                    *value = exp(l, *value);
                }
            }
        }
    }
}

/// Replaces `values`, a multiple of the widest vector, by the function of them in f64.
pub fn apply_f64(function: Elementary, values: &mut [f64]) {
    Arch::new().dispatch(Apply { function, values });
}

/// The same in f32.
pub fn apply_f32(function: Elementary, values: &mut [f32]) {
    Arch::new().dispatch(Apply { function, values });
}
