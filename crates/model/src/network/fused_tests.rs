//! Check the fused gradient against a plain row-by-row one, finite differences, and itself on other instruction sets and splits of rows.

use super::{Activation, DenseNetwork as Network, FusedData, FusedGradient, PackedRows};
use crate::likelihood_block::BlockLikelihood;
use crate::simd::Real;
use crate::simd::elementary_tests::instruction_sets;
use crate::{ChainRng, Likelihood, LikelihoodParameter};
use ergodic_draws::{PredictionKind, Transform};
use proptest::prelude::*;
use std::sync::Arc;

/// A smooth made-up number in (−1, 1).
fn number(seed: usize, i: usize) -> f64 {
    ((seed as f64 + 1.0) * 12.9898 + i as f64 * 78.233).sin()
}

/// A network with its data, position and likelihood.
#[derive(Debug, Clone)]
struct Case {
    widths: Vec<usize>,
    activations: Vec<Activation>,
    likelihood: BlockLikelihood,
    inputs: Vec<f64>,
    targets: Vec<f64>,
    weights: Vec<f64>,
    parameters: Vec<f64>,
}

/// What an evaluation gives.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    value: f64,
    weights: Vec<f64>,
    parameters: Vec<f64>,
}

/// A network with these activations in its hidden layers.
fn network(widths: &[usize], activations: &[Activation]) -> Network {
    let activations = activations.iter().copied().chain([Activation::Identity]);
    Network::with_layers(widths[0], &widths[1..].iter().copied().zip(activations).collect::<Vec<_>>()).unwrap()
}

/// Number of coordinates that a likelihood adds.
fn num_parameters(likelihood: &BlockLikelihood) -> usize {
    match likelihood {
        BlockLikelihood::GaussianLearnedNoise => 1,
        BlockLikelihood::RowWise(likelihood) => likelihood.parameters().len(),
        _ => 0,
    }
}

impl Case {
    fn new(widths: &[usize], activations: &[Activation], likelihood: BlockLikelihood, rows: usize, seed: usize) -> Self {
        let outputs = widths[widths.len() - 1];
        let num_weights: usize = widths.windows(2).map(|pair| pair[0] * pair[1] + pair[1]).sum();
        let targets = (0..rows * likelihood.num_targets(outputs))
            .map(|i| match likelihood {
                BlockLikelihood::Bernoulli => (i % 2) as f64,
                BlockLikelihood::Categorical => (i * 7 % outputs) as f64,
                _ => number(seed + 1, i),
            })
            .collect();
        Self {
            widths: widths.to_vec(),
            activations: activations.to_vec(),
            inputs: (0..rows * widths[0]).map(|i| 1.5 * number(seed + 2, i)).collect(),
            targets,
            weights: (0..num_weights).map(|i| 0.7 * number(seed + 3, i)).collect(),
            parameters: vec![-0.4; num_parameters(&likelihood)],
            likelihood,
        }
    }

    fn rows(&self) -> usize {
        self.inputs.len() / self.widths[0]
    }

    fn evaluator<E: Real>(&self, arch: pulp::Arch) -> FusedGradient<E> {
        let network = Arc::new(network(&self.widths, &self.activations));
        let num_targets = self.likelihood.num_targets(network.num_outputs());
        let data = FusedData::new(&self.inputs, self.widths[0], &self.targets, num_targets);
        FusedGradient::with_arch(network, Arc::new(data), self.likelihood.clone(), arch)
    }

    fn empty(&self) -> Outcome {
        Outcome { value: 0.0, weights: vec![f64::NAN; self.weights.len()], parameters: vec![f64::NAN; self.parameters.len()] }
    }

    fn fused<E: Real>(&self, arch: pulp::Arch) -> Outcome {
        let mut outcome = self.empty();
        outcome.value = self.evaluator::<E>(arch).log_likelihood_and_gradient(
            &self.weights,
            &self.parameters,
            &mut outcome.weights,
            &mut outcome.parameters,
        );
        outcome
    }

