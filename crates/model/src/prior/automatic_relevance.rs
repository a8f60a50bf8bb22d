//! Sample one scale for each input, so that irrelevant inputs are found.

use super::levels::{groups, joins_units};
use super::scale::tensor_scales;
use super::scaled::{Grouped, Scaled, ScaledTensor};
use super::{BoundPrior, Group, NormalPrior, Prior, PriorError, ScalePrior};
use crate::Network;
use ergodic_draws::Role;
use serde::{Deserialize, Serialize};

/// Automatic relevance determination (`MacKay` 1994; Neal 1996): each input's weights in the first layer have a sampled scale.
///
/// A weight out of input i is w = s · `input_scale[i]` · z with z ~ N(0, 1) and s the standard deviation that `rest` gives the
/// first layer; all other weights and biases have the fixed normal prior `rest`. Where an input does not matter, its scale is near 0.
/// For a convolution an input is a channel.
///
/// ```
/// use ergodic_model::{Activation, AutomaticRelevancePrior, Network, Prior};
/// let network = Network::dense(3, &[4], Activation::Tanh, 1)?;
/// let prior = AutomaticRelevancePrior::default().bind(&network)?;
/// let block = &prior.parameters()[0];
/// assert_eq!((block.name.as_str(), block.shape.as_slice()), ("input_scale", &[3][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutomaticRelevancePrior {
    /// Prior of each input's scale.
    pub input_scale: ScalePrior,
    /// Standard deviations of all weights and biases where input scales are 1.
    pub rest: NormalPrior,
}

impl Default for AutomaticRelevancePrior {
    /// Half-Cauchy input scales of median 1, and standard deviation 1/√fan-in (biases: 1) beside them.
    fn default() -> Self {
        Self { input_scale: ScalePrior::HalfCauchy { scale: 1.0 }, rest: NormalPrior::fan_in(1.0) }
    }
}

impl Prior for AutomaticRelevancePrior {
    fn bind(&self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let rest = &self.rest;
        let description = format!(
            "normal, sd {} (weights), {} (biases), first layer times {} for each input",
            rest.weights.describe(),
            rest.biases.describe(),
            self.input_scale.describe()
        );
        let density = self.input_scale.density("the input scales")?;
        let mut scaled = Scaled::new(network.num_weights(), description);
        let tensors = tensor_scales(network, &rest.weights, &rest.biases)?;
        let first = tensors.iter().position(|(tensor, _)| tensor.block.role == Role::Weight);
        let first = first.filter(|&first| joins_units(&tensors[first].0));
        let Some(reads_inputs) = first else {
            let problem = "the network's first layer does not weigh its inputs; automatic relevance determination needs a dense or \
                           convolutional layer there";
            return Err(PriorError::Unsuitable(problem.to_owned()));
        };
        for (index, (tensor, width)) in tensors.into_iter().enumerate() {
            let grouped = (index == reads_inputs).then(|| {
                let (shape, grouped) = groups(&tensor, Group::Source);
                let first = scaled.add_parameters("input_scale".to_owned(), &shape, tensor.block.layer, density);
                Grouped { first, ..grouped }
            });
            scaled.add_tensor(ScaledTensor { range: tensor.block.range(), width, shared: None, grouped, slab: None });
        }
        Ok(Box::new(scaled))
    }
}
