//! Check scores of predictions against closed forms and values worked out by hand.

use ergodic_diagnostics::metrics as m;
use ergodic_diagnostics::{CompareError, Entry, PredictionsError, compare, metrics::Metrics};
use ergodic_draws::{
    ChainDraws, ChainReport, Draws, Layout, Origin, Outcome, PredictionKind, Predictions, RunReport, Temperatures,
};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};
use std::f64::consts::PI;

/// `draws` draws at points whose targets are standard normal; the predictions are normal with mean `bias` and sd `width`.
///
/// Draws and targets are quantiles at evenly spread levels (those of the targets by the golden ratio), so that scores have their
/// expected values up to a fraction of `1 / draws + 1 / points`, without chance.
fn regression(points: usize, draws: usize, bias: f64, width: f64) -> Predictions {
    let standard = Normal::standard();
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let observed: Vec<f64> = (1..=points).map(|i| standard.inverse_cdf((i as f64 * golden).fract())).collect();
    let grid = |draw: usize| bias + width * standard.inverse_cdf((draw as f64 + 0.5) / draws as f64);
    let predictive = Normal::new(bias, width).unwrap();
    Predictions {
        origin: Origin::Mcmc,
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        kind: PredictionKind::Regression,
        target_name: "y".to_owned(),
        chain_lengths: vec![draws],
        num_points: points,
        num_outputs: 1,
        values: vec![bias; draws * points],
        noise_sd: vec![width; draws * points],
        simulated: (0..draws * points).map(|i| grid(i / points)).collect(),
        log_likelihood: (0..draws * points).map(|i| predictive.ln_pdf(observed[i % points])).collect(),
        observed,
    }
}

/// Three draws at four points with three classes.
fn classification() -> Predictions {
    let one = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4, 0.5, 0.25, 0.25];
    let two = [0.5, 0.4, 0.1, 0.1, 0.6, 0.3, 0.1, 0.5, 0.4, 0.5, 0.25, 0.25];
    let three = [0.6, 0.3, 0.1, 0.1, 0.7, 0.2, 0.2, 0.4, 0.4, 0.5, 0.25, 0.25];
    let observed = vec![0.0, 1.0, 2.0, 1.0];
    let labelled = |values: &[f64; 12]| -> Vec<f64> {
        observed.iter().enumerate().map(|(point, label)| values[3 * point + *label as usize].ln()).collect()
    };
    Predictions {
        origin: Origin::Mcmc,
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        kind: PredictionKind::Classification,
        target_name: "class".to_owned(),
        chain_lengths: vec![2, 1],
        num_points: 4,
        num_outputs: 3,
        values: [one, two, three].concat(),
        noise_sd: Vec::new(),
        simulated: Vec::new(),
        log_likelihood: [labelled(&one), labelled(&two), labelled(&three)].concat(),
        observed,
    }
}

fn near(a: f64, b: f64, error: f64) -> bool {
    (a - b).abs() <= error
}

