//! Compute differences of log-gamma and digamma functions without cancellation, and integrals over a positive variable.

use statrs::function::gamma::{digamma, ln_gamma};

/// From here on the asymptotic series below is exact to rounding.
const LARGE: f64 = 16.0;

/// Coefficients of 1/a, 1/a³, … in ln Γ(a) − (a − ½) ln a + a − ½ ln 2π: B₂ₖ / (2k (2k − 1)).
const STIRLING: [f64; 7] =
    [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0, 1.0 / 156.0];

/// Coefficients of 1/a², 1/a⁴, … in ln a − 1/2a − ψ(a): B₂ₖ / 2k.
const DIGAMMA: [f64; 7] = [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32_760.0, 1.0 / 12.0];

/// A polynomial by Horner's rule, lowest coefficient first.
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |value, c| value * x + c)
}

/// ln Γ(a + d) − ln Γ(a) for a > 0 and a + d > 0, to a relative error near 1e-14 also where both terms are huge.
pub(super) fn ln_gamma_difference(a: f64, d: f64) -> f64 {
    let b = a + d;
    if a.min(b) < LARGE {
        return ln_gamma(b) - ln_gamma(a);
    }
    let tail = |a: f64| polynomial((a * a).recip(), &STIRLING) / a;
    (a - 0.5) * (d / a).ln_1p() + d * b.ln() - d + (tail(b) - tail(a))
}

/// ψ(a + d) − ψ(a) for a > 0 and a + d > 0.
pub(super) fn digamma_difference(a: f64, d: f64) -> f64 {
    let b = a + d;
    if a.min(b) < LARGE {
        return digamma(b) - digamma(a);
    }
    let tail = |a: f64| polynomial((a * a).recip(), &DIGAMMA) / (a * a);
    (d / a).ln_1p() + 0.5 * d / (a * b) - (tail(b) - tail(a))
}

/// ln y! for a count y.
pub(super) fn ln_factorial(count: f64) -> f64 {
    ln_gamma(count + 1.0)
}

/// ∫ f(s) ds/s over s from exp(`from`) to exp(`to`): the trapezoid rule in ln s.
///
/// For an f that is analytic where |arg s| < π/2, vanishes at both ends and has no peak narrower than that of s³ exp(−s), the error is
/// near exp(−π²/step) of the integral, below rounding (Trefethen & Weideman 2014, "The exponentially convergent trapezoidal rule").
pub(super) fn integrate_over_logarithm(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.25;
    let nodes = ((to - from) / STEP).ceil().clamp(1.0, 20_000.0);
    let step = (to - from) / nodes;
    (0..=nodes as usize).map(|node| f((from + node as f64 * step).exp())).sum::<f64>() * step
}

/// ln(1 + exp(x)).
pub(super) fn softplus(x: f64) -> f64 {
    // A NaN must go through: `max` alone would drop it.
    (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values to 20 digits by mpmath.
    #[test]
    fn differences_equal_published_values_for_small_large_and_huge_arguments() {
        // (a, d, ln Γ(a + d) − ln Γ(a), ψ(a + d) − ψ(a))
        let cases: [(f64, f64, f64, f64); 13] = [
            (1e-10, 1.0, -23.025850929940457, 10000000000.0),
            (0.3, 0.5, -0.9437383164182379, 2.5375156554939946),
            (1.0, 4.0, 3.1780538303479458, 2.0833333333333335),
            (2.5, 700.0, 3899.4954459346322, 5.850776847930717),
            (15.5, 0.5, 1.3623568927252778, 0.03277808573709494),
            (17.0, 0.5, 1.4092547898666767, 0.029844103901223735),
            (17.0, -0.75, -2.0853307011787328, -0.04650511287936487),
            (40.0, 3.0, 11.140121139101613, 0.07319976771196283),
            (10000.0, 0.5, 4.605157685988097, 5.0001249999998436e-05),
            (100000000.0, 250.0, 4605.170497237833, 2.4999968875051773e-06),
            (1000000000000.0, 3.0, 82.89306334778864, 2.999999999997e-12),
            (1e+100, 2.0, 460.51701859880916, 2e-100),
            (30.0, 1000000000.0, 19723266377.944653, 17.338827733760887),
        ];
        for (a, d, ln_gamma, digamma) in cases {
            let found = ln_gamma_difference(a, d);
            assert!((found - ln_gamma).abs() < 2e-14 * (1.0 + ln_gamma.abs()), "ln Γ at {a}, {d}: {found} and {ln_gamma}");
            let found = digamma_difference(a, d);
            // The library's ψ is good to some units of the last place of ψ itself.
            let size = digamma.abs() + if a < LARGE { 4.0 } else { 0.0 };
            assert!((found - digamma).abs() < 2e-15 * size, "ψ at {a}, {d}: {found} and {digamma}");
        }
    }

    #[test]
    fn a_difference_of_ends_cancels_what_the_series_keeps() {
        // The plain difference of two values near 3e13 would be off by some 1e-3.
        let (a, d) = (1e12_f64, 3.0);
        let exact = a.ln() + (a + 1.0).ln() + (a + 2.0).ln();
        assert!((ln_gamma_difference(a, d) - exact).abs() < 1e-12);
        assert!((ln_gamma(a + d) - ln_gamma(a) - exact).abs() > 1e-5);
    }

    #[test]
    fn integrals_of_gamma_densities_are_gamma_functions() {
        for shape in [0.5, 1.0, 3.0] {
            let integral = integrate_over_logarithm(-80.0, 7.0, |s| s.powf(shape) * (-s).exp());
            let exact = ln_gamma(shape).exp();
            assert!((integral - exact).abs() < 1e-13 * exact, "{shape}: {integral} and {exact}");
        }
    }

    #[test]
    fn softplus_keeps_its_tails_and_nan() {
        assert_eq!([softplus(-800.0), softplus(800.0)], [0.0, 800.0]);
        assert!((softplus(-40.0) / (-40.0_f64).exp() - 1.0).abs() < 1e-15 && softplus(f64::NAN).is_nan());
    }
}
