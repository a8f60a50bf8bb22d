//! Estimate the evidence lower bound of independent normals and its gradient.

use super::{Estimator, METHOD};
use crate::log_joint::LogJoint;
use crate::{DiagonalNormal, FitError, MeanField};
use ergodic_model::{ChainRng, EvaluationError, LocalEvaluator, MissingCapability, Posterior};
use rand_distr::{Distribution, StandardNormal};

const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// Noise on the whole vector unless told otherwise.
const WHOLE_VECTOR_DRAWS: usize = 2;

/// An unbiased estimate of the lower bound, and of the gradient of E_q[log joint] + temperature · entropy(q).
pub(super) trait LowerBound {
    /// Writes the gradient in the means and then in the logarithms of the standard deviations, and returns the lower bound itself,
    /// at temperature 1. Both may be not finite.
    fn estimate(
        &mut self,
        q: &DiagonalNormal,
        temperature: f64,
        rng: &mut ChainRng,
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError>;

    /// Gradients of the full data spent.
    fn gradients(&self) -> u64;
}

/// The estimator that `settings` come to with this model, and its draws a step.
///
/// # Errors
/// When the model lacks what it needs, or the number of draws is odd where they come in pairs.
pub(super) fn resolve(posterior: &dyn Posterior, settings: &MeanField) -> Result<(Estimator, usize), FitError> {
    let capabilities = posterior.capabilities();
    let local = capabilities.local_reparameterization.is_some();
    let estimator = match settings.estimator {
        Estimator::Auto if local && settings.batch_size.is_none() => Estimator::Local,
        Estimator::Auto => Estimator::StickingTheLanding,
        chosen => chosen,
    };
    if estimator == Estimator::Local {
        if !local {
            return Err(MissingCapability { method: METHOD, capability: "LocalReparameterization" }.into());
        }
        return Ok((estimator, settings.draws_per_step.unwrap_or(1)));
    }
    let draws = settings.draws_per_step.unwrap_or(WHOLE_VECTOR_DRAWS);
    if !draws.is_multiple_of(2) {
        return Err(FitError::setting("draws_per_step", draws, "even, as draws on the whole vector come in pairs"));
    }
    Ok((estimator, draws))
}

/// The estimator of one start, as `settings`, which are resolved, say.
pub(super) fn build<'a>(
    posterior: &'a dyn Posterior,
    settings: &MeanField,
    member: usize,
) -> Result<Box<dyn LowerBound + 'a>, FitError> {
    let dim = posterior.layout().dim();
    let (estimator, draws) = resolve(posterior, settings)?;
    match posterior.capabilities().local_reparameterization {
        Some(model) if estimator == Estimator::Local => Ok(Box::new(Local::new(model.local_evaluator(), dim, draws))),
        _ => {
            let joint = LogJoint::new(posterior, settings.batch_size, METHOD, settings.seed, member)?;
            Ok(Box::new(StickingTheLanding::new(joint, dim, draws)))
        }
    }
}

/// Draws x = mean ± sd · z on the whole vector; the gradient of ln q goes through x only, not through mean and sd.
pub(super) struct StickingTheLanding<'a> {
    joint: LogJoint<'a>,
    pairs: usize,
    noise: Vec<f64>,
    position: Vec<f64>,
    gradient: Vec<f64>,
}

impl<'a> StickingTheLanding<'a> {
    pub(super) fn new(joint: LogJoint<'a>, dim: usize, draws: usize) -> Self {
        let zeros = || vec![0.0; dim];
        Self { joint, pairs: draws / 2, noise: zeros(), position: zeros(), gradient: zeros() }
    }

    /// Adds what the draw mean + sd · noise says, and returns ln p − ln q there.
    fn add_draw(
        &mut self,
        q: &DiagonalNormal,
        temperature: f64,
        mean_gradient: &mut [f64],
        log_sd_gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        let mut log_q = 0.0;
        for (i, x) in self.position.iter_mut().enumerate() {
            let (z, sd) = (self.noise[i], q.sd[i]);
            *x = q.mean[i] + sd * z;
            log_q -= 0.5 * z * z + sd.ln() + HALF_LN_2PI;
        }
        let log_joint = self.joint.evaluate(&self.position, &mut self.gradient)?;
        for (i, g) in self.gradient.iter().enumerate() {
            let (z, sd) = (self.noise[i], q.sd[i]);
            // −∂ ln q/∂x = z/sd.
            let along_path = g + temperature * z / sd;
            mean_gradient[i] += along_path;
            log_sd_gradient[i] += along_path * z * sd;
        }
        Ok(log_joint - log_q)
    }
}

