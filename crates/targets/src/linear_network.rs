//! Define a linear network with known noise: the posterior whose mean, covariance and evidence are closed forms.

use crate::lower_triangle::LowerTriangle;
use crate::{ExactDraws, KnownMoments, LOG_TWO_PI, TargetError};
use ergodic_draws::{Block, Layout, LayoutError, Role};
use ergodic_model::{
    Capabilities, ChainRng, EvaluationError, LogDensity, MinibatchEvaluator, MinibatchGradient, PointwiseLogLikelihood,
    Posterior, PriorDraws, Purpose, stream,
};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;

/// yₙ ~ N(w·xₙ + b, noise_sd²), w and b ~ N(0, prior_sd²); coordinates w₁ … w_d, b.
///
/// Not normalised: the log density is log p(y, w, b), constants included, so its integral is the evidence. With X the inputs and a
/// column of ones, the posterior is normal with precision P = XᵀX / noise_sd² + I / prior_sd² and mean P⁻¹Xᵀy / noise_sd² (Bishop
/// 2006, 'Pattern recognition and machine learning', section 3.3 and equation 3.86 for the evidence).
///
/// ```
/// use ergodic_targets::{KnownMoments, LinearNetwork};
/// use nalgebra::DMatrix;
/// // One weight that sees nothing, and a bias that sees 1 and 3 with noise 1 under a wide prior.
/// let target = LinearNetwork::new(&DMatrix::zeros(2, 1), &[1.0, 3.0], 1e3, 1.0)?;
/// let mean = target.mean().expect("closed form");
/// assert!(mean[0].abs() < 1e-12 && (mean[1] - 2.0).abs() < 1e-5);
/// # Ok::<(), ergodic_targets::TargetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LinearNetwork {
    dim: usize,
    inputs: Vec<f64>,
    targets: Vec<f64>,
    prior_sd: f64,
    noise_sd: f64,
    mean: Vec<f64>,
    precision: LowerTriangle,
    log_evidence: f64,
}

impl LinearNetwork {
    /// The posterior given inputs (rows × inputs) and one target a row.
    ///
    /// # Errors
    /// When the lengths differ, a number is not finite, or a standard deviation is not positive.
    pub fn new(inputs: &DMatrix<f64>, targets: &[f64], prior_sd: f64, noise_sd: f64) -> Result<Self, TargetError> {
        TargetError::require_length("the list of targets", targets.len(), inputs.nrows())?;
        TargetError::require_positive("the prior's standard deviation", prior_sd)?;
        TargetError::require_positive("the noise's standard deviation", noise_sd)?;
        inputs.iter().chain(targets).try_for_each(|&value| TargetError::require_finite("an input or target", value))?;
        let dim = inputs.ncols() + 1;
        let entry = |k: usize| if k % dim + 1 == dim { 1.0 } else { inputs[(k / dim, k % dim)] };
        let flat: Vec<f64> = (0..inputs.nrows() * dim).map(entry).collect();

        let mut precision = DMatrix::from_diagonal_element(dim, dim, prior_sd.powi(-2));
        let mut mean = vec![0.0; dim];
        for (row, y) in flat.chunks_exact(dim).zip(targets) {
            for i in 0..dim {
                mean[i] += row[i] * y / (noise_sd * noise_sd);
                for j in 0..dim {
                    precision[(i, j)] += row[i] * row[j] / (noise_sd * noise_sd);
                }
            }
        }
        let precision = LowerTriangle::factor(&precision, "the posterior's precision")?;
        precision.solve(&mut mean);
        let explained: f64 = mean.iter().map(|z| z * z).sum();
        precision.solve_transposed(&mut mean);
        let square: f64 = targets.iter().map(|y| (y / noise_sd).powi(2)).sum();
        let log_evidence = -(targets.len() as f64) * (0.5 * LOG_TWO_PI + noise_sd.ln())
            - dim as f64 * prior_sd.ln()
            - precision.log_determinant()
            - 0.5 * (square - explained);
        Ok(Self { dim, inputs: flat, targets: targets.to_vec(), prior_sd, noise_sd, mean, precision, log_evidence })
    }

    /// The posterior given data simulated from the model itself, with standard normal inputs.
    ///
    /// # Errors
    /// When `rows` is 0 or a standard deviation is not positive.
    pub fn simulated(rows: usize, num_inputs: usize, prior_sd: f64, noise_sd: f64, seed: u64) -> Result<Self, TargetError> {
        let mut rng = stream(seed, 0, Purpose::Simulate);
        let weights: Vec<f64> = (0..=num_inputs).map(|_| prior_sd * rng.sample::<f64, _>(StandardNormal)).collect();
        let inputs = DMatrix::from_fn(rows, num_inputs, |_, _| rng.sample(StandardNormal));
        let targets: Vec<f64> = (0..rows)
            .map(|i| {
                let output: f64 = (0..num_inputs).map(|j| weights[j] * inputs[(i, j)]).sum();
                output + weights[num_inputs] + noise_sd * rng.sample::<f64, _>(StandardNormal)
            })
            .collect();
        Self::new(&inputs, &targets, prior_sd, noise_sd)
    }