#[test]
fn density_and_error_of_a_normal_prediction() {
    let predictions = regression(500, 40, 0.3, 1.2);
    let y = &predictions.observed;
    let n = y.len() as f64;
    let expected_rmse = (y.iter().map(|y| (y - 0.3) * (y - 0.3)).sum::<f64>() / n).sqrt();
    assert!(near(m::rmse(&predictions).unwrap(), expected_rmse, 1e-12));
    let expected: Vec<f64> = y.iter().map(|y| -0.5 * ((y - 0.3) / 1.2).powi(2) - 1.2f64.ln() - 0.5 * (2.0 * PI).ln()).collect();
    let mean = expected.iter().sum::<f64>() / n;
    let sd = (expected.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let found = m::mean_log_predictive_density(&predictions).unwrap();
    assert!(near(found.value, mean, 1e-12) && near(found.standard_error, sd / n.sqrt(), 1e-12));
}

#[test]
fn densities_are_averaged_and_not_their_logarithms() {
    let mut predictions = regression(1, 2, 0.0, 1.0);
    predictions.log_likelihood = vec![-1000.0, -1000.0 + 3f64.ln()];
    let density = m::log_predictive_densities(&predictions).unwrap()[0];
    assert!(near(density, -1000.0 + 2f64.ln(), 1e-12), "{density}");
    predictions.log_likelihood = vec![f64::NEG_INFINITY, f64::NEG_INFINITY];
    assert_eq!(m::log_predictive_densities(&predictions).unwrap()[0], f64::NEG_INFINITY);
    predictions.log_likelihood = vec![0.0, f64::NAN];
    assert!(matches!(m::log_predictive_densities(&predictions), Err(PredictionsError::NonFinite { point: 0, .. })));
}

#[test]
fn ranked_probability_score_has_its_closed_form() {
    // For a normal prediction: σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π), Gneiting & Raftery (2007), equation 21.
    let (bias, width) = (0.4, 0.8);
    let predictions = regression(200, 2000, bias, width);
    let standard = Normal::standard();
    let score = |y: &f64| {
        let z = (y - bias) / width;
        width * (z * (2.0 * standard.cdf(z) - 1.0) + 2.0 * standard.pdf(z) - 1.0 / PI.sqrt())
    };
    let expected = predictions.observed.iter().map(score).sum::<f64>() / 200.0;
    let found = m::crps(&predictions).unwrap();
    assert!(near(found, expected, 2e-3), "{found} and {expected}");
    let hand = Predictions { simulated: vec![1.0, 3.0, 6.0], observed: vec![2.0], ..regression(1, 3, 0.0, 1.0) };
    // E|X − y| = (1 + 1 + 4) / 3 = 2; pairs differ by 2, 5 and 3, on average 10/3.
    assert!(near(m::crps(&hand).unwrap(), 2.0 - 5.0 / 3.0, 1e-12));
}

#[test]
fn calibrated_predictions_cover_and_others_do_not() {
    // Limits far above the remainder of about 1/400, and far below what a bias of 0.3 or a width 30 % off gives.
    let good = regression(4000, 400, 0.0, 1.0);
    let interval = m::interval_coverage(&good, 0.9).unwrap();
    assert!(near(interval.coverage, 0.9, 0.005), "{interval:?}");
    assert!(near(interval.mean_width, 2.0 * 1.644_853_626_951, 0.03), "{interval:?}");
    assert!(m::calibration_error(&good).unwrap() < 0.005);
    for (bias, width) in [(0.3, 1.0), (0.0, 0.7), (0.0, 1.3)] {
        let error = m::calibration_error(&regression(4000, 400, bias, width)).unwrap();
        assert!(error > 0.04, "bias {bias}, width {width}: {error}");
    }
    assert!(m::interval_coverage(&regression(4000, 400, 0.0, 0.7), 0.9).unwrap().coverage < 0.8);
}

#[test]
fn integral_transform_is_the_rank_of_the_target() {
    let hand = Predictions { simulated: vec![1.0, 2.0, 2.0, 4.0], observed: vec![2.0], ..regression(1, 4, 0.0, 1.0) };
    assert_eq!(m::probability_integral_transform(&hand).unwrap(), [0.5]);
    let found = m::probability_integral_transform(&regression(2000, 500, 0.0, 1.0)).unwrap();
    let mean = found.iter().sum::<f64>() / 2000.0;
    assert!(near(mean, 0.5, 0.005), "{mean}");
}

#[test]
fn several_outputs_are_scored_together() {
    let mut predictions = regression(2, 2, 0.0, 1.0);
    predictions.num_outputs = 2;
    predictions.values = vec![1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 0.0];
    predictions.noise_sd = vec![1.0; 8];
    predictions.simulated = predictions.values.clone();
    predictions.observed = vec![2.0, 2.0, 2.0, 4.0];
    assert!(near(m::rmse(&predictions).unwrap(), 1.0, 1e-12));
    assert_eq!(m::predictive_means(&predictions).unwrap(), [2.0; 4]);
    predictions.values[5] = f64::NAN;
    assert!(matches!(m::rmse(&predictions), Err(PredictionsError::NonFinite { part: "values", point: 0, .. })));
}

#[test]
fn class_scores_by_hand() {
    // Mean probabilities: (.6 .3 .1) (.1 .7 .2) (.2 .4 .4) (.5 .25 .25) with labels 0, 1, 2, 1.
    let predictions = classification();
    assert_eq!(m::accuracy(&predictions).unwrap(), 0.5, "the lowest of equally probable classes counts");
    let log_loss = -(0.6f64.ln() + 0.7f64.ln() + 0.4f64.ln() + 0.25f64.ln()) / 4.0;
    assert!(near(m::log_loss(&predictions).unwrap().value, log_loss, 1e-12));
    let brier = (0.16 + 0.09 + 0.01 + 0.01 + 0.09 + 0.04 + 0.04 + 0.16 + 0.36 + 0.25 + 0.5625 + 0.0625) / 4.0;
    assert!(near(m::brier_score(&predictions).unwrap(), brier, 1e-12));
    // Each point is in a bin of its own: |1 − .6|, |1 − .7|, |0 − .4|, |0 − .5|.
    assert!(near(m::expected_calibration_error(&predictions, 15).unwrap(), 1.6 / 4.0, 1e-12));
    // One bin: accuracy 0.5 against a mean confidence of 0.55.
    assert!(near(m::expected_calibration_error(&predictions, 1).unwrap(), 0.05, 1e-12));
    let bins = m::reliability(&predictions, 10).unwrap();
    assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), 4);
    assert!(
        bins.iter().all(|bin| bin.count == 0 || (bin.lower - 1e-12 <= bin.confidence && bin.confidence <= bin.upper + 1e-12))
    );
}

