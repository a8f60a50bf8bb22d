//! Compute what the no-U-turn criterion asks of two neighbouring stretches of a trajectory.
//!
//! Momenta are whitened and in single precision, half the memory: the criterion reads signs. Products are summed in double precision.

use pulp::{Arch, Simd, WithSimd};

/// Sums that a product is spread over, so that additions need not wait for each other; results are the same on all machines.
const LANES: usize = 8;

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
    fn with_simd<S: Simd>(self, _: S) -> [f64; 6] {
        /// The terms of one coordinate: the sum of both stretches, and what each product grows by.
        #[inline(always)]
        fn terms([a, b, c, d, s, t]: [f32; 6]) -> (f32, [f64; 6]) {
            let total = s + t;
            let [a, b, c, d, s, t] = [a, b, c, d, s, t].map(f64::from);
            let whole = f64::from(total) - 0.5 * (a + d);
            let first = s + 0.5 * (c - a);
            let second = t + 0.5 * (b - d);
            (total, [a * whole, d * whole, a * first, c * first, b * second, d * second])
        }
        let Stretches { left: [a, b], right: [c, d], sums: [s, t] } = self.stretches;
        let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest), (s, s_rest), (t, t_rest)] =
            [a, b, c, d, s, t].map(<[f32]>::as_chunks::<LANES>);
        let (total, total_rest) = self.total.as_chunks_mut::<LANES>();
        let mut sums = [[0.0; LANES]; 6];
        let ends = a.iter().zip(b).zip(c).zip(d);
        for (((((a, b), c), d), (s, t)), total) in ends.zip(s.iter().zip(t)).zip(total) {
            for lane in 0..LANES {
                let (sum, grown) = terms([a[lane], b[lane], c[lane], d[lane], s[lane], t[lane]]);
                total[lane] = sum;
                for product in 0..6 {
                    sums[product][lane] += grown[product];
                }
            }
        }
        let mut products = sums.map(|lanes| lanes.iter().sum());
        for (i, total) in total_rest.iter_mut().enumerate() {
            let (sum, grown) = terms([a_rest[i], b_rest[i], c_rest[i], d_rest[i], s_rest[i], t_rest[i]]);
            *total = sum;
            products.iter_mut().zip(grown).for_each(|(product, grown): (&mut f64, f64)| *product += grown);
        }
        products
    }
}

/// `outᵢ ← xᵢ √wᵢ` in single precision.
pub(crate) fn narrow_scaled(x: &[f64], weights: &[f64], out: &mut [f32]) {
    Arch::new().dispatch(|| {
        for ((out, x), w) in out.iter_mut().zip(x).zip(weights) {
            *out = (x * w.sqrt()) as f32;
        }
    });
}

/// `outᵢ ← xᵢ` in single precision.
pub(crate) fn narrow(x: &[f64], out: &mut [f32]) {
    Arch::new().dispatch(|| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = *x as f32;
        }
    });
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
