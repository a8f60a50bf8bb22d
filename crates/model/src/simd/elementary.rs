//! Compute exponentials, logarithms, tanh and their kin on vectors, within 4 units in the last place.
//!
//! Each is one branch-free formula over the whole range: NaN goes through, infinities give the limits, subnormal results are kept. The
//! polynomials are minimax fits of the named functions on the named intervals.

use super::{Lanes, Real};

/// Polynomials and bounds of one precision; lowest coefficient first.
pub(crate) trait Coefficients: Copy + 'static {
    const LN2_HIGH: Self;
    const LN2_LOW: Self;
    const LOG2_E: Self;
    /// Above it exp is infinite; below its negative, x·exp(x) is zero.
    const EXP_LIMIT: Self;
    /// From here on tanh is 1 in this precision.
    const TANH_LIMIT: Self;
    /// 2·log₂ e.
    const TWO_LOG2_E: Self;
    /// tanh(√t·ln 2/2)/√t on 0 ≤ t ≤ ¼.
    const HALF_TANH: &'static [Self];
    /// From here on the normal distribution's lower tail is zero in this precision.
    const TAIL_LIMIT: Self;
    /// (exp(r) − 1 − r)/r² on |r| ≤ ln 2/2.
    const EXPM1: &'static [Self];
    /// (atanh(√t)/√t − 1)/t on 0 ≤ t ≤ 1/9.
    const ATANH: &'static [Self];
    /// c of the variable u = (t − c)/(t + c) below.
    const MILLS_CENTRE: Self;
    /// (t + c)·Φ(−t)/exp(−t²/2), in u.
    const MILLS: &'static [Self];
}

impl Coefficients for f64 {
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const EXP_LIMIT: f64 = 760.0;
    const TANH_LIMIT: f64 = 20.0;
    const TWO_LOG2_E: f64 = 2.0 * std::f64::consts::LOG2_E;
    const HALF_TANH: &'static [f64] = &[
        0.346_573_590_279_972_65,
        -0.013_876_027_166_204_885,
        0.000_666_677_907_288_746_1,
        -3.241_205_854_859_141e-5,
        1.577_594_341_961_200_4e-6,
        -7.674_373_732_937_13e-8,
        3.583_207_831_960_828e-9,
    ];
    const TAIL_LIMIT: f64 = 39.0;
    const EXPM1: &'static [f64] = &[
        0.500_000_000_000_000_4,
        0.166_666_666_666_666_85,
        0.041_666_666_666_580_75,
        0.008_333_333_333_315_346,
        0.001_388_888_893_064_814_6,
        0.000_198_412_699_016_771_3,
        2.480_150_607_207_200_3e-5,
        2.755_722_895_129_81e-6,
        2.762_580_678_616_652e-7,
        2.511_421_433_621_298_4e-8,
    ];
    const ATANH: &'static [f64] = &[
        0.333_333_333_333_331_6,
        0.200_000_000_000_769_45,
        0.142_857_142_740_993_87,
        0.111_111_119_757_555_36,
        0.090_908_722_427_045_74,
        0.076_932_746_516_669_86,
        0.066_505_496_471_912_34,
        0.060_525_901_505_798_34,
        0.041_718_689_018_230_42,
        0.085_061_712_121_737_46,
    ];
    const MILLS_CENTRE: f64 = 4.0;
    const MILLS: &'static [f64] = &[
        0.755_285_130_415_751_5,
        -0.607_896_641_971_891_7,
        0.387_137_400_742_218_86,
        -0.186_521_857_959_694_17,
        0.060_396_574_890_699_47,
        -0.007_540_188_965_593_059,
        -0.003_479_692_362_242_533_2,
        0.001_630_818_441_890_359_6,
        0.000_133_344_254_019_049_12,
        -0.000_231_094_818_319_376_2,
        -1.907_866_531_661_357_6e-6,
        3.514_418_115_776_097_3e-5,
        7.150_055_959_216_099e-7,
        -5.918_892_731_763_236e-6,
        -6.251_321_040_478_68e-7,
        1.019_804_851_813_517_2e-6,
        2.636_824_857_640_762_4e-7,
        -1.542_632_053_677_107_5e-7,
        -7.638_082_053_490_45e-8,
        1.457_859_334_703_646e-8,
        1.392_402_399_350_171e-8,
        7.269_545_479_026_69e-11,
        -9.653_425_420_228_504e-10,
    ];
}

impl Coefficients for f32 {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const EXP_LIMIT: f32 = 110.0;
    const TANH_LIMIT: f32 = 9.5;
    const TWO_LOG2_E: f32 = 2.0 * std::f32::consts::LOG2_E;
    const HALF_TANH: &'static [f32] = &[0.346_573_6, -0.013_876_021, 0.000_666_557_3, -3.163_606_8e-5];
    const TAIL_LIMIT: f32 = 14.5;
    const EXPM1: &'static [f32] = &[0.5, 0.166_665_45, 0.041_666_288, 0.008_366_474, 0.001_394_622_3];
    const ATANH: &'static [f32] = &[0.333_332_07, 0.200_108_23, 0.139_999_33, 0.140_107_13];
    const MILLS_CENTRE: f32 = 3.0;
    const MILLS: &'static [f32] = &[
        0.729_083_7,
        -0.509_332,
        0.230_017_68,
        -0.047_262_745,
        -0.010_462_294,
        0.006_969_813_1,
        0.001_024_135_7,
        -0.001_034_222_1,
        -0.000_244_582_65,
        0.000_133_125_91,
        5.535_596_6e-5,
    ];
}

