//! Check that no model, however broken, takes down more than its own chain, and that errors name what is wrong.

use crate::support::normal;
use ergodic_draws::{Block, Layout, Outcome};
use ergodic_model::{EvaluationError, Labelled, LogDensity, Posterior, density};
use ergodic_sampler::{Budget, Hmc, Nuts, Run, RunError, Sampler, Warmup, Windowed, sample};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn run() -> Run {
    Run { chains: 3, warmup: 100, draws: 50, seed: 2, threads: Some(1), ..Run::default() }
}

/// A standard normal with one fault.
#[derive(Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

/// Makes evaluators in the order of the chains, for the run has one thread; that of chain 1 breaks after some evaluations.
struct Faulty {
    fault: Fault,
    after: usize,
    made: AtomicUsize,
}

struct FaultyDensity {
    fault: Option<Fault>,
    left: usize,
}

impl Posterior for Faulty {
    fn layout(&self) -> Layout {
        Layout::flat(2)
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        let chain = self.made.fetch_add(1, Ordering::Relaxed);
        Box::new(FaultyDensity { fault: (chain == 1).then_some(self.fault), left: self.after })
    }
}

impl LogDensity for FaultyDensity {
    fn dim(&self) -> usize {
        2
    }

    fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        self.left = self.left.saturating_sub(1);
        match self.fault {
            Some(Fault::Error) if self.left == 0 => return Err(EvaluationError::new("the data file is gone")),
            Some(Fault::Panic) if self.left == 0 => panic!("index out of range"),
            _ => {}
        }
        gradient.copy_from_slice(&[-x[0], -x[1]]);
        Ok(-0.5 * (x[0] * x[0] + x[1] * x[1]))
    }
}

#[test]
fn a_chain_that_fails_or_panics_leaves_the_others_and_its_own_draws() {
    for (fault, message) in [(Fault::Error, "the data file is gone"), (Fault::Panic, "index out of range")] {
        let healthy = Faulty { fault, after: usize::MAX, made: AtomicUsize::new(0) };
        let whole = sample(&healthy, &Nuts::default(), &run()).unwrap();
        for (after, in_warmup) in [(1, true), (60, true), (450, false)] {
            let posterior = Faulty { fault, after, made: AtomicUsize::new(0) };
            let draws = sample(&posterior, &Nuts::default(), &run()).unwrap();
            assert_eq!(draws.chains()[0], whole.chains()[0]);
            assert_eq!(draws.chains()[2], whole.chains()[2]);
            let kept = draws.chains()[1].len();
            assert_eq!(kept == 0, in_warmup, "{kept} draws after {after} evaluations");
            assert!(draws.chains()[1].positions().zip(whole.chains()[1].positions()).all(|(a, b)| a == b));
            assert!(matches!(&draws.report.chains[1].outcome, Outcome::Failed(reason) if reason.contains(message)));
            assert!(draws.report.warnings.iter().any(|warning| warning.contains("chain 1 failed")));
        }
    }
}

#[test]
fn a_chain_that_failed_stays_failed_when_the_run_goes_on() {
    // The first evaluator is none of a chain's, but looks at the density for the checkpoint.
    let broken = Faulty { fault: Fault::Error, after: 450, made: AtomicUsize::new(usize::MAX) };
    let (_, checkpoint) = Sampler::new(&broken, Nuts::default(), run()).run_with_checkpoint().unwrap();
    let healthy = Faulty { fault: Fault::Error, after: usize::MAX, made: AtomicUsize::new(0) };
    let longer = Run { draws: 60, ..run() };
    let rest = Sampler::new(&healthy, Nuts::default(), longer).resume(checkpoint).run().unwrap();
    let lengths: Vec<usize> = rest.chains().iter().map(ergodic_draws::ChainDraws::len).collect();
    assert_eq!(lengths, [10, 0, 10]);
    assert!(matches!(&rest.report.chains[1].outcome, Outcome::Failed(reason) if reason.contains("the data file")));
}

/// The error of a run without any draw.
fn no_draws(posterior: &impl Posterior) -> String {
    let errors = [sample(posterior, &Nuts::default(), &run()), sample(posterior, &Hmc::default(), &run())];
    let [nuts, hmc] = errors.map(|result| result.unwrap_err());
    assert!(matches!(nuts, RunError::NoDraws(_)) && matches!(hmc, RunError::NoDraws(_)));
    nuts.to_string()
}

