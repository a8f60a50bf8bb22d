//! Check the elementary functions against the standard library's and against values computed in 60 digits.

use super::{Lanes, Real, exp, gelu_and_slope, log_at_least_one, sigmoid, silu_and_slope, softplus_and_slope, tanh};
use crate::{Purpose, stream};
use pulp::{Arch, Simd, WithSimd};
use rand::RngExt;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Exp,
    Tanh,
    Sigmoid,
    Softplus,
    SoftplusSlope,
    Log,
    Gelu,
    GeluSlope,
    Silu,
    SiluSlope,
}
use Function::*;

const ALL: [Function; 10] = [Exp, Tanh, Sigmoid, Softplus, SoftplusSlope, Log, Gelu, GeluSlope, Silu, SiluSlope];

struct Map<'a, E> {
    function: Function,
    values: &'a mut [E],
}

impl<E: Real> WithSimd for Map<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let l = E::lanes(simd);
        for value in <E::Lanes<S> as Lanes>::vectors_mut(self.values) {
            *value = match self.function {
                Exp => exp(l, *value),
                Tanh => tanh(l, [*value])[0],
                Sigmoid => sigmoid(l, *value),
                Softplus => softplus_and_slope(l, *value).0,
                SoftplusSlope => softplus_and_slope(l, *value).1,
                Log => log_at_least_one(l, *value),
                Gelu => gelu_and_slope(l, *value).0,
                GeluSlope => gelu_and_slope(l, *value).1,
                Silu => silu_and_slope(l, *value).0,
                SiluSlope => silu_and_slope(l, *value).1,
            };
        }
    }
}

/// The instruction sets that this machine can run.
pub(crate) fn instruction_sets() -> Vec<Arch> {
    let mut sets = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
    sets
}

/// `function` at each of `xs`, on one instruction set.
fn map<E: Real>(arch: Arch, function: Function, xs: &[E]) -> Vec<E> {
    let mut values = xs.to_vec();
    values.resize(xs.len().next_multiple_of(16), E::ONE);
    arch.dispatch(Map { function, values: &mut values });
    values.truncate(xs.len());
    values
}

/// The function in f64, to about one unit in the last place.
fn reference(function: Function, x: f64) -> f64 {
    let small = (-x.abs()).exp();
    let lower = small / (1.0 + small);
    let upper = 1.0 / (1.0 + small);
    let (logistic, complement) = if x < 0.0 { (lower, upper) } else { (upper, lower) };
    match function {
        Exp => x.exp(),
        Tanh => x.tanh(),
        Sigmoid | SoftplusSlope => logistic,
        Softplus => x.max(0.0) + small.ln_1p(),
        Log => x.ln(),
        // exp(x) itself is subnormal here, its product with x is not.
        Silu if x < -700.0 => (x * (0.5 * x).exp()) * (0.5 * x).exp(),
        Silu => x * logistic,
        SiluSlope => logistic * (1.0 + x * complement),
        Gelu | GeluSlope => map(Arch::new(), function, &[x])[0],
    }
}