impl LowerBound for StickingTheLanding<'_> {
    fn estimate(
        &mut self,
        q: &DiagonalNormal,
        temperature: f64,
        rng: &mut ChainRng,
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        gradient.fill(0.0);
        let (mean_gradient, log_sd_gradient) = gradient.split_at_mut(q.dim());
        let mut sum = 0.0;
        for _ in 0..self.pairs {
            for z in &mut self.noise {
                *z = StandardNormal.sample(rng);
            }
            sum += self.add_draw(q, temperature, mean_gradient, log_sd_gradient)?;
            for z in &mut self.noise {
                *z = -*z;
            }
            sum += self.add_draw(q, temperature, mean_gradient, log_sd_gradient)?;
        }
        let draws = (2 * self.pairs) as f64;
        for g in gradient {
            *g /= draws;
        }
        Ok(sum / draws)
    }

    fn gradients(&self) -> u64 {
        self.joint.gradients()
    }
}

/// Draws pre-activations, as the model does it.
struct Local<'a> {
    evaluator: Box<dyn LocalEvaluator + Send + 'a>,
    draws: usize,
    mean_gradient: Vec<f64>,
    sd_gradient: Vec<f64>,
    evaluations: u64,
}

impl<'a> Local<'a> {
    fn new(evaluator: Box<dyn LocalEvaluator + Send + 'a>, dim: usize, draws: usize) -> Self {
        Self { evaluator, draws, mean_gradient: vec![0.0; dim], sd_gradient: vec![0.0; dim], evaluations: 0 }
    }
}

