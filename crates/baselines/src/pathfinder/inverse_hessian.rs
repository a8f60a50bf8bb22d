//! Estimate the inverse Hessian of −log density from the steps of an optimisation (Gilbert & Lemaréchal 1989; Byrd et al. 1994).

use crate::LowRankNormal;
use crate::lbfgs::dot;
use nalgebra::DMatrix;
use std::collections::VecDeque;

/// Largest ‖y‖² / (sᵀy) of a step that is learnt from, as in Stan: beyond it, curvature is rounding.
const LARGEST_CURVATURE: f64 = 1e12;

/// The inverse Hessian diag(α) + β γ βᵀ: a diagonal learnt from all steps, corrected by the last few of them.
pub(crate) struct InverseHessian {
    /// α.
    diagonal: Vec<f64>,
    /// Moves s and falls y of the gradient of the log density, the oldest first.
    steps: VecDeque<(Vec<f64>, Vec<f64>)>,
    history: usize,
}

impl InverseHessian {
    /// The identity, which is what is known without a step.
    pub(crate) fn new(dim: usize, history: usize) -> Self {
        Self { diagonal: vec![1.0; dim], steps: VecDeque::with_capacity(history), history }
    }

    /// Learns from a move s over which the gradient of the log density fell by y; `false` where the density is not concave along it,
    /// or nothing but rounding is seen, so that it teaches nothing.
    pub(crate) fn learn(&mut self, s: Vec<f64>, y: Vec<f64>) -> bool {
        let (curvature, square) = (dot(&s, &y), dot(&y, &y));
        if !(curvature > 0.0 && square <= LARGEST_CURVATURE * curvature) {
            return false;
        }
        let alpha = &self.diagonal;
        let a: f64 = y.iter().zip(alpha).map(|(y, alpha)| y * y * alpha).sum();
        let b: f64 = s.iter().zip(alpha).map(|(s, alpha)| s * s / alpha).sum();
        let updated: Vec<f64> =
            (0..alpha.len()).map(|i| curvature / (a / alpha[i] + y[i] * y[i] - a / b * (s[i] / alpha[i]).powi(2))).collect();
        if !updated.iter().all(|alpha| alpha.is_finite() && *alpha > 0.0) {
            return false;
        }
        self.diagonal = updated;
        if self.steps.len() == self.history {
            self.steps.pop_front();
        }
        self.steps.push_back((s, y));
        true
    }

    /// The normal whose covariance is the inverse Hessian and whose mean is one Newton step from `position`; `None` where that is not
    /// positive definite to rounding.
    pub(crate) fn normal_at(&self, position: &[f64], gradient: &[f64]) -> Option<LowRankNormal> {
        let scaled = |x: &[f64], power: f64| -> Vec<f64> {
            x.iter().zip(&self.diagonal).map(|(x, alpha)| x * alpha.powf(power)).collect()
        };
        // The columns of diag(α)^−½ β, with β = [diag(α) Y, S].
        let mut rows = Vec::with_capacity(2 * self.steps.len() * position.len());
        self.steps.iter().for_each(|(_, y)| rows.extend(scaled(y, 0.5)));
        self.steps.iter().for_each(|(s, _)| rows.extend(scaled(s, -0.5)));
        LowRankNormal::one_step_from(position, gradient, &self.diagonal, &rows, &self.middle()?)
    }

