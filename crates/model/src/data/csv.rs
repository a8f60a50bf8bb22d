//! Read data sets from comma- or semicolon-separated text.

use super::{DataError, Dataset};
use nalgebra::DMatrix;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

impl Dataset {
    /// Reads a file of comma- or semicolon-separated values; the first line names the columns.
    ///
    /// `target_columns` are the targets, by name; all other columns are inputs. A single target column that holds text becomes classes,
    /// numbered in alphabetical order and named by [`class_names`](Self::class_names). The separator is the one the first line has more
    /// of. Lines count from 1 with the header.
    ///
    /// # Errors
    /// When the file cannot be read, has no header or no rows, lacks a target column, names a column twice, or a line has too few or
    /// too many fields, a missing value, or text where a number belongs; the error names file, line and column.
    pub fn from_csv(path: impl AsRef<Path>, target_columns: &[&str]) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| io(path, error))?;
        Self::from_reader(file, path, target_columns)
    }

    /// Reads as [`from_csv`](Self::from_csv) from anything; errors call it `name`.
    ///
    /// ```
    /// use ergodic_model::Dataset;
    /// let text = "width;height;species\n1.0;2.0;cat\n3.0;4.0;bird\n";
    /// let data = Dataset::from_reader(text.as_bytes(), "animals", &["species"])?;
    /// assert_eq!(data.input_names(), ["width", "height"]);
    /// assert_eq!(data.class_names(), ["bird", "cat"]);
    /// assert_eq!(data.targets().as_slice(), [1.0, 0.0]);
    /// # Ok::<(), ergodic_model::DataError>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_csv`](Self::from_csv).
    pub fn from_reader(mut reader: impl Read, name: impl AsRef<Path>, target_columns: &[&str]) -> Result<Self, DataError> {
        let path = name.as_ref();
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map_err(|error| io(path, error))?;
        let table = Table::parse(&text, path)?;
        let mut targets = Vec::with_capacity(target_columns.len());
        for target in target_columns {
            let Some(column) = table.names.iter().position(|name| name == target) else {
                let columns = table.names.join(", ");
                return Err(DataError::NoSuchColumn { path: table.path, column: (*target).to_owned(), columns });
            };
            if targets.contains(&column) {
                return Err(DataError::DuplicateColumn { path: table.path, column: (*target).to_owned() });
            }
            targets.push(column);
        }
        let inputs: Vec<usize> = (0..table.names.len()).filter(|column| !targets.contains(column)).collect();
        let input_values = table.numbers(&inputs)?;
        let (target_values, classes) = match targets.as_slice() {
            &[target] if table.is_text(target) => table.classes(target)?,
            _ => (table.numbers(&targets)?, Vec::new()),
        };
        let names = |columns: &[usize]| columns.iter().map(|&column| table.names[column].as_str()).collect::<Vec<_>>();
        let data = Self::new(input_values, target_values)?;
        Ok(data.with_input_names(&names(&inputs))?.with_target_names(&names(&targets))?.with_class_names(&classes))
    }
}

fn io(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataError {
    DataError::Io { path: path.to_owned(), source: source.into() }
}

/// Fields of a file, and the lines they stand in.
struct Table {
    path: PathBuf,
    names: Vec<String>,
    records: Vec<csv::StringRecord>,
}

impl Table {
    fn parse(text: &[u8], path: &Path) -> Result<Self, DataError> {
        let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut reader =
            csv::ReaderBuilder::new().delimiter(separator(first_line)).trim(csv::Trim::All).flexible(true).from_reader(text);
        let header = reader.headers().map_err(|error| io(path, error))?.clone();
        let names: Vec<String> = header.iter().map(ToOwned::to_owned).collect();
        if !names.is_empty() && names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(DataError::NoHeader { path: path.to_owned() });
        }
        let mut seen = BTreeSet::new();
        if let Some(column) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(DataError::DuplicateColumn { path: path.to_owned(), column: column.clone() });
        }
        let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().map_err(|error| io(path, error))?;
        if records.is_empty() {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        if let Some(record) = records.iter().find(|record| record.len() != names.len()) {
            let (found, expected) = (record.len(), names.len());
            return Err(DataError::Ragged { path: path.to_owned(), line: line(record), found, expected });
        }
        Ok(Self { path: path.to_owned(), names, records })
    }

    /// Whether no value of a column is a number.
    fn is_text(&self, column: usize) -> bool {
        self.records.iter().all(|record| record[column].parse::<f64>().is_err())
    }

    fn missing(&self, record: &csv::StringRecord, column: usize) -> DataError {
        DataError::MissingValue { path: self.path.clone(), line: line(record), column: self.names[column].clone() }
    }

    /// The numbers of some columns (rows × columns).
    fn numbers(&self, columns: &[usize]) -> Result<DMatrix<f64>, DataError> {
        let mut matrix = DMatrix::zeros(self.records.len(), columns.len());
        for (row, record) in self.records.iter().enumerate() {
            for (to, &column) in columns.iter().enumerate() {
                let field = &record[column];
                if ["", "?", "NA", "N/A"].contains(&field) || field.eq_ignore_ascii_case("nan") {
                    return Err(self.missing(record, column));
                }
                matrix[(row, to)] = match field.parse::<f64>() {
                    Ok(value) if value.is_finite() => value,
                    _ => {
                        let (path, value) = (self.path.clone(), field.to_owned());
                        return Err(DataError::NotANumber {
                            path,
                            line: line(record),
                            column: self.names[column].clone(),
                            value,
                        });
                    }
                };
            }
        }
        Ok(matrix)
    }

    /// The class numbers of a column of text, and the names of the classes.
    fn classes(&self, column: usize) -> Result<(DMatrix<f64>, Vec<String>), DataError> {
        if let Some(record) = self.records.iter().find(|record| record[column].is_empty()) {
            return Err(self.missing(record, column));
        }
        let names: BTreeSet<&str> = self.records.iter().map(|record| &record[column]).collect();
        let names: Vec<String> = names.into_iter().map(ToOwned::to_owned).collect();
        let number = |row: usize| names.partition_point(|name| name.as_str() < &self.records[row][column]) as f64;
        Ok((DMatrix::from_fn(self.records.len(), 1, |row, _| number(row)), names))
    }
}

fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// The separator of a header: a semicolon when there are more of them than commas outside of quotes.
fn separator(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut balance = 0_i64;
    for byte in header {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => balance -= 1,
            b';' if !quoted => balance += 1,
            _ => {}
        }
    }
    if balance > 0 { b';' } else { b',' }
}
