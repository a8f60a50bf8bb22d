//! Check outputs and parameters far out, and targets and settings that no likelihood takes.

use crate::case::{cases, gradient};
use ergodic_model::{
    Gaussian, IndependentGaussians, Likelihood, NegativeBinomial, Ordinal, Poisson, Positive, Product, Purpose, StudentT,
    stream,
};

/// Targets that each likelihood takes, among them the largest.
fn targets(likelihood: &dyn Likelihood) -> Vec<Vec<f64>> {
    let number = likelihood.num_targets();
    let candidates = [0.0, 1.0, 4.0, 1e6, -3.5e3, 1e15];
    let rows = candidates.iter().map(|&value| vec![value; number]);
    rows.filter(|row| likelihood.check_targets(row).is_ok()).collect()
}

#[test]
fn densities_and_derivatives_far_out_are_numbers() {
    for case in cases() {
        let likelihood = case.likelihood.as_ref();
        let parameters: Vec<Vec<f64>> = [-700.0, 0.0, 700.0].map(|value| vec![value; case.parameters.len()]).to_vec();
        for f in [-700.0, -40.0, 0.0, 40.0, 700.0] {
            let outputs = vec![f; case.outputs.len()];
            for parameters in parameters.iter().chain([&case.parameters]) {
                for targets in targets(likelihood) {
                    let (value, gradient) = gradient(likelihood, &outputs, &targets, parameters);
                    let at = format!("{} at {f}, {parameters:?}, {targets:?}: {value}, {gradient:?}", likelihood.name());
                    assert!(!value.is_nan() && value < f64::INFINITY, "{at}");
                    // A density of zero is outside of the support, where the gradient is not asked for.
                    assert!(value == f64::NEG_INFINITY || gradient.iter().all(|g| !g.is_nan()), "{at}");
                }
            }
        }
    }
}

#[test]
fn derivatives_far_out_are_those_of_the_density() {
    for case in cases() {
        for f in [-700.0, -40.0, 40.0, 700.0] {
            let mut case = case.clone();
            case.outputs.fill(f);
            for targets in targets(case.likelihood.as_ref()) {
                let (value, gradient) = case.gradient(&targets);
                for (coordinate, gradient) in gradient.iter().enumerate() {
                    let h = 1e-3;
                    let (above, below) =
                        (case.moved(coordinate, h).gradient(&targets).0, case.moved(coordinate, -h).gradient(&targets).0);
                    let difference = (above - below) / (2.0 * h);
                    let tolerance = 1e-5 * gradient.abs() + 1e-12 * value.abs() + 1e-5;
                    let name = case.name();
                    assert!((difference - gradient).abs() < tolerance, "{name}, {targets:?}: {difference} and {gradient}");
                }
            }
        }
    }
}

#[test]
fn curvature_moments_and_entropy_far_out_are_numbers() {
    for case in cases() {
        let likelihood = case.likelihood.as_ref();
        let mut rng = stream(2, 0, Purpose::Test);
        for f in [-700.0, 700.0] {
            for parameter in [-5.0, 0.0, 5.0] {
                let (n, p, m) = (case.outputs.len(), case.parameters.len(), likelihood.num_means());
                let (outputs, parameters) = (vec![f; n], vec![parameter; p]);
                let mut found = vec![vec![f64::NAN; n * n], vec![f64::NAN; p * p], vec![f64::NAN; n * p]];
                likelihood.curvature(&outputs, &parameters, &mut found[0]);
                likelihood.parameter_curvature(&outputs, &parameters, &mut found[1]);
                likelihood.mixed_curvature(&outputs, &parameters, &mut found[2]);
                let at = format!("{} at {f}, {parameter}: {found:?}", likelihood.name());
                assert!(found.iter().flatten().all(|x| x.is_finite()), "{at}");
                assert!((0..n).all(|i| found[0][i * (n + 1)] >= 0.0) && (0..p).all(|i| found[1][i * (p + 1)] >= 0.0), "{at}");
                let (mut mean, mut variance) = (vec![f64::NAN; m], vec![f64::NAN; m]);
                likelihood.mean(&outputs, &parameters, &mut mean);
                likelihood.variance(&outputs, &parameters, &mut variance);
                assert!(
                    mean.iter().all(|x| x.is_finite()) && variance.iter().all(|x| *x >= 0.0),
                    "{at}: {mean:?}, {variance:?}"
                );
                assert!(likelihood.entropy(&outputs, &parameters).is_finite(), "{at}");
                let mut simulated = vec![f64::NAN; likelihood.num_targets()];
                likelihood.simulate(&outputs, &parameters, &mut rng, &mut simulated);
                assert!(simulated.iter().all(|y| y.is_finite()), "{at}: {simulated:?}");
            }
        }
    }
}

