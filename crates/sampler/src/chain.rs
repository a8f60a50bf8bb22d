//! Run one chain: begin it, warm it up, draw, and leave it in a state from which it can go on.

use crate::checkpoint::ChainRecord;
use crate::checkpoint_file::{ChainHead, Writer, to_bytes};
use crate::counted::Counted;
use crate::counters::Counters;
use crate::keeper::{Keeper, Moment};
use crate::living::{Living, LivingOf, begin};
use crate::meeting::Course;
use crate::{BuildContext, ChainError, ChainState, Info, Kernel, Member, Method, Observer, Progress, Run};
use ergodic_draws::{ChainDraws, ChainReport, ChainSink, Column, DrawRef, Layout, Outcome, Phase, Recorded, Sink, Statistics};
use ergodic_model::{EvaluationError, LogDensity, Posterior, Recording, record_stream};
use std::any::Any;
use std::io::{self, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What all chains of a run share.
pub(crate) struct Shared<'a, P: ?Sized, M> {
    pub posterior: &'a P,
    pub method: &'a M,
    pub run: &'a Run,
    pub layout: &'a Layout,
    /// Coordinates of a stored draw.
    pub draw_dim: usize,
    pub prior_scales: &'a [f64],
    pub blocks: &'a [Range<usize>],
    pub initial_positions: Option<&'a [Vec<f64>]>,
    pub start_costs: Option<&'a [ChainReport]>,
    pub sink: Option<&'a dyn Sink>,
    pub observer: &'a dyn Observer,
    pub stop: Option<&'a AtomicBool>,
    pub started: Instant,
    /// Whether draws are kept in memory.
    pub keep_draws: bool,
    /// Whether the chain's state is wanted at the end.
    pub keep_state: bool,
    /// Whether the run goes on from a checkpoint.
    pub resumed: bool,
    /// What wants the chain's state now and then.
    pub keeper: Option<&'a Keeper>,
}

