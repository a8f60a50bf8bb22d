//! Put a layer of your own into a network: radial basis functions, in one file, sampled beside the library's layers.
//!
//! The layer is two passes over one row, forward and back, in plain loops; the library checks its gradient, runs it on every row, and
//! treats its parameters as it does any other.

#![allow(clippy::print_stdout)]

use ergodic::model::layers::{BackwardRow, BoundLayer, Dense, Layer, LayerError, LayerParameter};
use ergodic::model::{Purpose, stream};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand::RngExt;
use std::error::Error;

/// `y[k] = exp(−Σᵢ (x[i] − c[k, i])² / 2)`: bumps of width 1 around centres c, of shape (units, inputs).
#[derive(Debug, Clone)]
struct RadialBasis {
    units: usize,
}

/// The layer for a number of inputs.
#[derive(Debug)]
struct BoundRadialBasis {
    inputs: usize,
    shape: [usize; 1],
}

impl Layer for RadialBasis {
    fn kind(&self) -> String {
        "radial basis".into()
    }

    fn bind(&self, input_shape: &[usize]) -> Result<Box<dyn BoundLayer>, LayerError> {
        let [inputs] = *input_shape else {
            return Err(LayerError::shape("[inputs]", input_shape, "put Flatten before it"));
        };
        Ok(Box::new(BoundRadialBasis { inputs, shape: [self.units] }))
    }
}

impl BoundLayer for BoundRadialBasis {
    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        // A fan-in of 1: a prior that scales with it leaves centres where the inputs are.
        vec![LayerParameter::weight(&[self.shape[0], self.inputs], 1)]
    }

    fn forward(&self, weights: &[f64], input: &[f64], output: &mut [f64], _kept: &mut [f64]) {
        for (y, centre) in output.iter_mut().zip(weights.chunks_exact(self.inputs)) {
            let distance: f64 = input.iter().zip(centre).map(|(x, c)| (x - c).powi(2)).sum();
            *y = (-0.5 * distance).exp();
        }
    }

    fn backward(&self, row: BackwardRow<'_>) {
        row.d_input.fill(0.0);
        for (unit, (y, d)) in row.output.iter().zip(row.d_output).enumerate() {
            for i in 0..self.inputs {
                let weight = unit * self.inputs + i;
                let slope = d * y * (row.input[i] - row.weights[weight]);
                row.d_weights[weight] += slope;
                row.d_input[i] -= slope;
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    // A ridge around the origin.
    let mut rng = stream(4, 0, Purpose::Simulate);
    let inputs = DMatrix::<f64>::from_fn(120, 2, |_, _| rng.random_range(-2.0..2.0));
    let targets = DMatrix::from_fn(120, 1, |row, _| {
        let radius = (inputs[(row, 0)].powi(2) + inputs[(row, 1)].powi(2)).sqrt();
        (-(radius - 1.0_f64).powi(2)).exp() + rng.random_range(-0.1..0.1)
    });
    let (train, test) = Dataset::new(inputs, targets)?.split(0.25, 1)?;
    let network = Network::builder([2]).layer(RadialBasis { units: 8 }).layer(Dense::new(1)).build()?;
    println!("Network {}, {} weights.\n", network.shape(), network.num_weights());
    let model = BayesianNetwork::new(network, Gaussian::learned_noise(), NormalPrior::default(), &train)?;
    println!("{}\n", check_gradient(&model, None, 1));

    let (warmup, draws) = if quick { (100, 100) } else { (500, 500) };
    let nuts = sample(&model, &Nuts::default(), &Run { warmup, draws, seed: 1, ..Run::default() })?;
    let predictions = model.predict(&nuts, &test)?;
    println!("{}\n{}", summary(&nuts), ergodic::diagnostics::metrics::metrics(&predictions)?.table());
    Ok(())
}
