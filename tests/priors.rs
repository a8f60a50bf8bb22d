//! Sample posteriors under every prior: against quadrature where that is possible, and from start to predictions everywhere.

use ergodic::diagnostics::mcse_mean;
use ergodic::model::{
    AutomaticRelevancePrior, CorrelatedPrior, Group, HierarchicalPrior, HorseshoePrior, LaplacePrior, LayerCorrelation, Prior,
    Scale, ScaleMixturePrior, ScalePrior, SpikeAndSlabPrior, Standardize, StudentTPrior, grid_positions, squared_exponential,
};
use ergodic::prelude::*;
use nalgebra::DMatrix;

fn model(network: Network, likelihood: Gaussian, prior: &dyn Prior, data: &Dataset) -> BayesianNetwork {
    BayesianNetwork::with_standardization(network, Box::new(likelihood), prior, data, Standardize::Nothing).unwrap()
}

/// 12 rows y = 0.5 x + something orthogonal to x, noise 1: the least-squares slope is 0.5 with variance 1/12.
fn line() -> Dataset {
    let inputs = DMatrix::from_fn(12, 1, |row, _| if row % 2 == 0 { 1.0 } else { -1.0 });
    let targets = inputs.map(|x| 0.5 * x);
    Dataset::new(inputs, targets).unwrap()
}

/// Posterior means of w, w² and ln σ for w ~ N(0, σ²) and a least-squares estimate of 0.5 with variance 1/12, by quadrature over
/// x = ln σ with the given log density up to a constant.
fn moments_by_quadrature(log_prior: impl Fn(f64) -> f64) -> [f64; 3] {
    let (estimate, variance) = (0.5_f64, 1.0 / 12.0);
    let mut sums = [0.0; 4];
    for i in -8000..8000 {
        let x = 0.005 * f64::from(i);
        let prior_variance = (2.0 * x).exp();
        let total = prior_variance + variance;
        let weight = (log_prior(x) - 0.5 * estimate * estimate / total - 0.5 * total.ln()).exp();
        let shrunk = prior_variance / total;
        let mean = estimate * shrunk;
        for (sum, value) in sums.iter_mut().zip([1.0, mean, mean * mean + shrunk * variance, x]) {
            *sum += weight * value;
        }
    }
    [1, 2, 3].map(|i| sums[i] / sums[0])
}

/// The largest distance of sampled moments from the given ones, in Monte Carlo standard errors.
fn distance(draws: &Draws, moments: [f64; 3]) -> f64 {
    let scale = draws.layout().coordinate_of("input_scale[0]").unwrap();
    let weights = draws.coordinate(0);
    let squares: Vec<Vec<f64>> = weights.iter().map(|chain| chain.iter().map(|w| w * w).collect()).collect();
    let z = |chains: &[Vec<f64>], expected: f64| {
        let values = chains.concat();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let error = mcse_mean(chains).value;
        assert!(error > 0.0, "no Monte Carlo error");
        ((mean - expected) / error).abs()
    };
    let log_scales: Vec<Vec<f64>> =
        draws.coordinate(scale).iter().map(|chain| chain.iter().map(|s| s.ln()).collect()).collect();
    z(&weights, moments[0]).max(z(&squares, moments[1])).max(z(&log_scales, moments[2]))
}

#[test]
fn sampled_scales_have_the_moments_of_quadrature() {
    let half_normal = |x: f64| x - 0.5 * (2.0 * x).exp();
    let half_cauchy = |x: f64| x - (2.0 * x).exp().ln_1p();
    let gamma_precision = |x: f64| -3.0 * x - 1.5 * (-2.0 * x).exp();
    type LogPrior = fn(f64) -> f64;
    let cases: [(ScalePrior, LogPrior); 3] = [
        (ScalePrior::HalfNormal { scale: 1.0 }, half_normal),
        (ScalePrior::HalfCauchy { scale: 1.0 }, half_cauchy),
        (ScalePrior::GammaPrecision { scale: 1.0, shape: 3.0 }, gamma_precision),
    ];
    for (input_scale, log_prior) in cases {
        let prior = AutomaticRelevancePrior { input_scale, rest: NormalPrior::standard(1.0) };
        let network = Network::dense(1, &[], Activation::Tanh, 1).unwrap();
        let posterior = model(network, Gaussian::known_noise(1.0), &prior, &line());
        let run = Run { warmup: 500, draws: 4000, seed: 4, ..Run::default() };
        let draws = sample(&posterior, &Nuts::default(), &run).unwrap();
        // 9 z-tests at |z| < 4.5: false alarms have probability 9 · 7e-6 = 6e-5. Without the Jacobian of ln σ, E ln σ is lower by a few
        // tenths or the posterior is improper; at its Monte Carlo error of about 0.02 that is far outside.
        let right = distance(&draws, moments_by_quadrature(log_prior));
        assert!(right < 4.5, "{input_scale:?}: {right}");
        let twin = distance(&draws, moments_by_quadrature(|x| log_prior(x) - x));
        assert!(twin > 4.5, "{input_scale:?}: a missing Jacobian passes, {twin}");
    }
}

