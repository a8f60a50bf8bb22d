//! Compute the two inverse distribution functions that diagnostics need, to full precision.

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc_inv;

/// Quantile of the standard normal distribution, `Φ⁻¹(p)`.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}

/// Quantile of the beta distribution with both parameters at least 1, by bisection.
///
/// Bisection always ends, where Newton's iteration may not for parameters of many thousands.
pub(crate) fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    let mean = a / (a + b);
    let reach = 12.0 * (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
    let (mut low, mut high) = ((mean - reach).max(0.0), (mean + reach).min(1.0));
    while high - low > 1e-15 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if beta_reg(a, b, middle) < probability { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_match_published_digits() {
        // Wichura (1988), Algorithm AS 241, prints the first three; the last is Φ⁻¹(0.975).
        let known = [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813),
            (1e-20, -9.262_340_089_798_408),
            (0.975, 1.959_963_984_540_054),
        ];
        for (p, expected) in known {
            assert!((normal_quantile(p) / expected - 1.0).abs() < 5e-15, "{p}: {} and {expected}", normal_quantile(p));
        }
    }

    #[test]
    fn beta_quantiles_match_closed_forms() {
        // Beta(a, 1) has distribution function x^a, and Beta(1, b) has 1 − (1 − x)^b.
        for p in [0.01f64, 0.158_655_3, 0.5, 0.841_344_7, 0.99] {
            for a in [1.0f64, 3.0, 400.0] {
                assert!((beta_quantile(p, a, 1.0) - p.powf(1.0 / a)).abs() < 1e-13);
                assert!((beta_quantile(p, 1.0, a) - (1.0 - (1.0 - p).powf(1.0 / a))).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn beta_quantiles_of_large_parameters_are_near_normal() {
        // Beta(a, a) has standard deviation 1 / sqrt(4 (2a + 1)); its quantiles at ±1 sd differ from the normal's by a share of 1/a.
        for a in [1e3f64, 1e4, 1e5, 1e6, 1e7] {
            let sd = 0.5 / (2.0 * a + 1.0).sqrt();
            let distance = (beta_quantile(0.841_344_746_068_543, a, a) - 0.5) / sd;
            assert!((distance - 1.0).abs() < 1.0 / a + 1e-7, "a = {a}: {distance}");
            let skewed = (beta_quantile(0.158_655_253_931_457, a, 9.0 * a) - 0.1) / (0.09 / (10.0 * a)).sqrt();
            assert!((skewed + 1.0).abs() < 1.0 / a.sqrt(), "a = {a}: {skewed}");
        }
    }
}