impl<P: Posterior + ?Sized, M: Method> Shared<'_, P, M> {
    /// A kernel and adaptation of the method, as every chain has them before it begins.
    pub(crate) fn build(&self) -> (M::Kernel, M::Adaptation) {
        let (dim, warmup) = (self.layout.dim(), self.run.warmup);
        self.method.build(&BuildContext { dim, warmup, prior_scales: self.prior_scales, blocks: self.blocks })
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
    /// What meetings made of the run so far.
    pub course: Course,
    /// Whether the run ends with it.
    pub last: bool,
}

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
    /// The last round of checkpoints that the chain took part in.
    round: usize,
    /// Whether the sink has kept all that the chain recorded.
    is_durable: bool,
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
        let mut chain = Self {
            number,
            living: None,
            counters: Counters::default(),
            draws,
            fate: Fate::Going,
            tools: None,
            round: 0,
            is_durable: true,
        };
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
        self.is_durable = matches!(finished, Ok(Ok(())));
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
    pub(crate) fn into_ended(mut self, keep_state: bool) -> Ended {
        if let Some(living) = &mut self.living {
            living.kernel.free_scratch();
        }
        let record = if keep_state { self.record() } else { ChainRecord::NotBegun };
        let outcome = match self.fate {
            Fate::Ended { outcome, .. } => outcome,
            Fate::Going => Outcome::Stopped("the run ended before it".to_owned()),
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
            outcome,
        };
        Ended { draws, report, counters, record, warning }
    }

    /// The chain as a checkpoint holds it.
    fn record(&self) -> ChainRecord {
        let counters = || self.counters.clone();
        match (&self.fate, &self.living) {
            (Fate::Ended { outcome: Outcome::Failed(reason), resumable: false }, _) => {
                ChainRecord::Failed { counters: counters(), reason: reason.clone() }
            }
            (_, Some(living)) => match to_bytes(living) {
                Ok(state) => ChainRecord::Alive { counters: counters(), state },
                Err(error) => ChainRecord::Failed {
                    counters: counters(),
                    reason: format!("the chain's state could not be written: {error}"),
                },
            },
            (_, None) => ChainRecord::NotBegun,
        }
    }

    /// Hands in the chain's state between two transitions, once the sink has what was recorded.
    fn hand_in(&mut self, keeper: &Keeper, course: Course) -> Result<(), ChainError> {
        let begin = Instant::now();
        self.round = keeper.round();
        if let Some(sink) = self.tools.as_mut().and_then(|tools| tools.sink.as_mut()) {
            sink.flush()?;
        }
        self.write(keeper, course);
        keeper.hand_in(self.number, begin.elapsed());
        Ok(())
    }

    /// Writes the chain's state to the checkpoint in the making, if it is one that may be counted on and is not in place already.
    fn write(&self, keeper: &Keeper, course: Course) {
        let moment = Moment { iteration: self.counters.iteration, course, is_going: self.is_going() };
        if self.is_durable && keeper.is_new(self.number, moment) {
            keeper.write(self.number, moment, |file| self.write_record(file));
        }
    }

    /// As [`record`](Self::record), without a copy in memory.
    fn write_record<W: Write>(&self, file: &mut Writer<W>) -> io::Result<()> {
        let counters = || self.counters.clone();
        match (&self.fate, &self.living) {
            (Fate::Ended { outcome: Outcome::Failed(reason), resumable: false }, _) => {
                file.put(&ChainHead::Failed(counters(), reason.into()))
            }
            (_, Some(living)) => {
                file.put(&ChainHead::Alive(counters()))?;
                file.put(living)
            }
            (_, None) => file.put(&ChainHead::NotBegun),
        }
    }

    /// Hands in the chain's state while it waits, or after its end; a sink that fails ends it.
    pub(crate) fn hand_in_at_rest<P: Posterior + ?Sized>(
        &mut self,
        shared: &Shared<'a, P, M>,
        keeper: &Keeper,
        course: Course,
    ) {
        let handed_in = catch_unwind(AssertUnwindSafe(|| self.hand_in(keeper, course)));
        let problem = match handed_in {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("the sink panicked: {}", panic_message(panic.as_ref())),
        };
        self.end(shared, Outcome::Failed(problem), true);
        self.write(keeper, course);
        keeper.hand_in(self.number, Duration::ZERO);
    }

    /// Runs to the end of a leg; the reason where the chain stops before it.
    fn live<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>, leg: Leg) -> Result<Option<String>, ChainError> {
        if self.tools.is_none() {
            if let Some(reason) = shared.reason_to_stop(&self.counters) {
                return Ok(Some(reason));
            }
            self.begin(shared, leg)?;
        }
        let mut clock = Instant::now();
        while self.counters.iteration < leg.until {
            if let Some(keeper) = shared.keeper.filter(|keeper| keeper.round() != self.round) {
                self.hand_in(keeper, leg.course)?;
            }
            let pending = self.living.as_ref().is_some_and(|living| living.pending);
            if !pending && let Some(reason) = shared.reason_to_stop(&self.counters) {
                return Ok(Some(reason));
            }
            self.iterate(shared, leg, &mut clock)?;
        }
        Ok(None)
    }

    /// Makes what the chain works with. A new chain finds an initial position, and its adaptation chooses first parameters.
    fn begin<P: Posterior + ?Sized>(&mut self, shared: &Shared<'a, P, M>, leg: Leg) -> Result<(), ChainError> {
        let mut density = Counted::new(shared.posterior.evaluator());
        if density.dim() != shared.layout.dim() {
            let (dim, named) = (density.dim(), shared.layout.dim());
            let message = format!("it has {dim} coordinates and its layout {named}; Posterior's methods must agree");
            return Err(EvaluationError::new(message).into());
        }
        if self.living.is_none() {
            if let Some(cost) = shared.start_costs.map(|costs| &costs[self.number]) {
                self.counters.spend(Phase::Warmup, cost.warmup_gradients);
                self.counters.pass(Phase::Warmup, cost.warmup_seconds);
            }
            let clock = Instant::now();
            let begun = begin(shared, self.number, &mut density);
            self.counters.spend(Phase::Warmup, density.evaluations());
            self.counters.pass(Phase::Warmup, clock.elapsed().as_secs_f64());
            self.living = Some(begun?);
        }
        let open = |sink: &'a dyn Sink| {
            if !shared.resumed {
                return sink.open_chain(self.number);
            }
            let (iteration, warmup) = (self.counters.iteration, leg.course.warmup);
            let recorded = Recorded { warmup: iteration.min(warmup), draws: iteration.saturating_sub(warmup) };
            sink.resume_chain(self.number, recorded)
        };
        let sink = shared.sink.map(open).transpose()?;
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
        let (phase, index) = match iteration.checked_sub(leg.course.warmup) {
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
                total: leg.course.warmup + shared.run.draws,
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

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
