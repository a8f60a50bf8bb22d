//! Define the numbers that a differentiable density is written in.

use num_dual::{Dual64, DualNum};
use std::fmt::Debug;
use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Functions with num-dual's value and slope.
macro_rules! elementary {
    ($($name:ident $doc:literal,)*) => {$(
        #[doc = $doc]
        #[must_use]
        #[inline]
        fn $name(self) -> Self {
            let y = DualNum::$name(&Dual64::new(self.value(), 1.0));
            self.with_value_and_slope(y.re, y.eps)
        }
    )*};
}

/// A real number that may carry derivatives along; `f64` is one that does not.
///
/// Operators take another scalar or an `f64` on the right. Comparisons are by value, also with an `f64`. Functions have `f64`'s own names.
///
/// ```
/// use ergodic_model::Scalar;
/// /// ln Poisson(count; exp(log_rate)).
/// fn poisson<T: Scalar>(log_rate: T, count: f64) -> T {
///     log_rate * count - log_rate.exp() - T::from(count + 1.0).log_gamma()
/// }
/// assert!((poisson(2f64.ln(), 3.0) - (8.0 * (-2f64).exp() / 6.0).ln()).abs() < 1e-14);
/// ```
pub trait Scalar:
    Copy
    + Debug
    + From<f64>
    + Neg<Output = Self>
    + Add<Output = Self>
    + Add<f64, Output = Self>
    + Sub<Output = Self>
    + Sub<f64, Output = Self>
    + Mul<Output = Self>
    + Mul<f64, Output = Self>
    + Div<Output = Self>
    + Div<f64, Output = Self>
    + AddAssign
    + AddAssign<f64>
    + SubAssign
    + SubAssign<f64>
    + MulAssign
    + MulAssign<f64>
    + DivAssign
    + DivAssign<f64>
    + Sum
    + Product
    + PartialOrd
    + PartialOrd<f64>
{
    /// The value without derivatives, to branch on.
    #[must_use]
    fn value(self) -> f64;

    /// A function of this number whose value and derivative at it are known: `value` with the derivatives of this number times
    /// `slope`.
    ///
    /// ```
    /// use ergodic_model::Scalar;
    /// /// ln Φ(x), from the table of a library that knows no derivatives: here for x = 0 alone.
    /// fn log_normal_cdf<T: Scalar>(x: T) -> T {
    ///     let (value, slope) = (0.5f64.ln(), (2.0 / std::f64::consts::PI).sqrt());
    ///     x.with_value_and_slope(value, slope)
    /// }
    /// assert_eq!(log_normal_cdf(0.0), 0.5f64.ln());
    /// ```
    #[must_use]
    fn with_value_and_slope(self, value: f64, slope: f64) -> Self;

    /// `|x|`, with slope ±1; at 0 that of the sign of the zero.
    #[must_use]
    #[inline]
    fn abs(self) -> Self {
        let x = self.value();
        self.with_value_and_slope(x.abs(), x.signum())
    }

    /// `xⁿ` for an integer n.
    #[must_use]
    #[inline]
    fn powi(self, n: i32) -> Self {
        let x = self.value();
        let slope = if n == 0 { 0.0 } else { f64::from(n) * x.powi(n - 1) };
        self.with_value_and_slope(x.powi(n), slope)
    }

    /// `xᵖ` for a number p.
    #[must_use]
    #[inline]
    fn powf(self, p: f64) -> Self {
        let x = self.value();
        let slope = if p == 0.0 { 0.0 } else { p * x.powf(p - 1.0) };
        self.with_value_and_slope(x.powf(p), slope)
    }

    /// The hyperbolic tangent, also where it is saturated.
    #[must_use]
    #[inline]
    fn tanh(self) -> Self {
        let y = self.value().tanh();
        self.with_value_and_slope(y, 1.0 - y * y)
    }

    /// 1 / (1 + exp(−x)), without overflow.
    #[must_use]
    #[inline]
    fn logistic(self) -> Self {
        let x = self.value();
        let small = (-x.abs()).exp();
        let p = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
        self.with_value_and_slope(p, small / ((1.0 + small) * (1.0 + small)))
    }

    /// ln(1 + exp(x)), without overflow: minus the log probability of a failure whose log odds of success are x.
    #[must_use]
    #[inline]
    fn softplus(self) -> Self {
        let x = self.value();
        let small = (-x.abs()).exp();
        let slope = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
        let value = if x > 0.0 { x + small.ln_1p() } else { small.ln_1p() };
        self.with_value_and_slope(value, slope)
    }

    /// ln Γ(x) for x > 0; NaN elsewhere.
    #[must_use]
    fn log_gamma(self) -> Self {
        let x = self.value();
        if x > 0.0 {
            self.with_value_and_slope(statrs::function::gamma::ln_gamma(x), statrs::function::gamma::digamma(x))
        } else {
            self.with_value_and_slope(f64::NAN, f64::NAN)
        }
    }

    elementary! {
        exp "`eˣ`.", exp_m1 "`eˣ − 1`, exact near 0.", exp2 "`2ˣ`.",
        ln "The natural logarithm.", ln_1p "`ln(1 + x)`, exact near 0.", log2 "The logarithm to base 2.", log10 "The logarithm to base 10.",
        sqrt "The square root.", cbrt "The cube root.", recip "`1 / x`.",
        sin "The sine.", cos "The cosine.", tan "The tangent.",
        asin "The arcsine.", acos "The arccosine.", atan "The arctangent.",
        sinh "The hyperbolic sine.", cosh "The hyperbolic cosine.",
        asinh "The inverse hyperbolic sine.", acosh "The inverse hyperbolic cosine.", atanh "The inverse hyperbolic tangent.",
    }
}

