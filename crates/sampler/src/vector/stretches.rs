//! Compute what the no-U-turn criterion asks of two neighbouring stretches of a trajectory.
//!
//! Momenta are whitened and in single precision, which is half the memory: the criterion reads signs. Products are summed up in single
//! precision over some thousand coordinates, and these sums in double precision.

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Vectors of coordinates that are summed up in single precision.
const BLOCK: usize = 128;

/// Two neighbouring stretches of a trajectory: the momenta at their ends, and the sums of momenta over each.
#[derive(Clone, Copy)]
pub(crate) struct Stretches<'a> {
    /// Momenta at the first stretch's ends.
    pub left: [&'a [f32]; 2],
    /// Momenta at the second stretch's ends.
    pub right: [&'a [f32]; 2],
    /// Sums of momenta over the stretches.
    pub sums: [&'a [f32]; 2],
}

/// Writes the sum of momenta over both stretches to `total`, and returns six inner products: of both ends of the whole with its sum; of
/// the first stretch's begin and the second's begin with the sum over all up to there; and of the first stretch's end and the second's
/// end with the sum from there on. In all of these sums the two ends count half, as they do in the distance that leapfrog covers.
pub(crate) fn join(stretches: Stretches<'_>, total: &mut [f32]) -> [f64; 6] {
    Arch::new().dispatch(Join { stretches, total })
}

struct Join<'a> {
    stretches: Stretches<'a>,
    total: &'a mut [f32],
}

impl WithSimd for Join<'_> {
    type Output = [f64; 6];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; 6] {
        #[inline(always)]
        fn pass<S: Simd>(simd: S, [a, b, c, d, s, t]: [&[S::f32s]; 6], total: &mut [S::f32s]) -> [f64; 6] {
            let [half, less_half] = [0.5, -0.5].map(|x| simd.splat_f32s(x));
            let mut products = [0.0; 6];
            for (block, total) in total.chunks_mut(BLOCK).enumerate() {
                let [a, b, c, d, s, t] = [a, b, c, d, s, t].map(|values| &values[block * BLOCK..][..total.len()]);
                let mut sums = [simd.splat_f32s(0.0); 6];
                let ends = a.iter().zip(b).zip(c).zip(d);
                for (((((a, b), c), d), (s, t)), total) in ends.zip(s.iter().zip(t)).zip(total) {
                    *total = simd.add_f32s(*s, *t);
                    let whole = simd.mul_add_e_f32s(less_half, simd.add_f32s(*a, *d), *total);
                    let first = simd.mul_add_e_f32s(half, simd.sub_f32s(*c, *a), *s);
                    let second = simd.mul_add_e_f32s(half, simd.sub_f32s(*b, *d), *t);
                    sums[0] = simd.mul_add_e_f32s(*a, whole, sums[0]);
                    sums[1] = simd.mul_add_e_f32s(*d, whole, sums[1]);
                    sums[2] = simd.mul_add_e_f32s(*a, first, sums[2]);
                    sums[3] = simd.mul_add_e_f32s(*c, first, sums[3]);
                    sums[4] = simd.mul_add_e_f32s(*b, second, sums[4]);
                    sums[5] = simd.mul_add_e_f32s(*d, second, sums[5]);
                }
                for (product, sum) in products.iter_mut().zip(sums) {
                    *product += f64::from(simd.reduce_sum_f32s(sum));
                }
            }
            products
        }
        let Stretches { left: [a, b], right: [c, d], sums: [s, t] } = self.stretches;
        let pieces = [a, b, c, d, s, t].map(S::as_simd_f32s);
        let (total, total_rest) = S::as_mut_simd_f32s(self.total);
        let mut products = pass(simd, pieces.map(|piece| piece.0), total);
        let rest = pass(Scalar, pieces.map(|piece| piece.1), total_rest);
        products.iter_mut().zip(rest).for_each(|(product, rest)| *product += rest);
        products
    }
}

/// `outᵢ ← xᵢ √wᵢ` in single precision.
pub(crate) fn narrow_scaled(x: &[f64], weights: &[f64], out: &mut [f32]) {
    struct NarrowScaled<'a>(&'a [f64], &'a [f64], &'a mut [f32]);
    impl WithSimd for NarrowScaled<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            for ((out, x), w) in self.2.iter_mut().zip(self.0).zip(self.1) {
                *out = (x * w.sqrt()) as f32;
            }
        }
    }
    Arch::new().dispatch(NarrowScaled(x, weights, out));
}

/// `outᵢ ← xᵢ` in single precision.
pub(crate) fn narrow(x: &[f64], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = *x as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{sum, values};
    use super::*;

    #[test]
    fn joins_of_every_length_equal_plain_ones() {
        for n in 0..40 {
            let [a, b, c, d, s, t, w, _] = values(n);
            let single = |x: &[f64]| {
                let mut out = vec![0.0; n];
                narrow(x, &mut out);
                out
            };
            let [a, b, c, d, s, t] = [a, b, c, d, s, t].map(|x| single(&x));
            let mut total = vec![0.0; n];
            let found = join(Stretches { left: [&a, &b], right: [&c, &d], sums: [&s, &t] }, &mut total);
            // Plus a sum y + z, less half the ends u and v.
            let with = |x: &[f32], [y, z]: [&[f32]; 2], [u, v]: [&[f32]; 2]| {
                let of = |x: &[f32], i: usize| f64::from(x[i]);
                sum(n, |i| of(x, i) * (of(y, i) + of(z, i) - 0.5 * (of(u, i) + of(v, i))))
            };
            let expected = [
                with(&a, [&s, &t], [&a, &d]),
                with(&d, [&s, &t], [&a, &d]),
                with(&a, [&s, &c], [&a, &c]),
                with(&c, [&s, &c], [&a, &c]),
                with(&b, [&b, &t], [&b, &d]),
                with(&d, [&b, &t], [&b, &d]),
            ];
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
            assert!((0..n).all(|i| total[i] == s[i] + t[i]));
            let mut scaled = vec![0.0; n];
            let weights: Vec<f64> = w.iter().map(|w| w * w).collect();
            narrow_scaled(&weights, &weights, &mut scaled);
            assert!((0..n).all(|i| (f64::from(scaled[i]) - weights[i] * w[i].abs()).abs() < 1e-6));
        }
    }
}
