//! Lay out tables as aligned text and as comma-separated values.

use serde::Serialize;
use std::fmt;

/// One cell of a [`Table`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Cell {
    /// Text, aligned left.
    Text(String),
    /// A whole number.
    Count(u64),
    /// A number shown with `decimals` digits after the point, aligned right; NaN is blank.
    Fixed {
        /// The number, written in full to files.
        value: f64,
        /// Digits after the point on screen.
        decimals: usize,
    },
    /// A number shown with three significant digits, aligned right; NaN is blank.
    Significant(f64),
}

impl Cell {
    /// A text cell.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number with `decimals` digits after the point.
    #[must_use]
    pub fn fixed(value: f64, decimals: usize) -> Self {
        Self::Fixed { value, decimals }
    }

    /// A share between 0 and 1, shown with three digits after the point.
    #[must_use]
    pub fn share(value: f64) -> Self {
        Self::fixed(value, 3)
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            Self::Count(count) => count.to_string(),
            Self::Fixed { value, decimals } => not_nan(*value, |v| format!("{v:.decimals$}")),
            Self::Significant(value) => not_nan(*value, |v| significant(v, 3)),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Count(count) => count.to_string(),
            Self::Fixed { value, .. } | Self::Significant(value) => not_nan(*value, |v| v.to_string()),
        }
    }
}

fn not_nan(value: f64, write: impl Fn(f64) -> String) -> String {
    if value.is_nan() { String::new() } else { write(value) }
}

/// `value` with `digits` significant digits, in powers of ten where it is very large or small.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&exponent) {
        return format!("{value:.*e}", digits - 1);
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    format!("{value:.decimals$}")
}

/// A field of a CSV file, in quotes where it holds a comma, a quote or a line break.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A table with a title, notes, and the caveat of results that are not exact draws from the posterior.
///
/// The caveat stands under the title on screen and in a column of its own in files, so that no copy of a row loses it.
///
/// ```
/// use ergodic_diagnostics::table::{Cell, Table};
/// let mut table = Table::new("sizes", &["name", "count"]);
/// table.push(vec![Cell::text("layer0"), Cell::Count(12)]);
/// assert_eq!(table.to_string(), "sizes\nname    count\nlayer0     12\n");
/// assert_eq!(table.to_csv(), "name,count\nlayer0,12\n");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// What the table shows.
    pub title: String,
    /// Why the results are not exact; empty where they are.
    pub caveat: String,
    /// Headers of the columns.
    pub columns: Vec<String>,
    /// Rows with one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// Remarks printed below.
    pub notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            caveat: String::new(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same table with a caveat.
    #[must_use]
    pub fn with_caveat(mut self, caveat: impl Into<String>) -> Self {
        self.caveat = caveat.into();
        self
    }

    /// Appends a row; missing cells are blank, surplus ones are dropped.
    pub fn push(&mut self, mut row: Vec<Cell>) {
        row.resize(self.columns.len(), Cell::Text(String::new()));
        self.rows.push(row);
    }

    /// The rows as comma-separated values with a header line, numbers in full; undefined numbers are empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut header: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        if !self.caveat.is_empty() {
            header.push("caveat".to_owned());
        }
        let mut csv = header.join(",") + "\n";
        for row in &self.rows {
            let mut cells: Vec<String> = row.iter().map(Cell::written).collect();
            if !self.caveat.is_empty() {
                cells.push(quoted(&self.caveat));
            }
            csv += &(cells.join(",") + "\n");
        }
        csv
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.title.is_empty() {
            writeln!(f, "{}", self.title)?;
        }
        if !self.caveat.is_empty() {
            writeln!(f, "! {}", self.caveat)?;
        }
        let shown: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        let width = |column: usize| {
            let cells = shown.iter().map(|row| display_width(&row[column]));
            cells.chain([display_width(&self.columns[column])]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        // A column is text when it holds any text that says something.
        let is_text = |column: usize| {
            self.rows.iter().any(|row| matches!(&row[column], Cell::Text(text) if !text.is_empty())) || self.rows.is_empty()
        };
        let right: Vec<bool> = (0..self.columns.len()).map(|column| !is_text(column)).collect();
        for line in [&self.columns].into_iter().chain(&shown) {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                let padding = " ".repeat(widths[column] - display_width(cell));
                let gap = if column == 0 { "" } else { "  " };
                text += &if right[column] { format!("{gap}{padding}{cell}") } else { format!("{gap}{cell}{padding}") };
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// Columns that a terminal needs for `text`: none for combining marks, two for East Asian wide characters and pictographs.
fn display_width(text: &str) -> usize {
    let width = |c: char| match u32::from(c) {
        0x0300..=0x036F | 0x200B..=0x200F | 0x20D0..=0x20FF | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new("", &["name", "value"]);
        for name in ["plain", "größe", "u\u{0308}ber", "温度"] {
            table.push(vec![Cell::text(name), Cell::fixed(1.0, 1)]);
        }
        let text = table.to_string();
        let widths: Vec<usize> = text.lines().map(display_width).collect();
        assert!(widths.iter().all(|&w| w == widths[0]), "{text}");
    }

    #[test]
    fn caveats_stand_on_screen_and_in_every_row_of_a_file() {
        let mut table = Table::new("t", &["a"]).with_caveat("biased, not exact");
        table.push(vec![Cell::Significant(f64::NAN)]);
        table.push(vec![Cell::text("x\"y")]);
        assert!(table.to_string().contains("! biased, not exact"));
        assert_eq!(table.to_csv(), "a,caveat\n,\"biased, not exact\"\n\"x\"\"y\",\"biased, not exact\"\n");
    }

    #[test]
    fn significant_digits() {
        let shown = [0.0, 0.012_345, -12.345, 123_456.0, 1e-9, 1.5e12, f64::INFINITY].map(|v| significant(v, 3));
        assert_eq!(shown, ["0", "0.0123", "-12.3", "123456", "1.00e-9", "1.50e12", "inf"]);
    }

    #[test]
    fn control_characters_do_not_break_lines() {
        let mut table = Table::new("", &["name"]);
        table.push(vec![Cell::text("a\nb")]);
        assert_eq!(table.to_string(), "name\na b\n");
    }
}
