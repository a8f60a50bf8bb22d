//! Check modes and ensembles of modes: where they end, what they report, and that threads and failures change nothing else.

use crate::posteriors::{Normal, Regression, half_line};
use ergodic_baselines::{
    DeepEnsemble, FitError, FitObserver, Map, Progress, Schedule, deep_ensemble, deep_ensemble_observed, map, map_observed,
};
use ergodic_draws::{Layout, Origin, Outcome};
use ergodic_model::{ChainRng, EvaluationError, Labelled, LogDensity, Posterior, density};
use rand::RngExt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_mode_of_a_normal_is_its_mean() {
    let mut normal = Normal::ill_conditioned(12);
    let draws = map(&normal, &Map::default()).unwrap();
    assert_eq!((draws.origin(), draws.num_draws()), (Origin::Point, 1));
    let position = draws.chains()[0].position(0);
    for (i, x) in position.iter().enumerate() {
        let sd = normal.projected_sd()[i];
        assert!((x - normal.mean[i]).abs() < 1e-4 * sd, "coordinate {i}: {x}, not {} (sd {sd})", normal.mean[i]);
    }
    // The statistic is the log density at the draw, the trace ends there, and every step is counted.
    let lp = draws.statistic("lp").unwrap()[0][0];
    assert_eq!(lp, normal.log_density_and_gradient(position, &mut [0.0; 12]).unwrap());
    let report = &draws.report;
    assert_eq!(report.objective.last(), Some(&(report.gradients(), lp)));
    assert!(report.chains[0].tuned["largest_gradient"] <= 1e-4 && report.chains[0].outcome == Outcome::Completed);
    assert!(report.warnings.is_empty());
    assert!(report.objective.windows(2).all(|pair| pair[0].0 <= pair[1].0));
}

#[test]
fn a_fit_ends_early_at_a_flat_gradient_only() {
    let normal = Normal::ill_conditioned(3);
    let loose = map(&normal, &Map { tolerance: 1.0, ..Map::default() }).unwrap();
    assert!(loose.report.gradients() < 3000 && loose.report.chains[0].tuned["largest_gradient"] <= 1.0);
    let adam = map(&normal, &Map { tolerance: 0.0, steps: 500, polish: 0, ..Map::default() }).unwrap();
    assert_eq!(adam.report.gradients(), 501);
    let polished = map(&normal, &Map { tolerance: 0.0, steps: 500, ..Map::default() }).unwrap();
    assert!(polished.statistic("lp").unwrap()[0][0] >= adam.statistic("lp").unwrap()[0][0]);
    assert!(polished.report.chains[0].tuned["largest_gradient"] < 1e-3 * adam.report.chains[0].tuned["largest_gradient"]);
}

#[test]
fn minibatches_find_the_same_mode_and_cost_their_share() {
    let regression = Regression::simulated(60, 4, 1);
    let exact = regression.posterior(1.0);
    let settings = Map { batch_size: Some(15), steps: 4000, ..Map::default() };
    let draws = map(&regression, &settings).unwrap();
    for (i, x) in draws.chains()[0].position(0).iter().enumerate() {
        // The scale N/n is right: without it the prior would weigh four times as much and the mode move by 0.1 sd and more.
        assert!((x - exact.mean[i]).abs() < 0.05 * exact.projected_sd()[i], "coordinate {i}: {x}, {}", exact.mean[i]);
    }
    // One gradient to look at the start, 4000 quarter gradients, one full gradient at the end.
    assert_eq!(draws.report.gradients(), 1002);
    let forgotten_scale = regression.posterior(0.25);
    assert!((forgotten_scale.mean[0] - exact.mean[0]).abs() > 0.05 * exact.projected_sd()[0]);
}

