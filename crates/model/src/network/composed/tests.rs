//! Check blocks of every layer against the same layers row by row, on every instruction set and in both precisions.

use super::block_layer::BlockReal;
use super::{ComposedData, ComposedGradient, Lined, RowNetwork};
use crate::likelihood_block::BlockLikelihood;
use crate::network::layers::{
    AveragePool, BackwardRow, BoundLayer, Conv2d, Dense, Embedding, FilterResponseNorm, Flatten, Layer, LayerError, LayerNorm,
    LayerParameter, MaxPool, Residual, Sequence,
};
use crate::network::{Activation, Form, Network};
use crate::simd::elementary_tests::instruction_sets;
use crate::{Purpose, stream};
use proptest::prelude::*;
use pulp::Arch;
use rand::RngExt;
use std::sync::Arc;

const NOISE: f64 = 0.5;

/// A layer of a user's: y = s x, with one weight, row by row.
#[derive(Debug, Clone)]
struct Scaled {
    shape: Vec<usize>,
}

impl Layer for Scaled {
    fn kind(&self) -> String {
        "scaled".into()
    }
    fn bind(&self, shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        Ok(Box::new(Self { shape: shape.to_vec() }))
    }
}

impl BoundLayer for Scaled {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }
    fn parameters(&self) -> Vec<LayerParameter> {
        vec![LayerParameter::weight(&[], 1)]
    }
    fn num_kept(&self) -> usize {
        1
    }
    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], kept: &mut [f64]) {
        kept[0] = input.iter().sum();
        for (y, x) in output.iter_mut().zip(input) {
            *y = weights[0] * x;
        }
    }
    fn backward(&self, row: BackwardRow<'_>) {
        assert_eq!(row.kept[0], row.input.iter().sum::<f64>(), "what forward kept is there");
        for i in 0..row.input.len() {
            row.d_input[i] = row.weights[0] * row.d_output[i];
            row.d_weights[0] += row.input[i] * row.d_output[i];
        }
    }
}

/// A value with its gradient.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    value: f64,
    gradient: Vec<f64>,
    outputs: Vec<f64>,
}

struct Case {
    layers: Arc<Sequence>,
    weights: Vec<f64>,
    inputs: Vec<f64>,
    targets: Vec<f64>,
    rows: usize,
}

