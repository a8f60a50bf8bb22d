//! Hold the Euclidean metric of Hamiltonian dynamics: kinetic energy, velocity, and momentum draws.
//!
//! With mass matrix M, momenta are N(0, M), the kinetic energy is ½ pᵀM⁻¹p and the velocity M⁻¹p. M⁻¹ is best near the posterior's
//! covariance (Neal 2011, section 4.1); settings and files hold M⁻¹, as Stan's `inv_metric` does.

pub(crate) mod directions;
mod low_rank;
mod pool;
mod stored;

pub use stored::MetricFileError;

use crate::PhasePoint;
use crate::vector::{
    Equal, KickAndDrift, KickAndDriftFrom, add_scaled, dot, kick_and_square, narrow, narrow_scaled, rows_times,
};
use ergodic_model::ChainRng;
use low_rank::LowRank;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Deserialize;
use stored::StoredMetric;

/// The inverse mass matrix M⁻¹, in one of four shapes.
///
/// ```
/// use ergodic_sampler::Metric;
/// let metric = Metric::diagonal(vec![4.0, 0.25])?;
/// assert_eq!(metric.kinetic_energy(&[1.0, 2.0]), 0.5 * (4.0 * 1.0 + 0.25 * 4.0));
/// # Ok::<(), ergodic_sampler::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "StoredMetric")]
pub struct Metric {
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Unit,
    Diagonal { inverse_mass: Vec<f64> },
    Dense(Dense),
    LowRank(LowRank),
}

/// A dense inverse mass matrix Σ and the lower factor L of Σ = LLᵀ, column after column.
#[derive(Debug, Clone, PartialEq)]
struct Dense {
    dim: usize,
    inverse_mass: Vec<f64>,
    factor: Vec<f64>,
}

/// Why numbers do not make a metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A variance is zero, negative or not finite.
    #[error("the inverse mass of coordinate {coordinate} is {value}; it must be positive and finite")]
    Variance {
        /// The coordinate.
        coordinate: usize,
        /// Its value.
        value: f64,
    },
    /// A dense inverse mass matrix has no Cholesky factor.
    #[error("the dense inverse mass matrix ({rows} × {columns}) is not symmetric and positive definite")]
    NotPositiveDefinite {
        /// Rows of the matrix.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// The parts of a low-rank metric do not fit.
    #[error("the low-rank metric has {problem}")]
    LowRank {
        /// What is wrong.
        problem: String,
    },
    /// Metrics to be pooled are of different shapes or dimensions.
    #[error("metrics of {first} and of {second} have no common mean; pool metrics of one shape and dimension")]
    Unlike {
        /// Shape and dimension of the first.
        first: String,
        /// Those of one that differs.
        second: String,
    },
}

impl Metric {
    /// M⁻¹ = I.
    #[must_use]
    pub fn unit() -> Self {
        Self { shape: Shape::Unit }
    }

    /// M⁻¹ = diag(`inverse_mass`).
    ///
    /// # Errors
    /// When a value is not positive and finite.
    pub fn diagonal(inverse_mass: Vec<f64>) -> Result<Self, MetricError> {
        check_variances(&inverse_mass)?;
        Ok(Self { shape: Shape::Diagonal { inverse_mass } })
    }

    /// M⁻¹ = `inverse_mass`, dim × dim.
    ///
    /// # Errors
    /// When the matrix is not square, symmetric and positive definite.
    pub fn dense(inverse_mass: DMatrix<f64>) -> Result<Self, MetricError> {
        let (rows, columns) = inverse_mass.shape();
        let error = MetricError::NotPositiveDefinite { rows, columns };
        let tolerance = 1e-10 * inverse_mass.amax();
        let symmetric = rows == columns
            && inverse_mass.iter().all(|x| x.is_finite())
            && (0..rows).all(|i| (0..i).all(|j| (inverse_mass[(i, j)] - inverse_mass[(j, i)]).abs() <= tolerance));
        if !symmetric {
            return Err(error);
        }
        let values = inverse_mass.as_slice().to_vec();
        let factor = inverse_mass.cholesky().ok_or(error)?.unpack().as_slice().to_vec();
        Ok(Self { shape: Shape::Dense(Dense { dim: rows, inverse_mass: values, factor }) })
    }

