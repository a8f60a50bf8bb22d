//! Check mean-field fits against closed forms, their reports, and the faults that such fits are known for.

use crate::modes::Valleys;
use crate::posteriors::{Divergence, Normal, Regression};
use ergodic_baselines::{
    Annealing, Estimator, FitError, FitObserver, Map, MeanField, MeanFieldFit, Progress, Start, mean_field, mean_field_observed,
};
use ergodic_draws::{Block, Layout, Origin, Outcome};
use ergodic_model::{Labelled, Posterior, density};
use nalgebra::{DMatrix, DVector};
use std::ops::ControlFlow;

/// The largest errors of a fit to a normal posterior: of means in projected standard deviations, and of ln sd.
fn errors(fit: &MeanFieldFit, exact: &Normal) -> (f64, f64) {
    let (mut mean, mut sd) = (0f64, 0f64);
    for (i, projected) in exact.projected_sd().iter().enumerate() {
        mean = mean.max((fit.mean()[i] - exact.mean[i]).abs() / projected);
        sd = sd.max((fit.sd()[i] / projected).ln().abs());
    }
    (mean, sd)
}

fn quick() -> MeanField {
    MeanField { steps: 3000, start: Start::Map(Map { steps: 1000, ..Map::default() }), starts: 1, ..MeanField::default() }
}

fn precise() -> MeanField {
    MeanField { steps: 10_000, ..quick() }
}

#[test]
fn a_correlated_ill_conditioned_normal_gives_its_mean_field_projection() {
    let normal = Normal::ill_conditioned(12);
    let fit = mean_field(&normal, &precise()).unwrap();
    let (mean, sd) = errors(&fit, &normal);
    assert!(mean < 0.02 && sd < 0.02, "mean off by {mean} sd, sd by {sd}");
    assert_eq!(fit.estimator, Estimator::StickingTheLanding);
    // The evidence is 1, so the bound is minus the divergence, here that of the projection. 4000 draws: 5 standard errors, a false
    // alarm of 6e-7 and a fit's own excess of at most 0.01 nats.
    let gap = fit.elbo + normal.projected_divergence();
    assert!(normal.projected_divergence() > 1.0 && gap.abs() < 5.0 * fit.elbo_se + 0.01, "{gap} ± {}", fit.elbo_se);
}

#[test]
fn a_diagonal_normal_is_met_exactly() {
    let scales = [0.01, 0.5, 1.0, 20.0];
    let precision = DMatrix::from_diagonal(&DVector::from_iterator(4, scales.map(|sd| 1.0 / (sd * sd))));
    let normal = Normal::new(DVector::from_vec(vec![0.0, 3.0, -1.0, 10.0]), precision);
    let fit = mean_field(&normal, &precise()).unwrap();
    let (mean, sd) = errors(&fit, &normal);
    assert!(mean < 1e-3 && sd < 1e-3, "mean off by {mean} sd, sd by {sd}");
    // Where q is the posterior the bound is the log evidence at every draw.
    assert!(fit.elbo.abs() < 1e-3 && fit.elbo_se < 1e-3, "{} ± {}", fit.elbo, fit.elbo_se);
    // Away from the optimum the bound is lower by the divergence, with its sign.
    let narrow = mean_field(&normal, &MeanField { steps: 1, start: Start::InitialPosition, ..quick() }).unwrap();
    assert!(narrow.elbo < -1.0);
}

