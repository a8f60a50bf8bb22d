//! Multiply standard normal coordinates by sampled scales: the form that all priors with sampled scales share.

use super::elementwise::{HALF_LN_2PI, add_terms};
use super::scale_prior::{CoordinateDensity, Normal};
use super::{BoundPrior, Reparameterization};
use crate::ChainRng;
use crate::simd::{Lanes, Real, exp, softplus_and_slope};
use ergodic_draws::{Block, Role};
use pulp::{Arch, Simd, WithSimd};
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// Scales that are worked out at once, on the stack.
const CHUNK: usize = 64;

/// A prior under which each weight is width · s(θ) · z, with z standard normal.
///
/// s is the product of a scale that the whole tensor shares and one of the weight's own group, softly capped by a slab; each part is optional.
#[derive(Debug)]
pub(super) struct Scaled {
    tensors: Vec<ScaledTensor>,
    parameters: Vec<Parameters>,
    ones: Vec<f64>,
    description: String,
    arch: Arch,
}

/// One block of parameters.
#[derive(Debug)]
struct Parameters {
    block: Block,
    density: CoordinateDensity,
    range: Range<usize>,
}

/// How the scales of one tensor follow from the parameters.
#[derive(Debug)]
pub(super) struct ScaledTensor {
    /// Its weights.
    pub(super) range: Range<usize>,
    /// Factor that is fixed.
    pub(super) width: f64,
    /// A scale that all its weights share.
    pub(super) shared: Option<usize>,
    /// Scales of groups of its weights.
    pub(super) grouped: Option<Grouped>,
    /// The parameter ln c of a slab, in which s becomes s c/√(s² + c²) (Piironen & Vehtari 2017).
    pub(super) slab: Option<usize>,
}

/// A tensor as an array (outer × count × inner) in which the middle index tells the groups apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grouped {
    /// The first group's parameter.
    pub(super) first: usize,
    /// Whether the parameter is the logit of the factor, rather than its logarithm.
    pub(super) logit: bool,
    pub(super) outer: usize,
    pub(super) count: usize,
    pub(super) inner: usize,
}

impl Scaled {
    pub(super) fn new(num_weights: usize, description: String) -> Self {
        let ones = vec![1.0; num_weights];
        Self { tensors: Vec::new(), parameters: Vec::new(), ones, description, arch: Arch::new() }
    }

    /// Adds a block of parameters and returns the index of its first.
    pub(super) fn add_parameters(
        &mut self,
        name: String,
        shape: &[usize],
        layer: Option<usize>,
        density: CoordinateDensity,
    ) -> usize {
        let first = self.parameters.last().map_or(0, |last| last.range.end);
        let mut block = Block::new(name, shape).with_role(Role::Hyperparameter).with_transform(density.transform());
        block.layer = layer;
        let range = first..first + block.len();
        self.parameters.push(Parameters { block, density, range });
        first
    }

    pub(super) fn add_tensor(&mut self, tensor: ScaledTensor) {
        self.tensors.push(tensor);
    }
}

impl BoundPrior for Scaled {
    fn description(&self) -> String {
        self.description.clone()
    }

    fn parameters(&self) -> Vec<Block> {
        self.parameters.iter().map(|parameters| parameters.block.clone()).collect()
    }

    fn add_gradient(&self, z: &[f64], parameters: &[f64], d_z: &mut [f64], d_parameters: &mut [f64]) -> f64 {
        let mut log_prior = add_terms(self.arch, &Normal { mean: 0.0, precision: 1.0 }, z, d_z) - z.len() as f64 * HALF_LN_2PI;
        for Parameters { density, range, .. } in &self.parameters {
            log_prior += density.add_gradient(self.arch, &parameters[range.clone()], &mut d_parameters[range.clone()]);
        }
        log_prior
    }

    fn draw(&self, rng: &mut ChainRng, z: &mut [f64], parameters: &mut [f64]) {
        z.fill_with(|| StandardNormal.sample(rng));
        for Parameters { density, range, .. } in &self.parameters {
            parameters[range.clone()].fill_with(|| density.draw(rng));
        }
    }

