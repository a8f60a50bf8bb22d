//! Sample the scales of a network's weights, level by level.

use super::levels::{GroupedLevel, Levels, SharedLevel};
use super::{BoundPrior, Extent, Group, Prior, PriorError, Scale, ScalePrior};
use crate::Network;
use serde::{Deserialize, Serialize};

/// Normal weights whose standard deviations are sampled (Neal 1996, chapter 2).
///
/// A weight is w = width · σ · λ · z with z ~ N(0, 1), where σ is the scale of its tensor, layer or network and λ, where there is a
/// second level, that of its group within the tensor. Chains move in z, ln σ and ln λ. Draws hold w, `layer0.weight.scale` (σ), and
/// `layer0.weight.source_scale`, `.unit_scale` or `.local_scale` (λ, relative to σ).
///
/// ```
/// use ergodic_model::{Activation, HierarchicalPrior, Network, Prior};
/// let network = Network::dense(3, &[4], Activation::Tanh, 1)?;
/// let prior = HierarchicalPrior::neal(0.2, 0.5, 1.0).bind(&network)?;
/// let names: Vec<(String, usize)> = prior.parameters().into_iter().map(|block| (block.name.clone(), block.len())).collect();
/// assert_eq!(names[0], ("layer0.weight.scale".to_owned(), 1));
/// assert_eq!(names[1], ("layer0.weight.source_scale".to_owned(), 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HierarchicalPrior {
    /// What a scale of 1 means for weights.
    pub weights: Scale,
    /// What a scale of 1 means for biases.
    pub biases: Scale,
    /// Which weights and biases share a σ.
    pub extent: Extent,
    /// Prior of σ.
    pub scale: ScalePrior,
    /// Groups of weights with a λ of their own, and the prior of λ.
    pub within: Option<(Group, ScalePrior)>,
}

impl Default for HierarchicalPrior {
    /// One half-normal scale a tensor, in units of 1/√fan-in for weights and of 1 for biases.
    fn default() -> Self {
        Self {
            weights: Scale::FanIn(1.0),
            biases: Scale::Fixed(1.0),
            extent: Extent::Tensor,
            scale: ScalePrior::HalfNormal { scale: 1.0 },
            within: None,
        }
    }
}

impl HierarchicalPrior {
    /// Neal's three levels: the precision of each tensor is Gamma with mean 1/scale² and shape α = `shape`, that of the weights out of
    /// each unit Gamma around it with α = `source_shape`, and weights are normal. In his FBM, `scale:shape:source_shape`; widths are by
    /// fan-in, so that σ is in units of 1/√fan-in.
    #[must_use]
    pub fn neal(scale: f64, shape: f64, source_shape: f64) -> Self {
        Self {
            scale: ScalePrior::GammaPrecision { scale, shape },
            within: Some((Group::Source, ScalePrior::GammaPrecision { scale: 1.0, shape: source_shape })),
            ..Self::default()
        }
    }
}

impl Prior for HierarchicalPrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let mut description = format!(
            "normal, sd {} (weights), {} (biases) times {} by {}",
            self.weights.describe(),
            self.biases.describe(),
            self.scale.describe(),
            match self.extent {
                Extent::Network => "network",
                Extent::Layer => "layer",
                Extent::Tensor => "tensor",
            }
        );
        let grouped = match &self.within {
            None => None,
            Some((group, prior)) => {
                let name = match group {
                    Group::Tensor => "tensor_scale",
                    Group::Unit => "unit_scale",
                    Group::Source => "source_scale",
                    Group::Weight => "local_scale",
                };
                description.push_str(&format!(" and {} for each {}", prior.describe(), name.trim_end_matches("_scale")));
                Some(GroupedLevel { group: *group, name, density: prior.density("the groups' scales")? })
            }
        };
        let density = self.scale.density("the scales")?;
        let shared = Some(SharedLevel { extent: self.extent, name: "scale", density, biases: true });
        Levels { description, weights: &self.weights, biases: &self.biases, shared, grouped, slab: None }.bind(network)
    }
}
