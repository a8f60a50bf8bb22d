//! Evaluate feed-forward networks and their gradients in blocks of rows.

mod block;
mod dense;
mod fused;
#[cfg(test)]
mod fused_tests;
mod nonlinearity;

pub(crate) use block::PackedRows;
pub(crate) use fused::{FusedData, FusedGradient, FusedNetwork};
pub(crate) use nonlinearity::Nonlinearity;
