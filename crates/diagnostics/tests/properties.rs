//! Check what must hold for every set of chains, and that R-hat points the right way.

mod support;

use ergodic_diagnostics as d;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::Uniform;

/// 1 to 5 chains of 4 to 60 whole numbers, so that ties occur and transforms keep distinct values distinct.
fn chains() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (1usize..6, 4usize..60).prop_flat_map(|(chains, draws)| {
        prop::collection::vec(prop::collection::vec((-40i32..40).prop_map(f64::from), draws), chains)
    })
}

/// Any numbers at all, of any lengths.
fn anything() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(prop::num::f64::ANY, 0..30), 0..4)
}

/// A diagnostic that takes the chains of a scalar.
type Scalar = fn(&[Vec<f64>]) -> d::Diagnostic;

const ALL: [(&str, Scalar); 16] = [
    ("rhat", |c| d::rhat(c)),
    ("rhat_bulk", |c| d::rhat_bulk(c)),
    ("rhat_folded", |c| d::rhat_folded(c)),
    ("rhat_split", |c| d::rhat_split(c)),
    ("rhat_basic", |c| d::rhat_basic(c)),
    ("ess_bulk", |c| d::ess_bulk(c)),
    ("ess_tail", |c| d::ess_tail(c)),
    ("ess_mean", |c| d::ess_mean(c)),
    ("ess_sd", |c| d::ess_sd(c)),
    ("ess_median", |c| d::ess_median(c)),
    ("ess_quantile", |c| d::ess_quantile(c, 0.1)),
    ("ess_basic", |c| d::ess_basic(c)),
    ("mcse_mean", |c| d::mcse_mean(c)),
    ("mcse_sd", |c| d::mcse_sd(c)),
    ("mcse_median", |c| d::mcse_median(c)),
    ("mcse_quantile", |c| d::mcse_quantile(c, 0.9)),
];

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn ranks_know_nothing_of_monotone_transforms(chains in chains()) {
        let transformed: Vec<Vec<f64>> = chains.iter().map(|c| c.iter().map(|x| (x / 9.0).exp()).collect()).collect();
        for (name, diagnostic) in [ALL[1], ALL[5]] {
            let (plain, other) = (diagnostic(&chains), diagnostic(&transformed));
            prop_assert_eq!(plain.status, other.status, "{}", name);
            prop_assert!(plain.value.to_bits() == other.value.to_bits(), "{}: {} and {}", name, plain, other);
        }
    }

    #[test]
    fn the_order_of_chains_does_not_matter(chains in chains()) {
        let mut reversed = chains.clone();
        reversed.reverse();
        for (name, diagnostic) in ALL {
            let (plain, other) = (diagnostic(&chains), diagnostic(&reversed));
            prop_assert_eq!(plain.status, other.status, "{}", name);
            prop_assert!(plain.value.is_nan() || near(plain.value, other.value), "{}: {} and {}", name, plain, other);
        }
    }

    #[test]
    fn values_stay_in_their_bounds(chains in chains()) {
        let (halves, half) = (2 * chains.len(), chains[0].len() / 2);
        let total = (halves * half) as f64;
        for (name, diagnostic) in ALL {
            let Some(value) = diagnostic(&chains).get() else { continue };
            if name.starts_with("rhat") && name != "rhat_basic" {
                prop_assert!(value >= ((half as f64 - 1.0) / half as f64).sqrt() - 1e-12, "{} {}", name, value);
            }
            if name.starts_with("ess") && name != "ess_basic" {
                prop_assert!(value > 0.0 && value <= total * total.log10() * (1.0 + 1e-12), "{} {}", name, value);
            }
            if name.starts_with("mcse") {
                prop_assert!(value >= 0.0, "{} {}", name, value);
            }
        }
        if chains.len() > 1 && chains.len().is_multiple_of(2) {
            let superchains: Vec<usize> = (0..chains.len()).map(|c| c % 2).collect();
            let nested = d::nested_rhat(&chains, &superchains).unwrap();
            prop_assert!(nested.get().is_none_or(|value| value >= 1.0), "{}", nested);
        }
    }

    #[test]
    fn spread_and_place_of_the_draws_do_not_matter(chains in chains()) {
        let moved: Vec<Vec<f64>> = chains.iter().map(|c| c.iter().map(|x| 4.0 * x - 64.0).collect()).collect();
        for (name, diagnostic) in ALL {
            let (plain, other) = (diagnostic(&chains), diagnostic(&moved));
            let unit = if name.starts_with("mcse") { 4.0 } else { 1.0 };
            prop_assert!(plain.value.is_nan() || near(unit * plain.value, other.value), "{}: {} and {}", name, plain, other);
        }
    }

    #[test]
    fn every_value_or_a_reason_and_never_a_panic(chains in anything()) {
        for (name, diagnostic) in ALL {
            let found = diagnostic(&chains);
            prop_assert!(found.value.is_nan() != found.status.is_defined(), "{}: {:?}", name, found);
        }
        let summary = d::ScalarSummary::compute(&chains);
        prop_assert!(summary.rhat.value.is_nan() != summary.rhat.status.is_defined());
        let all = chains.concat();
        let interval = d::highest_density_interval(&all, 0.5);
        prop_assert!(interval.lower.is_nan() != interval.status.is_defined());
        let fraction = d::ebfmi(&all);
        prop_assert!(fraction.value.is_nan() != fraction.status.is_defined());
        prop_assert_eq!(d::autocorrelation(&all).len(), all.len());
    }
}

