//! Compose layers to a network.

use super::layers::{Layer, Misfit, Sequence};
use super::{Network, NetworkError};

/// Layers put one after the other; [`Network::builder`] makes one.
#[derive(Debug)]
pub struct NetworkBuilder {
    input_shape: Vec<usize>,
    layers: Vec<Box<dyn Layer>>,
}

impl NetworkBuilder {
    pub(crate) fn new(input_shape: &[usize]) -> Self {
        Self { input_shape: input_shape.to_vec(), layers: Vec::new() }
    }

    /// The same with one more layer at the end.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// The network.
    ///
    /// ```
    /// use ergodic_model::Network;
    /// use ergodic_model::layers::{Conv2d, Dense};
    /// let network = Network::builder([1, 28, 28]).layer(Conv2d::new(6, [5, 5])).layer(Dense::new(10)).build();
    /// let message = "layer 1 (dense) expects an input of shape [inputs] and receives [6, 24, 24]; put Flatten before it";
    /// assert_eq!(network.unwrap_err().to_string(), message);
    /// ```
    ///
    /// # Errors
    /// When there are no inputs or no layers, or a layer cannot read what the one before writes; the error names the layer and both
    /// shapes.
    pub fn build(self) -> Result<Network, NetworkError> {
        if self.input_shape.contains(&0) {
            return Err(NetworkError::NoInputs);
        }
        if self.layers.is_empty() {
            return Err(NetworkError::NoLayers);
        }
        let layers = Sequence::bind(&self.layers, &self.input_shape)
            .map_err(|Misfit { layer, kind, problem }| NetworkError::Layer { layer, kind, problem })?;
        Ok(Network::composed(self.input_shape, layers))
    }
}
