//! Hold rows of inputs and targets with their names.

use crate::{Purpose, stream};
use nalgebra::DMatrix;
use rand::RngExt;
use std::path::PathBuf;

/// Rows of inputs and targets, in the unit they were measured in.
///
/// Targets of a classification are class numbers 0, 1, …, and `class_names` says what they stand for.
///
/// ```
/// use ergodic_model::Dataset;
/// use nalgebra::DMatrix;
/// let inputs = DMatrix::from_row_slice(3, 2, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
/// let data = Dataset::new(inputs, DMatrix::from_row_slice(3, 1, &[1.0, 2.0, 3.0]))?.with_target_names(&["quality"])?;
/// assert_eq!((data.num_rows(), data.num_inputs()), (3, 2));
/// # Ok::<(), ergodic_model::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    inputs: DMatrix<f64>,
    targets: DMatrix<f64>,
    input_names: Vec<String>,
    target_names: Vec<String>,
    class_names: Vec<String>,
}

/// What is wrong with data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Inputs and targets have different numbers of rows.
    #[error("there are {inputs} rows of inputs and {targets} rows of targets; they must agree")]
    RowCount {
        /// Rows of inputs.
        inputs: usize,
        /// Rows of targets.
        targets: usize,
    },
    /// There is no row, no input or no target.
    #[error("the data have no {0}")]
    Empty(&'static str),
    /// A value is missing or not finite.
    #[error("row {row}, column '{column}' is {value}, not a finite number; remove the row or fill the value in")]
    NotFinite {
        /// Row, counted from 0 without a header.
        row: usize,
        /// Column by name.
        column: String,
        /// What stands there.
        value: f64,
    },
    /// An input has the same value in all training rows.
    #[error("column '{column}' is {value} in all {rows} training rows, so it cannot be standardised; drop the column")]
    ConstantColumn {
        /// Column by name.
        column: String,
        /// Its value.
        value: f64,
        /// Number of training rows.
        rows: usize,
    },
    /// A target does not suit the likelihood.
    #[error("row {row}, target '{column}': {problem}")]
    Target {
        /// Row, counted from 0 without a header.
        row: usize,
        /// Column by name.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// All targets are of one class.
    #[error("all {rows} training rows are of class {class}; a classifier needs rows of at least two classes")]
    OneClass {
        /// The class by name or number.
        class: String,
        /// Number of training rows.
        rows: usize,
    },
    /// There is another number of names than columns.
    #[error("{found} names for {expected} {what}; give one name a column")]
    NameCount {
        /// Inputs or targets.
        what: &'static str,
        /// Names given.
        found: usize,
        /// Columns.
        expected: usize,
    },
    /// A split would leave a side without rows.
    #[error(
        "a test fraction of {fraction} of {rows} rows leaves one side empty; choose a fraction between 0 and 1 that does not"
    )]
    Split {
        /// Fraction asked for.
        fraction: f64,
        /// Number of rows.
        rows: usize,
    },
    /// A row number is out of range.
    #[error("row {row} was asked for and the data have {rows} rows")]
    NoSuchRow {
        /// Row asked for.
        row: usize,
        /// Number of rows.
        rows: usize,
    },
    /// Data have another number of columns than the model.
    #[error("the data have {found} {what} and the model expects {expected}")]
    ColumnCount {
        /// Inputs or targets.
        what: &'static str,
        /// Columns of the data.
        found: usize,
        /// Columns of the model.
        expected: usize,
    },
    /// A file could not be read.
    #[error("cannot read '{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system or the parser said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A field of a file is not a number.
    #[error("'{}', line {line}, column '{column}': '{value}' is not a number", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1 with the header.
        line: u64,
        /// Column by name.
        column: String,
        /// What stands there.
        value: String,
    },
    /// A file has no column of that name.
    #[error("'{}' has no column '{column}'; its columns are: {columns}", path.display())]
    NoSuchColumn {
        /// The file.
        path: PathBuf,
        /// Column asked for.
        column: String,
        /// The columns it has.
        columns: String,
    },
}

