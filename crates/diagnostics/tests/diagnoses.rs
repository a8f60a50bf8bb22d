//! Check that a diagnosis finds what is wrong, says so, and stays silent about what is not.

mod support;

use ergodic_diagnostics::{Severity, Thresholds, Verdict, diagnose, diagnose_with, sampler_health};
use ergodic_draws::{
    Block, ChainDraws, ChainReport, Draws, Field, Layout, Origin, Outcome, PredictionKind, Predictions, Role, RunReport,
    Statistics, Temperatures,
};
use support::Uniform;

/// What is wrong with a made-up run; by default nothing.
#[derive(Clone, Copy)]
struct Fault {
    origin: Origin,
    chains: usize,
    draws: usize,
    rho: f64,
    weight_shift: f64,
    noise_shift: f64,
    divergent_every: usize,
    saturated_every: usize,
    energy_rho: f64,
    acceptance: f64,
    failed: bool,
}

const HEALTHY: Fault = Fault {
    origin: Origin::Mcmc,
    chains: 4,
    draws: 600,
    rho: 0.2,
    weight_shift: 0.0,
    noise_shift: 0.0,
    divergent_every: usize::MAX,
    saturated_every: usize::MAX,
    energy_rho: 0.0,
    acceptance: 0.8,
    failed: false,
};

fn run(fault: Fault) -> Draws {
    let weight = Block::new("layer0.weight", &[3]).in_layer(0).with_role(Role::Weight);
    let noise = Block::new("noise_scale", &[]).with_role(Role::Noise);
    let layout = Layout::new(vec![weight, noise]).unwrap();
    let fields = [
        Field::flag("diverging"),
        Field::flag("reached_max_treedepth"),
        Field::real("energy"),
        Field::real("acceptance_rate"),
        Field::real("step_size"),
    ];
    let mut uniform = Uniform(61);
    let mut report = RunReport::new("nuts", 1);
    let mut chain = |number: usize| {
        let columns: Vec<Vec<f64>> = (0..4).map(|_| uniform.series(fault.draws, fault.rho)).collect();
        let energies = uniform.series(fault.draws, fault.energy_rho);
        let mut draws = ChainDraws::new(4);
        draws.statistics = Statistics::new(fields.iter().map(Into::into).collect());
        for draw in 0..fault.draws {
            let shift = |i| number as f64 * if i < 3 { fault.weight_shift } else { fault.noise_shift };
            draws.push(&(0..4).map(|i| columns[i][draw] + shift(i)).collect::<Vec<_>>());
            let flag = |every: usize| f64::from(u8::from(draw % every == every - 1));
            let (diverging, saturated) = (flag(fault.divergent_every), flag(fault.saturated_every));
            draws.statistics.push(&[diverging, saturated, energies[draw], fault.acceptance, 0.1]);
        }
        draws
    };
    let chains: Vec<ChainDraws> = (0..fault.chains).map(&mut chain).collect();
    for _ in 0..fault.chains {
        let outcome = if fault.failed { Outcome::Failed("the density is not finite".to_owned()) } else { Outcome::Completed };
        report.chains.push(ChainReport {
            warmup_gradients: 10,
            sampling_gradients: 20,
            warmup_seconds: 0.0,
            sampling_seconds: 0.0,
            tuned: std::collections::BTreeMap::new(),
            outcome,
        });
    }
    Draws::new(layout, fault.origin, chains, report)
}

/// Predictions of four chains at five points; chains disagree at point 3 by `shift` each.
fn predictions(origin: Origin, shift: f64) -> Predictions {
    let mut uniform = Uniform(62);
    let mut values = Vec::new();
    for draw in 0..2400 {
        values.extend((0..5).map(|point| uniform.bell() + if point == 3 { shift * f64::from(draw / 600) } else { 0.0 }));
    }
    Predictions {
        origin,
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        kind: PredictionKind::Regression,
        target_name: "y".to_owned(),
        chain_lengths: vec![600; 4],
        num_points: 5,
        num_outputs: 1,
        values,
        noise_sd: Vec::new(),
        simulated: Vec::new(),
        log_likelihood: Vec::new(),
        observed: Vec::new(),
    }
}

fn verdict(fault: Fault) -> Verdict {
    diagnose(&run(fault), Some(&predictions(fault.origin, 0.0))).unwrap().verdict
}

#[test]
fn healthy_runs_are_trusted() {
    let diagnosis = diagnose(&run(HEALTHY), Some(&predictions(Origin::Mcmc, 0.0))).unwrap();
    assert_eq!(diagnosis.verdict, Verdict::Trustworthy, "{diagnosis}");
    assert!(diagnosis.findings.is_empty(), "{diagnosis}");
    assert_eq!(diagnosis.verdict.exit_code(), 0);
}

#[test]
fn predictions_decide_and_weights_do_not() {
    let swapped = run(Fault { weight_shift: 3.0, ..HEALTHY });
    let with = diagnose(&swapped, Some(&predictions(Origin::Mcmc, 0.0))).unwrap();
    assert_eq!(with.verdict, Verdict::Trustworthy, "{with}");
    assert!(with.findings.iter().all(|finding| finding.severity == Severity::Remark) && !with.findings.is_empty());
    let without = diagnose(&swapped, None).unwrap();
    assert_eq!(without.verdict, Verdict::Doubtful, "{without}");
    assert!(without.to_string().contains("pass predictions"), "{without}");
    let apart = diagnose(&run(HEALTHY), Some(&predictions(Origin::Mcmc, 0.5))).unwrap();
    assert_eq!(apart.verdict, Verdict::NotConverged, "{apart}");
    assert!(apart.findings[0].message.contains("the worst at point 3"), "{apart}");
    let noise = diagnose(&run(Fault { noise_shift: 1.0, ..HEALTHY }), Some(&predictions(Origin::Mcmc, 0.0))).unwrap();
    assert_eq!((noise.verdict, noise.verdict.exit_code()), (Verdict::NotConverged, 2), "{noise}");
    assert!(noise.findings[0].message.contains("noise_scale"), "{noise}");
}