    fn initial(&self, rng: &mut ChainRng, z: &mut [f64], parameters: &mut [f64]) {
        z.fill_with(|| StandardNormal.sample(rng));
        for Parameters { density, range, .. } in &self.parameters {
            parameters[range.clone()].fill_with(|| density.initial(rng));
        }
    }

    fn scales(&self) -> &[f64] {
        &self.ones
    }

    fn parameter_scales(&self, scales: &mut [f64]) {
        for Parameters { density, range, .. } in &self.parameters {
            scales[range.clone()].fill(density.sd());
        }
    }

    fn reparameterization(&self) -> Option<&dyn Reparameterization> {
        Some(self)
    }
}

impl Reparameterization for Scaled {
    fn weights(&self, z: &[f64], parameters: &[f64], weights: &mut [f64]) {
        weights.copy_from_slice(z);
        for tensor in &self.tensors {
            let work = Work::Multiply { values: &mut weights[tensor.range.clone()] };
            self.arch.dispatch(Pass { tensor, parameters, work });
        }
    }

    fn pull_back(&self, z: &[f64], parameters: &[f64], gradient: &mut [f64], d_parameters: &mut [f64]) {
        for tensor in &self.tensors {
            let (z, gradient) = (&z[tensor.range.clone()], &mut gradient[tensor.range.clone()]);
            self.arch.dispatch(Pass { tensor, parameters, work: Work::PullBack { z, gradient, d_parameters } });
        }
    }

    fn coordinates(&self, weights: &[f64], parameters: &[f64], z: &mut [f64]) {
        self.weights(&self.ones, parameters, z);
        for (z, weight) in z.iter_mut().zip(weights) {
            // Where a scale has underflowed to 0 so has its weight, and any coordinate has this weight.
            *z = if *z == 0.0 { 0.0 } else { weight / *z };
        }
    }

    fn is_scaling(&self) -> bool {
        true
    }
}

/// What is done with the scales of a tensor.
enum Work<'a> {
    /// Multiplies the values by their scales.
    Multiply { values: &'a mut [f64] },
    /// Turns the gradient in the weights into that in z, and adds that in the parameters.
    PullBack { z: &'a [f64], gradient: &'a mut [f64], d_parameters: &'a mut [f64] },
}

/// One pass over a tensor, dispatched to an instruction set once.
struct Pass<'a> {
    tensor: &'a ScaledTensor,
    parameters: &'a [f64],
    work: Work<'a>,
}

/// The scales of up to [`CHUNK`] groups, and the derivatives of their logarithms.
struct Scales {
    /// Starts as the group's parameter.
    scale: [f64; CHUNK],
    /// Derivative of ln s in its group's own parameter, before the slab.
    own: [f64; CHUNK],
    /// Derivative of the capped ln s in the uncapped; the rest is that in ln c.
    uncapped: [f64; CHUNK],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.run(<f64 as Real>::lanes(simd));
    }
}

