//! Compute with a few directions in many coordinates: make them orthonormal, mix them, and choose those that matter.

use crate::vector::{Equal, add_scaled, dot};
use nalgebra::{DMatrix, SymmetricEigen};

/// What is left of a direction, relative to its length, below which it counts as a mixture of the ones before it.
const DEPENDENT: f64 = 1e-8;
/// Most iterations of an eigenvalue decomposition; it takes a few a row.
const MAX_ITERATIONS: usize = 10_000;

/// Makes rows of `dim` coordinates orthonormal by Gram and Schmidt's process, done twice for rounding's sake; a row that depends on the
/// ones before it is taken out. Returns the number of each row that is left.
pub(crate) fn orthonormalise(rows: &mut Vec<f64>, dim: usize) -> Vec<usize> {
    let mut left = Vec::new();
    for number in 0..rows.len().checked_div(dim).unwrap_or(0) {
        let (done, rest) = rows.split_at_mut(number * dim);
        let row = &mut rest[..dim];
        let length = dot(Equal, row, row).sqrt();
        for _ in 0..2 {
            for direction in done[..left.len() * dim].chunks_exact(dim) {
                let along = dot(Equal, direction, row);
                add_scaled(row, -along, direction);
            }
        }
        let remaining = dot(Equal, row, row).sqrt();
        if !(remaining > DEPENDENT * length && remaining.is_finite()) {
            continue;
        }
        row.iter_mut().for_each(|x| *x /= remaining);
        rows.copy_within(number * dim..(number + 1) * dim, left.len() * dim);
        left.push(number);
    }
    rows.truncate(left.len() * dim);
    left
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix; `None` when it is empty, a number is not finite, or they do not converge.
pub(crate) fn symmetric_eigen(matrix: DMatrix<f64>) -> Option<SymmetricEigen<f64, nalgebra::Dyn>> {
    let usable = !matrix.is_empty() && matrix.iter().all(|x| x.is_finite());
    usable.then(|| SymmetricEigen::try_new(matrix, f64::EPSILON, MAX_ITERATIONS)).flatten()
}

/// Numbers of the at most `count` eigenvalues outside of [1/`cutoff`, `cutoff`] that are furthest from 1, as ratios.
pub(crate) fn furthest_from_one(eigenvalues: &[f64], cutoff: f64, count: usize) -> Vec<usize> {
    let stretch = |i: &usize| eigenvalues[*i].ln().abs();
    let mut chosen: Vec<usize> = (0..eigenvalues.len()).filter(|i| stretch(i) > cutoff.ln()).collect();
    chosen.sort_by(|i, j| stretch(j).total_cmp(&stretch(i)));
    chosen.truncate(count);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependent_rows_are_taken_out() {
        let mut rows = vec![3.0, 0.0, 0.0, 1.0, 1.0, 0.0, 2.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1e-3];
        assert_eq!(orthonormalise(&mut rows, 3), [0, 1, 4]);
        for i in 0..3 {
            for j in 0..3 {
                let product = dot(Equal, &rows[3 * i..][..3], &rows[3 * j..][..3]);
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-14);
            }
        }
        assert!(orthonormalise(&mut vec![f64::NAN, 1.0], 2).is_empty());
        assert!(orthonormalise(&mut Vec::new(), 0).is_empty());
    }

    #[test]
    fn stretches_are_chosen_either_way() {
        assert_eq!(furthest_from_one(&[1.5, 0.1, 30.0, 0.6, 3.0], 2.0, 2), [2, 1]);
        assert_eq!(furthest_from_one(&[1.5, 0.6], 2.0, 2), Vec::<usize>::new());
    }

    #[test]
    fn numbers_that_are_not_finite_have_no_eigenvalues() {
        assert!(symmetric_eigen(DMatrix::from_element(3, 3, f64::NAN)).is_none());
        let found = symmetric_eigen(DMatrix::from_diagonal_element(3, 3, 2.0)).unwrap();
        assert!(found.eigenvalues.iter().all(|v| (v - 2.0).abs() < 1e-14));
    }
}
