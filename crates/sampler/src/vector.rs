//! Compute sums over coordinates with several accumulators, so that the compiler can use vector instructions.
//!
//! A plain floating-point sum must keep its order and stays scalar; here each of eight lanes has a sum of its own, and the lanes are
//! joined in a fixed order, so results do not depend on threads.

const LANES: usize = 8;

fn join(lanes: [f64; LANES]) -> f64 {
    ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
}

/// `Σ aᵢ bᵢ`.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.0.iter().zip(b.0) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a.1.iter().zip(b.1)) {
        *lane += a * b;
    }
    join(lanes)
}

/// `Σ wᵢ aᵢ bᵢ`.
pub(crate) fn weighted_dot(w: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (w, a, b) = (w.as_chunks::<LANES>(), a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for ((w, a), b) in w.0.iter().zip(a.0).zip(b.0) {
        for i in 0..LANES {
            lanes[i] += w[i] * a[i] * b[i];
        }
    }
    for (lane, ((w, a), b)) in lanes.iter_mut().zip(w.1.iter().zip(a.1).zip(b.1)) {
        *lane += w * a * b;
    }
    join(lanes)
}

/// `(Σ aᵢ (cᵢ + dᵢ), Σ bᵢ (cᵢ + dᵢ))` in one pass.
pub(crate) fn dot_pair(a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> (f64, f64) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (c, d) = (c.as_chunks::<LANES>(), d.as_chunks::<LANES>());
    for (((a, b), c), d) in a.0.iter().zip(b.0).zip(c.0).zip(d.0) {
        // One short loop per result: the compiler vectorises each, and neither when they are joined.
        let mut sum = [0.0; LANES];
        for i in 0..LANES {
            sum[i] = c[i] + d[i];
        }
        for i in 0..LANES {
            first[i] += a[i] * sum[i];
        }
        for i in 0..LANES {
            second[i] += b[i] * sum[i];
        }
    }
    for (i, (((a, b), c), d)) in a.1.iter().zip(b.1).zip(c.1).zip(d.1).enumerate() {
        first[i] += a * (c + d);
        second[i] += b * (c + d);
    }
    (join(first), join(second))
}

/// `(Σ wᵢ aᵢ (cᵢ + dᵢ), Σ wᵢ bᵢ (cᵢ + dᵢ))` in one pass.
pub(crate) fn weighted_dot_pair(w: &[f64], a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> (f64, f64) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let (w, a, b) = (w.as_chunks::<LANES>(), a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (c, d) = (c.as_chunks::<LANES>(), d.as_chunks::<LANES>());
    for ((((w, a), b), c), d) in w.0.iter().zip(a.0).zip(b.0).zip(c.0).zip(d.0) {
        let mut sum = [0.0; LANES];
        for i in 0..LANES {
            sum[i] = w[i] * (c[i] + d[i]);
        }
        for i in 0..LANES {
            first[i] += a[i] * sum[i];
        }
        for i in 0..LANES {
            second[i] += b[i] * sum[i];
        }
    }
    for (i, ((((w, a), b), c), d)) in w.1.iter().zip(a.1).zip(b.1).zip(c.1).zip(d.1).enumerate() {
        first[i] += a * (w * (c + d));
        second[i] += b * (w * (c + d));
    }
    (join(first), join(second))
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

/// The first coordinate whose value is not finite.
pub(crate) fn first_non_finite(x: &[f64]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_every_length_equal_plain_sums() {
        for n in 0..40 {
            let a: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
            let b: Vec<f64> = (0..n).map(|i| (i as f64 * 1.3).cos()).collect();
            let c: Vec<f64> = (0..n).map(|i| 1.0 / (1.0 + i as f64)).collect();
            let plain = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>();
            let close = |x: f64, y: f64| assert!((x - y).abs() < 1e-13, "{x} {y} at length {n}");
            close(dot(&a, &b), plain(&|i| a[i] * b[i]));
            close(weighted_dot(&c, &a, &b), plain(&|i| c[i] * a[i] * b[i]));
            let (first, second) = dot_pair(&a, &b, &c, &a);
            close(first, plain(&|i| a[i] * (c[i] + a[i])));
            close(second, plain(&|i| b[i] * (c[i] + a[i])));
            let (first, second) = weighted_dot_pair(&c, &a, &b, &a, &c);
            close(first, plain(&|i| c[i] * a[i] * (a[i] + c[i])));
            close(second, plain(&|i| c[i] * b[i] * (a[i] + c[i])));
        }
    }
}