#[test]
fn both_estimators_meet_the_closed_form_of_linear_regression() {
    let regression = Regression::simulated(80, 5, 2);
    let exact = regression.posterior(1.0);
    let optimum = regression.log_evidence() - exact.projected_divergence();
    let settings = precise();
    for estimator in [Estimator::Auto, Estimator::StickingTheLanding] {
        let fit = mean_field(&regression, &MeanField { estimator, ..settings.clone() }).unwrap();
        let (mean, sd) = errors(&fit, &exact);
        assert!(mean < 0.02 && sd < 0.02, "{estimator:?}: mean off by {mean} sd, sd by {sd}");
        assert!((fit.elbo - optimum).abs() < 5.0 * fit.elbo_se + 0.01, "{estimator:?}: {} ± {}", fit.elbo, fit.elbo_se);
        assert!(fit.elbo < regression.log_evidence());
        let local = estimator == Estimator::Auto;
        assert_eq!(fit.estimator, if local { Estimator::Local } else { Estimator::StickingTheLanding });
        assert!(fit.draws.report.warnings.is_empty(), "{:?}", fit.draws.report.warnings);
        // The start, a draw or two a step, the draws, and the check of the model's own bound.
        let start = mean_field(&regression, &MeanField { estimator, steps: 1, ..quick() }).unwrap().draws.report.gradients();
        let extra = fit.draws.report.gradients() - start;
        assert_eq!(extra, 9999 * if local { 1 } else { 2 });
    }
}

#[test]
fn a_divergence_averaged_over_weights_is_caught() {
    let broken = Regression { divergence: Divergence::Mean, ..Regression::simulated(80, 5, 2) };
    let exact = broken.posterior(1.0);
    let optimum = broken.log_evidence() - exact.projected_divergence();
    let fit = mean_field(&broken, &quick()).unwrap();
    let (_, sd) = errors(&fit, &exact);
    // The closed form catches it, and so does the warning that every user sees.
    assert!(sd > 0.02 || (fit.elbo - optimum).abs() > 5.0 * fit.elbo_se + 0.01);
    assert!(fit.draws.report.warnings.iter().any(|warning| warning.contains("divergence")), "{:?}", fit.draws.report.warnings);
    // Draws on the whole vector do not ask the model for its divergence, and the reported bound never does.
    let whole = mean_field(&broken, &MeanField { estimator: Estimator::StickingTheLanding, ..precise() }).unwrap();
    assert!(errors(&whole, &exact).1 < 0.02 && whole.draws.report.warnings.is_empty());
    assert!(fit.elbo <= whole.elbo + 5.0 * whole.elbo_se.hypot(fit.elbo_se));
}

#[test]
fn rows_given_twice_count_twice() {
    let regression = Regression::simulated(30, 3, 3);
    let doubled = regression.repeated(2);
    for (estimator, batch_size) in
        [(Estimator::Local, None), (Estimator::StickingTheLanding, None), (Estimator::StickingTheLanding, Some(20))]
    {
        let fit = mean_field(&doubled, &MeanField { estimator, batch_size, ..precise() }).unwrap();
        let (mean, sd) = errors(&fit, &regression.posterior(2.0));
        assert!(mean < 0.03 && sd < 0.03, "{estimator:?}, batches {batch_size:?}: mean off by {mean} sd, sd by {sd}");
        // The twin that divides the likelihood by the number of rows, or forgets to double it.
        let (_, sd) = errors(&fit, &regression.posterior(1.0));
        assert!(sd > 0.2, "{sd}");
    }
}

#[test]
fn names_and_groups_of_coordinates_change_nothing() {
    let normal = Normal::ill_conditioned(6);
    let layout = |blocks: Vec<Block>| Layout::new(blocks).unwrap();
    let one = Labelled::new(normal.clone(), layout(vec![Block::new("w", &[2, 3]).in_layer(0)])).unwrap();
    let blocks =
        vec![Block::new("a", &[1]).in_layer(0), Block::new("b", &[2, 2]).in_layer(1), Block::new("c", &[]).in_layer(2)];
    let three = Labelled::new(normal, layout(blocks)).unwrap();
    let settings = MeanField { steps: 300, ..quick() };
    let (one, three) = (mean_field(&one, &settings).unwrap(), mean_field(&three, &settings).unwrap());
    assert_eq!(one.approximation, three.approximation);
    assert_eq!((one.elbo, one.draws.chains()), (three.elbo, three.draws.chains()));
}

