//! Standardise inputs and targets by the mean and standard deviation of training rows.

use super::{DataError, Dataset};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Means and standard deviations (with n, not n − 1) of the training rows, by which data are standardised and results are undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardization {
    /// Mean and standard deviation of each input.
    pub inputs: Vec<(f64, f64)>,
    /// Mean and standard deviation of each target; `(0, 1)` where targets are left as they are.
    pub targets: Vec<(f64, f64)>,
}

impl Standardization {
    /// Leaves everything as it is.
    #[must_use]
    pub fn identity(num_inputs: usize, num_targets: usize) -> Self {
        Self { inputs: vec![(0.0, 1.0); num_inputs], targets: vec![(0.0, 1.0); num_targets] }
    }

    /// The means and standard deviations of `train`; targets are left as they are unless `targets`.
    ///
    /// # Errors
    /// When a column is constant.
    pub fn fit(train: &Dataset, targets: bool) -> Result<Self, DataError> {
        let identity = Self::identity(train.num_inputs(), train.num_targets());
        Ok(Self {
            inputs: column_scales(train.inputs(), train.input_names())?,
            targets: if targets { column_scales(train.targets(), train.target_names())? } else { identity.targets },
        })
    }

    /// Standardised inputs.
    #[must_use]
    pub fn apply_inputs(&self, inputs: &DMatrix<f64>) -> DMatrix<f64> {
        apply(&self.inputs, inputs)
    }

    /// Standardised targets.
    #[must_use]
    pub fn apply_targets(&self, targets: &DMatrix<f64>) -> DMatrix<f64> {
        apply(&self.targets, targets)
    }
}

fn apply(scales: &[(f64, f64)], matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let mut standardised = matrix.clone();
    for (mut column, (mean, sd)) in standardised.column_iter_mut().zip(scales) {
        column.apply(|value| *value = (*value - mean) / sd);
    }
    standardised
}

fn column_scales(matrix: &DMatrix<f64>, names: &[String]) -> Result<Vec<(f64, f64)>, DataError> {
    let rows = matrix.nrows();
    let scale = |(column, name): (nalgebra::DVectorView<'_, f64>, &String)| {
        let mean = column.iter().sum::<f64>() / rows as f64;
        let sd = (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows as f64).sqrt();
        // Rounding leaves a constant column with a tiny spread instead of none.
        let largest = column.iter().fold(0.0_f64, |m, value| m.max(value.abs()));
        if sd <= 1e-13 * largest || sd == 0.0 {
            return Err(DataError::ConstantColumn { column: name.clone(), value: column[0], rows });
        }
        Ok((mean, sd))
    };
    matrix.column_iter().zip(names).map(scale).collect()
}
