//! Hold runs with a goal to what they promise: the draws of one long run, an end when the goal is reached, and none before.

use ergodic::draws::Draws;
use ergodic::model::density;
use ergodic::prelude::*;
use ergodic::sampler::Budget;
use ergodic::{Goal, UntilError, sample_until};
use nalgebra::DMatrix;

fn normal() -> impl LogDensity + Clone + Send + Sync {
    density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[-x[0], -x[1]]);
        -0.5 * (x[0] * x[0] + x[1] * x[1])
    })
}

/// Two modes that no chain passes between.
fn two_modes() -> impl LogDensity + Clone + Send + Sync {
    density(1, |x: &[f64], gradient: &mut [f64]| {
        let (a, b) = (-50.0 * (x[0] - 1.5).powi(2), -50.0 * (x[0] + 1.5).powi(2));
        let largest = a.max(b);
        let (a_share, b_share) = ((a - largest).exp(), (b - largest).exp());
        gradient[0] = -100.0 * ((x[0] - 1.5) * a_share + (x[0] + 1.5) * b_share) / (a_share + b_share);
        largest + (a_share + b_share).ln()
    })
}

fn bits(draws: &Draws) -> Vec<u64> {
    let chains = draws.chains().iter();
    let values =
        chains.flat_map(|chain| chain.positions().enumerate().flat_map(|(d, x)| x.iter().chain(chain.statistics.row(d))));
    values.map(|x| x.to_bits()).collect()
}

const RUN: Run = Run { warmup: 200, draws: 4000, seed: 7, ..Run::DEFAULT };

#[test]
fn draws_are_those_of_a_run_that_was_asked_for_as_many_at_first() {
    let goal = Goal { ess: 800.0, ..Goal::default() };
    let found = sample_until(&normal(), &Nuts::default(), &RUN, &goal, None).unwrap();
    assert!(found.reached && found.looks.len() > 1, "{:?}", found.looks);
    let last = found.looks[found.looks.len() - 1];
    assert!(last.rhat <= goal.rhat && last.ess >= goal.ess, "{last:?}");
    let before = found.looks[found.looks.len() - 2];
    assert!(before.rhat > goal.rhat || before.ess < goal.ess, "the run could have ended at {before:?}");
    let whole = sample(&normal(), &Nuts::default(), &Run { draws: last.draws, ..RUN }).unwrap();
    assert_eq!(bits(&found.draws), bits(&whole));
    assert_eq!(found.draws.report.gradients(), whole.report.gradients());
    assert_eq!(found.draws.report.settings["goal"]["reached"], true);
}

#[test]
fn chains_that_never_agree_spend_their_budget_and_say_so() {
    let run = Run { draws: 600, ..RUN };
    let found = sample_until(&two_modes(), &Nuts::default(), &run, &Goal::default(), None).unwrap();
    assert!(!found.reached && found.draws.min_len() == 600);
    assert!(found.looks.iter().all(|look| look.rhat > 1.1), "{:?}", found.looks);
    assert!(found.draws.report.warnings.iter().any(|warning| warning.contains("the goal was not reached")));

    let budget = Budget { gradients_per_chain: Some(1500), seconds: None };
    let found = sample_until(&two_modes(), &Nuts::default(), &Run { draws: 100_000, budget, ..RUN }, &Goal::default(), None);
    let found = found.unwrap();
    assert!(!found.reached && found.draws.report.chains.iter().all(|chain| chain.sampling_gradients < 2000));
}

#[test]
fn networks_are_judged_by_what_they_predict() {
    let inputs = DMatrix::from_fn(30, 1, |row, _| f64::from(row as u32) / 15.0 - 1.0);
    let targets = inputs.map(|x| (3.0 * x).sin());
    let data = Dataset::new(inputs, targets).unwrap();
    let network = Network::dense(1, &[3], Activation::Tanh, 1).unwrap();
    let model = BayesianNetwork::new(network, Gaussian::known_noise(0.5), NormalPrior::default(), &data).unwrap();
    let points = DMatrix::from_fn(5, 1, |row, _| f64::from(row as u32) / 2.0 - 1.0);
    let found = sample_until(&model, &Nuts::default(), &RUN, &Goal::default(), Some(&points)).unwrap();
    assert!(found.reached, "{:?}", found.looks);
    let refused = sample_until(&normal(), &Nuts::default(), &RUN, &Goal::default(), Some(&points)).unwrap_err();
    assert!(matches!(refused, UntilError::MissingCapability(_)) && refused.to_string().contains("NetworkOutputs"));
}

#[test]
fn goals_out_of_range_are_named() {
    let refused = |goal: Goal| sample_until(&normal(), &Nuts::default(), &RUN, &goal, None).unwrap_err().to_string();
    assert!(refused(Goal { rhat: 1.0, ..Goal::default() }).contains("goal.rhat"));
    assert!(refused(Goal { ess: f64::NAN, ..Goal::default() }).contains("goal.ess"));
    assert!(refused(Goal { first_look: 0, ..Goal::default() }).contains("goal.first_look"));
    assert!(refused(Goal { growth: 1.0, ..Goal::default() }).contains("goal.growth"));
}
