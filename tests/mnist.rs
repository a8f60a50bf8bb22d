//! Evaluate LeNet-5 and a small residual network on handwritten digits, where the data are at hand.

#![allow(clippy::print_stdout)]

use ergodic::diagnostics::metrics::accuracy;
use ergodic::model::layers::{AveragePool, Conv2d, Dense, FilterResponseNorm, Flatten, Residual};
use ergodic::model::{Precision, Purpose, Standardize, stream};
use ergodic::prelude::*;
use flate2::read::GzDecoder;
use nalgebra::DMatrix;
use rand::RngExt;
use std::io::Read;
use std::path::PathBuf;

const IMAGES: usize = 160;

/// The first training images, if the folder `mnist` is under `ERGODIC_DATA` or under `../shared/data` beside the project.
fn digits() -> Option<Dataset> {
    let root = match std::env::var_os("ERGODIC_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let read = |name: &str, header: usize, size: usize| {
        let file = std::fs::File::open(root.join("mnist").join(name)).ok()?;
        let mut bytes = vec![0; header + IMAGES * size];
        GzDecoder::new(file).read_exact(&mut bytes).expect("the file holds the training images");
        Some(bytes.split_off(header))
    };
    let pixels = read("train-images-idx3-ubyte.gz", 16, 784)?;
    let labels = read("train-labels-idx1-ubyte.gz", 8, 1)?;
    let inputs = DMatrix::from_fn(IMAGES, 784, |image, pixel| f64::from(pixels[image * 784 + pixel]));
    let targets = DMatrix::from_fn(IMAGES, 1, |image, _| f64::from(labels[image]));
    Some(Dataset::new(inputs, targets).expect("pixels are finite"))
}

fn lenet() -> Network {
    let network = Network::builder([1, 28, 28])
        .layer(Conv2d::new(6, [5, 5]).with_padding([2, 2]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Conv2d::new(16, [5, 5]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Flatten)
        .layer(Dense::new(120))
        .layer(Activation::Tanh)
        .layer(Dense::new(84))
        .layer(Activation::Tanh)
        .layer(Dense::new(10));
    network.build().expect("shapes agree")
}

fn residual() -> Network {
    let convolution = |stride: usize| Conv2d::new(8, [3, 3]).with_padding([1, 1]).with_stride([stride, stride]);
    let block = Residual::new()
        .layer(convolution(2))
        .layer(FilterResponseNorm::new())
        .layer(convolution(1))
        .with_projection(Conv2d::new(8, [1, 1]).with_stride([2, 2]));
    let network = Network::builder([1, 28, 28])
        .layer(convolution(1))
        .layer(FilterResponseNorm::new())
        .layer(block)
        .layer(FilterResponseNorm::new())
        .layer(AveragePool::new([7, 7]))
        .layer(Flatten)
        .layer(Dense::new(10));
    network.build().expect("shapes agree")
}

#[test]
fn lenet_and_a_residual_network_have_right_gradients_and_lenet_learns() {
    let Some(data) = digits() else {
        println!("skipped: the folder of handwritten digits is missing (set ERGODIC_DATA)");
        return;
    };
    assert_eq!(lenet().num_weights(), 61_706, "the published number of weights");
    for (network, learns) in [(lenet(), true), (residual(), false)] {
        let likelihood = Box::new(Categorical { classes: 10 });
        let prior = NormalPrior::default();
        let model = BayesianNetwork::with_standardization(network, likelihood, &prior, &data, Standardize::InputsTogether)
            .expect("valid");
        let dim = model.layout().dim();
        let mut rng = stream(1, 0, Purpose::Test);
        let mut position = vec![0.0; dim];
        model.initial_position(&mut rng, &mut position);
        let mut gradient = vec![0.0; dim];
        let mut evaluator = model.evaluator();
        let mut value = |position: &[f64], gradient: &mut [f64]| {
            evaluator.log_density_and_gradient(position, gradient).expect("the density can be evaluated")
        };
        let here = value(&position, &mut gradient);
        for _ in 0..5 {
            // The derivative along a random direction.
            let direction: Vec<f64> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
            let step = 1e-6;
            let [ahead, behind] = [step, -step].map(|step| {
                let moved: Vec<f64> = position.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                value(&moved, &mut vec![0.0; dim])
            });
            let difference = (ahead - behind) / (2.0 * step);
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let size = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((difference - slope).abs() < 1e-4 * size, "{}: {difference} and {slope}", model.network().shape());
        }
        if learns {
            let settings = Map { steps: 100, learning_rate: 1e-3, polish: 0, seed: 1, ..Map::default() };
            let fit = map(&model, &settings).expect("the optimisation ends");
            let share = accuracy(&model.predict(&fit, &data).expect("predictions")).expect("labels");
            assert!(share > 0.6, "{share} of the training images are right");
        }
        drop(evaluator);
        let single = model.with_precision(Precision::Single);
        let close = single.evaluator().log_density_and_gradient(&position, &mut vec![0.0; dim]).expect("evaluates");
        assert!((close - here).abs() < 1e-4 * here.abs(), "{close} in single and {here} in double precision");
    }
}
