//! Hold Pathfinder against posteriors whose evidence and moments are known, and against what can go wrong along a path.

use crate::posteriors::{LN_2PI, Normal, Regression, half_line};
use ergodic_baselines::{
    DiagonalNormal, FitError, FitObserver, LowRankNormal, Pathfinder, PathfinderFit, Progress, pathfinder, pathfinder_observed,
    pathfinder_start,
};
use ergodic_draws::{Origin, Outcome};
use ergodic_model::{EvaluationError, LogDensity, Posterior, Purpose, density, stream};
use std::ops::ControlFlow;

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn bits(fit: &PathfinderFit) -> Vec<u64> {
    fit.draws.positions().flatten().map(|x| x.to_bits()).collect()
}

/// The mean of log p − log q over draws of `normal`, where `log_q` is what is claimed to be its log density.
fn claimed_evidence(posterior: &Normal, normal: &LowRankNormal, log_q: impl Fn(&[f64], f64) -> f64) -> f64 {
    let (mut density, mut rng) = (posterior.clone(), stream(8, 0, Purpose::Test));
    let (mut x, mut gradient) = (vec![0.0; normal.dim()], vec![0.0; normal.dim()]);
    let mut ratio = || {
        let own = normal.draw(&mut rng, &mut x);
        density.log_density_and_gradient(&x, &mut gradient).expect("a normal") - log_q(&x, own)
    };
    mean_of(&(0..2000).map(|_| ratio()).collect::<Vec<_>>())
}

// The posterior is normal and normalised, so its log evidence is 0. Six steps determine a Hessian of five dimensions to about a hundredth.
// The twins: a density without its log determinant (a missing Jacobian), and one whose covariance is diagonal (a wrong inverse Hessian).
#[test]
fn a_normal_posterior_is_found_with_its_evidence() {
    let posterior = Normal::ill_conditioned(5);
    let fit = pathfinder(&posterior, &Pathfinder { elbo_draws: 100, ..Pathfinder::default() }).unwrap();
    assert!(fit.elbo.abs() < 0.05 && fit.elbo < 4.0 * fit.elbo_se, "{} ± {}", fit.elbo, fit.elbo_se);
    assert!(fit.weights.log_mean.abs() < 0.05 && fit.weights.is_reliable(), "{:?}", fit.weights.khat);
    assert!(fit.weights.khat.is_ok_and(|khat| khat < 0.5), "{:?}", fit.weights.khat);
    let covariance = posterior.precision.clone().try_inverse().unwrap();
    for i in 0..5 {
        let x = &fit.draws.coordinate(i)[0];
        let (mean, sd) = (mean_of(x), covariance[(i, i)].sqrt());
        // 1000 draws, resampled from as many or more: standard errors below 0.05 sd.
        assert!((mean - posterior.mean[i]).abs() < 0.25 * sd, "mean {i}: {mean}");
        let variance = mean_of(&x.iter().map(|x| (x - mean).powi(2)).collect::<Vec<_>>());
        assert!((variance.sqrt() / sd - 1.0).abs() < 0.15, "sd {i}: {}", variance.sqrt() / sd);
    }
    let normal = &fit.normals[0];
    let claimed = |log_q: &dyn Fn(&[f64], f64) -> f64| claimed_evidence(&posterior, normal, log_q);
    assert!(claimed(&|_, own| own).abs() < 0.05, "{}", claimed(&|_, own| own));
    let without_determinant = |x: &[f64], own: f64| {
        // What is left of ln q when its value at the mean, −½ ln det 2πΣ, is replaced by that of a unit normal.
        own - normal.log_density(normal.mean()) - 0.5 * x.len() as f64 * LN_2PI
    };
    assert!(claimed(&without_determinant).abs() > 1.0);
    let sd = normal.variance().iter().map(|v| v.sqrt()).collect();
    let diagonal = DiagonalNormal { mean: normal.mean().to_vec(), sd };
    let wrong = claimed(&|x, _| diagonal.log_density(x));
    assert!(wrong.abs() > 0.25, "{wrong}");
}

