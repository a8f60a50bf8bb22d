//! Run every chain of any method: the one driver.

use crate::chain::{Chain, Ended, Shared};
use crate::checkpoint::ChainRecord;
use crate::header::Header;
use crate::keeper::Keeper;
use crate::legs::run_in_legs;
use crate::meeting::Course;
use crate::{Checkpoint, CheckpointError, CheckpointSchedule, Info, Kernel, Method, NoObserver, Observer, Plan, Run, RunError};
use ergodic_draws::{ChainDraws, ChainReport, Column, Draws, Layout, Origin, Outcome, RunReport, Schema, Sink};
use ergodic_model::Posterior;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Samples a posterior with any method, and keeps the draws in memory.
///
/// # Errors
/// When a setting is out of range, or no chain has a draw. A chain that fails among others is reported in
/// [`Draws::report`](ergodic_draws::Draws), and its draws are kept.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Nuts, Run, sample};
/// let normal = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0];
///     -0.5 * x[0] * x[0]
/// });
/// let draws = sample(&normal, &Nuts::default(), &Run { chains: 2, draws: 500, ..Run::default() })?;
/// assert_eq!(draws.chains().len(), 2);
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
pub fn sample<P: Posterior + ?Sized, M: Method>(posterior: &P, method: &M, run: &Run) -> Result<Draws, RunError> {
    Sampler::new(posterior, method.clone(), *run).run()
}

/// A run with all that may go with it: sink, observer, stop flag, threads, initial positions, checkpoint.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Nuts, Run, Sampler};
/// let normal = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0];
///     -0.5 * x[0] * x[0]
/// });
/// let short = Run { chains: 2, warmup: 100, draws: 50, ..Run::default() };
/// let (first, checkpoint) = Sampler::new(&normal, Nuts::default(), short).run_with_checkpoint()?;
/// let long = Run { draws: 80, ..short };
/// let rest = Sampler::new(&normal, Nuts::default(), long).resume(checkpoint).run()?;
/// assert_eq!((first.min_len(), rest.min_len()), (50, 30));
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
pub struct Sampler<'a, P: ?Sized, M> {
    posterior: &'a P,
    method: M,
    run: Run,
    sink: Option<&'a dyn Sink>,
    observer: &'a dyn Observer,
    stop: Option<&'a AtomicBool>,
    pool: Option<&'a ThreadPool>,
    initial_positions: Option<&'a [Vec<f64>]>,
    start_costs: Option<&'a [ChainReport]>,
    checkpoint: Option<Checkpoint>,
    checkpoint_to: Option<(PathBuf, CheckpointSchedule)>,
}

impl<P: ?Sized, M: Method> std::fmt::Debug for Sampler<'_, P, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("method", &M::NAME).field("run", &self.run).finish_non_exhaustive()
    }
}

impl<'a, P: Posterior + ?Sized, M: Method> Sampler<'a, P, M> {
    /// A run of `method` on `posterior`.
    #[must_use]
    pub fn new(posterior: &'a P, method: M, run: Run) -> Self {
        Self {
            posterior,
            method,
            run,
            sink: None,
            observer: &NoObserver,
            stop: None,
            pool: None,
            initial_positions: None,
            start_costs: None,
            checkpoint: None,
            checkpoint_to: None,
        }
    }

