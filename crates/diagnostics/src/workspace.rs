//! Keep the buffers and transform plans that the diagnostics of many scalars share.

use crate::autocorrelation::Autocovariance;
use crate::chains::Sequences;
use crate::ranks::Order;

/// Buffers of one thread; after the first scalar of a run, further ones of the same size allocate nothing here.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) order: Order,
    pub(crate) sequences: Sequences,
    pub(crate) autocovariance: Autocovariance,
    pub(crate) correlations: Vec<f64>,
}