#[test]
fn a_seed_fixes_every_bit() {
    let regression = Regression::simulated(40, 3, 4);
    let settings = MeanField { steps: 200, seed: 9, ..quick() };
    let fit = |settings: &MeanField| mean_field(&regression, settings).unwrap();
    let (first, again) = (fit(&settings), fit(&settings));
    assert_eq!(first.draws.chains(), again.draws.chains());
    assert_eq!((first.elbo, &first.draws.report.objective), (again.elbo, &again.draws.report.objective));
    assert_ne!(first.draws.chains(), fit(&MeanField { seed: 10, ..settings }).draws.chains());
}

#[test]
fn draws_carry_both_log_densities_and_follow_q() {
    let mut normal = Normal::ill_conditioned(3);
    let fit = mean_field(&normal, &MeanField { draws: 500, ..quick() }).unwrap();
    assert_eq!((fit.draws.origin(), fit.draws.chains().len(), fit.draws.num_draws()), (Origin::Approximation, 1, 500));
    let (lp, log_q) = (&fit.draws.statistic("lp").unwrap()[0], fit.log_q());
    for (i, x) in fit.draws.positions().enumerate() {
        use ergodic_model::LogDensity;
        assert_eq!(lp[i], normal.log_density_and_gradient(x, &mut [0.0; 3]).unwrap());
        assert_eq!(log_q[i], fit.approximation.log_density(x));
    }
    let elbo = lp.iter().zip(&log_q).map(|(p, q)| p - q).sum::<f64>() / 500.0;
    assert!((elbo - fit.elbo).abs() < 1e-12);
    // 500 draws and 3 coordinates at 4.5 standard errors: a false alarm of 2e-5; a mean off by 0.3 sd is always caught.
    for i in 0..3 {
        let mean = fit.draws.coordinate(i)[0].iter().sum::<f64>() / 500.0;
        assert!((mean - fit.mean()[i]).abs() < 4.5 * fit.sd()[i] / 500f64.sqrt());
    }
    let report = &fit.draws.report;
    assert!(report.method == "mean_field" && report.temperatures.is_posterior());
    assert_eq!(report.settings["estimator"], "sticking_the_landing");
    assert!(report.objective.len() <= 1001 && report.objective.last().unwrap().1 > report.objective[0].1);
}

#[test]
fn annealing_ends_at_temperature_1_and_at_the_same_fit() {
    let normal = Normal::ill_conditioned(5);
    let annealing = Some(Annealing { initial_temperature: 0.0, fraction: 0.2 });
    let fit = mean_field(&normal, &MeanField { annealing, ..precise() }).unwrap();
    let (mean, sd) = errors(&fit, &normal);
    assert!(mean < 0.02 && sd < 0.02, "mean off by {mean} sd, sd by {sd}");
    assert_eq!(fit.draws.report.chains[0].tuned["final_temperature"], 1.0);
}

#[test]
fn a_failing_start_is_reported_and_takes_no_other_with_it() {
    let settings = MeanField { starts: 6, steps: 500, ..quick() };
    let fit = mean_field(&Valleys { fails_below: -0.1 }, &settings).unwrap();
    let report = &fit.draws.report;
    let failed = report.chains.iter().filter(|start| matches!(start.outcome, Outcome::Failed(_))).count();
    assert!(failed > 0 && failed < 6 && report.warnings.len() == failed, "{failed} of 6: {:?}", report.warnings);
    assert!(report.warnings[0].contains("nothing is known below") && fit.mean()[0] > 0.0);
    let error = mean_field(&Valleys { fails_below: 9.0 }, &settings).unwrap_err();
    assert!(matches!(error, FitError::Evaluation { .. }), "{error}");
}

