//! Compute over all coordinates at once: one pass an operation, in the widest vector instructions that the machine has.
//!
//! The instruction set is chosen once an operation, at run time. Each lane of a vector has a sum of its own, the lanes are joined in a
//! fixed order, and what does not fill a vector comes last: results depend on the instruction set and on nothing else.

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Weights of the coordinates in an inner product: the diagonal of M⁻¹.
pub(crate) trait Weights: Copy {
    /// The weights of whole vectors.
    fn vectors<S: Simd>(self, simd: S) -> impl Iterator<Item = S::f64s>;
    /// The weights of what is left.
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64>;
}

/// Every coordinate has weight 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Equal;

impl Weights for Equal {
    #[inline(always)]
    fn vectors<S: Simd>(self, simd: S) -> impl Iterator<Item = S::f64s> {
        std::iter::repeat(simd.splat_f64s(1.0))
    }
    #[inline(always)]
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64> {
        std::iter::repeat(1.0)
    }
}

impl Weights for &[f64] {
    #[inline(always)]
    fn vectors<S: Simd>(self, _simd: S) -> impl Iterator<Item = S::f64s> {
        S::as_simd_f64s(self).0.iter().copied()
    }
    #[inline(always)]
    fn rest<S: Simd>(self) -> impl Iterator<Item = f64> {
        S::as_simd_f64s(self).1.iter().copied()
    }
}

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

/// `yᵢ ← yᵢ + s xᵢ`.
pub(crate) fn add_scaled(y: &mut [f64], s: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += s * x;
    }
}

/// `outᵢ ← aᵢ + bᵢ`.
pub(crate) fn sum_into(out: &mut [f64], a: &[f64], b: &[f64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}

/// Kicks and moves in place: `pᵢ ← pᵢ + kick gᵢ`, then `xᵢ ← xᵢ + time wᵢ pᵢ`.
pub(crate) struct KickAndDrift<'a, W> {
    pub kick: f64,
    pub time: f64,
    pub weights: W,
    pub gradient: &'a [f64],
    pub momentum: &'a mut [f64],
    pub position: &'a mut [f64],
}

impl<W: Weights> KickAndDrift<'_, W> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<W: Weights> WithSimd for KickAndDrift<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[inline(always)]
        fn pass<S: Simd>(
            simd: S,
            [kick, time]: [f64; 2],
            w: impl Iterator<Item = S::f64s>,
            g: &[S::f64s],
            p: &mut [S::f64s],
            x: &mut [S::f64s],
        ) {
            let (kick, time) = (simd.splat_f64s(kick), simd.splat_f64s(time));
            for (((p, x), g), w) in p.iter_mut().zip(x).zip(g).zip(w) {
                *p = simd.mul_add_e_f64s(kick, *g, *p);
                *x = simd.mul_add_e_f64s(simd.mul_f64s(time, w), *p, *x);
            }
        }
        let factors = [self.kick, self.time];
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (p, p_rest) = S::as_mut_simd_f64s(self.momentum);
        let (x, x_rest) = S::as_mut_simd_f64s(self.position);
        pass(simd, factors, self.weights.vectors(simd), g, p, x);
        pass(Scalar, factors, self.weights.rest::<S>(), g_rest, p_rest, x_rest);
    }
}

/// Kicks and moves out of place: `pᵢ ← p'ᵢ + kick gᵢ`, then `xᵢ ← x'ᵢ + time wᵢ pᵢ`.
pub(crate) struct KickAndDriftFrom<'a, W> {
    pub kick: f64,
    pub time: f64,
    pub weights: W,
    pub gradient: &'a [f64],
    pub from_momentum: &'a [f64],
    pub from_position: &'a [f64],
    pub momentum: &'a mut [f64],
    pub position: &'a mut [f64],
}

impl<W: Weights> KickAndDriftFrom<'_, W> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<W: Weights> WithSimd for KickAndDriftFrom<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[inline(always)]
        fn pass<S: Simd>(
            simd: S,
            [kick, time]: [f64; 2],
            w: impl Iterator<Item = S::f64s>,
            [g, from_p, from_x]: [&[S::f64s]; 3],
            [p, x]: [&mut [S::f64s]; 2],
        ) {
            let (kick, time) = (simd.splat_f64s(kick), simd.splat_f64s(time));
            for (((((p, x), g), from_p), from_x), w) in p.iter_mut().zip(x).zip(g).zip(from_p).zip(from_x).zip(w) {
                let kicked = simd.mul_add_e_f64s(kick, *g, *from_p);
                *p = kicked;
                *x = simd.mul_add_e_f64s(simd.mul_f64s(time, w), kicked, *from_x);
            }
        }
        let factors = [self.kick, self.time];
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (from_p, from_p_rest) = S::as_simd_f64s(self.from_momentum);
        let (from_x, from_x_rest) = S::as_simd_f64s(self.from_position);
        let (p, p_rest) = S::as_mut_simd_f64s(self.momentum);
        let (x, x_rest) = S::as_mut_simd_f64s(self.position);
        pass(simd, factors, self.weights.vectors(simd), [g, from_p, from_x], [p, x]);
        pass(Scalar, factors, self.weights.rest::<S>(), [g_rest, from_p_rest, from_x_rest], [p_rest, x_rest]);
    }
}

