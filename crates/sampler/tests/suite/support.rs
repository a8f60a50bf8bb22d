//! Hold what several tests need: densities, and effective sample sizes.

use ergodic_model::{LogDensity, density};

/// Independent normals with the given scales.
pub(crate) fn normal(scales: &[f64]) -> impl LogDensity + Clone + Send + Sync + use<> {
    let scales = scales.to_vec();
    density(scales.len(), move |x: &[f64], gradient: &mut [f64]| {
        let mut value = 0.0;
        for ((g, x), s) in gradient.iter_mut().zip(x).zip(&scales) {
            let z = x / s;
            *g = -z / s;
            value -= 0.5 * z * z;
        }
        value
    })
}

/// A stationary autoregression of order one: variances 1, correlation `rho` between neighbours.
pub(crate) fn autoregression(dim: usize, rho: f64) -> impl LogDensity + Clone + Send + Sync + use<> {
    let precision = 1.0 / (1.0 - rho * rho);
    density(dim, move |x: &[f64], gradient: &mut [f64]| {
        let mut value = -0.5 * x[0] * x[0];
        gradient.fill(0.0);
        gradient[0] = -x[0];
        for i in 1..x.len() {
            let step = x[i] - rho * x[i - 1];
            value -= 0.5 * precision * step * step;
            gradient[i] -= precision * step;
            gradient[i - 1] += rho * precision * step;
        }
        value
    })
}

/// Mean and its standard error over chains, from batch means of √n draws.
pub(crate) fn mean_and_error(chains: &[Vec<f64>]) -> (f64, f64) {
    let mut batches = Vec::new();
    for chain in chains {
        let length = (chain.len() as f64).sqrt() as usize;
        batches.extend(chain.chunks_exact(length).map(|batch| batch.iter().sum::<f64>() / length as f64));
    }
    let count = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / count;
    let variance = batches.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}
