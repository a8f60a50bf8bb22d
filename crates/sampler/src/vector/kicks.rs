//! Kick momenta and move positions, in one pass over the coordinates.

use super::Weights;
use pulp::{Arch, Scalar, Simd, WithSimd};

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

#[cfg(test)]
mod tests {
    use super::super::Equal;
    use super::super::test_support::{close, sum, values};
    use super::*;

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
}
