//! Define the numbers that a differentiable density is written in.

use nalgebra::Const;
use num_dual::{Derivative, DualNum, DualSVec64};

/// A real number, or one that carries derivatives along: `f64` and the dual numbers of [`num_dual`].
///
/// It has the operators `+ − · /`, also with an `f64` on the right; comparisons by value, also with an `f64`; sums and products of
/// iterators; and the functions of [`DualNum`]: `exp`, `exp_m1`, `ln`, `ln_1p`, `sqrt`, `powi`, `powf`, `recip`, `sin`, `cos`, `tan`, `asin`,
/// `acos`, `atan`, `sinh`, `cosh`, `tanh`, `abs` and others. Those below are the ones that log densities need besides.
///
/// ```
/// use ergodic_model::Scalar;
/// /// ln Poisson(count; exp(log_rate)).
/// fn poisson<T: Scalar>(log_rate: T, count: f64) -> T {
///     log_rate * count - log_rate.exp() - T::from(count + 1.0).log_gamma()
/// }
/// assert!((poisson(2f64.ln(), 3.0) - (8.0 * (-2f64).exp() / 6.0).ln()).abs() < 1e-14);
/// ```
pub trait Scalar: DualNum<Primitive = f64> + Copy {
    /// The value without derivatives, to branch on.
    #[must_use]
    fn value(self) -> f64 {
        self.re()
    }

    /// A function of this number whose value and derivative at it are known: `value` with the derivatives of this number times
    /// `slope`.
    ///
    /// ```
    /// use ergodic_model::Scalar;
    /// /// A table's entry and its slope, the same way for numbers with and without derivatives.
    /// fn measured<T: Scalar>(x: T) -> T {
    ///     let (value, slope) = (3.0 * x.value(), 3.0);
    ///     x.with_value_and_slope(value, slope)
    /// }
    /// assert_eq!(measured(2.0), 6.0);
    /// ```
    #[must_use]
    fn with_value_and_slope(self, value: f64, slope: f64) -> Self;

    /// 1 / (1 + exp(−x)), without overflow.
    #[must_use]
    fn logistic(self) -> Self {
        let x = self.value();
        let small = (-x.abs()).exp();
        let p = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
        self.with_value_and_slope(p, small / ((1.0 + small) * (1.0 + small)))
    }

    /// ln(1 + exp(x)), without overflow: minus the log probability of a failure whose log odds of success are x.
    #[must_use]
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
}

impl Scalar for f64 {
    fn with_value_and_slope(self, value: f64, _: f64) -> Self {
        value
    }
}

impl<const N: usize> Scalar for DualSVec64<N> {
    #[inline]
    fn with_value_and_slope(self, value: f64, slope: f64) -> Self {
        Self::new(value, Derivative::<f64, Const<N>, nalgebra::U1>::new(self.eps.0.map(|derivatives| derivatives * slope)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Dual = DualSVec64<2>;

    fn slope(y: Dual) -> f64 {
        y.eps.0.map_or(0.0, |derivatives| derivatives[1])
    }

    /// Functions of this crate against central differences of their values in `f64`.
    #[test]
    fn slopes_are_those_of_the_values() {
        fn each<T: Scalar>(x: T) -> [T; 3] {
            [x.logistic(), x.softplus(), (x * x + 0.01).log_gamma()]
        }
        for x in [-30.0, -2.0, -1e-9, 0.0, 0.7, 5.0, 40.0] {
            let h = 1e-5;
            let (up, down, dual) = (each(x + h), each(x - h), each(Dual::from_re(x).derivative(1)));
            for i in 0..3 {
                let expected = (up[i] - down[i]) / (2.0 * h);
                assert!((slope(dual[i]) - expected).abs() < 1e-6 * (1.0 + expected.abs()), "function {i} at {x}");
                assert_eq!(dual[i].re, each(x)[i]);
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
        let constant = Dual::from_re(3.0).softplus();
        assert!(constant.eps.0.is_none() && constant.re == 3f64.softplus());
    }
}
