//! Compute a dense layer on lines of rows.

use super::block_layer::{BlockLayer, Kernel, Pass, SLOTS, Sides, dispatch, line_rows};
use super::products::{Operands, Plan, add_gradient, products};
use crate::simd::{Lanes, Real};

/// A dense layer. Inputs and derivatives of [`SLOTS`] lines are collected for the weights' gradient.
#[derive(Debug, Clone)]
pub(crate) struct DenseBlock {
    forward: Plan,
    back: Plan,
}

impl DenseBlock {
    pub(crate) fn new(inputs: usize, outputs: usize) -> Self {
        let plan = |taps, channels| Plan { taps: (0..taps).collect(), places: vec![(0, 0)], channels, channel_stride: 1 };
        Self { forward: plan(inputs, outputs), back: plan(outputs, inputs) }
    }

    fn inputs(&self) -> usize {
        self.back.channels
    }

    fn outputs(&self) -> usize {
        self.forward.channels
    }
}

/// Products of one plan on one line.
pub(crate) struct Products<'a, E> {
    pub(crate) plan: &'a Plan,
    pub(crate) packed: &'a [E],
    pub(crate) biases: Option<&'a [E]>,
    pub(crate) source: &'a [E],
    pub(crate) target: &'a mut [E],
}

impl<E: Real> Kernel<E> for Products<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let operands = Operands { plan: self.plan, packed: self.packed, biases: self.biases, source: L::vectors(self.source) };
        products(l, &operands, L::vectors_mut(self.target));
    }
}

/// The gradient of weights and biases over some lines.
pub(crate) struct Gradient<'a, E> {
    pub(crate) plan: &'a Plan,
    pub(crate) lines: usize,
    pub(crate) source: &'a [E],
    pub(crate) derivatives: &'a [E],
    pub(crate) gradient: &'a mut [f64],
}

impl<E: Real> Kernel<E> for Gradient<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let (weights, biases) = self.gradient.split_at_mut(self.plan.num_weights());
        add_gradient(l, self.plan, self.lines, L::vectors(self.source), L::vectors(self.derivatives), weights, biases);
    }
}

impl<E: Real> BlockLayer<E> for DenseBlock {
    fn num_kept(&self) -> usize {
        SLOTS * (self.inputs() + self.outputs())
    }

    fn num_packed(&self) -> usize {
        self.forward.num_weights() + self.back.num_weights() + self.outputs()
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        let inputs = self.inputs();
        let (forward, rest) = packed.split_at_mut(self.forward.num_weights());
        let (back, biases) = rest.split_at_mut(self.back.num_weights());
        self.forward.pack(forward, |output, input| weights[output * inputs + input]);
        self.back.pack(back, |input, output| weights[output * inputs + input]);
        for (to, bias) in biases.iter_mut().zip(&weights[self.forward.num_weights()..]) {
            *to = E::from_f64(*bias);
        }
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], _kept: &mut [E]) {
        let (packed, biases) = (pass.packed, &pass.packed[2 * self.forward.num_weights()..]);
        dispatch(pass.arch, Products { plan: &self.forward, packed, biases: Some(biases), source: input, target: output });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let Sides { input, kept, d_output, d_input, .. } = sides;
        let (inputs, derivatives) = kept.split_at_mut(SLOTS * self.inputs() * line_rows::<E>());
        inputs[pass.slot * input.len()..][..input.len()].copy_from_slice(input);
        derivatives[pass.slot * d_output.len()..][..d_output.len()].copy_from_slice(d_output);
        if let Some(target) = d_input {
            let packed = &pass.packed[self.forward.num_weights()..];
            dispatch(pass.arch, Products { plan: &self.back, packed, biases: None, source: d_output, target });
        }
    }

    fn flush(&self, pass: Pass<'_, E>, kept: &[E], gradient: &mut [f64]) {
        let line = line_rows::<E>();
        let (inputs, derivatives) = kept.split_at(SLOTS * self.inputs() * line);
        let source = &inputs[..pass.slot * self.inputs() * line];
        let derivatives = &derivatives[..pass.slot * self.outputs() * line];
        dispatch(pass.arch, Gradient { plan: &self.forward, lines: pass.slot, source, derivatives, gradient });
    }
}