#[test]
fn steps_out_of_the_support_are_taken_back_and_counted() {
    // Steps of 0.5 run past the edge at 0 from any start; the mode of ln x − (x + 3)²/2 is (√13 − 3)/2.
    let edge = Labelled::new(half_line(-3.0), Layout::flat(1)).unwrap().with_initial_position(vec![2.0]).unwrap();
    // Adam alone, without the schedule that would settle it anyway.
    let settings = Map { learning_rate: 0.5, schedule: Schedule::Constant, polish: 0, ..Map::default() };
    let draws = map(&edge, &settings).unwrap();
    let mode = draws.chains()[0].position(0)[0];
    assert!((mode - (13f64.sqrt() - 3.0) / 2.0).abs() < 1e-4, "{mode}");
    assert!(draws.report.chains[0].tuned["non_finite_steps"] >= 1.0 && draws.report.warnings.len() == 1);
}

#[test]
fn errors_name_what_is_wrong() {
    let normal = Normal::ill_conditioned(2);
    let error = map(&normal, &Map { batch_size: Some(8), ..Map::default() }).unwrap_err();
    assert!(error.to_string().contains("MinibatchGradient") && error.to_string().contains("map"), "{error}");
    let regression = Regression::simulated(10, 2, 1);
    for (settings, name) in [
        (Map { batch_size: Some(11), ..Map::default() }, "batch_size"),
        (Map { batch_size: Some(0), ..Map::default() }, "batch_size"),
        (Map { steps: 0, ..Map::default() }, "steps"),
        (Map { learning_rate: f64::NAN, ..Map::default() }, "learning_rate"),
        (Map { clip_norm: Some(0.0), ..Map::default() }, "clip_norm"),
        (Map { tolerance: -1.0, ..Map::default() }, "tolerance"),
        (Map { schedule: Schedule::Cosine { final_fraction: 2.0 }, ..Map::default() }, "schedule.final_fraction"),
    ] {
        let error = map(&regression, &settings).unwrap_err();
        assert!(matches!(error, FitError::Settings { setting, .. } if setting == name), "{error}");
    }
    let nowhere = density(2, |_: &[f64], gradient: &mut [f64]| {
        gradient[1] = f64::NAN;
        0.0
    });
    let error = map(&nowhere, &Map::default()).unwrap_err();
    assert!(matches!(&error, FitError::NoInitialPosition { problem, .. } if problem.contains("x[1]")), "{error}");
    let empty = density(0, |_: &[f64], _: &mut [f64]| 0.0);
    assert_eq!(map(&empty, &Map::default()).unwrap_err(), FitError::NoCoordinates);
    for error in [map(&Misnamed, &Map::default()), deep_ensemble(&Misnamed, &DeepEnsemble::default())] {
        assert_eq!(error.unwrap_err(), FitError::Dimension { layout: 2, density: 3 });
    }
    assert!(deep_ensemble(&normal, &DeepEnsemble { members: 0, ..DeepEnsemble::default() }).is_err());
    assert!(deep_ensemble(&normal, &DeepEnsemble { threads: Some(0), ..DeepEnsemble::default() }).is_err());
}

/// Names two of its three coordinates.
struct Misnamed;

impl Posterior for Misnamed {
    fn layout(&self) -> Layout {
        Layout::flat(2)
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(Valley { fails_below: 0.0 })
    }
}

/// Modes at −2 and 2 in each coordinate; evaluations fail where the first coordinate starts below `fails_below`.
pub(crate) struct Valleys {
    pub(crate) fails_below: f64,
}

#[derive(Clone)]
struct Valley {
    fails_below: f64,
}

impl LogDensity for Valley {
    fn dim(&self) -> usize {
        3
    }

    fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        if x[0] < self.fails_below {
            return Err(EvaluationError::new(format!("nothing is known below {}", self.fails_below)));
        }
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x * (x * x - 4.0));
        Ok(x.iter().map(|x| -0.25 * (x * x - 4.0).powi(2)).sum())
    }
}

impl Posterior for Valleys {
    fn layout(&self) -> Layout {
        Layout::flat(3)
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(Valley { fails_below: self.fails_below })
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        position.iter_mut().for_each(|x| *x = rng.random_range(-3.0..3.0));
    }
}

