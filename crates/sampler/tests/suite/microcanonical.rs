//! Check the microcanonical samplers: moments of the exact ones, the predicted bias of the unadjusted one, contracts and limits.

use crate::moments::check;
use crate::support::{mean_and_error, normal};
use ergodic_draws::Draws;
use ergodic_model::{LogDensity, density};
use ergodic_sampler::{
    EnergyVariance, EnergyVarianceTarget, Integrator, Mams, Mclmc, Method, Run, Scaling, SliceGhmc, check_contract, sample,
};

#[test]
fn mams_with_long_trajectories() {
    check(&Mams { trajectory_length: 1.5, ..Mams::default() });
}

#[test]
fn mams_with_the_integrator_of_two_stages() {
    check(&Mams { trajectory_length: 1.5, integrator: Integrator::MinimalNorm, ..Mams::default() });
}

#[test]
fn slice_ghmc_with_its_defaults() {
    check(&SliceGhmc::default());
}

#[test]
fn slice_ghmc_with_a_short_length_and_the_integrator_of_three_stages() {
    check(&SliceGhmc { decoherence_length: 0.7, integrator: Integrator::ThreeStage, ..SliceGhmc::default() });
}

/// A normal that ends at −1 in its first coordinate.
fn ending() -> impl LogDensity {
    density(3, |x: &[f64], gradient: &mut [f64]| {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = -x;
        }
        if x[0] < -1.0 { f64::NAN } else { -0.5 * x.iter().map(|x| x * x).sum::<f64>() }
    })
}

#[test]
fn the_family_keeps_the_contract_of_kernels_in_all_its_settings() {
    let start = [0.1, 0.2, 0.3];
    for integrator in Integrator::ALL {
        for fixed_step_size in [None, Some(0.4)] {
            check_contract(&SliceGhmc { integrator, fixed_step_size, ..SliceGhmc::default() }, &mut ending(), &start, 90)
                .unwrap();
            check_contract(&Mams { integrator, fixed_step_size, ..Mams::default() }, &mut ending(), &start, 90).unwrap();
            for target in [EnergyVarianceTarget::strict(), EnergyVarianceTarget::loose()] {
                let adaptation = EnergyVariance { target, fixed_step_size, ..EnergyVariance::default() };
                check_contract(&Mclmc { integrator, adaptation, ..Mclmc::default() }, &mut ending(), &start, 90).unwrap();
            }
        }
    }
    for scaling in [Scaling::ByBlock, Scaling::ByCoordinate] {
        check_contract(&SliceGhmc { scaling, ..SliceGhmc::default() }, &mut ending(), &start, 90).unwrap();
        check_contract(&Mams { scaling, ..Mams::default() }, &mut ending(), &start, 90).unwrap();
        check_contract(&Mclmc { scaling, ..Mclmc::default() }, &mut ending(), &start, 90).unwrap();
    }
    let short = Mclmc { decoherence_length: 0.01, steps_per_draw: 3, ..Mclmc::default() };
    check_contract(&short, &mut ending(), &start, 90).unwrap();
    check_contract(&SliceGhmc { decoherence_length: f64::INFINITY, ..SliceGhmc::default() }, &mut ending(), &start, 90)
        .unwrap();
}

const DIM: usize = 20;

/// MCLMC on a standard normal with a step of `h` times √D.
fn unadjusted(h: f64) -> Draws {
    let fixed_step_size = Some(h * (DIM as f64).sqrt());
    let adaptation = EnergyVariance { fixed_step_size, tolerance: 1e9, ..EnergyVariance::default() };
    let run = Run { chains: 4, warmup: 200, draws: 25_000, seed: 3, ..Run::default() };
    sample(&normal(&[1.0; DIM]), &Mclmc { adaptation, ..Mclmc::default() }, &run).unwrap()
}

/// Relative error of the variance, pooled over the coordinates, and its standard error.
fn bias(draws: &Draws) -> (f64, f64) {
    let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>() / DIM as f64;
    let chains: Vec<Vec<f64>> = draws.chains().iter().map(|chain| chain.positions().map(square).collect()).collect();
    let (mean, error) = mean_and_error(&chains);
    (mean - 1.0, error)
}

