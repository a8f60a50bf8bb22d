//! Sample a network's posterior given a table, into a run folder.

use crate::arguments::{ActivationName, LikelihoodName, PriorName, SampleArguments};
use crate::inspect::verdict_code;
use ergodic::draws::Origin;
use ergodic::methods::{Request, find};
use ergodic::model::{
    AutomaticRelevancePrior, HierarchicalPrior, HorseshoePrior, LaplacePrior, Likelihood, Prior, Scale, ScaleMixturePrior,
    SpikeAndSlabPrior, Standardize, StudentTPrior,
};
use ergodic::prelude::*;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn sample(arguments: &SampleArguments) -> Result<ExitCode, Box<dyn Error>> {
    let method = find(&arguments.method)?;
    let data = labelled_data(arguments)?;
    let (train, test) = data.split(arguments.test_fraction, arguments.seed)?;
    let likelihood = likelihood(arguments.likelihood, &data);
    let network =
        Network::dense(data.num_inputs(), &arguments.hidden, activation(arguments.activation), likelihood.num_outputs())?;
    let prior = prior(arguments);
    let model =
        BayesianNetwork::with_standardization(network, likelihood, prior.as_ref(), &train, Standardize::ByTrainingRows)?;
    println!(
        "{} training rows, {} test rows; network {}; {}; prior {}; {} coordinates",
        train.num_rows(),
        test.num_rows(),
        model.network().shape(),
        model.likelihood().name(),
        model.prior_description(),
        model.layout().dim(),
    );

    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            // Asked a second time: the folder is readable up to its last block anyway.
            std::process::exit(130);
        }
        eprintln!("stopping after the present transitions; once more ends at once");
    })?;

    let bars = ProgressBars::new();
    let run = Run {
        chains: arguments.chains,
        warmup: arguments.warmup,
        draws: arguments.draws,
        seed: arguments.seed,
        threads: arguments.threads,
        ..Run::default()
    };
    // Before the folder is made, so that a refused run leaves nothing behind.
    run.validate()?;
    let mut request = Request { observer: &bars, stop: &stop, ..Request::new(&model, run) };
    let draws = if method.origin.is_markov() {
        let sink = RunFolder::create(&arguments.out)?;
        request.sink = Some(&sink);
        (method.run)(&request)?
    } else {
        if arguments.out.exists() {
            return Err(ergodic::draws::SinkError::AlreadyExists(arguments.out.clone()).into());
        }
        let draws = (method.run)(&request)?;
        RunFolder::write(&arguments.out, &draws)?;
        draws
    };
    println!("draws are in {}\n", arguments.out.display());

    let predictions = model.predict(&draws, &test)?;
    if draws.origin() != Origin::Point {
        println!("{}", function_diagnostics(&predictions)?.roll_up_table());
    }
    println!("{}", summary(&draws));
    println!("{}", compare(&[Entry { name: method.title, draws: &draws, predictions: &predictions }])?);
    let diagnosis = diagnose(&draws, Some(&predictions))?;
    println!("{diagnosis}");
    Ok(verdict_code(&diagnosis))
}

/// The table; its target as classes where the likelihood takes classes.
fn labelled_data(arguments: &SampleArguments) -> Result<Dataset, Box<dyn Error>> {
    let data = Dataset::from_csv(&arguments.data, &[&arguments.target])?;
    let wants_classes = matches!(arguments.likelihood, LikelihoodName::Bernoulli | LikelihoodName::Categorical);
    if wants_classes && data.class_names().is_empty() { Ok(data.with_targets_as_classes()?) } else { Ok(data) }
}

fn likelihood(name: LikelihoodName, data: &Dataset) -> Box<dyn Likelihood> {
    // A single class is an error of the data, which the model names with the class.
    let classes = data.class_names().len().max(2);
    match name {
        LikelihoodName::Auto if !data.class_names().is_empty() => Box::new(Categorical { classes }),
        LikelihoodName::Auto | LikelihoodName::Gaussian => Box::new(Gaussian::learned_noise()),
        LikelihoodName::InputDependentGaussian => Box::new(Gaussian::input_dependent_noise()),
        LikelihoodName::Bernoulli => Box::new(Bernoulli),
        LikelihoodName::Categorical => Box::new(Categorical { classes }),
    }
}

/// The prior, with the scale that was asked for.
fn prior(arguments: &SampleArguments) -> Box<dyn Prior> {
    let scale = arguments.prior_scale;
    let weights = if arguments.fan_in { Scale::FanIn(scale) } else { Scale::Fixed(scale) };
    let biases = Scale::Fixed(scale);
    match arguments.prior {
        PriorName::Normal => Box::new(NormalPrior { weights, biases }),
        PriorName::Laplace => Box::new(LaplacePrior { weights, biases }),
        PriorName::StudentT => Box::new(StudentTPrior { weights, biases, ..StudentTPrior::standard(scale) }),
        PriorName::Mixture => Box::new(ScaleMixturePrior { weights, biases, ..ScaleMixturePrior::standard(scale) }),
        PriorName::Hierarchical => Box::new(HierarchicalPrior { weights, biases, ..HierarchicalPrior::default() }),
        PriorName::Neal => Box::new(HierarchicalPrior { weights, biases, ..HierarchicalPrior::neal(1.0, 1.0, 1.0) }),
        PriorName::Ard => {
            Box::new(AutomaticRelevancePrior { rest: NormalPrior { weights, biases }, ..AutomaticRelevancePrior::default() })
        }
        PriorName::Horseshoe => Box::new(HorseshoePrior { weights, biases, ..HorseshoePrior::default() }),
        PriorName::RegularizedHorseshoe => Box::new(HorseshoePrior { weights, biases, ..HorseshoePrior::regularized() }),
        PriorName::SpikeAndSlab => Box::new(SpikeAndSlabPrior { weights, biases, ..SpikeAndSlabPrior::default() }),
    }
}

fn activation(name: ActivationName) -> Activation {
    match name {
        ActivationName::Tanh => Activation::Tanh,
        ActivationName::Relu => Activation::Relu,
        ActivationName::LeakyRelu => Activation::LeakyRelu,
        ActivationName::Sigmoid => Activation::Sigmoid,
        ActivationName::Softplus => Activation::Softplus,
        ActivationName::Gelu => Activation::Gelu,
        ActivationName::Silu => Activation::Silu,
    }
}