#[test]
fn linear_regression_s_evidence_is_met() {
    let model = Regression::simulated(40, 3, 5);
    let fit = pathfinder(&model, &Pathfinder { paths: 2, ..Pathfinder::default() }).unwrap();
    let exact = model.log_evidence();
    assert!((fit.weights.log_mean - exact).abs() < 0.05, "{} is not {exact}", fit.weights.log_mean);
    assert!((fit.elbo - exact).abs() < 0.1 && fit.draws.origin() == Origin::Approximation);
    let tuned = &fit.draws.report.chains.iter().find(|chain| chain.tuned.contains_key("elbo")).unwrap().tuned;
    assert_eq!((tuned["elbo"], tuned["log_evidence"]), (fit.elbo, fit.weights.log_mean));
    assert_eq!(fit.weights.khat.ok(), tuned.get("pareto_khat").copied());
    assert_eq!(fit.draws.num_draws(), 1000);
    // The mixture's density is normalised like that of its normals.
    let center = fit.normals[0].mean();
    let terms: f64 = fit.normals.iter().map(|normal| normal.log_density(center).exp()).sum();
    assert!((fit.log_density(center) - (terms / fit.normals.len() as f64).ln()).abs() < 1e-12);
}

/// Normals of sd ½ at −3 and 3, of which the second has a quarter of the mass.
fn two_modes() -> impl LogDensity + Clone + Send + Sync {
    density(1, |x: &[f64], gradient: &mut [f64]| {
        let term = |center: f64, mass: f64| (mass.ln() - 2.0 * (x[0] - center).powi(2), -4.0 * (x[0] - center));
        let ((a, slope_a), (b, slope_b)) = (term(-3.0, 0.75), term(3.0, 0.25));
        let largest = f64::max(a, b);
        let (wa, wb) = ((a - largest).exp(), (b - largest).exp());
        gradient[0] = (wa * slope_a + wb * slope_b) / (wa + wb);
        largest + (wa + wb).ln()
    })
}

// 4000 draws: the share's standard error is below 0.01, and 0.04 is four of them. Weights by the density of a draw's own normal, the twin,
// count a mode as often as paths end there.
#[test]
fn modes_have_their_own_mass_however_many_paths_end_there() {
    let posterior = two_modes();
    let mut seeds_with_uneven_paths = 0;
    for seed in 0..4 {
        let fit = pathfinder(&posterior, &Pathfinder { paths: 8, draws: 4000, seed, ..Pathfinder::default() }).unwrap();
        let right = fit.normals.iter().filter(|normal| normal.mean()[0] > 0.0).count() as f64;
        assert!(right > 0.0 && right < 8.0, "{right} of 8 paths went right; the test needs both");
        let share = mean_of(&fit.draws.coordinate(0)[0].iter().map(|x| f64::from(u8::from(*x > 0.0))).collect::<Vec<_>>());
        assert!((share - 0.25).abs() < 0.04, "{share} of the draws are in the mode with 0.25");
        let twin = 0.25 * right / (0.25 * right + 0.75 * (8.0 - right));
        if (twin - 0.25).abs() > 0.08 {
            seeds_with_uneven_paths += 1;
        }
    }
    assert!(seeds_with_uneven_paths > 0);
}

/// A normal at 3 whose model cannot be evaluated below 0.
#[derive(Clone)]
struct FailsBelowZero;

impl LogDensity for FailsBelowZero {
    fn dim(&self) -> usize {
        1
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        if position[0] < 0.0 {
            return Err(EvaluationError::new("the tide tables end at zero"));
        }
        gradient[0] = -16.0 * (position[0] - 3.0);
        Ok(-8.0 * (position[0] - 3.0).powi(2))
    }
}

