//! Evaluate the log joint density in full or by minibatches, find where it starts, and count what that costs.

use crate::FitError;
use ergodic_model::{ChainRng, EvaluationError, LogDensity, MinibatchEvaluator, MissingCapability, Posterior, Purpose, stream};
use rand::RngExt;

/// How many initial positions are tried, as Stan does.
const TRIES: usize = 100;

/// The log joint density of one fit: exact, or estimated without bias from some rows.
pub(crate) enum LogJoint<'a> {
    /// All rows.
    Full { evaluator: Box<dyn LogDensity + Send + 'a>, evaluations: u64 },
    /// `n` rows at a time.
    Minibatch(Box<Minibatch<'a>>),
}

/// Rows in a random order, taken `size` at a time; a new order when fewer are left, so that every batch is a random subset.
pub(crate) struct Minibatch<'a> {
    evaluator: Box<dyn MinibatchEvaluator + Send + 'a>,
    order: Vec<usize>,
    next: usize,
    size: usize,
    likelihood_gradient: Vec<f64>,
    rng: ChainRng,
    rows_seen: u64,
}

impl<'a> LogJoint<'a> {
    /// The log joint of `posterior`, in full unless `batch_size` is given.
    ///
    /// # Errors
    /// When minibatches are asked for and the model has none, or fewer rows.
    pub(crate) fn new(
        posterior: &'a dyn Posterior,
        batch_size: Option<usize>,
        method: &'static str,
        seed: u64,
        member: usize,
    ) -> Result<Self, FitError> {
        let Some(size) = batch_size else {
            return Ok(Self::full(posterior));
        };
        let Some(minibatch) = posterior.capabilities().minibatch else {
            return Err(MissingCapability { method, capability: "MinibatchGradient" }.into());
        };
        let num_data = minibatch.num_data();
        if size == 0 || size > num_data {
            return Err(FitError::setting("batch_size", size, "at least 1 and at most the number of rows"));
        }
        Ok(Self::Minibatch(Box::new(Minibatch {
            evaluator: minibatch.minibatch_evaluator(),
            order: (0..num_data).collect(),
            next: num_data,
            size,
            likelihood_gradient: vec![0.0; posterior.layout().dim()],
            rng: stream(seed, member, Purpose::Minibatch),
            rows_seen: 0,
        })))
    }

    /// The log joint of `posterior` over all rows.
    pub(crate) fn full(posterior: &'a dyn Posterior) -> Self {
        Self::Full { evaluator: posterior.evaluator(), evaluations: 0 }
    }

    /// Whether values are exact.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Writes the gradient and returns the value, both possibly not finite.
    pub(crate) fn evaluate(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        match self {
            Self::Full { evaluator, evaluations } => {
                *evaluations += 1;
                evaluator.log_density_and_gradient(position, gradient)
            }
            Self::Minibatch(minibatch) => minibatch.evaluate(position, gradient),
        }
    }

    /// Gradients spent: a gradient over n of N rows counts n/N, and the sum is rounded up.
    pub(crate) fn gradients(&self) -> u64 {
        match self {
            Self::Full { evaluations, .. } => *evaluations,
            Self::Minibatch(minibatch) => minibatch.rows_seen.div_ceil(minibatch.order.len() as u64),
        }
    }
}

impl Minibatch<'_> {
    /// log prior + N/n · Σ log likelihood over the next n rows.
    fn evaluate(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        if self.next + self.size > self.order.len() {
            shuffle(&mut self.order, &mut self.rng);
            self.next = 0;
        }
        let rows = &self.order[self.next..][..self.size];
        self.next += self.size;
        self.rows_seen += self.size as u64;
        let scale = self.order.len() as f64 / self.size as f64;
        let log_likelihood = self.evaluator.log_likelihood_and_gradient(position, rows, &mut self.likelihood_gradient)?;
        let log_prior = self.evaluator.log_prior_and_gradient(position, gradient)?;
        for (g, likelihood) in gradient.iter_mut().zip(&self.likelihood_gradient) {
            *g += scale * likelihood;
        }
        Ok(log_prior + scale * log_likelihood)
    }
}

/// Puts `order` in a random order (Fisher & Yates).
fn shuffle(order: &mut [usize], rng: &mut ChainRng) {
    for last in (1..order.len()).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
}

/// Whether a value and its gradient may be used.
pub(crate) fn is_finite(value: f64, gradient: &[f64]) -> bool {
    value.is_finite() && gradient.iter().all(|g| g.is_finite())
}

/// Writes an initial position with a finite log density and gradient, asking the posterior up to a hundred times.
pub(crate) fn find_start(
    posterior: &dyn Posterior,
    joint: &mut LogJoint<'_>,
    method: &'static str,
    seed: u64,
    member: usize,
    position: &mut [f64],
) -> Result<(), FitError> {
    let mut rng = stream(seed, member, Purpose::Initialise);
    let mut gradient = vec![0.0; position.len()];
    let mut log_density = f64::NAN;
    for _ in 0..TRIES {
        posterior.initial_position(&mut rng, position);
        log_density = joint.evaluate(position, &mut gradient).map_err(FitError::at(method, 0))?;
        if is_finite(log_density, &gradient) {
            return Ok(());
        }
    }
    let problem = match gradient.iter().position(|g| !g.is_finite()) {
        Some(i) => format!("gradient {} in {}", gradient[i], posterior.layout().coordinate_name(i)),
        None => "a finite gradient".to_owned(),
    };
    Err(FitError::NoInitialPosition { method, tries: TRIES, log_density, problem })
}