/// |found − expected| in units of the last place of `expected`, given the digits of the mantissa and the smallest positive number.
fn ulps(found: f64, expected: f64, digits: i32, smallest: f64) -> f64 {
    if found == expected || (found.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let unit = (expected.abs().log2().floor() - f64::from(digits)).exp2().max(smallest);
    (found - expected).abs() / unit
}

/// Points over the whole range: uniform ones near zero, and every magnitude from the subnormal to the largest.
fn points(function: Function, largest: f64, smallest: f64) -> Vec<f64> {
    let mut xs: Vec<f64> = (-40_000..=40_000).map(|i| f64::from(i) * 0.000_517_3).collect();
    xs.extend((-8_000..=8_000).map(|i| f64::from(i) * 0.097_3));
    for exponent in -1074..1024 {
        let magnitude = 2.0_f64.powi(exponent) * 1.37;
        if magnitude >= smallest && magnitude < largest {
            xs.extend([magnitude, -magnitude]);
        }
    }
    xs.extend([smallest, -smallest, largest, -largest, 0.0]);
    if function == Log {
        xs.retain(|x| *x >= 1.0);
    }
    xs
}

/// Random bit patterns: every sign, exponent and mantissa alike, subnormal numbers among them.
fn random_doubles(function: Function) -> Vec<f64> {
    let mut rng = stream(7, 0, Purpose::Test);
    let random = (0..60_000).map(|_| f64::from_bits(rng.random()));
    // Half of all exponents are far outside the range where anything happens; these are inside it.
    let mut near = stream(8, 0, Purpose::Test);
    let inside = (0..60_000).map(|_| {
        let bits: u64 = near.random();
        f64::from_bits(bits & !(0x7ff << 52) | (1023 - 30 + (bits >> 52) % 40) << 52)
    });
    random.chain(inside).filter(|x| x.is_finite() && (function != Log || *x >= 1.0)).collect()
}

fn random_singles(function: Function) -> Vec<f32> {
    let mut rng = stream(9, 0, Purpose::Test);
    let random = (0..120_000).map(|_| f32::from_bits(rng.random()));
    random.filter(|x| x.is_finite() && (function != Log || *x >= 1.0)).collect()
}

#[test]
fn random_bit_patterns_are_within_four_units_in_the_last_place() {
    for arch in instruction_sets() {
        for function in ALL {
            let xs = random_doubles(function);
            let (error, at) = worst(function, &map(arch, function, &xs), &xs, 52, f64::from_bits(1), |x| x);
            assert!(error <= 4.0, "{function:?} on {arch:?}: {error} units at {at:e}");
            let xs = random_singles(function);
            let found: Vec<f64> = map(arch, function, &xs).iter().map(|x| f64::from(*x)).collect();
            let xs: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
            let (error, at) = worst(function, &found, &xs, 23, f64::from(f32::from_bits(1)), |x| f64::from(x as f32));
            assert!(error <= 4.0, "single {function:?} on {arch:?}: {error} units at {at:e}");
        }
    }
}

#[test]
fn tanh_is_odd_bit_for_bit_and_never_beyond_one() {
    for arch in instruction_sets() {
        let xs: Vec<f64> = random_doubles(Tanh);
        let mirrored: Vec<f64> = xs.iter().map(|x| -x).collect();
        for (y, z) in map(arch, Tanh, &xs).iter().zip(&map(arch, Tanh, &mirrored)) {
            assert_eq!(y.to_bits(), (-z).to_bits());
            assert!(y.abs() <= 1.0);
        }
        let xs: Vec<f32> = random_singles(Tanh);
        let mirrored: Vec<f32> = xs.iter().map(|x| -x).collect();
        for (y, z) in map(arch, Tanh, &xs).iter().zip(&map(arch, Tanh, &mirrored)) {
            assert_eq!(y.to_bits(), (-z).to_bits());
            assert!(y.abs() <= 1.0);
        }
        assert_eq!(map(arch, Tanh, &[f64::MAX, f64::MIN]), [1.0, -1.0]);
        assert_eq!(map(arch, Tanh, &[f32::MAX, f32::MIN]), [1.0, -1.0]);
    }
}

/// The largest error in units in the last place, and where. Slopes that cross zero are judged on the scale of 1.
fn worst(function: Function, found: &[f64], xs: &[f64], digits: i32, smallest: f64, round: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut worst = (0.0, 0.0);
    for (x, found) in xs.iter().zip(found) {
        let expected = reference(function, *x);
        let crosses = matches!(function, GeluSlope | SiluSlope);
        let error = if crosses && expected.is_finite() && expected.abs() < 1.0 {
            (found - expected).abs() / 2.0_f64.powi(-digits)
        } else {
            ulps(*found, if round(expected).is_infinite() { round(expected) } else { expected }, digits, smallest)
        };
        if error > worst.0 || error.is_nan() {
            worst = (error, *x);
        }
    }
    worst
}

#[test]
fn double_functions_are_within_four_units_in_the_last_place() {
    for arch in instruction_sets() {
        for function in ALL {
            let xs = points(function, f64::MAX, f64::from_bits(1));
            let found = map(arch, function, &xs);
            let (error, at) = worst(function, &found, &xs, 52, f64::from_bits(1), |x| x);
            assert!(error <= 4.0, "{function:?} on {arch:?}: {error} units at {at}");
        }
    }
}

#[test]
fn single_functions_are_within_four_units_in_the_last_place() {
    for arch in instruction_sets() {
        for function in ALL {
            let xs: Vec<f32> =
                points(function, f64::from(f32::MAX), f64::from(f32::from_bits(1))).iter().map(|x| *x as f32).collect();
            let found: Vec<f64> = map(arch, function, &xs).iter().map(|x| f64::from(*x)).collect();
            let xs: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
            let (error, at) = worst(function, &found, &xs, 23, f64::from(f32::from_bits(1)), |x| f64::from(x as f32));
            assert!(error <= 4.0, "{function:?} on {arch:?}: {error} units at {at}");
        }
    }
}

#[test]
fn gelu_matches_sixty_digits() {
    // (x, x·Φ(x), Φ(x) + x·φ(x))
    #[rustfmt::skip]
    let exact = [
        (-37.5, -1.7270073785932332e-306, -6.476271143055812e-305),
        (-30.25, -7.891136864367313e-200, -2.3870632308191575e-198),
        (-20.1, -7.416258536079994e-89, -1.4906499224620214e-87),
        (-12.7, -3.754736413362103e-36, -4.7681595122108847e-35),
        (-9.3, -6.530724343610712e-20, -6.072036428083129e-19),
        (-6.6, -1.3568206802036852e-10, -8.946509070551139e-10),
        (-5.0, -1.4332578593959695e-06, -7.146946001792295e-06),
        (-4.1, -8.469577834144176e-05, -0.00034531528751369846),
        (-3.3, -0.0015952996698664658, -0.00520105335649337),
        (-2.7, -0.009360829268209801, -0.02466955019590033),
        (-2.2, -0.030587584529696933, -0.06414065674821053),
        (-1.7, -0.07576128668952317, -0.11531796878216473),
        (-1.3, -0.12584062996129342, -0.12597868507653923),
        (-0.9, -0.16565411281208353, -0.05541659956211986),
        (-0.7517915246935645, -0.16997120747990366, -6.453751729367753e-18),
        (-0.5, -0.15426876936299344, 0.13250487534383715),
        (-0.3, -0.1146265733433142, 0.26767223317289013),
        (-0.1, -0.0460172162722971, 0.4204769079752698),
        (-0.01, -0.004960106436853684, 0.49202142034750757),
        (-1e-05, -4.999960105771961e-06, 0.49999202115439223),
        (-1e-200, -5e-201, 0.5),
        (1e-300, 5e-301, 0.5),
        (1e-08, 5.000000039894228e-09, 0.5000000079788456),
        (0.02, 0.01015956627433804, 0.5159555637153753),
        (0.2, 0.11585194188782061, 0.6574682482341943),
        (0.4, 0.2621686966441297, 0.8027297977316535),
        (0.8, 0.6305156811332827, 1.0198978436257895),
        (1.1, 0.9507673329589792, 1.103971333789423),
        (1.6, 1.5123211332807074, 1.1226740437875709),
        (2.4, 2.380325913780969, 1.0455493367830269),
        (3.1, 3.097000430039023, 1.0091595358610015),
        (4.7, 4.699993886204966, 1.0000286373708867),
        (6.2, 6.199999998249642, 1.0000000108391445),
        (8.1, 8.099999999999998, 1.000000000000018),
        (9.5, 9.5, 1.0),
    ];
    let xs = exact.map(|(x, _, _)| x);
    let singles = xs.map(|x| x as f32);
    for arch in instruction_sets() {
        let (values, slopes) = (map(arch, Gelu, &xs), map(arch, GeluSlope, &xs));
        let single = map(arch, Gelu, &singles);
        for (i, (x, value, slope)) in exact.into_iter().enumerate() {
            let error = ulps(values[i], value, 52, f64::from_bits(1));
            assert!(error <= 4.0, "gelu({x}) is {} and not {value}: {error} units", values[i]);
            assert!((slopes[i] - slope).abs() <= 4.0 * f64::EPSILON, "slope at {x} is {} and not {slope}", slopes[i]);
            if f64::from(singles[i]) == x {
                let error = ulps(f64::from(single[i]), value, 23, f64::from(f32::from_bits(1)));
                assert!(error <= 4.0, "single gelu({x}) is {} and not {value}: {error} units", single[i]);
            }
        }
    }
}

#[test]
fn limits_and_nan_are_right() {
    let inf = f64::INFINITY;
    let limits = [
        (Exp, 0.0, inf),
        (Tanh, -1.0, 1.0),
        (Sigmoid, 0.0, 1.0),
        (Softplus, 0.0, inf),
        (SoftplusSlope, 0.0, 1.0),
        (Gelu, 0.0, inf),
        (GeluSlope, 0.0, 1.0),
        (Silu, 0.0, inf),
        (SiluSlope, 0.0, 1.0),
    ];
    for arch in instruction_sets() {
        for (function, low, high) in limits {
            assert_eq!(map(arch, function, &[-inf, inf]), [low, high], "{function:?} on {arch:?}");
            assert_eq!(map(arch, function, &[f32::NEG_INFINITY, f32::INFINITY]), [low as f32, high as f32], "{function:?}");
        }
        assert_eq!(map(arch, Log, &[1.0, inf]), [0.0, inf]);
        for function in ALL {
            assert!(map(arch, function, &[f64::NAN])[0].is_nan(), "{function:?} swallows NaN on {arch:?}");
            assert!(map(arch, function, &[f32::NAN])[0].is_nan(), "{function:?} swallows NaN on {arch:?}");
        }
        let signs: Vec<bool> = map(arch, Tanh, &[0.0, -0.0]).iter().map(|x: &f64| x.is_sign_negative()).collect();
        assert_eq!(signs, [false, true]);
    }
}

#[test]
fn monotone_functions_do_not_fall() {
    // Steps of 1e-3 are far above the rounding of all of these until they saturate, and there they are flat.
    let xs: Vec<f64> = (-50_000..=50_000).map(|i| f64::from(i) * 1e-3).collect();
    let singles: Vec<f32> = xs.iter().map(|x| *x as f32).collect();
    for arch in instruction_sets() {
        for function in [Exp, Tanh, Sigmoid, Softplus, SoftplusSlope] {
            assert!(map(arch, function, &xs).is_sorted(), "{function:?} on {arch:?}");
            assert!(map(arch, function, &singles).is_sorted(), "single {function:?} on {arch:?}");
        }
        let from_one: Vec<f64> = xs.iter().copied().filter(|x| *x >= 1.0).collect();
        assert!(map(arch, Log, &from_one).is_sorted());
    }
}
