//! Evaluate a dense network row by row, without tricks: the reference for the fast path, and the path for single rows.

use super::DenseNetwork as Network;

/// Scratch for one row: the pre-activations and activations of every layer, and the deltas of the backward pass.
#[derive(Debug, Clone)]
pub(crate) struct PlainNetwork {
    network: Network,
    /// Activations, the input first.
    activations: Vec<Vec<f64>>,
    /// Derivatives of the activation functions at the pre-activations.
    derivatives: Vec<Vec<f64>>,
    /// Derivatives of the objective in the pre-activations.
    deltas: Vec<Vec<f64>>,
}

impl PlainNetwork {
    pub(crate) fn new(network: &Network) -> Self {
        let widths: Vec<usize> = network.layers().iter().map(|layer| layer.outputs).collect();
        let rows = |widths: &[usize]| widths.iter().map(|&width| vec![0.0; width]).collect::<Vec<_>>();
        let mut activations = vec![vec![0.0; network.num_inputs()]];
        activations.extend(rows(&widths));
        Self { network: network.clone(), activations, derivatives: rows(&widths), deltas: rows(&widths) }
    }

    pub(crate) fn num_inputs(&self) -> usize {
        self.network.num_inputs()
    }

    pub(crate) fn num_outputs(&self) -> usize {
        self.network.num_outputs()
    }

    /// The outputs at one row of inputs; they stay in place for [`backward`](Self::backward).
    pub(crate) fn forward(&mut self, weights: &[f64], inputs: &[f64]) -> &[f64] {
        self.activations[0].copy_from_slice(inputs);
        for (index, layer) in self.network.layers().iter().enumerate() {
            let (before, after) = self.activations.split_at_mut(index + 1);
            let (x, out) = (&before[index], &mut after[0]);
            let (w, b) = (&weights[layer.weights()], &weights[layer.biases()]);
            for (unit, row) in w.chunks_exact(layer.inputs).enumerate() {
                let z = b[unit] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                (out[unit], self.derivatives[index][unit]) = layer.activation.value_and_derivative(z);
            }
        }
        &self.activations[self.network.layers().len()]
    }

    /// Adds the gradient in the weights of an objective whose derivative in the outputs is `d_outputs`, for the row of the last
    /// [`forward`](Self::forward).
    pub(crate) fn backward(&mut self, weights: &[f64], d_outputs: &[f64], gradient: &mut [f64]) {
        let last = self.network.layers().len() - 1;
        for ((delta, d), slope) in self.deltas[last].iter_mut().zip(d_outputs).zip(&self.derivatives[last]) {
            *delta = d * slope;
        }
        for (index, layer) in self.network.layers().iter().enumerate().rev() {
            let (before, after) = self.deltas.split_at_mut(index);
            let delta = &after[0];
            let x = &self.activations[index];
            for (row, delta) in gradient[layer.weights()].chunks_exact_mut(layer.inputs).zip(delta) {
                for (g, x) in row.iter_mut().zip(x) {
                    *g += delta * x;
                }
            }
            for (g, delta) in gradient[layer.biases()].iter_mut().zip(delta) {
                *g += delta;
            }
            if let Some(previous) = before.last_mut() {
                let w = &weights[layer.weights()];
                for (unit, slot) in previous.iter_mut().enumerate() {
                    let sum: f64 = delta.iter().enumerate().map(|(out, d)| d * w[out * layer.inputs + unit]).sum();
                    *slot = sum * self.derivatives[index - 1][unit];
                }
            }
        }
    }

    /// The inputs of layer `layer` at the row of the last forward pass.
    pub(crate) fn layer_inputs(&self, layer: usize) -> &[f64] {
        &self.activations[layer]
    }

    /// The derivative of the last backward pass's objective in the pre-activations of layer `layer`.
    pub(crate) fn layer_deltas(&self, layer: usize) -> &[f64] {
        &self.deltas[layer]
    }
}