/// Two normals of unequal weight, far apart: 0.25 at −6 and 0.75 at 6, both with sd 1.
fn two_hills() -> impl Posterior {
    density(1, |x: &[f64], gradient: &mut [f64]| {
        let hill =
            |weight: f64, center: f64| (weight / (2.0 * std::f64::consts::PI).sqrt()).ln() - 0.5 * (x[0] - center).powi(2);
        let (left, right) = (hill(0.25, -6.0), hill(0.75, 6.0));
        let top = left.max(right);
        let value = top + ((left - top).exp() + (right - top).exp()).ln();
        gradient[0] = (left - value).exp() * (-6.0 - x[0]) + (right - value).exp() * (6.0 - x[0]);
        value
    })
}

#[test]
fn the_start_with_the_highest_bound_is_kept_whatever_the_threads() {
    let hills = two_hills();
    let fit = |starts, threads| mean_field(&hills, &MeanField { starts, threads: Some(threads), seed: 2, ..quick() }).unwrap();
    let (one, four) = (fit(5, 1), fit(5, 4));
    assert_eq!((one.draws.chains(), &one.approximation), (four.draws.chains(), &four.approximation));
    assert!((one.mean()[0] - 6.0).abs() < 0.05 && (one.elbo - 0.75f64.ln()).abs() < 0.01, "{:?}", one.approximation);
    let bounds: Vec<f64> = one.draws.report.chains.iter().map(|start| start.tuned["settled_elbo"]).collect();
    assert!(bounds.iter().any(|bound| (bound - 0.25f64.ln()).abs() < 0.05), "some start ends on the lower hill: {bounds:?}");
    assert_eq!(one.draws.report.chains.iter().filter(|start| start.sampling_gradients > 0).count(), 1);
    // Each start costs what it costs alone.
    let alone = fit(1, 1).draws.report.chains[0].warmup_gradients;
    assert_eq!(one.draws.report.chains[0].warmup_gradients, alone);
}

/// Starts at the same place always.
struct SameStart(Normal);

impl Posterior for SameStart {
    fn layout(&self) -> Layout {
        self.0.layout()
    }

    fn evaluator(&self) -> Box<dyn ergodic_model::LogDensity + Send + '_> {
        self.0.evaluator()
    }

    fn initial_position(&self, _: &mut ergodic_model::ChainRng, position: &mut [f64]) {
        position.fill(0.5);
    }
}

#[test]
fn starts_at_the_same_place_have_noise_of_their_own() {
    let model = SameStart(Normal::ill_conditioned(3));
    let fit = mean_field(&model, &MeanField { start: Start::InitialPosition, starts: 2, steps: 200, ..quick() }).unwrap();
    let bounds: Vec<f64> = fit.draws.report.chains.iter().map(|start| start.tuned["settled_elbo"]).collect();
    assert_ne!(bounds[0], bounds[1]);
}

struct StopAt(usize);

