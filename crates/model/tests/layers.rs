//! Check networks of composed layers as posteriors: gradients, capabilities, errors by their text, images as inputs.

use ergodic_draws::{Role, Transform};
use ergodic_model::layers::{AveragePool, Conv2d, Dense, Embedding, FilterResponseNorm, Flatten, LayerNorm, MaxPool, Residual};
use ergodic_model::{
    Activation, BayesianNetwork, Bernoulli, Categorical, Dataset, Gaussian, Likelihood, Network, NetworkBuilder, NormalPrior,
    Posterior, Precision, Purpose, Scale, Standardize, check_gradient, stream,
};
use nalgebra::DMatrix;
use rand::RngExt;

fn images(rows: usize, inputs: usize, likelihood: &dyn Likelihood) -> Dataset {
    let mut rng = stream(9, rows, Purpose::Test);
    let pixels = DMatrix::from_fn(rows, inputs, |_, _| rng.random_range(-1.5..1.5));
    let targets = DMatrix::from_fn(rows, 1, |row, _| match likelihood.name() {
        "categorical" => (row % likelihood.num_outputs()) as f64,
        "bernoulli" => (row % 2) as f64,
        _ => pixels[(row, 0)] - 0.5 * pixels[(row, 1)],
    });
    Dataset::new(pixels, targets).unwrap()
}

fn model(network: Network, likelihood: Box<dyn Likelihood>, data: &Dataset) -> BayesianNetwork {
    let prior = NormalPrior::fan_in(1.5);
    BayesianNetwork::with_standardization(network, likelihood, &prior, data, Standardize::InputsTogether).unwrap()
}

fn small() -> NetworkBuilder {
    Network::builder([1, 6, 6])
        .layer(Conv2d::new(3, [3, 3]).with_padding([1, 1]))
        .layer(Activation::Tanh)
        .layer(AveragePool::new([2, 2]))
        .layer(Flatten)
}

fn residual() -> NetworkBuilder {
    let block = Residual::new()
        .layer(Conv2d::new(4, [3, 3]).with_stride([2, 2]).with_padding([1, 1]))
        .layer(FilterResponseNorm::new())
        .with_projection(Conv2d::new(4, [1, 1]).with_stride([2, 2]));
    Network::builder([2, 6, 5])
        .layer(Conv2d::new(2, [3, 3]).with_padding([1, 1]))
        .layer(FilterResponseNorm::new())
        .layer(block)
        .layer(MaxPool::new([3, 3]))
        .layer(Flatten)
        .layer(LayerNorm::new())
}

#[test]
fn gradients_equal_finite_differences() {
    let cases: Vec<(Network, Box<dyn Likelihood>)> = vec![
        (small().layer(Dense::new(3)).build().unwrap(), Box::new(Categorical { classes: 3 })),
        (small().layer(Dense::new(2)).build().unwrap(), Box::new(Gaussian::input_dependent_noise())),
        (residual().layer(Dense::new(1)).build().unwrap(), Box::new(Bernoulli)),
        (residual().layer(Dense::new(1)).build().unwrap(), Box::new(Gaussian::learned_noise())),
        (
            Network::builder([7])
                .layer(Dense::new(6))
                .layer(Residual::new().layer(LayerNorm::new()).layer(Dense::new(6)).layer(Activation::Gelu))
                .layer(Dense::new(1))
                .build()
                .unwrap(),
            Box::new(Gaussian::learned_noise()),
        ),
    ];
    for (index, (network, likelihood)) in cases.into_iter().enumerate() {
        for rows in [2, 13] {
            let data = images(rows, network.num_inputs(), likelihood.as_ref());
            let (network, likelihood) = (network.clone(), clone(likelihood.as_ref()));
            let model = model(network, likelihood, &data);
            let check = check_gradient(&model, None, 3);
            assert!(check.is_ok(), "case {index}, {rows} rows: {check}");
            let position = &check.position;
            let mut gradients = [vec![0.0; position.len()], vec![0.0; position.len()]];
            let double = model.evaluator().log_density_and_gradient(position, &mut gradients[0]).unwrap();
            let model = model.with_precision(Precision::Single);
            let single = model.evaluator().log_density_and_gradient(position, &mut gradients[1]).unwrap();
            assert!((single - double).abs() < 1e-4 * double.abs() && single != double, "{single} and {double}");
            let largest = gradients[0].iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for (x, y) in gradients[1].iter().zip(&gradients[0]) {
                assert!((x - y).abs() < 1e-3 * largest, "case {index}, single: {x} and {y}, largest {largest}");
            }
        }
    }
}

fn clone(likelihood: &dyn Likelihood) -> Box<dyn Likelihood> {
    match likelihood.name() {
        "categorical" => Box::new(Categorical { classes: likelihood.num_outputs() }),
        "bernoulli" => Box::new(Bernoulli),
        _ if likelihood.num_outputs() == 2 => Box::new(Gaussian::input_dependent_noise()),
        _ => Box::new(Gaussian::learned_noise()),
    }
}

