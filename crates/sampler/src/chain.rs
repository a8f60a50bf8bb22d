//! Run one chain: begin it, warm it up, draw, and leave it in a state from which it can go on.

use crate::checkpoint::ChainRecord;
use crate::counted::Counted;
use crate::counters::Counters;
use crate::initial::initial_state;
use crate::{Adaptation, BuildContext, ChainError, ChainState, Info, Kernel, Method, Observer, Progress, Run};
use ergodic_draws::{ChainDraws, ChainReport, ChainSink, Column, DrawRef, Layout, Outcome, Phase, Sink, Statistics};
use ergodic_model::{ChainRng, EvaluationError, LogDensity, Posterior, Purpose, Recording, record_stream, stream};
use serde::{Deserialize, Serialize};
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

/// All that a chain needs for its next transition.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "K: Kernel, A: Adaptation<K>", deserialize = "K: Kernel, A: Adaptation<K>"))]
pub(crate) struct Living<K: Kernel, A> {
    kernel: K,
    adaptation: A,
    state: K::State,
    rng: ChainRng,
    /// Statistics of the last transition.
    row: Vec<f64>,
    /// Whether the last transition still has to be recorded, because the sink failed.
    pending: bool,
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

type LivingOf<M> = Living<<M as Method>::Kernel, <M as Method>::Adaptation>;

impl<P: Posterior + ?Sized, M: Method> Shared<'_, P, M> {
    /// Runs chain `chain` from its beginning or from a record, and never panics on the model's account.
    pub(crate) fn run_chain(&self, chain: usize, record: ChainRecord) -> Ended {
        let mut counters = Counters::default();
        let mut living: Option<LivingOf<M>> = None;
        let mut draws = ChainDraws::new(self.draw_dim);
        let columns = || <<M::Kernel as Kernel>::Info as Info>::FIELDS.iter().map(Column::from).collect();
        draws.statistics = Statistics::new(columns());
        if self.run.keep_warmup_statistics {
            draws.warmup_statistics = Statistics::new(columns());
        }
        let mut resumable = true;
        let outcome = match record {
            ChainRecord::Failed { counters: before, reason } => {
                counters = before;
                resumable = false;
                Outcome::Failed(reason)
            }
            ChainRecord::Alive { counters: before, state } => {
                counters = before;
                match postcard::from_bytes(&state) {
                    Ok(state) => {
                        living = Some(state);
                        self.guarded(chain, &mut living, &mut counters, &mut draws, &mut resumable)
                    }
                    Err(error) => {
                        resumable = false;
                        Outcome::Failed(format!("the checkpoint holds no state of this method: {error}"))
                    }
                }
            }
            ChainRecord::NotBegun => self.guarded(chain, &mut living, &mut counters, &mut draws, &mut resumable),
        };
        self.observer.finished(chain, &outcome);
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
            (_, Some(living)) if self.keep_state => match postcard::to_stdvec(&living) {
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

    /// Lives a chain, and turns errors and panics into its outcome.
    fn guarded(
        &self,
        chain: usize,
        living: &mut Option<LivingOf<M>>,
        counters: &mut Counters,
        draws: &mut ChainDraws,
        resumable: &mut bool,
    ) -> Outcome {
        // What a panic may leave half done is the kernel's state, which is not used again.
        match catch_unwind(AssertUnwindSafe(|| self.live(chain, living, counters, draws))) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                *resumable = matches!(error, ChainError::Sink(_));
                Outcome::Failed(error.to_string())
            }
            Err(panic) => {
                *resumable = false;
                let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
                Outcome::Failed(format!(
                    "the model (or a sink or observer) panicked: {}",
                    message.as_deref().unwrap_or("without a message")
                ))
            }
        }
    }

    fn live(
        &self,
        chain: usize,
        living: &mut Option<LivingOf<M>>,
        counters: &mut Counters,
        draws: &mut ChainDraws,
    ) -> Result<Outcome, ChainError> {
        if let Some(reason) = self.reason_to_stop(counters) {
            return Ok(Outcome::Stopped(reason));
        }
        let mut density = Counted::new(self.posterior.evaluator());
        if density.dim() != self.layout.dim() {
            let (dim, named) = (density.dim(), self.layout.dim());
            let message = format!("it has {dim} coordinates and its layout {named}; Posterior's methods must agree");
            return Err(EvaluationError::new(message).into());
        }
        let living = match living {
            Some(living) => living,
            None => {
                let begin = Instant::now();
                let begun = self.begin(chain, &mut density);
                counters.warmup_gradients += density.evaluations();
                counters.warmup_seconds += begin.elapsed().as_secs_f64();
                living.insert(begun?)
            }
        };
        let mut sink = self.sink.map(|sink| sink.open_chain(chain)).transpose()?;
        let outcome = self.advance(chain, living, counters, &mut density, draws, &mut sink);
        let finished = sink.map_or(Ok(()), |mut sink| sink.finish());
        let outcome = outcome?;
        finished?;
        Ok(outcome)
    }

