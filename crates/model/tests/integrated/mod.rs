//! Give the tests of integrated output layers a likelihood of several outputs, a prior with sampled scales, and data.

use ergodic_draws::{Block, PredictionKind, Transform};
use ergodic_model::{
    Activation, BayesianNetwork, BoundPrior, ChainRng, Dataset, Likelihood, LikelihoodParameter, Network, NormalNoise, Prior,
    PriorError, Purpose, Reparameterization, Standardize, stream,
};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

pub(crate) const LOG_TWO_PI: f64 = 1.837_877_066_409_345_6;

/// Two targets, the first with known noise, the second with sampled noise.
#[derive(Debug)]
pub(crate) struct TwoGaussians {
    pub(crate) known: f64,
}

impl TwoGaussians {
    fn sd(&self, target: usize, parameters: &[f64]) -> f64 {
        if target == 0 { self.known } else { parameters[0].exp() }
    }
}

impl Likelihood for TwoGaussians {
    fn name(&self) -> &'static str {
        "two gaussians"
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
        let (prior_mean, prior_sd) = (-0.5, 0.7);
        vec![LikelihoodParameter::new("second_noise", prior_mean, prior_sd).with_transform(Transform::EXP)]
    }
    fn check_targets(&self, _targets: &[f64]) -> Result<(), String> {
        Ok(())
    }
    fn gradient(&self, f: &[f64], y: &[f64], parameters: &[f64], d_f: &mut [f64], d_parameters: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for target in 0..2 {
            let sd = self.sd(target, parameters);
            let z = (y[target] - f[target]) / sd;
            d_f[target] = z / sd;
            if target == 1 {
                d_parameters[0] += z * z - 1.0;
            }
            sum -= 0.5 * z * z + sd.ln() + 0.5 * LOG_TWO_PI;
        }
        sum
    }
    fn curvature(&self, _: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        matrix.fill(0.0);
        matrix[0] = self.sd(0, parameters).powi(-2);
        matrix[3] = self.sd(1, parameters).powi(-2);
    }
    fn normal_noise(&self) -> Option<Vec<NormalNoise>> {
        Some(vec![NormalNoise::Known(self.known), NormalNoise::Parameter(0)])
    }
    fn mean(&self, f: &[f64], _: &[f64], mean: &mut [f64]) {
        mean.copy_from_slice(f);
    }
    fn variance(&self, _: &[f64], parameters: &[f64], variance: &mut [f64]) {
        for (target, v) in variance.iter_mut().enumerate() {
            *v = self.sd(target, parameters).powi(2);
        }
    }
    fn entropy(&self, _: &[f64], parameters: &[f64]) -> f64 {
        (0..2).map(|target| self.sd(target, parameters).ln() + 0.5 * (LOG_TWO_PI + 1.0)).sum()
    }
    fn simulate(&self, f: &[f64], parameters: &[f64], rng: &mut ChainRng, y: &mut [f64]) {
        for target in 0..2 {
            let z: f64 = StandardNormal.sample(rng);
            y[target] = f[target] + self.sd(target, parameters) * z;
        }
    }
}

/// Normal weights, each layer's standard deviation τ sampled with ln τ ~ N(0, 1); every third weight has twice that scale.
#[derive(Debug)]
pub(crate) struct LayerScales;

#[derive(Debug)]
struct BoundLayerScales {
    /// Each weight's layer, and its factor of the layer's scale.
    layer: Vec<(usize, f64)>,
    layers: usize,
    ones: Vec<f64>,
}

impl Prior for LayerScales {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let tensors = network.tensors();
        let layer = tensors.iter().flat_map(|tensor| {
            let layer = tensor.block.layer.unwrap();
            tensor.block.range().map(move |i| (layer, if i % 3 == 0 { 2.0 } else { 1.0 }))
        });
        let ones = vec![1.0; network.num_weights()];
        Ok(Box::new(BoundLayerScales { layer: layer.collect(), layers: network.dense_layers().unwrap().len(), ones }))
    }
}

impl BoundPrior for BoundLayerScales {
    fn description(&self) -> String {
        "normal, a sampled scale a layer".to_owned()
    }
    fn parameters(&self) -> Vec<Block> {
        vec![Block::new("layer_scale", &[self.layers]).with_transform(Transform::EXP)]
    }
    fn add_gradient(&self, z: &[f64], scales: &[f64], d_z: &mut [f64], d_scales: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (x, d) in z.iter().zip(d_z).chain(scales.iter().zip(d_scales)) {
            *d -= x;
            sum -= 0.5 * (x * x + LOG_TWO_PI);
        }
        sum
    }
    fn draw(&self, rng: &mut ChainRng, z: &mut [f64], scales: &mut [f64]) {
        for x in z.iter_mut().chain(scales) {
            *x = StandardNormal.sample(rng);
        }
    }
    fn scales(&self) -> &[f64] {
        &self.ones
    }
    fn reparameterization(&self) -> Option<&dyn Reparameterization> {
        Some(self)
    }
}

impl Reparameterization for BoundLayerScales {
    fn weights(&self, z: &[f64], scales: &[f64], weights: &mut [f64]) {
        for ((w, z), (layer, factor)) in weights.iter_mut().zip(z).zip(&self.layer) {
            *w = z * factor * scales[*layer].exp();
        }
    }
    fn pull_back(&self, z: &[f64], scales: &[f64], gradient: &mut [f64], d_scales: &mut [f64]) {
        for ((g, z), (layer, factor)) in gradient.iter_mut().zip(z).zip(&self.layer) {
            *g *= factor * scales[*layer].exp();
            d_scales[*layer] += *g * z;
        }
    }
    fn coordinates(&self, weights: &[f64], scales: &[f64], z: &mut [f64]) {
        for ((z, w), (layer, factor)) in z.iter_mut().zip(weights).zip(&self.layer) {
            *z = w / (factor * scales[*layer].exp());
        }
    }
    fn is_scaling(&self) -> bool {
        true
    }
}

/// Smooth targets with some noise, on a scale of order 1.
pub(crate) fn data(rows: usize, inputs: usize, targets: usize, seed: u64) -> Dataset {
    let mut rng = stream(seed, 0, Purpose::Test);
    let inputs = DMatrix::from_fn(rows, inputs, |_, _| rng.random_range(-2.0..2.0));
    let targets = DMatrix::from_fn(rows, targets, |row, target| {
        (inputs.row(row).sum() * (1.0 + 0.3 * target as f64)).sin() + rng.random_range(-0.3..0.3)
    });
    Dataset::new(inputs, targets).unwrap()
}

/// A network's posterior on the scale of its data.
pub(crate) fn whole(
    hidden: &[usize],
    activation: Activation,
    likelihood: Box<dyn Likelihood>,
    prior: &dyn Prior,
    data: &Dataset,
) -> BayesianNetwork {
    let network = Network::dense(data.num_inputs(), hidden, activation, likelihood.num_outputs()).unwrap();
    BayesianNetwork::with_standardization(network, likelihood, prior, data, Standardize::Nothing).unwrap()
}
