//! Add a shortcut to a branch on lines of rows.

use super::block_layer::{BlockLayer, BlockReal, Kernel, Pass, Sides, dispatch, line_rows};
use super::sequence::BlockSequence;
use crate::network::layers::{BoundLayer, Sequence};
use crate::simd::{Lanes, Real};

/// What branch and projection keep, then the shortcut's outputs or derivatives, stands in `kept`.
#[derive(Debug)]
pub(crate) struct ResidualBlock<E> {
    branch: BlockSequence<E>,
    projection: Option<BlockSequence<E>>,
    branch_weights: usize,
    inputs: usize,
    outputs: usize,
}

impl<E: BlockReal> ResidualBlock<E> {
    pub(crate) fn new(branch: &Sequence, projection: Option<&Sequence>, inputs: usize) -> Self {
        Self {
            branch: BlockSequence::new(branch),
            projection: projection.map(BlockSequence::new),
            branch_weights: branch.num_weights(),
            inputs,
            outputs: branch.output_shape().iter().product(),
        }
    }

    /// The passes of branch and projection.
    fn passes<'a>(&self, pass: Pass<'a, E>) -> [Pass<'a, E>; 2] {
        let (of_branch, of_projection) = pass.weights.split_at(self.branch_weights);
        let (packed_branch, packed_projection) = pass.packed.split_at(self.branch.num_packed());
        [
            Pass { weights: of_branch, packed: packed_branch, ..pass },
            Pass { weights: of_projection, packed: packed_projection, ..pass },
        ]
    }
}

/// Adds lines.
struct Add<'a, E> {
    to: &'a mut [E],
    from: &'a [E],
}

impl<E: Real> Kernel<E> for Add<'_, E> {
    #[inline(always)]
    fn run<L: Lanes<E = E>>(self, l: L) {
        for (to, from) in L::vectors_mut(self.to).iter_mut().zip(L::vectors(self.from)) {
            *to = l.add(*to, *from);
        }
    }
}

impl<E: BlockReal> BlockLayer<E> for ResidualBlock<E> {
    fn num_kept(&self) -> usize {
        let projection = self.projection.as_ref().map_or(0, BlockLayer::num_kept);
        self.branch.num_kept() + projection + self.outputs + self.inputs
    }

    fn num_packed(&self) -> usize {
        self.branch.num_packed() + self.projection.as_ref().map_or(0, BlockLayer::num_packed)
    }

    fn pack(&self, weights: &[f64], packed: &mut [E]) {
        let (of_branch, of_projection) = weights.split_at(self.branch_weights);
        let (branch, rest) = packed.split_at_mut(self.branch.num_packed());
        self.branch.pack(of_branch, branch);
        if let Some(projection) = &self.projection {
            projection.pack(of_projection, rest);
        }
    }

    fn forward(&self, pass: Pass<'_, E>, input: &[E], output: &mut [E], kept: &mut [E]) {
        let [of_branch, of_projection] = self.passes(pass);
        let (branch, rest) = kept.split_at_mut(self.branch.num_kept() * line_rows::<E>());
        self.branch.forward(of_branch, input, output, branch);
        let Some(projection) = &self.projection else {
            dispatch(pass.arch, Add { to: output, from: input });
            return;
        };
        let (own, shortcut) = rest.split_at_mut(projection.num_kept() * line_rows::<E>());
        let shortcut = &mut shortcut[..output.len()];
        projection.forward(of_projection, input, shortcut, own);
        dispatch(pass.arch, Add { to: output, from: shortcut });
    }

    fn backward(&self, pass: Pass<'_, E>, sides: Sides<'_, E>) {
        let line = line_rows::<E>();
        let [of_branch, of_projection] = self.passes(pass);
        let Sides { input, output, kept, d_output, mut d_input, gradient } = sides;
        let (d_branch, d_projection) = gradient.split_at_mut(self.branch_weights);
        let (branch, rest) = kept.split_at_mut(self.branch.num_kept() * line);
        let projected = self.projection.as_ref().map_or(0, BlockLayer::num_kept) * line;
        let (own, rest) = rest.split_at_mut(projected);
        // The branch overwrites its derivatives, which the shortcut needs too.
        let (copy, d_shortcut) = rest.split_at_mut(self.outputs * line);
        copy.copy_from_slice(d_output);
        let of_branch_input = d_input.as_deref_mut();
        self.branch.backward(
            of_branch,
            Sides { input, output, kept: branch, d_output: copy, d_input: of_branch_input, gradient: d_branch },
        );
        let Some(projection) = &self.projection else {
            if let Some(to) = d_input {
                dispatch(pass.arch, Add { to, from: d_output });
            }
            return;
        };
        let of_shortcut = d_input.is_some().then_some(&mut *d_shortcut);
        projection.backward(
            of_projection,
            Sides { input, output, kept: own, d_output, d_input: of_shortcut, gradient: d_projection },
        );
        if let Some(to) = d_input {
            dispatch(pass.arch, Add { to, from: d_shortcut });
        }
    }

    fn flush(&self, pass: Pass<'_, E>, kept: &[E], gradient: &mut [f64]) {
        let line = line_rows::<E>();
        let [of_branch, of_projection] = self.passes(pass);
        let (d_branch, d_projection) = gradient.split_at_mut(self.branch_weights);
        let (branch, rest) = kept.split_at(self.branch.num_kept() * line);
        self.branch.flush(of_branch, branch, d_branch);
        if let Some(projection) = &self.projection {
            projection.flush(of_projection, &rest[..projection.num_kept() * line], d_projection);
        }
    }
}
