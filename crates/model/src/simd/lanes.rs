//! Give one face to pulp's vectors of f64 and of f32.

use super::elementary::Coefficients;
use bytemuck::Pod;
use pulp::{Simd, WithSimd};
use std::fmt::Debug;

/// An element type of the network's arithmetic: f64 or f32.
pub(crate) trait Real: Coefficients + Pod + PartialOrd + Debug + Default + Send + Sync + 'static {
    /// The vectors of this element type under an instruction set.
    type Lanes<S: Simd>: Lanes<E = Self>;

    const ZERO: Self;
    const ONE: Self;
    const INFINITY: Self;
    /// 1.5 · 2^(mantissa bits): adding it rounds to an integer, which then stands in the low bits.
    const ROUND: Self;

    fn lanes<S: Simd>(simd: S) -> Self::Lanes<S>;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;

    /// `values` in this precision; `copy` has the same length and is written only where a conversion is needed.
    fn convert<'a>(values: &'a [f64], copy: &'a mut Vec<Self>) -> &'a [Self];
}

/// Vectors of one element type under one instruction set. Every method is a few instructions.
///
/// pulp's provided methods are not always inlined into code for wider instruction sets, so bits are handled by its required ones.
pub(crate) trait Lanes: Copy {
    type E: Real;
    type V: Pod;
    /// Elements of a vector.
    const WIDTH: usize;
    /// Whether there are 32 vector registers rather than 16.
    const MANY_REGISTERS: bool;

    /// Runs `work` in a function of its own, compiled for this instruction set: large kernels that were all inlined into one function
    /// would take the compiler minutes.
    fn outline<R>(self, work: impl FnOnce() -> R) -> R;

    fn splat(self, x: Self::E) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// a·b + c, rounded once where the machine can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a·b.
    fn negative_fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    fn neg(self, a: Self::V) -> Self::V;
    /// The smaller of the two; NaN where `x` is NaN.
    fn at_most(self, x: Self::V, limit: Self::V) -> Self::V;
    /// The larger of the two; NaN where `x` is NaN.
    fn at_least(self, x: Self::V, limit: Self::V) -> Self::V;
    /// The magnitude of `magnitude` with the sign of `sign`.
    fn copysign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `x` where a < b, else `y`.
    fn select_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// 2^k, given k + [`Real::ROUND`] for an integer k from the smallest normal exponent to the largest.
    fn power_of_two(self, rounded: Self::V) -> Self::V;
    /// k and m of x = 2^k·m with m in [√½, √2), for normal x of at least √½.
    fn exponent_and_mantissa(self, x: Self::V) -> (Self::V, Self::V);
    /// The elements moved `count` lanes down, those below the first coming in at the top.
    fn rotate_left(self, a: Self::V, count: usize) -> Self::V;
    /// The sum of a vector's elements.
    fn sum(self, a: Self::V) -> Self::E;
    /// The sums of four vectors' elements, for fewer instructions than four times one.
    fn sum_four(self, a: [Self::V; 4]) -> [Self::E; 4];

    fn vectors(values: &[Self::E]) -> &[Self::V];
    fn elements(vectors: &[Self::V]) -> &[Self::E];
    fn vectors_mut(values: &mut [Self::E]) -> &mut [Self::V];
}

/// Work that runs under an instruction set.
struct Outlined<F>(F);

impl<F: FnOnce() -> R, R> WithSimd for Outlined<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> R {
        (self.0)()
    }
}

#[inline(always)]
fn outline<S: Simd, R>(simd: S, work: impl FnOnce() -> R) -> R {
    #[inline(never)]
    fn apart<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    // Scalar code needs no instruction set, and pulp makes no function of its own for it.
    if S::IS_SCALAR { apart(work) } else { simd.vectorize(Outlined(work)) }
}

/// Vectors of f64 under the instruction set `S`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DoubleLanes<S>(S);

/// Vectors of f32 under the instruction set `S`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SingleLanes<S>(S);

impl Real for f64 {
    type Lanes<S: Simd> = DoubleLanes<S>;
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const INFINITY: f64 = f64::INFINITY;
    const ROUND: f64 = 6_755_399_441_055_744.0;