impl LowerBound for Local<'_> {
    fn estimate(
        &mut self,
        q: &DiagonalNormal,
        temperature: f64,
        rng: &mut ChainRng,
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        gradient.fill(0.0);
        let (mean_gradient, log_sd_gradient) = gradient.split_at_mut(q.dim());
        let (share, mut bound) = (1.0 / self.draws as f64, 0.0);
        for _ in 0..self.draws {
            self.evaluations += 1;
            bound += share
                * self.evaluator.evidence_lower_bound(&q.mean, &q.sd, rng, &mut self.mean_gradient, &mut self.sd_gradient)?;
            for (sum, g) in mean_gradient.iter_mut().zip(&self.mean_gradient) {
                *sum += share * g;
            }
            for ((sum, g), sd) in log_sd_gradient.iter_mut().zip(&self.sd_gradient).zip(&q.sd) {
                *sum += share * g * sd;
            }
        }
        // The entropy is Σ ln sd and a constant.
        for g in log_sd_gradient {
            *g += temperature - 1.0;
        }
        Ok(bound)
    }

    fn gradients(&self) -> u64 {
        self.evaluations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, density, stream};

    fn target() -> DiagonalNormal {
        DiagonalNormal { mean: vec![1.0, -2.0, 0.0], sd: vec![0.1, 1.0, 30.0] }
    }

    /// The density of [`target`], with its constants, so that its evidence is 1.
    fn posterior() -> impl Posterior {
        let p = target();
        density(3, move |x: &[f64], gradient: &mut [f64]| {
            for i in 0..3 {
                gradient[i] = (p.mean[i] - x[i]) / (p.sd[i] * p.sd[i]);
            }
            p.log_density(x)
        })
    }

    #[test]
    fn sticking_the_landing_has_no_variance_where_q_is_the_posterior() {
        let (model, q) = (posterior(), target());
        let joint = LogJoint::full(&model);
        let mut bound = StickingTheLanding::new(joint, 3, 2);
        let mut rng = stream(3, 0, Purpose::Test);
        let mut gradient = vec![0.0; 6];
        let mut twin_is_noisy = false;
        for _ in 0..20 {
            let value = bound.estimate(&q, 1.0, &mut rng, &mut gradient).unwrap();
            assert!(value.abs() < 1e-12, "the bound is ln 1 at every draw, not {value}");
            assert!(gradient.iter().all(|g| g.abs() < 1e-9), "{gradient:?}");
            // The twin with live parameters in ln q: ∂/∂ln sd of (log joint) plus 1 from the entropy.
            let twin = bound.gradient[1] * bound.noise[1] * q.sd[1] + 1.0;
            twin_is_noisy |= twin.abs() > 0.1;
        }
        assert!(twin_is_noisy);
    }

    // 4000 pairs with a fixed seed and bounds at 4.5 standard errors on 6 components: false alarm 4e-5. A gradient off by 5 % of
    // its size (a wrong factor of sd, a live parameter) is more than 10 standard errors away in at least one component.
    #[test]
    fn the_mean_of_the_gradient_is_the_gradient_of_the_bound() {
        let (model, p) = (posterior(), target());
        let q = DiagonalNormal { mean: vec![1.2, -2.5, 10.0], sd: vec![0.2, 0.5, 40.0] };
        for temperature in [1.0, 0.3] {
            let joint = LogJoint::full(&model);
            let mut bound = StickingTheLanding::new(joint, 3, 2);
            let mut rng = stream(4, 0, Purpose::Test);
            let (mut gradient, mut sums, mut squares) = ([0.0; 6], [0.0; 6], [0.0; 6]);
            let pairs = 4000;
            for _ in 0..pairs {
                bound.estimate(&q, temperature, &mut rng, &mut gradient).unwrap();
                for (k, g) in gradient.iter().enumerate() {
                    sums[k] += g;
                    squares[k] += g * g;
                }
            }
            for i in 0..3 {
                let ratio = (q.sd[i] / p.sd[i]).powi(2);
                for (k, exact) in [(i, (p.mean[i] - q.mean[i]) / p.sd[i].powi(2)), (3 + i, temperature - ratio)] {
                    let mean = sums[k] / f64::from(pairs);
                    let error = ((squares[k] / f64::from(pairs) - mean * mean).max(0.0) / f64::from(pairs)).sqrt();
                    assert!((mean - exact).abs() < 4.5 * error + 1e-9, "component {k}: {mean} ± {error}, {exact}");
                }
            }
            assert_eq!(bound.gradients(), 8000);
        }
    }

    #[test]
    fn local_gradients_are_the_derivatives_of_the_estimate_in_mean_and_log_sd() {
        use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior};
        let inputs = nalgebra::DMatrix::from_fn(12, 2, |row, column| ((5 * row + 3 * column) % 7) as f64);
        let targets = nalgebra::DMatrix::from_fn(12, 1, |row, _| ((3 * row) % 5) as f64);
        let network = Network::dense(2, &[3], Activation::Tanh, 1).unwrap();
        let data = Dataset::new(inputs, targets).unwrap();
        let model = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data).unwrap();
        let settings = MeanField { estimator: Estimator::Local, draws_per_step: Some(3), ..MeanField::default() };
        let mut bound = build(&model, &settings, 0).unwrap();
        let dim = 14;
        let mut q = DiagonalNormal {
            mean: (0..dim).map(|i| 0.3 * (i as f64).sin()).collect(),
            sd: (0..dim).map(|i| 0.1 + 0.02 * i as f64).collect(),
        };
        let mut gradient = vec![0.0; 2 * dim];
        // The same stream each time, so that the estimate is a smooth function of mean and sd.
        let mut estimate = |q: &DiagonalNormal, temperature, gradient: &mut [f64]| {
            bound.estimate(q, temperature, &mut stream(8, 0, Purpose::Test), gradient).unwrap()
        };
        let (temperature, h) = (0.4, 1e-5);
        estimate(&q, temperature, &mut gradient);
        let mut unused = vec![0.0; 2 * dim];
        for i in 0..dim {
            let (mean, sd) = (q.mean[i], q.sd[i]);
            q.mean[i] = mean + h;
            let up = estimate(&q, 1.0, &mut unused);
            q.mean[i] = mean - h;
            let slope = (up - estimate(&q, 1.0, &mut unused)) / (2.0 * h);
            q.mean[i] = mean;
            assert!((slope - gradient[i]).abs() < 1e-5 * (1.0 + slope.abs()), "mean {i}: {slope}, {}", gradient[i]);
            q.sd[i] = sd * h.exp();
            let up = estimate(&q, 1.0, &mut unused);
            q.sd[i] = sd * (-h).exp();
            let slope = (up - estimate(&q, 1.0, &mut unused)) / (2.0 * h) + (temperature - 1.0);
            q.sd[i] = sd;
            assert!(
                (slope - gradient[dim + i]).abs() < 1e-5 * (1.0 + slope.abs()),
                "ln sd {i}: {slope}, {}",
                gradient[dim + i]
            );
        }
        // The value is the bound at temperature 1 whatever the temperature of the gradient.
        assert_eq!(estimate(&q, 0.0, &mut unused), estimate(&q, 1.0, &mut unused));
        assert_eq!(bound.gradients(), 3 * (1 + 4 * 14 + 2));
    }
}
