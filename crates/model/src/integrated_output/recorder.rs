//! Draw the output layer's weights again for each stored draw.

use super::IntegratedOutput;
use super::output_posterior::{Spread, Sums, conditional};
use crate::network::{FeatureData, FeatureGradient};
use crate::simd::Real;
use crate::{ChainRng, EvaluationError, Posterior, Recorder};
use nalgebra::DVector;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// Writes the weights of all layers, those of the output layer from their normal distribution given the rest.
pub(super) struct OutputRecorder<'a, E> {
    posterior: &'a IntegratedOutput,
    features: FeatureGradient<E>,
    whole: Vec<f64>,
    scales: Vec<f64>,
}

impl<'a, E: Real> OutputRecorder<'a, E> {
    pub(super) fn new(posterior: &'a IntegratedOutput, data: &Arc<FeatureData<E>>) -> Self {
        Self {
            posterior,
            features: FeatureGradient::new(Arc::clone(&posterior.network), Arc::clone(data)),
            whole: vec![0.0; posterior.model.layout().dim()],
            scales: vec![0.0; posterior.features()],
        }
    }

    /// Writes the draw with the output layer's weights at their mean, plus a normal deviation where there is a generator.
    fn write(&mut self, position: &[f64], mut rng: Option<&mut ChainRng>, draw: &mut [f64]) -> Result<(), EvaluationError> {
        let Self { posterior, features, whole, scales } = self;
        posterior.expand(position, whole);
        draw.copy_from_slice(whole);
        let num_hidden = posterior.num_hidden_weights();
        let (weights, parameters) = draw.split_at_mut(posterior.num_weights());
        posterior.weights_and_scales(whole, weights);
        let (outputs, hidden) = (posterior.noise.len(), posterior.features() - 1);
        let sums = Sums::new(features.gram(&weights[..num_hidden]), hidden + 1, outputs);
        for output in 0..outputs {
            posterior.gather_scales(weights, output, scales);
            let spread = Spread { noise_sd: posterior.noise_sd(output, parameters), scales };
            let (mut scaled, factor) = conditional(sums, spread, output)?;
            if let Some(rng) = rng.as_deref_mut() {
                let normal = DVector::from_fn(hidden + 1, |_, _| StandardNormal.sample(rng));
                // With A = LLᵀ, L⁻ᵀz has covariance A⁻¹.
                match factor.l_dirty().tr_solve_lower_triangular(&normal) {
                    Some(deviation) => scaled += deviation,
                    None => {
                        return Err(EvaluationError::new("the output layer's precision has a zero on its factor's diagonal"));
                    }
                }
            }
            let (to_weights, to_biases) = weights[num_hidden..].split_at_mut(outputs * hidden);
            for ((to, u), s) in to_weights[output * hidden..][..hidden].iter_mut().zip(scaled.iter()).zip(&*scales) {
                *to = u * s;
            }
            to_biases[output] = scaled[hidden] * scales[hidden];
        }
        Ok(())
    }
}

impl<E: Real> Recorder for OutputRecorder<'_, E> {
    fn record(&mut self, position: &[f64], rng: &mut ChainRng, draw: &mut [f64]) -> Result<(), EvaluationError> {
        self.write(position, Some(rng), draw)
    }

    fn record_mode(&mut self, position: &[f64], draw: &mut [f64]) -> Result<(), EvaluationError> {
        self.write(position, None, draw)
    }

    fn restore(&mut self, draw: &[f64], position: &mut [f64]) -> Result<(), EvaluationError> {
        let model = &self.posterior.model;
        self.whole.copy_from_slice(draw);
        let [weights, _, parameters] = model.parts(draw);
        if let Some(form) = model.prior.reparameterization() {
            form.coordinates(weights, parameters, &mut self.whole[..weights.len()]);
        }
        self.posterior.contract(&self.whole, position);
        Ok(())
    }
}
