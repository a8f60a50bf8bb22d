//! Check that chains that meet share what they learn, whatever the threads, failures and interruptions.

use crate::determinism::{bits, interrupt_and_resume, run, target};
use crate::support::normal;
use ergodic_draws::{ChainDraws, Draws, Outcome};
use ergodic_model::{ChainRng, EvaluationError, LogDensity, Posterior};
use ergodic_sampler::{
    Adaptation, Budget, BuildContext, ChainError, ExtensionReason, GradientState, HamiltonianAdaptation, HamiltonianKernel,
    Hmc, HmcInfo, HmcKernel, Meeting, Meetings, Member, Method, Run, RunError, Sampler, SettingsError, check_contract, sample,
};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Static HMC whose chains agree at meetings on one step size, with a common random factor.
#[derive(Clone, Serialize)]
pub(crate) struct Together {
    hmc: Hmc,
    every: NonZeroUsize,
    /// Iterations to ask for at the end of warm-up, once.
    extra: usize,
    panics: bool,
}

pub(crate) fn together(every: usize) -> Together {
    Together { hmc: Hmc::default(), every: every.try_into().unwrap(), extra: 0, panics: false }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Agreement {
    own: HamiltonianAdaptation,
    every: NonZeroUsize,
    extra: usize,
    panics: bool,
    /// Meetings so far, and the chains at the last one.
    met: (usize, usize),
}

impl Adaptation<HmcKernel> for Agreement {
    fn init(
        &mut self,
        kernel: &mut HmcKernel,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        self.own.init(kernel, density, state, rng)
    }

    fn update(
        &mut self,
        kernel: &mut HmcKernel,
        density: &mut dyn LogDensity,
        state: &mut GradientState,
        info: &HmcInfo,
        iteration: usize,
        rng: &mut ChainRng,
    ) -> Result<(), ChainError> {
        self.own.update(kernel, density, state, info, iteration, rng)
    }

    fn finalize(&mut self, kernel: &mut HmcKernel) {
        // Shows how often this chain met, where a test can read it.
        let share = 1.0 + 1e-6 * self.met.0 as f64 + 1e-9 * self.met.1 as f64;
        kernel.set_step_size(0.25 * share);
    }

    fn meetings(&self, _warmup: usize) -> Meetings {
        Meetings::Every(self.every)
    }

    fn meet(meeting: &mut Meeting, members: &mut [Member<'_, HmcKernel, Self>]) {
        assert!(!members[0].adaptation.panics || meeting.iteration() < 50, "no agreement");
        let mean = members.iter().map(|member| member.kernel.step_size().ln()).sum::<f64>() / members.len() as f64;
        let step_size = mean.exp() * meeting.rng().random_range(0.9..1.1);
        let count = members.len();
        let first = &mut members[0].adaptation;
        if meeting.iteration() == meeting.warmup() && first.extra > 0 {
            let asked = std::mem::take(&mut first.extra);
            meeting.extend_warmup(asked, ExtensionReason::BurningIn);
        }
        for member in members {
            member.kernel.set_step_size(step_size);
            member.adaptation.met = (member.adaptation.met.0 + 1, count);
        }
    }
}

impl Method for Together {
    type Kernel = HmcKernel;
    type Adaptation = Agreement;
    const NAME: &'static str = "together";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        self.hmc.validate()
    }

    fn build(&self, context: &BuildContext<'_>) -> (HmcKernel, Agreement) {
        let (kernel, own) = self.hmc.build(context);
        let Self { every, extra, panics, .. } = *self;
        (kernel, Agreement { own, every, extra, panics, met: (0, 0) })
    }
}

/// The step sizes that chains sample with, with the numbers of meetings and chains in them.
fn met(draws: &Draws) -> Vec<(usize, usize)> {
    let step_sizes = draws.report.chains.iter().map(|chain| chain.tuned["step_size"] / 0.25 - 1.0);
    let billions = step_sizes.map(|share| (share * 1e9).round() as usize);
    billions.map(|count| (count / 1000, count % 1000)).collect()
}

#[test]
fn chains_meet_before_the_first_iteration_and_to_the_end_of_warm_up() {
    for (every, meetings) in [(1, 121), (7, 19), (1000, 2)] {
        assert_eq!(met(&sample(&target(), &together(every), &run()).unwrap()), [(meetings, 3); 3]);
    }
    assert_eq!(met(&sample(&target(), &together(1), &Run { chains: 1, ..run() }).unwrap()), [(121, 1)]);
    assert_eq!(met(&sample(&target(), &together(1), &Run { warmup: 0, ..run() }).unwrap()), [(1, 3); 3]);
}

#[test]
fn draws_of_chains_that_meet_do_not_depend_on_threads() {
    for every in [1, 7] {
        let with = |threads| {
            let run = Run { chains: 20, threads: Some(threads), ..run() };
            bits(&sample(&target(), &together(every), &run).unwrap())
        };
        let alone = with(1);
        assert_eq!(alone, with(2));
        assert_eq!(alone, with(8));
    }
    // What chains share is felt: a chain among two goes another way than one among three.
    let fewer = bits(&sample(&target(), &together(1), &Run { chains: 2, ..run() }).unwrap());
    assert_ne!(fewer[..], bits(&sample(&target(), &together(1), &run()).unwrap())[..2]);
}

#[test]
fn chains_that_meet_go_on_after_an_interruption_anywhere() {
    for every in [1, 7, 50] {
        interrupt_and_resume(&together(every));
    }
}

#[test]
fn chains_wait_for_one_that_was_stopped() {
    let density = target();
    let whole = bits(&sample(&density, &together(30), &run()).unwrap());
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Stopped(reason) if reason.contains("before the meeting"));
    let mut waited = 0;
    for gradients in (20..600).step_by(20) {
        let budget = Budget { gradients_per_chain: Some(gradients), ..Budget::default() };
        let short = Run { budget, ..run() };
        let (first, checkpoint) = Sampler::new(&density, together(30), short).run_with_checkpoint().unwrap();
        let waiting = first.report.chains.iter().filter(|chain| waits(&chain.outcome)).count();
        assert!(waiting < 3, "someone is waited for");
        waited += waiting;
        let rest = Sampler::new(&density, together(30), run()).resume(checkpoint).run().unwrap();
        let joined: Vec<_> = bits(&first).into_iter().zip(bits(&rest)).map(|(a, b)| [a, b].concat()).collect();
        assert_eq!(joined, whole, "after {gradients} gradients");
    }
    assert!(waited > 3, "budgets that end between chains are among those tried: {waited}");
}

