//! Define what a prior over a network's weights says.

mod automatic_relevance;
mod correlated;
mod elementwise;
mod hierarchical;
mod horseshoe;
mod laplace;
mod levels;
mod normal;
mod scale;
mod scale_mixture;
mod scale_prior;
mod scaled;
mod spike_and_slab;
mod student_t;

pub use automatic_relevance::AutomaticRelevancePrior;
pub use correlated::{CorrelatedPrior, LayerCorrelation, grid_positions, squared_exponential};
pub use hierarchical::HierarchicalPrior;
pub use horseshoe::{HorseshoePrior, Slab};
pub use laplace::LaplacePrior;
pub use levels::{Extent, Group};
pub use normal::NormalPrior;
pub use scale::Scale;
pub use scale_mixture::ScaleMixturePrior;
pub use scale_prior::ScalePrior;
pub use spike_and_slab::SpikeAndSlabPrior;
pub use student_t::StudentTPrior;

use crate::{ChainRng, Network};
use ergodic_draws::Block;

/// A prior over the weights and biases of a network, described apart from any network.
pub trait Prior: std::fmt::Debug + Send + Sync {
    /// Fixes the prior for the weights of one network.
    ///
    /// # Errors
    /// When the prior does not fit the network.
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError>;
}

/// A prior over the flat weight vector of one network.
///
/// Samplers move in one coordinate per weight, and in the prior's own [`parameters`](Self::parameters), such as scales that are
/// sampled along. The coordinates are the weights, unless the prior has a [`reparameterization`](Self::reparameterization).
pub trait BoundPrior: std::fmt::Debug + Send + Sync {
    /// Description for reports, such as `normal, sd 1 (weights) and 1 (biases)`.
    fn description(&self) -> String;

    /// The coordinates that the prior adds, unconstrained; their transforms say how they are read. None by default.
    fn parameters(&self) -> Vec<Block> {
        Vec::new()
    }

    /// Adds the gradient of the log prior, of coordinates and parameters with their Jacobians, to the two gradients, and returns the
    /// log prior in nats with all constants.
    fn add_gradient(&self, coordinates: &[f64], parameters: &[f64], d_coordinates: &mut [f64], d_parameters: &mut [f64])
    -> f64;

    /// Writes one draw of the coordinates and parameters.
    fn draw(&self, rng: &mut ChainRng, coordinates: &mut [f64], parameters: &mut [f64]);

    /// Writes where a chain may start: a draw, by default. Priors whose draws reach very far start nearer.
    fn initial(&self, rng: &mut ChainRng, coordinates: &mut [f64], parameters: &mut [f64]) {
        self.draw(rng, coordinates, parameters);
    }

    /// The standard deviation of each coordinate, infinite where the prior has none.
    fn scales(&self) -> &[f64];

    /// The standard deviation of each parameter; 1 unless the prior says otherwise.
    fn parameter_scales(&self, scales: &mut [f64]) {
        scales.fill(1.0);
    }

    /// How weights follow from coordinates, where they are not the same.
    fn reparameterization(&self) -> Option<&dyn Reparameterization> {
        None
    }

    /// Whether the weights are independent normal with mean 0 and standard deviations [`scales`](Self::scales), which are fixed.
    fn is_normal(&self) -> bool {
        false
    }
}

/// Weights as a function of coordinates that the data inform better than the weights' own: w = w(z, θ), with θ the prior's parameters.
///
/// With w = s(θ) z and z standard normal, the coordinates stay of order 1 whatever the scales are (the non-centred form of
/// Papaspiliopoulos, Roberts & Sköld 2007).
pub trait Reparameterization {
    /// Writes the weights.
    fn weights(&self, coordinates: &[f64], parameters: &[f64], weights: &mut [f64]);

    /// Turns a gradient in the weights, in place, into one in the coordinates, and adds that in the parameters to `d_parameters`.
    fn pull_back(&self, coordinates: &[f64], parameters: &[f64], gradient: &mut [f64], d_parameters: &mut [f64]);

    /// Writes the coordinates that have the given weights.
    fn coordinates(&self, weights: &[f64], parameters: &[f64], coordinates: &mut [f64]);

    /// Whether each weight is its own coordinate, standard normal, times a scale that depends on the parameters alone, so that the
    /// weights are independent normal given the parameters. The scales are then the weights of coordinates that are all 1.
    fn is_scaling(&self) -> bool {
        false
    }
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
    /// The prior does not fit the network in a way of its own.
    #[error("{0}")]
    Unsuitable(String),
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