#[test]
fn chains_that_disagree_have_a_large_rhat() {
    // An inverted R-hat, sqrt(W / var), is below 1 exactly here; a test that asks only for small values would accept it.
    let mut uniform = Uniform(21);
    let agreeing: Vec<Vec<f64>> = (0..4).map(|_| uniform.series(500, 0.3)).collect();
    let shifted: Vec<Vec<f64>> =
        agreeing.iter().zip(0u32..).map(|(c, k)| c.iter().map(|x| x + 2.0 * f64::from(k)).collect()).collect();
    let scaled: Vec<Vec<f64>> =
        agreeing.iter().zip(0i32..).map(|(c, k)| c.iter().map(|x| x * 4f64.powi(k)).collect()).collect();
    for (name, diagnostic) in &ALL[..5] {
        let inverted = |chains: &[Vec<f64>]| 1.0 / diagnostic(chains).value;
        assert!(diagnostic(&agreeing).value < 1.01, "{name}");
        assert!(inverted(&shifted) < 1.5, "the inverted twin must be told apart");
        if *name != "rhat_folded" {
            assert!(diagnostic(&shifted).value > 1.5, "{name}");
        }
    }
    assert!(d::rhat_folded(&scaled).value > 1.5 && d::rhat(&scaled).value > 1.5);
    assert!(d::rhat_split(&scaled).value < 1.1, "without folding, a difference in scale goes unseen");
    assert!(d::ess_bulk(&shifted).value < 20.0, "chains that disagree are worth few draws");
}

#[test]
fn effective_sample_size_follows_the_known_autocorrelation() {
    // A stationary AR(1) series of n draws is worth n (1 − ρ) / (1 + ρ). With 4 × 20,000 draws the estimate scatters by about 3 %
    // (batch spread over seeds), so 15 % is five standard deviations: a false alarm about once in 10^6.
    let mut uniform = Uniform(22);
    for rho in [-0.5, 0.0, 0.5, 0.9] {
        let chains: Vec<Vec<f64>> = (0..4).map(|_| uniform.series(20_000, rho)).collect();
        let expected = 80_000.0 * (1.0 - rho) / (1.0 + rho);
        let found = d::ess_mean(&chains).value;
        assert!((found / expected - 1.0).abs() < 0.15, "ρ = {rho}: {found} and {expected}");
        let wrong_sign = 80_000.0 * (1.0 + rho) / (1.0 - rho);
        assert!(rho == 0.0 || (found / wrong_sign - 1.0).abs() > 0.15, "a swapped sign must be told apart");
    }
}