    /// M⁻¹ = S (I + Uᵀ(Λ − I)U) S, with S = diag(`scales`), the rows of U orthonormal (`directions`, one after the other) and Λ the
    /// diagonal matrix of their `eigenvalues`: independent coordinates, but for stretches along a few directions.
    ///
    /// All operations take O(dim · rank) (Seyboldt, Carlson & Carpenter 2026, arXiv 2603.18845).
    ///
    /// # Errors
    /// When a scale or an eigenvalue is not positive and finite, or the directions are not orthonormal.
    ///
    /// ```
    /// use ergodic_sampler::Metric;
    /// let half = 0.5_f64.sqrt();
    /// let metric = Metric::low_rank(vec![1.0, 2.0], vec![half, half], vec![9.0])?;
    /// // M⁻¹ = S (I + 8 uuᵀ) S, with u = (1, 1)/√2.
    /// let mut velocity = [0.0; 2];
    /// metric.velocity(&[1.0, 0.0], &mut velocity);
    /// assert!((velocity[0] - 5.0).abs() < 1e-14 && (velocity[1] - 8.0).abs() < 1e-14);
    /// # Ok::<(), ergodic_sampler::MetricError>(())
    /// ```
    pub fn low_rank(scales: Vec<f64>, directions: Vec<f64>, eigenvalues: Vec<f64>) -> Result<Self, MetricError> {
        Ok(Self { shape: Shape::LowRank(LowRank::new(scales, directions, eigenvalues)?) })
    }

    /// Replaces a metric by diag(`inverse_mass`) in place, without allocating when it is diagonal already.
    ///
    /// # Errors
    /// When a value is not positive and finite; the metric is then unchanged.
    pub fn set_diagonal(&mut self, inverse_mass: &[f64]) -> Result<(), MetricError> {
        check_variances(inverse_mass)?;
        match &mut self.shape {
            Shape::Diagonal { inverse_mass: old } if old.len() == inverse_mass.len() => old.copy_from_slice(inverse_mass),
            _ => *self = Self::diagonal(inverse_mass.to_vec())?,
        }
        Ok(())
    }

    /// The diagonal of M⁻¹, to change it: its values must stay positive and finite. A metric of another shape than diagonal becomes
    /// diag(`otherwise`) first.
    pub(crate) fn diagonal_mut(&mut self, otherwise: &[f64]) -> &mut [f64] {
        if !matches!(&self.shape, Shape::Diagonal { inverse_mass } if inverse_mass.len() == otherwise.len()) {
            self.shape = Shape::Diagonal { inverse_mass: otherwise.to_vec() };
        }
        match &mut self.shape {
            Shape::Diagonal { inverse_mass } => inverse_mass,
            _ => unreachable!("it was made diagonal"),
        }
    }

    /// The diagonal of M⁻¹ where that is all of it.
    pub(crate) fn diagonal_alone(&self) -> Option<&[f64]> {
        if let Shape::Diagonal { inverse_mass } = &self.shape { Some(inverse_mass) } else { None }
    }

    /// Number of coordinates, or `None` for a unit metric, which fits all.
    #[must_use]
    pub fn dim(&self) -> Option<usize> {
        match &self.shape {
            Shape::Unit => None,
            Shape::Diagonal { inverse_mass } => Some(inverse_mass.len()),
            Shape::Dense(dense) => Some(dense.dim),
            Shape::LowRank(low_rank) => Some(low_rank.dim()),
        }
    }

