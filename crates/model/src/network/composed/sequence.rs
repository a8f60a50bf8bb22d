//! Take lines of rows through layers one after the other, activations in place.

use super::block_layer::{BlockLayer, BlockReal, Pass, Sides, dispatch, line_rows};
use super::row_wise::RowWise;
use super::slopes::{Activate, Slope};
use crate::network::Activation;
use crate::network::layers::Sequence;
use std::ops::Range;
use std::sync::Arc;

/// A [`Sequence`] over lines of rows.
#[derive(Debug)]
pub(crate) struct BlockSequence<E> {
    steps: Vec<Step<E>>,
    /// The widest input of any step but the first: two derivatives of that width stand at the start of what is kept.
    widest: usize,
    num_kept: usize,
    num_packed: usize,
}

/// A layer with the activation that follows it in place.
#[derive(Debug)]
struct Step<E> {
    layer: Arc<dyn BlockLayer<E>>,
    activation: Activation,
    weights: Range<usize>,
    packed: Range<usize>,
    inputs: usize,
    outputs: usize,
    /// Where its own kept values, its slopes and its outputs stand in what the sequence keeps, in values a row.
    kept: Range<usize>,
    slopes: Range<usize>,
    output: Range<usize>,
}

impl<E: BlockReal> BlockSequence<E> {
    pub(crate) fn new(sequence: &Sequence) -> Self {
        let mut steps: Vec<Step<E>> = Vec::new();
        for from in sequence.steps() {
            let (layer, activation, passes_on) = match from.layer.fast_path() {
                Some(fast) => (E::block(&fast), fast.activation, fast.passes_on),
                None => {
                    let rows: Arc<dyn BlockLayer<E>> =
                        Arc::new(RowWise::new(Arc::clone(&from.layer), from.inputs, from.outputs));
                    (rows, Activation::Identity, false)
                }
            };
            if passes_on && let Some(last) = steps.last_mut() {
                if activation == Activation::Identity {
                    continue;
                }
                if last.activation == Activation::Identity && !last.layer.reads_output() {
                    last.activation = activation;
                    continue;
                }
            }
            steps.push(Step::new(layer, activation, from.weights.clone(), from.inputs, from.outputs));
        }
        let widest = steps.iter().skip(1).map(|step| step.inputs).max().unwrap_or(0);
        let (mut kept, mut packed) = (2 * widest, 0);
        for step in &mut steps {
            step.kept = kept..kept + step.layer.num_kept();
            step.slopes = step.kept.end..step.kept.end + if step.activation.stores_slope() { step.outputs } else { 0 };
            step.output = step.slopes.end..step.slopes.end + step.outputs;
            kept = step.output.end;
            step.packed = packed..packed + step.layer.num_packed();
            packed = step.packed.end;
        }
        Self { steps, widest, num_kept: kept, num_packed: packed }
    }
}

impl<E> Step<E> {
    fn new(
        layer: Arc<dyn BlockLayer<E>>,
        activation: Activation,
        weights: Range<usize>,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        Self { layer, activation, weights, packed: 0..0, inputs, outputs, kept: 0..0, slopes: 0..0, output: 0..0 }
    }

    fn pass<'a>(&self, of_sequence: &Pass<'a, E>) -> Pass<'a, E> {
        let (weights, packed) = (of_sequence.weights, of_sequence.packed);
        Pass { weights: &weights[self.weights.clone()], packed: &packed[self.packed.clone()], ..*of_sequence }
    }
}

/// A range of values a row in elements of a line.
fn lines<E>(range: &Range<usize>) -> Range<usize> {
    range.start * line_rows::<E>()..range.end * line_rows::<E>()
}

impl<E: BlockReal> BlockLayer<E> for BlockSequence<E> {
    fn num_kept(&self) -> usize {
        self.num_kept
    }

    fn num_packed(&self) -> usize {
        self.num_packed
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        for step in &self.steps {
            step.layer.pack(&weights[step.weights.clone()], &mut packed[step.packed.clone()]);
        }
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]) {
        for (index, step) in self.steps.iter().enumerate() {
            let (before, here) = kept.split_at_mut(step.kept.start * line_rows::<E>());
            let (own, rest) = here.split_at_mut(step.kept.len() * line_rows::<E>());
            let (slopes, rest) = rest.split_at_mut(step.slopes.len() * line_rows::<E>());
            let values = &mut rest[..step.outputs * line_rows::<E>()];
            let from = if index == 0 { input } else { &before[before.len() - step.inputs * line_rows::<E>()..] };
            step.layer.forward(step.pass(&pass), from, values, own);
            if step.activation != Activation::Identity {
                dispatch(pass.arch, Activate { activation: step.activation, values, slopes });
            }
        }
        if let Some(last) = self.steps.last() {
            output.copy_from_slice(&kept[lines::<E>(&last.output)]);
        }
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let line = line_rows::<E>();
        let Sides { input, kept, d_output, mut d_input, gradient, .. } = sides;
        let (deltas, kept) = kept.split_at_mut(2 * self.widest * line);
        let (mut upper, mut lower) = deltas.split_at_mut(self.widest * line);
        let start = 2 * self.widest;
        for (index, step) in self.steps.iter().enumerate().rev() {
            let (before, here) = kept.split_at_mut((step.kept.start - start) * line);
            let (own, rest) = here.split_at_mut(step.kept.len() * line);
            let (slopes, rest) = rest.split_at_mut(step.slopes.len() * line);
            let output = &rest[..step.outputs * line];
            let last = index + 1 == self.steps.len();
            let d_output = if last { &mut *d_output } else { &mut upper[..step.outputs * line] };
            if step.activation != Activation::Identity {
                let (activation, derivatives) = (step.activation, &mut *d_output);
                dispatch(pass.arch, Slope { activation, values: output, slopes, derivatives });
            }
            step.layer.backward(
                step.pass(&pass),
                Sides {
                    input: if index == 0 { input } else { &before[before.len() - step.inputs * line..] },
                    output,
                    kept: own,
                    d_output,
                    d_input: if index == 0 { d_input.take() } else { Some(&mut lower[..step.inputs * line]) },
                    gradient: &mut gradient[step.weights.clone()],
                },
            );
            std::mem::swap(&mut upper, &mut lower);
        }
    }

    fn flush(&self, pass: Pass<'_, E>, kept: &[E], gradient: &mut [f64]) {
        for step in &self.steps {
            step.layer.flush(step.pass(&pass), &kept[lines::<E>(&step.kept)], &mut gradient[step.weights.clone()]);
        }
    }
}