#[test]
fn bad_labels_and_wrong_kinds_are_named() {
    for label in [3.0, -1.0, 0.5, f64::NAN] {
        let mut predictions = classification();
        predictions.observed[2] = label;
        assert!(matches!(m::accuracy(&predictions), Err(PredictionsError::UnknownLabel { point: 2, classes: 3, .. })));
    }
    assert!(matches!(m::rmse(&classification()), Err(PredictionsError::WrongKind { .. })));
    assert!(matches!(m::accuracy(&regression(3, 2, 0.0, 1.0)), Err(PredictionsError::WrongKind { .. })));
    assert!(matches!(m::reliability(&classification(), 0), Err(PredictionsError::Zero("bins"))));
    assert!(matches!(m::interval_coverage(&regression(3, 2, 0.0, 1.0), 1.5), Err(PredictionsError::InvalidLevel(_))));
    let unseen = Predictions { observed: Vec::new(), ..regression(3, 2, 0.0, 1.0) };
    let error = m::rmse(&unseen).unwrap_err();
    assert!(error.to_string().contains("'observed'"), "{error}");
    let single = regression(3, 1, 0.0, 1.0);
    assert!(matches!(m::crps(&single), Err(PredictionsError::Missing { part: "simulated", .. })));
}

#[test]
fn uncertainty_splits_and_adds_up() {
    let mut predictions = regression(1, 2, 0.0, 1.0);
    predictions.values = vec![1.0, 3.0];
    predictions.noise_sd = vec![1.0, 2.0];
    let found = m::uncertainty(&predictions).unwrap();
    // The mixture of N(1, 1) and N(3, 4) has mean 2 and second moment (2 + 13) / 2, so its variance is 3.5.
    assert_eq!((found.total[0], found.aleatoric[0], found.epistemic[0]), (3.5, 2.5, 1.0));
    let mut sure = classification();
    sure.num_points = 2;
    sure.num_outputs = 2;
    sure.chain_lengths = vec![2];
    sure.values = vec![1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.5, 0.5];
    sure.log_likelihood = Vec::new();
    sure.observed = Vec::new();
    let found = m::uncertainty(&sure).unwrap();
    // Draws that are each sure of another class: all epistemic. Draws that agree on a coin toss: all aleatoric.
    let one_bit = 2f64.ln();
    assert!(near(found.epistemic[0], one_bit, 1e-15) && near(found.aleatoric[0], 0.0, 1e-15));
    assert!(near(found.epistemic[1], 0.0, 1e-15) && near(found.aleatoric[1], one_bit, 1e-15));
    assert_eq!(found.total, found.aleatoric.iter().zip(&found.epistemic).map(|(a, e)| a + e).collect::<Vec<_>>());
}

