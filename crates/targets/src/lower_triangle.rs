//! Solve and multiply with the Cholesky factor of a covariance or precision, without allocating.

use crate::TargetError;
use nalgebra::{Cholesky, DMatrix};

/// The factor L of A = LLᵀ, row after row (dim × dim, zeros above the diagonal).
#[derive(Debug, Clone)]
pub(crate) struct LowerTriangle {
    dim: usize,
    rows: Vec<f64>,
}

impl LowerTriangle {
    /// Factors a symmetric positive-definite matrix.
    pub(crate) fn factor(matrix: &DMatrix<f64>, what: &'static str) -> Result<Self, TargetError> {
        let dim = matrix.nrows();
        TargetError::require_length(what, matrix.len(), dim * dim)?;
        let scale = matrix.amax();
        let symmetric = (0..dim).all(|i| (0..i).all(|j| (matrix[(i, j)] - matrix[(j, i)]).abs() <= 1e-10 * scale));
        if !symmetric {
            return Err(TargetError::NotPositiveDefinite { what });
        }
        let factor = Cholesky::new(matrix.clone()).ok_or(TargetError::NotPositiveDefinite { what })?.l();
        let rows = (0..dim * dim).map(|k| factor[(k / dim, k % dim)]).collect();
        Ok(Self { dim, rows })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.dim..][..=i]
    }

    /// x ← L⁻¹x.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        for i in 0..self.dim {
            let row = self.row(i);
            let sum: f64 = row[..i].iter().zip(&x[..i]).map(|(l, x)| l * x).sum();
            x[i] = (x[i] - sum) / row[i];
        }
    }

    /// x ← L⁻ᵀx.
    pub(crate) fn solve_transposed(&self, x: &mut [f64]) {
        for i in (0..self.dim).rev() {
            let row = self.row(i);
            x[i] /= row[i];
            let (before, rest) = x.split_at_mut(i);
            for (x, l) in before.iter_mut().zip(row) {
                *x -= l * rest[0];
            }
        }
    }

    /// x ← Lx.
    pub(crate) fn multiply(&self, x: &mut [f64]) {
        for i in (0..self.dim).rev() {
            x[i] = self.row(i).iter().zip(&*x).map(|(l, x)| l * x).sum();
        }
    }

    /// log det L.
    pub(crate) fn log_determinant(&self) -> f64 {
        (0..self.dim).map(|i| self.rows[i * self.dim + i].ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_undo_products() {
        let matrix = DMatrix::from_row_slice(3, 3, &[4.0, 1.0, -0.5, 1.0, 3.0, 0.7, -0.5, 0.7, 2.0]);
        let factor = LowerTriangle::factor(&matrix, "matrix").expect("positive definite");
        let start = [0.3, -1.2, 2.0];
        let mut x = start;
        factor.multiply(&mut x);
        factor.solve(&mut x);
        assert!(x.iter().zip(&start).all(|(a, b)| (a - b).abs() < 1e-14));
        // A⁻¹ = L⁻ᵀL⁻¹, so A times both solves is the start again.
        factor.solve(&mut x);
        factor.solve_transposed(&mut x);
        for i in 0..3 {
            let product: f64 = (0..3).map(|j| matrix[(i, j)] * x[j]).sum();
            assert!((product - start[i]).abs() < 1e-14);
        }
        assert!((2.0 * factor.log_determinant() - matrix.determinant().ln()).abs() < 1e-13);
    }

    #[test]
    fn refuses_what_is_no_covariance() {
        for values in [[1.0, 2.0, 2.0, 1.0], [1.0, 0.5, 0.1, 1.0], [1.0, f64::NAN, f64::NAN, 1.0]] {
            let matrix = DMatrix::from_row_slice(2, 2, &values);
            assert!(LowerTriangle::factor(&matrix, "matrix").is_err());
        }
    }
}
