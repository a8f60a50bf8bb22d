//! Say what is wrong with data, and where.

use std::path::PathBuf;

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
    #[error(
        "column '{column}' is {value} in all {rows} training rows, so it cannot be standardised; drop the column, or standardise all inputs together if they are pixels"
    )]
    ConstantColumn {
        /// Column by name.
        column: String,
        /// Its value.
        value: f64,
        /// Number of training rows.
        rows: usize,
    },
    /// All inputs of all training rows are equal.
    #[error("all inputs are {value} in all {rows} training rows, so they cannot be standardised and tell nothing")]
    ConstantInputs {
        /// Their value.
        value: f64,
        /// Number of training rows.
        rows: usize,
    },
    /// A row cannot be the network's input.
    #[error("row {row} of the inputs: {problem}")]
    Input {
        /// Row, counted from 0 without a header.
        row: usize,
        /// What is wrong.
        problem: String,
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
    /// An order of classes does not fit the classes of the data.
    #[error("class '{class}' {problem} the order of classes: {order}; name each class once, the lowest first")]
    ClassOrder {
        /// The class by name.
        class: String,
        /// What is wrong with it.
        problem: &'static str,
        /// The order that was given.
        order: String,
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
    /// A field of a file is not a finite number.
    #[error("'{}', line {line}, column '{column}': '{value}' is not a finite number", path.display())]
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
    /// A field of a file is empty.
    #[error("'{}', line {line}, column '{column}': the value is missing; remove the row or fill the value in", path.display())]
    MissingValue {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1 with the header.
        line: u64,
        /// Column by name.
        column: String,
    },
    /// A row of a file has another number of fields than the header.
    #[error("'{}', line {line} has {found} fields and the header {expected}", path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1 with the header.
        line: u64,
        /// Fields of the row.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// Two columns of a file share a name.
    #[error("'{}' has more than one column '{column}'; give each its own name", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// The first line of a file holds numbers only.
    #[error("the first line of '{}' holds numbers only; put the columns' names there", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// A file has no rows.
    #[error("'{}' has no rows below its header", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
}
