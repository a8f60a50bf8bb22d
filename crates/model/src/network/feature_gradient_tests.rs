//! Check features, Gram matrices and gradients against plain loops, on every instruction set and at every kind of row count.

use super::{Activation, DenseNetwork, FeatureData, FeatureGradient, PlainNetwork};
use crate::simd::Real;
use crate::simd::elementary_tests::instruction_sets;
use pulp::Arch;
use std::sync::Arc;

/// A smooth made-up number in (−1, 1).
fn number(i: usize) -> f64 {
    (i as f64 * 78.233 + 0.4).sin()
}

struct Case {
    network: Arc<DenseNetwork>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

impl Case {
    fn new(hidden: &[usize], activation: Activation, outputs: usize, rows: usize) -> Self {
        let network = Arc::new(DenseNetwork::dense(3, hidden, activation, outputs).unwrap());
        let numbers = |count: usize, from: usize| (from..from + count).map(number).collect();
        let weights = numbers(network.layers().last().unwrap().offset, 900);
        Self { inputs: numbers(rows * 3, 0), targets: numbers(rows * outputs, 500), weights, network }
    }

    /// Gram matrix, sums of squares and gradient, the output layer and the way back made up.
    fn evaluate<E: Real>(&self, arch: Arch) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let outputs = self.network.num_outputs();
        let data = Arc::new(FeatureData::<E>::new(&self.inputs, 3, &self.targets, outputs));
        let mut features = FeatureGradient::with_arch(Arc::clone(&self.network), data, arch);
        let gram = features.gram(&self.weights).to_vec();
        let (_, layer) = features.gram_and_output_layer();
        for (i, value) in layer.weights.iter_mut().chain(&mut layer.biases).chain(&mut layer.back).enumerate() {
            *value = E::from_f64(number(i));
        }
        let mut gradient = vec![f64::NAN; self.weights.len()];
        let squares = features.gradient(&self.weights, &mut gradient).to_vec();
        (gram, squares, gradient)
    }

    /// The same row by row.
    fn plain(&self) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (top, hidden) = self.network.layers().split_last().unwrap();
        let widths: Vec<_> = hidden.iter().map(|layer| (layer.outputs, layer.activation)).collect();
        let lower = DenseNetwork::with_layers(3, &widths).unwrap();
        let (width, outputs) = (top.inputs, top.outputs);
        let all = width + 1 + outputs;
        let made_up: Vec<f64> = (0..width * outputs + outputs + all * width).map(number).collect();
        let (weights, rest) = made_up.split_at(width * outputs);
        let (biases, back) = rest.split_at(outputs);
        let (mut gram, mut squares, mut gradient) = (vec![0.0; all * all], vec![0.0; outputs], vec![0.0; self.weights.len()]);
        let mut plain = PlainNetwork::new(&lower);
        for (inputs, targets) in self.inputs.chunks_exact(3).zip(self.targets.chunks_exact(outputs)) {
            let mut features = plain.forward(&self.weights, inputs).to_vec();
            features.push(1.0);
            features.extend(targets);
            for i in 0..all {
                for j in 0..=i {
                    gram[i * all + j] += features[i] * features[j];
                }
            }
            for output in 0..outputs {
                let fitted: f64 = (0..width).map(|h| weights[output * width + h] * features[h]).sum();
                features[width + 1 + output] -= fitted + biases[output];
                squares[output] += features[width + 1 + output].powi(2);
            }
            let derivative: Vec<f64> = (0..width).map(|h| (0..all).map(|i| features[i] * back[i * width + h]).sum()).collect();
            plain.backward(&self.weights, &derivative, &mut gradient);
        }
        (gram, squares, gradient)
    }
}

/// The largest difference relative to the largest value; of a square matrix the lower triangle alone.
fn difference(found: &[f64], expected: &[f64], width: Option<usize>) -> f64 {
    let counts = |index: usize| width.is_none_or(|width| index % width <= index / width);
    let largest = expected.iter().fold(0.1_f64, |m, x| m.max(x.abs()));
    let pairs = found.iter().zip(expected).enumerate().filter(|(index, _)| counts(*index));
    pairs.fold(0.0_f64, |m, (_, (a, b))| if a.is_nan() { f64::NAN } else { m.max((a - b).abs()) }) / largest
}

#[test]
fn both_passes_equal_plain_loops() {
    for (hidden, activation, outputs) in [
        (&[1][..], Activation::Tanh, 1),
        (&[50], Activation::Tanh, 1),
        (&[9, 12], Activation::Silu, 3),
        (&[4, 3, 6], Activation::Relu, 2),
    ] {
        for rows in [1, 2, 31, 32, 33, 63, 64, 65, 97, 600, 1201] {
            let case = Case::new(hidden, activation, outputs, rows);
            let plain = case.plain();
            let all = hidden.last().unwrap() + 1 + outputs;
            for arch in instruction_sets() {
                for (found, tolerance) in [(case.evaluate::<f64>(arch), 1e-12), (case.evaluate::<f32>(arch), 2e-5)] {
                    let errors = [
                        difference(&found.0, &plain.0, Some(all)),
                        difference(&found.1, &plain.1, None),
                        difference(&found.2, &plain.2, None),
                    ];
                    assert!(errors.iter().all(|error| *error < tolerance), "{hidden:?}, {rows} rows, {arch:?}: {errors:?}");
                }
            }
        }
    }
}
