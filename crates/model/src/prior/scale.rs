//! Give each tensor of a network a fixed scale: the same everywhere, by layer, or by fan-in.

use super::PriorError;
use crate::{Network, Tensor};
use ergodic_draws::Role;
use serde::{Deserialize, Serialize};

/// The scale of a prior, layer by layer: the standard deviation of a normal, the scale parameter of other families.
///
/// ```
/// use ergodic_model::{LaplacePrior, Network, Activation, Prior, Scale};
/// let network = Network::dense(4, &[9], Activation::Tanh, 1)?;
/// let prior = LaplacePrior { weights: Scale::FanIn(1.0), biases: Scale::PerLayer(vec![1.0, 0.1]) };
/// assert!(prior.bind(&network).is_ok());
/// let short = LaplacePrior { weights: Scale::FanIn(1.0), biases: Scale::PerLayer(vec![1.0]) };
/// assert!(short.bind(&network).is_err());
/// # Ok::<(), ergodic_model::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// One scale for all layers.
    Fixed(f64),
    /// One scale for each layer.
    PerLayer(Vec<f64>),
    /// `s / √fan_in`: the outputs of a layer keep their scale whatever its width (Neal 1996). For biases the fan-in is that of
    /// their layer's weights.
    FanIn(f64),
}

impl Scale {
    fn in_layer(&self, layer: usize, fan_in: usize) -> f64 {
        match self {
            Self::Fixed(scale) => *scale,
            Self::PerLayer(scales) => scales[layer],
            Self::FanIn(scale) => scale / (fan_in as f64).sqrt(),
        }
    }

    fn check(&self, what: &'static str, layers: usize) -> Result<(), PriorError> {
        if let Self::PerLayer(scales) = self
            && scales.len() != layers
        {
            return Err(PriorError::LayerCount { what, found: scales.len(), expected: layers });
        }
        for layer in 0..layers {
            check_scale(&format!("{what} in layer {layer}"), self.in_layer(layer, 1))?;
        }
        Ok(())
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Fixed(scale) => format!("{scale}"),
            Self::PerLayer(scales) => format!("{scales:?} by layer"),
            Self::FanIn(scale) => format!("{scale}/√fan-in"),
        }
    }
}

/// Checks that a scale is a positive number.
pub(super) fn check_scale(what: &str, value: f64) -> Result<(), PriorError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(PriorError::InvalidScale { what: what.to_owned(), value })
}

/// Checks another setting that must be a positive number.
pub(super) fn check_positive(what: &str, value: f64) -> Result<(), PriorError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(PriorError::Unsuitable(format!("{what} is {value}; it must be positive and finite")))
}

/// The tensors of a network with their scales.
pub(super) fn tensor_scales(network: &Network, weights: &Scale, biases: &Scale) -> Result<Vec<(Tensor, f64)>, PriorError> {
    let tensors = network.tensors();
    let layers = tensors.iter().filter_map(|tensor| tensor.block.layer).max().map_or(0, |last| last + 1);
    weights.check("weights", layers)?;
    biases.check("biases", layers)?;
    let with_scale = |tensor: Tensor| {
        let scale = if tensor.block.role == Role::Bias { biases } else { weights };
        let scale = scale.in_layer(tensor.block.layer.unwrap_or(0), tensor.fan_in);
        (tensor, scale)
    };
    Ok(tensors.into_iter().map(with_scale).collect())
}