#[test]
fn no_initial_position_names_the_coordinate() {
    let layout = Layout::new(vec![Block::new("weight", &[2, 2]), Block::new("bias", &[2])]).unwrap();
    let broken = density(6, |x: &[f64], gradient: &mut [f64]| {
        gradient.fill(0.0);
        gradient[3] = f64::NAN;
        -x[0] * x[0]
    });
    let message = no_draws(&Labelled::new(broken, layout).unwrap());
    assert!(message.contains("in 100 tries") && message.contains("weight[1,1] is NaN"), "{message}");

    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = no_draws(&density(1, move |_: &[f64], gradient: &mut [f64]| {
            gradient[0] = 0.0;
            value
        }));
        assert!(message.contains(&format!("the log density is {value}")), "{message}");
    }
}

#[test]
fn an_error_at_once_is_passed_on() {
    #[derive(Clone)]
    struct Broken;
    impl LogDensity for Broken {
        fn dim(&self) -> usize {
            1
        }
        fn log_density_and_gradient(&mut self, _: &[f64], _: &mut [f64]) -> Result<f64, EvaluationError> {
            Err(EvaluationError::new("no licence"))
        }
    }
    assert!(no_draws(&Broken).contains("no licence"));
}

#[test]
fn a_flat_density_is_called_flat() {
    let flat = density(2, |_: &[f64], gradient: &mut [f64]| {
        gradient.fill(0.0);
        0.0
    });
    let message = no_draws(&flat);
    assert!(message.contains("is a prior missing"), "{message}");
}

#[test]
fn a_gradient_that_does_not_belong_to_its_density_is_called_so() {
    // Everywhere but at one point the density is not a number, so no step size is small enough.
    let spike = density(1, |x: &[f64], gradient: &mut [f64]| {
        gradient[0] = 1.0;
        if x[0] == 0.5 { 0.0 } else { f64::NAN }
    });
    let run = run();
    let start = vec![vec![0.5]; 3];
    let result = Sampler::new(&spike, Nuts::default(), run).initial_positions(&start).run();
    let message = result.map(|draws| draws.report.warnings).unwrap_err().to_string();
    assert!(message.contains("still rejected") && message.contains("gradient checker"), "{message}");
}

#[test]
fn a_coordinate_without_gradient_is_sampled_all_the_same() {
    // A unit that is always off has a weight without gradient. Its posterior is improper, but the others' draws are right.
    let dead = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[-x[0], 0.0]);
        -0.5 * x[0] * x[0]
    });
    let windowed = Warmup::Windowed(Windowed::default());
    for adaptation in [Warmup::default(), windowed] {
        let draws = sample(&dead, &Nuts { adaptation, max_tree_depth: 5, ..Nuts::default() }, &run()).unwrap();
        assert_eq!(draws.num_draws(), 150);
        assert!(draws.positions().all(|x| x[0].is_finite() && x[1].is_finite()));
    }
    let draws = sample(&dead, &Hmc::default(), &run()).unwrap();
    assert!(draws.positions().all(|x| x[0].is_finite() && x[1].is_finite()));
}

#[test]
fn values_that_are_not_numbers_inside_a_trajectory_are_divergences() {
    // A half normal: beyond zero either the density or only its gradient is broken.
    for (value, slope) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (f64::NEG_INFINITY, f64::NAN), (0.0, f64::NAN)] {
        let half = density(2, move |x: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[-x[0], -x[1]]);
            if x[0] > 0.0 {
                return -0.5 * (x[0] * x[0] + x[1] * x[1]);
            }
            gradient[0] = slope;
            value
        });
        let nuts = sample(&half, &Nuts::default(), &run()).unwrap();
        let hmc = sample(&half, &Hmc::default(), &run()).unwrap();
        for draws in [nuts, hmc] {
            assert_eq!(draws.num_draws(), 150);
            assert!(draws.positions().all(|x| x[0] > 0.0 && x[1].is_finite()));
            let diverging: f64 = draws.statistic("diverging").unwrap().concat().iter().sum();
            assert!(diverging > 0.0, "{} with {value}, {slope}", draws.report.method);
            assert!(draws.report.warnings.iter().any(|warning| warning.contains("diverged")));
            let energies = draws.statistic("energy").unwrap().concat();
            assert!(energies.iter().all(|energy| energy.is_finite()));
        }
    }
}

