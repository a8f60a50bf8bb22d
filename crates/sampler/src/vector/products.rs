//! Compute inner products: of two vectors, of a matrix's rows, and of the ends of a trajectory with its sums of momenta.

use super::Weights;
use pulp::{Arch, Scalar, Simd, WithSimd};

/// `Σ wᵢ aᵢ bᵢ`.
pub(crate) fn dot(weights: impl Weights, a: &[f64], b: &[f64]) -> f64 {
    Arch::new().dispatch(Dot { weights, a, b })
}

struct Dot<'a, W> {
    weights: W,
    a: &'a [f64],
    b: &'a [f64],
}

impl<W: Weights> WithSimd for Dot<'_, W> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        #[inline(always)]
        fn pass<S: Simd>(simd: S, w: impl Iterator<Item = S::f64s>, a: &[S::f64s], b: &[S::f64s]) -> f64 {
            let mut sum = simd.splat_f64s(0.0);
            for ((a, b), w) in a.iter().zip(b).zip(w) {
                sum = simd.mul_add_e_f64s(simd.mul_f64s(w, *a), *b, sum);
            }
            simd.reduce_sum_f64s(sum)
        }
        let (a, a_rest) = S::as_simd_f64s(self.a);
        let (b, b_rest) = S::as_simd_f64s(self.b);
        pass(simd, self.weights.vectors(simd), a, b) + pass(Scalar, self.weights.rest::<S>(), a_rest, b_rest)
    }
}

/// `outᵢ ← Σⱼ aᵢⱼ xⱼ`, with the rows of a one after the other.
pub(crate) fn rows_times(rows: &[f64], x: &[f64], out: &mut [f64]) {
    Arch::new().dispatch(RowsTimes { rows, x, out });
}

struct RowsTimes<'a> {
    rows: &'a [f64],
    x: &'a [f64],
    out: &'a mut [f64],
}

impl WithSimd for RowsTimes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, row) in self.out.iter_mut().zip(self.rows.chunks_exact(self.x.len().max(1))) {
            *out = dot_of_long(simd, row, self.x);
        }
    }
}

/// `Σ aᵢ bᵢ` in four sums of vectors, so that additions need not wait for each other.
#[inline(always)]
fn dot_of_long<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
    let ((a, a_few), (b, b_few)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [simd.splat_f64s(0.0); 4];
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            sums[i] = simd.mul_add_e_f64s(a[i], b[i], sums[i]);
        }
    }
    for (a, b) in a_few.iter().zip(b_few) {
        sums[0] = simd.mul_add_e_f64s(*a, *b, sums[0]);
    }
    let sum = simd.add_f64s(simd.add_f64s(sums[0], sums[1]), simd.add_f64s(sums[2], sums[3]));
    simd.reduce_sum_f64s(sum) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// Two neighbouring stretches of a trajectory: the momenta at their ends, and the sums of momenta over each.
