//! Find the step size at which the acceptance rate has its target, by dual averaging (Nesterov 2009; Hoffman & Gelman 2014).

use serde::{Deserialize, Serialize};

/// Pull of the first step size on later ones; γ of Hoffman & Gelman.
const GAMMA: f64 = 0.05;
/// Iterations that count little at the start; t₀.
const DELAY: f64 = 10.0;
/// Decay of the weights of old step sizes in the average; κ.
const KAPPA: f64 = 0.75;

/// The state of dual averaging on log ε.
///
/// After t updates with acceptance rates αᵢ and target δ: s̄ ← (1 − η)s̄ + η(δ − α) with η = 1/(t + t₀), log ε = μ − s̄√t/γ, and the
/// average log ε̄ ← t⁻ᵏ log ε + (1 − t⁻ᵏ) log ε̄.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DualAveraging {
    target: f64,
    center: f64,
    count: f64,
    error: f64,
    log_step_size: f64,
    log_average: f64,
}

impl DualAveraging {
    /// Starts from `step_size`, and tries larger ones first: μ = log(10 ε).
    #[must_use]
    pub fn new(target: f64, step_size: f64) -> Self {
        let log_step_size = step_size.ln();
        Self { target, center: 10.0_f64.ln() + log_step_size, count: 0.0, error: 0.0, log_step_size, log_average: 0.0 }
    }

    /// Starts from a `step_size` that is near the right one: μ = log ε.
    #[must_use]
    pub fn near(target: f64, step_size: f64) -> Self {
        Self { center: step_size.ln(), ..Self::new(target, step_size) }
    }

    /// Learns from an acceptance rate; one that is not finite counts as 0.
    pub fn update(&mut self, acceptance_rate: f64) {
        let acceptance_rate = if acceptance_rate.is_finite() { acceptance_rate.clamp(0.0, 1.0) } else { 0.0 };
        self.count += 1.0;
        let weight = 1.0 / (self.count + DELAY);
        self.error += weight * (self.target - acceptance_rate - self.error);
        self.log_step_size = self.center - self.error * self.count.sqrt() / GAMMA;
        let weight = self.count.powf(-KAPPA);
        self.log_average += weight * (self.log_step_size - self.log_average);
    }

    /// The step size to try next.
    #[must_use]
    pub fn step_size(&self) -> f64 {
        self.log_step_size.exp()
    }

    /// The step size to keep: the weighted average, or the first one before any update.
    #[must_use]
    pub fn average(&self) -> f64 {
        if self.count == 0.0 { self.step_size() } else { self.log_average.exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acceptance_rate_reaches_its_target() {
        // The acceptance rate of leapfrog falls with ε like exp(−ε²); its target 0.8 lies at √(−ln 0.8).
        for first in [1e-6, 0.1, 50.0] {
            let mut averaging = DualAveraging::new(0.8, first);
            for _ in 0..2000 {
                averaging.update((-averaging.step_size().powi(2)).exp());
            }
            let expected = (-(0.8_f64.ln())).sqrt();
            assert!((averaging.average() / expected).ln().abs() < 0.02, "{} for {expected}", averaging.average());
        }
    }

    #[test]
    fn acceptance_rates_that_are_not_numbers_shrink_the_step() {
        let mut averaging = DualAveraging::new(0.8, 0.1);
        for _ in 0..20 {
            averaging.update(f64::NAN);
        }
        assert!(averaging.step_size() < 1e-4 && averaging.average() > 0.0);
    }

    #[test]
    fn the_first_update_equals_its_formula() {
        let mut averaging = DualAveraging::new(0.8, 0.5);
        averaging.update(0.6);
        let error = (0.8 - 0.6) / 11.0;
        let expected = (5.0_f64.ln() - error / 0.05).exp();
        assert!((averaging.step_size() - expected).abs() < 1e-12);
        assert!((averaging.average() - expected).abs() < 1e-12);
    }
}
