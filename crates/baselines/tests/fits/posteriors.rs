//! Hold the posteriors that the tests fit: normals with known moments, and linear regression with a closed form.

use ergodic_draws::Layout;
use ergodic_model::{
    Capabilities, ChainRng, Density, EvaluationError, LocalEvaluator, LocalReparameterization, LogDensity, MinibatchEvaluator,
    MinibatchGradient, Posterior, Purpose, density, stream,
};
use nalgebra::{Cholesky, DMatrix, DVector};
use rand_distr::{Distribution, StandardNormal};

pub(crate) const LN_2PI: f64 = 1.837_877_066_409_345_5;

/// A normal posterior with its constants, so that its log evidence is 0.
#[derive(Clone)]
pub(crate) struct Normal {
    pub(crate) mean: DVector<f64>,
    pub(crate) precision: DMatrix<f64>,
    log_constant: f64,
}

impl Normal {
    pub(crate) fn new(mean: DVector<f64>, precision: DMatrix<f64>) -> Self {
        let log_determinant = log_determinant(&precision);
        let log_constant = 0.5 * (log_determinant - mean.len() as f64 * LN_2PI);
        Self { mean, precision, log_constant }
    }

    /// Correlation 0.5 between neighbours' precisions, standard deviations from 0.03 to 3: condition number above 10⁴.
    pub(crate) fn ill_conditioned(dim: usize) -> Self {
        let scale = |i: usize| 0.03 * 100f64.powf(i as f64 / (dim - 1) as f64);
        let precision = DMatrix::from_fn(dim, dim, |i, j| 0.5f64.powi(i.abs_diff(j) as i32) / (scale(i) * scale(j)));
        Self::new(DVector::from_fn(dim, |i, _| if i % 2 == 0 { 2.0 * scale(i) } else { -1.0 }), precision)
    }

    /// The standard deviations of the mean-field optimum.
    pub(crate) fn projected_sd(&self) -> DVector<f64> {
        self.precision.diagonal().map(|p| 1.0 / p.sqrt())
    }

    /// The Kullback–Leibler divergence of the mean-field optimum: half of Σ ln Pᵢᵢ − ln det P.
    pub(crate) fn projected_divergence(&self) -> f64 {
        0.5 * (self.precision.diagonal().map(f64::ln).sum() - log_determinant(&self.precision))
    }
}

pub(crate) fn log_determinant(matrix: &DMatrix<f64>) -> f64 {
    2.0 * Cholesky::new(matrix.clone()).expect("positive definite").l().diagonal().map(f64::ln).sum()
}

impl LogDensity for Normal {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let offset = DVector::from_column_slice(position) - &self.mean;
        let force = &self.precision * &offset;
        for (g, f) in gradient.iter_mut().zip(force.iter()) {
            *g = -f;
        }
        Ok(self.log_constant - 0.5 * offset.dot(&force))
    }
}

/// How [`Regression`] weighs the divergence in its local reparameterisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// As it should.
    Sum,
    /// The broken twin: the mean over coordinates.
    Mean,
}

/// Linear regression with known noise and a normal prior, with minibatches and local reparameterisation.
#[derive(Debug, Clone)]
pub(crate) struct Regression {
    pub(crate) inputs: DMatrix<f64>,
    pub(crate) targets: DVector<f64>,
    pub(crate) noise_sd: f64,
    pub(crate) prior_sd: f64,
    pub(crate) divergence: Divergence,
}

impl Regression {
    /// Correlated inputs and targets that follow the model.
    pub(crate) fn simulated(rows: usize, columns: usize, seed: u64) -> Self {
        let mut rng = stream(seed, 0, Purpose::Test);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut inputs = DMatrix::zeros(rows, columns);
        for row in 0..rows {
            let shared = normal();
            for column in 0..columns {
                inputs[(row, column)] = 0.6 * shared + 0.8 * normal();
            }
        }
        let weights = DVector::from_fn(columns, |i, _| 1.0 - 0.5 * i as f64);
        let noise_sd = 0.5;
        let targets = &inputs * weights + noise_sd * DVector::from_fn(rows, |_, _| normal());
        Self { inputs, targets, noise_sd, prior_sd: 1.5, divergence: Divergence::Sum }
    }

    /// All rows `times` times.
    pub(crate) fn repeated(&self, times: usize) -> Self {
        let rows = self.inputs.nrows();
        Self {
            inputs: DMatrix::from_fn(times * rows, self.inputs.ncols(), |i, j| self.inputs[(i % rows, j)]),
            targets: DVector::from_fn(times * rows, |i, _| self.targets[i % rows]),
            ..self.clone()
        }
    }

    /// The exact posterior, if each row counts `weight` times.
    pub(crate) fn posterior(&self, weight: f64) -> Normal {
        let noise_precision = weight / self.noise_sd.powi(2);
        let prior = DMatrix::identity(self.inputs.ncols(), self.inputs.ncols()) / self.prior_sd.powi(2);
        let precision = noise_precision * self.inputs.tr_mul(&self.inputs) + prior;
        let mean = Cholesky::new(precision.clone())
            .expect("positive definite")
            .solve(&(noise_precision * self.inputs.tr_mul(&self.targets)));
        Normal::new(mean, precision)
    }