/// A result of the given origin that cost `gradients`.
fn draws(origin: Origin, gradients: u64) -> Draws {
    let mut report = RunReport::new(if origin == Origin::Mcmc { "nuts" } else { "mean_field_vi" }, 1);
    report.seconds = 2.5;
    report.chains.push(ChainReport {
        warmup_gradients: gradients / 2,
        sampling_gradients: gradients - gradients / 2,
        warmup_seconds: 1.0,
        sampling_seconds: 1.5,
        tuned: std::collections::BTreeMap::new(),
        outcome: Outcome::Completed,
    });
    Draws::new(Layout::flat(1), origin, vec![ChainDraws::from_positions(1, vec![0.0; 40])], report)
}

#[test]
fn methods_are_compared_point_by_point() {
    let (good, bad) = (regression(300, 40, 0.0, 1.0), regression(300, 40, 0.5, 1.0));
    let bad = Predictions { origin: Origin::Approximation, ..bad };
    let (exact, fitted) = (draws(Origin::Mcmc, 1000), draws(Origin::Approximation, 300));
    let entries = [
        Entry { name: "NUTS", draws: &exact, predictions: &good },
        Entry { name: "mean field", draws: &fitted, predictions: &bad },
    ];
    let comparison = compare(&entries).unwrap();
    let second = &comparison.rows[1];
    assert_eq!((second.gradients, second.seconds, second.draws), (300, 2.5, 40));
    let (a, b) = (m::log_predictive_densities(&good).unwrap(), m::log_predictive_densities(&bad).unwrap());
    let paired = m::Estimate::of(&b.iter().zip(&a).map(|(b, a)| b - a).collect::<Vec<_>>());
    assert_eq!(second.log_density_difference, paired);
    assert!(paired.value < 0.0 && paired.standard_error < second.log_density.standard_error);
    assert_eq!(comparison.rows[0].log_density_difference.value, 0.0);
    let (text, csv) = (comparison.to_string(), comparison.to_csv());
    assert!(text.contains("approximation: draws follow a fitted family") && csv.contains("approximation"), "{text}");
    assert_eq!(csv.lines().count(), 3);
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert!(
        header.iter().enumerate().all(|(i, name)| !header[..i].contains(name)),
        "every column has its own name: {header:?}"
    );
    let Metrics::Regression(scores) = &second.scores else { panic!("the targets are real") };
    assert!(near(scores.rmse, m::rmse(&bad).unwrap(), 0.0) && !scores.caveat.is_empty());
    assert!(second.scores.to_string().contains("! approximation"));
    assert!(serde_json::to_string(&comparison).unwrap().contains("\"log_density_difference\""));
}

#[test]
fn classes_are_compared_too() {
    let predictions = classification();
    let exact = draws(Origin::Mcmc, 10);
    let comparison = compare(&[Entry { name: "NUTS", draws: &exact, predictions: &predictions }]).unwrap();
    let Metrics::Classification(scores) = &comparison.rows[0].scores else { panic!("the targets are classes") };
    assert_eq!(scores.log_loss.value, -comparison.rows[0].log_density.value);
    assert!(comparison.to_string().contains("Brier"));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (one, other) = (regression(300, 40, 0.0, 1.0), regression(200, 40, 0.0, 1.0));
    let exact = draws(Origin::Mcmc, 10);
    let entry = |name, predictions| Entry { name, draws: &exact, predictions };
    assert!(matches!(compare(&[]), Err(CompareError::Empty)));
    assert!(matches!(compare(&[entry("a", &one), entry("a", &one)]), Err(CompareError::DuplicateName(_))));
    assert!(matches!(compare(&[entry("a", &one), entry("b", &other)]), Err(CompareError::DifferentTargets { .. })));
    let empty = Predictions { simulated: Vec::new(), ..regression(300, 40, 0.0, 1.0) };
    let error = compare(&[entry("a", &empty)]).unwrap_err();
    assert!(matches!(&error, CompareError::Predictions { name, .. } if name == "a"), "{error}");
}
