//! Sweep the contract for undefined and remarkable inputs: each gives a value or a reason, as documented.

mod support;

use ergodic_diagnostics::{self as d, Diagnostic, Status};
use support::Uniform;

fn good(chains: usize, draws: usize) -> Vec<Vec<f64>> {
    let mut uniform = Uniform(5);
    (0..chains).map(|_| uniform.series(draws, 0.2)).collect()
}

fn rhats(chains: &[Vec<f64>]) -> Vec<Diagnostic> {
    vec![d::rhat(chains), d::rhat_bulk(chains), d::rhat_folded(chains), d::rhat_split(chains), d::rhat_basic(chains)]
}

fn sizes(chains: &[Vec<f64>]) -> Vec<Diagnostic> {
    vec![
        d::ess_bulk(chains),
        d::ess_tail(chains),
        d::ess_mean(chains),
        d::ess_sd(chains),
        d::ess_median(chains),
        d::ess_quantile(chains, 0.9),
        d::ess_basic(chains),
    ]
}

fn errors(chains: &[Vec<f64>]) -> Vec<Diagnostic> {
    vec![d::mcse_mean(chains), d::mcse_sd(chains), d::mcse_median(chains), d::mcse_quantile(chains, 0.9)]
}

/// All diagnostics are undefined for the one reason.
fn assert_all(chains: &[Vec<f64>], reason: Status) {
    for diagnostic in [rhats(chains), sizes(chains), errors(chains)].concat() {
        assert!(diagnostic.value.is_nan());
        assert_eq!(diagnostic.status, reason, "{chains:?}");
    }
}

#[test]
fn non_finite_draws() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut chains = good(4, 100);
        chains[2][57] = bad;
        assert_all(&chains, Status::NonFinite);
    }
}

#[test]
fn equal_draws() {
    assert_all(&vec![vec![3.5; 100]; 4], Status::Constant);
    // 0.1 has no finite binary expansion: the variance of equal values must not be computed from rounding.
    assert_all(&vec![vec![0.1; 101]; 3], Status::Constant);
}

#[test]
fn one_chain_that_stands_still_is_computed() {
    let mut chains = good(4, 100);
    chains[1] = vec![1.0; 100];
    for diagnostic in rhats(&chains) {
        assert!(diagnostic.status == Status::Ok && diagnostic.value.is_finite());
    }
    assert!(d::rhat(&chains).value > 1.05 && d::ess_bulk(&chains).value < 100.0);
}

#[test]
fn chains_that_stand_still_apart() {
    let chains: Vec<Vec<f64>> = [0.1, 0.7, 2.3, 3.9].iter().map(|&x| vec![x; 100]).collect();
    for diagnostic in [d::rhat(&chains), d::rhat_bulk(&chains), d::rhat_split(&chains), d::rhat_basic(&chains)] {
        assert_eq!((diagnostic.value, diagnostic.status), (f64::INFINITY, Status::ChainsStuckApart));
    }
    let bulk = d::ess_bulk(&chains);
    assert_eq!(bulk.status, Status::ChainsStuckApart);
    assert!(bulk.value < 5.0);
}

#[test]
fn one_chain() {
    let chains = good(1, 200);
    assert_eq!(d::rhat(&chains).status, Status::SingleChain);
    assert!(d::rhat(&chains).value < 1.05);
    assert_eq!(d::ess_bulk(&chains).status, Status::SingleChain);
    assert_eq!(d::rhat_basic(&chains).status, Status::TooFewChains);
    assert_eq!(d::rhat(&[] as &[Vec<f64>]).status, Status::TooFewChains);
}

#[test]
fn short_chains() {
    for draws in 0..4 {
        let chains: Vec<Vec<f64>> = good(4, 50).iter().map(|chain| chain[..draws].to_vec()).collect();
        assert_all(&chains, Status::TooFewDraws);
    }
    for draws in 4..12 {
        let chains: Vec<Vec<f64>> = good(4, 50).iter().map(|chain| chain[..draws].to_vec()).collect();
        for diagnostic in [d::rhat(&chains), d::ess_bulk(&chains), d::ess_mean(&chains), d::mcse_mean(&chains)] {
            assert!(diagnostic.status.is_defined(), "{draws} draws: {diagnostic}");
        }
    }
}

#[test]
fn the_middle_draw_of_an_odd_chain_counts_for_no_half() {
    let chains = good(4, 101);
    let mut other = chains.clone();
    other.iter_mut().for_each(|chain| chain[50] += 0.25);
    assert_eq!(d::rhat_split(&chains), d::rhat_split(&other));
    assert_eq!(d::rhat_bulk(&chains), d::rhat_bulk(&other));
    assert_ne!(d::rhat_basic(&chains), d::rhat_basic(&other));
}

#[test]
fn negatively_correlated_draws_are_capped() {
    let chain: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let found = d::ess_mean(&vec![chain; 4]);
    assert_eq!(found.status, Status::Capped);
    assert!((found.value / (400.0 * 400f64.log10()) - 1.0).abs() < 1e-12);
    assert_eq!(found.get(), Some(found.value), "a remark does not take the value away");
}

#[test]
fn chains_of_different_length_are_cut_to_the_shortest() {
    let mut chains = good(3, 100);
    let cut: Vec<Vec<f64>> = chains.iter().map(|chain| chain[..80].to_vec()).collect();
    chains[1].truncate(80);
    assert_eq!(d::rhat(&chains), d::rhat(&cut));
    assert_eq!(d::ess_tail(&chains), d::ess_tail(&cut));
}

#[test]
fn draws_whose_squares_overflow_have_a_reason() {
    let chains: Vec<Vec<f64>> = good(4, 100).iter().map(|c| c.iter().map(|x| x * 1e200).collect()).collect();
    assert_eq!(d::rhat_split(&chains).status, Status::OutOfRange);
    assert_eq!(d::ess_mean(&chains).status, Status::OutOfRange);
    assert_eq!(d::rhat_bulk(&chains).status, Status::Ok, "ranks do not mind");
    let tiny: Vec<Vec<f64>> = good(4, 100).iter().map(|c| c.iter().map(|x| x * 1e-200).collect()).collect();
    assert_eq!(d::ess_mean(&tiny).status, Status::OutOfRange);
}
