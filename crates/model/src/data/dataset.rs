//! Hold rows of inputs and targets with their names.

use super::DataError;
use crate::{Purpose, stream};
use nalgebra::DMatrix;
use rand::RngExt;

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

    /// Numbers the distinct values of a single target 0, 1, … in ascending order, as classes named after them.
    ///
    /// ```
    /// use ergodic_model::Dataset;
    /// use nalgebra::DMatrix;
    /// let targets = DMatrix::from_row_slice(3, 1, &[7.0, 3.0, 7.0]);
    /// let data = Dataset::new(DMatrix::zeros(3, 1), targets)?.with_targets_as_classes()?;
    /// assert_eq!(data.targets().as_slice(), [1.0, 0.0, 1.0]);
    /// assert_eq!(data.class_names(), ["3", "7"]);
    /// # Ok::<(), ergodic_model::DataError>(())
    /// ```
    ///
    /// # Errors
    /// When there is more than one target.
    pub fn with_targets_as_classes(mut self) -> Result<Self, DataError> {
        if self.num_targets() != 1 {
            return Err(DataError::ColumnCount { what: "targets", found: self.num_targets(), expected: 1 });
        }
        let mut values: Vec<f64> = self.targets.iter().copied().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        self.targets.apply(|target| *target = values.partition_point(|value| *value < *target) as f64);
        Ok(self.with_class_names(&values.iter().map(f64::to_string).collect::<Vec<_>>()))
    }

    /// Renumbers the classes in the given order, lowest first, as an [`Ordinal`](crate::Ordinal) likelihood wants them; text is read in
    /// alphabetical order otherwise. Names that no row has are classes too.
    ///
    /// ```
    /// use ergodic_model::Dataset;
    /// let text = "size,grade\n1.0,low\n2.0,high\n3.0,medium\n";
    /// let data = Dataset::from_reader(text.as_bytes(), "grades", &["grade"])?.with_class_order(&["low", "medium", "high"])?;
    /// assert_eq!(data.targets().as_slice(), [0.0, 2.0, 1.0]);
    /// assert_eq!(data.class_names(), ["low", "medium", "high"]);
    /// # Ok::<(), ergodic_model::DataError>(())
    /// ```
    ///
    /// # Errors
    /// When a name stands twice, or a class of the data is not among the names.
    pub fn with_class_order<S: AsRef<str>>(mut self, names: &[S]) -> Result<Self, DataError> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
        if let Some((_, class)) = twice {
            return Err(DataError::ClassOrder { class: class.clone(), problem: "stands twice in", order: names.join(", ") });
        }
        let mut numbers = Vec::with_capacity(self.class_names.len());
        for class in &self.class_names {
            let Some(number) = names.iter().position(|name| name == class) else {
                return Err(DataError::ClassOrder { class: class.clone(), problem: "is missing in", order: names.join(", ") });
            };
            numbers.push(number as f64);
        }
        for (row, target) in self.targets.iter_mut().enumerate() {
            let Some(number) = numbers.get(*target as usize) else {
                let problem = format!("the target is {target}, which is no number of a named class; name the classes first");
                return Err(DataError::Target { row, column: self.target_names.join(", "), problem });
            };
            *target = *number;
        }
        self.class_names = names;
        Ok(self)
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
