//! Predict with the draws of a Bayesian network, and check that the data are of its kind.

use super::{BayesianNetwork, ModelError};
use crate::{DataError, Dataset, PredictOptions, predict};
use ergodic_draws::{Draws, Predictions};
use nalgebra::DMatrix;

impl BayesianNetwork {
    /// Predictions at the inputs of `data` under every draw, with the log density of its targets, all in the unit of `data`.
    ///
    /// ```
    /// use ergodic_draws::{ChainDraws, Draws, Origin, RunReport};
    /// use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Posterior};
    /// use nalgebra::DMatrix;
    /// let inputs = DMatrix::from_fn(20, 1, |row, _| row as f64);
    /// let data = Dataset::new(inputs.clone(), inputs.map(|x| 100.0 + x))?;
    /// let network = Network::dense(1, &[], Activation::Tanh, 1)?;
    /// let posterior = BayesianNetwork::new(network, Gaussian::known_noise(0.1), NormalPrior::default(), &data)?;
    /// // Weight 1 and bias 0 on the standardised scale: the line through the data.
    /// let chain = ChainDraws::from_positions(2, vec![1.0, 0.0]);
    /// let draws = Draws::new(posterior.layout(), Origin::Point, vec![chain], RunReport::new("by hand", 1));
    /// let predictions = posterior.predict(&draws, &data)?;
    /// assert!((predictions.value(0, 7, 0) - 107.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the draws are of another model, or the data do not have the model's columns or classes.
    pub fn predict(&self, draws: &Draws, data: &Dataset) -> Result<Predictions, ModelError> {
        self.predict_with(draws, data, &PredictOptions::default())
    }

    /// As [`predict`](Self::predict), with settings.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_with(&self, draws: &Draws, data: &Dataset, options: &PredictOptions) -> Result<Predictions, ModelError> {
        let targets = self.own_classes(data)?;
        predict(self, draws, data.inputs(), Some(targets.as_ref().unwrap_or(data.targets())), options)
    }

    /// Predictions at `inputs` (points × inputs, in the unit the model was given them in), where no targets are known.
    ///
    /// # Errors
    /// When the draws are of another model, or the inputs do not have the model's columns or are not finite.
    pub fn predict_inputs(&self, draws: &Draws, inputs: &DMatrix<f64>) -> Result<Predictions, ModelError> {
        predict(self, draws, inputs, None, &PredictOptions::default())
    }

    /// Names of the classes; empty where they have none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The targets of `data` with the class numbers of this model, where `data` numbers its classes otherwise.
    fn own_classes(&self, data: &Dataset) -> Result<Option<DMatrix<f64>>, DataError> {
        let (own, given) = (&self.class_names, data.class_names());
        if own.is_empty() || given.is_empty() || own.as_slice() == given {
            return Ok(None);
        }
        let mut targets = data.targets().clone();
        for (row, target) in targets.iter_mut().enumerate() {
            let name = given.get(*target as usize);
            let Some(class) = own.iter().position(|class| Some(class) == name) else {
                let name = name.cloned().unwrap_or_else(|| target.to_string());
                let problem = format!("class '{name}' is none of the model's classes: {}", own.join(", "));
                return Err(DataError::Target { row, column: self.target_name.clone(), problem });
            };
            *target = class as f64;
        }
        Ok(Some(targets))
    }
}