/// Normals of which the third breaks after some evaluations.
struct Breaks(usize, AtomicUsize);

struct BreaksLater(Option<usize>);

impl Posterior for Breaks {
    fn layout(&self) -> ergodic_draws::Layout {
        ergodic_draws::Layout::flat(2)
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        let third = self.1.fetch_add(1, Ordering::Relaxed) == 2;
        Box::new(BreaksLater(third.then_some(self.0)))
    }
}

impl LogDensity for BreaksLater {
    fn dim(&self) -> usize {
        2
    }

    fn log_density_and_gradient(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        if let Some(left) = &mut self.0 {
            *left = left.checked_sub(1).ok_or_else(|| EvaluationError::new("the data file is gone"))?;
        }
        normal(&[1.0, 1.0]).log_density_and_gradient(x, gradient)
    }
}

#[test]
fn a_chain_that_fails_is_missed_at_later_meetings_only() {
    let run = Run { threads: Some(1), ..run() };
    let draws = sample(&Breaks(100, AtomicUsize::new(0)), &together(1), &run).unwrap();
    let lengths: Vec<usize> = draws.chains().iter().map(ChainDraws::len).collect();
    assert_eq!(lengths, [60, 60, 0]);
    assert_eq!(met(&draws)[..2], [(121, 2); 2]);
    assert!(draws.report.chains[0].outcome.is_completed());
    assert!(matches!(&draws.report.chains[2].outcome, Outcome::Failed(reason) if reason.contains("data file")));
}

#[test]
fn a_meeting_that_panics_fails_its_chains_with_the_message() {
    let method = Together { panics: true, ..together(1) };
    let error = sample(&target(), &method, &run()).unwrap_err();
    assert!(matches!(&error, RunError::NoDraws(_)));
    assert!(error.to_string().contains("the meeting after iteration 50 panicked: no agreement"), "{error}");
}

#[test]
fn warm_up_grows_as_far_as_the_run_allows() {
    let method = Together { extra: 50, ..together(7) };
    let grown = |max_extra_warmup| {
        let run = Run { max_extra_warmup, keep_warmup_statistics: true, ..run() };
        let draws = sample(&target(), &method, &run).unwrap();
        let warmup = draws.chains()[2].warmup_statistics.len();
        (draws.min_len(), warmup, draws.report.warnings)
    };
    let (draws, warmup, warnings) = grown(0);
    assert_eq!((draws, warmup), (60, 120));
    assert!(warnings.iter().any(|warning| warning.contains("asked for 50 iterations more")), "{warnings:?}");
    let (draws, warmup, warnings) = grown(20);
    assert_eq!((draws, warmup), (60, 140));
    assert!(warnings.iter().any(|warning| warning.contains("extended from 120 to 140")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("asked for 30 iterations more")), "{warnings:?}");
    let (draws, warmup, warnings) = grown(1000);
    assert_eq!((draws, warmup), (60, 170));
    assert!(warnings.iter().all(|warning| !warning.contains("asked for")), "{warnings:?}");
}

#[test]
fn a_run_with_a_longer_warm_up_goes_on_after_an_interruption() {
    let method = Together { extra: 50, ..together(7) };
    let long = Run { max_extra_warmup: 50, ..run() };
    let density = target();
    let whole = bits(&sample(&density, &method, &long).unwrap());
    for gradients in [300, 500, 700, 800, 900] {
        let budget = Budget { gradients_per_chain: Some(gradients), ..Budget::default() };
        let (first, checkpoint) = Sampler::new(&density, method.clone(), Run { budget, ..long }).run_with_checkpoint().unwrap();
        let rest = Sampler::new(&density, method.clone(), long).resume(checkpoint).run().unwrap();
        let joined: Vec<_> = bits(&first).into_iter().zip(bits(&rest)).map(|(a, b)| [a, b].concat()).collect();
        assert_eq!(joined, whole, "after {gradients} gradients");
    }
    let (_, checkpoint) = Sampler::new(&density, method.clone(), long).run_with_checkpoint().unwrap();
    assert_eq!(checkpoint.min_draws(), 60);
    let message = Sampler::new(&density, method, run()).resume(checkpoint).run().unwrap_err().to_string();
    assert!(message.contains("extra warm-up iterations is 50"), "{message}");
}

#[test]
fn methods_that_meet_keep_the_contract_of_kernels() {
    check_contract(&together(3), &mut target(), &[0.1, 0.2, 0.3, 0.4], 60).unwrap();
}
