//! Check every likelihood against its definition: normalisation, derivatives, curvature, moments and simulation.

use ergodic_draws::PredictionKind;
use ergodic_model::{Bernoulli, Categorical, Gaussian, Likelihood, Purpose, stream};
use rand::RngExt;

/// A likelihood with outputs and parameters to check it at.
struct Case {
    likelihood: Box<dyn Likelihood>,
    outputs: Vec<f64>,
    parameters: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let mut rng = stream(3, 0, Purpose::Test);
    let mut cases = Vec::new();
    for spread in [0.3, 1.0, 3.0] {
        let likelihoods: Vec<Box<dyn Likelihood>> = vec![
            Box::new(Gaussian::known_noise(0.7)),
            Box::new(Gaussian::learned_noise()),
            Box::new(Gaussian::input_dependent_noise()),
            Box::new(Bernoulli),
            Box::new(Categorical { classes: 2 }),
            Box::new(Categorical { classes: 4 }),
        ];
        for likelihood in likelihoods {
            let outputs = (0..likelihood.num_outputs()).map(|_| spread * rng.random_range(-1.0..1.0)).collect();
            let parameters = likelihood.parameters().iter().map(|_| rng.random_range(-1.0..0.5)).collect();
            cases.push(Case { likelihood, outputs, parameters });
        }
    }
    cases
}

impl Case {
    /// Log density, derivative in the outputs, derivative in the parameters.
    fn gradient(&self, target: f64) -> (f64, Vec<f64>, Vec<f64>) {
        let mut d_outputs = vec![f64::NAN; self.outputs.len()];
        let mut d_parameters = vec![0.0; self.parameters.len()];
        let value = self.likelihood.gradient(&self.outputs, &[target], &self.parameters, &mut d_outputs, &mut d_parameters);
        (value, d_outputs, d_parameters)
    }

    fn moved(&self, coordinate: usize, step: f64) -> Self {
        let likelihood: Box<dyn Likelihood> = match self.likelihood.name() {
            "bernoulli" => Box::new(Bernoulli),
            "categorical" => Box::new(Categorical { classes: self.likelihood.num_outputs() }),
            "gaussian, known noise" => Box::new(Gaussian::known_noise(0.7)),
            "gaussian, learned noise" => Box::new(Gaussian::learned_noise()),
            _ => Box::new(Gaussian::input_dependent_noise()),
        };
        let mut moved = Self { likelihood, outputs: self.outputs.clone(), parameters: self.parameters.clone() };
        match coordinate.checked_sub(self.outputs.len()) {
            None => moved.outputs[coordinate] += step,
            Some(parameter) => moved.parameters[parameter] += step,
        }
        moved
    }

    /// Targets with weights that sum expectations over the whole distribution: ∫ g(y) dy ≈ Σ weight · g(y).
    fn quadrature(&self) -> Vec<(f64, f64)> {
        if self.likelihood.kind() == PredictionKind::Classification {
            return (0..self.likelihood.num_means()).map(|class| (class as f64, 1.0)).collect();
        }
        let (mut mean, mut variance) = ([0.0], [0.0]);
        self.likelihood.mean(&self.outputs, &self.parameters, &mut mean);
        self.likelihood.variance(&self.outputs, &self.parameters, &mut variance);
        // The trapezoid rule is exact to rounding for a normal density when it reaches 12 standard deviations.
        let step = 24.0 * variance[0].sqrt() / 2000.0;
        (0..=2000).map(|i| (mean[0] + (f64::from(i) - 1000.0) * step, step)).collect()
    }

    /// The expectation of `g(target, derivative in outputs and parameters)` under the likelihood's own density.
    fn expectation(&self, g: impl Fn(f64, f64, &[f64]) -> f64) -> f64 {
        let term = |(target, weight): (f64, f64)| {
            let (value, mut derivatives, d_parameters) = self.gradient(target);
            derivatives.extend(d_parameters);
            weight * value.exp() * g(target, value, &derivatives)
        };
        self.quadrature().into_iter().map(term).sum()
    }
}

#[test]
fn densities_integrate_to_one() {
    for case in cases() {
        let total = case.expectation(|_, _, _| 1.0);
        assert!((total - 1.0).abs() < 1e-12, "{}: {total}", case.likelihood.name());
    }
}

