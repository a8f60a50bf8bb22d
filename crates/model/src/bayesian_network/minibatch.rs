//! Compute the log likelihood of some rows and its gradient, apart from the prior.

use super::BayesianNetwork;
use super::gradient::LikelihoodGradient;
use crate::{EvaluationError, MinibatchEvaluator, MinibatchGradient};

impl MinibatchGradient for BayesianNetwork {
    fn num_data(&self) -> usize {
        self.rows.count
    }

    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_> {
        Box::new(Minibatches { model: self, likelihood: LikelihoodGradient::new(self) })
    }
}

struct Minibatches<'a> {
    model: &'a BayesianNetwork,
    likelihood: LikelihoodGradient<'a>,
}

impl MinibatchEvaluator for Minibatches<'_> {
    fn log_likelihood_and_gradient(
        &mut self,
        position: &[f64],
        rows: &[usize],
        gradient: &mut [f64],
    ) -> Result<f64, EvaluationError> {
        check_rows(rows, self.model.rows.count)?;
        self.model.check_dim("position", position.len())?;
        self.model.check_dim("gradient", gradient.len())?;
        Ok(self.likelihood.evaluate(position, Some(rows), gradient))
    }

    fn log_prior_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        self.model.check_dim("position", position.len())?;
        self.model.check_dim("gradient", gradient.len())?;
        gradient.fill(0.0);
        Ok(self.model.add_prior_gradient(position, gradient))
    }
}

/// Checks that all rows exist.
fn check_rows(rows: &[usize], count: usize) -> Result<(), EvaluationError> {
    match rows.iter().find(|&&row| row >= count) {
        Some(row) => Err(EvaluationError::new(format!("row {row} was asked for and the model has {count} rows"))),
        None => Ok(()),
    }
}
