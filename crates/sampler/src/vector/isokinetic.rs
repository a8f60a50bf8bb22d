//! Kick directions and move positions in microcanonical dynamics, and sum what a kick depends on, each in one pass.

use super::Weights;
use pulp::{Arch, Scalar, Simd, WithSimd};

/// `[Σ (wᵢ gᵢ)², Σ uᵢ wᵢ gᵢ, Σ uᵢ²]`: what a kick of direction u by gradient g depends on.
pub(crate) fn kick_sums(weights: impl Weights, direction: &[f64], gradient: &[f64]) -> [f64; 3] {
    Arch::new().dispatch(KickSums { weights, direction, gradient })
}

struct KickSums<'a, W> {
    weights: W,
    direction: &'a [f64],
    gradient: &'a [f64],
}

impl<W: Weights> WithSimd for KickSums<'_, W> {
    type Output = [f64; 3];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; 3] {
        #[inline(always)]
        fn pass<S: Simd>(simd: S, w: impl Iterator<Item = S::f64s>, u: &[S::f64s], g: &[S::f64s]) -> [f64; 3] {
            let mut sums = [simd.splat_f64s(0.0); 3];
            for ((u, g), w) in u.iter().zip(g).zip(w) {
                let scaled = simd.mul_f64s(w, *g);
                sums[0] = simd.mul_add_e_f64s(scaled, scaled, sums[0]);
                sums[1] = simd.mul_add_e_f64s(*u, scaled, sums[1]);
                sums[2] = simd.mul_add_e_f64s(*u, *u, sums[2]);
            }
            let mut totals = [0.0; 3];
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = simd.reduce_sum_f64s(sum);
            }
            totals
        }
        let (u, u_rest) = S::as_simd_f64s(self.direction);
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let mut totals = pass(simd, self.weights.vectors(simd), u, g);
        let rest = pass(Scalar, self.weights.rest::<S>(), u_rest, g_rest);
        totals.iter_mut().zip(rest).for_each(|(total, rest)| *total += rest);
        totals
    }
}

/// `uᵢ ← a uᵢ + b wᵢ gᵢ`.
pub(crate) fn turn([a, b]: [f64; 2], weights: impl Weights, gradient: &[f64], direction: &mut [f64]) {
    Arch::new().dispatch(Turn { factors: [a, b], weights, gradient, direction });
}

struct Turn<'a, W> {
    factors: [f64; 2],
    weights: W,
    gradient: &'a [f64],
    direction: &'a mut [f64],
}

impl<W: Weights> WithSimd for Turn<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[inline(always)]
        fn pass<S: Simd>(simd: S, [a, b]: [f64; 2], w: impl Iterator<Item = S::f64s>, g: &[S::f64s], u: &mut [S::f64s]) {
            let (a, b) = (simd.splat_f64s(a), simd.splat_f64s(b));
            for ((u, g), w) in u.iter_mut().zip(g).zip(w) {
                *u = simd.mul_add_e_f64s(simd.mul_f64s(b, w), *g, simd.mul_f64s(a, *u));
            }
        }
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (u, u_rest) = S::as_mut_simd_f64s(self.direction);
        pass(simd, self.factors, self.weights.vectors(simd), g, u);
        pass(Scalar, self.factors, self.weights.rest::<S>(), g_rest, u_rest);
    }
}

/// Turns and moves in place: `uᵢ ← a uᵢ + b wᵢ gᵢ`, then `xᵢ ← xᵢ + time wᵢ uᵢ`.
pub(crate) struct TurnAndDrift<'a, W> {
    pub factors: [f64; 2],
    pub time: f64,
    pub weights: W,
    pub gradient: &'a [f64],
    pub direction: &'a mut [f64],
    pub position: &'a mut [f64],
}

impl<W: Weights> TurnAndDrift<'_, W> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<W: Weights> WithSimd for TurnAndDrift<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[inline(always)]
        fn pass<S: Simd>(
            simd: S,
            [a, b, time]: [f64; 3],
            w: impl Iterator<Item = S::f64s>,
            g: &[S::f64s],
            u: &mut [S::f64s],
            x: &mut [S::f64s],
        ) {
            let (a, b, time) = (simd.splat_f64s(a), simd.splat_f64s(b), simd.splat_f64s(time));
            for (((u, x), g), w) in u.iter_mut().zip(x).zip(g).zip(w) {
                *u = simd.mul_add_e_f64s(simd.mul_f64s(b, w), *g, simd.mul_f64s(a, *u));
                *x = simd.mul_add_e_f64s(simd.mul_f64s(time, w), *u, *x);
            }
        }
        let factors = [self.factors[0], self.factors[1], self.time];
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (u, u_rest) = S::as_mut_simd_f64s(self.direction);
        let (x, x_rest) = S::as_mut_simd_f64s(self.position);
        pass(simd, factors, self.weights.vectors(simd), g, u, x);
        pass(Scalar, factors, self.weights.rest::<S>(), g_rest, u_rest, x_rest);
    }
}