#[test]
fn dead_units_have_no_gradient() {
    // With biases far below every pre-activation no unit is ever on: the kernels' gradient is the prior's alone.
    let network = Network::builder([1, 5, 5])
        .layer(Conv2d::new(2, [3, 3]))
        .layer(Activation::Relu)
        .layer(MaxPool::new([2, 2]))
        .layer(Flatten)
        .layer(Dense::new(1))
        .build()
        .unwrap();
    let data = images(9, 25, &Bernoulli);
    let model = model(network, Box::new(Bernoulli), &data);
    let mut position: Vec<f64> = (0..model.layout().dim()).map(|i| (i as f64).sin()).collect();
    position[18..20].fill(-1e3);
    let mut gradient = vec![f64::NAN; position.len()];
    model.evaluator().log_density_and_gradient(&position, &mut gradient).unwrap();
    let mut scales = vec![0.0; position.len()];
    model.prior_scales(&mut scales);
    for i in 0..20 {
        let prior = -position[i] / (scales[i] * scales[i]);
        assert!((gradient[i] - prior).abs() <= 1e-12 * prior.abs(), "{i}: {} and {prior}", gradient[i]);
    }
}

#[test]
fn minibatches_add_up_and_predictions_agree_with_pointwise_log_likelihoods() {
    let network = residual().layer(Dense::new(3)).build().unwrap();
    let likelihood = Categorical { classes: 3 };
    let data = images(21, network.num_inputs(), &likelihood);
    let model = model(network, Box::new(likelihood), &data);
    let position: Vec<f64> = (0..model.layout().dim()).map(|i| 0.8 * (1.3 * i as f64).sin()).collect();
    let dim = position.len();
    let capabilities = model.capabilities();
    let mut batches = capabilities.minibatch.unwrap().minibatch_evaluator();
    let (mut sum, mut part, mut value) = (vec![0.0; dim], vec![0.0; dim], 0.0);
    for rows in [&(0..10).collect::<Vec<_>>()[..], &(10..21).collect::<Vec<_>>()] {
        value += batches.log_likelihood_and_gradient(&position, rows, &mut part).unwrap();
        sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    value += batches.log_prior_and_gradient(&position, &mut part).unwrap();
    sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    let whole = model.evaluator().log_density_and_gradient(&position, &mut part).unwrap();
    assert!((value - whole).abs() < 1e-9 * whole.abs());
    sum.iter().zip(&part).for_each(|(a, b)| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs())));

    let mut each = vec![0.0; 21];
    capabilities.pointwise.unwrap().log_likelihood_each(&position, &mut each).unwrap();
    let rows: Vec<usize> = (0..21).collect();
    let log_likelihood = batches.log_likelihood_and_gradient(&position, &rows, &mut part).unwrap();
    assert!((each.iter().sum::<f64>() - log_likelihood).abs() < 1e-9 * log_likelihood.abs());
    let mut outputs = vec![0.0; 63];
    capabilities.outputs.unwrap().output_evaluator(data.inputs()).unwrap().outputs(&position, &mut outputs);
    for (row, outputs) in outputs.chunks_exact(3).enumerate() {
        let total: f64 = outputs.iter().map(|f| f.exp()).sum();
        assert!((each[row] - (outputs[row % 3].exp() / total).ln()).abs() < 1e-9);
    }
}

#[test]
fn the_gauss_newton_matrix_is_that_of_the_same_network_in_dense_layers() {
    // A kernel as large as the image is a dense layer, with the same weights in the same order.
    let composed = Network::builder([1, 2, 3])
        .layer(Conv2d::new(4, [2, 3]))
        .layer(Activation::Tanh)
        .layer(Flatten)
        .layer(Dense::new(1))
        .build()
        .unwrap();
    let dense = Network::dense(6, &[4], Activation::Tanh, 1).unwrap();
    let data = images(17, 6, &Gaussian::learned_noise());
    let [composed, dense] = [composed, dense].map(|network| model(network, Box::new(Gaussian::learned_noise()), &data));
    let position: Vec<f64> = (0..dense.layout().dim()).map(|i| (0.7 * i as f64).cos()).collect();
    let [a, b] = [&composed, &dense].map(|model| model.capabilities().curvature.unwrap().gauss_newton(&position).unwrap());
    assert!((a - &b).amax() < 1e-10 * b.amax());
    let [(x, c), (y, d)] = [&composed, &dense].map(|model| {
        let mut gradient = vec![0.0; position.len()];
        (model.evaluator().log_density_and_gradient(&position, &mut gradient).unwrap(), gradient)
    });
    assert!((x - y).abs() < 1e-10 * y.abs());
    c.iter().zip(&d).for_each(|(c, d)| assert!((c - d).abs() < 1e-9 * (1.0 + d.abs())));
    // What a composed network cannot do is not offered, and says why when asked all the same.
    assert!(composed.capabilities().local_reparameterization.is_none());
    assert!(dense.capabilities().local_reparameterization.is_some());
    let error = composed.capabilities().curvature.unwrap().layer_factors(&position).unwrap_err().to_string();
    assert!(error.contains("dense layers alone") && error.contains("conv2d"), "{error}");
}