impl Case {
    fn new(network: &Network, rows: usize, whole: Option<usize>) -> Self {
        let Form::Composed(layers) = network.form() else { panic!("composed") };
        let mut rng = stream(5, rows, Purpose::Test);
        let mut numbers =
            |count: usize, size: f64| (0..count).map(|_| size * rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        let mut weights = numbers(network.num_weights(), 1.0);
        for tensor in network.tensors() {
            for weight in &mut weights[tensor.block.range()] {
                *weight *= 2.0 / (tensor.fan_in as f64).sqrt();
            }
        }
        let mut inputs = numbers(rows * network.num_inputs(), 1.5);
        if let Some(categories) = whole {
            for x in &mut inputs {
                *x = (x.abs() * 1e6).floor() % categories as f64;
            }
        }
        let targets = numbers(rows * network.num_outputs(), 1.0);
        Self { layers: Arc::clone(layers), weights, inputs, targets, rows }
    }

    fn plain(&self, rows: &[usize]) -> Outcome {
        let mut network = RowNetwork::new(&self.layers);
        let (num_inputs, num_outputs) = (self.inputs.len() / self.rows, self.targets.len() / self.rows);
        let mut outcome = Outcome { value: 0.0, gradient: vec![0.0; self.weights.len()], outputs: Vec::new() };
        for &row in rows {
            let outputs = network.forward(&self.weights, &self.inputs[row * num_inputs..][..num_inputs]).to_vec();
            let residuals = self.targets[row * num_outputs..].iter().zip(&outputs).map(|(y, f)| y - f);
            let d_outputs: Vec<f64> = residuals.map(|r| r / (NOISE * NOISE)).collect();
            let square: f64 = d_outputs.iter().map(|d| d * d * NOISE * NOISE).sum();
            outcome.value -= 0.5 * square + num_outputs as f64 * (NOISE * (2.0 * std::f64::consts::PI).sqrt()).ln();
            network.backward(&self.weights, &d_outputs, &mut outcome.gradient);
            outcome.outputs.extend(outputs);
        }
        outcome
    }

    fn block<E: BlockReal>(&self, rows: Option<&[usize]>, arch: Arch) -> Outcome {
        let (num_inputs, num_outputs) = (self.inputs.len() / self.rows, self.targets.len() / self.rows);
        let data = Arc::new(ComposedData::<E>::new(&self.inputs, num_inputs, &self.targets, num_outputs));
        let likelihood = BlockLikelihood::Gaussian { noise_sd: NOISE };
        let mut block = ComposedGradient::with_arch(&self.layers, data, likelihood, arch);
        let mut gradient = vec![f64::NAN; self.weights.len()];
        let mut outputs = vec![f64::NAN; self.targets.len()];
        let mut value = f64::NAN;
        // The second evaluation finds what the first left in its buffers.
        for _ in 0..2 {
            value = block.log_likelihood_and_gradient(rows, &self.weights, &[], &mut gradient, &mut []);
            block.outputs(&self.weights, &Lined::new(&self.inputs, num_inputs), &mut outputs);
        }
        Outcome { value, gradient, outputs }
    }

    fn check(&self, what: &str) {
        let all: Vec<usize> = (0..self.rows).collect();
        let plain = self.plain(&all);
        for arch in instruction_sets() {
            let double = self.block::<f64>(None, arch);
            close(&double, &plain, 1e-11, &format!("{what}, {arch:?}"));
            close(&self.block::<f32>(None, arch), &plain, 2e-3, &format!("{what}, single, {arch:?}"));
            assert_eq!(self.block::<f64>(None, arch), double, "{what}: the same bits again");
        }
        let some: Vec<usize> = (0..self.rows).rev().step_by(2).chain([0, 0]).collect();
        let (block, plain) = (self.block::<f64>(Some(&some), Arch::new()), self.plain(&some));
        close(
            &Outcome { outputs: vec![], ..block },
            &Outcome { outputs: vec![], ..plain },
            1e-11,
            &format!("{what}, some rows"),
        );
    }
}

fn close(a: &Outcome, b: &Outcome, tolerance: f64, what: &str) {
    assert!((a.value - b.value).abs() < tolerance * b.value.abs().max(1.0), "{what}: {} and {}", a.value, b.value);
    for (name, a, b) in [("gradient", &a.gradient, &b.gradient), ("outputs", &a.outputs, &b.outputs)] {
        assert_eq!(a.len(), b.len());
        let largest = b.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
        for (i, (x, y)) in a.iter().zip(b).enumerate() {
            assert!((x - y).abs() < tolerance * largest, "{what}: {name} {i}: {x} and {y}, largest {largest}");
        }
    }
}

/// Numbers of rows around one and several lines of both precisions, and enough for several flushes.
const ROWS: [usize; 8] = [1, 7, 8, 9, 15, 17, 31, 290];

#[test]
fn each_layer_alone_equals_its_rows() {
    let check = |what: &str, shape: &[usize], layer: Box<dyn Fn() -> crate::NetworkBuilder>| {
        let network = layer().build().unwrap_or_else(|error| panic!("{what} on {shape:?}: {error}"));
        for rows in ROWS {
            Case::new(&network, rows, None).check(what);
        }
    };
    let image = [3, 5, 6];
    let builder = move || Network::builder(image);
    check("flatten and dense", &image, Box::new(move || builder().layer(Flatten).layer(Dense::new(7)).layer(Dense::new(11))));
    check("layer norm", &image, Box::new(move || builder().layer(LayerNorm::new()).layer(LayerNorm::new().with_epsilon(0.1))));
    check(
        "filter response norm",
        &image,
        Box::new(move || builder().layer(FilterResponseNorm::new()).layer(FilterResponseNorm::new().with_epsilon(0.1))),
    );
    check("own layer", &image, Box::new(move || builder().layer(Scaled { shape: vec![] }).layer(Scaled { shape: vec![] })));
    for activation in Activation::ALL.into_iter().filter(|activation| *activation != Activation::Gelu) {
        check(
            "activation",
            &image,
            Box::new(move || builder().layer(activation).layer(Scaled { shape: vec![] }).layer(activation).layer(activation)),
        );
    }
    for (window, stride) in [([2, 2], [2, 2]), ([3, 2], [1, 2]), ([1, 1], [2, 3]), ([5, 6], [1, 1])] {
        check(
            "average pool",
            &image,
            Box::new(move || builder().layer(Scaled { shape: vec![] }).layer(AveragePool::new(window).with_stride(stride))),
        );
        check(
            "max pool",
            &image,
            Box::new(move || {
                builder()
                    .layer(Scaled { shape: vec![] })
                    .layer(MaxPool::new(window).with_stride(stride))
                    .layer(Activation::Tanh)
            }),
        );
    }
    check(
        "residual",
        &image,
        Box::new(move || {
            let plain = Residual::new().layer(Activation::Tanh).layer(Scaled { shape: vec![] }).layer(Activation::Relu);
            let nested = Residual::new()
                .layer(plain)
                .layer(Conv2d::new(4, [3, 3]).with_stride([2, 2]).with_padding([1, 1]))
                .with_projection(Conv2d::new(4, [1, 1]).with_stride([2, 2]));
            builder().layer(Scaled { shape: vec![] }).layer(nested)
        }),
    );
    let embedded = Network::builder([3]).layer(Embedding::new(5, 4)).layer(Flatten).layer(Dense::new(2)).build().unwrap();
    for rows in ROWS {
        Case::new(&embedded, rows, Some(5)).check("embedding");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_any_shape_equal_their_rows(
        (channels, outputs) in (1_usize..4, 1_usize..12),
        image in [1_usize..9, 1_usize..9],
        kernel in [1_usize..6, 1_usize..6],
        stride in [1_usize..4, 1_usize..4],
        padding in [0_usize..3, 0_usize..3],
        rows in 1_usize..20,
    ) {
        prop_assume!((0..2).all(|side| image[side] + 2 * padding[side] >= kernel[side]));
        let convolution = Conv2d::new(outputs, kernel).with_stride(stride).with_padding(padding);
        // The layer before makes the convolution pass derivatives on.
        let network = Network::builder([channels, image[0], image[1]]).layer(Scaled { shape: vec![] }).layer(convolution);
        Case::new(&network.build().unwrap(), rows, None).check("convolution");
    }

    #[test]
    fn dense_layers_of_any_width_equal_their_rows(
        widths in proptest::collection::vec(1_usize..30, 1..4),
        wide in 1_usize..450,
        rows in 1_usize..40,
    ) {
        let builder = Network::builder([wide]);
        let network = widths.iter().fold(builder, |builder, width| builder.layer(Dense::new(*width)).layer(Activation::Tanh));
        Case::new(&network.build().unwrap(), rows, None).check("dense");
    }
}

#[test]
fn a_wrong_offset_is_caught() {
    // The same check fails when one weight of a kernel sits in its neighbour's place.
    let layer = || Conv2d::new(2, [2, 2]).with_padding([1, 1]);
    let network = Network::builder([1, 4, 4]).layer(layer()).build().unwrap();
    let case = Case::new(&network, 9, None);
    let mut shifted = Case::new(&network, 9, None);
    shifted.weights.swap(0, 1);
    let all: Vec<usize> = (0..9).collect();
    let difference = (shifted.plain(&all).value - case.block::<f64>(None, Arch::new()).value).abs();
    assert!(difference > 1e-3, "{difference}");
}

#[test]
fn what_is_not_a_number_comes_through_max_pooling() {
    let network = Network::builder([1, 2, 2]).layer(MaxPool::new([2, 2])).build().unwrap();
    for place in 0..4 {
        let mut case = Case::new(&network, 9, None);
        case.inputs[4 * 3 + place] = f64::NAN;
        let all: Vec<usize> = (0..9).collect();
        for outputs in [case.block::<f64>(None, Arch::new()).outputs, case.plain(&all).outputs] {
            assert!(outputs[3].is_nan() && outputs[2].is_finite() && outputs[4].is_finite());
        }
    }
}
