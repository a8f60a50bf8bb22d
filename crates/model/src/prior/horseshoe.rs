//! Put horseshoe priors on weights: most of them nearly 0, a few free.

use super::levels::{GroupedLevel, Levels, SharedLevel};
use super::scale::check_positive;
use super::{BoundPrior, Extent, Group, Prior, PriorError, Scale, ScalePrior};
use crate::Network;
use serde::{Deserialize, Serialize};

/// The horseshoe (Carvalho, Polson & Scott 2010) and the regularised horseshoe (Piironen & Vehtari 2017) for networks (Ghosh, Yao &
/// Doshi-Velez 2018).
///
/// A weight is w = width · τ · λ · z with z ~ N(0, 1), a global scale τ ~ half-Cauchy(`global`) and a local scale λ ~ half-Cauchy(1)
/// of its group. With a slab, τλ is replaced by τλ c/√(c² + τ²λ²), which stays below c; c² ~ inverse gamma(ν/2, νs²/2), so that a
/// weight that escapes shrinkage has a Student-t prior of scale s and ν degrees of freedom. Biases are normal with fixed scale.
///
/// Chains move in z and the logarithms of scales. Draws hold `layer0.global_scale` (or `global_scale`), `layer0.weight.local_scale`
/// and `slab_scale`.
///
/// ```
/// use ergodic_model::{Activation, Group, HorseshoePrior, Network, Prior};
/// let network = Network::dense(3, &[4], Activation::Tanh, 1)?;
/// let prior = HorseshoePrior { local: Group::Weight, ..HorseshoePrior::regularized() }.bind(&network)?;
/// let names: Vec<String> = prior.parameters().into_iter().map(|block| block.name).collect();
/// assert_eq!(names[..3], ["slab_scale", "layer0.global_scale", "layer0.weight.local_scale"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HorseshoePrior {
    /// Scale of the half-Cauchy prior of τ: small where few weights are expected to matter.
    pub global: f64,
    /// How far one τ reaches.
    pub extent: Extent,
    /// Which weights share a λ.
    pub local: Group,
    /// The slab, if there is one.
    pub slab: Option<Slab>,
    /// What a scale of 1 means for weights.
    pub weights: Scale,
    /// Standard deviation of the biases.
    pub biases: Scale,
}

/// The prior of weights that escape a horseshoe's shrinkage: Student-t.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slab {
    /// Its scale s, in units of the prior's `weights`.
    pub scale: f64,
    /// Its degrees of freedom ν.
    pub degrees_of_freedom: f64,
}

impl Default for HorseshoePrior {
    /// A τ of scale 1 in each layer, a λ for the weights into each unit, weights in units of 1/√fan-in, and no slab.
    fn default() -> Self {
        Self {
            global: 1.0,
            extent: Extent::Layer,
            local: Group::Unit,
            slab: None,
            weights: Scale::FanIn(1.0),
            biases: Scale::Fixed(1.0),
        }
    }
}

impl HorseshoePrior {
    /// The default with a slab of scale 2 and 4 degrees of freedom, the values of the R package brms.
    #[must_use]
    pub fn regularized() -> Self {
        Self { slab: Some(Slab { scale: 2.0, degrees_of_freedom: 4.0 }), ..Self::default() }
    }
}

impl Prior for HorseshoePrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let slab = match self.slab {
            None => None,
            Some(Slab { scale, degrees_of_freedom }) => {
                check_positive("the scale of the horseshoe's slab", scale)?;
                check_positive("the degrees of freedom of the horseshoe's slab", degrees_of_freedom)?;
                Some(ScalePrior::GammaPrecision { scale, shape: degrees_of_freedom }.density("the slab's scale")?)
            }
        };
        let mut description = format!(
            "horseshoe, global scale {}, in units of {}; biases normal, sd {}",
            self.global,
            self.weights.describe(),
            self.biases.describe()
        );
        if let Some(slab) = self.slab {
            description.push_str(&format!("; slab of scale {}, {} degrees of freedom", slab.scale, slab.degrees_of_freedom));
        }
        let global = ScalePrior::HalfCauchy { scale: self.global }.density("the horseshoe's global scale")?;
        let local = ScalePrior::HalfCauchy { scale: 1.0 }.density("the horseshoe's local scales")?;
        let shared = Some(SharedLevel { extent: self.extent, name: "global_scale", density: global, biases: false });
        let grouped = Some(GroupedLevel { group: self.local, name: "local_scale", density: local });
        Levels { description, weights: &self.weights, biases: &self.biases, shared, grouped, slab }.bind(network)
    }
}
