//! Define what a prior over a network's weights says.

mod normal;

pub use normal::{NormalPrior, Scale};

use crate::{ChainRng, Network};

/// A prior over the weights and biases of a network, described apart from any network.
pub trait Prior: std::fmt::Debug + Send + Sync {
    /// Fixes the prior for the weights of one network.
    ///
    /// # Errors
    /// When the prior does not fit the network.
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError>;
}

/// A prior over the flat weight vector of one network.
pub trait BoundPrior: std::fmt::Debug + Send + Sync {
    /// Description for reports, such as `normal, sd 1 (weights) and 1 (biases)`.
    fn description(&self) -> String;

    /// Adds the gradient of the log prior to `gradient`, and returns the log prior in nats with all constants.
    fn add_gradient(&self, weights: &[f64], gradient: &mut [f64]) -> f64;

    /// Writes one draw.
    fn draw(&self, rng: &mut ChainRng, weights: &mut [f64]);

    /// The standard deviation of each weight, infinite where the prior has none.
    fn scales(&self) -> &[f64];

    /// Whether the weights are independent normal with mean 0 and standard deviations [`scales`](Self::scales).
    fn is_normal(&self) -> bool;
}

/// Why a prior does not fit a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriorError {
    /// A scale is not a positive number.
    #[error("the prior's scale of {what} is {value}; it must be positive and finite")]
    InvalidScale {
        /// Which scale.
        what: String,
        /// What was given.
        value: f64,
    },
    /// There is another number of scales than layers.
    #[error("the prior has {found} scales per layer for {what} and the network {expected} layers; give one scale a layer")]
    LayerCount {
        /// Weights or biases.
        what: &'static str,
        /// How many scales were given.
        found: usize,
        /// How many layers the network has.
        expected: usize,
    },
}
