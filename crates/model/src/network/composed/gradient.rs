//! Compute a composed network's log likelihood and its gradient, a line of rows at a time.

use super::block_layer::{BlockLayer, BlockReal, Kernel, Pass, SLOTS, Sides, dispatch, line_rows};
use super::sequence::BlockSequence;
use crate::likelihood_block::{BlockLikelihood, LikelihoodPanel, LikelihoodSum, RowScratch};
use crate::network::layers::Sequence;
use crate::simd::{AlignedBuffer, Lanes, Real};
use pulp::Arch;
use std::sync::Arc;

/// Rows in lines, `[line][feature][row]`; the last line is filled up with its last row.
#[derive(Debug, Clone)]
pub(crate) struct Lined<E> {
    rows: usize,
    width: usize,
    values: AlignedBuffer<E>,
}

impl<E: Real> Lined<E> {
    /// Packs `values`, row after row, `width` values each.
    pub(crate) fn new(values: &[f64], width: usize) -> Self {
        let rows = values.len().checked_div(width).unwrap_or(0);
        let line = line_rows::<E>();
        let mut lined = Self { rows, width, values: AlignedBuffer::zeros(rows.next_multiple_of(line) * width) };
        let to = lined.values.as_mut_slice();
        for row in 0..rows.next_multiple_of(line) {
            let from = row.min(rows - 1) * width;
            for feature in 0..width {
                to[(row / line * width + feature) * line + row % line] = E::from_f64(values[from + feature]);
            }
        }
        lined
    }

    fn line(&self, index: usize) -> &[E] {
        let len = self.width * line_rows::<E>();
        &self.values.as_slice()[index * len..][..len]
    }

    /// Writes a line of the given rows, at least one of them.
    fn gather(&self, rows: &[usize], to: &mut [E]) {
        let line = line_rows::<E>();
        for lane in 0..line {
            let row = rows[lane.min(rows.len() - 1)];
            let from = &self.line(row / line)[row % line..];
            for feature in 0..self.width {
                to[feature * line + lane] = from[feature * line];
            }
        }
    }
}

/// The rows that a gradient sums over; chains share them.
#[derive(Debug)]
pub(crate) struct ComposedData<E> {
    inputs: Lined<E>,
    targets: Lined<E>,
}

impl<E: Real> ComposedData<E> {
    /// Packs inputs and targets, each row after row.
    pub(crate) fn new(inputs: &[f64], num_inputs: usize, targets: &[f64], num_targets: usize) -> Self {
        Self { inputs: Lined::new(inputs, num_inputs), targets: Lined::new(targets, num_targets) }
    }
}

/// Evaluates the log likelihood of a composed network and its gradient, in arithmetic of `E`; one for each chain.
#[derive(Debug, Clone)]
pub(crate) struct ComposedGradient<E> {
    layers: Arc<BlockSequence<E>>,
    data: Arc<ComposedData<E>>,
    likelihood: BlockLikelihood,
    num_outputs: usize,
    arch: Arch,
    kept: AlignedBuffer<E>,
    packed: AlignedBuffer<E>,
    /// The network's outputs, then the derivatives in them.
    outputs: AlignedBuffer<E>,
    /// Ones, then zeros: a window of it masks the copies of the last row.
    mask: AlignedBuffer<E>,
    /// A line of some rows' inputs and targets.
    some_inputs: AlignedBuffer<E>,
    some_targets: AlignedBuffer<E>,
    row: RowScratch,
}

impl<E: BlockReal> ComposedGradient<E> {
    pub(crate) fn new(network: &Sequence, data: Arc<ComposedData<E>>, likelihood: BlockLikelihood) -> Self {
        Self::with_arch(network, data, likelihood, Arch::new())
    }

    /// The same on a given instruction set.
    pub(crate) fn with_arch(network: &Sequence, data: Arc<ComposedData<E>>, likelihood: BlockLikelihood, arch: Arch) -> Self {
        use crate::network::layers::BoundLayer;
        let layers = Arc::new(BlockSequence::<E>::new(network));
        let line = line_rows::<E>();
        let num_outputs = network.output_shape().iter().product();
        let mut mask = AlignedBuffer::zeros(2 * line);
        mask.as_mut_slice()[..line].fill(E::ONE);
        Self {
            kept: AlignedBuffer::zeros(layers.num_kept() * line),
            packed: AlignedBuffer::zeros(layers.num_packed()),
            outputs: AlignedBuffer::zeros(num_outputs * line),
            mask,
            some_inputs: AlignedBuffer::zeros(data.inputs.width * line),
            some_targets: AlignedBuffer::zeros(data.targets.width * line),
            row: RowScratch::new(num_outputs, likelihood.num_targets(num_outputs)),
            layers,
            data,
            likelihood,
            num_outputs,
            arch,
        }
    }