#[test]
fn tensors_have_pytorchs_shapes_and_names() {
    let network = residual().layer(Dense::new(2)).build().unwrap();
    let tensors: Vec<(String, Vec<usize>, usize)> =
        network.tensors().into_iter().map(|tensor| (tensor.block.name, tensor.block.shape, tensor.fan_in)).collect();
    let expected: Vec<(&str, &[usize], usize)> = vec![
        ("layer0.weight", &[2, 2, 3, 3], 18),
        ("layer0.bias", &[2], 18),
        ("layer1.weight", &[2], 1),
        ("layer1.bias", &[2], 1),
        ("layer1.threshold", &[2], 1),
        ("layer2.0.weight", &[4, 2, 3, 3], 18),
        ("layer2.0.bias", &[4], 18),
        ("layer2.1.weight", &[4], 1),
        ("layer2.1.bias", &[4], 1),
        ("layer2.1.threshold", &[4], 1),
        ("layer2.projection.0.weight", &[4, 2, 1, 1], 2),
        ("layer2.projection.0.bias", &[4], 2),
        ("layer5.weight", &[4], 1),
        ("layer5.bias", &[4], 1),
        ("layer6.weight", &[2, 4], 4),
        ("layer6.bias", &[2], 4),
    ];
    assert_eq!(tensors.len(), expected.len());
    for ((name, shape, fan_in), expected) in tensors.iter().zip(expected) {
        assert_eq!((name.as_str(), shape.as_slice(), *fan_in), expected);
    }
    let mut end = 0;
    for tensor in network.tensors() {
        assert_eq!(tensor.block.offset, end, "no gaps");
        assert!(matches!(tensor.block.role, Role::Weight | Role::Bias) && tensor.block.transform == Transform::Identity);
        end = tensor.block.range().end;
    }
    assert_eq!(end, network.num_weights());
    assert_eq!(
        network.shape(),
        "2×6×5 | conv2d | filter response norm | residual | max pool | flatten | layer norm | dense | 2"
    );
    // A prior with a scale for each layer counts layers as the names do.
    let scales = NormalPrior { weights: Scale::PerLayer(vec![1.0; 7]), biases: Scale::Fixed(1.0) };
    let data = images(5, 60, &Gaussian::input_dependent_noise());
    assert!(BayesianNetwork::new(network, Gaussian::input_dependent_noise(), scales, &data).is_ok());
}

#[test]
fn errors_name_the_layer_and_both_shapes() {
    let conv = |kernel| Conv2d::new(2, kernel);
    let cases: Vec<(NetworkBuilder, &str)> = vec![
        (Network::builder([1, 0, 4]).layer(Flatten), "the network has no inputs; give it at least 1"),
        (Network::builder([4]), "the network has no layers; give it at least 1"),
        (
            Network::builder([9]).layer(Activation::Tanh).layer(conv([3, 3])),
            "layer 1 (conv2d) expects an input of shape [channels, rows, columns] and receives [9]; put the layer before Flatten, \
             and give the network images as inputs",
        ),
        (
            Network::builder([1, 4, 9]).layer(conv([7, 3]).with_padding([1, 0])),
            "layer 0 (conv2d) expects an input of shape [channels, at least 5, at least 3] and receives [1, 4, 9]; use a smaller \
             kernel, or padding",
        ),
        (
            Network::builder([1, 4, 4]).layer(conv([2, 0])),
            "layer 0 (conv2d) has a kernel of [2, 0]; every length in it must be at least 1",
        ),
        (
            Network::builder([1, 4, 4]).layer(MaxPool::new([2, 5])),
            "layer 0 (max pool) expects an input of shape [channels, at least 2, at least 5] and receives [1, 4, 4]; use a smaller window",
        ),
        (
            Network::builder([1, 4, 4]).layer(Dense::new(3)),
            "layer 0 (dense) expects an input of shape [inputs] and receives [1, 4, 4]; put Flatten before it",
        ),
        (Network::builder([4]).layer(Dense::new(0)), "layer 0 (dense) has no outputs; give it at least 1"),
        (
            Network::builder([2, 6, 6]).layer(Residual::new().layer(conv([3, 3]))),
            "layer 0 (residual) adds a branch of shape [2, 4, 4] to a shortcut of shape [2, 6, 6]; make them agree by padding, or by a \
             projection on the shortcut",
        ),
        (
            Network::builder([2, 6, 6]).layer(Residual::new().layer(Flatten).layer(conv([3, 3]))),
            "layer 0 (residual) has in its branch a layer 1 (conv2d) that expects an input of shape [channels, rows, columns] and \
             receives [72]; put the layer before Flatten, and give the network images as inputs",
        ),
        (
            Network::builder([2, 6, 6]).layer(Residual::new()),
            "layer 0 (residual) has a branch without layers; give it at least one",
        ),
        (
            Network::builder([3, 1, 1]).layer(FilterResponseNorm::new()),
            "layer 0 (filter response norm) expects an input of shape [channels, rows, columns] with at least 2 pixels and receives \
             [3, 1, 1]; one pixel divided by its own size keeps its sign alone; leave the layer out",
        ),
        (
            Network::builder([1]).layer(LayerNorm::new()),
            "layer 0 (layer norm) expects an input of shape at least 2 values and receives [1]; one value minus its own mean is \
             always 0; leave the layer out",
        ),
        (
            Network::builder([3]).layer(LayerNorm::new().with_epsilon(0.0)),
            "layer 0 (layer norm) has an epsilon of 0; it must be positive and finite",
        ),
        (
            Network::builder([3]).layer(Dense::new(3)).layer(Embedding::new(3, 2)),
            "layer 1 (embedding) reads whole numbers from the data; make it the first layer",
        ),
    ];
    for (builder, expected) in cases {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    }
}