impl Pass<'_> {
    #[inline(always)]
    fn run<L: Lanes<E = f64>>(mut self, l: L) {
        let Grouped { first, outer, count, inner, .. } = self.tensor.grouped.unwrap_or(Grouped {
            first: 0,
            logit: false,
            outer: 1,
            count: 1,
            inner: self.tensor.range.len(),
        });
        let mut scales = Scales { scale: [0.0; CHUNK], own: [0.0; CHUNK], uncapped: [0.0; CHUNK] };
        let mut totals = [0.0; CHUNK];
        let (mut shared_total, mut slab_total) = (0.0, 0.0);
        for start in (0..count).step_by(CHUNK) {
            let groups = CHUNK.min(count - start);
            if self.tensor.grouped.is_some() {
                scales.scale[..groups].copy_from_slice(&self.parameters[first + start..][..groups]);
            }
            self.compute(l, &mut scales, groups);
            totals[..groups].fill(0.0);
            for outer in 0..outer {
                let range = (outer * count + start) * inner..(outer * count + start + groups) * inner;
                match &mut self.work {
                    Work::Multiply { values } => multiply(&scales.scale[..groups], inner, &mut values[range]),
                    Work::PullBack { z, gradient, .. } => {
                        pull(&scales.scale[..groups], inner, &z[range.clone()], &mut gradient[range], &mut totals[..groups]);
                    }
                }
            }
            if let Work::PullBack { d_parameters, .. } = &mut self.work {
                for i in 0..groups {
                    let total = totals[i] * scales.scale[i];
                    let uncapped = total * scales.uncapped[i];
                    if self.tensor.grouped.is_some() {
                        d_parameters[first + start + i] += uncapped * scales.own[i];
                    }
                    shared_total += uncapped;
                    slab_total += total - uncapped;
                }
            }
        }
        if let Work::PullBack { d_parameters, .. } = &mut self.work {
            if let Some(shared) = self.tensor.shared {
                d_parameters[shared] += shared_total;
            }
            if let Some(slab) = self.tensor.slab {
                d_parameters[slab] += slab_total;
            }
        }
    }

    /// Computes the scales of groups from their parameters.
    #[inline(always)]
    fn compute<L: Lanes<E = f64>>(&self, l: L, scales: &mut Scales, groups: usize) {
        let shared = self.tensor.shared.map_or(0.0, |index| self.parameters[index]);
        let logit = self.tensor.grouped.is_some_and(|grouped| grouped.logit);
        let width = l.splat(self.tensor.width);
        let one = l.splat(1.0);
        let vectors = groups.div_ceil(L::WIDTH);
        let scale = &mut L::vectors_mut(&mut scales.scale)[..vectors];
        let own = &mut L::vectors_mut(&mut scales.own)[..vectors];
        let uncapped = &mut L::vectors_mut(&mut scales.uncapped)[..vectors];
        for ((scale, own), uncapped) in scale.iter_mut().zip(own).zip(uncapped) {
            let mut log = *scale;
            *own = one;
            if logit {
                let (softplus, slope) = softplus_and_slope(l, l.neg(log));
                (log, *own) = (l.neg(softplus), slope);
            }
            log = l.add(log, l.splat(shared));
            *uncapped = one;
            if let Some(slab) = self.tensor.slab {
                let excess = l.sub(log, l.splat(self.parameters[slab]));
                let (softplus, slope) = softplus_and_slope(l, l.add(excess, excess));
                log = l.negative_fma(softplus, l.splat(0.5), log);
                *uncapped = l.sub(one, slope);
            }
            *scale = l.mul(width, exp(l, log));
        }
    }
}

/// Multiplies runs of `inner` values by their scales.
#[inline(always)]
fn multiply(scales: &[f64], inner: usize, values: &mut [f64]) {
    if inner == 1 {
        for (value, scale) in values.iter_mut().zip(scales) {
            *value *= scale;
        }
        return;
    }
    for (run, scale) in values.chunks_exact_mut(inner).zip(scales) {
        for value in run {
            *value *= scale;
        }
    }
}

/// Adds the products of gradients and z to the totals of their groups, and multiplies the gradients by their scales.
#[inline(always)]
fn pull(scales: &[f64], inner: usize, z: &[f64], gradient: &mut [f64], totals: &mut [f64]) {
    if inner == 1 {
        for (((g, z), scale), total) in gradient.iter_mut().zip(z).zip(scales).zip(totals) {
            *total += *g * z;
            *g *= scale;
        }
        return;
    }
    for (((gradient, z), scale), total) in gradient.chunks_exact_mut(inner).zip(z.chunks_exact(inner)).zip(scales).zip(totals) {
        // Eight sums in a fixed order let the compiler use vector instructions.
        let mut sums = [0.0; 8];
        let (eights, last) = gradient.as_chunks_mut::<8>();
        let (z_eights, z_last) = z.as_chunks::<8>();
        for (g, z) in eights.iter_mut().zip(z_eights) {
            for lane in 0..8 {
                sums[lane] += g[lane] * z[lane];
                g[lane] *= scale;
            }
        }
        for (lane, (g, z)) in last.iter_mut().zip(z_last).enumerate() {
            sums[lane] += *g * z;
            *g *= scale;
        }
        *total += sums.iter().sum::<f64>();
    }
}
