//! Evaluate a network's log posterior row by row: the reference for the fast path.

use super::BayesianNetwork;
use crate::network::ReferenceNetwork;

pub(crate) struct PlainEvaluator<'a> {
    model: &'a BayesianNetwork,
    network: ReferenceNetwork,
    d_outputs: Vec<f64>,
}

impl<'a> PlainEvaluator<'a> {
    pub(crate) fn new(model: &'a BayesianNetwork) -> Self {
        Self { model, network: ReferenceNetwork::new(&model.network), d_outputs: vec![0.0; model.network.num_outputs()] }
    }

    /// Adds the gradient of the log likelihood of one row, and returns that log likelihood.
    pub(crate) fn add_row(&mut self, position: &[f64], row: usize, gradient: &mut [f64]) -> f64 {
        let (weights, parameters) = position.split_at(self.model.network.num_weights());
        let (weight_gradient, parameter_gradient) = gradient.split_at_mut(weights.len());
        let outputs = self.network.forward(weights, self.model.rows.inputs(row));
        let targets = self.model.rows.targets(row);
        let log_likelihood =
            self.model.likelihood.gradient(outputs, targets, parameters, &mut self.d_outputs, parameter_gradient);
        self.network.backward(weights, &self.d_outputs, weight_gradient);
        log_likelihood
    }

    /// Writes the gradient of the log likelihood of the given rows, or of all, and returns that log likelihood.
    pub(crate) fn evaluate(&mut self, position: &[f64], rows: Option<&[usize]>, gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        match rows {
            Some(rows) => rows.iter().map(|&row| self.add_row(position, row, gradient)).sum(),
            None => (0..self.model.rows.count).map(|row| self.add_row(position, row, gradient)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bayesian_network::gradient::RowGradient;
    use crate::{
        Activation, Bernoulli, Categorical, Dataset, Gaussian, IndependentGaussians, Likelihood, NegativeBinomial, Network,
        NormalPrior, Ordinal, Poisson, Positive, Product, Purpose, Standardize, StudentT, stream,
    };
    use nalgebra::DMatrix;
    use rand::RngExt;

    fn model(likelihood: Box<dyn Likelihood>, activation: Activation, hidden: &[usize], rows: usize) -> BayesianNetwork {
        let mut rng = stream(31, rows, Purpose::Test);
        let inputs = DMatrix::from_fn(rows, 3, |_, _| rng.random_range(-2.0..2.0));
        let targets = DMatrix::from_fn(rows, likelihood.num_targets(), |row, column| match likelihood.name() {
            "bernoulli" => (row % 2) as f64,
            "categorical" => (row % 3) as f64,
            _ if !likelihood.standardizes_target(column) => ((row * row) % 5) as f64,
            _ => rng.random_range(-1.0..1.0),
        });
        let network = Network::dense(3, hidden, activation, likelihood.num_outputs()).unwrap();
        let data = Dataset::new(inputs, targets).unwrap();
        let prior = NormalPrior::default();
        BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::ByTrainingRows).unwrap()
    }

    #[test]
    fn the_fast_path_equals_the_plain_path_over_all_rows_and_over_some() {
        for activation in Activation::ALL {
            // The plain path's normal distribution function is the library's, which is good to 1e-9 near z = 0.7.
            let tolerance = if activation == Activation::Gelu { 1e-9 } else { 1e-12 };
            for (hidden, rows) in [(&[][..], 5), (&[7][..], 33), (&[12, 5][..], 600)] {
                let learned = Positive::Learned { prior_mean: 0.0, prior_sd: 1.0 };
                let likelihoods: [Box<dyn Likelihood>; 13] = [
                    Box::new(Gaussian::known_noise(0.5)),
                    Box::new(Gaussian::learned_noise()),
                    Box::new(Gaussian::input_dependent_noise()),
                    Box::new(Bernoulli),
                    Box::new(Categorical { classes: 3 }),
                    Box::new(StudentT::known(4.0, 0.5)),
                    Box::new(StudentT { degrees_of_freedom: learned, scale: Positive::Known(0.3) }),
                    Box::new(StudentT::learned()),
                    Box::new(Poisson),
                    Box::new(NegativeBinomial::learned()),
                    Box::new(Ordinal { classes: 5 }),
                    Box::new(IndependentGaussians::known_noise(&[0.5, 2.0])),
                    Box::new(Product::new().and("noise", IndependentGaussians::learned_noise(2)).and("count", Poisson)),
                ];
                for likelihood in likelihoods {
                    let model = model(likelihood, activation, hidden, rows);
                    let dim = model.layout.dim();
                    let position: Vec<f64> = (0..dim).map(|i| 0.9 * (i as f64 * 1.7).sin()).collect();
                    let (mut fast, mut plain) = (RowGradient::new(&model), PlainEvaluator::new(&model));
                    let (mut a, mut b) = (vec![f64::NAN; dim], vec![f64::NAN; dim]);
                    let some: Vec<usize> = (0..rows).rev().step_by(2).collect();
                    for rows in [None, Some(&some[..]), Some(&some[..1])] {
                        let x = fast.evaluate(model.network.num_weights(), &position, rows, &mut a);
                        let y = plain.evaluate(&position, rows, &mut b);
                        assert!((x - y).abs() < tolerance * (rows.map_or(600, <[usize]>::len) as f64 + y.abs()), "{x} and {y}");
                        let largest = b.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
                        for (x, y) in a.iter().zip(&b) {
                            assert!((x - y).abs() < tolerance * largest.max(1.0), "{activation:?}: {x} and {y}");
                        }
                    }
                }
            }
        }
    }
}
