//! Sample a small convolutional network that tells noisy shapes apart, and see whether its probabilities can be believed.
//!
//! `cargo run --release --example convolutional_network` makes images of 8 × 8 pixels with a bar, a column or a cross somewhere in them,
//! draws from the posterior of a network of two convolutions, and prints its scores on new images, beside those of a single trained
//! network, in half a minute on two cores. With `-- --quick` it takes a second, for a look, not for an answer.
//! The verdict says that some predictions need longer chains: hidden channels change places slowly.

#![allow(clippy::print_stdout)]

use ergodic::diagnostics::metrics::{metrics, reliability};
use ergodic::model::layers::{AveragePool, Conv2d, Dense, Flatten, MaxPool};
use ergodic::model::{Purpose, Standardize, stream};
use ergodic::prelude::*;
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::error::Error;

const SIDE: usize = 8;
const SHAPES: [&str; 3] = ["bar", "column", "cross"];

/// Images with a shape of three or five pixels at a random place, under noise of 0.3 of its brightness.
fn images(count: usize, seed: u64) -> Result<Dataset, Box<dyn Error>> {
    let mut rng = stream(seed, 0, Purpose::Simulate);
    let shapes: Vec<usize> = (0..count).map(|image| image % SHAPES.len()).collect();
    let mut pixels = DMatrix::zeros(count, SIDE * SIDE);
    for (image, shape) in shapes.iter().enumerate() {
        for pixel in 0..SIDE * SIDE {
            let noise: f64 = StandardNormal.sample(&mut rng);
            pixels[(image, pixel)] = 0.3 * noise;
        }
        let (row, column) = (rng.random_range(1..SIDE - 1), rng.random_range(1..SIDE - 1));
        for step in 0..3 {
            if *shape != 1 {
                pixels[(image, row * SIDE + column + step - 1)] += 1.0;
            }
            if *shape != 0 && (step != 1 || *shape == 1) {
                pixels[(image, (row + step - 1) * SIDE + column)] += 1.0;
            }
        }
    }
    let labels = DMatrix::from_fn(count, 1, |image, _| shapes[image] as f64);
    Ok(Dataset::new(pixels, labels)?.with_target_names(&["shape"])?.with_class_names(&SHAPES))
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (train, test) = (images(if quick { 60 } else { 150 }, 1)?, images(600, 2)?);
    let network = Network::builder([1, SIDE, SIDE])
        .layer(Conv2d::new(4, [3, 3]).with_padding([1, 1]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Conv2d::new(6, [3, 3]).with_padding([1, 1]))
        .layer(Activation::Tanh)
        .layer(MaxPool::new([4, 4]))
        .layer(Flatten)
        .layer(Dense::new(SHAPES.len()))
        .build()?;
    println!("{} training images; network {}, {} weights.\n", train.num_rows(), network.shape(), network.num_weights());
    let model = BayesianNetwork::with_standardization(
        network,
        Box::new(Categorical { classes: SHAPES.len() }),
        &NormalPrior::fan_in(3.0),
        &train,
        // Pixels keep their relation to each other.
        Standardize::InputsTogether,
    )?;

    let (warmup, draws, steps) = if quick { (15, 10, 100) } else { (250, 300, 2000) };
    let bars = ProgressBars::new();
    let run = Run { chains: 4, warmup, draws, seed: 3, ..Run::default() };
    let nuts = Sampler::new(&model, Nuts::default(), run).observer(&bars).run()?;
    let single = map(&model, &Map { steps, seed: 3, ..Map::default() })?;
    let (of_nuts, of_single) = (model.predict(&nuts, &test)?, model.predict(&single, &test)?);

    println!("{}\n", diagnose(&nuts, Some(&of_nuts))?);
    println!("Calibration on {} new images:\n", test.num_rows());
    for (name, predictions) in [("posterior (NUTS)", &of_nuts), ("single network", &of_single)] {
        println!("{name}\n{}", metrics(predictions)?.table());
        println!("{:>15} {:>12} {:>8}", "probability", "share right", "images");
        for bin in reliability(predictions, 5)?.iter().filter(|bin| bin.count > 0) {
            println!("{:>15.3} {:>12.3} {:>8}", bin.confidence, bin.accuracy, bin.count);
        }
        println!();
    }
    let scores = compare(&[
        Entry { name: "NUTS", draws: &nuts, predictions: &of_nuts },
        Entry { name: "single network", draws: &single, predictions: &of_single },
    ])?;
    println!("{scores}");
    Ok(())
}
