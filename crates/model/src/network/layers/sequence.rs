//! Chain layers: each reads what the one before writes.

use super::{BackwardRow, BoundLayer, Layer, LayerError, LayerParameter};
use crate::network::composed::{BlockSequence, FastLayer};
use std::ops::Range;
use std::sync::Arc;

/// Layers one after the other, bound to an input shape.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    steps: Vec<Step>,
    output_shape: Vec<usize>,
    /// The widest input of any layer but the first.
    widest: usize,
    num_kept: usize,
}

/// One layer with its place in the weights and in what is kept.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) layer: Arc<dyn BoundLayer>,
    pub(crate) kind: String,
    pub(crate) weights: Range<usize>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Where its own kept values start; its outputs follow them.
    kept: usize,
}

/// A layer of a sequence that cannot be bound: its index, its kind and what is wrong.
pub(crate) struct Misfit {
    pub(crate) layer: usize,
    pub(crate) kind: String,
    pub(crate) problem: LayerError,
}

impl Sequence {
    pub(crate) fn bind(layers: &[Box<dyn Layer>], input_shape: &[usize]) -> Result<Self, Misfit> {
        let mut shape = input_shape.to_vec();
        let (mut steps, mut offset, mut kept, mut widest) = (Vec::with_capacity(layers.len()), 0, 0, 0);
        for (index, layer) in layers.iter().enumerate() {
            let misfit = |problem| Misfit { layer: index, kind: layer.kind(), problem };
            let bound: Arc<dyn BoundLayer> = Arc::from(layer.bind(&shape).map_err(misfit)?);
            if index > 0 && bound.reads_numbers() {
                return Err(misfit(LayerError::Setting("reads whole numbers from the data; make it the first layer".into())));
            }
            let inputs = shape.iter().product();
            shape = bound.output_shape().to_vec();
            let outputs = shape.iter().product();
            if outputs == 0 {
                return Err(misfit(LayerError::Setting(format!("has outputs of shape {shape:?}, which hold nothing"))));
            }
            let len: usize = bound.parameters().iter().map(LayerParameter::len).sum();
            let own = bound.num_kept();
            steps.push(Step { layer: bound, kind: layer.kind(), weights: offset..offset + len, inputs, outputs, kept });
            widest = widest.max(if index > 0 { inputs } else { 0 });
            offset += len;
            kept += own + outputs;
        }
        Ok(Self { steps, output_shape: shape, widest, num_kept: kept + 2 * widest })
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn num_weights(&self) -> usize {
        self.steps.last().map_or(0, |step| step.weights.end)
    }

    pub(crate) fn num_inputs(&self) -> usize {
        self.steps.first().map_or(0, |step| step.inputs)
    }
}

impl BoundLayer for Sequence {
    fn output_shape(&self) -> &[usize] {
        &self.output_shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        let numbered = |(index, step): (usize, &Step)| {
            let mut parameters = step.layer.parameters();
            for parameter in &mut parameters {
                parameter.name = format!("{index}.{}", parameter.name);
            }
            parameters
        };
        self.steps.iter().enumerate().flat_map(numbered).collect()
    }

    fn num_kept(&self) -> usize {
        self.num_kept
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], kept: &mut [f64]) {
        for (index, step) in self.steps.iter().enumerate() {
            let (before, after) = kept.split_at_mut(step.kept);
            let (own, after) = after.split_at_mut(step.layer.num_kept());
            let from = if index == 0 { input } else { &before[step.kept - step.inputs..] };
            step.layer.forward(&weights[step.weights.clone()], from, &mut after[..step.outputs], own);
        }
        if let Some(last) = self.steps.last() {
            output.copy_from_slice(&kept[last.kept + last.layer.num_kept()..][..last.outputs]);
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        let (kept, deltas) = row.kept.split_at_mut(self.num_kept - 2 * self.widest);
        let (mut upper, mut lower) = deltas.split_at_mut(self.widest);
        for (index, step) in self.steps.iter().enumerate().rev() {
            let (before, after) = kept.split_at_mut(step.kept);
            let (own, after) = after.split_at_mut(step.layer.num_kept());
            let last = index + 1 == self.steps.len();
            step.layer.backward(BackwardRow {
                weights: &row.weights[step.weights.clone()],
                input: if index == 0 { row.input } else { &before[step.kept - step.inputs..] },
                output: &after[..step.outputs],
                kept: own,
                d_output: if last { row.d_output } else { &upper[..step.outputs] },
                d_input: if index == 0 { &mut *row.d_input } else { &mut lower[..step.inputs] },
                d_weights: &mut row.d_weights[step.weights.clone()],
            });
            std::mem::swap(&mut upper, &mut lower);
        }
    }

    fn reads_numbers(&self) -> bool {
        self.steps.first().is_some_and(|step| step.layer.reads_numbers())
    }

    fn check_input(&self, input: &[f64]) -> Result<(), String> {
        self.steps.first().map_or(Ok(()), |step| step.layer.check_input(input))
    }

    fn fast_path(&self) -> Option<FastLayer> {
        Some(FastLayer::new(BlockSequence::<f64>::new(self), BlockSequence::<f32>::new(self)))
    }
}