/// Leapfrog follows the Hamiltonian H + ε²(pᵀV''p/12 − |∇V|²/24) up to ε⁴. At speed 1 a coordinate moves by ε/√D = h of its scale; on a
/// standard normal the first term is constant at constant speed, and the second leaves a normal of variance 1/(1 − h²/12). Standard
/// errors are below 2 % of the larger bias and 5 % of the smaller: their ratio, which is 2² and 4 % more by the next term, lies within
/// 1 of its value, 5 standard errors, in all but one of 10⁶ runs. Laws of ε and ε⁴ have ratios of 2 and 16. The energy variance
/// follows ε⁶: a ratio of 64, and within 25 % for 800,000 steps.
#[test]
fn the_bias_falls_with_the_square_of_the_step_and_the_energy_variance_with_its_sixth_power() {
    let (large, small) = (unadjusted(0.8), unadjusted(0.4));
    let ((large_bias, large_error), (small_bias, small_error)) = (bias(&large), bias(&small));
    assert!(large_error < 0.0011 && small_error < 0.0007, "{large_error} {small_error}");
    let predicted = |h: f64| 1.0 / (1.0 - h * h / 12.0) - 1.0;
    assert!((large_bias / predicted(0.8) - 1.0).abs() < 0.15, "{large_bias} for {}", predicted(0.8));
    let ratio = large_bias / small_bias;
    assert!((ratio - 4.17).abs() < 1.0, "{large_bias} and {small_bias}");
    let variance = |draws: &Draws| {
        let rows = draws.chains().iter().map(|chain| chain.statistics.column("energy_variance_per_dimension").unwrap());
        let all: Vec<f64> = rows.flatten().collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let ratio = variance(&large) / variance(&small);
    assert!((48.0..80.0).contains(&ratio), "{ratio}");
    // What is recorded is what the report says of the run.
    let reported: f64 = small.report.chains.iter().map(|chain| chain.tuned["energy_variance_per_dimension"]).sum::<f64>() / 4.0;
    assert!((reported / variance(&small) - 1.0).abs() < 1e-9);
}

/// The adapted step keeps the bias of the variance, h²/4, where the target of 5·10⁻⁴ puts it; the loose schedule does not.
#[test]
fn the_strict_target_bounds_the_bias_and_the_loose_one_costs_some() {
    let run = Run { chains: 4, warmup: 1000, draws: 10_000, seed: 4, ..Run::default() };
    let with = |target| {
        let adaptation = EnergyVariance { target, ..EnergyVariance::default() };
        let draws = sample(&normal(&[1.0; DIM]), &Mclmc { adaptation, ..Mclmc::default() }, &run).unwrap();
        let steps: Vec<f64> = draws.report.chains.iter().map(|chain| chain.tuned["step_size"]).collect();
        assert!(steps.iter().all(|step_size| *step_size == steps[0]), "chains share one step: {steps:?}");
        assert!(draws.report.warnings.is_empty(), "{:?}", draws.report.warnings);
        (bias(&draws), steps[0])
    };
    let ((strict, _), strict_step) = with(EnergyVarianceTarget::strict());
    let ((loose, _), loose_step) = with(EnergyVarianceTarget::loose());
    assert!(strict.abs() < 0.1 && loose > strict + 0.05, "{strict} {loose}");
    assert!(loose_step > 1.5 * strict_step);
}

#[test]
fn a_step_beyond_its_target_is_warned_of_and_the_draws_say_that_they_are_biased() {
    let adaptation = EnergyVariance { fixed_step_size: Some(5.0), ..EnergyVariance::default() };
    let run = Run { chains: 2, warmup: 10, draws: 200, ..Run::default() };
    let draws = sample(&normal(&[1.0; 10]), &Mclmc { adaptation, ..Mclmc::default() }, &run).unwrap();
    let warned = draws.report.warnings.iter().filter(|warning| warning.contains("energy variance per dimension")).count();
    assert_eq!(warned, 2, "{:?}", draws.report.warnings);
    assert!(draws.caveat().is_some_and(|caveat| caveat.contains("noise scale")), "{:?}", draws.caveat());
}

#[test]
fn a_single_coordinate_is_refused_with_the_way_out() {
    fn refused<M: Method>(method: &M) {
        let error = sample(&normal(&[1.0]), method, &Run::default()).unwrap_err().to_string();
        assert!(error.contains("at least 2 coordinates, not 1; use nuts or hmc"), "{error}");
    }
    refused(&Mclmc::default());
    refused(&SliceGhmc::default());
    refused(&Mams::default());
}

/// Two coordinates are the fewest; scales far from the prior's are found.
#[test]
fn two_coordinates_and_scales_far_from_the_priors() {
    let run = Run { chains: 4, warmup: 1500, draws: 8000, seed: 5, ..Run::default() };
    for scale in [1e-6, 1e6] {
        let target = normal(&[scale, scale]);
        let relative = |draws: &Draws| {
            let chains: Vec<Vec<f64>> =
                draws.chains().iter().map(|chain| chain.positions().map(|x| (x[0] / scale).powi(2)).collect()).collect();
            mean_and_error(&chains)
        };
        // The trajectory's length is in prior standard deviations; it has to be given where the posterior's are far from them.
        let mams = Mams { trajectory_length: scale, ..Mams::default() };
        let (mean, error) = relative(&sample(&target, &mams, &run).unwrap());
        assert!((mean - 1.0).abs() < 4.5 * error && error < 0.1, "{mean} ± {error} at {scale}");
        let ghmc = SliceGhmc { decoherence_length: 2.0 * scale, ..SliceGhmc::default() };
        let (mean, error) = relative(&sample(&target, &ghmc, &run).unwrap());
        assert!((mean - 1.0).abs() < 4.5 * error && error < 0.1, "{mean} ± {error} at {scale}");
    }
}