    /// An evaluator for [`outputs`](Self::outputs) alone.
    pub(crate) fn without_data(network: &Sequence) -> Self {
        let data = ComposedData { inputs: Lined::new(&[], 0), targets: Lined::new(&[], 0) };
        Self::new(network, Arc::new(data), BlockLikelihood::Gaussian { noise_sd: 1.0 })
    }

    /// Writes the gradient of the log likelihood of all rows, or of the given ones, in the weights and in the likelihood's own
    /// parameters, and returns the log likelihood with all constants.
    pub(crate) fn log_likelihood_and_gradient(
        &mut self,
        rows: Option<&[usize]>,
        weights: &[f64],
        parameters: &[f64],
        gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let line = line_rows::<E>();
        let arch = self.arch;
        let packed = self.packed.as_mut_slice();
        self.layers.pack(weights, packed);
        gradient.fill(0.0);
        let kept = self.kept.as_mut_slice();
        let mut sum = LikelihoodSum::new(&self.likelihood, parameters, parameter_gradient, &mut self.row);
        let total = rows.map_or(self.data.inputs.rows, <[usize]>::len);
        let count = total.div_ceil(line);
        for index in 0..count {
            let here = (total - index * line).min(line);
            let (input, targets) = match rows {
                None => (self.data.inputs.line(index), self.data.targets.line(index)),
                Some(rows) => {
                    let rows = &rows[index * line..][..here];
                    self.data.inputs.gather(rows, self.some_inputs.as_mut_slice());
                    self.data.targets.gather(rows, self.some_targets.as_mut_slice());
                    (self.some_inputs.as_slice(), self.some_targets.as_slice())
                }
            };
            let pass = Pass { arch, weights, packed, rows: here, slot: index % SLOTS };
            let outputs = self.outputs.as_mut_slice();
            self.layers.forward(pass, input, outputs, kept);
            let mask = &self.mask.as_slice()[line - here..][..line];
            dispatch(arch, AddLikelihood { sum: &mut sum, outputs, targets, mask, rows: here, num_outputs: self.num_outputs });
            let sides = Sides { input, output: &[], kept, d_output: outputs, d_input: None, gradient };
            self.layers.backward(pass, sides);
            if pass.slot + 1 == SLOTS || index + 1 == count {
                self.layers.flush(Pass { slot: pass.slot + 1, ..pass }, kept, gradient);
            }
        }
        sum.finish()
    }

    /// Writes the network's outputs at `inputs`, row after row.
    pub(crate) fn outputs(&mut self, weights: &[f64], inputs: &Lined<E>, outputs: &mut [f64]) {
        let line = line_rows::<E>();
        let packed = self.packed.as_mut_slice();
        self.layers.pack(weights, packed);
        for (index, to) in outputs.chunks_mut(line * self.num_outputs).enumerate() {
            let rows = to.len() / self.num_outputs;
            let pass = Pass { arch: self.arch, weights, packed, rows, slot: 0 };
            self.layers.forward(pass, inputs.line(index), self.outputs.as_mut_slice(), self.kept.as_mut_slice());
            for (row, to) in to.chunks_exact_mut(self.num_outputs).enumerate() {
                for (value, from) in to.iter_mut().zip(self.outputs.as_slice().chunks_exact(line)) {
                    *value = from[row].to_f64();
                }
            }
        }
    }
}

/// Adds a line's log likelihood and replaces its outputs by the derivatives in them.
struct AddLikelihood<'a, 'b, E> {
    sum: &'a mut LikelihoodSum<'b>,
    outputs: &'a mut [E],
    targets: &'a [E],
    mask: &'a [E],
    rows: usize,
    num_outputs: usize,
}

impl<E: Real> Kernel<E> for AddLikelihood<'_, '_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        let Self { sum, outputs, targets, mask, rows, num_outputs } = self;
        let (targets, mask) = (L::vectors(targets), L::vectors(mask));
        sum.add(l, LikelihoodPanel { outputs: L::vectors_mut(outputs), targets, mask, rows, num_outputs });
    }
}
