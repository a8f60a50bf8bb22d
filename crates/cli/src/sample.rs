//! Sample a network's posterior given a table, into a run folder.

use crate::arguments::{ActivationName, PriorName, SampleArguments};
use crate::inspect::verdict_code;
use crate::target::{labelled_data, likelihood, scores_of_each};
use ergodic::baselines::{WarmStart, warm_start};
use ergodic::draws::{Origin, SafetensorsFile, TensorNames};
use ergodic::methods::{Aim, MethodRow, Request, find, recommended};
use ergodic::model::{
    AutomaticRelevancePrior, HierarchicalPrior, HorseshoePrior, LaplacePrior, Prior, Purpose, Recording, Scale,
    ScaleMixturePrior, SpikeAndSlabPrior, Standardize, StartingAt, StudentTPrior, Tempered, position_of, stream,
};
use ergodic::prelude::*;
use ergodic::sampler::Checkpoint;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a run that has no draw yet, as of one that is in doubt.
const NOT_YET: u8 = 3;

pub(crate) fn sample(arguments: &SampleArguments) -> Result<ExitCode, Box<dyn Error>> {
    let asked = arguments.method.as_deref().map(find).transpose()?;
    let data = labelled_data(arguments)?;
    let (train, test) = data.split(arguments.test_fraction, arguments.seed)?;
    let likelihood = likelihood(arguments, &data)?;
    let network =
        Network::dense(data.num_inputs(), &arguments.hidden, activation(arguments.activation), likelihood.num_outputs())?;
    let prior = prior(arguments);
    let model =
        BayesianNetwork::with_standardization(network, likelihood, prior.as_ref(), &train, Standardize::ByTrainingRows)?;
    let tempered = Tempered::new(&model, arguments.temperatures())?;
    let started = start(arguments, &model, &tempered)?;
    let posterior: &dyn Posterior = started.as_ref().map_or(&tempered, |started| started);
    let method = asked.unwrap_or_else(|| recommended(posterior));
    println!(
        "{} training rows, {} test rows; network {}; {}; prior {}; {} coordinates; method {}",
        train.num_rows(),
        test.num_rows(),
        model.network().shape(),
        model.likelihood().name(),
        model.prior_description(),
        model.layout().dim(),
        method.name,
    );

    if let Some(caveat) = arguments.temperatures().caveat() {
        println!("{caveat}");
    }

    let Some(draws) = chains_or_fit(arguments, method, posterior, &test)? else {
        println!("stopped in warm-up, before the first draw; --resume goes on");
        return Ok(ExitCode::from(NOT_YET));
    };
    println!("draws are in {}\n", arguments.out.display());

    let predictions = model.predict(&draws, &test)?;
    if draws.origin() != Origin::Point {
        println!("{}", function_diagnostics(&predictions)?.roll_up_table());
    }
    println!("{}", summary(&draws));
    if test.num_targets() > 1 {
        println!("{}", scores_of_each(&predictions, test.target_names())?);
    }
    println!("{}", compare(&[Entry { name: method.title, draws: &draws, predictions: &predictions }])?);
    let diagnosis = diagnose(&draws, Some(&predictions))?;
    println!("{diagnosis}");
    Ok(verdict_code(&diagnosis))
}

/// Runs the method into its folder; `None` where chains stopped before their first draw, and can go on.
fn chains_or_fit(
    arguments: &SampleArguments,
    method: &MethodRow,
    posterior: &dyn Posterior,
    test: &Dataset,
) -> Result<Option<Draws>, Box<dyn Error>> {
    let run = arguments.run();
    // Before the folder is made, so that a refused run leaves nothing behind.
    run.validate()?;
    let stop = stop_flag()?;
    let bars = ProgressBars::new();
    let mut request = Request { observer: &bars, stop: &stop, ..Request::new(posterior, run) };
    if !method.origin.is_markov() {
        if let Some(argument) = arguments.for_chains_alone() {
            return Err(format!("{argument} is for Markov chains, and {} makes none", method.name).into());
        }
        if arguments.out.exists() {
            return Err(ergodic::draws::SinkError::AlreadyExists(arguments.out.clone()).into());
        }
        let draws = (method.run)(&request)?;
        RunFolder::write(&arguments.out, &draws)?;
        return Ok(Some(draws));
    }
    let resume = match arguments.checkpoint.as_ref().filter(|_| arguments.resume) {
        Some(path) => Some(Checkpoint::load(path)?),
        None => None,
    };
    // Chains that have begun need no start.
    let starts = match &resume {
        None if arguments.warm_start => {
            let settings = WarmStart { seed: run.seed, threads: run.threads, ..WarmStart::default() };
            Some(warm_start(posterior, run.chains, &settings)?)
        }
        _ => None,
    };
    if let Some(starts) = &starts {
        println!("chains begin at optimised weights, which cost {} gradients", starts.gradients());
    }
    let goal = arguments.goal();
    request.folder = Some(&arguments.out);
    request.starts = starts.as_ref();
    request.checkpoint = arguments.checkpoint.as_deref();
    request.resume = resume.as_ref();
    request.goal = goal.as_ref().map(|goal| Aim { goal, points: Some(test.inputs()) });
    let draws = (method.run)(&request)?;
    for look in draws.report.settings["goal"]["looks"].as_array().into_iter().flatten() {
        let number = |name: &str| look[name].as_f64().unwrap_or(f64::NAN);
        println!("after {} draws: R-hat {:.3}, least bulk ESS {:.0}", number("draws"), number("rhat"), number("ess"));
    }
    // A run that went on holds the draws since then alone.
    let draws = if arguments.resume { RunFolder::load(&arguments.out)? } else { draws };
    Ok((draws.min_len() > 0).then_some(draws))
}

/// A flag that the first interrupt sets; the second ends the program.
fn stop_flag() -> Result<Arc<AtomicBool>, Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            // Asked a second time: the folder is readable up to its last block anyway.
            std::process::exit(130);
        }
        eprintln!("stopping after the present transitions; once more ends at once");
    })?;
    Ok(stop)
}

/// The posterior that begins at the weights of a file, where one is given.
fn start<'a>(
    arguments: &SampleArguments,
    model: &BayesianNetwork,
    posterior: &'a dyn Posterior,
) -> Result<Option<StartingAt<'a>>, Box<dyn Error>> {
    let Some(path) = &arguments.start else { return Ok(None) };
    let automatic = if arguments.tensors.is_empty() { TensorNames::automatic() } else { TensorNames::own() };
    let names = arguments.tensors.iter().fold(automatic, |names, (block, tensor)| names.with(block, tensor));
    // What the file does not have, such as the noise scale, begins where the model would.
    let mut initial = vec![0.0; model.layout().dim()];
    model.initial_position(&mut stream(arguments.seed, 0, Purpose::Initialise), &mut initial);
    let mut recording = Recording::new(model);
    let otherwise = recording.mode(&initial)?;
    let draw = SafetensorsFile::read(path)?.position(&model.draw_layout(), &names, otherwise)?;
    Ok(Some(StartingAt::new(posterior, position_of(model, &draw)?)?))
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