    /// The log evidence log p(y) in nats.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    /// The posterior's covariance (dim × dim).
    #[must_use]
    pub fn covariance(&self) -> DMatrix<f64> {
        let mut covariance = DMatrix::zeros(self.dim, self.dim);
        let mut column = vec![0.0; self.dim];
        for j in 0..self.dim {
            column.fill(0.0);
            column[j] = 1.0;
            self.precision.solve(&mut column);
            self.precision.solve_transposed(&mut column);
            for (i, value) in column.iter().enumerate() {
                covariance[(i, j)] = *value;
            }
        }
        covariance
    }

    /// This target with named blocks and capabilities: minibatch gradients, pointwise log likelihood, prior draws.
    #[must_use]
    pub fn into_posterior(self) -> LinearNetworkPosterior {
        LinearNetworkPosterior { network: self }
    }

    /// Adds one row's gradient of the log likelihood and returns its log likelihood.
    fn add_row(&self, row: usize, position: &[f64], gradient: &mut [f64]) -> f64 {
        let inputs = &self.inputs[row * self.dim..][..self.dim];
        let output: f64 = inputs.iter().zip(position).map(|(x, w)| x * w).sum();
        let residual = (self.targets[row] - output) / self.noise_sd;
        for (g, x) in gradient.iter_mut().zip(inputs) {
            *g += residual / self.noise_sd * x;
        }
        -0.5 * residual * residual - self.noise_sd.ln() - 0.5 * LOG_TWO_PI
    }

    /// Writes the gradient of the log prior and returns the log prior.
    fn log_prior(&self, position: &[f64], gradient: &mut [f64]) -> f64 {
        let mut square = 0.0;
        for (g, w) in gradient.iter_mut().zip(position) {
            let z = w / self.prior_sd;
            *g = -z / self.prior_sd;
            square += z * z;
        }
        -0.5 * square - self.dim as f64 * (self.prior_sd.ln() + 0.5 * LOG_TWO_PI)
    }
}

impl LogDensity for LinearNetwork {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let log_prior = self.log_prior(position, gradient);
        Ok(log_prior + (0..self.targets.len()).map(|row| self.add_row(row, position, gradient)).sum::<f64>())
    }
}

impl KnownMoments for LinearNetwork {
    fn mean(&self) -> Option<Vec<f64>> {
        Some(self.mean.clone())
    }

    fn variance(&self) -> Option<Vec<f64>> {
        Some(self.covariance().diagonal().iter().copied().collect())
    }
}

impl ExactDraws for LinearNetwork {
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        position.fill_with(|| rng.sample(StandardNormal));
        self.precision.solve_transposed(position);
        position.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x += mean);
    }
}

impl MinibatchGradient for LinearNetwork {
    fn num_data(&self) -> usize {
        self.targets.len()
    }

    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_> {
        Box::new(Rows(self))
    }
}

struct Rows<'a>(&'a LinearNetwork);

impl MinibatchEvaluator for Rows<'_> {
    fn log_likelihood_and_gradient(
        &mut self,
        position: &[f64],
        rows: &[usize],
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        gradient.fill(0.0);
        Ok(rows.iter().map(|&row| self.0.add_row(row, position, gradient)).sum())
    }

    fn log_prior_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        Ok(self.0.log_prior(position, gradient))
    }
}

impl PointwiseLogLikelihood for LinearNetwork {
    fn num_data(&self) -> usize {
        self.targets.len()
    }

    fn log_likelihood_each(&self, position: &[f64], log_likelihood: &mut [f64]) -> Result<(), EvaluationError> {
        let mut unused = vec![0.0; self.dim];
        for (row, value) in log_likelihood.iter_mut().enumerate() {
            *value = self.add_row(row, position, &mut unused);
        }
        Ok(())
    }
}

impl PriorDraws for LinearNetwork {
    fn draw_prior(&self, rng: &mut ChainRng, position: &mut [f64]) {
        position.fill_with(|| self.prior_sd * rng.sample::<f64, _>(StandardNormal));
    }
}

/// A [`LinearNetwork`] with named blocks, the prior's scales and initial positions, and its capabilities.
#[derive(Debug, Clone)]
pub struct LinearNetworkPosterior {
    network: LinearNetwork,
}

impl LinearNetworkPosterior {
    /// The density with its closed forms.
    #[must_use]
    pub fn network(&self) -> &LinearNetwork {
        &self.network
    }
}

impl Posterior for LinearNetworkPosterior {
    fn layout(&self) -> Layout {
        let num_inputs = self.network.dim - 1;
        let weight = Block::new("layer0.weight", &[1, num_inputs]).in_layer(0).with_role(Role::Weight);
        let bias = Block::new("layer0.bias", &[1]).in_layer(0).with_role(Role::Bias);
        Layout::new(vec![weight, bias]).unwrap_or_else(|_: LayoutError| Layout::flat(self.network.dim))
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(self.network.clone())
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        self.network.draw_prior(rng, position);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        scales.fill(self.network.prior_sd);
    }

    fn capabilities(&self) -> Capabilities<'_> {
        let network = &self.network;
        Capabilities { minibatch: Some(network), pointwise: Some(network), prior: Some(network), ..Capabilities::default() }
    }
}