    /// The same by loops over rows, layers and units with the standard library's functions.
    fn plain(&self) -> Outcome {
        let mut outcome =
            Outcome { value: 0.0, weights: vec![0.0; self.weights.len()], parameters: vec![0.0; self.parameters.len()] };
        for row in 0..self.rows() {
            let mut values = vec![self.inputs[row * self.widths[0]..][..self.widths[0]].to_vec()];
            let mut slopes = Vec::new();
            let mut offset = 0;
            for (layer, pair) in self.widths.windows(2).enumerate() {
                let below = &values[layer];
                let mut value = Vec::new();
                let mut slope = Vec::new();
                for h in 0..pair[1] {
                    let mut sum = self.weights[offset + pair[0] * pair[1] + h];
                    for (i, x) in below.iter().enumerate() {
                        sum += self.weights[offset + h * pair[0] + i] * x;
                    }
                    let activation = self.activations.get(layer).copied().unwrap_or(Activation::Identity);
                    value.push(nonlinear(activation, sum));
                    slope.push(match activation {
                        // Kinks have no central difference.
                        Activation::Relu => f64::from(u8::from(sum > 0.0)),
                        _ => (nonlinear(activation, sum + 1e-6) - nonlinear(activation, sum - 1e-6)) / 2e-6,
                    });
                }
                offset += pair[0] * pair[1] + pair[1];
                values.push(value);
                slopes.push(slope);
            }
            let num_targets = self.targets.len() / self.rows();
            let targets = &self.targets[row * num_targets..][..num_targets];
            let top = values.len() - 1;
            let (value, mut delta) = self.plain_likelihood(&values[top], targets, &mut outcome.parameters);
            outcome.value += value;
            for layer in (0..top).rev() {
                let (inputs, outputs) = (self.widths[layer], self.widths[layer + 1]);
                offset -= inputs * outputs + outputs;
                for (h, delta) in delta.iter().enumerate() {
                    outcome.weights[offset + inputs * outputs + h] += delta;
                    for (i, x) in values[layer].iter().enumerate() {
                        outcome.weights[offset + h * inputs + i] += delta * x;
                    }
                }
                if layer > 0 {
                    delta = (0..inputs)
                        .map(|i| {
                            let sum: f64 = (0..outputs).map(|h| delta[h] * self.weights[offset + h * inputs + i]).sum();
                            sum * slopes[layer - 1][i]
                        })
                        .collect();
                }
            }
        }
        outcome
    }

    fn plain_likelihood(&self, outputs: &[f64], targets: &[f64], d_parameters: &mut [f64]) -> (f64, Vec<f64>) {
        let normal = |residual: f64, log_sd: f64| {
            -0.5 * (residual * (-log_sd).exp()).powi(2) - log_sd - 0.5 * (2.0 * std::f64::consts::PI).ln()
        };
        match self.likelihood {
            BlockLikelihood::Gaussian { .. } | BlockLikelihood::GaussianLearnedNoise => {
                let learned = matches!(self.likelihood, BlockLikelihood::GaussianLearnedNoise);
                let sd = if let BlockLikelihood::Gaussian { noise_sd } = self.likelihood {
                    noise_sd
                } else {
                    self.parameters[0].exp()
                };
                let residuals: Vec<f64> = targets.iter().zip(outputs).map(|(y, f)| y - f).collect();
                if learned {
                    d_parameters[0] += residuals.iter().map(|r| (r / sd).powi(2) - 1.0).sum::<f64>();
                }
                let value = residuals.iter().map(|r| normal(*r, sd.ln())).sum();
                (value, residuals.iter().map(|r| r / (sd * sd)).collect())
            }
            BlockLikelihood::HeteroscedasticGaussian => {
                let (residual, log_sd) = (targets[0] - outputs[0], outputs[1]);
                let precision = (-2.0 * log_sd).exp();
                (normal(residual, log_sd), vec![residual * precision, residual * residual * precision - 1.0])
            }
            BlockLikelihood::Bernoulli => {
                let p = 1.0 / (1.0 + (-outputs[0]).exp());
                let value = if targets[0] == 1.0 { p.ln() } else { (1.0 - p).ln() };
                (value, vec![targets[0] - p])
            }
            BlockLikelihood::Categorical | BlockLikelihood::Vector(_) | BlockLikelihood::RowWise(_) => {
                let total: f64 = outputs.iter().map(|f| f.exp()).sum();
                let class = targets[0] as usize;
                let derivative =
                    outputs.iter().enumerate().map(|(k, f)| f64::from(u8::from(k == class)) - f.exp() / total).collect();
                (outputs[class] - total.ln(), derivative)
            }
        }
    }
}

