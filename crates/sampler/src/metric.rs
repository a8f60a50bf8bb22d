//! Hold the Euclidean metric of Hamiltonian dynamics: kinetic energy, velocity, and momentum draws.
//!
//! With mass matrix M, momenta are N(0, M), the kinetic energy is ½ pᵀM⁻¹p and the velocity M⁻¹p. M⁻¹ is best near the posterior's
//! covariance (Neal 2011, section 4.1); settings and files hold M⁻¹, as Stan's `inv_metric` does.

use crate::PhasePoint;
use crate::vector::{
    Equal, KickAndDrift, KickAndDriftFrom, Stretches, add_scaled, dot, join, kick_and_square, rows_times, sum_into,
};
use ergodic_model::ChainRng;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// The inverse mass matrix M⁻¹, in one of three shapes.
///
/// ```
/// use ergodic_sampler::Metric;
/// let metric = Metric::diagonal(vec![4.0, 0.25])?;
/// assert_eq!(metric.kinetic_energy(&[1.0, 2.0]), 0.5 * (4.0 * 1.0 + 0.25 * 4.0));
/// # Ok::<(), ergodic_sampler::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "StoredMetric", try_from = "StoredMetric")]
pub struct Metric {
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Unit,
    Diagonal { inverse_mass: Vec<f64>, momentum_scale: Vec<f64> },
    Dense(Dense),
}

/// A dense inverse mass matrix Σ and the lower factor L of Σ = LLᵀ, column after column.
#[derive(Debug, Clone, PartialEq)]
struct Dense {
    dim: usize,
    inverse_mass: Vec<f64>,
    factor: Vec<f64>,
}

/// What a metric is stored as: M⁻¹ alone, the rest follows from it.
#[derive(Serialize, Deserialize)]
enum StoredMetric {
    Unit,
    Diagonal(Vec<f64>),
    Dense(usize, Vec<f64>),
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
        let momentum_scale = inverse_mass.iter().map(|v| 1.0 / v.sqrt()).collect();
        Ok(Self { shape: Shape::Diagonal { inverse_mass, momentum_scale } })
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

    /// Replaces a metric by diag(`inverse_mass`) in place, without allocating when it is diagonal already.
    ///
    /// # Errors
    /// When a value is not positive and finite; the metric is then unchanged.
    pub fn set_diagonal(&mut self, inverse_mass: &[f64]) -> Result<(), MetricError> {
        check_variances(inverse_mass)?;
        match &mut self.shape {
            Shape::Diagonal { inverse_mass: old, momentum_scale } if old.len() == inverse_mass.len() => {
                old.copy_from_slice(inverse_mass);
                for (scale, v) in momentum_scale.iter_mut().zip(inverse_mass) {
                    *scale = 1.0 / v.sqrt();
                }
            }
            _ => *self = Self::diagonal(inverse_mass.to_vec())?,
        }
        Ok(())
    }

    /// Number of coordinates, or `None` for a unit metric, which fits all.
    #[must_use]
    pub fn dim(&self) -> Option<usize> {
        match &self.shape {
            Shape::Unit => None,
            Shape::Diagonal { inverse_mass, .. } => Some(inverse_mass.len()),
            Shape::Dense(dense) => Some(dense.dim),
        }
    }

    /// The diagonal of M⁻¹; `None` for a unit metric.
    #[must_use]
    pub fn inverse_mass_diagonal(&self) -> Option<Vec<f64>> {
        match &self.shape {
            Shape::Unit => None,
            Shape::Diagonal { inverse_mass, .. } => Some(inverse_mass.clone()),
            Shape::Dense(dense) => Some((0..dense.dim).map(|i| dense.inverse_mass[i * (dense.dim + 1)]).collect()),
        }
    }

