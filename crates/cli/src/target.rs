//! Choose the likelihood of the targets that a run names, and read the targets as it wants them.

use crate::arguments::{LikelihoodName, SampleArguments};
use clap::ValueEnum;
use ergodic::diagnostics::metrics::{crps, interval_coverage, rmse};
use ergodic::model::{IndependentGaussians, Likelihood, NegativeBinomial, Ordinal, Poisson, Product, StudentT};
use ergodic::prelude::*;
use std::error::Error;
use std::fmt::Write;

/// The table; its target as classes where the likelihood takes classes.
pub(crate) fn labelled_data(arguments: &SampleArguments) -> Result<Dataset, Box<dyn Error>> {
    let targets: Vec<&str> = arguments.target.iter().map(String::as_str).collect();
    let data = Dataset::from_csv(&arguments.data, &targets)?;
    let text = !data.class_names().is_empty();
    let ordinal = arguments.likelihood == [LikelihoodName::Ordinal];
    if ordinal && text && arguments.classes.is_empty() {
        let (target, classes) = (targets.join(", "), data.class_names().join(","));
        return Err(format!("target '{target}' is text; order its classes with --classes, lowest first: {classes}").into());
    }
    if !ordinal && !arguments.classes.is_empty() {
        return Err("--classes orders the classes of --likelihood ordinal; leave it out for another likelihood".into());
    }
    let classes = targets.len() == 1 && arguments.likelihood.iter().all(|name| takes_classes(*name));
    let data = if classes && !text { data.with_targets_as_classes()? } else { data };
    if arguments.classes.is_empty() { Ok(data) } else { Ok(data.with_class_order(&arguments.classes)?) }
}

fn takes_classes(name: LikelihoodName) -> bool {
    matches!(name, LikelihoodName::Bernoulli | LikelihoodName::Categorical | LikelihoodName::Ordinal)
}

/// The likelihood of all targets together.
pub(crate) fn likelihood(arguments: &SampleArguments, data: &Dataset) -> Result<Box<dyn Likelihood>, Box<dyn Error>> {
    let (names, targets) = (arguments.likelihood.as_slice(), data.target_names());
    match names {
        [name] if targets.len() == 1 => one(*name, data),
        [LikelihoodName::Auto | LikelihoodName::Gaussian] => Ok(Box::new(IndependentGaussians::learned_noise(targets.len()))),
        [name] => product(targets, &vec![*name; targets.len()], data),
        _ if names.len() == targets.len() => product(targets, names, data),
        _ => {
            let (found, expected) = (names.len(), targets.len());
            Err(format!("{found} likelihoods for {expected} targets; give one for all targets, or one for each").into())
        }
    }
}

/// One likelihood for each of several targets.
fn product(targets: &[String], names: &[LikelihoodName], data: &Dataset) -> Result<Box<dyn Likelihood>, Box<dyn Error>> {
    let mut product = Product::new();
    for (target, name) in targets.iter().zip(names) {
        if takes_classes(*name) {
            let (name, targets) = (spelled(*name), targets.len());
            return Err(format!("--likelihood {name} takes a single target, and there are {targets}").into());
        }
        product = product.and_boxed(block_name(target), one(*name, data)?);
    }
    Ok(Box::new(product))
}

/// A target's name as the blocks of a run folder may have it.
fn block_name(target: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    let name: String = target.chars().map(allowed).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("target_{name}") }
}

fn one(name: LikelihoodName, data: &Dataset) -> Result<Box<dyn Likelihood>, Box<dyn Error>> {
    let text = !data.class_names().is_empty();
    if text && !takes_classes(name) && name != LikelihoodName::Auto {
        let (target, name) = (data.target_names().join(", "), spelled(name));
        return Err(
            format!("target '{target}' is text, and --likelihood {name} takes numbers; use categorical or ordinal").into()
        );
    }
    // A single class is an error of the data, which the model names with the class.
    let classes = data.class_names().len().max(2);
    Ok(match name {
        LikelihoodName::Auto if text => Box::new(Categorical { classes }),
        LikelihoodName::Auto | LikelihoodName::Gaussian => Box::new(Gaussian::learned_noise()),
        LikelihoodName::InputDependentGaussian => Box::new(Gaussian::input_dependent_noise()),
        LikelihoodName::StudentT => Box::new(StudentT::learned()),
        LikelihoodName::Poisson => Box::new(Poisson),
        LikelihoodName::NegativeBinomial => Box::new(NegativeBinomial::learned()),
        LikelihoodName::Bernoulli => Box::new(Bernoulli),
        LikelihoodName::Categorical => Box::new(Categorical { classes }),
        LikelihoodName::Ordinal => Box::new(Ordinal { classes }),
    })
}

/// A likelihood as the command line spells it.
fn spelled(name: LikelihoodName) -> String {
    name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Scores of each target apart, in its own unit, a line a target.
pub(crate) fn scores_of_each(predictions: &Predictions, targets: &[String]) -> Result<String, Box<dyn Error>> {
    let mut text = format!("{:<24} {:>12} {:>12} {:>24}\n", "target", "RMSE", "CRPS", "coverage of 90 % (width)");
    for (output, target) in targets.iter().enumerate() {
        let own = predictions.of_output(output, target);
        let interval = interval_coverage(&own, 0.9)?;
        let held = format!("{:.3} ({:.4})", interval.coverage, interval.mean_width);
        writeln!(text, "{target:<24} {:>12.5} {:>12.5} {held:>24}", rmse(&own)?, crps(&own)?)?;
    }
    if let Some(caveat) = predictions.caveat() {
        writeln!(text, "! {caveat}")?;
    }
    Ok(text)
}