fn nonlinear(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu => x.max(0.01 * x),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Silu => x / (1.0 + (-x).exp()),
        // ∫ φ by Simpson's rule, far finer than the comparison needs.
        Activation::Gelu => {
            let steps = 200;
            let h = x / f64::from(steps);
            let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let inner: f64 = (1..steps).map(|i| density(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            x * (0.5 + h / 3.0 * (density(0.0) + inner + density(x)))
        }
    }
}

/// Holds two outcomes to agree within `tolerance` of the largest gradient and of the value.
fn agree(found: &Outcome, expected: &Outcome, tolerance: f64) {
    let value = tolerance * (1.0 + expected.value.abs());
    assert!((found.value - expected.value).abs() <= value, "value {} and not {}", found.value, expected.value);
    let scale = expected.weights.iter().chain(&expected.parameters).fold(1.0_f64, |most, g| most.max(g.abs()));
    let pairs = found.weights.iter().zip(&expected.weights).chain(found.parameters.iter().zip(&expected.parameters));
    for (i, (found, expected)) in pairs.enumerate() {
        assert!((found - expected).abs() <= tolerance * scale, "gradient {i} is {found} and not {expected}");
    }
}

fn likelihoods() -> [(BlockLikelihood, usize); 6] {
    [
        (BlockLikelihood::Gaussian { noise_sd: 0.7 }, 1),
        (BlockLikelihood::Gaussian { noise_sd: 0.7 }, 3),
        (BlockLikelihood::GaussianLearnedNoise, 2),
        (BlockLikelihood::HeteroscedasticGaussian, 2),
        (BlockLikelihood::Bernoulli, 1),
        (BlockLikelihood::Categorical, 5),
    ]
}

/// Row counts around the edges of vectors, panels and blocks, and primes.
const ROWS: [usize; 20] = [1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 131, 255, 256, 257, 513, 691];

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fused_equals_row_by_row(
        inputs in 1..13_usize,
        hidden in prop::collection::vec((1..19_usize, 0..Activation::ALL.len()), 0..4),
        likelihood in 0..6_usize,
        rows in 0..ROWS.len(),
        set in 0..3_usize,
        seed in 0..1000_usize,
    ) {
        let (likelihood, outputs) = likelihoods()[likelihood].clone();
        let mut widths = vec![inputs];
        widths.extend(hidden.iter().map(|(width, _)| width));
        widths.push(outputs);
        let activations: Vec<_> = hidden.iter().map(|(_, kind)| Activation::ALL[*kind]).collect();
        let case = Case::new(&widths, &activations, likelihood, ROWS[rows], seed);
        let sets = instruction_sets();
        let arch = sets[set % sets.len()];
        let plain = case.plain();
        // The plain path's slopes are central differences, good to about 1e-10; a kink within 1e-6 of a pre-activation does not occur
        // in these cases.
        agree(&case.fused::<f64>(arch), &plain, 1e-8);
        agree(&case.fused::<f32>(arch), &plain, 3e-5);
    }
}

#[test]
fn gradient_equals_finite_differences() {
    for (likelihood, outputs) in likelihoods() {
        let case = Case::new(&[3, 6, 5, outputs], &[Activation::Tanh, Activation::Gelu], likelihood, 43, 5);
        let mut evaluator = case.evaluator::<f64>(pulp::Arch::new());
        let exact = case.fused::<f64>(pulp::Arch::new());
        let mut ignored = case.empty();
        let mut value = |weights: &[f64], parameters: &[f64]| {
            evaluator.log_likelihood_and_gradient(weights, parameters, &mut ignored.weights, &mut ignored.parameters)
        };
        let scale = exact.weights.iter().fold(1.0_f64, |most, g| most.max(g.abs()));
        for i in 0..case.weights.len() + case.parameters.len() {
            let mut ends = [0.0; 2];
            for (end, step) in ends.iter_mut().zip([1e-5, -1e-5]) {
                let (mut weights, mut parameters) = (case.weights.clone(), case.parameters.clone());
                match i.checked_sub(weights.len()) {
                    None => weights[i] += step,
                    Some(i) => parameters[i] += step,
                }
                *end = value(&weights, &parameters);
            }
            let difference = (ends[0] - ends[1]) / 2e-5;
            let gradient = exact.weights.iter().chain(&exact.parameters).nth(i).unwrap();
            assert!((difference - gradient).abs() < 1e-7 * scale, "{:?} {i}: {gradient}, {difference}", case.likelihood);
        }
    }
}

#[test]
fn wide_layers_and_many_inputs_agree_with_row_by_row() {
    for (widths, rows) in [(vec![300, 70, 10], 83), (vec![5, 130, 131, 10], 97)] {
        let activations = vec![Activation::Tanh; widths.len() - 2];
        let case = Case::new(&widths, &activations, BlockLikelihood::Categorical, rows, 11);
        let plain = case.plain();
        for arch in instruction_sets() {
            agree(&case.fused::<f64>(arch), &plain, 1e-8);
            agree(&case.fused::<f32>(arch), &plain, 1e-3);
        }
    }
}

