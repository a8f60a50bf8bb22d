//! Predict with the stored draws, which are draws of the whole network.

use super::IntegratedOutput;
use crate::{Dataset, ModelError, PredictOptions};
use ergodic_draws::{Draws, Predictions};
use nalgebra::DMatrix;

impl IntegratedOutput {
    /// As [`BayesianNetwork::predict`](crate::BayesianNetwork::predict).
    ///
    /// # Errors
    /// When the draws are of another model, or the data do not have the model's columns.
    pub fn predict(&self, draws: &Draws, data: &Dataset) -> Result<Predictions, ModelError> {
        self.model.predict(draws, data)
    }

    /// As [`BayesianNetwork::predict_with`](crate::BayesianNetwork::predict_with).
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_with(&self, draws: &Draws, data: &Dataset, options: &PredictOptions) -> Result<Predictions, ModelError> {
        self.model.predict_with(draws, data, options)
    }

    /// As [`BayesianNetwork::predict_inputs`](crate::BayesianNetwork::predict_inputs).
    ///
    /// # Errors
    /// When the draws are of another model, or the inputs do not have the model's columns or are not finite.
    pub fn predict_inputs(&self, draws: &Draws, inputs: &DMatrix<f64>) -> Result<Predictions, ModelError> {
        self.model.predict_inputs(draws, inputs)
    }
}
