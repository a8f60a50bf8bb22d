//! Build the posteriors of the comparison: networks on real data, and classical targets.

use crate::data::{digits, uci};
use ergodic::model::{Categorical, Precision, PredictOptions, Prior, Standardize};
use ergodic::prelude::*;
use ergodic_targets::{Banana, CorrelatedGaussian, EightSchools, Funnel, LogisticRegression};
use nalgebra::DMatrix;
use std::error::Error;

/// Noise standard deviation, in those of the training targets, of regressions that take it as known.
const KNOWN_NOISE: f64 = 0.3;

/// A posterior, and what is asked of its draws.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What it is, for tables.
    pub(crate) title: String,
    pub(crate) field: Field,
    /// Gradients of a chain of the comparison, and of the reference.
    pub(crate) gradients: u64,
    pub(crate) reference_gradients: u64,
    /// Warm-up iterations of samplers with long trajectories; few where gradients are dear.
    pub(crate) warmup: usize,
    pub(crate) is_network: bool,
}

/// What draws are of.
pub(crate) enum Field {
    /// A network, judged by its function at test points.
    Network { model: Box<BayesianNetwork>, test: Dataset },
    /// A density, judged by its coordinates.
    Target(Box<dyn Posterior>),
}

impl Case {
    /// What chains sample.
    pub(crate) fn posterior(&self) -> &dyn Posterior {
        match &self.field {
            Field::Network { model, .. } => model.as_ref(),
            Field::Target(posterior) => posterior.as_ref(),
        }
    }

    fn network(&self) -> Option<(&BayesianNetwork, &Dataset)> {
        match &self.field {
            Field::Network { model, test } => Some((model, test)),
            Field::Target(_) => None,
        }
    }

    /// Predictions at the test points, without simulated observations; none of a density that is no network.
    ///
    /// # Errors
    /// When there is no draw.
    pub(crate) fn predictions(&self, draws: &Draws) -> Result<Option<Predictions>, Box<dyn Error>> {
        let Some((model, test)) = self.network() else { return Ok(None) };
        let options = PredictOptions { simulations: 0, ..PredictOptions::default() };
        Ok(Some(model.predict_with(draws, test, &options)?))
    }

    /// What the draws are judged by, one series a chain each: the function at each test point, the probability of the observed class, or
    /// the coordinates.
    pub(crate) fn quantities(draws: &Draws, predictions: Option<&Predictions>) -> Vec<Vec<Vec<f64>>> {
        let Some(predictions) = predictions else { return (0..draws.dim()).map(|i| draws.coordinate(i)).collect() };
        let is_class = predictions.noise_sd.is_empty();
        let output = |point: usize| if is_class { predictions.observed[point] as usize } else { 0 };
        (0..predictions.num_points).map(|point| predictions.series(point, output(point))).collect()
    }
}

/// The red wine data of Cortez et al. (2009), as they come in the crate `linfa-datasets`.
fn red_wine() -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let wine = linfa_datasets::winequality();
    let (rows, columns) = wine.records.dim();
    let inputs = DMatrix::from_fn(rows, columns, |row, column| wine.records[[row, column]]);
    let targets = DMatrix::from_fn(rows, 1, |row, _| wine.targets[row] as f64);
    Ok(Dataset::new(inputs, targets)?.split(0.2, 1)?)
}

pub(crate) fn regression(
    hidden: &[usize],
    noise: Gaussian,
    prior: impl Prior,
    train: &Dataset,
) -> Result<Box<BayesianNetwork>, Box<dyn Error>> {
    let network = Network::dense(train.num_inputs(), hidden, Activation::Tanh, 1)?;
    Ok(Box::new(BayesianNetwork::new(network, noise, prior, train)?.with_precision(Precision::Single)))
}

pub(crate) fn known() -> Gaussian {
    Gaussian::known_noise(KNOWN_NOISE)
}

fn network(name: &'static str, title: &str, field: Field, [gradients, reference_gradients, warmup]: [u64; 3]) -> Case {
    let warmup = warmup as usize;
    Case { name, title: title.to_owned(), field, gradients, reference_gradients, warmup, is_network: true }
}

fn target(name: &'static str, title: &str, posterior: impl Posterior + 'static, gradients: u64) -> Case {
    let field = Field::Target(Box::new(posterior));
    Case {
        name,
        title: title.to_owned(),
        field,
        gradients,
        reference_gradients: 10 * gradients,
        warmup: 1000,
        is_network: false,
    }
}

/// Builds a case.
type Build = fn() -> Result<Case, Box<dyn Error>>;

/// The name of each case, with what builds it.
pub(crate) const CASES: &[(&str, Build)] = &[
    ("yacht", || {
        let (train, test) = uci("yacht")?;
        let model = regression(&[16, 16], known(), NormalPrior::standard(1.0), &train)?;
        Ok(network("yacht", "6-16-16-1, noise 0.3", Field::Network { model, test }, [200_000, 400_000, 60]))
    }),
    ("energy", || {
        let (train, test) = uci("energy")?;
        let model = regression(&[50], known(), NormalPrior::standard(1.0), &train)?;
        Ok(network("energy", "8-50-1, noise 0.3", Field::Network { model, test }, [100_000, 200_000, 60]))
    }),
    ("concrete", || {
        let (train, test) = uci("concrete")?;
        let model = regression(&[50, 50], known(), NormalPrior::standard(1.0), &train)?;
        Ok(network("concrete", "8-50-50-1, noise 0.3", Field::Network { model, test }, [30_000, 60_000, 15]))
    }),
    ("wine", || {
        let (train, test) = red_wine()?;
        let model = regression(&[16, 16], Gaussian::learned_noise(), NormalPrior::fan_in(1.0), &train)?;
        Ok(network("wine", "11-16-16-1, fan-in, learned noise", Field::Network { model, test }, [50_000, 150_000, 60]))
    }),
    ("digits", || {
        let (train, test) = digits()?;
        let network_of = Network::dense(train.num_inputs(), &[32], Activation::Tanh, 10)?;
        let likelihood = Box::new(Categorical { classes: 10 });
        let prior = NormalPrior::standard(1.0);
        let model = BayesianNetwork::with_standardization(network_of, likelihood, &prior, &train, Standardize::Nothing)?
            .with_precision(Precision::Single);
        Ok(network("digits", "64-32-10, softmax", Field::Network { model: Box::new(model), test }, [12_000, 30_000, 60]))
    }),
    ("gaussian", || {
        let posterior = CorrelatedGaussian::ill_conditioned(100, 1000.0, 4)?;
        Ok(target("gaussian", "normal, 100 coordinates, condition 1000", posterior, 200_000))
    }),
    ("logistic", || {
        let posterior = LogisticRegression::simulated(500, 25, 3)?;
        Ok(target("logistic", "logistic regression, 25 coefficients", posterior, 100_000))
    }),
    ("eight_schools", || Ok(target("eight_schools", "eight schools, non-centred", EightSchools::new(), 100_000))),
    ("banana", || Ok(target("banana", "banana, 2 coordinates", Banana::new(1, 1.0, 1.0, 0.3)?, 100_000))),
    ("funnel", || Ok(target("funnel", "funnel, 10 coordinates", Funnel::new(10, 1.5)?, 200_000))),
];