#[test]
fn deep_relu_networks_agree_with_row_by_row_around_panels_and_blocks() {
    // Among the units are a dead one, by a large negative bias, and one that is always active.
    for (likelihood, outputs) in likelihoods() {
        for rows in [1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 383, 512, 521] {
            let mut case = Case::new(&[5, 16, 9, 16, 7, 16, outputs], &[Activation::Relu; 5], likelihood.clone(), rows, rows);
            for (unit, bias) in [-1e3, 1e1].into_iter().enumerate() {
                case.weights[5 * 16 + unit] = bias;
            }
            let plain = case.plain();
            // In f32 some of the many pre-activations near 0 would fall on the other side of the kink.
            agree(&case.fused::<f64>(pulp::Arch::new()), &plain, 1e-8);
        }
    }
}

#[test]
fn a_partition_into_minibatches_sums_to_all_rows() {
    for (likelihood, outputs) in likelihoods() {
        let case = Case::new(&[4, 9, outputs], &[Activation::Silu], likelihood, 691, 3);
        let mut evaluator = case.evaluator::<f64>(pulp::Arch::new());
        let all = case.fused::<f64>(pulp::Arch::new());
        let order: Vec<usize> = (0..691).map(|i| i * 100 % 691).collect();
        let mut sum =
            Outcome { value: 0.0, weights: vec![0.0; all.weights.len()], parameters: vec![0.0; all.parameters.len()] };
        let mut part = case.empty();
        for rows in [&order[..1], &order[1..33], &order[33..33], &order[33..650], &order[650..]] {
            sum.value += evaluator.log_likelihood_and_gradient_of_rows(
                rows,
                &case.weights,
                &case.parameters,
                &mut part.weights,
                &mut part.parameters,
            );
            sum.weights.iter_mut().zip(&part.weights).for_each(|(sum, part)| *sum += part);
            sum.parameters.iter_mut().zip(&part.parameters).for_each(|(sum, part)| *sum += part);
        }
        agree(&sum, &all, 1e-12);
    }
}

#[test]
fn no_rows_give_zero() {
    for (likelihood, outputs) in likelihoods() {
        let case = Case::new(&[4, 9, outputs], &[Activation::Tanh], likelihood, 0, 3);
        let outcome = case.fused::<f64>(pulp::Arch::new());
        assert_eq!(outcome.value, 0.0);
        assert!(outcome.weights.iter().chain(&outcome.parameters).all(|g| *g == 0.0));
    }
}

#[test]
fn nan_in_an_input_a_target_or_a_weight_gives_nan() {
    for activation in Activation::ALL {
        for (likelihood, outputs) in likelihoods() {
            let case = Case::new(&[4, 9, outputs], &[activation], likelihood, 45, 3);
            let mut broken = [case.clone(), case.clone(), case.clone()];
            broken[0].inputs[44 * 4 + 1] = f64::NAN;
            broken[1].weights[5] = f64::NAN;
            broken[2].targets[0] = f64::NAN;
            let classes = matches!(case.likelihood, BlockLikelihood::Categorical);
            for arch in instruction_sets() {
                for case in &broken[..if classes { 2 } else { 3 }] {
                    assert!(case.fused::<f64>(arch).value.is_nan(), "{activation:?}, {:?}, {arch:?}", case.likelihood);
                    assert!(case.fused::<f32>(arch).value.is_nan(), "{activation:?}, {:?}, {arch:?}", case.likelihood);
                }
            }
        }
    }
}

#[test]
fn saturated_and_dead_units_have_no_gradient_and_stay_finite() {
    for activation in Activation::ALL {
        for bias in [-1e6, 1e6] {
            let mut case = Case::new(&[2, 6, 1], &[activation], BlockLikelihood::Gaussian { noise_sd: 1.0 }, 50, 3);
            case.weights[12..18].fill(bias);
            let found = case.fused::<f64>(pulp::Arch::new());
            assert!(found.value.is_finite() && found.weights.iter().all(|g| g.is_finite()), "{activation:?} at {bias}");
            let saturates = match activation {
                Activation::Tanh | Activation::Sigmoid => true,
                Activation::Identity | Activation::LeakyRelu => false,
                _ => bias < 0.0,
            };
            assert_eq!(found.weights[..12].iter().all(|g| *g == 0.0), saturates, "{activation:?} at {bias}");
        }
    }
}

