//! Evaluate the log posterior without the output layer's weights, and its gradient.

use super::IntegratedOutput;
use super::output_posterior::{OutputPosterior, Spread, Sums, noise_log_density};
use crate::network::{FeatureData, FeatureGradient};
use crate::simd::Real;
use crate::{EvaluationError, LogDensity, NormalNoise, Posterior};
use std::sync::Arc;

/// The log density for one chain, with features in arithmetic of `E`.
pub(super) struct Evaluator<'a, E> {
    posterior: &'a IntegratedOutput,
    features: FeatureGradient<E>,
    output: OutputPosterior,
    /// Coordinates and gradient of the whole network.
    whole: Vec<f64>,
    whole_gradient: Vec<f64>,
    /// The hidden layers' weights, then the output layer's prior scales.
    weights: Vec<f64>,
    /// One output's scales, and those of the output before.
    scales: Vec<f64>,
    scales_before: Vec<f64>,
    determined: Vec<f64>,
}

impl<'a, E: Real> Evaluator<'a, E> {
    pub(super) fn new(posterior: &'a IntegratedOutput, data: &Arc<FeatureData<E>>) -> Self {
        let dim = posterior.model.layout().dim();
        let features = posterior.features();
        Self {
            posterior,
            features: FeatureGradient::new(Arc::clone(&posterior.network), Arc::clone(data)),
            output: OutputPosterior::new(features),
            whole: vec![0.0; dim],
            whole_gradient: vec![0.0; dim],
            weights: vec![0.0; posterior.num_weights()],
            scales: vec![0.0; features],
            scales_before: vec![0.0; features],
            determined: vec![0.0; posterior.noise.len()],
        }
    }

    /// Writes the gradient of the log likelihood without the output layer in the hidden layers' weights, in the output layer's scales and
    /// in the likelihood's parameters, and returns it; none where a feature is not finite.
    fn log_likelihood(&mut self) -> Option<f64> {
        let Self { posterior, features, output, whole, whole_gradient, weights, scales, scales_before, determined } = self;
        let (num_weights, num_hidden) = (posterior.num_weights(), posterior.num_hidden_weights());
        let (outputs, hidden) = (posterior.noise.len(), posterior.features() - 1);
        let [_, parameters, _] = posterior.model.parts(whole);
        let (d_weights, d_parameters) = whole_gradient.split_at_mut(num_weights);
        let (d_hidden, d_scales) = d_weights.split_at_mut(num_hidden);
        let (d_weight_scales, d_bias_scales) = d_scales.split_at_mut(outputs * hidden);
        let scaling = posterior.model.prior.reparameterization().is_some();
        let mut log_likelihood = 0.0;
        let mut noise_before = f64::NAN;
        output.start();
        features.gram(&weights[..num_hidden]);
        let (gram, layer) = features.gram_and_output_layer();
        let sums = Sums::new(gram, hidden + 1, outputs);
        for o in 0..outputs {
            posterior.gather_scales(weights, o, scales);
            let noise_sd = posterior.noise_sd(o, parameters);
            let spread = Spread { noise_sd, scales };
            // Outputs of equal noise and prior share their precision.
            if noise_sd != noise_before || scales != scales_before {
                if !output.factorise(sums, spread) {
                    return None;
                }
                noise_before = noise_sd;
                scales_before.copy_from_slice(scales);
            }
            let d_scales = scaling.then(|| (&mut d_weight_scales[o * hidden..][..hidden], &mut d_bias_scales[o]));
            let part = output.solve(sums, spread, o, layer, d_scales);
            log_likelihood += part.log_density;
            determined[o] = part.determined;
        }
        output.finish(layer);
        let squares = features.gradient(&weights[..num_hidden], d_hidden);
        let rows = posterior.model.num_rows();
        for (o, squares) in squares.iter().enumerate() {
            let noise_sd = posterior.noise_sd(o, parameters);
            log_likelihood += noise_log_density(rows, *squares, noise_sd);
            if let NormalNoise::Parameter(index) = posterior.noise[o] {
                d_parameters[index] += squares / (noise_sd * noise_sd) - rows as f64 + determined[o];
            }
        }
        Some(log_likelihood)
    }
}

impl<E: Real> LogDensity for Evaluator<'_, E> {
    fn dim(&self) -> usize {
        self.posterior.layout.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let posterior = self.posterior;
        posterior.expand(position, &mut self.whole);
        posterior.weights_and_scales(&self.whole, &mut self.weights);
        self.whole_gradient.fill(0.0);
        let Some(log_likelihood) = self.log_likelihood() else {
            // Outside the support.
            gradient.fill(0.0);
            return Ok(f64::NEG_INFINITY);
        };
        if let Some(form) = posterior.model.prior.reparameterization() {
            let [coordinates, _, parameters] = posterior.model.parts(&self.whole);
            let (d_coordinates, rest) = self.whole_gradient.split_at_mut(coordinates.len());
            let d_parameters = &mut rest[posterior.model.parameters.len()..];
            form.pull_back(coordinates, parameters, d_coordinates, d_parameters);
        }
        let log_prior = posterior.model.add_prior_gradient(&self.whole, &mut self.whole_gradient);
        posterior.contract(&self.whole_gradient, gradient);
        Ok(log_likelihood + log_prior - posterior.output_log_prior)
    }
}
