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
        Self::fit_where(train, |_| targets)
    }

    /// The means and standard deviations of `train`, target columns that are not `standardized` left as they are.
    ///
    /// # Errors
    /// When a column that is to be standardised is constant.
    pub fn fit_where(train: &Dataset, standardized: impl Fn(usize) -> bool) -> Result<Self, DataError> {
        let columns = train.inputs().column_iter().zip(train.input_names());
        let inputs = columns.map(|(column, name)| column_scale(column, name)).collect::<Result<_, _>>()?;
        Ok(Self { inputs, ..Self::fit_targets(train, standardized)? })
    }

    /// As [`fit_where`](Self::fit_where), with one mean and one standard deviation for all inputs together, as images need: pixels keep
    /// their relation to each other, and may be constant.
    ///
    /// # Errors
    /// When all inputs of all rows are equal, or a target that is to be standardised is constant.
    pub fn fit_inputs_together(train: &Dataset, standardized: impl Fn(usize) -> bool) -> Result<Self, DataError> {
        let all = train.inputs().clone().reshape_generic(nalgebra::Dyn(train.inputs().len()), nalgebra::Dyn(1));
        let (rows, value) = (train.num_rows(), train.inputs()[0]);
        let scale = column_scale(all.column(0), "inputs").map_err(|_| DataError::ConstantInputs { value, rows })?;
        Ok(Self { inputs: vec![scale; train.num_inputs()], ..Self::fit_targets(train, standardized)? })
    }

    /// As [`fit_where`](Self::fit_where), with inputs left as they are.
    ///
    /// # Errors
    /// When a target that is to be standardised is constant.
    pub fn fit_targets(train: &Dataset, standardized: impl Fn(usize) -> bool) -> Result<Self, DataError> {
        let names = train.target_names().iter().enumerate();
        let target = |((index, name), column): ((usize, &String), nalgebra::DVectorView<'_, f64>)| {
            if standardized(index) { column_scale(column, name) } else { Ok((0.0, 1.0)) }
        };
        Ok(Self {
            inputs: Self::identity(train.num_inputs(), train.num_targets()).inputs,
            targets: names.zip(train.targets().column_iter()).map(target).collect::<Result<_, _>>()?,
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

/// Mean and standard deviation of a column.
fn column_scale(column: nalgebra::DVectorView<'_, f64>, name: &str) -> Result<(f64, f64), DataError> {
    let rows = column.len();
    let largest = column.iter().fold(0.0_f64, |m, value| m.max(value.abs()));
    let constant = || DataError::ConstantColumn { column: name.to_owned(), value: column[0], rows };
    if largest == 0.0 {
        return Err(constant());
    }
    // In units of the largest value, so that no sum overflows.
    let mean = column.iter().map(|value| value / largest).sum::<f64>() / rows as f64;
    let variance = column.iter().map(|value| (value / largest - mean).powi(2)).sum::<f64>() / rows as f64;
    // Rounding leaves a constant column with a tiny spread instead of none.
    if variance.sqrt() <= 1e-13 {
        return Err(constant());
    }
    Ok((largest * mean, largest * variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_mean_0_and_sd_1_however_large_or_small_their_values() {
        for unit in [1.0, 1e-300, 1e307] {
            let inputs = DMatrix::from_row_slice(4, 1, &[1.0, 2.0, 5.0, 9.0]) * unit;
            let data = Dataset::new(inputs, DMatrix::from_row_slice(4, 1, &[-1.0, 3.0, 2.0, 8.0]) * unit).unwrap();
            let standardization = Standardization::fit(&data, true).unwrap();
            for column in [standardization.apply_inputs(data.inputs()), standardization.apply_targets(data.targets())] {
                assert!(column.mean().abs() < 1e-14, "{unit}: {}", column.mean());
                assert!((column.variance() - 1.0).abs() < 1e-12, "{unit}: {}", column.variance());
            }
        }
    }

    #[test]
    fn constant_columns_are_refused_also_when_rounding_gives_them_a_spread() {
        for value in [0.0, 0.1, -1e300] {
            let data = Dataset::new(DMatrix::from_element(7, 1, value), DMatrix::from_fn(7, 1, |row, _| row as f64)).unwrap();
            let error = Standardization::fit(&data, true).unwrap_err();
            assert!(matches!(&error, DataError::ConstantColumn { column, rows: 7, .. } if column == "x0"), "{error}");
        }
        let small_spread = DMatrix::from_fn(7, 1, |row, _| 1.0 + 1e-9 * row as f64);
        let data = Dataset::new(small_spread.clone(), small_spread).unwrap();
        assert!(Standardization::fit(&data, true).is_ok(), "a small spread is a spread");
    }

    #[test]
    fn targets_of_a_classification_stay_as_they_are() {
        let data = Dataset::new(DMatrix::from_fn(4, 1, |row, _| row as f64), DMatrix::from_element(4, 1, 2.0)).unwrap();
        assert_eq!(Standardization::fit(&data, false).unwrap().targets, [(0.0, 1.0)]);
    }
}
