//! Load real data: regressions of the UCI repository, and handwritten digits.

#[path = "folder.rs"]
mod folder;

use ergodic::prelude::Dataset;
use folder::{data_folder, numbers};
use nalgebra::DMatrix;
use std::error::Error;

/// Test rows at which classifiers are judged.
const MAX_TEST_ROWS: usize = 100;

/// The first standard split of a set of the UCI repository: training and test rows.
pub(crate) fn uci(set: &str) -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let folder = data_folder().join("uci").join(set);
    let indices = |file: &str| -> Result<Vec<usize>, Box<dyn Error>> {
        Ok(numbers(&folder.join(file))?.into_iter().flatten().map(|index| index as usize).collect())
    };
    let rows = numbers(&folder.join("data.txt"))?;
    let (features, targets) = (indices("index_features.txt")?, indices("index_target.txt")?);
    let pick = |columns: &[usize]| DMatrix::from_fn(rows.len(), columns.len(), |row, column| rows[row][columns[column]]);
    let data = Dataset::new(pick(&features), pick(&targets))?;
    Ok((data.select(&indices("standard/index_train_0.txt")?)?, data.select(&indices("standard/index_test_0.txt")?)?))
}

/// The 8×8 digits of Alpaydin & Kaynak (1998), as they come in the crate `smartcore`, with grey levels from 0 to 1.
pub(crate) fn digits() -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let digits = smartcore::dataset::digits::load_dataset();
    let (rows, columns) = (digits.num_samples, digits.num_features);
    let inputs = DMatrix::from_row_iterator(rows, columns, digits.data.iter().map(|&grey| f64::from(grey) / 16.0));
    let targets = DMatrix::from_row_iterator(rows, 1, digits.target.iter().map(|&digit| f64::from(digit)));
    let (train, test) = Dataset::new(inputs, targets)?.with_targets_as_classes()?.split(0.2, 1)?;
    let some: Vec<usize> = (0..test.num_rows().min(MAX_TEST_ROWS)).collect();
    Ok((train, test.select(&some)?))
}