#[test]
fn gradients_are_derivatives() {
    for case in cases() {
        let dim = case.outputs.len() + case.parameters.len();
        for (target, _) in case.quadrature().into_iter().step_by(250).chain([(0.0, 1.0), (1.0, 1.0)]) {
            let (_, mut gradient, d_parameters) = case.gradient(target);
            gradient.extend(d_parameters);
            for (coordinate, gradient) in gradient.iter().enumerate().take(dim) {
                let h = 1e-5;
                let (above, below) =
                    (case.moved(coordinate, h).gradient(target).0, case.moved(coordinate, -h).gradient(target).0);
                let difference = (above - below) / (2.0 * h);
                let tolerance = 1e-8 * (1.0 + gradient.abs() + case.gradient(target).0.abs());
                assert!((difference - gradient).abs() < tolerance, "{}: {difference} and {gradient}", case.likelihood.name());
            }
        }
    }
}

#[test]
fn parameter_gradients_are_added() {
    let mut d_parameters = [10.0];
    Gaussian::learned_noise().gradient(&[0.0], &[0.0], &[0.3], &mut [0.0], &mut d_parameters);
    assert_eq!(d_parameters, [9.0]);
}

#[test]
fn curvature_is_the_expected_negative_second_derivative() {
    for case in cases() {
        let (n, p) = (case.outputs.len(), case.parameters.len());
        let mut matrix = vec![f64::NAN; n * n];
        case.likelihood.curvature(&case.outputs, &case.parameters, &mut matrix);
        let mut parameter_curvature = vec![f64::NAN; p];
        case.likelihood.parameter_curvature(&case.outputs, &case.parameters, &mut parameter_curvature);
        for i in 0..n + p {
            // The density that weights the expectation stays where it is while the derivative moves.
            let h = 1e-4;
            let (above, below) = (case.moved(i, h), case.moved(i, -h));
            for j in 0..n + p {
                let entry = |moved: &Case, target: f64| {
                    let (_, mut gradient, d_parameters) = moved.gradient(target);
                    gradient.extend(d_parameters);
                    gradient[j]
                };
                let expected = -case.expectation(|target, _, _| (entry(&above, target) - entry(&below, target)) / (2.0 * h));
                let stated = match (i < n, j < n) {
                    (true, true) => matrix[i * n + j],
                    (false, false) => parameter_curvature[i - n],
                    // Outputs and noise are orthogonal in expectation: the block structure of Curvature relies on it.
                    _ => 0.0,
                };
                let tolerance = 1e-6 * (1.0 + stated.abs());
                assert!((stated - expected).abs() < tolerance, "{} [{i},{j}]: {stated} and {expected}", case.likelihood.name());
            }
        }
    }
}

#[test]
fn curvature_equals_the_variance_of_the_score() {
    for case in cases() {
        let n = case.outputs.len();
        let mut matrix = vec![0.0; n * n];
        case.likelihood.curvature(&case.outputs, &case.parameters, &mut matrix);
        for i in 0..n {
            for j in 0..n {
                let fisher = case.expectation(|_, _, score| score[i] * score[j]);
                assert!((fisher - matrix[i * n + j]).abs() < 1e-10 * (1.0 + fisher.abs()), "{}", case.likelihood.name());
            }
        }
    }
}

#[test]
fn moments_and_entropy_are_those_of_the_density() {
    for case in cases() {
        let name = case.likelihood.name();
        let means = case.likelihood.num_means();
        let (mut mean, mut variance) = (vec![0.0; means], vec![0.0; means]);
        case.likelihood.mean(&case.outputs, &case.parameters, &mut mean);
        case.likelihood.variance(&case.outputs, &case.parameters, &mut variance);
        let regression = case.likelihood.kind() == PredictionKind::Regression;
        for k in 0..means {
            let quantity = |target: f64| if regression { target } else { f64::from(u8::from(target as usize == k)) };
            let expected = case.expectation(|target, _, _| quantity(target));
            assert!((mean[k] - expected).abs() < 1e-10, "{name}: mean {} and {expected}", mean[k]);
            let expected = case.expectation(|target, _, _| (quantity(target) - mean[k]).powi(2));
            assert!(
                (variance[k] - expected).abs() < 1e-10 * (1.0 + expected),
                "{name}: variance {} and {expected}",
                variance[k]
            );
        }
        let entropy = case.likelihood.entropy(&case.outputs, &case.parameters);
        let expected = -case.expectation(|_, value, _| value);
        assert!((entropy - expected).abs() < 1e-10, "{name}: entropy {entropy} and {expected}");
    }
}