    /// Whether M⁻¹ has entries off its diagonal, so that velocities are worth keeping.
    pub(crate) fn is_dense(&self) -> bool {
        matches!(self.shape, Shape::Dense(_))
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
            Shape::Diagonal { momentum_scale, .. } => {
                for (p, scale) in momentum.iter_mut().zip(momentum_scale) {
                    *p *= scale;
                }
            }
            Shape::Dense(dense) => {
                // Back substitution, last coordinate first.
                for i in (0..dense.dim).rev() {
                    let column = dense.factor_column(i);
                    momentum[i] = (momentum[i] - dot(Equal, &column[1..], &momentum[i + 1..])) / column[0];
                }
            }
        }
    }

    /// Writes z = Lᵀp, standard normal for a momentum of variance M: the inverse of [`scale_momentum`](Self::scale_momentum).
    pub(crate) fn standardise_momentum(&self, momentum: &[f64], standard: &mut [f64]) {
        match &self.shape {
            Shape::Unit => standard.copy_from_slice(momentum),
            Shape::Diagonal { momentum_scale, .. } => {
                for ((z, p), scale) in standard.iter_mut().zip(momentum).zip(momentum_scale) {
                    *z = p / scale;
                }
            }
            Shape::Dense(dense) => {
                for (i, z) in standard.iter_mut().enumerate() {
                    *z = dot(Equal, dense.factor_column(i), &momentum[i..]);
                }
            }
        }
    }

    /// ½ pᵀM⁻¹p, in nats.
    #[must_use]
    pub fn kinetic_energy(&self, momentum: &[f64]) -> f64 {
        0.5 * match &self.shape {
            Shape::Unit => dot(Equal, momentum, momentum),
            Shape::Diagonal { inverse_mass, .. } => dot(inverse_mass.as_slice(), momentum, momentum),
            Shape::Dense(dense) => dense.rows().zip(momentum).map(|(row, p)| p * dot(Equal, row, momentum)).sum(),
        }
    }

    /// Writes the velocity M⁻¹p.
    pub fn velocity(&self, momentum: &[f64], velocity: &mut [f64]) {
        match &self.shape {
            Shape::Unit => velocity.copy_from_slice(momentum),
            Shape::Diagonal { inverse_mass, .. } => {
                for ((v, w), p) in velocity.iter_mut().zip(inverse_mass).zip(momentum) {
                    *v = w * p;
                }
            }
            Shape::Dense(dense) => rows_times(&dense.inverse_mass, momentum, velocity),
        }
    }

    /// Kicks and moves in place, in one pass: `p ← p + kick · gradient`, then `x ← x + time · M⁻¹p`.
    pub(crate) fn kick_and_drift(&self, kick: f64, time: f64, point: &mut PhasePoint) {
        let PhasePoint { position, momentum, gradient, velocity, .. } = point;
        match &self.shape {
            Shape::Unit => KickAndDrift { kick, time, weights: Equal, gradient, momentum, position }.run(),
            Shape::Diagonal { inverse_mass, .. } => {
                KickAndDrift { kick, time, weights: inverse_mass.as_slice(), gradient, momentum, position }.run();
            }
            Shape::Dense(dense) => {
                add_scaled(momentum, kick, gradient);
                rows_times(&dense.inverse_mass, momentum, velocity);
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
            Shape::Diagonal { inverse_mass, .. } => {
                let weights = inverse_mass.as_slice();
                KickAndDriftFrom { kick, time, weights, gradient, from_momentum, from_position, momentum, position }.run();
            }
            Shape::Dense(dense) => {
                momentum.copy_from_slice(from_momentum);
                add_scaled(momentum, kick, gradient);
                rows_times(&dense.inverse_mass, momentum, velocity);
                position.copy_from_slice(from_position);
                add_scaled(position, time, velocity);
            }
        }
    }

    /// Kicks, and sets the kinetic energy; the velocity too when the metric is dense.
    pub(crate) fn last_kick(&self, kick: f64, point: &mut PhasePoint) {
        let PhasePoint { momentum, gradient, velocity, .. } = point;
        point.kinetic_energy = 0.5
            * match &self.shape {
                Shape::Unit => kick_and_square(kick, Equal, gradient, momentum),
                Shape::Diagonal { inverse_mass, .. } => kick_and_square(kick, inverse_mass.as_slice(), gradient, momentum),
                Shape::Dense(dense) => {
                    add_scaled(momentum, kick, gradient);
                    rows_times(&dense.inverse_mass, momentum, velocity);
                    dot(Equal, momentum, velocity)
                }
            };
    }

    /// Writes ρ, the sum of momenta over two neighbouring stretches of a trajectory, to `total`, and returns the products of velocities
    /// v = M⁻¹p with sums that the no-U-turn criterion asks for. With the stretches from a to b and from c to d, and their sums of momenta
    /// ρ₁ and ρ₂: those of v_a and v_d with ρ − (p_a + p_d)/2, of v_a and v_c with ρ₁ + (p_c − p_a)/2, and of v_b and v_d with
    /// ρ₂ + (p_b − p_d)/2. Every sum counts the ends of its stretch by half.
    pub(crate) fn join(&self, [a, b, c, d]: [&PhasePoint; 4], sums: [&[f64]; 2], total: &mut [f64]) -> [f64; 6] {
        let stretches = Stretches { left: [&a.momentum, &b.momentum], right: [&c.momentum, &d.momentum], sums };
        match &self.shape {
            Shape::Unit => join(Equal, stretches, total),
            Shape::Diagonal { inverse_mass, .. } => join(inverse_mass.as_slice(), stretches, total),
            Shape::Dense(_) => {
                sum_into(total, sums[0], sums[1]);
                // The product with a sum, half of p added and half of q taken away.
                let with = |point: &PhasePoint, sum: &[f64], [p, q]: [&PhasePoint; 2], sign: f64| {
                    let dot = |x: &[f64]| dot(Equal, &point.velocity, x);
                    dot(sum) + 0.5 * (sign * dot(&p.momentum) - dot(&q.momentum))
                };
                [
                    with(a, total, [a, d], -1.0),
                    with(d, total, [a, d], -1.0),
                    with(a, sums[0], [c, a], 1.0),
                    with(c, sums[0], [c, a], 1.0),
                    with(b, sums[1], [b, d], 1.0),
                    with(d, sums[1], [b, d], 1.0),
                ]
            }
        }
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

impl From<Metric> for StoredMetric {
    fn from(metric: Metric) -> Self {
        match metric.shape {
            Shape::Unit => Self::Unit,
            Shape::Diagonal { inverse_mass, .. } => Self::Diagonal(inverse_mass),
            Shape::Dense(dense) => Self::Dense(dense.dim, dense.inverse_mass),
        }
    }
}

impl TryFrom<StoredMetric> for Metric {
    type Error = MetricError;

    fn try_from(stored: StoredMetric) -> Result<Self, MetricError> {
        match stored {
            StoredMetric::Unit => Ok(Self::unit()),
            StoredMetric::Diagonal(inverse_mass) => Self::diagonal(inverse_mass),
            StoredMetric::Dense(dim, values) if values.len() == dim * dim => Self::dense(DMatrix::from_vec(dim, dim, values)),
            StoredMetric::Dense(dim, values) => {
                let columns = values.len().checked_div(dim).unwrap_or(0);
                Err(MetricError::NotPositiveDefinite { rows: dim, columns })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, stream};

    fn dense() -> Metric {
        Metric::dense(DMatrix::from_row_slice(3, 3, &[4.0, 1.0, 0.5, 1.0, 2.0, -0.3, 0.5, -0.3, 1.0])).unwrap()
    }

    #[test]
    fn momenta_have_the_mass_matrix_as_variance() {
        // E[p pᵀ] = M, so E[p (M⁻¹p)ᵀ] = I. With 40,000 draws an entry's standard error is at most √2/200 = 0.007; 0.036 is five of
        // them, so nine entries of three metrics raise a false alarm with probability below 2e-5. Momenta scaled by M⁻¹ instead of M,
        // the broken twin, miss by more than 0.5.
        let mut rng = stream(3, 0, Purpose::Test);
        for metric in [Metric::unit(), Metric::diagonal(vec![4.0, 0.25, 1.0]).unwrap(), dense()] {
            let (mut p, mut v) = (vec![0.0; 3], vec![0.0; 3]);
            let mut sum = [[0.0; 3]; 3];
            let draws = 40_000;
            for _ in 0..draws {
                metric.sample_momentum(&mut rng, &mut p);
                metric.velocity(&p, &mut v);
                for (row, p) in sum.iter_mut().zip(&p) {
                    for (entry, v) in row.iter_mut().zip(&v) {
                        *entry += p * v / f64::from(draws);
                    }
                }
            }
            for (i, row) in sum.iter().enumerate() {
                for (j, entry) in row.iter().enumerate() {
                    // p_i v_j has variance up to M_ii Σ_jj, which the dense case raises above 1.
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((entry - expected).abs() < 0.036 * 2.0, "entry {i},{j} is {entry}");
                }
            }
        }
    }

    #[test]
    fn kinetic_energy_is_half_momentum_times_velocity() {
        for metric in [Metric::unit(), Metric::diagonal(vec![4.0, 0.25, 1.0]).unwrap(), dense()] {
            let p = [0.3, -1.2, 2.0];
            let mut v = [0.0; 3];
            metric.velocity(&p, &mut v);
            assert!((metric.kinetic_energy(&p) - 0.5 * dot(Equal, &p, &v)).abs() < 1e-14);
        }
    }

    #[test]
    fn standard_momenta_have_the_kinetic_energy_of_half_their_square_and_lead_back() {
        for metric in [Metric::unit(), Metric::diagonal(vec![4.0, 0.25, 1.0]).unwrap(), dense()] {
            let p = [0.3, -1.2, 2.0];
            let mut z = [0.0; 3];
            metric.standardise_momentum(&p, &mut z);
            assert!((metric.kinetic_energy(&p) - 0.5 * dot(Equal, &z, &z)).abs() < 1e-14);
            metric.scale_momentum(&mut z);
            assert!(z.iter().zip(&p).all(|(a, b)| (a - b).abs() < 1e-14));
        }
    }

    #[test]
    fn a_metric_survives_storage_bit_for_bit() {
        for metric in [Metric::unit(), Metric::diagonal(vec![4.0, 0.1, 1e-8]).unwrap(), dense()] {
            let bytes = postcard::to_stdvec(&metric).unwrap();
            assert_eq!(postcard::from_bytes::<Metric>(&bytes).unwrap(), metric);
        }
    }

    #[test]
    fn impossible_metrics_are_refused() {
        assert!(matches!(Metric::diagonal(vec![1.0, 0.0]), Err(MetricError::Variance { coordinate: 1, .. })));
        assert!(Metric::diagonal(vec![f64::NAN]).is_err());
        assert!(Metric::dense(DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0])).is_err());
        assert!(Metric::dense(DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0])).is_err());
        assert!(Metric::dense(DMatrix::from_row_slice(1, 2, &[1.0, 0.5])).is_err());
        let mut metric = Metric::diagonal(vec![1.0, 2.0]).unwrap();
        assert!(metric.set_diagonal(&[1.0, f64::INFINITY]).is_err());
        assert_eq!(metric.inverse_mass_diagonal(), Some(vec![1.0, 2.0]));
    }
}
