//! Hold annealed starts against a posterior in which cold chains stick, and count what they cost.

use ergodic::draws::{Layout, Outcome};
use ergodic::model::{Capabilities, MinibatchEvaluator, MinibatchGradient};
use ergodic::prelude::*;
use ergodic::sampler::{Method, Sampler};
use ergodic::{AnnealedStart, AnnealedStartError, annealed_start};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the log likelihood has its dips, and how deep they are in nats; all but the first are as good as without mass.
const DIPS: [([f64; 2], f64); 3] = [([1.5, 1.0], 0.0), ([-1.5, 1.0], -50.0), ([0.0, -1.7], -55.0)];
const WIDTH: f64 = 0.15;
const PRIOR_SD: f64 = 2.0;

/// A normal prior, and one observation whose log likelihood has three dips. Evaluations are counted.
#[derive(Default)]
struct Dips {
    evaluations: AtomicU64,
    /// Evaluations after which the model fails; none by default.
    fails_after: Option<u64>,
}

struct Evaluator<'a>(&'a Dips);

impl Posterior for Dips {
    fn layout(&self) -> Layout {
        Layout::flat(2)
    }
    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(Evaluator(self))
    }
    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { minibatch: Some(self), ..Capabilities::default() }
    }
}

impl MinibatchGradient for Dips {
    fn num_data(&self) -> usize {
        1
    }
    fn minibatch_evaluator(&self) -> Box<dyn MinibatchEvaluator + Send + '_> {
        Box::new(Evaluator(self))
    }
}

impl MinibatchEvaluator for Evaluator<'_> {
    fn log_likelihood_and_gradient(&mut self, x: &[f64], _: &[usize], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let square = |center: &[f64; 2]| ((x[0] - center[0]).powi(2) + (x[1] - center[1]).powi(2)) / (WIDTH * WIDTH);
        let terms = DIPS.map(|(center, depth)| depth - 0.5 * square(&center));
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
        gradient.fill(0.0);
        for ((center, _), term) in DIPS.iter().zip(terms) {
            let share = (term - largest).exp() / total;
            gradient.iter_mut().zip(x).zip(center).for_each(|((g, x), c)| *g -= share * (x - c) / (WIDTH * WIDTH));
        }
        Ok(largest + total.ln())
    }

    fn log_prior_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let precision = PRIOR_SD.powi(-2);
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -precision * x);
        Ok(-0.5 * precision * x.iter().map(|x| x * x).sum::<f64>())
    }
}

impl LogDensity for Evaluator<'_> {
    fn dim(&self) -> usize {
        2
    }
    fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let evaluations = self.0.evaluations.fetch_add(1, Ordering::Relaxed);
        if self.0.fails_after.is_some_and(|limit| evaluations >= limit) {
            return Err(EvaluationError::new("the instrument is out of order"));
        }
        let likelihood = self.log_likelihood_and_gradient(x, &[0], gradient)?;
        let mut of_prior = [0.0; 2];
        let prior = self.log_prior_and_gradient(x, &mut of_prior)?;
        gradient.iter_mut().zip(of_prior).for_each(|(g, prior)| *g += prior);
        Ok(likelihood + prior)
    }
}

const CHAINS: usize = 16;
const SETTINGS: AnnealedStart =
    AnnealedStart { first_temperature: 100.0, temperatures: 10, warmup: 60, draws: 40, seed: 4, threads: None };

/// How many positions are in a dip without mass.
fn stuck<'a>(positions: impl IntoIterator<Item = &'a [f64]>) -> usize {
    positions.into_iter().filter(|x| (x[0] - DIPS[0].0[0]).hypot(x[1] - DIPS[0].0[1]) > 4.0 * WIDTH).count()
}

fn is_nuts_stuck(seed: u64, settings: Option<&AnnealedStart>) -> usize {
    let posterior = Dips::default();
    let run = Run { chains: CHAINS, warmup: 200, draws: 100, seed, ..Run::default() };
    let starts = settings.map(|settings| annealed_start(&posterior, CHAINS, &Nuts::default(), settings).unwrap());
    let mut sampler = Sampler::new(&posterior, Nuts::default(), run);
    if let Some(starts) = &starts {
        sampler = sampler.initial_positions(&starts.positions);
    }
    let draws = sampler.run().unwrap();
    stuck(draws.chains().iter().map(|chain| chain.position(chain.len() - 1)))
}

