//! Switch groups of weights on and off by a continuous relaxation of spike and slab.

use super::levels::{GroupedLevel, Levels};
use super::scale::check_positive;
use super::scale_prior::CoordinateDensity;
use super::{BoundPrior, Group, Prior, PriorError, Scale};
use crate::Network;
use serde::{Deserialize, Serialize};

/// Spike and slab, its inclusion indicators relaxed to numbers between 0 and 1.
///
/// A weight is w = s · γ · z with z ~ N(0, 1), s the slab's standard deviation and γ the inclusion of its group. In a spike-and-slab
/// prior γ is 1 with probability p and otherwise 0 (Mitchell & Beauchamp 1988); here it is a binary concrete variable (Maddison, Mnih
/// & Teh 2017; Jang, Gu & Poole 2017), γ = 1/(1 + exp(−x)) with x = (ln(p/(1−p)) + L)/T and L standard logistic. The density of the
/// coordinate x is T e^v/(1 + e^v)² with v = T x − ln(p/(1−p)).
///
/// For any temperature T, γ is above ½ with probability p; as T goes to 0 it becomes the indicator. Chains move in x and z; cold
/// temperatures (below about 0.3) make two separate modes that they seldom leave. Draws hold γ as `layer0.weight.inclusion`.
///
/// ```
/// use ergodic_model::{Activation, Network, Prior, SpikeAndSlabPrior};
/// let network = Network::dense(3, &[4], Activation::Tanh, 1)?;
/// let block = &SpikeAndSlabPrior::default().bind(&network)?.parameters()[0];
/// assert_eq!((block.name.as_str(), block.len()), ("layer0.weight.inclusion", 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpikeAndSlabPrior {
    /// Probability p that a group is included.
    pub inclusion: f64,
    /// Temperature T of the relaxation.
    pub temperature: f64,
    /// Which weights are included together.
    pub group: Group,
    /// Standard deviation of weights that are included.
    pub weights: Scale,
    /// Standard deviation of the biases, which are always included.
    pub biases: Scale,
}

impl Default for SpikeAndSlabPrior {
    /// Even odds for the weights out of each unit or input, temperature ½, standard deviation 1/√fan-in (biases: 1).
    fn default() -> Self {
        Self { inclusion: 0.5, temperature: 0.5, group: Group::Source, weights: Scale::FanIn(1.0), biases: Scale::Fixed(1.0) }
    }
}

impl Prior for SpikeAndSlabPrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let (p, temperature) = (self.inclusion, self.temperature);
        if !(p > 0.0 && p < 1.0) {
            return Err(PriorError::Unsuitable(format!("the probability of inclusion is {p}; it must lie between 0 and 1")));
        }
        check_positive("the temperature of the relaxed inclusion", temperature)?;
        let density = CoordinateDensity::Logistic { rate: temperature, shift: (p / (1.0 - p)).ln() };
        let description = format!(
            "relaxed spike and slab, inclusion {p} at temperature {temperature}, slab sd {}; biases normal, sd {}",
            self.weights.describe(),
            self.biases.describe()
        );
        let grouped = Some(GroupedLevel { group: self.group, name: "inclusion", density });
        Levels { description, weights: &self.weights, biases: &self.biases, shared: None, grouped, slab: None }.bind(network)
    }
}
