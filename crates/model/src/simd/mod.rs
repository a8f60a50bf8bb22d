//! Hold what the gradient needs of vector instructions: lanes of two precisions, aligned buffers and elementary functions.

mod aligned;
mod elementary;
#[cfg(test)]
pub(crate) mod elementary_tests;
mod lanes;

pub(crate) use aligned::{AlignedBuffer, CACHE_LINE};
pub(crate) use elementary::{exp, gelu_and_slope, log_at_least_one, sigmoid, silu_and_slope, softplus_and_slope, tanh};
pub(crate) use lanes::{Lanes, Real};