// Fixed seeds. A dip without mass lies 50 nats below the best one, behind a barrier of 28, so that a chain in it is stuck. Twins: an
// annealing that begins at temperature 1, and one that never cools through where dips part.
#[test]
fn cold_chains_stick_and_annealed_ones_do_not() {
    for seed in [4, 5] {
        let cold = is_nuts_stuck(seed, None);
        let annealed = is_nuts_stuck(seed, Some(&AnnealedStart { seed, ..SETTINGS }));
        let never_hot = is_nuts_stuck(seed, Some(&AnnealedStart { seed, first_temperature: 1.0, ..SETTINGS }));
        let quenched = is_nuts_stuck(seed, Some(&AnnealedStart { seed, temperatures: 1, ..SETTINGS }));
        assert!(cold >= 4, "only {cold} of {CHAINS} cold chains stick");
        assert!(annealed <= 1, "{annealed} of {CHAINS} annealed chains stick");
        assert!(never_hot >= 4 && quenched >= 3, "{never_hot}, {quenched}");
    }
}

fn check_cost<M: Method>(method: &M) {
    let posterior = Dips::default();
    let starts = annealed_start(&posterior, 3, method, &SETTINGS).unwrap();
    let counted = posterior.evaluations.load(Ordering::Relaxed);
    assert_eq!(starts.gradients(), counted, "{}", M::NAME);
    let run = Run { chains: 3, warmup: 50, draws: 20, ..Run::default() };
    let mut draws = Sampler::new(&posterior, method.clone(), run).initial_positions(&starts.positions).run().unwrap();
    starts.charge(&mut draws.report);
    assert_eq!(draws.report.gradients(), posterior.evaluations.load(Ordering::Relaxed), "{}", M::NAME);
    for chain in &starts.chains {
        assert!(chain.tuned["temperatures"] == 10.0 && chain.tuned["log_density"].is_finite() && chain.outcome.is_completed());
        assert!(chain.tuned.contains_key("step_size"));
    }
}

#[test]
fn every_gradient_is_charged() {
    check_cost(&Nuts::default());
    check_cost(&Mclmc::default());
    check_cost(&Hmc::default());
}

#[test]
fn starts_do_not_depend_on_threads() {
    let run = |threads, seed| {
        let settings = AnnealedStart { threads: Some(threads), seed, ..SETTINGS };
        annealed_start(&Dips::default(), 4, &Mclmc::default(), &settings).unwrap().positions
    };
    let positions = run(1, 4);
    assert_eq!(positions, run(2, 4));
    assert_ne!(positions, run(2, 5));
    assert!(positions.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn what_cannot_be_annealed_says_why() {
    let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[-x[0], -x[1]]);
        -0.5 * (x[0] * x[0] + x[1] * x[1])
    });
    let error = annealed_start(&normal, 2, &Nuts::default(), &SETTINGS).unwrap_err();
    assert!(matches!(error, AnnealedStartError::Tempered(_)) && error.to_string().contains("MinibatchGradient"), "{error}");
    let named =
        |settings: AnnealedStart| annealed_start(&Dips::default(), 2, &Nuts::default(), &settings).unwrap_err().to_string();
    assert!(named(AnnealedStart { first_temperature: 0.5, ..SETTINGS }).starts_with("first_temperature"));
    assert!(named(AnnealedStart { first_temperature: f64::NAN, ..SETTINGS }).starts_with("first_temperature"));
    assert!(named(AnnealedStart { temperatures: 0, ..SETTINGS }).starts_with("temperatures"));
    assert!(named(AnnealedStart { draws: 0, ..SETTINGS }).starts_with("draws"));
    assert!(named(AnnealedStart { threads: Some(0), ..SETTINGS }).starts_with("threads"));
    assert!(annealed_start(&Dips::default(), 0, &Nuts::default(), &SETTINGS).is_err());
    let broken = Dips { fails_after: Some(0), ..Dips::default() };
    assert!(matches!(annealed_start(&broken, 2, &Nuts::default(), &SETTINGS), Err(AnnealedStartError::Run { .. })));
}

#[test]
fn a_chain_that_fails_on_its_way_stays_where_it_was() {
    // One thread, so that chains take turns and the limit falls into the second chain of a later temperature.
    let settings = AnnealedStart { threads: Some(1), temperatures: 2, ..SETTINGS };
    let whole = Dips::default();
    let _ = annealed_start(&whole, 2, &Nuts::default(), &settings).unwrap();
    let limit = whole.evaluations.load(Ordering::Relaxed) - 20;
    let failing = Dips { fails_after: Some(limit), ..Dips::default() };
    match annealed_start(&failing, 2, &Nuts::default(), &settings) {
        // The log density at the end cannot be evaluated any more.
        Err(AnnealedStartError::Position { source, .. }) => assert!(source.to_string().contains("out of order")),
        Err(error) => panic!("{error}"),
        Ok(starts) => assert!(matches!(starts.chains[1].outcome, Outcome::Failed(_))),
    }
}
