//! Hold a posterior without its output layer to the whole network's: the same predictions from both, where both converge.

use ergodic::diagnostics::{mcse_mean, mcse_sd};
use ergodic::model::IntegratedOutput;
use ergodic::prelude::*;
use nalgebra::DMatrix;

const RUN: Run = Run { chains: 4, warmup: 400, draws: 1500, seed: 5, ..Run::DEFAULT };

/// A small network's posterior, the noise known or learned.
fn model(learned: bool) -> BayesianNetwork {
    let inputs = DMatrix::from_fn(25, 1, |row, _| row as f64 / 4.0 - 3.0);
    let targets = DMatrix::from_fn(25, 1, |row, _| (inputs[(row, 0)]).sin() + 0.3 * ((row * row) as f64 * 0.618).sin());
    let data = Dataset::new(inputs, targets).unwrap();
    let (hidden, likelihood) = if learned { (3, Gaussian::learned_noise()) } else { (2, Gaussian::known_noise(0.5)) };
    let network = Network::dense(1, &[hidden], Activation::Tanh, 1).unwrap();
    BayesianNetwork::new(network, likelihood, NormalPrior::fan_in(1.0), &data).unwrap()
}

/// Predicted means at points inside and outside the data, each a series of chains, the largest R-hat among them, and the log noise.
fn series(posterior: &dyn Posterior, whole: &BayesianNetwork, learned: bool) -> Vec<Vec<Vec<f64>>> {
    let draws = sample(posterior, &Nuts::default(), &RUN).unwrap();
    let points = DMatrix::from_fn(7, 1, |row, _| row as f64 * 1.6 - 4.8);
    let predictions = whole.predict_inputs(&draws, &points).unwrap();
    let rhat = function_diagnostics(&predictions).unwrap().roll_up.rhat_max;
    assert!(rhat < 1.02, "the chains agree: {rhat}");
    let mut all: Vec<Vec<Vec<f64>>> = (0..7).map(|point| predictions.series(point, 0)).collect();
    if learned {
        let noise = draws.layout().coordinate_of("noise_scale").unwrap();
        all.push(draws.chains().iter().map(|chain| chain.positions().map(|draw| draw[noise]).collect()).collect());
    }
    all
}

/// (mean, its error, sd, its error) of chains.
fn moments(chains: &[Vec<f64>]) -> [f64; 4] {
    let values: Vec<f64> = chains.iter().flatten().copied().collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let sd = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt();
    [mean, mcse_mean(chains).get().unwrap(), sd, mcse_sd(chains).get().unwrap()]
}

/// The largest |z| between two posteriors' means and standard deviations, the second's values changed before.
fn largest_z(a: &[Vec<Vec<f64>>], b: &[Vec<Vec<f64>>], change: impl Fn(f64, usize) -> f64) -> f64 {
    let mut largest = 0.0_f64;
    for (a, b) in a.iter().zip(b) {
        let b: Vec<Vec<f64>> =
            b.iter().map(|chain| chain.iter().enumerate().map(|(draw, x)| change(*x, draw)).collect()).collect();
        let ([m, m_error, s, s_error], [n, n_error, t, t_error]) = (moments(a), moments(&b));
        largest = largest.max(((m - n) / m_error.hypot(n_error)).abs()).max(((s - t) / s_error.hypot(t_error)).abs());
    }
    largest
}

#[test]
fn predictions_are_those_of_the_whole_posterior() {
    for learned in [false, true] {
        let whole = model(learned);
        let integrated = IntegratedOutput::new(model(learned)).unwrap();
        let (a, b) = (series(&whole, &whole, learned), series(&integrated, integrated.model(), learned));
        // 14 and 16 z-tests at |z| < 4.5: false alarms have probability 2e-4. A shift of a means by 0.2 sd, or sds 20 % wider, give a
        // |z| of 5 or more at an effective size of 1,500 draws or more, which all points have.
        let z = largest_z(&a, &b, |x, _| x);
        assert!(z < 4.5, "learned noise {learned}: {z}");
        let spread = moments(&b[3])[2];
        assert!(largest_z(&a, &b, |x, _| x + 0.25 * spread) > 4.5, "shifted means pass");
        let centre = moments(&b[3])[0];
        assert!(largest_z(&a[3..4], &b[3..4], |x, _| centre + 1.3 * (x - centre)) > 4.5, "wider predictions pass");
    }
}
