//! Open the compute core to the benchmarks.

use crate::RowThreads;
use crate::likelihood_block::BlockLikelihood;
use crate::network::composed::{ComposedData, ComposedGradient};
use crate::network::{Activation, DenseNetwork as Network, Form, FusedData, SplitGradient};
use crate::simd::{Lanes, Real, exp, tanh};
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

#[derive(Debug)]
enum Evaluator {
    Double(SplitGradient<f64>),
    Single(SplitGradient<f32>),
}

/// The gradient of the log likelihood of a network: Gaussian with noise 0.5 for one output, Gaussian with a standard deviation for
/// each row for two, categorical for more.
///
/// Inside a rayon pool, idle threads share the rows of large gradients.
#[derive(Debug)]
pub struct MeasuredGradient {
    evaluator: Evaluator,
    gradient: Vec<f64>,
}

impl MeasuredGradient {
    /// A tanh network of the given widths over `rows` rows of smooth made-up data.
    #[must_use]
    pub fn new(widths: &[usize], rows: usize, precision: Precision) -> Self {
        Self::with_activation(widths, Activation::Tanh, rows, precision)
    }

    /// The same with another activation in the hidden layers.
    #[must_use]
    pub fn with_activation(widths: &[usize], activation: Activation, rows: usize, precision: Precision) -> Self {
        let network = {
            let (last, hidden) = widths[1..].split_last().expect("a network has an output");
            Arc::new(Network::dense(widths[0], hidden, activation, *last).expect("widths are positive"))
        };
        let outputs = network.num_outputs();
        let likelihood = match outputs {
            1 => BlockLikelihood::Gaussian { noise_sd: 0.5 },
            2 => BlockLikelihood::HeteroscedasticGaussian,
            _ => BlockLikelihood::Categorical,
        };
        let inputs: Vec<f64> = (0..rows * widths[0]).map(|i| (i as f64 * 0.7).sin() * 1.5).collect();
        let targets: Vec<f64> =
            (0..rows).map(|i| if outputs <= 2 { (i as f64 * 0.3).cos() } else { (i * 7 % outputs) as f64 }).collect();
        let gradient = vec![0.0; network.num_weights()];
        let evaluator = match precision {
            Precision::Double => {
                let inputs = Arc::new(inputs);
                let data = FusedData::new(&inputs, widths[0], &targets, 1);
                let data = Arc::new(data.with_row_major(&inputs));
                Evaluator::Double(SplitGradient::new(network, data, likelihood, RowThreads::Idle))
            }
            Precision::Single => {
                let inputs = Arc::new(inputs);
                let data = FusedData::new(&inputs, widths[0], &targets, 1);
                let data = Arc::new(data.with_row_major(&inputs));
                Evaluator::Single(SplitGradient::new(network, data, likelihood, RowThreads::Idle))
            }
        };
        Self { evaluator, gradient }
    }

    /// Number of weights.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.gradient.len()
    }

    /// Evaluates once over all rows, or over some, and returns the log likelihood.
    pub fn evaluate_rows(&mut self, position: &[f64], rows: Option<&[usize]>) -> f64 {
        let gradient = &mut self.gradient;
        match &mut self.evaluator {
            Evaluator::Double(evaluator) => evaluator.log_likelihood_and_gradient(rows, position, &[], gradient, &mut []),
            Evaluator::Single(evaluator) => evaluator.log_likelihood_and_gradient(rows, position, &[], gradient, &mut []),
        }
    }

    /// Evaluates once over all rows and returns the log likelihood.
    pub fn evaluate(&mut self, position: &[f64]) -> f64 {
        self.evaluate_rows(position, None)
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

/// The elementary functions that networks with a categorical likelihood spend time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elementary {
    /// tanh, once for each hidden unit.
    Tanh,
    /// max(x, 0) of the first half of the values, the second half taking the slopes.
    Relu,
    /// exp, once for each class.
    Exp,
}

struct Apply<'a, E> {
    function: Elementary,
    inputs: &'a [E],
    values: &'a mut [E],
}

impl<E: Real> WithSimd for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let l = E::lanes(simd);
        let inputs = <E::Lanes<S> as Lanes>::vectors(self.inputs);
        let values = <E::Lanes<S> as Lanes>::vectors_mut(self.values);
        match self.function {
            Elementary::Tanh => {
                for (values, inputs) in values.as_chunks_mut::<4>().0.iter_mut().zip(inputs.as_chunks::<4>().0) {
                    *values = tanh(l, *inputs);
                }
            }
            Elementary::Relu => {
                let zero = l.splat(E::ZERO);
                for (value, input) in values.iter_mut().zip(inputs) {
                    *value = l.at_least(*input, zero);
                }
            }
            Elementary::Exp => {
                for (value, input) in values.iter_mut().zip(inputs) {
                    *value = exp(l, *input);
                }
            }
        }
    }
}

/// Writes the function of `inputs`, a multiple of four of the widest vectors, in f64.
pub fn apply_f64(function: Elementary, inputs: &[f64], values: &mut [f64]) {
    Arch::new().dispatch(Apply { function, inputs, values });
}

/// The same in f32.
pub fn apply_f32(function: Elementary, inputs: &[f32], values: &mut [f32]) {
    Arch::new().dispatch(Apply { function, inputs, values });
}
