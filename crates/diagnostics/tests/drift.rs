//! Check that chains on their way are told from chains that have arrived, however slowly these move.

mod support;

use ergodic_diagnostics::{Diagnosis, Severity, Status, Verdict, diagnose, drift};
use ergodic_draws::{
    Block, ChainDraws, Draws, Field, Layout, Origin, PredictionKind, Predictions, Role, RunReport, Statistics, Temperatures,
};
use support::Uniform;

/// Autoregressive chains, of which the mean still comes from `way` deviations below, with a time of a fifth of the chain.
fn chains(uniform: &mut Uniform, count: usize, draws: usize, rho: f64, way: f64) -> Vec<Vec<f64>> {
    let sd = (0.25 / (1.0 - rho * rho)).sqrt();
    let left = |draw: usize| (-5.0 * draw as f64 / draws as f64).exp();
    let mut chain = || -> Vec<f64> {
        let series = uniform.series(draws + 900, rho);
        series[900..].iter().enumerate().map(|(draw, x)| x - way * sd * left(draw)).collect()
    };
    (0..count).map(|_| chain()).collect()
}

/// Share of 400 runs whose p-value is below `level`.
fn found(count: usize, draws: usize, rho: f64, way: f64, level: f64) -> f64 {
    let mut uniform = Uniform(71);
    let runs = (0..400).filter(|_| drift(&chains(&mut uniform, count, draws, rho, way)).p_value < level);
    runs.count() as f64 / 400.0
}

#[test]
fn chains_that_have_arrived_are_rarely_accused() {
    // At most 1.3 % of p-values are below 0.01: of 400 that are more than 14 in three of 10⁴ cases. Slow chains (ρ = 0.99: 200 draws
    // are worth one) are among them.
    for (count, draws, rho) in [(4, 200, 0.0), (4, 200, 0.99), (4, 1000, 0.9), (1, 1000, 0.5), (4, 1000, 0.99)] {
        let share = found(count, draws, rho, 0.0, 0.01);
        assert!(share <= 0.035, "{count} chains of {draws} draws, ρ = {rho}: {share}");
    }
    let share = found(4, 400, 0.5, 0.0, 0.1);
    assert!((0.03..0.17).contains(&share), "the level is what it says: {share}");
}

#[test]
fn chains_on_their_way_are_found() {
    // The broken twin: the same chains, which begin two or four deviations away.
    for (draws, rho, way) in [(400, 0.0, 1.0), (1000, 0.5, 1.0), (1000, 0.9, 2.0), (1000, 0.97, 4.0)] {
        let share = found(4, draws, rho, way, 0.01);
        assert!(share >= 0.9, "{draws} draws, ρ = {rho}, {way} deviations: {share}");
    }
}

#[test]
fn what_cannot_be_compared_has_a_reason() {
    let none: [Vec<f64>; 0] = [];
    assert_eq!(drift(&none).status, Status::TooFewChains);
    assert_eq!(drift(&[vec![1.0; 30]]).status, Status::TooFewDraws);
    assert_eq!(drift(&[vec![1.0; 300]]).status, Status::Constant);
    let mut late = vec![1.0; 300];
    (0..150).for_each(|i| late[i] = i as f64);
    assert_eq!(drift(&[&late]).status, Status::Constant);
    late[299] = f64::NAN;
    assert_eq!(drift(&[&late]).status, Status::NonFinite);
    assert!(drift(&[&late]).p_value.is_nan());
}

#[test]
fn a_drift_is_measured_in_the_unit_of_the_draws() {
    let chains = chains(&mut Uniform(5), 4, 2000, 0.3, 3.0);
    let of = |scale: f64| drift(&chains.iter().map(|c| c.iter().map(|x| 7.0 + scale * x).collect()).collect::<Vec<Vec<f64>>>());
    let (one, ten) = (of(1.0), of(10.0));
    assert!((one.in_deviations() - ten.in_deviations()).abs() < 1e-9 && (one.p_value - ten.p_value).abs() < 1e-9);
    assert!((one.late - 7.0).abs() < 0.1 && one.in_deviations() > 2.0 && one.early_share == 0.1, "{one:?}");
    assert!((10.0 * one.standard_error - ten.standard_error).abs() < 1e-9);
}