#[derive(Clone, Copy)]
pub(crate) struct Stretches<'a> {
    /// Momenta at the first stretch's ends.
    pub left: [&'a [f64]; 2],
    /// Momenta at the second stretch's ends.
    pub right: [&'a [f64]; 2],
    /// Sums of momenta over the stretches.
    pub sums: [&'a [f64]; 2],
}

/// Writes the sum of momenta over both stretches to `total`, and returns six inner products: of both ends of the whole with its sum; of
/// the first stretch's begin and the second's begin with the sum over all up to there; and of the first stretch's end and the second's
/// end with the sum from there on. In all of these sums the two ends count half, as they do in the distance that leapfrog covers.
pub(crate) fn join(weights: impl Weights, stretches: Stretches<'_>, total: &mut [f64]) -> [f64; 6] {
    Arch::new().dispatch(Join { weights, stretches, total })
}

struct Join<'a, W> {
    weights: W,
    stretches: Stretches<'a>,
    total: &'a mut [f64],
}

impl<W: Weights> WithSimd for Join<'_, W> {
    type Output = [f64; 6];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; 6] {
        #[inline(always)]
        fn pass<S: Simd>(
            simd: S,
            w: impl Iterator<Item = S::f64s>,
            [[a, b], [c, d], [s, t]]: [[&[S::f64s]; 2]; 3],
            total: &mut [S::f64s],
        ) -> [f64; 6] {
            let [half, less_half] = [0.5, -0.5].map(|x| simd.splat_f64s(x));
            let mut sums = [simd.splat_f64s(0.0); 6];
            let ends = a.iter().zip(b).zip(c).zip(d);
            for ((((((a, b), c), d), (s, t)), total), w) in ends.zip(s.iter().zip(t)).zip(total).zip(w) {
                *total = simd.add_f64s(*s, *t);
                let whole = simd.mul_f64s(w, simd.mul_add_e_f64s(less_half, simd.add_f64s(*a, *d), *total));
                let first = simd.mul_f64s(w, simd.mul_add_e_f64s(half, simd.sub_f64s(*c, *a), *s));
                let second = simd.mul_f64s(w, simd.mul_add_e_f64s(half, simd.sub_f64s(*b, *d), *t));
                sums[0] = simd.mul_add_e_f64s(*a, whole, sums[0]);
                sums[1] = simd.mul_add_e_f64s(*d, whole, sums[1]);
                sums[2] = simd.mul_add_e_f64s(*a, first, sums[2]);
                sums[3] = simd.mul_add_e_f64s(*c, first, sums[3]);
                sums[4] = simd.mul_add_e_f64s(*b, second, sums[4]);
                sums[5] = simd.mul_add_e_f64s(*d, second, sums[5]);
            }
            let mut products = [0.0; 6];
            for (product, sum) in products.iter_mut().zip(sums) {
                *product = simd.reduce_sum_f64s(sum);
            }
            products
        }
        let Stretches { left, right, sums } = self.stretches;
        let pairs = [left, right, sums];
        let vectors = pairs.map(|pair| pair.map(|values| S::as_simd_f64s(values).0));
        let rests = pairs.map(|pair| pair.map(|values| S::as_simd_f64s(values).1));
        let (total, total_rest) = S::as_mut_simd_f64s(self.total);
        let mut products = pass(simd, self.weights.vectors(simd), vectors, total);
        let rest = pass(Scalar, self.weights.rest::<S>(), rests, total_rest);
        products.iter_mut().zip(rest).for_each(|(product, rest)| *product += rest);
        products
    }
}

#[cfg(test)]
mod tests {
    use super::super::Equal;
    use super::super::test_support::{close, sum, values};
    use super::*;

    #[test]
    fn products_of_every_length_equal_plain_sums() {
        for n in 0..40 {
            let [a, b, w, ..] = values(n);
            let found = [dot(Equal, &a, &b), dot(w.as_slice(), &a, &b)];
            close(&found, &[sum(n, |i| a[i] * b[i]), sum(n, |i| w[i] * a[i] * b[i])]);
            let mut out = [0.0; 3];
            rows_times(&[a.as_slice(), &b, &w].concat(), &b, &mut out[..if n == 0 { 0 } else { 3 }]);
            close(&out, &[sum(n, |i| a[i] * b[i]), sum(n, |i| b[i] * b[i]), sum(n, |i| w[i] * b[i])]);
        }
    }

    #[test]
    fn joins_of_every_length_equal_plain_ones() {
        for n in 0..40 {
            let [a, b, c, d, s, t, w, mut total] = values(n);
            let stretches = Stretches { left: [&a, &b], right: [&c, &d], sums: [&s, &t] };
            let found = join(w.as_slice(), stretches, &mut total);
            // Plus a sum y + z, less half the ends u and v.
            let with = |x: &[f64], [y, z]: [&[f64]; 2], [u, v]: [&[f64]; 2]| {
                sum(n, |i| w[i] * x[i] * (y[i] + z[i] - 0.5 * (u[i] + v[i])))
            };
            let expected = [
                with(&a, [&s, &t], [&a, &d]),
                with(&d, [&s, &t], [&a, &d]),
                with(&a, [&s, &c], [&a, &c]),
                with(&c, [&s, &c], [&a, &c]),
                with(&b, [&b, &t], [&b, &d]),
                with(&d, [&b, &t], [&b, &d]),
            ];
            close(&found, &expected);
            close(&total, &(0..n).map(|i| s[i] + t[i]).collect::<Vec<_>>());
            let equal = join(Equal, stretches, &mut total);
            close(&equal[..1], &[sum(n, |i| a[i] * (s[i] + t[i] - 0.5 * (a[i] + d[i])))]);
        }
    }
}
