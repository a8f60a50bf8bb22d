//! Carry eight derivatives beside a value, with the operators that log densities need.

use super::Scalar;
use std::cmp::Ordering;
use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Derivatives that one pass over a density carries along: one cache line of `f64`, and the fastest of 4, 8 and 16.
pub(super) const WIDTH: usize = 8;

/// A value and its derivatives in [`WIDTH`] coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dual {
    pub(super) value: f64,
    pub(super) slopes: [f64; WIDTH],
}

impl Dual {
    /// A number that depends on no coordinate of the pass.
    #[inline(always)]
    pub(super) fn constant(value: f64) -> Self {
        Self { value, slopes: [0.0; WIDTH] }
    }

    /// The coordinate that has the derivative 1 in place `index`.
    #[inline(always)]
    pub(super) fn coordinate(value: f64, index: usize) -> Self {
        let mut dual = Self::constant(value);
        dual.slopes[index] = 1.0;
        dual
    }

    /// The number with this value whose slopes are `slope` of those of `self` and `other`.
    #[inline(always)]
    fn join(self, other: Self, value: f64, slope: impl Fn(f64, f64) -> f64) -> Self {
        Self { value, slopes: std::array::from_fn(|k| slope(self.slopes[k], other.slopes[k])) }
    }

    /// (a b)′ = a′ b + b′ a.
    #[inline(always)]
    fn product(self, other: Self) -> Self {
        self.join(other, self.value * other.value, |da, db| da * other.value + db * self.value)
    }

    /// (a / b)′ = (a′ − b′ a / b) / b.
    #[inline(always)]
    fn quotient(self, other: Self) -> Self {
        let (value, inverse) = (self.value / other.value, other.value.recip());
        self.join(other, value, |da, db| (da - db * value) * inverse)
    }

    #[inline(always)]
    fn quotient_with_number(self, number: f64) -> Self {
        let inverse = number.recip();
        self.map(self.value / number, |da| da * inverse)
    }

    #[inline(always)]
    fn map(self, value: f64, slope: impl Fn(f64) -> f64) -> Self {
        Self { value, slopes: self.slopes.map(slope) }
    }
}

impl Scalar for Dual {
    #[inline(always)]
    fn value(self) -> f64 {
        self.value
    }

    #[inline(always)]
    fn with_value_and_slope(self, value: f64, slope: f64) -> Self {
        self.map(value, |s| s * slope)
    }
}

impl From<f64> for Dual {
    #[inline(always)]
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

/// Operators between two duals and between a dual and a number, and their assigning forms.
macro_rules! operators {
    ($($operator:ident $method:ident $assign:ident $assign_method:ident
        |$a:ident, $b:ident| $dual:expr, |$c:ident, $d:ident| $number:expr;)*) => {$(
        impl $operator for Dual {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $dual
            }
        }

        impl $operator<f64> for Dual {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                let ($c, $d) = (self, other);
                $number
            }
        }

        impl $assign for Dual {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = $operator::$method(*self, other);
            }
        }

        impl $assign<f64> for Dual {
            #[inline(always)]
            fn $assign_method(&mut self, other: f64) {
                *self = $operator::$method(*self, other);
            }
        }
    )*};
}

operators! {
    Add add AddAssign add_assign
        |a, b| a.join(b, a.value + b.value, |da, db| da + db),
        |a, x| a.map(a.value + x, |da| da);
    Sub sub SubAssign sub_assign
        |a, b| a.join(b, a.value - b.value, |da, db| da - db),
        |a, x| a.map(a.value - x, |da| da);
    Mul mul MulAssign mul_assign
        |a, b| a.product(b),
        |a, x| a.map(a.value * x, |da| da * x);
    Div div DivAssign div_assign
        |a, b| a.quotient(b),
        |a, x| a.quotient_with_number(x);
}

impl Neg for Dual {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(-self.value, |slope| -slope)
    }
}

impl Sum for Dual {
    #[inline(always)]
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        // As the sum of `f64` begins, so that values are the same bits.
        iter.fold(Self::constant(-0.0), Add::add)
    }
}

impl Product for Dual {
    #[inline(always)]
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::constant(1.0), Mul::mul)
    }
}

impl PartialEq for Dual {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq<f64> for Dual {
    #[inline(always)]
    fn eq(&self, other: &f64) -> bool {
        self.value == *other
    }
}

impl PartialOrd for Dual {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl PartialOrd<f64> for Dual {
    #[inline(always)]
    fn partial_cmp(&self, other: &f64) -> Option<Ordering> {
        self.value.partial_cmp(other)
    }
}
