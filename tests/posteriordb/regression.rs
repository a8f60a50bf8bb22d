//! Define the four posteriors that are linear regressions with unknown noise.

use crate::model::{Model, numbered};
use crate::reference::Reference;
use ergodic::model::{EvaluationError, LogDensity};

/// The prior of the noise's standard deviation σ > 0.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoisePrior {
    Flat,
    HalfCauchy(f64),
    HalfNormal(f64),
}

impl NoisePrior {
    /// Log density in σ up to a constant, and its derivative in log σ.
    fn log_density(self, sigma: f64) -> (f64, f64) {
        match self {
            Self::Flat => (0.0, 0.0),
            Self::HalfCauchy(scale) => {
                let square = (sigma / scale).powi(2);
                (-square.ln_1p(), -2.0 * square / (1.0 + square))
            }
            Self::HalfNormal(scale) => {
                let square = (sigma / scale).powi(2);
                (-0.5 * square, -square)
            }
        }
    }
}

/// y ~ N(Xβ, σ²), β flat or N(0, prior_sd²); coordinates β, log σ.
#[derive(Debug, Clone)]
pub(crate) struct Regression {
    names: Vec<String>,
    inputs: Vec<Vec<f64>>,
    targets: Vec<f64>,
    prior_sd: f64,
    noise_prior: NoisePrior,
    /// Exponent of σ in the Jacobian of log σ: 1, and 0 in the broken twin.
    jacobian: f64,
}

impl Regression {
    fn new(inputs: Vec<Vec<f64>>, targets: Vec<f64>, prior_sd: f64, noise_prior: NoisePrior) -> Self {
        let names = numbered("beta", inputs[0].len()).chain(["sigma".to_owned()]).collect();
        Self { names, inputs, targets, prior_sd, noise_prior, jacobian: 1.0 }
    }

    /// The broken twin that forgets the Jacobian of log σ.
    pub(crate) fn without_jacobian(self) -> Self {
        Self { jacobian: 0.0, ..self }
    }

    /// Children's test scores against the mother's school degree and intelligence quotient, with their product.
    pub(crate) fn kidiq(reference: &Reference) -> Self {
        let (degree, quotient) = (reference.list("mom_hs"), reference.list("mom_iq"));
        let inputs = degree.iter().zip(&quotient).map(|(h, q)| vec![1.0, *h, *q, h * q]).collect();
        Self::new(inputs, reference.list("kid_score"), f64::INFINITY, NoisePrior::HalfCauchy(2.5))
    }

    /// An autoregression on the last K values.
    pub(crate) fn autoregression(reference: &Reference) -> Self {
        let y = reference.list("y");
        let order = reference.number("K") as usize;
        let row = |t: usize| [1.0].into_iter().chain((1..=order).map(|k| y[t - k])).collect();
        let inputs = (order..y.len()).map(row).collect();
        let mut model = Self::new(inputs, y[order..].to_vec(), 10.0, NoisePrior::HalfCauchy(2.5));
        model.names = ["alpha".to_owned()].into_iter().chain(numbered("beta", order)).chain(["sigma".to_owned()]).collect();
        model
    }

    /// A regression on five simulated inputs.
    pub(crate) fn blr(reference: &Reference) -> Self {
        Self::new(reference.rows("X"), reference.list("y"), 10.0, NoisePrior::HalfNormal(10.0))
    }

    /// Leaf weight of mesquite bushes against their size, all on the log scale.
    pub(crate) fn mesquite(reference: &Reference) -> Self {
        let [long, short, canopy, height, group] =
            ["diam1", "diam2", "canopy_height", "total_height", "group"].map(|name| reference.list(name));
        let row = |i: usize| {
            let area = long[i] * short[i];
            vec![1.0, (area * canopy[i]).ln(), area.ln(), (long[i] / short[i]).ln(), height[i].ln(), group[i]]
        };
        let inputs = (0..group.len()).map(row).collect();
        let targets = reference.list("weight").iter().map(|w| w.ln()).collect();
        Self::new(inputs, targets, f64::INFINITY, NoisePrior::Flat)
    }
}

impl LogDensity for Regression {
    fn dim(&self) -> usize {
        self.names.len()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let last = position.len() - 1;
        let (beta, log_sigma) = (&position[..last], position[last]);
        let (prior, slope) = self.noise_prior.log_density(log_sigma.exp());
        let precision = (-2.0 * log_sigma).exp();
        let count = self.targets.len() as f64;
        let mut value = prior + (self.jacobian - count) * log_sigma;
        gradient[last] = slope + self.jacobian - count;
        for (g, b) in gradient.iter_mut().zip(beta) {
            *g = -b / (self.prior_sd * self.prior_sd);
            value -= 0.5 * (b / self.prior_sd).powi(2);
        }
        for (row, y) in self.inputs.iter().zip(&self.targets) {
            let residual = y - row.iter().zip(beta).map(|(x, b)| x * b).sum::<f64>();
            let scaled = precision * residual;
            value -= 0.5 * scaled * residual;
            gradient[last] += scaled * residual;
            for (g, x) in gradient.iter_mut().zip(row) {
                *g += scaled * x;
            }
        }
        Ok(value)
    }
}

impl Model for Regression {
    fn parameters(&self) -> Vec<String> {
        self.names.clone()
    }

    fn report(&self, position: &[f64]) -> Vec<f64> {
        let mut reported = position.to_vec();
        reported.iter_mut().skip(self.dim() - 1).for_each(|x| *x = x.exp());
        reported
    }

    fn position(&self, reported: &[f64]) -> Vec<f64> {
        let mut position = reported.to_vec();
        position.iter_mut().skip(self.dim() - 1).for_each(|x| *x = x.ln());
        position
    }
}