/// A polynomial by Horner's rule.
#[inline(always)]
fn polynomial<L: Lanes>(l: L, x: L::V, coefficients: &[L::E]) -> L::V {
    let mut degree = coefficients.len() - 1;
    let mut value = l.splat(coefficients[degree]);
    while degree > 0 {
        degree -= 1;
        value = l.fma(value, x, l.splat(coefficients[degree]));
    }
    value
}

/// (k + ROUND, exp(r) − 1) of x = k·ln 2 + r with |r| ≤ ln 2/2.
#[inline(always)]
fn reduced_exponential<L: Lanes>(l: L, x: L::V) -> (L::V, L::V) {
    let round = l.splat(L::E::ROUND);
    let rounded = l.fma(x, l.splat(L::E::LOG2_E), round);
    let k = l.sub(rounded, round);
    let r = l.negative_fma(k, l.splat(L::E::LN2_HIGH), x);
    let r = l.negative_fma(k, l.splat(L::E::LN2_LOW), r);
    let tail = polynomial(l, r, L::E::EXPM1);
    (rounded, l.fma(l.mul(r, r), tail, r))
}

/// Two factors of exp(x), the first of them normal: 2^k alone can lie beyond the normal exponents on either side.
#[inline(always)]
fn exp_factors<L: Lanes>(l: L, x: L::V) -> (L::V, L::V) {
    let limit = l.splat(L::E::EXP_LIMIT);
    let x = l.at_least(l.at_most(x, limit), l.neg(limit));
    let (rounded, expm1) = reduced_exponential(l, x);
    let round = l.splat(L::E::ROUND);
    let k = l.sub(rounded, round);
    let half = l.fma(k, l.splat(L::E::from_f64(0.5)), round);
    let rest = l.add(l.sub(k, l.sub(half, round)), round);
    let scale = l.power_of_two(half);
    (l.fma(scale, expm1, scale), l.power_of_two(rest))
}

/// exp(x).
#[inline(always)]
pub(crate) fn exp<L: Lanes>(l: L, x: L::V) -> L::V {
    let (value, scale) = exp_factors(l, x);
    l.mul(value, scale)
}

/// tanh(x), from 2|x| = (k + f)·ln 2 with an integer k and |f| ≤ ½: with q = tanh(f·ln 2/2), s = 2^k and v = (s + 1) + q(s − 1) it is
/// (q(s + 1) + (s − 1))/v up to k = 2, and 1 − 2(1 − q)/v above, which keeps the way up to 1 monotone.
///
/// Several vectors go step by step together: one alone is a chain of some twenty dependent instructions and a division, more than the
/// processor looks ahead.
#[inline(always)]
pub(crate) fn tanh<L: Lanes, const N: usize>(l: L, x: [L::V; N]) -> [L::V; N] {
    let (zero, one, two) = (l.splat(L::E::ZERO), l.splat(L::E::ONE), l.splat(L::E::from_f64(2.0)));
    let four = l.splat(L::E::from_f64(4.0));
    let (limit, round) = (l.splat(L::E::TANH_LIMIT), l.splat(L::E::ROUND));
    let (mut rounded, mut f, mut square) = ([zero; N], [zero; N], [zero; N]);
    for n in 0..N {
        let scaled = l.mul(l.at_most(l.abs(x[n]), limit), l.splat(L::E::TWO_LOG2_E));
        rounded[n] = l.add(scaled, round);
        f[n] = l.sub(scaled, l.sub(rounded[n], round));
        square[n] = l.mul(f[n], f[n]);
    }
    let mut degree = L::E::HALF_TANH.len() - 1;
    let mut q = [l.splat(L::E::HALF_TANH[degree]); N];
    while degree > 0 {
        degree -= 1;
        for n in 0..N {
            q[n] = l.fma(q[n], square[n], l.splat(L::E::HALF_TANH[degree]));
        }
    }
    let mut value = [zero; N];
    for n in 0..N {
        let q = l.mul(q[n], f[n]);
        let scale = l.power_of_two(rounded[n]);
        let (sum, difference) = (l.add(scale, one), l.sub(scale, one));
        let upper = l.select_less(four, scale, l.negative_fma(q, two, two), l.fma(q, sum, difference));
        let ratio = l.div(upper, l.fma(q, difference, sum));
        let ratio = l.select_less(four, scale, l.sub(one, ratio), ratio);
        value[n] = l.copysign(ratio, x[n]);
    }
    value
}

/// (exp(−|x|), the logistic function at −|x|).
#[inline(always)]
fn lower_logistic<L: Lanes>(l: L, magnitude: L::V) -> (L::V, L::V) {
    let small = exp(l, l.neg(magnitude));
    (small, l.div(small, l.add(l.splat(L::E::ONE), small)))
}