#[test]
fn categories_are_checked_and_not_standardised() {
    let network = || Network::builder([2]).layer(Embedding::new(3, 2)).layer(Flatten).layer(Dense::new(1)).build().unwrap();
    let build = |inputs: [f64; 8], standardize| {
        let data =
            Dataset::new(DMatrix::from_row_slice(4, 2, &inputs), DMatrix::from_column_slice(4, 1, &[0.0, 2.0, 5.0, 6.0]));
        let likelihood = Box::new(Gaussian::known_noise(1.0));
        BayesianNetwork::with_standardization(network(), likelihood, &NormalPrior::default(), &data.unwrap(), standardize)
    };
    let good = [0.0, 2.0, 1.0, 0.0, 2.0, 2.0, 1.0, 1.0];
    let error = build(good, Standardize::ByTrainingRows).unwrap_err().to_string();
    assert!(error.contains("embedding") && error.contains("Standardize::Targets"), "{error}");
    for wrong in [3.0, -1.0, 0.5] {
        let mut inputs = good;
        inputs[5] = wrong;
        let error = build(inputs, Standardize::Targets).unwrap_err().to_string();
        let expected = format!("row 2 of the inputs: {wrong} is no category; categories are the whole numbers from 0 to 2");
        assert_eq!(error, expected);
    }
    let model = build(good, Standardize::Targets).unwrap();
    assert!(check_gradient(&model, None, 2).is_ok());
    assert!((model.standardization().targets[0].0 - 3.25).abs() < 1e-12 && model.standardization().inputs[1] == (0.0, 1.0));
    let outputs = model.capabilities().outputs.unwrap();
    assert!(outputs.output_evaluator(&DMatrix::from_row_slice(1, 2, &[0.0, 7.0])).is_err());
}

#[test]
fn images_with_a_constant_border_are_standardised_together() {
    let pixels = DMatrix::from_fn(6, 16, |row, pixel| if pixel < 4 { 0.0 } else { (row * pixel % 7) as f64 });
    let data = Dataset::new(pixels.clone(), DMatrix::from_fn(6, 1, |row, _| (row % 2) as f64)).unwrap();
    let network = Network::builder([1, 4, 4]).layer(Flatten).layer(Dense::new(1)).build().unwrap();
    let build = |data: &Dataset, standardize| {
        BayesianNetwork::with_standardization(network.clone(), Box::new(Bernoulli), &NormalPrior::default(), data, standardize)
    };
    assert!(build(&data, Standardize::ByTrainingRows).unwrap_err().to_string().contains("standardise all inputs together"));
    let model = build(&data, Standardize::InputsTogether).unwrap();
    let (mean, sd) = model.standardization().inputs[0];
    assert!((mean - pixels.mean()).abs() < 1e-12 && (sd - pixels.variance().sqrt()).abs() < 1e-12);
    assert!(model.standardization().inputs.iter().all(|scale| *scale == (mean, sd)));
    let blank = Dataset::new(DMatrix::from_element(6, 16, 3.0), data.targets().clone()).unwrap();
    let error = build(&blank, Standardize::InputsTogether).unwrap_err().to_string();
    assert_eq!(error, "all inputs are 3 in all 6 training rows, so they cannot be standardised and tell nothing");
}