#[test]
fn nan_goes_through() {
    for case in cases() {
        let targets = &case.nodes[0].0;
        for coordinate in 0..case.dim() {
            let value = case.moved(coordinate, f64::NAN).gradient(targets).0;
            // The lowest class does not see the gaps above it.
            let unseen = case.likelihood.name() == "ordinal" && coordinate >= 2;
            assert!(value.is_nan() || unseen, "{}: coordinate {coordinate} gives {value}", case.name());
        }
    }
}

#[test]
fn targets_that_no_draw_could_be_are_refused_in_words() {
    let refused = |likelihood: &dyn Likelihood, targets: &[f64], words: &[&str]| {
        let problem = likelihood.check_targets(targets).unwrap_err();
        assert!(words.iter().all(|word| problem.contains(word)), "{words:?}: {problem}");
    };
    for likelihood in [&Poisson as &dyn Likelihood, &NegativeBinomial::learned()] {
        refused(likelihood, &[-1.0], &["-1", "counts", "not negative"]);
        refused(likelihood, &[2.5], &["2.5", "whole numbers"]);
        refused(likelihood, &[1e17], &["2^53"]);
        refused(likelihood, &[f64::NAN], &["NaN", "counts"]);
        refused(likelihood, &[f64::INFINITY], &["inf", "counts"]);
        assert!(likelihood.check_targets(&[0.0]).is_ok());
    }
    let ordinal = Ordinal { classes: 3 };
    refused(&ordinal, &[3.0], &["3", "0 to 2"]);
    refused(&ordinal, &[-1.0], &["-1", "0 to 2"]);
    refused(&ordinal, &[0.5], &["0.5", "whole numbers"]);
    refused(&StudentT::learned(), &[f64::INFINITY], &["inf", "finite"]);
    refused(&IndependentGaussians::learned_noise(2), &[0.0, f64::NAN], &["target 1", "NaN"]);
    let product = Product::new().and("size", Gaussian::learned_noise()).and("visits", Poisson);
    refused(&product, &[0.3, 0.3], &["'visits'", "0.3", "whole numbers"]);
}

#[test]
fn settings_out_of_range_are_refused_in_words() {
    let refused = |likelihood: &dyn Likelihood, words: &[&str]| {
        let problem = likelihood.check().unwrap_err();
        assert!(words.iter().all(|word| problem.contains(word)), "{words:?}: {problem}");
    };
    refused(&StudentT::known(0.0, 1.0), &["degrees of freedom", "0", "positive"]);
    refused(&StudentT::known(3.0, f64::NAN), &["scale", "NaN", "positive"]);
    refused(&NegativeBinomial::known(-1.0), &["dispersion", "-1", "positive"]);
    let flat = Positive::Learned { prior_mean: 0.0, prior_sd: f64::INFINITY };
    refused(&NegativeBinomial { dispersion: flat }, &["dispersion", "inf", "finite"]);
    refused(&Ordinal { classes: 1 }, &["1", "at least 2"]);
    refused(&IndependentGaussians::known_noise(&[]), &["no targets"]);
    refused(&IndependentGaussians::known_noise(&[1.0, 0.0]), &["target 1", "0", "positive"]);
    refused(&Product::new(), &["no likelihoods"]);
    refused(&Product::new().and("grade", Ordinal { classes: 3 }), &["'grade'", "ordinal", "classes"]);
    refused(&Product::new().and("size", Gaussian::known_noise(-2.0)), &["'size'", "-2"]);
}