impl Dataset {
    /// Joins inputs (rows × inputs) and targets (rows × targets); columns are named `x0`, `x1`, … and `y`, or `y0`, `y1`, ….
    ///
    /// # Errors
    /// When the numbers of rows differ, there is nothing, or a value is not finite.
    pub fn new(inputs: DMatrix<f64>, targets: DMatrix<f64>) -> Result<Self, DataError> {
        if inputs.nrows() != targets.nrows() {
            return Err(DataError::RowCount { inputs: inputs.nrows(), targets: targets.nrows() });
        }
        for (what, count) in [("rows", inputs.nrows()), ("inputs", inputs.ncols()), ("targets", targets.ncols())] {
            if count == 0 {
                return Err(DataError::Empty(what));
            }
        }
        let number = |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
        let target_names = if targets.ncols() == 1 { vec!["y".to_owned()] } else { number("y", targets.ncols()) };
        let data = Self { input_names: number("x", inputs.ncols()), inputs, targets, target_names, class_names: Vec::new() };
        data.check_finite()?;
        Ok(data)
    }

    fn check_finite(&self) -> Result<(), DataError> {
        for (matrix, names) in [(&self.inputs, &self.input_names), (&self.targets, &self.target_names)] {
            for (column, name) in matrix.column_iter().zip(names) {
                if let Some((row, &value)) = column.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                    return Err(DataError::NotFinite { row, column: name.clone(), value });
                }
            }
        }
        Ok(())
    }

    /// Names the inputs.
    ///
    /// # Errors
    /// When there is another number of names than inputs.
    pub fn with_input_names<S: AsRef<str>>(mut self, names: &[S]) -> Result<Self, DataError> {
        if names.len() != self.num_inputs() {
            return Err(DataError::NameCount { what: "inputs", found: names.len(), expected: self.num_inputs() });
        }
        self.input_names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        Ok(self)
    }

    /// Names the targets, with their unit if they have one.
    ///
    /// # Errors
    /// When there is another number of names than targets.
    pub fn with_target_names<S: AsRef<str>>(mut self, names: &[S]) -> Result<Self, DataError> {
        if names.len() != self.num_targets() {
            return Err(DataError::NameCount { what: "targets", found: names.len(), expected: self.num_targets() });
        }
        self.target_names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        Ok(self)
    }

    /// Names the classes 0, 1, … of a classification.
    #[must_use]
    pub fn with_class_names<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        self.class_names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        self
    }

    /// Number of rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.inputs.nrows()
    }

    /// Number of inputs.
    #[must_use]
    pub fn num_inputs(&self) -> usize {
        self.inputs.ncols()
    }

    /// Number of targets.
    #[must_use]
    pub fn num_targets(&self) -> usize {
        self.targets.ncols()
    }

    /// The inputs, rows × inputs.
    #[must_use]
    pub fn inputs(&self) -> &DMatrix<f64> {
        &self.inputs
    }

    /// The targets, rows × targets.
    #[must_use]
    pub fn targets(&self) -> &DMatrix<f64> {
        &self.targets
    }

    /// Names of the inputs.
    #[must_use]
    pub fn input_names(&self) -> &[String] {
        &self.input_names
    }

    /// Names of the targets.
    #[must_use]
    pub fn target_names(&self) -> &[String] {
        &self.target_names
    }

    /// Names of the classes; empty where they have none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The given rows, in that order.
    ///
    /// # Errors
    /// When a row is out of range, or none is given.
    pub fn select(&self, rows: &[usize]) -> Result<Self, DataError> {
        if rows.is_empty() {
            return Err(DataError::Empty("rows"));
        }
        if let Some(&row) = rows.iter().find(|&&row| row >= self.num_rows()) {
            return Err(DataError::NoSuchRow { row, rows: self.num_rows() });
        }
        Ok(Self { inputs: self.inputs.select_rows(rows), targets: self.targets.select_rows(rows), ..self.clone() })
    }

    /// Splits the rows at random into a training and a test set; the same seed gives the same split.
    ///
    /// The test set has `test_fraction` of the rows, rounded.
    ///
    /// # Errors
    /// When one side would be empty.
    pub fn split(&self, test_fraction: f64, seed: u64) -> Result<(Self, Self), DataError> {
        let rows = self.num_rows();
        let test = (test_fraction * rows as f64).round();
        if !(test >= 1.0 && test < rows as f64) {
            return Err(DataError::Split { fraction: test_fraction, rows });
        }
        let mut order: Vec<usize> = (0..rows).collect();
        let mut rng = stream(seed, 0, Purpose::Split);
        for last in (1..rows).rev() {
            order.swap(last, rng.random_range(0..=last));
        }
        let (test, train) = order.split_at(test as usize);
        Ok((self.select(train)?, self.select(test)?))
    }
}
