//! Hold data sets, split them, and standardise them by their training rows.

mod dataset;
mod standardization;

pub use dataset::{DataError, Dataset};
pub use standardization::Standardization;