    /// Sends every transition to a sink too, warm-up first.
    #[must_use]
    pub fn sink(mut self, sink: &'a dyn Sink) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Lets an observer watch.
    #[must_use]
    pub fn observer(mut self, observer: &'a dyn Observer) -> Self {
        self.observer = observer;
        self
    }

    /// Stops all chains after their present transition once `stop` is set, for instance by a signal handler.
    #[must_use]
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Runs the chains on a pool of the caller's instead of threads of the run's own.
    #[must_use]
    pub fn pool(mut self, pool: &'a ThreadPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Begins chain k at position k, such as the end of an optimisation; one position per chain.
    #[must_use]
    pub fn initial_positions(mut self, positions: &'a [Vec<f64>]) -> Self {
        self.initial_positions = Some(positions);
        self
    }

    /// Charges what it cost to find the initial positions, gradients and seconds of warm-up, to the chains that begin there: in their
    /// budgets, their reports and their checkpoints. One report per chain.
    ///
    /// ```
    /// use ergodic_draws::{ChainReport, Outcome};
    /// use ergodic_model::density;
    /// use ergodic_sampler::{Nuts, Run, Sampler};
    /// let normal = density(1, |x: &[f64], gradient: &mut [f64]| {
    ///     gradient[0] = -x[0];
    ///     -0.5 * x[0] * x[0]
    /// });
    /// let cost = ChainReport {
    ///     warmup_gradients: 500,
    ///     sampling_gradients: 0,
    ///     warmup_seconds: 0.1,
    ///     sampling_seconds: 0.0,
    ///     tuned: Default::default(),
    ///     outcome: Outcome::Completed,
    /// };
    /// let run = Run { chains: 1, warmup: 10, draws: 10, ..Run::default() };
    /// let (positions, costs) = ([vec![0.1]], [cost]);
    /// let draws = Sampler::new(&normal, Nuts::default(), run).initial_positions(&positions).start_costs(&costs).run()?;
    /// assert!(draws.report.chains[0].warmup_gradients > 500);
    /// # Ok::<(), ergodic_sampler::RunError>(())
    /// ```
    #[must_use]
    pub fn start_costs(mut self, costs: &'a [ChainReport]) -> Self {
        self.start_costs = Some(costs);
        self
    }

    /// Goes on from a checkpoint. [`Run::draws`] counts from the chain's beginning, and the result holds the draws after the
    /// checkpoint, bit for bit those of an uninterrupted run.
    #[must_use]
    pub fn resume(mut self, checkpoint: Checkpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Keeps a checkpoint in the file `path` while the run goes on: from its beginning, as often as `schedule` says, and at its end.
    ///
    /// The file is always a whole checkpoint, that a killed run goes on from with [`resume`](Self::resume). Draws outlive the process
    /// in a sink that keeps them on disk, such as a [`RunFolder`](ergodic_draws::RunFolder), which is then
    /// [opened](ergodic_draws::RunFolder::open) again. Chains hand in their states between two transitions, and a thread of its own
    /// writes them; when that fails later than at the beginning, the run goes on and its report says so. The report's settings have
    /// the number of checkpoints and what they cost in seconds, under `checkpoints`.
    ///
    /// ```
    /// use ergodic_draws::RunFolder;
    /// use ergodic_model::density;
    /// use ergodic_sampler::{Checkpoint, CheckpointSchedule, Nuts, Run, Sampler};
    /// let normal = density(1, |x: &[f64], gradient: &mut [f64]| {
    ///     gradient[0] = -x[0];
    ///     -0.5 * x[0] * x[0]
    /// });
    /// # let place = tempfile::tempdir()?;
    /// let (folder, file) = (place.path().join("run.zarr"), place.path().join("run.checkpoint"));
    /// let run = Run { chains: 2, warmup: 100, draws: 50, ..Run::default() };
    /// let sink = RunFolder::create(&folder)?;
    /// let schedule = CheckpointSchedule::default();
    /// Sampler::new(&normal, Nuts::default(), run).sink(&sink).checkpoint_to(&file, schedule).run_into_sink()?;
    /// // Later, in another process, whether that one ended or was killed:
    /// let more = Run { draws: 80, ..run };
    /// let sink = RunFolder::open(&folder)?;
    /// let sampler = Sampler::new(&normal, Nuts::default(), more).sink(&sink).checkpoint_to(&file, schedule);
    /// sampler.resume(Checkpoint::load(&file)?).run_into_sink()?;
    /// assert_eq!(RunFolder::load(&folder)?.min_len(), 80);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn checkpoint_to(mut self, path: impl Into<PathBuf>, schedule: CheckpointSchedule) -> Self {
        self.checkpoint_to = Some((path.into(), schedule));
        self
    }

    /// Runs, and returns the draws.
    ///
    /// # Errors
    /// When a setting is out of range, the sink cannot begin, the checkpoint belongs to another run, or no chain has a draw.
    pub fn run(self) -> Result<Draws, RunError> {
        let result = self.drive(true, false)?;
        if result.has_draws { Ok(result.draws) } else { Err(result.no_draws()) }
    }

    /// Runs, and returns the draws and the state of the chains, from which the run can go on.
    ///
    /// # Errors
    /// As [`run`](Self::run); but a run that was stopped in warm-up is no error, since it can go on.
    pub fn run_with_checkpoint(self) -> Result<(Draws, Checkpoint), RunError> {
        let result = self.drive(true, true)?;
        if result.has_draws || result.can_go_on() { Ok((result.draws, result.checkpoint)) } else { Err(result.no_draws()) }
    }

    /// Runs without keeping draws in memory, for posteriors too large for it: they go to the sink alone.
    ///
    /// # Errors
    /// As [`run_with_checkpoint`](Self::run_with_checkpoint), and when the sink cannot finish.
    pub fn run_into_sink(self) -> Result<(RunReport, Checkpoint), RunError> {
        let mut result = self.drive(false, true)?;
        if let Some(error) = result.sink_error.take() {
            return Err(RunError::Sink(error));
        }
        if result.has_draws || result.can_go_on() {
            Ok((result.draws.report, result.checkpoint))
        } else {
            Err(result.no_draws())
        }
    }

    fn drive(self, keep_draws: bool, keep_state: bool) -> Result<Driven, RunError> {
        let started = Instant::now();
        self.run.validate()?;
        self.method.validate()?;
        let layout = self.posterior.layout();
        let draw_layout = Arc::new(self.posterior.draw_layout());
        let dim = layout.dim();
        self.check_model(&layout)?;
        let resumed = self.checkpoint.is_some();
        let probed = keep_state || resumed || self.checkpoint_to.is_some();
        let header = Header::new(self.posterior, &layout, &self.method, &self.run, probed)?;
        if let Some((path, schedule)) = &self.checkpoint_to {
            schedule.validate()?;
            if !resumed && path.exists() {
                return Err(CheckpointError::AlreadyExists(path.clone()).into());
            }
        }
        let Checkpoint { course, chains: records, .. } = match self.checkpoint {
            Some(checkpoint) => {
                header.check(&checkpoint.header)?;
                checkpoint
            }
            None => Checkpoint::at_start(header.clone()),
        };
        let mut prior_scales = vec![1.0; dim];
        self.posterior.prior_scales(&mut prior_scales);
        let blocks: Vec<_> = layout.blocks().iter().map(ergodic_draws::Block::range).collect();

        let origin = if M::EXACT { Origin::Mcmc } else { Origin::BiasedMcmc };
        let mut report = self.posterior.new_report(M::NAME, self.run.seed);
        report.settings = serde_json::json!({ "method": self.method, "run": self.run });
        if let Some(sink) = self.sink {
            sink.begin(&Schema {
                layout: Arc::clone(&draw_layout),
                columns: <<M::Kernel as Kernel>::Info as Info>::FIELDS.iter().map(Column::from).collect(),
                origin,
                chains: self.run.chains,
                warmup: self.run.warmup,
                draws: self.run.draws,
                report: report.clone(),
            })?;
        }
        let (chains, warmup, draws) = (self.run.chains, self.run.warmup, self.run.draws);
        let keeper = match self.checkpoint_to {
            Some((path, schedule)) => Some(Keeper::begin(path, schedule, header.clone(), course, &records)?),
            None => None,
        };
        self.observer.started(&Plan { method: M::NAME, chains, warmup, draws, dim });
        let shared = Shared {
            posterior: self.posterior,
            method: &self.method,
            run: &self.run,
            layout: &layout,
            draw_dim: draw_layout.dim(),
            prior_scales: &prior_scales,
            blocks: &blocks,
            initial_positions: self.initial_positions,
            start_costs: self.start_costs,
            sink: self.sink,
            observer: self.observer,
            stop: self.stop,
            started,
            keep_draws,
            keep_state,
            resumed,
            keeper: keeper.as_ref(),
        };
        let (ended, course) = run_chains(&shared, self.pool, records, course)?;

        report.warnings = crate::warnings::of_run(&ended, warmup, &course);
        if let Some(kept) = keeper.map(|keeper| keeper.kept()) {
            report.settings["checkpoints"] = serde_json::json!({ "written": kept.checkpoints, "seconds": kept.seconds });
            let problem = kept.problem.map(|problem| format!("the last checkpoint was not written: {problem}"));
            report.warnings.extend(problem);
        }
        let warmup = course.warmup;
        let has_draws = ended.iter().any(|chain| chain.counters.iteration > warmup);
        let (mut chains, mut records): (Vec<ChainDraws>, Vec<ChainRecord>) = (Vec::new(), Vec::new());
        for chain in ended {
            report.chains.push(chain.report);
            chains.push(chain.draws);
            records.push(chain.record);
        }
        report.seconds = started.elapsed().as_secs_f64();
        let sink_error = self.sink.and_then(|sink| sink.finish(&report).err());
        if let Some(error) = &sink_error {
            report.warnings.push(format!("the sink could not finish: {error}"));
        }
        let draws = Draws::new(draw_layout, origin, chains, report);
        Ok(Driven { draws, checkpoint: Checkpoint { header, course, chains: records }, has_draws, sink_error })
    }

    fn check_model(&self, layout: &Layout) -> Result<(), RunError> {
        let problem = |problem: String| Err(RunError::Model { problem });
        if layout.dim() == 0 {
            return problem("the layout has no coordinates; there is nothing to sample".to_owned());
        }
        if let Some(found) = self.start_costs.map(<[_]>::len).filter(|found| *found != self.run.chains) {
            let chains = self.run.chains;
            return problem(format!("{found} costs of initial positions are given for {chains} chains; give one per chain"));
        }
        let Some(positions) = self.initial_positions else { return Ok(()) };
        if positions.len() != self.run.chains {
            let (found, chains) = (positions.len(), self.run.chains);
            return problem(format!("{found} initial positions are given for {chains} chains; give one per chain"));
        }
        match positions.iter().position(|position| position.len() != layout.dim()) {
            Some(chain) => problem(format!(
                "the initial position of chain {chain} has {} coordinates, and the model {}",
                positions[chain].len(),
                layout.dim()
            )),
            None => Ok(()),
        }
    }
}

/// What a run leaves.
struct Driven {
    draws: Draws,
    checkpoint: Checkpoint,
    has_draws: bool,
    sink_error: Option<ergodic_draws::SinkError>,
}

impl Driven {
    fn can_go_on(&self) -> bool {
        self.checkpoint.chains.iter().any(|chain| !matches!(chain, ChainRecord::Failed { .. }))
    }

    fn no_draws(&self) -> RunError {
        let reason = self.draws.report.chains.first().map(|chain| match &chain.outcome {
            Outcome::Stopped(reason) => format!("{reason}, in warm-up"),
            Outcome::Failed(reason) => reason.clone(),
            _ => "it ended without a draw".to_owned(),
        });
        RunError::NoDraws(reason.unwrap_or_default())
    }
}

/// Runs every chain, on the given pool, on one of the run's own, or on this thread.
fn run_chains<P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'_, P, M>,
    pool: Option<&ThreadPool>,
    records: Vec<ChainRecord>,
    course: Course,
) -> Result<(Vec<Ended>, Course), RunError> {
    let records = records.into_iter().enumerate();
    let chains: Vec<_> = records.map(|(number, record)| Mutex::new(Chain::new(shared, number, record))).collect();
    let course = Mutex::new(course);
    let threads = shared.run.num_threads();
    let own = match pool {
        None if threads > 1 => {
            let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|thread| format!("chain-{thread}")).build();
            Some(pool.map_err(|error| RunError::Threads { threads, message: error.to_string() })?)
        }
        _ => None,
    };
    let run = || match pool.or(own.as_ref()) {
        Some(pool) => pool.install(|| run_in_legs(shared, &chains, &course, true)),
        None => run_in_legs(shared, &chains, &course, false),
    };
    match shared.keeper {
        None => run(),
        Some(keeper) => std::thread::scope(|scope| {
            scope.spawn(|| keeper.keep(shared, &chains, &course));
            let _end = EndsKeeping(keeper);
            run();
        }),
    }
    let chains = chains.into_iter().map(|chain| chain.into_inner().unwrap_or_else(PoisonError::into_inner));
    let ended = chains.map(|chain| chain.into_ended(shared.keep_state)).collect();
    Ok((ended, course.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Ends a keeper's thread also when the run ends by a panic, such as an observer's.
struct EndsKeeping<'a>(&'a Keeper);

impl Drop for EndsKeeping<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
