//! Build the posteriors that all contenders evaluate, and write them to files for the other programs.

use ergodic::model::{Categorical, ModelError, NormalPrior, Purpose, Scale, Standardize, stream};
use ergodic::prelude::{Activation, BayesianNetwork, Dataset, Gaussian, Network, Posterior};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use std::error::Error;
use std::io::Write;
use std::path::Path;

/// The noise that regressions take as known.
pub(crate) const NOISE: f64 = 0.5;

/// A network, by its widths, and the number of rows; several outputs are classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) widths: &'static [usize],
    pub(crate) rows: usize,
}

/// The networks of the comparison of gradients.
pub(crate) const CASES: [Case; 6] = [
    Case { widths: &[8, 50, 1], rows: 691 },
    Case { widths: &[6, 16, 16, 1], rows: 277 },
    Case { widths: &[8, 50, 50, 1], rows: 927 },
    Case { widths: &[4, 50, 1], rows: 9568 },
    Case { widths: &[64, 32, 10], rows: 1437 },
    Case { widths: &[784, 100, 10], rows: 1000 },
];

impl Case {
    pub(crate) fn name(&self) -> String {
        self.widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
    }

    pub(crate) fn is_classification(&self) -> bool {
        self.widths.last().is_some_and(|outputs| *outputs > 1)
    }

    /// Made-up data: normal inputs; a smooth function of three of them, with noise, or the class that a linear function of them favours.
    fn data(&self) -> Result<Dataset, Box<dyn Error>> {
        let mut rng = stream(11, 0, Purpose::Simulate);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let (inputs, outputs) = (self.widths[0], self.widths[self.widths.len() - 1]);
        let x = DMatrix::from_fn(self.rows, inputs, |_, _| normal());
        let directions = DMatrix::from_fn(inputs, outputs, |_, _| normal());
        let y = if self.is_classification() {
            let scores = &x * directions + DMatrix::from_fn(self.rows, outputs, |_, _| normal());
            DMatrix::from_fn(self.rows, 1, |row, _| scores.row(row).transpose().argmax().0 as f64)
        } else {
            DMatrix::from_fn(self.rows, 1, |row, _| {
                (x[(row, 0)] + 0.5 * x[(row, 1)]).sin() + 0.3 * x[(row, 2)] + 0.2 * normal()
            })
        };
        Ok(Dataset::new(x, y)?)
    }

    /// The posterior given known noise, the prior's scale 2/√fan-in for weights and 1 for biases.
    pub(crate) fn posterior(&self) -> Result<BayesianNetwork, Box<dyn Error>> {
        let likelihood: Box<dyn ergodic::model::Likelihood> = if self.is_classification() {
            Box::new(Categorical { classes: self.widths[self.widths.len() - 1] })
        } else {
            Box::new(Gaussian::known_noise(NOISE))
        };
        let prior = NormalPrior { weights: Scale::FanIn(2.0), biases: Scale::Fixed(1.0) };
        Ok(BayesianNetwork::with_standardization(self.network()?, likelihood, &prior, &self.data()?, Standardize::Nothing)?)
    }

    /// The posterior of a regression with learned noise, which samplers take.
    pub(crate) fn posterior_with_learned_noise(&self) -> Result<BayesianNetwork, Box<dyn Error>> {
        Ok(BayesianNetwork::new(self.network()?, Gaussian::learned_noise(), NormalPrior::default(), &self.data()?)?)
    }

    fn network(&self) -> Result<Network, ModelError> {
        let (first, rest) = (self.widths[0], &self.widths[1..]);
        Ok(Network::dense(first, &rest[..rest.len() - 1], Activation::Tanh, rest[rest.len() - 1])?)
    }

    /// Writes inputs row by row, targets, `position` and the prior's scales to `path`, as f64.
    pub(crate) fn write(&self, posterior: &BayesianNetwork, position: &[f64], path: &Path) -> Result<(), Box<dyn Error>> {
        let data = self.data()?;
        let mut scales = vec![0.0; position.len()];
        posterior.prior_scales(&mut scales);
        let inputs = data.inputs().transpose();
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for value in inputs.iter().chain(data.targets()).chain(position).chain(&scales) {
            file.write_all(&value.to_le_bytes())?;
        }
        file.flush()?;
        Ok(())
    }

    /// The task that tells the other programs to load the posterior from `path`.
    pub(crate) fn task(&self, path: &Path, precision: &str) -> serde_json::Value {
        serde_json::json!({
            "layers": self.widths.windows(2).collect::<Vec<_>>(),
            "rows": self.rows,
            "classes": self.is_classification(),
            "noise": NOISE,
            "file": path,
            "precision": precision,
        })
    }
}

/// A position of the size that weights have.
pub(crate) fn position(dim: usize) -> Vec<f64> {
    let mut rng = stream(12, 0, Purpose::Simulate);
    (0..dim).map(|_| 0.3 * Distribution::<f64>::sample(&StandardNormal, &mut rng)).collect()
}
