//! Compute inner products: of two vectors, and of a matrix's rows.

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
}
