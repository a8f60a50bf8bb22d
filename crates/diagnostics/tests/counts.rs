//! Check scores of counts, whose simulations tie with targets, of noise without a variance, and of several targets apart.

use ergodic_diagnostics::{function_diagnostics, metrics as m};
use ergodic_draws::{Origin, PredictionKind, Predictions, Temperatures};
use statrs::distribution::{DiscreteCDF, Poisson};

/// Targets that are evenly spread quantiles of a Poisson distribution; the predictions are Poisson too, of mean `factor` times theirs.
fn counts(points: usize, draws: usize, factor: f64) -> Predictions {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let mean = |point: usize| 0.5 + (point % 7) as f64;
    let quantile = |mean: f64, level: f64| Poisson::new(mean).unwrap().inverse_cdf(level) as f64;
    let observed: Vec<f64> = (0..points).map(|i| quantile(mean(i), ((i + 1) as f64 * golden).fract())).collect();
    let simulated =
        (0..draws * points).map(|i| quantile(factor * mean(i % points), ((i / points) as f64 + 0.5) / draws as f64)).collect();
    Predictions {
        temperatures: Temperatures::POSTERIOR,
        energy_variance: None,
        origin: Origin::Mcmc,
        kind: PredictionKind::Regression,
        target_name: "visits".to_owned(),
        chain_lengths: vec![draws],
        num_points: points,
        num_outputs: 1,
        values: (0..draws * points).map(|i| factor * mean(i % points)).collect(),
        noise_sd: (0..draws * points).map(|i| (factor * mean(i % points)).sqrt()).collect(),
        simulated,
        log_likelihood: Vec::new(),
        observed,
    }
}

/// The same score without sharing ties out.
fn naive_calibration_error(predictions: &Predictions) -> f64 {
    let (points, count) = (predictions.num_points, predictions.num_simulated());
    let error = |level: f64| {
        let below = (0..points).filter(|&point| {
            let mut own: Vec<f64> = predictions.simulated.iter().skip(point).step_by(points).copied().collect();
            own.sort_by(f64::total_cmp);
            predictions.observed[point] <= own[((level * (count - 1) as f64).round() as usize).min(count - 1)]
        });
        (below.count() as f64 / points as f64 - level).abs()
    };
    (1..20).map(|k| error(f64::from(k) / 20.0)).sum::<f64>() / 19.0
}

#[test]
fn calibrated_counts_have_no_calibration_error_and_others_do() {
    let good = counts(2100, 200, 1.0);
    let error = m::calibration_error(&good).unwrap();
    assert!(error < 0.01, "{error}");
    let naive = naive_calibration_error(&good);
    assert!(naive > 0.08, "counting ties as below would give {naive}");
    for factor in [0.7, 1.4] {
        let error = m::calibration_error(&counts(2100, 200, factor)).unwrap();
        assert!(error > 0.04, "means {factor} times too large: {error}");
    }
    // Intervals of counts hold at least what they promise.
    assert!(m::interval_coverage(&good, 0.5).unwrap().coverage >= 0.5);
    assert!(m::crps(&good).unwrap() < m::crps(&counts(2100, 200, 1.4)).unwrap());
}

#[test]
fn noise_without_a_variance_is_infinitely_uncertain_and_nan_is_refused() {
    let mut predictions = counts(3, 2, 1.0);
    predictions.noise_sd[1] = f64::INFINITY;
    let found = m::uncertainty(&predictions).unwrap();
    assert_eq!((found.total[1], found.aleatoric[1]), (f64::INFINITY, f64::INFINITY));
    assert!(found.total[0].is_finite() && found.epistemic.iter().all(|e| e.is_finite()));
    predictions.noise_sd[1] = f64::NAN;
    assert!(m::uncertainty(&predictions).unwrap_err().to_string().contains("noise_sd"));
}

#[test]
fn targets_in_different_units_are_scored_apart() {
    let one = counts(20, 10, 1.2);
    let join = |values: &[f64]| values.iter().flat_map(|x| [*x, 1000.0 * x]).collect::<Vec<f64>>();
    let both = Predictions {
        num_outputs: 2,
        values: join(&one.values),
        noise_sd: join(&vec![0.5; one.noise_sd.len()]),
        simulated: join(&one.simulated),
        observed: join(&one.observed),
        ..one.clone()
    };
    let rmse = m::rmse(&one).unwrap();
    assert_eq!(m::rmse(&both.of_output(0, "visits")).unwrap(), rmse);
    assert!((m::rmse(&both.of_output(1, "cost")).unwrap() - 1000.0 * rmse).abs() < 1e-9);
    // Noise that differs between targets alone does not vary from point to point; that of counts does.
    assert!(function_diagnostics(&both).unwrap().noise.is_none());
    assert!(function_diagnostics(&one).unwrap().noise.is_some());
}