/// `pᵢ ← pᵢ + kick gᵢ`, and returns `Σ wᵢ pᵢ²`.
pub(crate) fn kick_and_square(kick: f64, weights: impl Weights, gradient: &[f64], momentum: &mut [f64]) -> f64 {
    Arch::new().dispatch(KickAndSquare { kick, weights, gradient, momentum })
}

struct KickAndSquare<'a, W> {
    kick: f64,
    weights: W,
    gradient: &'a [f64],
    momentum: &'a mut [f64],
}

impl<W: Weights> WithSimd for KickAndSquare<'_, W> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        #[inline(always)]
        fn pass<S: Simd>(simd: S, kick: f64, w: impl Iterator<Item = S::f64s>, g: &[S::f64s], p: &mut [S::f64s]) -> f64 {
            let kick = simd.splat_f64s(kick);
            let mut sum = simd.splat_f64s(0.0);
            for ((p, g), w) in p.iter_mut().zip(g).zip(w) {
                let kicked = simd.mul_add_e_f64s(kick, *g, *p);
                *p = kicked;
                sum = simd.mul_add_e_f64s(simd.mul_f64s(w, kicked), kicked, sum);
            }
            simd.reduce_sum_f64s(sum)
        }
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (p, p_rest) = S::as_mut_simd_f64s(self.momentum);
        pass(simd, self.kick, self.weights.vectors(simd), g, p)
            + pass(Scalar, self.kick, self.weights.rest::<S>(), g_rest, p_rest)
    }
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
/// end with the sum from there on.
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
            let mut sums = [simd.splat_f64s(0.0); 6];
            let ends = a.iter().zip(b).zip(c).zip(d);
            for ((((((a, b), c), d), (s, t)), total), w) in ends.zip(s.iter().zip(t)).zip(total).zip(w) {
                *total = simd.add_f64s(*s, *t);
                let whole = simd.mul_f64s(w, *total);
                let first = simd.mul_f64s(w, simd.add_f64s(*s, *c));
                let second = simd.mul_f64s(w, simd.add_f64s(*b, *t));
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

/// The first coordinate whose value is not finite.
pub(crate) fn first_non_finite(x: &[f64]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight vectors of `n` values of both signs.
    fn values(n: usize) -> [Vec<f64>; 8] {
        std::array::from_fn(|k| (0..n).map(|i| ((i * 8 + k) as f64 * 0.7).sin() * 1.5).collect())
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?} {expected:?}");
    }

    fn sum(n: usize, f: impl Fn(usize) -> f64) -> f64 {
        (0..n).map(f).sum()
    }

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
    fn kicks_and_drifts_of_every_length_equal_plain_ones() {
        for n in 0..40 {
            let [g, p, x, w, ..] = values(n);
            let (kick, time) = (0.3, -0.7);
            let (gradient, from_momentum, from_position) = (&g, &p, &x);
            let kicked: Vec<f64> = (0..n).map(|i| p[i] + kick * g[i]).collect();
            let drifted = |w: &[f64]| -> Vec<f64> { (0..n).map(|i| x[i] + time * w[i] * kicked[i]).collect() };
            let ones = vec![1.0; n];

            let (mut momentum, mut position) = (p.clone(), x.clone());
            let (momentum, position) = (&mut momentum, &mut position);
            KickAndDrift { kick, time, weights: Equal, gradient, momentum, position }.run();
            close(momentum, &kicked);
            close(position, &drifted(&ones));
            momentum.copy_from_slice(&p);
            position.copy_from_slice(&x);
            let weights = w.as_slice();
            KickAndDrift { kick, time, weights, gradient, momentum, position }.run();
            close(position, &drifted(&w));

            momentum.fill(0.0);
            position.fill(0.0);
            KickAndDriftFrom { kick, time, weights, gradient, from_momentum, from_position, momentum, position }.run();
            close(momentum, &kicked);
            close(position, &drifted(&w));
            KickAndDriftFrom { kick, time, weights: Equal, gradient, from_momentum, from_position, momentum, position }.run();
            close(position, &drifted(&ones));

            momentum.copy_from_slice(&p);
            let square = kick_and_square(kick, weights, &g, momentum);
            close(momentum, &kicked);
            close(&[square], &[sum(n, |i| w[i] * kicked[i] * kicked[i])]);
            close(&[kick_and_square(0.0, Equal, &g, momentum)], &[sum(n, |i| kicked[i] * kicked[i])]);
        }
    }

    #[test]
    fn joins_of_every_length_equal_plain_ones() {
        for n in 0..40 {
            let [a, b, c, d, s, t, w, mut total] = values(n);
            let stretches = Stretches { left: [&a, &b], right: [&c, &d], sums: [&s, &t] };
            let found = join(w.as_slice(), stretches, &mut total);
            let with = |x: &[f64], y: &[f64], z: &[f64]| sum(n, |i| w[i] * x[i] * (y[i] + z[i]));
            let expected =
                [with(&a, &s, &t), with(&d, &s, &t), with(&a, &s, &c), with(&c, &s, &c), with(&b, &b, &t), with(&d, &b, &t)];
            close(&found, &expected);
            close(&total, &(0..n).map(|i| s[i] + t[i]).collect::<Vec<_>>());
            let equal = join(Equal, stretches, &mut total);
            close(&equal[..1], &[sum(n, |i| a[i] * (s[i] + t[i]))]);
        }
    }
}
