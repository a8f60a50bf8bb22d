//! Check fits of the library's own networks: a linear one against its closed form, and one with a hidden layer for sense.

use crate::posteriors::{Normal, Regression};
use ergodic_baselines::{DeepEnsemble, Estimator, Map, MeanField, deep_ensemble, map, mean_field};
use ergodic_model::{Activation, BayesianNetwork, Dataset, Gaussian, Network, NormalPrior, Standardize};
use nalgebra::DMatrix;

/// A network without hidden layer on the regression's rows, and the exact posterior of its weights and bias.
fn linear_network() -> (BayesianNetwork, Normal, f64) {
    let regression = Regression::simulated(50, 3, 7);
    let targets = DMatrix::from_column_slice(50, 1, regression.targets.as_slice());
    let data = Dataset::new(regression.inputs.clone(), targets).unwrap();
    let network = Network::dense(3, &[], Activation::Identity, 1).unwrap();
    let likelihood = Box::new(Gaussian::known_noise(regression.noise_sd));
    let prior = NormalPrior::standard(regression.prior_sd);
    let model = BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::Nothing).unwrap();
    // The bias is the weight of a constant input, after the others.
    let with_constant = Regression { inputs: regression.inputs.clone().insert_column(3, 1.0), ..regression };
    (model, with_constant.posterior(1.0), with_constant.log_evidence())
}

#[test]
fn a_linear_network_gives_the_closed_form() {
    let (model, exact, log_evidence) = linear_network();
    let mode = map(&model, &Map::default()).unwrap();
    for (x, mean) in mode.chains()[0].position(0).iter().zip(exact.mean.iter()) {
        assert!((x - mean).abs() < 1e-5, "{x} is not {mean}");
    }
    // At the mode of a normal posterior, log joint + ½ ln det(2π P⁻¹) is the log evidence.
    let lp = mode.statistic("lp").unwrap()[0][0];
    let log_determinant = crate::posteriors::log_determinant(&exact.precision);
    assert!((lp + 0.5 * (4.0 * crate::posteriors::LN_2PI - log_determinant) - log_evidence).abs() < 1e-8);
    for estimator in [Estimator::Auto, Estimator::StickingTheLanding] {
        let fit = mean_field(&model, &MeanField { estimator, steps: 10_000, starts: 1, ..MeanField::default() }).unwrap();
        let local = estimator == Estimator::Auto;
        assert_eq!(fit.estimator, if local { Estimator::Local } else { Estimator::StickingTheLanding });
        for (i, sd) in exact.projected_sd().iter().enumerate() {
            assert!((fit.mean()[i] - exact.mean[i]).abs() < 0.02 * sd, "{estimator:?}, coordinate {i}");
            assert!((fit.sd()[i] / sd).ln().abs() < 0.02, "{estimator:?}, coordinate {i}: {}, {sd}", fit.sd()[i]);
        }
        let gap = fit.elbo - (log_evidence - exact.projected_divergence());
        assert!(gap.abs() < 5.0 * fit.elbo_se + 0.01, "{estimator:?}: {gap} ± {}", fit.elbo_se);
        assert!(fit.draws.report.warnings.is_empty(), "{:?}", fit.draws.report.warnings);
    }
}

/// A noisy sine with a gap in the middle.
fn sine() -> BayesianNetwork {
    let x = |row: usize| if row < 20 { -2.0 + 0.07 * row as f64 } else { 0.6 + 0.07 * (row - 20) as f64 };
    let inputs = DMatrix::from_fn(40, 1, |row, _| x(row));
    let targets = DMatrix::from_fn(40, 1, |row, _| (2.0 * x(row)).sin() + 0.1 * ((7 * row % 11) as f64 / 5.0 - 1.0));
    let network = Network::dense(1, &[8], Activation::Tanh, 1).unwrap();
    let data = Dataset::new(inputs, targets).unwrap();
    BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &data).unwrap()
}

#[test]
fn fits_of_a_network_with_a_hidden_layer_order_as_they_must() {
    let model = sine();
    let ensemble = deep_ensemble(&model, &DeepEnsemble { members: 4, ..DeepEnsemble::default() }).unwrap();
    let lp = &ensemble.statistic("lp").unwrap()[0];
    assert!(ensemble.report.warnings.is_empty(), "{:?}", ensemble.report.warnings);
    assert!(ensemble.report.chains.iter().all(|member| member.tuned["largest_gradient"] < 0.1), "{:?}", ensemble.report.chains);
    // Members are different modes, or the same one with hidden units in another order.
    let first = ensemble.chains()[0].position(0);
    assert!(ensemble.positions().skip(1).all(|x| x.iter().zip(first).any(|(a, b)| (a - b).abs() > 0.1)));
    let fit = mean_field(&model, &MeanField::default()).unwrap();
    assert!(fit.estimator == Estimator::Local && fit.draws.report.warnings.is_empty(), "{:?}", fit.draws.report.warnings);
    // Noise on pre-activations and on weights climb the same bound: the best of four starts agree within a nat, which is a quarter of
    // what separates the network's local maxima.
    let whole = mean_field(&model, &MeanField { estimator: Estimator::StickingTheLanding, ..MeanField::default() }).unwrap();
    assert!((fit.elbo - whole.elbo).abs() < 1.0, "{} and {}", fit.elbo, whole.elbo);
    // Draws of q lie below its mode, and a fit is no worse than where it started.
    let best = lp.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(fit.draws.statistic("lp").unwrap()[0].iter().all(|lp| *lp < best + 1e-6));
    let start = mean_field(&model, &MeanField { steps: 1, starts: 1, ..MeanField::default() });
    assert!(fit.elbo > start.unwrap().elbo + 10.0 && fit.elbo_se < 1.0);
}
