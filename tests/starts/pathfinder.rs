//! Hold Pathfinder against posteriors of known moments, and begin chains of a network where it led.

use ergodic::prelude::*;
use ergodic::sampler::Sampler;
use ergodic_targets::{Banana, EightSchools, KnownMoments};
use nalgebra::DMatrix;

/// The largest error of means, in standard deviations, and of standard deviations, as the logarithm of their ratio.
fn errors(draws: &Draws, target: &impl KnownMoments) -> (f64, f64) {
    let (means, variances) = (target.mean().unwrap(), target.variance().unwrap());
    let mut worst: (f64, f64) = (0.0, 0.0);
    for (i, (exact, variance)) in means.iter().zip(&variances).enumerate() {
        let x = &draws.coordinate(i)[0];
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let sd = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
        worst = (worst.0.max((mean - exact).abs() / variance.sqrt()), worst.1.max((sd / variance.sqrt()).ln().abs()));
    }
    worst
}

// A normal can be near this posterior but not equal to it: log τ has a long tail to the left, so paths reach it badly and k-hat says so.
#[test]
fn eight_schools_are_met_as_far_as_k_hat_says() {
    let target = EightSchools::new();
    let settings = Pathfinder { paths: 20, draws: 4000, ..Pathfinder::default() };
    let fit = pathfinder(&target, &settings).unwrap();
    let (means, sds) = errors(&fit.draws, &target);
    assert!(means < 0.65 && sds < 0.5, "{means}, {sds}");
    let khat = fit.weights.khat.unwrap();
    assert!(khat > 0.7 && khat < 1.1 && !fit.weights.is_reliable(), "{khat}");
    assert!(
        fit.draws.report.warnings.iter().any(|warning| warning.starts_with("k-hat is 0.")),
        "{:?}",
        fit.draws.report.warnings
    );
    // A bound from below, and an estimate of the evidence that is nearer.
    let exact = target.log_evidence();
    assert!(fit.elbo < exact && (fit.weights.log_mean - exact).abs() < 0.6, "{} {} {exact}", fit.elbo, fit.weights.log_mean);
}

#[test]
fn a_banana_is_met_better_than_by_independent_normals() {
    let target = Banana::new(1, 1.0, 1.0, 0.3).unwrap();
    let fit = pathfinder(&target, &Pathfinder { paths: 8, draws: 4000, ..Pathfinder::default() }).unwrap();
    let (means, sds) = errors(&fit.draws, &target);
    let independent = mean_field(&target, &MeanField { starts: 2, steps: 3000, ..MeanField::default() }).unwrap();
    let (means_of_field, sds_of_field) = errors(&independent.draws, &target);
    assert!(means < 0.5 * means_of_field && sds < 0.5 * sds_of_field, "{means} {means_of_field}, {sds} {sds_of_field}");
    assert!(fit.elbo < 0.0 && fit.weights.log_mean.abs() < 0.5, "{} {}", fit.elbo, fit.weights.log_mean);
    assert!(!fit.weights.is_reliable() && fit.draws.report.warnings.iter().any(|warning| warning.starts_with("k-hat is")));
}

fn sine() -> BayesianNetwork {
    let x = |row: usize| -2.0 + 0.1 * row as f64;
    let inputs = DMatrix::from_fn(40, 1, |row, _| x(row));
    let targets = DMatrix::from_fn(40, 1, |row, _| (2.0 * x(row)).sin() + 0.1 * ((7 * row % 11) as f64 / 5.0 - 1.0));
    let network = Network::dense(1, &[8], Activation::Tanh, 1).unwrap();
    BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &Dataset::new(inputs, targets).unwrap())
        .unwrap()
}

#[test]
fn chains_of_a_network_begin_where_pathfinder_led() {
    let model = sine();
    let starts = pathfinder_start(&model, 2, &Pathfinder { seed: 3, ..Pathfinder::default() }).unwrap();
    let run = Run { chains: 2, warmup: 300, draws: 200, seed: 3, ..Run::default() };
    let cold = sample(&model, &Nuts::default(), &run).unwrap();
    let mut warm = Sampler::new(&model, Nuts::default(), run).initial_positions(&starts.positions).run().unwrap();
    let own = warm.report.gradients();
    starts.charge(&mut warm.report);
    assert_eq!(warm.report.gradients(), own + starts.gradients());
    // Starts are in the mass of the posterior: their log densities are near those of the chains' draws, and cold starts' are not.
    let lp = |draws: &Draws| draws.statistic("lp").unwrap().concat();
    let typical = lp(&cold);
    let mean = typical.iter().sum::<f64>() / typical.len() as f64;
    let sd = (typical.iter().map(|lp| (lp - mean).powi(2)).sum::<f64>() / typical.len() as f64).sqrt();
    let mut rng = ergodic::model::stream(3, 0, ergodic::model::Purpose::Test);
    let mut position = vec![0.0; model.layout().dim()];
    for chain in 0..2 {
        let found = starts.chains[chain].tuned["log_density"];
        assert!((found - mean).abs() < 6.0 * sd, "{found}, where draws are at {mean} ± {sd}");
        model.initial_position(&mut rng, &mut position);
        let mut gradient = vec![0.0; position.len()];
        let unprepared = model.evaluator().log_density_and_gradient(&position, &mut gradient).unwrap();
        assert!(unprepared < mean - 6.0 * sd, "{unprepared}");
    }
}