impl FitObserver for StopAt {
    fn progress(&self, progress: &Progress) -> ControlFlow<()> {
        let stop = progress.method == "mean_field" && progress.step == self.0;
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn a_stopped_fit_says_so() {
    let normal = Normal::ill_conditioned(2);
    let annealing = Some(Annealing { initial_temperature: 0.1, fraction: 0.5 });
    let fit = mean_field_observed(&normal, &MeanField { annealing, ..quick() }, &StopAt(100)).unwrap();
    let chain = &fit.draws.report.chains[0];
    assert!(matches!(&chain.outcome, Outcome::Stopped(reason) if reason.contains("100 of 3000")));
    assert!(chain.tuned["final_temperature"] < 1.0 && fit.draws.report.warnings[0].contains("annealed"));
    assert_eq!(fit.draws.num_draws(), 4000);
}

#[test]
fn errors_name_what_is_wrong() {
    let normal = Normal::ill_conditioned(2);
    let local = MeanField { estimator: Estimator::Local, ..quick() };
    let error = mean_field(&normal, &local).unwrap_err();
    assert!(matches!(error, FitError::MissingCapability(_)), "{error}");
    assert!(error.to_string().contains("mean_field needs a model that implements LocalReparameterization"), "{error}");
    let error = mean_field(&normal, &MeanField { batch_size: Some(4), ..quick() }).unwrap_err();
    assert!(error.to_string().contains("MinibatchGradient"), "{error}");
    for (settings, name) in [
        (MeanField { steps: 0, ..quick() }, "steps"),
        (MeanField { starts: 0, ..quick() }, "starts"),
        (MeanField { threads: Some(0), ..quick() }, "threads"),
        (MeanField { draws: 1, ..quick() }, "draws"),
        (MeanField { initial_sd: 0.0, ..quick() }, "initial_sd"),
        (MeanField { averaging: 1.5, ..quick() }, "averaging"),
        (MeanField { draws_per_step: Some(3), ..quick() }, "draws_per_step"),
        (MeanField { batch_size: Some(4), ..local }, "estimator"),
        (MeanField { start: Start::Map(Map { steps: 0, ..Map::default() }), ..quick() }, "steps"),
        (
            MeanField { annealing: Some(Annealing { initial_temperature: 2.0, fraction: 0.1 }), ..quick() },
            "annealing.initial_temperature",
        ),
        (MeanField { annealing: Some(Annealing { initial_temperature: 0.0, fraction: 0.0 }), ..quick() }, "annealing.fraction"),
    ] {
        let error = mean_field(&normal, &settings).unwrap_err();
        assert!(matches!(error, FitError::Settings { setting, .. } if setting == name), "{error}");
    }
}

#[test]
fn estimates_that_are_not_finite_are_skipped_counted_and_told() {
    // A normal with mean 1 and sd 0.5, undefined below −0.25: about one step in a hundred meets the edge.
    let cut = |edge: f64| {
        let normal = density(1, move |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = if x[0] < edge { f64::NAN } else { 4.0 * (1.0 - x[0]) };
            if x[0] < edge { f64::NAN } else { -2.0 * (x[0] - 1.0).powi(2) }
        });
        Labelled::new(normal, Layout::flat(1)).unwrap().with_initial_position(vec![1.0]).unwrap()
    };
    let fit = mean_field(&cut(-0.25), &quick()).unwrap();
    let tuned = &fit.draws.report.chains[0].tuned;
    assert!(tuned["non_finite_steps"] >= 1.0 && tuned["non_finite_steps"] < 300.0, "{tuned:?}");
    assert!((fit.mean()[0] - 1.0).abs() < 0.05 && (fit.sd()[0] / 0.5).ln().abs() < 0.05, "{:?}", fit.approximation);
    assert!(fit.draws.report.warnings.iter().any(|warning| warning.contains("skipped")));
    // Draws fall below the edge, so the bound is −∞ and says why.
    assert!(fit.elbo == f64::NEG_INFINITY && fit.elbo_se.is_nan());
    assert!(fit.draws.report.warnings.iter().any(|warning| warning.contains("not finite: q reaches")));
    // Where nearly every step fails, the fit gives up and says so.
    let wide = MeanField { initial_sd: 50.0, start: Start::InitialPosition, ..quick() };
    let scaled = Wide(cut(0.9));
    let error = mean_field(&scaled, &wide).unwrap_err();
    assert!(matches!(error, FitError::NotFinite { method: "mean_field", times: 100, .. }), "{error}");
}

/// A prior as wide as 500.
struct Wide<P>(P);

impl<P: Posterior> Posterior for Wide<P> {
    fn layout(&self) -> Layout {
        self.0.layout()
    }

    fn evaluator(&self) -> Box<dyn ergodic_model::LogDensity + Send + '_> {
        self.0.evaluator()
    }

    fn initial_position(&self, rng: &mut ergodic_model::ChainRng, position: &mut [f64]) {
        self.0.initial_position(rng, position);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        scales.fill(500.0);
    }
}