impl Scalar for f64 {
    #[inline]
    fn value(self) -> f64 {
        self
    }

    #[inline]
    fn with_value_and_slope(self, value: f64, _: f64) -> Self {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::dual::{Dual, WIDTH};
    use super::*;

    /// Every function, each of an argument inside its domain for any x, and the operators.
    fn each<T: Scalar>(x: T) -> Vec<T> {
        let (positive, inner) = (x * x + 0.01, x.tanh() * 0.9);
        let mut all =
            vec![x.abs(), x.powi(0), x.powi(1), x.powi(5), x.powi(-2), positive.powf(2.5), positive.powf(0.0), x.tanh()];
        all.extend([
            x.logistic(),
            x.softplus(),
            positive.log_gamma(),
            x.exp(),
            x.exp_m1(),
            x.exp2(),
            positive.ln(),
            positive.ln_1p(),
        ]);
        all.extend([positive.log2(), positive.log10(), positive.sqrt(), positive.cbrt(), x.recip(), x.sin(), x.cos(), x.tan()]);
        all.extend([
            inner.asin(),
            inner.acos(),
            x.atan(),
            x.sinh(),
            x.cosh(),
            x.asinh(),
            (positive + 1.5).acosh(),
            inner.atanh(),
        ]);
        all.extend([x + 1.0 + x, x - 2.0 - x * 3.0, x * x * 2.0, positive / (x + 50.0) / 3.0, -x, T::from(2.0) - x]);
        all.extend([[x, positive].into_iter().sum::<T>(), [x, positive].into_iter().product::<T>()]);
        let mut assigned = x;
        assigned += positive;
        assigned += 1.0;
        assigned -= x * 0.5;
        assigned -= 2.0;
        assigned *= x;
        assigned *= 3.0;
        assigned /= positive;
        assigned /= 7.0;
        all.push(assigned);
        all
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        for x in [-30.0, -2.0, -0.3, 0.7, 5.0, 20.0] {
            let h = 1e-6 * f64::max(1.0, f64::abs(x));
            let (up, down, middle, duals) = (each(x + h), each(x - h), each(x), each(Dual::coordinate(x, 3)));
            for (i, dual) in duals.iter().enumerate() {
                let (expected, size) = ((up[i] - down[i]) / (2.0 * h), f64::max(up[i].abs(), down[i].abs()));
                // Rounding of the values, and the curvature of the fifth power and the exponentials.
                let tolerance = 1e-6 * (1.0 + expected.abs()) + 1e-15 * size / h;
                assert!(
                    (dual.slopes[3] - expected).abs() < tolerance,
                    "function {i} at {x}: {} and {expected}",
                    dual.slopes[3]
                );
                assert!(dual.value == middle[i] || (dual.value - middle[i]).abs() < 1e-15 * size, "function {i} at {x}");
                assert!((0..WIDTH).all(|k| k == 3 || dual.slopes[k] == 0.0), "function {i} leaks into other derivatives");
            }
        }
    }

    #[test]
    fn ends_of_the_line_and_what_is_not_a_number() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!([(-inf).logistic(), inf.logistic(), (-800f64).logistic()], [0.0, 1.0, 0.0]);
        assert_eq!([800f64.softplus(), (-800f64).softplus(), inf.softplus(), (-inf).softplus()], [800.0, 0.0, inf, 0.0]);
        for x in [nan.logistic(), nan.softplus(), nan.log_gamma(), 0f64.log_gamma(), (-1.5f64).log_gamma()] {
            assert!(x.is_nan());
        }
        for saturated in [-800.0, 800.0] {
            let y = Scalar::tanh(Dual::coordinate(saturated, 0));
            assert_eq!((y.value.abs(), y.slopes[0]), (1.0, 0.0));
        }
        let zero = Dual::coordinate(0.0, 0);
        assert_eq!((zero.powf(2.5).slopes[0], zero.powi(2).slopes[0], zero.powi(1).slopes[0]), (0.0, 0.0, 1.0));
    }

    #[test]
    fn comparisons_are_by_value() {
        let (a, b) = (Dual::coordinate(1.0, 0), Dual::constant(2.0));
        assert!(a < b && a < 1.5 && b > 1.5 && a == 1.0 && a == Dual::constant(1.0) && a.partial_cmp(&f64::NAN).is_none());
    }
}