#[test]
fn repeated_calls_give_the_same_bits() {
    let case = Case::new(&[8, 50, 1], &[Activation::Tanh], BlockLikelihood::GaussianLearnedNoise, 691, 3);
    let mut evaluator = case.evaluator::<f64>(pulp::Arch::new());
    let first = case.fused::<f64>(pulp::Arch::new());
    for _ in 0..3 {
        let mut again = case.empty();
        let rows = [3, 1, 2];
        evaluator.log_likelihood_and_gradient_of_rows(
            &rows,
            &case.weights,
            &case.parameters,
            &mut again.weights,
            &mut again.parameters,
        );
        again.value =
            evaluator.log_likelihood_and_gradient(&case.weights, &case.parameters, &mut again.weights, &mut again.parameters);
        assert_eq!(again, first);
    }
}

#[test]
fn outputs_are_the_networks() {
    let case = Case::new(&[3, 7, 2], &[Activation::Softplus], BlockLikelihood::Gaussian { noise_sd: 1.0 }, 77, 3);
    for arch in instruction_sets() {
        let mut outputs = vec![0.0; 77 * 2];
        case.evaluator::<f64>(arch).outputs(&case.weights, &PackedRows::new(&case.inputs, 3), &mut outputs);
        // With unit noise the log likelihood is a known function of the outputs.
        let squares: f64 = outputs.iter().zip(&case.targets).map(|(f, y)| (y - f) * (y - f)).sum();
        let value = -0.5 * squares - 154.0 * 0.5 * (2.0 * std::f64::consts::PI).ln();
        assert!((value - case.plain().value).abs() < 1e-9 * value.abs());
    }
}

/// A likelihood as a user writes it: normal around each output, the logarithm of the noise learned.
#[derive(Debug)]
struct UserNormal;

impl Likelihood for UserNormal {
    fn name(&self) -> &'static str {
        "normal"
    }
    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }
    fn num_outputs(&self) -> usize {
        2
    }
    fn num_targets(&self) -> usize {
        2
    }
    fn num_means(&self) -> usize {
        2
    }
    fn parameters(&self) -> Vec<LikelihoodParameter> {
        vec![LikelihoodParameter::new("noise", 0.0, 1.0).with_transform(Transform::EXP)]
    }
    fn check_targets(&self, _targets: &[f64]) -> Result<(), String> {
        Ok(())
    }
    fn gradient(&self, outputs: &[f64], targets: &[f64], parameters: &[f64], d: &mut [f64], d_parameters: &mut [f64]) -> f64 {
        let log_sd = parameters[0];
        let mut value = 0.0;
        for i in 0..2 {
            let scaled = (targets[i] - outputs[i]) * (-log_sd).exp();
            d[i] = scaled * (-log_sd).exp();
            d_parameters[0] += scaled * scaled - 1.0;
            value += -0.5 * scaled * scaled - log_sd - 0.5 * (2.0 * std::f64::consts::PI).ln();
        }
        value
    }
    fn curvature(&self, _outputs: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        matrix.copy_from_slice(&[(-2.0 * parameters[0]).exp(), 0.0, 0.0, (-2.0 * parameters[0]).exp()]);
    }
    fn mean(&self, outputs: &[f64], _parameters: &[f64], mean: &mut [f64]) {
        mean.copy_from_slice(outputs);
    }
    fn variance(&self, _outputs: &[f64], parameters: &[f64], variance: &mut [f64]) {
        variance.fill((2.0 * parameters[0]).exp());
    }
    fn entropy(&self, _outputs: &[f64], parameters: &[f64]) -> f64 {
        (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() + 2.0 * parameters[0]
    }
    fn simulate(&self, outputs: &[f64], _parameters: &[f64], _rng: &mut ChainRng, targets: &mut [f64]) {
        targets.copy_from_slice(outputs);
    }
}

#[test]
fn a_users_likelihood_gives_what_the_fast_path_gives() {
    for rows in [1, 45, 64, 131] {
        let case = Case::new(&[4, 9, 2], &[Activation::Tanh], BlockLikelihood::GaussianLearnedNoise, rows, 3);
        let by_row = Case { likelihood: BlockLikelihood::RowWise(Arc::new(UserNormal)), ..case.clone() };
        for arch in instruction_sets() {
            agree(&by_row.fused::<f64>(arch), &case.fused::<f64>(arch), 1e-12);
            agree(&by_row.fused::<f32>(arch), &case.fused::<f32>(arch), 1e-5);
        }
    }
}