    /// γ = [[0, −R⁻¹], [−R⁻ᵀ, R⁻ᵀ (diag(R) + Yᵀ diag(α) Y) R⁻¹]], where R is the upper triangle of Sᵀ Y.
    fn middle(&self) -> Option<DMatrix<f64>> {
        let m = self.steps.len();
        let triangle = DMatrix::from_fn(m, m, |i, j| if i <= j { dot(&self.steps[i].0, &self.steps[j].1) } else { 0.0 });
        let inner = DMatrix::from_fn(m, m, |i, j| {
            let (y, z) = (&self.steps[i].1, &self.steps[j].1);
            let product: f64 = y.iter().zip(z).zip(&self.diagonal).map(|((y, z), alpha)| y * z * alpha).sum();
            if i == j { product + triangle[(i, i)] } else { product }
        });
        let inverse = triangle.solve_upper_triangular(&DMatrix::identity(m, m))?;
        let corner = inverse.transpose() * inner * &inverse;
        Some(DMatrix::from_fn(2 * m, 2 * m, |i, j| match (i < m, j < m) {
            (true, true) => 0.0,
            (true, false) => -inverse[(i, j - m)],
            (false, true) => -inverse[(j, i - m)],
            (false, false) => corner[(i - m, j - m)],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DVector;

    const DIM: usize = 7;

    /// Steps on a quadratic of this Hessian; any directions will do.
    fn steps(hessian: &DMatrix<f64>, count: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
        let step = |k: usize| {
            let s = DVector::from_fn(DIM, |i, _| (1.3 * (i * i + 1) as f64 * (k + 1) as f64).sin());
            let y = hessian * &s;
            (s.iter().copied().collect(), y.iter().copied().collect())
        };
        (0..count).map(step).collect()
    }

    fn hessian() -> DMatrix<f64> {
        DMatrix::from_fn(DIM, DIM, |i, j| 0.6f64.powi(i.abs_diff(j) as i32) * ((i + 1) * (j + 1)) as f64)
    }

    /// The estimate as a dense matrix, read off Newton steps along the axes.
    fn dense(estimate: &InverseHessian) -> DMatrix<f64> {
        let column = |j: usize| {
            let axis: Vec<f64> = (0..DIM).map(|i| f64::from(u8::from(i == j))).collect();
            DVector::from_column_slice(estimate.normal_at(&[0.0; DIM], &axis).unwrap().mean())
        };
        DMatrix::from_columns(&(0..DIM).map(column).collect::<Vec<_>>())
    }

    #[test]
    fn the_compact_form_is_the_recursion_of_broyden_fletcher_goldfarb_and_shanno() {
        let mut estimate = InverseHessian::new(DIM, 3);
        let steps = steps(&hessian(), 5);
        for (s, y) in &steps {
            assert!(estimate.learn(s.clone(), y.clone()));
        }
        let mut expected = DMatrix::from_diagonal(&DVector::from_column_slice(&estimate.diagonal));
        for (s, y) in &steps[2..] {
            let (s, y) = (DVector::from_column_slice(s), DVector::from_column_slice(y));
            let project = DMatrix::identity(DIM, DIM) - &s * y.transpose() / s.dot(&y);
            expected = &project * expected * project.transpose() + &s * s.transpose() / s.dot(&y);
        }
        let found = dense(&estimate);
        assert!((&found - &expected).norm() < 1e-9 * expected.norm(), "{found} is not {expected}");
        // The last step's secant equation holds; and the twin of the wrong sign in γ breaks it.
        let (s, y) = steps.last().map(|(s, y)| (DVector::from_column_slice(s), DVector::from_column_slice(y))).unwrap();
        assert!((&found * &y - &s).norm() < 1e-9 * s.norm());
        let diagonal = DMatrix::from_diagonal(&DVector::from_column_slice(&estimate.diagonal));
        let turned = 2.0 * &diagonal - &found;
        assert!((turned * y - &s).norm() > 0.1 * s.norm());
    }

    #[test]
    fn the_diagonal_is_the_published_update_and_stays_positive() {
        let mut estimate = InverseHessian::new(2, 5);
        assert!(estimate.learn(vec![1.0, 2.0], vec![3.0, 1.0]));
        // By hand from α = 1: sᵀy = 5, yᵀαy = 10, sᵀα⁻¹s = 5; α₁ = 5/(10 + 9 − 2·1), α₂ = 5/(10 + 1 − 2·4).
        assert!((estimate.diagonal[0] - 5.0 / 17.0).abs() < 1e-15 && (estimate.diagonal[1] - 5.0 / 3.0).abs() < 1e-15);
        // Along one axis alone, the other keeps its value up to the scale.
        let mut axis = InverseHessian::new(2, 5);
        assert!(axis.learn(vec![0.5, 0.0], vec![2.0, 0.0]));
        assert!((axis.diagonal[0] - 0.25).abs() < 1e-15 && (axis.diagonal[1] - 0.25).abs() < 1e-15);
    }

    #[test]
    fn steps_that_teach_nothing_are_left_out() {
        let mut estimate = InverseHessian::new(2, 2);
        assert!(!estimate.learn(vec![1.0, 0.0], vec![-1.0, 0.0]));
        assert!(!estimate.learn(vec![1.0, 0.0], vec![0.0, 1.0]));
        assert!(!estimate.learn(vec![1e-14, 0.0], vec![1.0, 0.0]));
        assert!(!estimate.learn(vec![f64::NAN, 0.0], vec![1.0, 0.0]));
        assert_eq!((estimate.steps.len(), estimate.diagonal.as_slice()), (0, [1.0, 1.0].as_slice()));
        let normal = estimate.normal_at(&[1.0, 2.0], &[0.5, -0.5]).unwrap();
        assert_eq!((normal.mean(), normal.rank()), ([1.5, 1.5].as_slice(), 0));
    }
}