#[test]
fn trees_and_trajectories_that_are_cut_are_reported() {
    let target = normal(&[1.0, 100.0]);
    let adaptation = Warmup::Fixed { step_size: 0.5 };
    let nuts = sample(&target, &Nuts { max_tree_depth: 3, adaptation: adaptation.clone(), ..Nuts::default() }, &run());
    let hmc = sample(&target, &Hmc { max_steps: 2, adaptation, ..Hmc::default() }, &run());
    for draws in [nuts.unwrap(), hmc.unwrap()] {
        assert!(draws.report.warnings.iter().any(|warning| warning.contains("cut by their limit")));
    }
}

#[test]
fn budgets_and_stop_flags_stop() {
    let target = normal(&[1.0]);
    let spent = |budget: Budget| sample(&target, &Nuts::default(), &Run { budget, draws: 1000, ..run() });
    let draws = spent(Budget { gradients_per_chain: Some(1500), ..Budget::default() }).unwrap();
    for (chain, report) in draws.chains().iter().zip(&draws.report.chains) {
        assert!(!chain.is_empty() && chain.len() < 1000);
        assert!(matches!(&report.outcome, Outcome::Stopped(reason) if reason.contains("1500 gradient evaluations")));
        let spent = report.warmup_gradients + report.sampling_gradients;
        assert!((1500..1500 + 1024).contains(&spent));
    }
    let message = spent(Budget { seconds: Some(1e-9), ..Budget::default() }).unwrap_err().to_string();
    assert!(message.contains("seconds is spent, in warm-up"), "{message}");
    let (stop, run) = (AtomicBool::new(true), run());
    let message = Sampler::new(&target, Nuts::default(), run).stop(&stop).run().unwrap_err().to_string();
    assert!(message.contains("stopped on request"), "{message}");
}

#[test]
fn what_does_not_fit_is_refused_before_the_run() {
    let (target, run) = (normal(&[1.0, 1.0]), run());
    let refuse = |positions: &[Vec<f64>]| {
        Sampler::new(&target, Nuts::default(), run).initial_positions(positions).run().unwrap_err().to_string()
    };
    assert!(refuse(&[vec![0.0; 2]]).contains("1 initial positions are given for 3 chains"));
    assert!(refuse(&[vec![0.0; 2], vec![0.0; 3], vec![0.0; 2]]).contains("chain 1 has 3 coordinates"));
    assert!(refuse(&vec![vec![f64::NAN, 0.0]; 3]).contains("x[0] = NaN"));
    let setting = |nuts: Nuts| match sample(&target, &nuts, &run).unwrap_err() {
        RunError::Settings(error) => error.setting,
        other => panic!("{other}"),
    };
    assert_eq!(setting(Nuts { target_acceptance: 1.0, ..Nuts::default() }), "target_acceptance");
    assert_eq!(setting(Nuts { max_tree_depth: 0, ..Nuts::default() }), "max_tree_depth");
    assert_eq!(setting(Nuts { max_energy_error: f64::NAN, ..Nuts::default() }), "max_energy_error");
    assert_eq!(setting(Nuts { adaptation: Warmup::Fixed { step_size: -1.0 }, ..Nuts::default() }), "step_size");
    let empty = density(0, |_: &[f64], _: &mut [f64]| 0.0);
    assert!(matches!(sample(&empty, &Nuts::default(), &run), Err(RunError::Model { .. })));

    struct Disagreeing;
    impl Posterior for Disagreeing {
        fn layout(&self) -> Layout {
            Layout::flat(3)
        }
        fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
            Box::new(normal(&[1.0, 1.0]))
        }
    }
    assert!(no_draws(&Disagreeing).contains("it has 2 coordinates and its layout 3"));
}

#[test]
fn runs_without_warm_up_find_a_step_size_first() {
    let draws = sample(&normal(&[1e-3, 1e-3]), &Nuts::default(), &Run { warmup: 0, ..run() }).unwrap();
    assert_eq!(draws.num_draws(), 150);
    assert!(draws.report.chains.iter().all(|chain| chain.tuned["step_size"].is_finite()));
}
