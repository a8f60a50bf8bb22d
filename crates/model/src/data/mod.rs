//! Hold data sets, read them, split them, and standardise them by their training rows.

mod csv;
mod dataset;
mod error;
mod standardization;

pub use dataset::Dataset;
pub use error::DataError;
pub use standardization::Standardization;