    /// Finds an initial position, builds the kernel, and lets its adaptation choose first parameters.
    fn begin(&self, chain: usize, density: &mut dyn LogDensity) -> Result<LivingOf<M>, ChainError> {
        let context = BuildContext { dim: self.layout.dim(), warmup: self.run.warmup, prior_scales: self.prior_scales };
        let (mut kernel, mut adaptation) = self.method.build(&context);
        let given = self.initial_positions.map(|positions| positions[chain].as_slice());
        let mut initialise = stream(self.run.seed, chain, Purpose::Initialise);
        let mut state = initial_state(&mut kernel, density, self.posterior, self.layout, given, &mut initialise)?;
        let mut rng = stream(self.run.seed, chain, Purpose::Kernel);
        adaptation.init(&mut kernel, density, &mut state, &mut rng)?;
        if self.run.warmup == 0 {
            adaptation.finalize(&mut kernel);
        }
        let row = vec![0.0; <<M::Kernel as Kernel>::Info as Info>::FIELDS.len()];
        Ok(Living { kernel, adaptation, state, rng, row, pending: false })
    }

    fn advance(
        &self,
        chain: usize,
        living: &mut LivingOf<M>,
        counters: &mut Counters,
        density: &mut Counted<Box<dyn LogDensity + Send + '_>>,
        draws: &mut ChainDraws,
        sink: &mut Option<Box<dyn ChainSink + '_>>,
    ) -> Result<Outcome, ChainError> {
        let (warmup, total) = (self.run.warmup, self.run.warmup + self.run.draws);
        let mut recording = Recording::new(self.posterior);
        let mut clock = Instant::now();
        while counters.iteration < total {
            let iteration = counters.iteration;
            let (phase, index) =
                if iteration < warmup { (Phase::Warmup, iteration) } else { (Phase::Sampling, iteration - warmup) };
            let mut seen = None;
            if !living.pending {
                if let Some(reason) = self.reason_to_stop(counters) {
                    return Ok(Outcome::Stopped(reason));
                }
                let before = density.evaluations();
                let info = self.transition(living, density, iteration);
                let spent = density.evaluations() - before;
                let seconds = std::mem::replace(&mut clock, Instant::now());
                counters.spend(phase, spent, (clock - seconds).as_secs_f64());
                let info = info?;
                counters.judge(phase, &info);
                info.write(&mut living.row);
                living.pending = true;
                seen = Some((info.step_size(), info.n_steps(), info.acceptance_rate()));
            }
            let statistics = living.row.as_slice();
            let is_kept = sink.is_some() || (phase == Phase::Sampling && self.keep_draws);
            let position = match living.state.position() {
                position if is_kept => recording.draw(position, || record_stream(self.run.seed, chain, iteration))?,
                position => position,
            };
            if let Some(sink) = sink {
                sink.record(&DrawRef { phase, index, position, statistics })?;
            }
            match phase {
                Phase::Sampling if self.keep_draws => {
                    draws.push(position);
                    draws.statistics.push(statistics);
                }
                Phase::Warmup if self.run.keep_warmup_statistics => draws.warmup_statistics.push(statistics),
                _ => {}
            }
            living.pending = false;
            counters.iteration += 1;
            if let Some((step_size, n_steps, acceptance_rate)) = seen {
                self.observer.progress(&Progress {
                    chain,
                    phase,
                    iteration: counters.iteration,
                    total,
                    step_size,
                    n_steps,
                    acceptance_rate,
                    log_density: living.state.log_density(),
                    divergences: match phase {
                        Phase::Warmup => counters.warmup_divergences,
                        Phase::Sampling => counters.sampling_divergences,
                    },
                    gradients: counters.gradients(),
                    seconds: counters.warmup_seconds + counters.sampling_seconds,
                });
            }
        }
        Ok(Outcome::Completed)
    }

    /// One transition, and what adaptation learns from it.
    fn transition(
        &self,
        living: &mut LivingOf<M>,
        density: &mut dyn LogDensity,
        iteration: usize,
    ) -> Result<<M::Kernel as Kernel>::Info, ChainError> {
        let Living { kernel, adaptation, state, rng, .. } = living;
        let info = kernel.step(density, state, rng)?;
        if iteration < self.run.warmup {
            adaptation.update(kernel, density, state, &info, iteration, rng)?;
            if iteration + 1 == self.run.warmup {
                adaptation.finalize(kernel);
            }
        }
        Ok(info)
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
