//! Hold a metric that is diagonal but for a few directions, at the cost of those few.
//!
//! M⁻¹ = S (I + Uᵀ(Λ − I)U) S with S diagonal and the rows of U orthonormal. Then M = S⁻¹ (I + Uᵀ(Λ⁻¹ − I)U) S⁻¹ exactly, and
//! S⁻¹ (I + Uᵀ(Λ^−½ − I)U) is a square root of it. Since rows of U are orthonormal, a product with I + Uᵀ(Λ − I)U is one rank-one change
//! after the other, in place.

use super::{MetricError, check_variances};
use crate::vector::{Equal, add_scaled, dot};

/// How far products of directions may be from those of an orthonormal set.
const ORTHONORMAL: f64 = 1e-8;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct LowRank {
    /// The diagonal of S, and of S².
    pub(super) scales: Vec<f64>,
    squares: Vec<f64>,
    /// The rows of U, one after the other.
    pub(super) directions: Vec<f64>,
    /// Λ, and Λ^−½.
    pub(super) eigenvalues: Vec<f64>,
    inverse_roots: Vec<f64>,
}

impl LowRank {
    pub(super) fn new(scales: Vec<f64>, directions: Vec<f64>, eigenvalues: Vec<f64>) -> Result<Self, MetricError> {
        let squares: Vec<f64> = scales.iter().map(|s| s * s).collect();
        if let Some(coordinate) = scales.iter().position(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(MetricError::Variance { coordinate, value: scales[coordinate] });
        }
        check_variances(&squares)?;
        let (dim, rank) = (scales.len(), eigenvalues.len());
        let error = |problem: String| Err(MetricError::LowRank { problem });
        if directions.len() != dim * rank {
            let found = directions.len();
            return error(format!("{found} numbers for {rank} directions of {dim} coordinates; it takes {}", dim * rank));
        }
        if let Some(number) = eigenvalues.iter().position(|v| !(*v > 0.0 && v.is_finite() && (1.0 / v.sqrt()).is_finite())) {
            return error(format!(
                "the eigenvalue {} in direction {number}; it must be positive and finite",
                eigenvalues[number]
            ));
        }
        let direction = |i: usize| &directions[i * dim..][..dim];
        for i in 0..rank {
            for j in 0..=i {
                let product = dot(Equal, direction(i), direction(j));
                let distance = (product - f64::from(u8::from(i == j))).abs();
                if distance > ORTHONORMAL || distance.is_nan() {
                    return error(format!("directions {j} and {i} with the product {product}; they must be orthonormal"));
                }
            }
        }
        let inverse_roots = eigenvalues.iter().map(|v| 1.0 / v.sqrt()).collect();
        Ok(Self { scales, squares, directions, eigenvalues, inverse_roots })
    }

    pub(super) fn dim(&self) -> usize {
        self.scales.len()
    }

    /// The directions, each with a value of its own.
    fn stretches<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = (&'a [f64], f64)> {
        self.directions.chunks_exact(self.dim().max(1)).zip(values.iter().copied())
    }

    /// The diagonal of M⁻¹.
    pub(super) fn diagonal(&self) -> Vec<f64> {
        let mut diagonal = vec![1.0; self.dim()];
        for (direction, eigenvalue) in self.stretches(&self.eigenvalues) {
            diagonal.iter_mut().zip(direction).for_each(|(d, u)| *d += (eigenvalue - 1.0) * u * u);
        }
        diagonal.iter_mut().zip(&self.squares).for_each(|(d, s)| *d *= s);
        diagonal
    }

    /// M⁻¹p.
    pub(super) fn velocity(&self, momentum: &[f64], velocity: &mut [f64]) {
        for ((v, s), p) in velocity.iter_mut().zip(&self.scales).zip(momentum) {
            *v = s * p;
        }
        for (direction, eigenvalue) in self.stretches(&self.eigenvalues) {
            let along = dot(Equal, direction, velocity);
            add_scaled(velocity, (eigenvalue - 1.0) * along, direction);
        }
        velocity.iter_mut().zip(&self.scales).for_each(|(v, s)| *v *= s);
    }

    /// pᵀM⁻¹p.
    pub(super) fn square(&self, momentum: &[f64]) -> f64 {
        let mut square = dot(self.squares.as_slice(), momentum, momentum);
        for (direction, eigenvalue) in self.stretches(&self.eigenvalues) {
            square += (eigenvalue - 1.0) * dot(self.scales.as_slice(), direction, momentum).powi(2);
        }
        square
    }

    /// Turns draws of N(0, I) into draws of N(0, M), in place.
    pub(super) fn momentum_of(&self, normal: &mut [f64]) {
        for (direction, root) in self.stretches(&self.inverse_roots) {
            let along = dot(Equal, direction, normal);
            add_scaled(normal, (root - 1.0) * along, direction);
        }
        normal.iter_mut().zip(&self.scales).for_each(|(p, s)| *p /= s);
    }
    /// Writes (I + Uᵀ(Λ^½ − I)U) S p: the inverse of [`momentum_of`](Self::momentum_of).
    pub(super) fn standardise(&self, momentum: &[f64], standard: &mut [f64]) {
        for ((z, p), s) in standard.iter_mut().zip(momentum).zip(&self.scales) {
            *z = s * p;
        }
        for (direction, root) in self.stretches(&self.inverse_roots) {
            let along = dot(Equal, direction, standard);
            add_scaled(standard, (1.0 / root - 1.0) * along, direction);
        }
    }
}
