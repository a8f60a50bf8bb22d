//! Estimate the evidence lower bound of an independent normal approximation by sampling pre-activations.

use super::BayesianNetwork;
use crate::network::{Form, LocalNetwork, OutputPanel};
use crate::{ChainRng, EvaluationError, LocalEvaluator, LocalReparameterization};
use rand_distr::{Distribution, StandardNormal};

/// Offered only where the prior is independent normal, so that KL(q‖prior) has a closed form, and all layers are dense, so that
/// pre-activations are independent given the inputs.
impl LocalReparameterization for BayesianNetwork {
    fn local_evaluator(&self) -> Box<dyn LocalEvaluator + Send + '_> {
        let Form::Dense(dense) = self.network.form() else { return Box::new(NotDense { shape: self.network.shape() }) };
        let (outputs, parameters) = (self.network.num_outputs(), self.parameters.len());
        let weights = self.network.num_weights();
        Box::new(Local {
            model: self,
            network: LocalNetwork::new(dense, &self.rows.inputs),
            variances: vec![0.0; weights],
            variance_gradient: vec![0.0; weights],
            parameters: vec![0.0; parameters],
            parameter_noise: vec![0.0; parameters],
            parameter_gradient: vec![0.0; parameters],
            row: Row { outputs: vec![0.0; outputs], d_outputs: vec![0.0; outputs] },
        })
    }
}

/// Stands for a network with other layers than dense ones.
struct NotDense {
    shape: String,
}

impl LocalEvaluator for NotDense {
    fn evidence_lower_bound(
        &mut self,
        _mean: &[f64],
        _sd: &[f64],
        _rng: &mut ChainRng,
        _mean_gradient: &mut [f64],
        _sd_gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        let shape = &self.shape;
        Err(EvaluationError::new(format!("local reparameterisation needs dense layers alone, and this network is {shape}")))
    }
}

struct Local<'a> {
    model: &'a BayesianNetwork,
    network: LocalNetwork,
    /// Squares of the weights' standard deviations.
    variances: Vec<f64>,
    variance_gradient: Vec<f64>,
    /// The likelihood's parameters, sampled once an evaluation.
    parameters: Vec<f64>,
    parameter_noise: Vec<f64>,
    parameter_gradient: Vec<f64>,
    row: Row,
}

/// One row's outputs and the derivatives in them.
struct Row {
    outputs: Vec<f64>,
    d_outputs: Vec<f64>,
}

impl LocalEvaluator for Local<'_> {
    fn evidence_lower_bound(
        &mut self,
        mean: &[f64],
        sd: &[f64],
        rng: &mut ChainRng,
        mean_gradient: &mut [f64],
        sd_gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        let sides = [("mean", mean.len()), ("standard deviation", sd.len())];
        for (what, len) in sides.into_iter().chain([("gradient", mean_gradient.len()), ("gradient", sd_gradient.len())]) {
            self.model.check_dim(what, len)?;
        }
        let weights = self.model.network.num_weights();
        for (index, noise) in self.parameter_noise.iter_mut().enumerate() {
            *noise = StandardNormal.sample(rng);
            self.parameters[index] = mean[weights + index] + sd[weights + index] * *noise;
        }
        for (variance, sd) in self.variances.iter_mut().zip(sd) {
            *variance = sd * sd;
        }
        mean_gradient.fill(0.0);
        self.variance_gradient.fill(0.0);
        self.parameter_gradient.fill(0.0);
        let Self { model, parameters, parameter_gradient, row, .. } = self;
        let objective = |panel: &mut OutputPanel<'_>| row.panel(model, parameters, parameter_gradient, panel);
        let gradients = [&mut mean_gradient[..weights], &mut self.variance_gradient[..]];
        let log_likelihood = self.network.add_gradients(&mean[..weights], &self.variances, rng, objective, gradients);
        for ((to, gradient), sd) in sd_gradient.iter_mut().zip(&self.variance_gradient).zip(sd) {
            *to = 2.0 * sd * gradient;
        }
        for (index, gradient) in self.parameter_gradient.iter().enumerate() {
            mean_gradient[weights + index] = *gradient;
            sd_gradient[weights + index] = gradient * self.parameter_noise[index];
        }
        Ok(log_likelihood - self.model.divergence(mean, sd, mean_gradient, sd_gradient))
    }
}

impl Row {
    /// Replaces a panel's outputs by the derivatives of the log likelihood in them, and returns the log likelihood.
    fn panel(
        &mut self,
        model: &BayesianNetwork,
        parameters: &[f64],
        parameter_gradient: &mut [f64],
        panel: &mut OutputPanel<'_>,
    ) -> f64 {
        let mut sum = 0.0;
        for row in 0..panel.rows {
            for (output, value) in self.outputs.iter_mut().enumerate() {
                *value = panel.outputs[output * panel.stride + row];
            }
            let targets = model.rows.targets(panel.first + row);
            sum += model.likelihood.gradient(&self.outputs, targets, parameters, &mut self.d_outputs, parameter_gradient);
            for (output, derivative) in self.d_outputs.iter().enumerate() {
                panel.outputs[output * panel.stride + row] = *derivative;
            }
        }
        for feature in panel.outputs.chunks_exact_mut(panel.stride) {
            feature[panel.rows..].fill(0.0);
        }
        sum
    }
}

impl BayesianNetwork {
    /// Returns KL(q‖prior) in nats, summed over all coordinates, and subtracts its gradient.
    ///
    /// For q = N(μ, σ²) and prior N(m, s²) a coordinate adds ln(s/σ) + (σ² + (μ − m)²) / 2s² − ½.
    fn divergence(&self, mean: &[f64], sd: &[f64], mean_gradient: &mut [f64], sd_gradient: &mut [f64]) -> f64 {
        let weights = self.prior.scales().iter().map(|&scale| (0.0, scale));
        let parameters = self.parameters.iter().map(|parameter| (parameter.prior_mean, parameter.prior_sd));
        let coordinates = mean.iter().zip(sd).zip(mean_gradient.iter_mut().zip(sd_gradient));
        let mut sum = 0.0;
        for ((prior_mean, prior_sd), ((mean, sd), (mean_gradient, sd_gradient))) in weights.chain(parameters).zip(coordinates) {
            let precision = 1.0 / (prior_sd * prior_sd);
            let distance = mean - prior_mean;
            sum += (prior_sd / sd).ln() + 0.5 * (precision * (sd * sd + distance * distance) - 1.0);
            *mean_gradient -= precision * distance;
            *sd_gradient -= precision * sd - 1.0 / sd;
        }
        sum
    }
}