/// A network's run: log densities, noise scales (logarithms) and one prediction, one series a chain each.
fn diagnosed(lp: &[Vec<f64>], noise: &[Vec<f64>], prediction: &[Vec<f64>]) -> Diagnosis {
    let weight = Block::new("layer0.weight", &[1]).in_layer(0).with_role(Role::Weight);
    let layout = Layout::new(vec![weight, Block::new("noise_scale", &[]).with_role(Role::Noise)]).unwrap();
    let chain = |(lp, noise): (&Vec<f64>, &Vec<f64>)| {
        let mut draws = ChainDraws::new(2);
        draws.statistics = Statistics::new(vec![(&Field::real("lp")).into()]);
        for (lp, noise) in lp.iter().zip(noise) {
            draws.push(&[0.1 * lp, *noise]);
            draws.statistics.push(&[*lp]);
        }
        draws
    };
    let draws = Draws::new(layout, Origin::Mcmc, lp.iter().zip(noise).map(chain).collect(), RunReport::new("nuts", 1));
    let predictions = Predictions {
        origin: Origin::Mcmc,
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        kind: PredictionKind::Regression,
        target_name: "y".to_owned(),
        chain_lengths: vec![prediction[0].len(); prediction.len()],
        num_points: 1,
        num_outputs: 1,
        values: prediction.concat(),
        noise_sd: Vec::new(),
        simulated: Vec::new(),
        log_likelihood: Vec::new(),
        observed: Vec::new(),
    };
    diagnose(&draws, Some(&predictions)).unwrap()
}

#[test]
fn a_run_that_has_arrived_has_no_finding() {
    let mut uniform = Uniform(11);
    let [lp, noise, prediction] = [0.6, 0.5, 0.2].map(|rho| chains(&mut uniform, 4, 1000, rho, 0.0));
    let diagnosis = diagnosed(&lp, &noise, &prediction);
    assert_eq!(diagnosis.verdict, Verdict::Trustworthy, "{diagnosis}");
    assert!(diagnosis.findings.is_empty(), "{diagnosis}");
}

#[test]
fn chains_that_agree_and_drift_together_are_not_trusted() {
    // R-hat of the predictions is silent: all chains agree, and drift.
    let mut uniform = Uniform(12);
    let prediction = chains(&mut uniform, 4, 1000, 0.2, 0.0);
    let (still, moving) = (chains(&mut uniform, 4, 1000, 0.5, 0.0), chains(&mut uniform, 4, 1000, 0.6, 4.0));
    let diagnosis = diagnosed(&moving, &still, &prediction);
    assert_eq!(diagnosis.verdict, Verdict::NotConverged, "{diagnosis}");
    let first = &diagnosis.findings[0];
    assert!(first.message.contains("still burning in: the log density rises"), "{diagnosis}");
    assert!(first.message.contains("in the first tenth") && first.advice.contains("warm up longer"), "{diagnosis}");
    let diagnosis = diagnosed(&still, &moving, &prediction);
    assert!(diagnosis.findings.iter().any(|f| f.message.contains("still burning in: noise_scale rises")), "{diagnosis}");
    // A small drift of long chains makes them doubtful.
    let slightly = chains(&mut uniform, 4, 4000, 0.2, 0.8);
    let [still, prediction] = [0, 1].map(|_| chains(&mut uniform, 4, 4000, 0.2, 0.0));
    let diagnosis = diagnosed(&slightly, &still, &prediction);
    assert_eq!((diagnosis.verdict, diagnosis.findings[0].severity), (Verdict::Doubtful, Severity::Warning), "{diagnosis}");
}

#[test]
fn a_network_whose_noise_scale_is_still_falling_is_told_so_plainly() {
    // As of the yacht data with learned noise: chains climb in the log density, by tens of nats and at paces of their own, their noise
    // scales fall, slowly mixing all the time, and they predict differently.
    let mut uniform = Uniform(13);
    let mut each = |rho: f64, f: &dyn Fn(usize, f64) -> f64| -> Vec<Vec<f64>> {
        let mut chain = |number| {
            let series = uniform.series(1000, rho);
            series.iter().enumerate().map(|(draw, x)| f(number, draw as f64 / 1000.0) + x).collect()
        };
        (0..4).map(&mut chain).collect()
    };
    let pace = [0.5, 1.0, 1.5, 2.5];
    let lp = each(0.98, &|chain, time| 300.0 + 30.0 * (1.0 - (-pace[chain] * time).exp()));
    let noise = each(0.98, &|chain, time| -3.0 - 20.0 * (1.0 - (-pace[chain] * time).exp()));
    let prediction = each(0.95, &|chain, _| 2.0 * chain as f64);
    let diagnosis = diagnosed(&lp, &noise, &prediction);
    assert_eq!(diagnosis.verdict, Verdict::NotConverged, "{diagnosis}");
    let text = diagnosis.to_string();
    for words in [
        "not converged: do not use these draws",
        "the chains are still burning in: the log density rises",
        "noise_scale falls",
        "chains disagree on the log density",
        "chains disagree on the predictions",
        "begin",
    ] {
        assert!(text.contains(words), "'{words}' in\n{text}");
    }
}
