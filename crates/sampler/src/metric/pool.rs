//! Take the mean of the metrics that several chains learnt.

use super::directions::{furthest_from_one, orthonormalise, symmetric_eigen};
use super::{LowRank, Metric, MetricError, Shape};
use crate::vector::{Equal, add_scaled, dot};
use nalgebra::DMatrix;

/// Eigenvalues of a mean that are nearer to 1 than this factor are left out.
const CUTOFF: f64 = 1.05;

impl Metric {
    /// The mean of metrics of one shape: geometric means of variances and scales, arithmetic means of dense matrices, and of what
    /// low-rank metrics have between their scales, where the mean has no more directions than the richest metric.
    ///
    /// # Errors
    /// When shapes or dimensions differ, or there is none.
    ///
    /// ```
    /// use ergodic_sampler::Metric;
    /// let (narrow, wide) = (Metric::diagonal(vec![1.0, 4.0])?, Metric::diagonal(vec![4.0, 4.0])?);
    /// assert_eq!(Metric::pooled(&[narrow, wide])?, Metric::diagonal(vec![2.0, 4.0])?);
    /// # Ok::<(), ergodic_sampler::MetricError>(())
    /// ```
    pub fn pooled(metrics: &[Self]) -> Result<Self, MetricError> {
        let none = || MetricError::Unlike { first: "no chain".to_owned(), second: "none other".to_owned() };
        let first = metrics.first().ok_or_else(none)?;
        if let Some(other) = metrics.iter().find(|other| other.kind() != first.kind()) {
            return Err(MetricError::Unlike { first: first.kind(), second: other.kind() });
        }
        match &first.shape {
            Shape::Unit => Ok(Self::unit()),
            Shape::Diagonal { .. } => Self::diagonal(geometric_mean(metrics.iter().filter_map(|metric| match &metric.shape {
                Shape::Diagonal { inverse_mass, .. } => Some(inverse_mass.as_slice()),
                _ => None,
            }))),
            Shape::Dense(dense) => {
                let mut sum = DMatrix::zeros(dense.dim, dense.dim);
                for metric in metrics {
                    if let Shape::Dense(dense) = &metric.shape {
                        add_scaled(sum.as_mut_slice(), 1.0 / metrics.len() as f64, &dense.inverse_mass);
                    }
                }
                Self::dense(sum)
            }
            Shape::LowRank(_) => {
                let members = metrics.iter().filter_map(|metric| match &metric.shape {
                    Shape::LowRank(low_rank) => Some(low_rank),
                    _ => None,
                });
                pooled_low_rank(&members.collect::<Vec<_>>())
            }
        }
    }

    /// Shape and dimension, in words.
    fn kind(&self) -> String {
        let shape = match &self.shape {
            Shape::Unit => return "unit shape".to_owned(),
            Shape::Diagonal { .. } => "diagonal",
            Shape::Dense(_) => "dense",
            Shape::LowRank(_) => "low-rank",
        };
        format!("{shape} shape with {} coordinates", self.dim().unwrap_or(0))
    }
}

fn geometric_mean<'a>(mut vectors: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
    let mut logarithms: Vec<f64> = vectors.next().unwrap_or_default().iter().map(|x| x.ln()).collect();
    let mut count = 1.0;
    for vector in vectors {
        count += 1.0;
        logarithms.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x.ln());
    }
    logarithms.into_iter().map(|sum| (sum / count).exp()).collect()
}

/// I + Uᵀ(Λ − I)U on average, between averaged scales.
fn pooled_low_rank(members: &[&LowRank]) -> Result<Metric, MetricError> {
    let scales = geometric_mean(members.iter().map(|member| member.scales.as_slice()));
    let dim = scales.len();
    let all: Vec<f64> = members.iter().flat_map(|member| member.directions.iter().copied()).collect();
    let mut basis = all.clone();
    let rank = orthonormalise(&mut basis, dim).len();
    if rank == 0 {
        return Metric::low_rank(scales, Vec::new(), Vec::new());
    }
    let eigenvalues = members.iter().flat_map(|member| &member.eigenvalues);
    let mut mean = DMatrix::identity(rank, rank);
    for (direction, eigenvalue) in all.chunks_exact(dim.max(1)).zip(eigenvalues) {
        let along: Vec<f64> = basis.chunks_exact(dim.max(1)).map(|axis| dot(Equal, axis, direction)).collect();
        let weight = (eigenvalue - 1.0) / members.len() as f64;
        for i in 0..rank {
            for j in 0..rank {
                mean[(i, j)] += weight * along[i] * along[j];
            }
        }
    }
    let problem = || MetricError::LowRank { problem: "no usable mean".to_owned() };
    let eigen = symmetric_eigen(mean).ok_or_else(problem)?;
    let most = members.iter().map(|member| member.eigenvalues.len()).max().unwrap_or(0);
    let kept = furthest_from_one(eigen.eigenvalues.as_slice(), CUTOFF, most);
    let mut directions = vec![0.0; kept.len() * dim];
    for (direction, number) in directions.chunks_exact_mut(dim.max(1)).zip(&kept) {
        for (axis, share) in basis.chunks_exact(dim.max(1)).zip(&eigen.eigenvectors.column(*number)) {
            add_scaled(direction, *share, axis);
        }
    }
    orthonormalise(&mut directions, dim);
    Metric::low_rank(scales, directions, kept.iter().map(|number| eigen.eigenvalues[*number]).collect())
}
