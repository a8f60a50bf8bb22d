//! Run one chain: begin it, warm it up, draw, and leave it in a state from which it can go on.

use crate::checkpoint::ChainRecord;
use crate::counted::Counted;
use crate::counters::Counters;
use crate::initial::initial_state;
use crate::{Adaptation, BuildContext, ChainError, ChainState, Info, Kernel, Member, Method, Observer, Progress, Run};
use ergodic_draws::{ChainDraws, ChainReport, ChainSink, Column, DrawRef, Layout, Outcome, Phase, Sink, Statistics};
use ergodic_model::{ChainRng, EvaluationError, LogDensity, Posterior, Purpose, Recording, record_stream, stream};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What all chains of a run share.
pub(crate) struct Shared<'a, P: ?Sized, M> {
    pub posterior: &'a P,
    pub method: &'a M,
    pub run: &'a Run,
    pub layout: &'a Layout,
    /// Coordinates of a stored draw.
    pub draw_dim: usize,
    pub prior_scales: &'a [f64],
    pub initial_positions: Option<&'a [Vec<f64>]>,
    pub sink: Option<&'a dyn Sink>,
    pub observer: &'a dyn Observer,
    pub stop: Option<&'a AtomicBool>,
    pub started: Instant,
    /// Whether draws are kept in memory.
    pub keep_draws: bool,
    /// Whether the chain's state is wanted at the end.
    pub keep_state: bool,
}

impl<P: Posterior + ?Sized, M: Method> Shared<'_, P, M> {
    /// A kernel and adaptation of the method, as every chain has them before it begins.
    pub(crate) fn build(&self) -> (M::Kernel, M::Adaptation) {
        self.method.build(&BuildContext { dim: self.layout.dim(), warmup: self.run.warmup, prior_scales: self.prior_scales })
    }

    fn reason_to_stop(&self, counters: &Counters) -> Option<String> {
        let budget = self.run.budget;
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Some("stopped on request".to_owned());
        }
        if let Some(limit) = budget.gradients_per_chain.filter(|limit| counters.gradients() >= *limit) {
            return Some(format!("the budget of {limit} gradient evaluations per chain is spent"));
        }
        let limit = budget.seconds.filter(|limit| self.started.elapsed().as_secs_f64() >= *limit)?;
        Some(format!("the budget of {limit} seconds is spent"))
    }
}

/// A stretch of a run between two meetings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    /// Iterations of a chain at its end.
    pub until: usize,
    /// Iterations of warm-up.
    pub warmup: usize,
    /// Whether the run ends with it.
    pub last: bool,
}

/// All that a chain needs for its next transition.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "K: Kernel, A: Adaptation<K>", deserialize = "K: Kernel, A: Adaptation<K>"))]
struct Living<K: Kernel, A> {
    kernel: K,
    adaptation: A,
    state: K::State,
    rng: ChainRng,
    /// Statistics of the last transition.
    row: Vec<f64>,
    /// Whether the last transition still has to be recorded, because the sink failed.
    pending: bool,
    /// Whether the kernel's parameters are fixed for sampling.
    finalized: bool,
}

type LivingOf<M> = Living<<M as Method>::Kernel, <M as Method>::Adaptation>;

/// What a chain works with while it runs, made anew from the posterior and the sink when it goes on.
struct Tools<'a> {
    density: Counted<Box<dyn LogDensity + Send + 'a>>,
    recording: Recording<'a>,
    sink: Option<Box<dyn ChainSink + 'a>>,
}

/// How far a chain is from being done.
enum Fate {
    Going,
    Ended {
        outcome: Outcome,
        /// Whether its state is whole, so that it can go on in another run.
        resumable: bool,
    },
}

/// One chain of a run.
pub(crate) struct Chain<'a, M: Method> {
    number: usize,
    living: Option<LivingOf<M>>,
    counters: Counters,
    draws: ChainDraws,
    fate: Fate,
    tools: Option<Tools<'a>>,
}

/// How a chain ended, and what it leaves.
pub(crate) struct Ended {
    pub draws: ChainDraws,
    pub report: ChainReport,
    pub counters: Counters,
    pub record: ChainRecord,
    /// What the kernel says of its chain.
    pub warning: Option<String>,
}

impl<'a, M: Method> Chain<'a, M> {
    /// Chain `number` at its beginning, or as a record has it.
    pub(crate) fn new<P: Posterior + ?Sized>(shared: &Shared<'a, P, M>, number: usize, record: ChainRecord) -> Self {
        let columns = || <<M::Kernel as Kernel>::Info as Info>::FIELDS.iter().map(Column::from).collect();
        let mut draws = ChainDraws::new(shared.draw_dim);
        draws.statistics = Statistics::new(columns());
        if shared.run.keep_warmup_statistics {
            draws.warmup_statistics = Statistics::new(columns());
        }
        let mut chain = Self { number, living: None, counters: Counters::default(), draws, fate: Fate::Going, tools: None };
        match record {
            ChainRecord::NotBegun => {}
            ChainRecord::Failed { counters, reason } => {
                chain.counters = counters;
                chain.end(shared, Outcome::Failed(reason), false);
            }
            ChainRecord::Alive { counters, state } => {
                chain.counters = counters;
                match postcard::from_bytes(&state) {
                    Ok(state) => chain.living = Some(state),
                    Err(error) => {
                        let reason = format!("the checkpoint holds no state of this method: {error}");
                        chain.end(shared, Outcome::Failed(reason), false);
                    }
                }
            }
        }
        chain
    }