#[test]
fn each_fault_of_the_sampler_is_found() {
    let found = |fault: Fault, words: &str, severity: Severity| {
        let diagnosis = diagnose(&run(fault), Some(&predictions(fault.origin, 0.0))).unwrap();
        let found = diagnosis.findings.iter().find(|finding| finding.message.contains(words));
        assert_eq!(found.map(|finding| finding.severity), Some(severity), "'{words}' in\n{diagnosis}");
    };
    found(Fault { divergent_every: 100, ..HEALTHY }, "24 of 2400 trajectories diverged", Severity::Warning);
    found(Fault { divergent_every: 10, ..HEALTHY }, "diverged", Severity::Failure);
    found(Fault { saturated_every: 100, ..HEALTHY }, "largest depth", Severity::Remark);
    found(Fault { saturated_every: 2, ..HEALTHY }, "largest depth", Severity::Warning);
    found(Fault { energy_rho: 0.95, ..HEALTHY }, "E-BFMI is below 0.3 in 4 chain(s)", Severity::Warning);
    found(Fault { acceptance: 0.02, ..HEALTHY }, "accepts 2.0 %", Severity::Warning);
    found(Fault { rho: 0.97, ..HEALTHY }, "few effective draws of the parameters", Severity::Warning);
    found(Fault { chains: 1, ..HEALTHY }, "a single chain", Severity::Warning);
    found(Fault { chains: 2, ..HEALTHY }, "only 2 chains", Severity::Remark);
    found(Fault { failed: true, ..HEALTHY }, "every chain failed", Severity::Failure);
    found(Fault { draws: 3, ..HEALTHY }, "too few", Severity::Failure);
    found(Fault { draws: 0, ..HEALTHY }, "there are no draws", Severity::Failure);
}

#[test]
fn chains_that_never_move_are_not_trusted() {
    let chains = vec![ChainDraws::from_positions(1, vec![0.5; 200]); 4];
    let frozen = Draws::new(Layout::flat(1), Origin::Mcmc, chains, RunReport::new("nuts", 1));
    let diagnosis = diagnose(&frozen, None).unwrap();
    assert_eq!(diagnosis.verdict, Verdict::NotConverged, "{diagnosis}");
    assert!(diagnosis.to_string().contains("never moved"), "{diagnosis}");
    let apart = (0..4).map(|c| ChainDraws::from_positions(1, vec![f64::from(c); 200])).collect();
    let apart = diagnose(&Draws::new(Layout::flat(1), Origin::Mcmc, apart, RunReport::new("nuts", 1)), None).unwrap();
    assert!(apart.verdict == Verdict::NotConverged && apart.to_string().contains("stand still at different"), "{apart}");
    let mut spoilt = predictions(Origin::Mcmc, 0.0);
    spoilt.values[77] = f64::NAN;
    let spoilt = diagnose(&run(HEALTHY), Some(&spoilt)).unwrap();
    assert!(spoilt.verdict == Verdict::NotConverged && spoilt.to_string().contains("NaN or infinite"), "{spoilt}");
}

#[test]
fn findings_come_in_order_of_weight() {
    let fault = Fault { divergent_every: 10, saturated_every: 100, acceptance: 0.02, ..HEALTHY };
    let diagnosis = diagnose(&run(fault), None).unwrap();
    let severities: Vec<Severity> = diagnosis.findings.iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b) && severities.len() > 2, "{diagnosis}");
}

#[test]
fn the_caveat_outlives_a_good_verdict() {
    let fault = Fault { origin: Origin::BiasedMcmc, ..HEALTHY };
    let biased = diagnose(&run(fault), Some(&predictions(fault.origin, 0.0))).unwrap();
    assert!(biased.verdict == Verdict::Trustworthy && biased.to_string().contains("! biased"), "{biased}");
    assert_eq!(verdict(Fault { origin: Origin::Approximation, chains: 1, ..HEALTHY }), Verdict::Unchecked);
    assert_eq!(Verdict::Unchecked.exit_code(), 0);
}

#[test]
fn thresholds_can_be_moved() {
    let strict = Thresholds { ess_per_chain: 1e6, ..Thresholds::default() };
    let diagnosis = diagnose_with(&run(HEALTHY), None, &strict).unwrap();
    assert_eq!(diagnosis.verdict, Verdict::Doubtful);
}

#[test]
fn sampler_health_reads_every_chain() {
    let health = sampler_health(&run(Fault { divergent_every: 100, ..HEALTHY }));
    assert_eq!((health.divergences(), health.saturated_trees(), health.draws()), (Some(24), Some(0), 2400));
    let first = &health.chains[0];
    assert!((first.step_size.unwrap() - 0.1).abs() < 1e-12);
    assert_eq!((first.gradients, first.steps_per_draw), (Some(30), None));
    assert!(first.ebfmi.unwrap().value > 1.0);
    assert!(health.to_string().contains("E-BFMI"));
    let silent = ChainDraws::from_positions(1, vec![1.0, 2.0]);
    let silent = Draws::new(Layout::flat(1), Origin::Mcmc, vec![silent], RunReport::new("other", 1));
    assert_eq!(sampler_health(&silent).divergences(), None);
}