    /// The diagonal of M⁻¹; `None` for a unit metric.
    #[must_use]
    pub fn inverse_mass_diagonal(&self) -> Option<Vec<f64>> {
        match &self.shape {
            Shape::Unit => None,
            Shape::Diagonal { inverse_mass } => Some(inverse_mass.clone()),
            Shape::Dense(dense) => Some((0..dense.dim).map(|i| dense.inverse_mass[i * (dense.dim + 1)]).collect()),
            Shape::LowRank(low_rank) => Some(low_rank.diagonal()),
        }
    }

    /// Whether M⁻¹ has entries off its diagonal, so that velocities are worth keeping.
    pub(crate) fn keeps_velocity(&self) -> bool {
        matches!(self.shape, Shape::Dense(_) | Shape::LowRank(_))
    }

    /// Draws p ~ N(0, M).
    pub fn sample_momentum(&self, rng: &mut ChainRng, momentum: &mut [f64]) {
        for p in momentum.iter_mut() {
            *p = rng.sample(StandardNormal);
        }
        self.scale_momentum(momentum);
    }

    /// Turns standard normals z into the momentum p = L⁻ᵀz of variance M, where M⁻¹ = LLᵀ.
    pub(crate) fn scale_momentum(&self, momentum: &mut [f64]) {
        match &self.shape {
            Shape::Unit => {}
            Shape::Diagonal { inverse_mass } => {
                for (p, v) in momentum.iter_mut().zip(inverse_mass) {
                    *p *= 1.0 / v.sqrt();
                }
            }
            Shape::Dense(dense) => {
                // Back substitution, last coordinate first.
                for i in (0..dense.dim).rev() {
                    let column = dense.factor_column(i);
                    momentum[i] = (momentum[i] - dot(Equal, &column[1..], &momentum[i + 1..])) / column[0];
                }
            }
            Shape::LowRank(low_rank) => low_rank.momentum_of(momentum),
        }
    }

    /// Writes z = Lᵀp, standard normal for a momentum of variance M: the inverse of [`scale_momentum`](Self::scale_momentum).
    pub(crate) fn standardise_momentum(&self, momentum: &[f64], standard: &mut [f64]) {
        match &self.shape {
            Shape::Unit => standard.copy_from_slice(momentum),
            Shape::Diagonal { inverse_mass } => {
                for ((z, p), v) in standard.iter_mut().zip(momentum).zip(inverse_mass) {
                    *z = p / (1.0 / v.sqrt());
                }
            }
            Shape::Dense(dense) => {
                for (i, z) in standard.iter_mut().enumerate() {
                    *z = dot(Equal, dense.factor_column(i), &momentum[i..]);
                }
            }
            Shape::LowRank(low_rank) => low_rank.standardise(momentum, standard),
        }
    }

    /// Writes z = Lᵀp in single precision; `scratch` is made where it is needed. Products of momenta under M⁻¹ are plain ones of these.
    pub(crate) fn whiten(&self, momentum: &[f64], scratch: &mut Vec<f64>, out: &mut [f32]) {
        match &self.shape {
            Shape::Unit => narrow(momentum, out),
            Shape::Diagonal { inverse_mass } => narrow_scaled(momentum, inverse_mass, out),
            Shape::Dense(_) | Shape::LowRank(_) => {
                scratch.resize(momentum.len(), 0.0);
                self.standardise_momentum(momentum, scratch);
                narrow(scratch, out);
            }
        }
    }

    /// ½ pᵀM⁻¹p, in nats.
    #[must_use]
    pub fn kinetic_energy(&self, momentum: &[f64]) -> f64 {
        0.5 * match &self.shape {
            Shape::Unit => dot(Equal, momentum, momentum),
            Shape::Diagonal { inverse_mass } => dot(inverse_mass.as_slice(), momentum, momentum),
            Shape::Dense(dense) => dense.rows().zip(momentum).map(|(row, p)| p * dot(Equal, row, momentum)).sum(),
            Shape::LowRank(low_rank) => low_rank.square(momentum),
        }
    }