    #[inline(always)]
    fn lanes<S: Simd>(simd: S) -> DoubleLanes<S> {
        DoubleLanes(simd)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn convert<'a>(values: &'a [f64], _copy: &'a mut Vec<f64>) -> &'a [f64] {
        values
    }
}

impl Real for f32 {
    type Lanes<S: Simd> = SingleLanes<S>;
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const INFINITY: f32 = f32::INFINITY;
    const ROUND: f32 = 12_582_912.0;

    #[inline(always)]
    fn lanes<S: Simd>(simd: S) -> SingleLanes<S> {
        SingleLanes(simd)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn convert<'a>(values: &'a [f64], copy: &'a mut Vec<f32>) -> &'a [f32] {
        copy.resize(values.len(), 0.0);
        for (to, from) in copy.iter_mut().zip(values) {
            *to = *from as f32;
        }
        copy
    }
}

impl<S: Simd> Lanes for DoubleLanes<S> {
    type E = f64;
    type V = S::f64s;
    const WIDTH: usize = S::F64_LANES;
    const MANY_REGISTERS: bool = S::REGISTER_COUNT >= 32;

    #[inline(always)]
    fn outline<R>(self, work: impl FnOnce() -> R) -> R {
        outline(self.0, work)
    }
    #[inline(always)]
    fn splat(self, x: f64) -> S::f64s {
        self.0.splat_f64s(x)
    }
    #[inline(always)]
    fn add(self, a: S::f64s, b: S::f64s) -> S::f64s {
        self.0.add_f64s(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::f64s, b: S::f64s) -> S::f64s {
        self.0.sub_f64s(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::f64s, b: S::f64s) -> S::f64s {
        self.0.mul_f64s(a, b)
    }
    #[inline(always)]
    fn div(self, a: S::f64s, b: S::f64s) -> S::f64s {
        self.0.div_f64s(a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: S::f64s) -> S::f64s {
        self.0.sqrt_f64s(a)
    }
    #[inline(always)]
    fn fma(self, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        self.0.mul_add_f64s(a, b, c)
    }
    #[inline(always)]
    fn negative_fma(self, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        self.0.negate_mul_add_f64s(a, b, c)
    }
    #[inline(always)]
    fn abs(self, a: S::f64s) -> S::f64s {
        bytemuck::cast(self.0.and_u64s(bytemuck::cast(a), self.0.splat_u64s(!(1 << 63))))
    }
    #[inline(always)]
    fn neg(self, a: S::f64s) -> S::f64s {
        bytemuck::cast(self.0.xor_u64s(bytemuck::cast(a), self.0.splat_u64s(1 << 63)))
    }
    #[inline(always)]
    fn at_most(self, x: S::f64s, limit: S::f64s) -> S::f64s {
        // x86's minimum returns its second operand where one is NaN, and other vector units return NaN; only scalar code drops it.
        if S::IS_SCALAR { self.select_less(limit, x, limit, x) } else { self.0.min_f64s(limit, x) }
    }
    #[inline(always)]
    fn at_least(self, x: S::f64s, limit: S::f64s) -> S::f64s {
        if S::IS_SCALAR { self.select_less(x, limit, limit, x) } else { self.0.max_f64s(limit, x) }
    }
    #[inline(always)]
    fn copysign(self, magnitude: S::f64s, sign: S::f64s) -> S::f64s {
        let sign = self.0.and_u64s(bytemuck::cast(sign), self.0.splat_u64s(1 << 63));
        bytemuck::cast(self.0.or_u64s(bytemuck::cast(self.abs(magnitude)), sign))
    }
    #[inline(always)]
    fn select_less(self, a: S::f64s, b: S::f64s, x: S::f64s, y: S::f64s) -> S::f64s {
        let mask = self.0.less_than_f64s(a, b);
        bytemuck::cast(self.0.select_u64s(mask, bytemuck::cast(x), bytemuck::cast(y)))
    }
    #[inline(always)]
    fn power_of_two(self, rounded: S::f64s) -> S::f64s {
        let mut bits: S::u64s = bytemuck::cast(rounded);
        // There is no shift of 64-bit lanes in the portable set; the compiler makes one instruction of this loop.
        for lane in bytemuck::cast_slice_mut::<S::u64s, u64>(std::slice::from_mut(&mut bits)) {
            *lane <<= 52;
        }
        bytemuck::cast(self.0.add_u64s(bits, self.0.splat_u64s(1023 << 52)))
    }
    #[inline(always)]
    fn exponent_and_mantissa(self, x: S::f64s) -> (S::f64s, S::f64s) {
        const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
        let offset = self.0.sub_u64s(bytemuck::cast(x), self.0.splat_u64s(ROOT_HALF));
        let mut exponent = offset;
        for lane in bytemuck::cast_slice_mut::<S::u64s, u64>(std::slice::from_mut(&mut exponent)) {
            *lane >>= 52;
        }
        let fraction = self.0.and_u64s(offset, self.0.splat_u64s((1 << 52) - 1));
        let mantissa = self.0.add_u64s(fraction, self.0.splat_u64s(ROOT_HALF));
        let two_52 = 4_503_599_627_370_496.0_f64;
        let exponent = self.0.or_u64s(exponent, self.0.splat_u64s(two_52.to_bits()));
        (self.sub(bytemuck::cast(exponent), self.splat(two_52)), bytemuck::cast(mantissa))
    }
    #[inline(always)]
    fn rotate_left(self, a: S::f64s, count: usize) -> S::f64s {
        self.0.rotate_left_f64s(a, count)
    }
    #[inline(always)]
    fn sum(self, a: S::f64s) -> f64 {
        self.0.reduce_sum_f64s(a)
    }
    #[inline(always)]
    fn sum_four(self, a: [S::f64s; 4]) -> [f64; 4] {
        if Self::WIDTH < 4 {
            return [self.sum(a[0]), self.sum(a[1]), self.sum(a[2]), self.sum(a[3])];
        }
        // Interleaved, even lanes belong to the first vector of a pair and odd lanes to the second.
        let mut pairs = [[a[0], a[1]], [a[2], a[3]]];
        let mut sums = [[0.0; 2]; 2];
        for p in 0..2 {
            pairs[p] = self.0.interleave_shfl_f64s(pairs[p]);
            let mut sum = self.add(pairs[p][0], pairs[p][1]);
            let mut step = Self::WIDTH / 2;
            while step >= 2 {
                sum = self.add(sum, self.0.rotate_left_f64s(sum, step));
                step /= 2;
            }
            sums[p].copy_from_slice(&bytemuck::cast_slice::<S::f64s, f64>(&[sum])[..2]);
        }
        [sums[0][0], sums[0][1], sums[1][0], sums[1][1]]
    }
    #[inline(always)]
    fn vectors(values: &[f64]) -> &[S::f64s] {
        S::as_simd_f64s(values).0
    }
    #[inline(always)]
    fn elements(vectors: &[S::f64s]) -> &[f64] {
        bytemuck::cast_slice(vectors)
    }
    #[inline(always)]
    fn vectors_mut(values: &mut [f64]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(values).0
    }
}

impl<S: Simd> Lanes for SingleLanes<S> {
    type E = f32;
    type V = S::f32s;
    const WIDTH: usize = S::F32_LANES;
    const MANY_REGISTERS: bool = S::REGISTER_COUNT >= 32;

    #[inline(always)]
    fn outline<R>(self, work: impl FnOnce() -> R) -> R {
        outline(self.0, work)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> S::f32s {
        self.0.splat_f32s(x)
    }
    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, b)
    }
    #[inline(always)]
    fn div(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.div_f32s(a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: S::f32s) -> S::f32s {
        self.0.sqrt_f32s(a)
    }
    #[inline(always)]
    fn fma(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        self.0.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn negative_fma(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        self.0.negate_mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn abs(self, a: S::f32s) -> S::f32s {
        bytemuck::cast(self.0.and_u32s(bytemuck::cast(a), self.0.splat_u32s(!(1 << 31))))
    }
    #[inline(always)]
    fn neg(self, a: S::f32s) -> S::f32s {
        bytemuck::cast(self.0.xor_u32s(bytemuck::cast(a), self.0.splat_u32s(1 << 31)))
    }
    #[inline(always)]
    fn at_most(self, x: S::f32s, limit: S::f32s) -> S::f32s {
        if S::IS_SCALAR { self.select_less(limit, x, limit, x) } else { self.0.min_f32s(limit, x) }
    }
    #[inline(always)]
    fn at_least(self, x: S::f32s, limit: S::f32s) -> S::f32s {
        if S::IS_SCALAR { self.select_less(x, limit, limit, x) } else { self.0.max_f32s(limit, x) }
    }
    #[inline(always)]
    fn copysign(self, magnitude: S::f32s, sign: S::f32s) -> S::f32s {
        let sign = self.0.and_u32s(bytemuck::cast(sign), self.0.splat_u32s(1 << 31));
        bytemuck::cast(self.0.or_u32s(bytemuck::cast(self.abs(magnitude)), sign))
    }
    #[inline(always)]
    fn select_less(self, a: S::f32s, b: S::f32s, x: S::f32s, y: S::f32s) -> S::f32s {
        let mask = self.0.less_than_f32s(a, b);
        bytemuck::cast(self.0.select_u32s(mask, bytemuck::cast(x), bytemuck::cast(y)))
    }
    #[inline(always)]
    fn power_of_two(self, rounded: S::f32s) -> S::f32s {
        let bits = self.0.wrapping_dyn_shl_u32s(bytemuck::cast(rounded), self.0.splat_u32s(23));
        bytemuck::cast(self.0.add_u32s(bits, self.0.splat_u32s(127 << 23)))
    }
    #[inline(always)]
    fn exponent_and_mantissa(self, x: S::f32s) -> (S::f32s, S::f32s) {
        const ROOT_HALF: u32 = 0x3f35_04f3;
        let offset = self.0.sub_u32s(bytemuck::cast(x), self.0.splat_u32s(ROOT_HALF));
        let exponent = self.0.wrapping_dyn_shr_u32s(offset, self.0.splat_u32s(23));
        let fraction = self.0.and_u32s(offset, self.0.splat_u32s((1 << 23) - 1));
        let mantissa = self.0.add_u32s(fraction, self.0.splat_u32s(ROOT_HALF));
        let two_23 = 8_388_608.0_f32;
        let exponent = self.0.or_u32s(exponent, self.0.splat_u32s(two_23.to_bits()));
        (self.sub(bytemuck::cast(exponent), self.splat(two_23)), bytemuck::cast(mantissa))
    }
    #[inline(always)]
    fn rotate_left(self, a: S::f32s, count: usize) -> S::f32s {
        self.0.rotate_left_f32s(a, count)
    }
    #[inline(always)]
    fn sum(self, a: S::f32s) -> f32 {
        self.0.reduce_sum_f32s(a)
    }
    #[inline(always)]
    fn sum_four(self, a: [S::f32s; 4]) -> [f32; 4] {
        if Self::WIDTH < 4 {
            return [self.sum(a[0]), self.sum(a[1]), self.sum(a[2]), self.sum(a[3])];
        }
        // Interleaved, lane i belongs to vector i mod 4.
        let parts = self.0.interleave_shfl_f32s(a);
        let mut sum = self.add(self.add(parts[0], parts[1]), self.add(parts[2], parts[3]));
        let mut step = Self::WIDTH / 2;
        while step >= 4 {
            sum = self.add(sum, self.0.rotate_left_f32s(sum, step));
            step /= 2;
        }
        let mut sums = [0.0; 4];
        sums.copy_from_slice(&bytemuck::cast_slice::<S::f32s, f32>(&[sum])[..4]);
        sums
    }
    #[inline(always)]
    fn vectors(values: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(values).0
    }
    #[inline(always)]
    fn elements(vectors: &[S::f32s]) -> &[f32] {
        bytemuck::cast_slice(vectors)
    }
    #[inline(always)]
    fn vectors_mut(values: &mut [f32]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(values).0
    }
}