    /// Whether the chain has neither ended nor failed.
    pub(crate) fn is_going(&self) -> bool {
        matches!(self.fate, Fate::Going)
    }

    /// Whether the chain can go on in another run, but not in this one.
    pub(crate) fn is_halted(&self) -> bool {
        matches!(self.fate, Fate::Ended { resumable: true, .. })
    }

    /// Runs the chain to the end of a leg, and never panics on the model's account.
    pub(crate) fn run<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>, leg: Leg) {
        if !self.is_going() {
            return;
        }
        // What a panic may leave half done is the kernel's state, which is not used again.
        match catch_unwind(AssertUnwindSafe(|| self.live(shared, leg))) {
            Ok(Ok(None)) if leg.last => self.end(shared, Outcome::Completed, true),
            Ok(Ok(None)) => {}
            Ok(Ok(Some(reason))) => self.end(shared, Outcome::Stopped(reason), true),
            Ok(Err(error)) => {
                let resumable = matches!(error, ChainError::Sink(_));
                self.end(shared, Outcome::Failed(error.to_string()), resumable);
            }
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                let reason = format!("the model (or a sink or observer) panicked: {message}");
                self.end(shared, Outcome::Failed(reason), false);
            }
        }
    }

    /// Ends the chain, after what the sink still buffers is kept.
    pub(crate) fn end<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>, outcome: Outcome, resumable: bool) {
        let sink = self.tools.take().and_then(|tools| tools.sink);
        let finished = sink.map_or(Ok(Ok(())), |mut sink| catch_unwind(AssertUnwindSafe(|| sink.finish())));
        let outcome = match (outcome, finished) {
            (failed @ Outcome::Failed(_), _) | (failed, Ok(Ok(()))) => failed,
            (_, Ok(Err(error))) => Outcome::Failed(error.to_string()),
            (_, Err(panic)) => Outcome::Failed(format!("the sink panicked: {}", panic_message(panic.as_ref()))),
        };
        shared.observer.finished(self.number, &outcome);
        self.fate = Fate::Ended { outcome, resumable };
    }

    /// The chain at a meeting.
    pub(crate) fn member(&mut self) -> Option<Member<'_, M::Kernel, M::Adaptation>> {
        if !self.is_going() {
            return None;
        }
        let Living { kernel, adaptation, state, .. } = self.living.as_mut()?;
        Some(Member { chain: self.number, kernel, adaptation, state })
    }

    /// What the chain leaves; one that nobody ended counts as stopped.
    pub(crate) fn into_ended(self, keep_state: bool) -> Ended {
        let (outcome, resumable) = match self.fate {
            Fate::Ended { outcome, resumable } => (outcome, resumable),
            Fate::Going => (Outcome::Stopped("the run ended before it".to_owned()), true),
        };
        let Self { living, counters, draws, .. } = self;
        let tuned = living.iter().flat_map(|living| living.kernel.tuned());
        let warning = living.as_ref().and_then(|living| living.kernel.warning());
        let report = ChainReport {
            warmup_gradients: counters.warmup_gradients,
            sampling_gradients: counters.sampling_gradients,
            warmup_seconds: counters.warmup_seconds,
            sampling_seconds: counters.sampling_seconds,
            tuned: tuned.map(|(name, value)| (name.to_owned(), value)).collect(),
            outcome: outcome.clone(),
        };
        let record = match (&outcome, living) {
            (Outcome::Failed(reason), _) if !resumable => {
                ChainRecord::Failed { counters: counters.clone(), reason: reason.clone() }
            }
            (_, Some(living)) if keep_state => match postcard::to_stdvec(&living) {
                Ok(state) => ChainRecord::Alive { counters: counters.clone(), state },
                Err(error) => ChainRecord::Failed {
                    counters: counters.clone(),
                    reason: format!("the chain's state could not be written: {error}"),
                },
            },
            _ => ChainRecord::NotBegun,
        };
        Ended { draws, report, counters, record, warning }
    }

    /// Runs to the end of a leg; the reason where the chain stops before it.
    fn live<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>, leg: Leg) -> Result<Option<String>, ChainError> {
        if self.tools.is_none() {
            if let Some(reason) = shared.reason_to_stop(&self.counters) {
                return Ok(Some(reason));
            }
            self.begin(shared)?;
        }
        let mut clock = Instant::now();
        while self.counters.iteration < leg.until {
            let pending = self.living.as_ref().is_some_and(|living| living.pending);
            if !pending && let Some(reason) = shared.reason_to_stop(&self.counters) {
                return Ok(Some(reason));
            }
            self.iterate(shared, leg, &mut clock)?;
        }
        Ok(None)
    }

    /// Makes what the chain works with. A new chain finds an initial position, and its adaptation chooses first parameters.
    fn begin<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>) -> Result<(), ChainError> {
        let mut density = Counted::new(shared.posterior.evaluator());
        if density.dim() != shared.layout.dim() {
            let (dim, named) = (density.dim(), shared.layout.dim());
            let message = format!("it has {dim} coordinates and its layout {named}; Posterior's methods must agree");
            return Err(EvaluationError::new(message).into());
        }
        if self.living.is_none() {
            let clock = Instant::now();
            let begun = begin(shared, self.number, &mut density);
            self.counters.spend(Phase::Warmup, density.evaluations());
            self.counters.pass(Phase::Warmup, clock.elapsed().as_secs_f64());
            self.living = Some(begun?);
        }
        let sink = shared.sink.map(|sink| sink.open_chain(self.number)).transpose()?;
        self.tools = Some(Tools { density, recording: Recording::new(shared.posterior), sink });
        Ok(())
    }

    /// One transition and its record, or the record of one that the sink did not take.
    fn iterate<P: Posterior + ?Sized>(
        &mut self,
        shared: &Shared<'a, P, M>,
        leg: Leg,
        clock: &mut Instant,
    ) -> Result<(), ChainError> {
        let Self { number: chain, living: Some(living), counters, draws, tools: Some(tools), .. } = self else {
            return Ok(());
        };
        let iteration = counters.iteration;
        let (phase, index) = match iteration.checked_sub(leg.warmup) {
            None => (Phase::Warmup, iteration),
            Some(index) => (Phase::Sampling, index),
        };
        let mut seen = None;
        if !living.pending {
            let before = tools.density.evaluations();
            let info = living.transition(&mut tools.density, phase, iteration);
            counters.spend(phase, tools.density.evaluations() - before);
            let info = info?;
            counters.judge(phase, &info);
            info.write(&mut living.row);
            living.pending = true;
            seen = Some((info.step_size(), info.n_steps(), info.acceptance_rate()));
        }
        let statistics = living.row.as_slice();
        let is_kept = tools.sink.is_some() || (phase == Phase::Sampling && shared.keep_draws);
        let position = match living.state.position() {
            position if is_kept => tools.recording.draw(position, || record_stream(shared.run.seed, *chain, iteration))?,
            position => position,
        };
        if let Some(sink) = &mut tools.sink {
            sink.record(&DrawRef { phase, index, position, statistics })?;
        }
        match phase {
            Phase::Sampling if shared.keep_draws => {
                draws.push(position);
                draws.statistics.push(statistics);
            }
            Phase::Warmup if shared.run.keep_warmup_statistics => draws.warmup_statistics.push(statistics),
            _ => {}
        }
        living.pending = false;
        counters.iteration += 1;
        let now = Instant::now();
        counters.pass(phase, (now - std::mem::replace(clock, now)).as_secs_f64());
        if let Some((step_size, n_steps, acceptance_rate)) = seen {
            shared.observer.progress(&Progress {
                chain: *chain,
                phase,
                iteration: counters.iteration,
                total: leg.warmup + shared.run.draws,
                step_size,
                n_steps,
                acceptance_rate,
                log_density: living.state.log_density(),
                divergences: counters.divergences(phase),
                gradients: counters.gradients(),
                seconds: counters.warmup_seconds + counters.sampling_seconds,
            });
        }
        Ok(())
    }
}