/// 24 rows of four inputs, of which the first alone matters.
fn one_relevant_input() -> Dataset {
    let inputs = DMatrix::from_fn(24, 4, |row, column| ((row * (2 * column + 3)) % 13) as f64 / 4.0 - 1.5);
    let targets = inputs.column(0).map(|x| (1.5 * x).sin());
    Dataset::new(inputs, DMatrix::from_column_slice(24, 1, targets.as_slice())).unwrap()
}

fn priors() -> Vec<Box<dyn Prior>> {
    let inputs = Some(squared_exponential(&grid_positions(2, 2), 1.0));
    vec![
        Box::new(NormalPrior::fan_in(1.0)),
        Box::new(LaplacePrior::standard(0.7)),
        Box::new(StudentTPrior { degrees_of_freedom: 1.5, ..StudentTPrior::standard(0.5) }),
        Box::new(ScaleMixturePrior::standard(1.0)),
        Box::new(HierarchicalPrior::default()),
        Box::new(HierarchicalPrior::neal(0.5, 1.0, 1.0)),
        Box::new(AutomaticRelevancePrior::default()),
        Box::new(HorseshoePrior::default()),
        Box::new(HorseshoePrior { local: Group::Weight, ..HorseshoePrior::regularized() }),
        Box::new(SpikeAndSlabPrior { weights: Scale::Fixed(1.0), ..SpikeAndSlabPrior::default() }),
        Box::new(CorrelatedPrior {
            layers: vec![LayerCorrelation { layer: 0, units: None, inputs }],
            rest: NormalPrior::fan_in(2.0),
        }),
    ]
}

/// The network's outputs at the first `rows` rows by hand, from the weights of a draw of 4-3-1 tanh.
fn outputs(draw: &[f64], data: &Dataset, row: usize) -> f64 {
    let hidden = |unit: usize| {
        let sum: f64 = (0..4).map(|input| draw[4 * unit + input] * data.inputs()[(row, input)]).sum();
        (sum + draw[12 + unit]).tanh()
    };
    (0..3).map(|unit| draw[15 + unit] * hidden(unit)).sum::<f64>() + draw[18]
}

#[test]
fn every_prior_is_sampled_optimised_fitted_and_predicts_from_its_draws() {
    let data = one_relevant_input();
    for prior in priors() {
        let network = Network::dense(4, &[3], Activation::Tanh, 1).unwrap();
        let posterior = model(network, Gaussian::learned_noise(), prior.as_ref(), &data);
        let name = posterior.prior_description();
        let run = Run { chains: 2, warmup: 100, draws: 30, seed: 2, ..Run::default() };
        let sampled = sample(&posterior, &Nuts::default(), &run).unwrap();
        assert!(sampled.report.chains.iter().all(|chain| chain.outcome.is_completed()), "{name}");
        let optimum = map(&posterior, &Map { steps: 100, seed: 2, ..Map::default() }).unwrap();
        let fitted = mean_field(&posterior, &MeanField { steps: 100, seed: 2, ..MeanField::default() }).unwrap().draws;
        for draws in [sampled, optimum, fitted] {
            assert_eq!(draws.layout().as_ref(), &posterior.draw_layout(), "{name}");
            assert!(draws.positions().flatten().all(|x| x.is_finite()), "{name}");
            let predictions = posterior.predict(&draws, &data).unwrap();
            for (index, draw) in draws.positions().enumerate().take(5) {
                for row in [0, 23] {
                    let expected = outputs(draw, &data, row);
                    assert!((predictions.value(index, row, 0) - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{name}");
                }
            }
        }
    }
}

#[test]
fn relevance_is_found_and_read_under_its_name() {
    let data = one_relevant_input();
    let network = Network::dense(4, &[3], Activation::Tanh, 1).unwrap();
    let posterior = model(network, Gaussian::known_noise(0.1), &AutomaticRelevancePrior::default(), &data);
    let draws = sample(&posterior, &Nuts::default(), &Run { warmup: 300, draws: 200, seed: 3, ..Run::default() }).unwrap();
    let median = |input: usize| {
        let coordinate = draws.layout().coordinate_of(&format!("input_scale[{input}]")).unwrap();
        let mut scales = draws.coordinate(coordinate).concat();
        scales.sort_by(f64::total_cmp);
        scales[scales.len() / 2]
    };
    for input in 1..4 {
        assert!(median(0) > 3.0 * median(input), "input {input}: {} and {}", median(0), median(input));
    }
    let table = summary(&draws).to_string();
    assert!(table.contains("input_scale[3]"), "{table}");
}