/// Turns and moves out of place: `uᵢ ← a u'ᵢ + b wᵢ gᵢ`, then `xᵢ ← x'ᵢ + time wᵢ uᵢ`.
pub(crate) struct TurnAndDriftFrom<'a, W> {
    pub factors: [f64; 2],
    pub time: f64,
    pub weights: W,
    pub gradient: &'a [f64],
    pub from_direction: &'a [f64],
    pub from_position: &'a [f64],
    pub direction: &'a mut [f64],
    pub position: &'a mut [f64],
}

impl<W: Weights> TurnAndDriftFrom<'_, W> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl<W: Weights> WithSimd for TurnAndDriftFrom<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[inline(always)]
        fn pass<S: Simd>(
            simd: S,
            [a, b, time]: [f64; 3],
            w: impl Iterator<Item = S::f64s>,
            [g, from_u, from_x]: [&[S::f64s]; 3],
            [u, x]: [&mut [S::f64s]; 2],
        ) {
            let (a, b, time) = (simd.splat_f64s(a), simd.splat_f64s(b), simd.splat_f64s(time));
            for (((((u, x), g), from_u), from_x), w) in u.iter_mut().zip(x).zip(g).zip(from_u).zip(from_x).zip(w) {
                let turned = simd.mul_add_e_f64s(simd.mul_f64s(b, w), *g, simd.mul_f64s(a, *from_u));
                *u = turned;
                *x = simd.mul_add_e_f64s(simd.mul_f64s(time, w), turned, *from_x);
            }
        }
        let factors = [self.factors[0], self.factors[1], self.time];
        let (g, g_rest) = S::as_simd_f64s(self.gradient);
        let (from_u, from_u_rest) = S::as_simd_f64s(self.from_direction);
        let (from_x, from_x_rest) = S::as_simd_f64s(self.from_position);
        let (u, u_rest) = S::as_mut_simd_f64s(self.direction);
        let (x, x_rest) = S::as_mut_simd_f64s(self.position);
        pass(simd, factors, self.weights.vectors(simd), [g, from_u, from_x], [u, x]);
        pass(Scalar, factors, self.weights.rest::<S>(), [g_rest, from_u_rest, from_x_rest], [u_rest, x_rest]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Equal;
    use super::super::test_support::{close, sum, values};
    use super::*;

    #[test]
    fn passes_of_every_length_equal_plain_ones() {
        for n in 0..40 {
            let [g, u, x, w, ..] = values(n);
            let (factors, time) = ([0.8, -0.4], 0.6);
            let weights = w.as_slice();
            let found = kick_sums(weights, &u, &g);
            let plain = |w: &dyn Fn(usize) -> f64| {
                [sum(n, |i| (w(i) * g[i]).powi(2)), sum(n, |i| u[i] * w(i) * g[i]), sum(n, |i| u[i] * u[i])]
            };
            close(&found, &plain(&|i| w[i]));
            close(&kick_sums(Equal, &u, &g), &plain(&|_| 1.0));

            let turned: Vec<f64> = (0..n).map(|i| 0.8 * u[i] - 0.4 * w[i] * g[i]).collect();
            let moved: Vec<f64> = (0..n).map(|i| x[i] + time * w[i] * turned[i]).collect();
            let (mut direction, mut position) = (u.clone(), x.clone());
            turn(factors, weights, &g, &mut direction);
            close(&direction, &turned);
            direction.copy_from_slice(&u);
            let (direction, position) = (&mut direction, &mut position);
            TurnAndDrift { factors, time, weights, gradient: &g, direction, position }.run();
            close(direction, &turned);
            close(position, &moved);
            direction.fill(0.0);
            position.fill(0.0);
            let (gradient, from_direction, from_position) = (&g, &u, &x);
            TurnAndDriftFrom { factors, time, weights, gradient, from_direction, from_position, direction, position }.run();
            close(direction, &turned);
            close(position, &moved);
        }
    }
}
