//! Tell whether momentum refreshment reaches all energies: the estimated Bayesian fraction of missing information.

use crate::{Diagnostic, Status};

/// E-BFMI of one chain: `mean (E_t − E_{t−1})² / var E`, the mean over the `N − 1` differences, the variance with divisor `N − 1`.
///
/// Below 0.3, Hamiltonian Monte Carlo walks through the energy levels so slowly that heavy tails or funnels stay unexplored
/// (Betancourt 2016, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo"). Only for chains whose energies
/// are those of the full data.
///
/// ```
/// // Sums of squared differences 3, and variance 5/3: 1 / (5/3).
/// assert!((ergodic_diagnostics::ebfmi(&[1.0, 2.0, 3.0, 4.0]).value - 0.6).abs() < 1e-15);
/// ```
#[must_use]
pub fn ebfmi(energies: &[f64]) -> Diagnostic {
    if energies.iter().any(|e| !e.is_finite()) {
        return Diagnostic::undefined(Status::NonFinite);
    }
    if energies.len() < 4 {
        return Diagnostic::undefined(Status::TooFewDraws);
    }
    if energies.iter().all(|&e| e == energies[0]) {
        return Diagnostic::undefined(Status::Constant);
    }
    let squares = energies.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>();
    let numerator = squares / (energies.len() as f64 - 1.0);
    Diagnostic::in_range(numerator / crate::chains::variance(energies.iter().copied(), energies.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_energies_have_a_reason() {
        assert_eq!(ebfmi(&[]).status, Status::TooFewDraws);
        assert_eq!(ebfmi(&[1.0; 9]).status, Status::Constant);
        assert_eq!(ebfmi(&[1.0, f64::NAN, 2.0, 3.0]).status, Status::NonFinite);
    }
}
