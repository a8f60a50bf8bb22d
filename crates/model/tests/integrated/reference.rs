//! Compute features, normal densities and conditional distributions by plain dense algebra.

use crate::integrated::LOG_TWO_PI;
use ergodic_model::Network;
use nalgebra::{DMatrix, DVector};

/// The last hidden layer's values and a one, row by row, by plain loops.
pub(crate) fn features(network: &Network, weights: &[f64], inputs: &DMatrix<f64>) -> DMatrix<f64> {
    let (top, hidden) = network.dense_layers().unwrap().split_last().unwrap();
    let mut features = DMatrix::from_element(inputs.nrows(), top.inputs + 1, 1.0);
    for row in 0..inputs.nrows() {
        let mut values: Vec<f64> = inputs.row(row).iter().copied().collect();
        for layer in hidden {
            let (w, b) = (&weights[layer.weights()], &weights[layer.biases()]);
            values = (0..layer.outputs)
                .map(|h| {
                    let z: f64 = values.iter().zip(&w[h * layer.inputs..]).map(|(x, w)| x * w).sum();
                    layer.activation.value_and_derivative(z + b[h]).0
                })
                .collect();
        }
        for (h, value) in values.iter().enumerate() {
            features[(row, h)] = *value;
        }
    }
    features
}

/// One output's weights of a flat vector, the bias last.
pub(crate) fn of_output(network: &Network, weights: &[f64], output: usize) -> DVector<f64> {
    let top = network.dense_layers().unwrap().last().unwrap();
    let own = &weights[top.weights()][output * top.inputs..][..top.inputs];
    DVector::from_iterator(top.inputs + 1, own.iter().copied().chain([weights[top.biases()][output]]))
}

/// ln N(y; 0, covariance).
pub(crate) fn log_normal(y: &DVector<f64>, covariance: DMatrix<f64>) -> f64 {
    let factor = covariance.cholesky().unwrap();
    let log_root: f64 = factor.l_dirty().diagonal().iter().map(|d| d.ln()).sum();
    -0.5 * y.dot(&factor.solve(y)) - log_root - 0.5 * y.len() as f64 * LOG_TWO_PI
}

/// Mean and covariance of one output's weights given the features, with noise sd `sigma` and prior sds `s`.
pub(crate) fn conditional(phi: &DMatrix<f64>, y: &DVector<f64>, sigma: f64, s: &DVector<f64>) -> (DVector<f64>, DMatrix<f64>) {
    let precision = phi.transpose() * phi / (sigma * sigma) + DMatrix::from_diagonal(&s.map(|s| 1.0 / (s * s)));
    let covariance = precision.cholesky().unwrap().inverse();
    (&covariance * (phi.transpose() * y) / (sigma * sigma), covariance)
}
