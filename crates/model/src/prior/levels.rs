//! Lay out the levels of sampled scales over a network's tensors.

use super::scale::tensor_scales;
use super::scale_prior::CoordinateDensity;
use super::scaled::{Grouped, Scaled, ScaledTensor};
use super::{BoundPrior, PriorError, Scale};
use crate::{Network, Tensor};
use ergodic_draws::Role;
use serde::{Deserialize, Serialize};

/// How far one sampled scale reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Over the whole network: `scale`.
    Network,
    /// Over a layer: `layer0.scale`.
    Layer,
    /// Over one tensor: `layer0.weight.scale`, `layer0.bias.scale`.
    Tensor,
}

/// Which weights of a tensor share a sampled scale. Tensors that do not join units to units have one scale in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// All of them.
    Tensor,
    /// Those into the same unit (or output channel).
    Unit,
    /// Those out of the same unit (or input channel) of the layer before; in the first layer, of the same input.
    Source,
    /// Each has its own.
    Weight,
}

/// A prior's levels of sampled scales.
pub(super) struct Levels<'a> {
    pub(super) description: String,
    /// Fixed factors.
    pub(super) weights: &'a Scale,
    pub(super) biases: &'a Scale,
    pub(super) shared: Option<SharedLevel>,
    pub(super) grouped: Option<GroupedLevel>,
    /// The logarithm of the slab's scale, over the network; for weights alone.
    pub(super) slab: Option<CoordinateDensity>,
}

/// The upper level.
pub(super) struct SharedLevel {
    pub(super) extent: Extent,
    pub(super) name: &'static str,
    pub(super) density: CoordinateDensity,
    /// Whether biases have it too.
    pub(super) biases: bool,
}

/// The level below, of weights alone.
pub(super) struct GroupedLevel {
    pub(super) group: Group,
    pub(super) name: &'static str,
    pub(super) density: CoordinateDensity,
}

impl Levels<'_> {
    pub(super) fn bind(self, network: &Network) -> Result<Box<dyn BoundPrior>, PriorError> {
        let mut scaled = Scaled::new(network.num_weights(), self.description);
        let slab = self.slab.map(|density| scaled.add_parameters("slab_scale".to_owned(), &[], None, density));
        // The scale that the tensor before had; tensors of a layer follow each other.
        let mut last: Option<(Option<usize>, usize)> = None;
        for (tensor, width) in tensor_scales(network, self.weights, self.biases)? {
            let block = &tensor.block;
            let is_weight = block.role != Role::Bias;
            let level = self.shared.as_ref().filter(|level| is_weight || level.biases);
            let shared = level.map(|level| {
                let reused = match (level.extent, last) {
                    (Extent::Network, Some((_, index))) => Some(index),
                    (Extent::Layer, Some((layer, index))) if layer == block.layer => Some(index),
                    _ => None,
                };
                let index = reused.unwrap_or_else(|| {
                    let layer = if level.extent == Extent::Network { None } else { block.layer };
                    let name = match (level.extent, block.layer) {
                        (Extent::Network, _) => level.name.to_owned(),
                        (Extent::Layer, Some(layer)) => format!("layer{layer}.{}", level.name),
                        _ => format!("{}.{}", block.name, level.name),
                    };
                    scaled.add_parameters(name, &[], layer, level.density)
                });
                last = Some((block.layer, index));
                index
            });
            let grouped = self.grouped.as_ref().filter(|_| is_weight).map(|level| {
                let (shape, grouped) = groups(&tensor, level.group);
                let name = format!("{}.{}", block.name, level.name);
                let first = scaled.add_parameters(name, &shape, block.layer, level.density);
                Grouped { first, logit: matches!(level.density, CoordinateDensity::Logistic { .. }), ..grouped }
            });
            let slab = slab.filter(|_| is_weight);
            scaled.add_tensor(ScaledTensor { range: block.range(), width, shared, grouped, slab });
        }
        Ok(Box::new(scaled))
    }
}

/// The shape of the scales of a tensor's groups, and how they stand in the tensor.
pub(super) fn groups(tensor: &Tensor, group: Group) -> (Vec<usize>, Grouped) {
    let (shape, len) = (&tensor.block.shape, tensor.block.len());
    let (scales, [outer, count, inner]) = match (group, joins_units(tensor)) {
        (Group::Weight, _) => (shape.clone(), [1, len, 1]),
        (Group::Unit, true) => (vec![shape[0]], [1, shape[0], tensor.fan_in]),
        (Group::Source, true) => (vec![shape[1]], [shape[0], shape[1], tensor.fan_in / shape[1]]),
        _ => (Vec::new(), [1, 1, len]),
    };
    (scales, Grouped { first: 0, logit: false, outer, count, inner })
}

/// Whether a tensor is (units × source units × positions), as the weights of dense layers and convolutions are.
pub(super) fn joins_units(tensor: &Tensor) -> bool {
    let shape = &tensor.block.shape;
    shape.len() >= 2 && shape[1..].iter().product::<usize>() == tensor.fan_in
}