    /// The exact log evidence: ln p(y | w) + ln p(w) − ln p(w | y) at any w, here at the mean.
    pub(crate) fn log_evidence(&self) -> f64 {
        let mut posterior = self.posterior(1.0);
        let mean: Vec<f64> = posterior.mean.iter().copied().collect();
        let mut gradient = vec![0.0; mean.len()];
        let log_joint = self.evaluator().log_density_and_gradient(&mean, &mut gradient).expect("a finite density");
        log_joint - posterior.log_density_and_gradient(&mean, &mut gradient).expect("a finite density")
    }
}

impl Posterior for Regression {
    fn layout(&self) -> Layout {
        Layout::flat(self.inputs.ncols())
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(Rows { model: self, all: (0..self.inputs.nrows()).collect() })
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        scales.fill(self.prior_sd);
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { minibatch: Some(self), local_reparameterization: Some(self), ..Capabilities::default() }
    }
}

struct Rows<'a> {
    model: &'a Regression,
    all: Vec<usize>,
}

impl LogDensity for Rows<'_> {
    fn dim(&self) -> usize {
        self.model.inputs.ncols()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let mut prior = vec![0.0; gradient.len()];
        let log_prior = self.log_prior_and_gradient(position, &mut prior)?;
        let all = std::mem::take(&mut self.all);
        let log_likelihood = self.log_likelihood_and_gradient(position, &all, gradient)?;
        self.all = all;
        gradient.iter_mut().zip(prior).for_each(|(g, prior)| *g += prior);
        Ok(log_prior + log_likelihood)
    }
}

impl MinibatchGradient for Regression {
    fn num_data(&self) -> usize {
        self.inputs.nrows()
    }

    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_> {
        Box::new(Rows { model: self, all: Vec::new() })
    }
}

impl MinibatchEvaluator for Rows<'_> {
    fn log_likelihood_and_gradient(
        &mut self,
        position: &[f64],
        rows: &[usize],
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        gradient.fill(0.0);
        let mut sum = 0.0;
        for &row in rows {
            let inputs = self.model.inputs.row(row);
            let fitted: f64 = inputs.iter().zip(position).map(|(x, w)| x * w).sum();
            let z = (self.model.targets[row] - fitted) / self.model.noise_sd;
            gradient.iter_mut().zip(inputs.iter()).for_each(|(g, x)| *g += z * x / self.model.noise_sd);
            sum -= 0.5 * (z * z + LN_2PI) + self.model.noise_sd.ln();
        }
        Ok(sum)
    }

    fn log_prior_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let sd = self.model.prior_sd;
        gradient.iter_mut().zip(position).for_each(|(g, w)| *g = -w / (sd * sd));
        Ok(position.iter().map(|w| -0.5 * ((w / sd).powi(2) + LN_2PI) - sd.ln()).sum())
    }
}

impl LocalReparameterization for Regression {
    fn local_evaluator(&self) -> Box<dyn LocalEvaluator + Send + '_> {
        Box::new(Local { model: self })
    }
}

struct Local<'a> {
    model: &'a Regression,
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
        let model = self.model;
        let weight = if model.divergence == Divergence::Sum { 1.0 } else { 1.0 / mean.len() as f64 };
        let mut bound = 0.0;
        for (i, (m, s)) in mean.iter().zip(sd).enumerate() {
            let variance = model.prior_sd.powi(2);
            bound -= weight * (0.5 * ((s * s + m * m) / variance - 1.0) - (s / model.prior_sd).ln());
            mean_gradient[i] = -weight * m / variance;
            sd_gradient[i] = -weight * (s / variance - 1.0 / s);
        }
        for (row, target) in model.inputs.row_iter().zip(model.targets.iter()) {
            let center: f64 = row.iter().zip(mean).map(|(x, m)| x * m).sum();
            let spread = row.iter().zip(sd).map(|(x, s)| (x * s).powi(2)).sum::<f64>().sqrt();
            let noise: f64 = StandardNormal.sample(rng);
            let z = (target - center - spread * noise) / model.noise_sd;
            bound -= 0.5 * (z * z + LN_2PI) + model.noise_sd.ln();
            let slope = z / model.noise_sd;
            for (i, x) in row.iter().enumerate() {
                mean_gradient[i] += slope * x;
                sd_gradient[i] += slope * noise * x * x * sd[i] / spread;
            }
        }
        Ok(bound)
    }
}

/// `ln x` for positive x, NaN elsewhere, plus a normal around `center`: a support with an edge.
pub(crate) fn half_line(center: f64) -> Density<impl FnMut(&[f64], &mut [f64]) -> f64 + Clone + Send + Sync> {
    density(1, move |x: &[f64], gradient: &mut [f64]| {
        gradient[0] = 1.0 / x[0] - (x[0] - center);
        x[0].ln() - 0.5 * (x[0] - center).powi(2)
    })
}
