//! Choose the arithmetic of a network's gradient.

use serde::{Deserialize, Serialize};

/// The arithmetic inside a network's gradient. Positions, sums over rows, log densities and priors are f64 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// f64 throughout.
    #[default]
    Double,
    /// f32 for matrix products and activations: about half the time, log densities off by about 10⁻⁷ of the sum of their terms.
    Single,
}