#[test]
fn paths_that_fail_are_reported_and_not_fatal() {
    let fit = pathfinder(&FailsBelowZero, &Pathfinder { paths: 8, ..Pathfinder::default() }).unwrap();
    let chains = &fit.draws.report.chains;
    let failed: Vec<usize> = (0..8).filter(|path| matches!(chains[*path].outcome, Outcome::Failed(_))).collect();
    assert!(!failed.is_empty() && failed.len() == 8 - fit.normals.len() && !fit.normals.is_empty());
    for path in &failed {
        let named = format!("path {path} failed and is missing");
        let warnings = &fit.draws.report.warnings;
        assert!(warnings.iter().any(|warning| warning.starts_with(&named) && warning.contains("tide tables")), "{warnings:?}");
    }
    assert!((mean_of(&fit.draws.coordinate(0)[0]) - 3.0).abs() < 0.1);
    let path = fit.draws.statistic("path").unwrap().concat();
    assert!(path.iter().all(|path| !failed.contains(&(*path as usize))));

    let starts = pathfinder_start(&FailsBelowZero, 8, &Pathfinder::default()).unwrap();
    for (chain, position) in starts.positions.iter().enumerate() {
        assert!((position[0] - 3.0).abs() < 1.5, "{position:?}");
        let is_lent = matches!(&starts.chains[chain].outcome, Outcome::Failed(reason) if reason.contains("draw of path"));
        assert_eq!(is_lent, failed.contains(&chain));
    }
    assert!(starts.positions.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn what_cannot_be_fitted_is_an_error() {
    let nowhere = density(2, |_: &[f64], gradient: &mut [f64]| {
        gradient.fill(f64::NAN);
        f64::NAN
    });
    assert!(matches!(pathfinder(&nowhere, &Pathfinder::default()), Err(FitError::NoInitialPosition { .. })));
    assert!(matches!(pathfinder_start(&nowhere, 3, &Pathfinder::default()), Err(FitError::NoInitialPosition { .. })));
    let named = |settings: Pathfinder| pathfinder(&FailsBelowZero, &settings).unwrap_err().to_string();
    assert!(named(Pathfinder { paths: 0, ..Pathfinder::default() }).starts_with("paths"));
    assert!(named(Pathfinder { tolerance: f64::NAN, ..Pathfinder::default() }).starts_with("tolerance"));
    assert!(named(Pathfinder { history: 0, ..Pathfinder::default() }).starts_with("history"));
    assert!(named(Pathfinder { elbo_draws: 0, ..Pathfinder::default() }).starts_with("elbo_draws"));
    assert!(named(Pathfinder { candidates: 0, ..Pathfinder::default() }).starts_with("candidates"));
    assert!(pathfinder_start(&FailsBelowZero, 0, &Pathfinder::default()).is_err());
}

#[test]
fn candidates_outside_the_support_weigh_nothing() {
    // With as many draws a bound, hardly any normal has all of its own inside.
    let fit = pathfinder(&half_line(0.5), &Pathfinder { elbo_draws: 100, ..Pathfinder::default() }).unwrap();
    assert_eq!(fit.normals.len(), 4);
    assert!(fit.draws.positions().all(|x| x[0] > 0.0));
    let outside = fit.weights.log_weights.iter().filter(|weight| **weight == f64::NEG_INFINITY).count();
    assert!(outside > 0 && fit.elbo == f64::NEG_INFINITY && fit.elbo_se.is_nan());
    let warnings = &fit.draws.report.warnings;
    assert!(
        warnings.iter().any(|warning| warning.starts_with(&format!("{outside} of 4000 candidates"))),
        "{outside} {warnings:?}"
    );
    assert!(fit.weights.log_mean.is_finite());
    // Flat and unbounded above: every step is uphill, and no curvature is learnt.
    let slope = density(1, |_: &[f64], gradient: &mut [f64]| {
        gradient[0] = 1.0;
        0.0
    });
    if let Ok(fit) = pathfinder(&slope, &Pathfinder { paths: 1, iterations: 20, ..Pathfinder::default() }) {
        assert!(fit.draws.positions().flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn draws_are_the_same_for_any_number_of_threads() {
    let run = |threads, seed| {
        pathfinder(&two_modes(), &Pathfinder { threads: Some(threads), seed, ..Pathfinder::default() }).map(|fit| bits(&fit))
    };
    assert_eq!(run(1, 3).unwrap(), run(3, 3).unwrap());
    assert_ne!(run(1, 3).unwrap(), run(1, 4).unwrap());
    let starts = |threads| pathfinder_start(&two_modes(), 5, &Pathfinder { threads: Some(threads), ..Pathfinder::default() });
    assert_eq!(starts(1).unwrap().positions, starts(2).unwrap().positions);
}

#[test]
fn gradients_are_counted() {
    struct Evaluations;
    impl FitObserver for Evaluations {
        fn progress(&self, progress: &Progress) -> ControlFlow<()> {
            if progress.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let posterior = Normal::ill_conditioned(4);
    let settings = Pathfinder { paths: 2, candidates: 70, ..Pathfinder::default() };
    let stopped = pathfinder_observed(&posterior, &settings, &Evaluations).unwrap();
    for chain in &stopped.draws.report.chains {
        assert_eq!((chain.sampling_gradients, chain.tuned["steps"]), (70, 3.0));
        // A start, four bounds of 25 draws, and at least an evaluation an iteration.
        assert!(chain.warmup_gradients >= 2 + 4 * 25 + 3 && chain.warmup_gradients < 140, "{}", chain.warmup_gradients);
        assert!(matches!(&chain.outcome, Outcome::Stopped(reason) if reason.contains("3 of 1000")));
    }
    let whole = pathfinder(&posterior, &settings).unwrap();
    assert!(whole.draws.report.chains.iter().all(|chain| chain.outcome.is_completed()));
    let starts = pathfinder_start(&posterior, 2, &settings).unwrap();
    for (start, path) in starts.chains.iter().zip(&whole.draws.report.chains) {
        assert_eq!((start.warmup_gradients, start.sampling_gradients), (path.warmup_gradients + 1, 0));
    }
    assert_eq!(starts.positions[0].len(), posterior.layout().dim());
}