/// The largest |z| of the simulations' means and variances against those stated for `claimed`.
fn largest_z(case: &Case, claimed: &Case) -> f64 {
    const SIMULATIONS: usize = 40_000;
    let means = case.likelihood.num_means();
    let (mut mean, mut variance) = (vec![0.0; means], vec![0.0; means]);
    claimed.likelihood.mean(&claimed.outputs, &claimed.parameters, &mut mean);
    claimed.likelihood.variance(&claimed.outputs, &claimed.parameters, &mut variance);
    let regression = case.likelihood.kind() == PredictionKind::Regression;
    let mut rng = stream(17, 0, Purpose::Simulate);
    let mut target = [0.0];
    let targets: Vec<f64> = (0..SIMULATIONS)
        .map(|_| {
            case.likelihood.simulate(&case.outputs, &case.parameters, &mut rng, &mut target);
            case.likelihood.check_targets(&target).unwrap();
            target[0]
        })
        .collect();
    let mut largest = 0.0_f64;
    for k in 0..means {
        let sum: f64 = targets.iter().map(|t| if regression { *t } else { f64::from(u8::from(*t as usize == k)) }).sum();
        let n = SIMULATIONS as f64;
        largest = largest.max(((sum / n - mean[k]) / (variance[k] / n).sqrt()).abs());
        if regression {
            let square: f64 = targets.iter().map(|t| (t - mean[k]).powi(2)).sum::<f64>() / n;
            largest = largest.max(((square / variance[k] - 1.0) / (2.0 / n).sqrt()).abs());
        }
    }
    largest
}

#[test]
fn simulations_follow_the_density_and_no_other() {
    // 54 z-tests at |z| < 4.5 (probability 7e-6 each) raise a false alarm with probability 4e-4. Under a distribution moved by 0.1 in
    // its first output, and for noise also in its scale, the largest z is near 15 for regression and above 8 for classes near even odds.
    for case in cases() {
        let z = largest_z(&case, &case);
        assert!(z < 4.5, "{}: z = {z}", case.likelihood.name());
        let even = case.outputs.iter().all(|f| f.abs() < 1.0);
        if even {
            let twin = case.moved(0, 0.2);
            assert!(largest_z(&case, &twin) > 4.5, "{}: a wrong mean passes", case.likelihood.name());
        }
        for parameter in 0..case.parameters.len() {
            let twin = case.moved(case.outputs.len() + parameter, 0.05);
            assert!(largest_z(&case, &twin) > 4.5, "{}: noise 5 % too large passes", case.likelihood.name());
        }
    }
}

#[test]
fn extreme_outputs_stay_finite_and_nan_is_not_swallowed() {
    for f in [-800.0, 800.0] {
        let case = Case { likelihood: Box::new(Bernoulli), outputs: vec![f], parameters: vec![] };
        for target in [0.0, 1.0] {
            let (value, gradient, _) = case.gradient(target);
            assert!(value.is_finite() && gradient[0].is_finite());
        }
        assert_eq!(Bernoulli.entropy(&[f], &[]), 0.0);
        let outputs = vec![f, 0.0, -f];
        let case = Case { likelihood: Box::new(Categorical { classes: 3 }), outputs, parameters: vec![] };
        assert!((0..3).all(|class| case.gradient(f64::from(class)).0.is_finite()));
        assert_eq!(case.likelihood.entropy(&case.outputs, &[]), 0.0);
    }
    for likelihood in [Box::new(Categorical { classes: 2 }) as Box<dyn Likelihood>, Box::new(Gaussian::input_dependent_noise())]
    {
        for place in 0..2 {
            let mut outputs = vec![0.1, 0.2];
            outputs[place] = f64::NAN;
            let value = likelihood.gradient(&outputs, &[1.0], &[], &mut [0.0, 0.0], &mut []);
            assert!(value.is_nan(), "{}: {value}", likelihood.name());
        }
    }
    assert!(Bernoulli.gradient(&[f64::NAN], &[1.0], &[], &mut [0.0], &mut []).is_nan());
}
