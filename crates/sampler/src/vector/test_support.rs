//! Give the tests of vector operations values and plain sums to compare with.

/// Eight vectors of `n` values of both signs.
pub(crate) fn values(n: usize) -> [Vec<f64>; 8] {
    std::array::from_fn(|k| (0..n).map(|i| ((i * 8 + k) as f64 * 0.7).sin() * 1.5).collect())
}

/// Fails unless all values agree to 10⁻¹³.
pub(crate) fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?} {expected:?}");
}

/// The plain sum of f(0), …, f(n − 1).
pub(crate) fn sum(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    (0..n).map(f).sum()
}
