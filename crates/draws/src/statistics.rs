//! Keep what a method says about each draw, in columns with ArviZ's names.

use serde::{Deserialize, Serialize};
use std::collections::TryReserveError;

/// The type that a statistic has on disk and in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A real number.
    Real,
    /// A whole number.
    Integer,
    /// 0 or 1.
    Flag,
}

/// One statistic that a kernel reports with every draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Field {
    /// ArviZ's name, such as `diverging`.
    pub name: &'static str,
    /// Type on disk.
    pub kind: FieldKind,
}

impl Field {
    /// A real-valued statistic.
    #[must_use]
    pub const fn real(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Real }
    }

    /// A whole-numbered statistic.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Integer }
    }

    /// A yes-or-no statistic.
    #[must_use]
    pub const fn flag(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Flag }
    }
}

/// A field as it is stored: like [`Field`], with a name of its own, so that foreign files can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// ArviZ's name.
    pub name: String,
    /// Type on disk.
    pub kind: FieldKind,
}

impl From<&Field> for Column {
    fn from(field: &Field) -> Self {
        Self { name: field.name.to_owned(), kind: field.kind }
    }
}

/// The statistics of one chain: one row a draw, one column a field.
///
/// Values of every kind are held as `f64`; whole numbers up to 2⁵³ are exact.
///
/// ```
/// use ergodic_draws::{Column, Field, Statistics};
/// let mut statistics = Statistics::new(vec![Column::from(&Field::flag("diverging"))]);
/// statistics.push(&[1.0]);
/// assert_eq!(statistics.column("diverging"), Some(vec![1.0]));
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    columns: Vec<Column>,
    rows: Vec<f64>,
}

impl Statistics {
    /// No rows yet.
    #[must_use]
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Appends one row.
    ///
    /// # Panics
    /// When `row` has another length than there are columns.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.columns.len(), "a row has one value per column");
        self.rows.extend_from_slice(row);
    }

    /// Makes room for `additional` more rows.
    ///
    /// # Errors
    /// When the memory cannot be had; the rows stay as they are.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), TryReserveError> {
        self.rows.try_reserve(additional.saturating_mul(self.columns.len()))
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows; 0 without columns.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.columns.is_empty() { 0 } else { self.rows.len() / self.columns.len() }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, draw: usize) -> &[f64] {
        &self.rows[draw * self.columns.len()..][..self.columns.len()]
    }

    /// The values of the column `name`, one a draw, if there is such a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let index = self.columns.iter().position(|column| column.name == name)?;
        Some(self.rows.chunks_exact(self.columns.len()).map(|row| row[index]).collect())
    }

    /// Keeps the first `draws` rows.
    pub fn truncate(&mut self, draws: usize) {
        self.rows.truncate(draws * self.columns.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_hold_the_same_values() {
        let fields = [Field::real("lp"), Field::integer("n_steps"), Field::flag("diverging")];
        let mut statistics = Statistics::new(fields.iter().map(Column::from).collect());
        assert!(statistics.is_empty());
        statistics.push(&[-1.5, 7.0, 0.0]);
        statistics.push(&[-2.5, 3.0, 1.0]);
        assert_eq!(statistics.column("n_steps"), Some(vec![7.0, 3.0]));
        assert_eq!(statistics.row(1), [-2.5, 3.0, 1.0]);
        assert_eq!(statistics.columns()[2], Column { name: "diverging".into(), kind: FieldKind::Flag });
        assert_eq!(statistics.column("energy"), None);
        statistics.truncate(1);
        assert_eq!((statistics.len(), statistics.column("lp")), (1, Some(vec![-1.5])));
        statistics.truncate(5);
        assert_eq!(statistics.len(), 1);
    }

    #[test]
    fn without_columns_there_are_no_rows() {
        let mut statistics = Statistics::default();
        statistics.push(&[]);
        assert!(statistics.is_empty() && statistics.column("lp").is_none());
    }
}