/// The logistic function 1/(1 + exp(−x)).
#[inline(always)]
pub(crate) fn sigmoid<L: Lanes>(l: L, x: L::V) -> L::V {
    let (_, lower) = lower_logistic(l, l.abs(x));
    l.select_less(x, l.splat(L::E::ZERO), lower, l.sub(l.splat(L::E::ONE), lower))
}

/// log(1 + u) for u in [0, 1].
#[inline(always)]
fn log1p_unit<L: Lanes>(l: L, u: L::V) -> L::V {
    let s = l.div(u, l.add(u, l.splat(L::E::from_f64(2.0))));
    let s = l.add(s, s);
    let t = l.mul(l.mul(s, s), l.splat(L::E::from_f64(0.25)));
    l.fma(l.mul(s, t), polynomial(l, t, L::E::ATANH), s)
}

/// log(x) for x ≥ 1; NaN stays NaN.
#[inline(always)]
pub(crate) fn log_at_least_one<L: Lanes>(l: L, x: L::V) -> L::V {
    let (exponent, mantissa) = l.exponent_and_mantissa(x);
    let fraction = l.sub(mantissa, l.splat(L::E::ONE));
    let s = l.div(fraction, l.add(fraction, l.splat(L::E::from_f64(2.0))));
    let s = l.add(s, s);
    let t = l.mul(l.mul(s, s), l.splat(L::E::from_f64(0.25)));
    let tail = l.fma(l.mul(s, t), polynomial(l, t, L::E::ATANH), l.mul(exponent, l.splat(L::E::LN2_LOW)));
    let value = l.fma(exponent, l.splat(L::E::LN2_HIGH), l.add(s, tail));
    l.select_less(x, l.splat(L::E::INFINITY), value, x)
}

/// log(1 + exp(x)) and its slope, the logistic function.
#[inline(always)]
pub(crate) fn softplus_and_slope<L: Lanes>(l: L, x: L::V) -> (L::V, L::V) {
    let zero = l.splat(L::E::ZERO);
    let (small, lower) = lower_logistic(l, l.abs(x));
    let slope = l.select_less(x, zero, lower, l.sub(l.splat(L::E::ONE), lower));
    (l.add(l.at_least(x, zero), log1p_unit(l, small)), slope)
}

/// x times the logistic function, and its slope. With q the logistic function at −|x| both follow without cancellation in the tails:
/// max(x, 0) − |x|q, and p = q(1 − |x|(1 − q)) or 1 − p.
#[inline(always)]
pub(crate) fn silu_and_slope<L: Lanes>(l: L, x: L::V) -> (L::V, L::V) {
    let (zero, one) = (l.splat(L::E::ZERO), l.splat(L::E::ONE));
    let magnitude = l.at_most(l.abs(x), l.splat(L::E::EXP_LIMIT));
    let (small, scale) = exp_factors(l, l.neg(magnitude));
    let lower = l.div(small, l.fma(small, scale, one));
    // The logistic function may be subnormal where its product with x is not.
    let value = l.negative_fma(l.mul(magnitude, lower), scale, l.at_least(x, zero));
    let lower = l.mul(lower, scale);
    let tail = l.mul(lower, l.negative_fma(magnitude, l.sub(one, lower), one));
    (value, l.select_less(x, zero, tail, l.sub(one, tail)))
}

/// x·Φ(x), Φ the standard normal distribution function, and its slope Φ(x) + xφ(x).
///
/// Φ(−t) = φ(t)·m(t) for t = |x|, where m is Mills' ratio; (t + c)·m(t) is smooth in u = (t − c)/(t + c) down to the last tail.
#[inline(always)]
pub(crate) fn gelu_and_slope<L: Lanes>(l: L, x: L::V) -> (L::V, L::V) {
    let (zero, one) = (l.splat(L::E::ZERO), l.splat(L::E::ONE));
    let t = l.at_most(l.abs(x), l.splat(L::E::TAIL_LIMIT));
    // exp(−t²/2) with the rounding error of t² put back.
    let square = l.mul(t, t);
    let half_error = l.mul(l.negative_fma(t, t, square), l.splat(L::E::from_f64(0.5)));
    let bell = exp(l, l.mul(square, l.splat(L::E::from_f64(-0.5))));
    let bell = l.fma(bell, half_error, bell);
    let inverse = l.div(one, l.add(t, l.splat(L::E::MILLS_CENTRE)));
    let share = l.mul(t, inverse);
    let u = l.fma(share, l.splat(L::E::from_f64(2.0)), l.splat(L::E::from_f64(-1.0)));
    let mills = polynomial(l, u, L::E::MILLS);
    // The bell may be subnormal, so it multiplies last.
    let value = l.negative_fma(l.mul(mills, share), bell, l.at_least(x, zero));
    let normal = l.splat(L::E::from_f64(0.398_942_280_401_432_7));
    let tail = l.mul(l.negative_fma(normal, t, l.mul(mills, inverse)), bell);
    (value, l.select_less(x, zero, tail, l.sub(one, tail)))
}