#[test]
fn members_do_not_depend_on_threads_and_member_0_is_the_mode_of_the_same_seed() {
    let valleys = Valleys { fails_below: f64::NEG_INFINITY };
    let map_settings = Map { steps: 400, seed: 5, ..Map::default() };
    let fit = |threads| {
        let settings = DeepEnsemble { members: 7, map: map_settings.clone(), threads: Some(threads) };
        deep_ensemble(&valleys, &settings).unwrap()
    };
    let (one, four) = (fit(1), fit(4));
    assert_eq!(one.chains(), four.chains());
    assert_eq!((one.origin(), one.num_draws(), one.report.chains.len()), (Origin::Ensemble, 7, 7));
    assert_eq!(one.statistic("member").unwrap()[0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let single = map(&valleys, &map_settings).unwrap();
    assert_eq!(single.chains()[0].position(0), one.chains()[0].position(0));
    assert_eq!(single.chains(), map(&valleys, &map_settings).unwrap().chains());
    // Members start apart: not all are in one valley.
    let signs: Vec<bool> = one.positions().map(|x| x[0] > 0.0).collect();
    assert!(signs.contains(&true) && signs.contains(&false));
    let other = deep_ensemble(&valleys, &DeepEnsemble { members: 7, map: Map { seed: 6, ..map_settings }, threads: None });
    assert_ne!(other.unwrap().chains(), one.chains());
}

#[test]
fn a_failing_member_is_reported_and_takes_no_other_with_it() {
    let settings = DeepEnsemble { members: 8, map: Map { steps: 300, ..Map::default() }, threads: Some(2) };
    let whole = deep_ensemble(&Valleys { fails_below: f64::NEG_INFINITY }, &settings).unwrap();
    let part = deep_ensemble(&Valleys { fails_below: -0.1 }, &settings).unwrap();
    let failed = part.report.chains.iter().filter(|chain| matches!(chain.outcome, Outcome::Failed(_))).count();
    assert!(failed > 0 && failed < 8, "{failed} of 8 members failed");
    assert_eq!(part.num_draws() + failed, 8);
    assert_eq!(part.report.warnings.len(), failed);
    assert!(part.report.warnings[0].contains("nothing is known below"), "{}", part.report.warnings[0]);
    for (draw, member) in part.statistic("member").unwrap()[0].iter().enumerate() {
        assert_eq!(part.chains()[0].position(draw), whole.chains()[0].position(*member as usize));
    }
    let error = deep_ensemble(&Valleys { fails_below: 9.0 }, &settings).unwrap_err();
    assert!(matches!(error, FitError::NoMembers { members: 8, .. }), "{error}");
}

struct StopAt(usize, AtomicUsize);

impl FitObserver for StopAt {
    fn progress(&self, progress: &Progress) -> ControlFlow<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        assert!(progress.method == "map" && progress.gradients >= progress.step as u64 && progress.total == 3500);
        if progress.step == self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn observers_see_every_step_and_may_stop_a_fit() {
    let normal = Normal::ill_conditioned(4);
    let observer = StopAt(50, AtomicUsize::new(0));
    let stopped = map_observed(&normal, &Map::default(), &observer).unwrap();
    assert_eq!(observer.1.load(Ordering::Relaxed), 50);
    assert!(matches!(stopped.report.chains[0].outcome, Outcome::Stopped(_)));
    let observer = StopAt(20, AtomicUsize::new(0));
    let settings = DeepEnsemble { members: 3, ..DeepEnsemble::default() };
    let stopped = deep_ensemble_observed(&normal, &settings, &observer).unwrap();
    assert_eq!((stopped.num_draws(), observer.1.load(Ordering::Relaxed)), (3, 60));
}

#[test]
fn settings_survive_a_file_and_unknown_ones_are_refused() {
    let settings = DeepEnsemble { members: 3, map: Map { clip_norm: Some(2.0), ..Map::default() }, threads: Some(2) };
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<DeepEnsemble>(&text).unwrap(), settings);
    assert_eq!(serde_json::from_str::<DeepEnsemble>("{}").unwrap(), DeepEnsemble::default());
    assert!(serde_json::from_str::<Map>(r#"{"step": 3}"#).is_err());
}
