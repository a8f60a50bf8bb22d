//! Sum log densities of independent coordinates, and their slopes, a vector of coordinates at a time.

use super::scale::tensor_scales;
use super::{BoundPrior, PriorError, Scale};
use crate::simd::Lanes;
use crate::{ChainRng, Network};
use pulp::{Arch, Simd, WithSimd};
use std::fmt::Debug;
use std::ops::Range;

/// The widest vector.
const WIDEST: usize = 8;

/// ½ ln 2π.
pub(super) const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// A log density of one coordinate, without its constant.
pub(super) trait Term {
    /// The log densities of a vector of coordinates, and their derivatives.
    fn term<L: Lanes<E = f64>>(&self, l: L, x: L::V) -> (L::V, L::V);
}

/// Adds the derivatives of the terms at `x` to `gradient` and returns the sum of the terms.
pub(super) fn add_terms<T: Term>(arch: Arch, term: &T, x: &[f64], gradient: &mut [f64]) -> f64 {
    arch.dispatch(AddTerms { term, x, gradient })
}

struct AddTerms<'a, T> {
    term: &'a T,
    x: &'a [f64],
    gradient: &'a mut [f64],
}

impl<T: Term> WithSimd for AddTerms<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        sum_terms(<f64 as crate::simd::Real>::lanes(simd), self.term, self.x, self.gradient)
    }
}

#[inline(always)]
fn sum_terms<L: Lanes<E = f64>, T: Term>(l: L, term: &T, x: &[f64], gradient: &mut [f64]) -> f64 {
    let whole = x.len() / L::WIDTH * L::WIDTH;
    let (x, last) = x.split_at(whole);
    let (gradient, last_gradient) = gradient.split_at_mut(whole);
    let mut sum = l.splat(0.0);
    for (x, g) in L::vectors(x).iter().zip(L::vectors_mut(gradient)) {
        let (value, slope) = term.term(l, *x);
        sum = l.add(sum, value);
        *g = l.add(*g, slope);
    }
    let mut sum = l.sum(sum);
    if !last.is_empty() {
        let (mut values, mut slopes) = ([0.0; WIDEST], [0.0; WIDEST]);
        values[..last.len()].copy_from_slice(last);
        let (value, slope) = term.term(l, L::vectors(&values)[0]);
        L::vectors_mut(&mut values)[0] = value;
        L::vectors_mut(&mut slopes)[0] = slope;
        for ((g, slope), value) in last_gradient.iter_mut().zip(slopes).zip(values) {
            *g += slope;
            sum += value;
        }
    }
    sum
}

/// A family of symmetric distributions around 0, its scale filled in.
pub(super) trait Family: Term + Debug + Send + Sync {
    /// The constant of the log density.
    fn constant(&self) -> f64;
    /// One draw.
    fn draw(&self, rng: &mut ChainRng) -> f64;
    /// The standard deviation; infinite where there is none.
    fn sd(&self) -> f64;
    /// The largest magnitude that a chain starts with.
    fn farthest_start(&self) -> f64;
}

/// Independent coordinates of one family, each tensor with a scale of its own.
#[derive(Debug)]
pub(super) struct Independent<F> {
    tensors: Vec<(Range<usize>, F)>,
    sds: Vec<f64>,
    constant: f64,
    description: String,
    arch: Arch,
}

impl<F: Family + 'static> Independent<F> {
    /// The family `family(scale)` in each tensor.
    pub(super) fn bind(
        network: &Network,
        (weights, biases): (&Scale, &Scale),
        name: &str,
        family: impl Fn(f64) -> F,
    ) -> Result<Box<dyn BoundPrior>, PriorError> {
        let tensors = tensor_scales(network, weights, biases)?;
        let tensors: Vec<(Range<usize>, F)> =
            tensors.into_iter().map(|(tensor, scale)| (tensor.block.range(), family(scale))).collect();
        let mut sds = vec![0.0; network.num_weights()];
        let mut constant = 0.0;
        for (range, family) in &tensors {
            constant += range.len() as f64 * family.constant();
            sds[range.clone()].fill(family.sd());
        }
        let description = format!("{name}, scale {} (weights), {} (biases)", weights.describe(), biases.describe());
        Ok(Box::new(Self { tensors, sds, constant, description, arch: Arch::new() }))
    }
}

impl<F: Family> BoundPrior for Independent<F> {
    fn description(&self) -> String {
        self.description.clone()
    }

    fn add_gradient(&self, weights: &[f64], _parameters: &[f64], gradient: &mut [f64], _d_parameters: &mut [f64]) -> f64 {
        let tensors = self.tensors.iter();
        self.constant
            + tensors
                .map(|(range, family)| add_terms(self.arch, family, &weights[range.clone()], &mut gradient[range.clone()]))
                .sum::<f64>()
    }

    fn draw(&self, rng: &mut ChainRng, weights: &mut [f64], _parameters: &mut [f64]) {
        for (range, family) in &self.tensors {
            weights[range.clone()].fill_with(|| family.draw(rng));
        }
    }

    fn initial(&self, rng: &mut ChainRng, weights: &mut [f64], parameters: &mut [f64]) {
        self.draw(rng, weights, parameters);
        for (range, family) in &self.tensors {
            let farthest = family.farthest_start();
            weights[range.clone()].iter_mut().for_each(|w| *w = w.clamp(-farthest, farthest));
        }
    }

    fn scales(&self) -> &[f64] {
        &self.sds
    }
}
