//! Find the folder of data sets, and read tables of numbers from it.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The folder of data sets: `ERGODIC_DATA`, or `shared/data` beside the project.
pub(crate) fn data_folder() -> PathBuf {
    let above = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1).map(|folder| folder.join("shared/data"));
    let beside = || above().find(|folder| folder.exists()).unwrap_or_else(|| PathBuf::from("shared/data"));
    std::env::var_os("ERGODIC_DATA").map_or_else(beside, PathBuf::from)
}

/// The numbers of a file, row after row.
pub(crate) fn numbers(path: &Path) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("cannot read '{}': {error}; set ERGODIC_DATA to a folder with the data sets", path.display())
    })?;
    let row = |line: &str| line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    let rows: Result<Vec<_>, _> = text.lines().filter(|line| !line.trim().is_empty()).map(row).collect();
    Ok(rows.map_err(|error| format!("'{}': {error}", path.display()))?)
}