    /// Writes the velocity M⁻¹p.
    pub fn velocity(&self, momentum: &[f64], velocity: &mut [f64]) {
        match &self.shape {
            Shape::Unit => velocity.copy_from_slice(momentum),
            Shape::Diagonal { inverse_mass } => {
                for ((v, w), p) in velocity.iter_mut().zip(inverse_mass).zip(momentum) {
                    *v = w * p;
                }
            }
            Shape::Dense(dense) => rows_times(&dense.inverse_mass, momentum, velocity),
            Shape::LowRank(low_rank) => low_rank.velocity(momentum, velocity),
        }
    }

    /// Kicks and moves in place, in one pass: `p ← p + kick · gradient`, then `x ← x + time · M⁻¹p`.
    pub(crate) fn kick_and_drift(&self, kick: f64, time: f64, point: &mut PhasePoint) {
        let PhasePoint { position, momentum, gradient, velocity, .. } = point;
        match &self.shape {
            Shape::Unit => KickAndDrift { kick, time, weights: Equal, gradient, momentum, position }.run(),
            Shape::Diagonal { inverse_mass } => {
                KickAndDrift { kick, time, weights: inverse_mass.as_slice(), gradient, momentum, position }.run();
            }
            Shape::Dense(_) | Shape::LowRank(_) => {
                add_scaled(momentum, kick, gradient);
                self.velocity(momentum, velocity);
                add_scaled(position, time, velocity);
            }
        }
    }

    /// Kicks and moves out of place, in one pass: as [`kick_and_drift`](Self::kick_and_drift), with x, p and the gradient those of
    /// `from`.
    pub(crate) fn kick_and_drift_from(&self, kick: f64, time: f64, from: &PhasePoint, to: &mut PhasePoint) {
        let (gradient, from_momentum, from_position) = (&from.gradient, &from.momentum, &from.position);
        let PhasePoint { position, momentum, velocity, .. } = to;
        match &self.shape {
            Shape::Unit => {
                let weights = Equal;
                KickAndDriftFrom { kick, time, weights, gradient, from_momentum, from_position, momentum, position }.run();
            }
            Shape::Diagonal { inverse_mass } => {
                let weights = inverse_mass.as_slice();
                KickAndDriftFrom { kick, time, weights, gradient, from_momentum, from_position, momentum, position }.run();
            }
            Shape::Dense(_) | Shape::LowRank(_) => {
                momentum.copy_from_slice(from_momentum);
                add_scaled(momentum, kick, gradient);
                self.velocity(momentum, velocity);
                position.copy_from_slice(from_position);
                add_scaled(position, time, velocity);
            }
        }
    }

    /// Kicks, and sets the kinetic energy; the velocity too where it is kept.
    pub(crate) fn last_kick(&self, kick: f64, point: &mut PhasePoint) {
        let PhasePoint { momentum, gradient, velocity, .. } = point;
        point.kinetic_energy = 0.5
            * match &self.shape {
                Shape::Unit => kick_and_square(kick, Equal, gradient, momentum),
                Shape::Diagonal { inverse_mass } => kick_and_square(kick, inverse_mass.as_slice(), gradient, momentum),
                Shape::Dense(_) | Shape::LowRank(_) => {
                    add_scaled(momentum, kick, gradient);
                    self.velocity(momentum, velocity);
                    dot(Equal, momentum, velocity)
                }
            };
    }
}

impl Dense {
    /// The rows of Σ, which equal its columns.
    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.inverse_mass.chunks_exact(self.dim.max(1))
    }

    /// Column `i` of the factor L from its diagonal downwards.
    fn factor_column(&self, i: usize) -> &[f64] {
        &self.factor[i * self.dim..][i..self.dim]
    }
}

fn check_variances(inverse_mass: &[f64]) -> Result<(), MetricError> {
    // The momentum's scale 1/√v must be finite as well, which subnormal variances still allow.
    match inverse_mass.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        Some(coordinate) => Err(MetricError::Variance { coordinate, value: inverse_mass[coordinate] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