impl<K: Kernel, A: Adaptation<K>> Living<K, A> {
    /// One transition, and what adaptation learns from it.
    fn transition(&mut self, density: &mut dyn LogDensity, phase: Phase, iteration: usize) -> Result<K::Info, ChainError> {
        let Self { kernel, adaptation, state, rng, .. } = self;
        if phase == Phase::Sampling && !std::mem::replace(&mut self.finalized, true) {
            adaptation.finalize(kernel);
        }
        let info = kernel.step(density, state, rng)?;
        if phase == Phase::Warmup {
            adaptation.update(kernel, density, state, &info, iteration, rng)?;
        }
        Ok(info)
    }
}

/// Finds an initial position, builds the kernel, and lets its adaptation choose first parameters.
fn begin<P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'_, P, M>,
    chain: usize,
    density: &mut dyn LogDensity,
) -> Result<LivingOf<M>, ChainError> {
    let (mut kernel, mut adaptation) = shared.build();
    let given = shared.initial_positions.map(|positions| positions[chain].as_slice());
    let mut initialise = stream(shared.run.seed, chain, Purpose::Initialise);
    let mut state = initial_state(&mut kernel, density, shared.posterior, shared.layout, given, &mut initialise)?;
    let mut rng = stream(shared.run.seed, chain, Purpose::Kernel);
    adaptation.init(&mut kernel, density, &mut state, &mut rng)?;
    let row = vec![0.0; <<M::Kernel as Kernel>::Info as Info>::FIELDS.len()];
    Ok(Living { kernel, adaptation, state, rng, row, pending: false, finalized: false })
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
