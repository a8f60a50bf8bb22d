//! Receive draws while they are made; a sink that cannot keep a draw stops the run.

use crate::{Column, FieldKind, Layout, Origin, RunReport};
use std::path::PathBuf;
use std::sync::Arc;

/// Whether a draw belongs to warm-up or is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The sampler still tunes itself; positions are not draws from the target.
    Warmup,
    /// Draws to keep.
    Sampling,
}

/// What a sink must know before the first draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Names of the coordinates.
    pub layout: Arc<Layout>,
    /// Names and types of the statistics, in the order of each draw's row.
    pub columns: Vec<Column>,
    /// Where the draws come from.
    pub origin: Origin,
    /// Number of chains.
    pub chains: usize,
    /// Warm-up iterations per chain that are planned.
    pub warmup: usize,
    /// Draws per chain that are planned; `usize::MAX` where something else ends the run.
    pub draws: usize,
    /// What was asked: method, settings, seed, version. Costs and outcomes follow in [`Sink::finish`].
    pub report: RunReport,
}

/// One draw, lent to a sink.
#[derive(Debug, Clone, Copy)]
pub struct DrawRef<'a> {
    /// Warm-up or kept.
    pub phase: Phase,
    /// Number of the draw in its phase, from 0.
    pub index: usize,
    /// The unconstrained position, one value per coordinate.
    pub position: &'a [f64],
    /// One value per column of the schema.
    pub statistics: &'a [f64],
}

/// What a chain has recorded when its run goes on from a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Warm-up iterations.
    pub warmup: usize,
    /// Draws.
    pub draws: usize,
}

/// Where draws go.
///
/// The driver calls [`begin`](Self::begin) once, [`open_chain`](Self::open_chain) once per chain (from any thread), and
/// [`finish`](Self::finish) once, whatever happened to the chains. Each chain has a writer of its own, so the loop takes no lock.
/// A run that goes on from a checkpoint calls [`resume_chain`](Self::resume_chain) in place of `open_chain`.
pub trait Sink: Sync {
    /// Prepares for a run.
    ///
    /// # Errors
    /// When the place cannot be written; the run does not start.
    fn begin(&self, schema: &Schema) -> Result<(), SinkError>;

    /// The writer of one chain.
    ///
    /// # Errors
    /// When the chain's place cannot be written.
    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError>;

    /// The writer of a chain that goes on from a checkpoint: the next draws are those after `recorded`.
    ///
    /// A sink that has the earlier draws drops what it has beyond `recorded`, since those draws are made again. One that has not, such
    /// as [`Memory`](crate::Memory), keeps the rest of the run alone, which is what happens unless a sink says otherwise.
    ///
    /// # Errors
    /// As [`open_chain`](Self::open_chain), and when the sink should have the earlier draws but lacks some.
    fn resume_chain(&self, chain: usize, recorded: Recorded) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        let _ = recorded;
        self.open_chain(chain)
    }

    /// Ends the run; `report` has costs and outcomes.
    ///
    /// # Errors
    /// When the rest cannot be written; what is written already stays readable.
    fn finish(&self, report: &RunReport) -> Result<(), SinkError>;
}

impl<S: Sink + ?Sized> Sink for &S {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        (**self).begin(schema)
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        (**self).open_chain(chain)
    }

    fn resume_chain(&self, chain: usize, recorded: Recorded) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        (**self).resume_chain(chain, recorded)
    }

    fn finish(&self, report: &RunReport) -> Result<(), SinkError> {
        (**self).finish(report)
    }
}

/// The writer of one chain.
pub trait ChainSink: Send {
    /// Keeps one draw. Draws of a phase come in order, warm-up first.
    ///
    /// # Errors
    /// When the draw cannot be kept; the chain stops, and what was kept before stays readable.
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError>;

    /// Makes every draw so far outlive the process, where the sink's draws do so at all: a checkpoint is about to count on them.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Keeps what is still buffered; called when the chain ends, also early.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// Why a draw could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A file could not be read or written.
    #[error("cannot {action} '{}': {source}; {advice}", path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// The way out.
        advice: &'static str,
    },
    /// A file does not hold what it should.
    #[error("'{}' is not readable as part of a run: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The place already holds something.
    #[error("'{}' already exists; choose another folder or remove it first", .0.display())]
    AlreadyExists(PathBuf),
    /// The draws do not fit into memory.
    #[error(
        "{chains} chains of {draws} draws with {dim} coordinates need {:.1} GiB of memory, more than can be had; \
         keep every k-th draw, or write the draws to a run folder",
        *bytes as f64 / f64::from(1 << 30)
    )]
    TooLarge {
        /// Bytes of the draws and their statistics.
        bytes: u128,
        /// Number of chains.
        chains: usize,
        /// Draws per chain.
        draws: usize,
        /// Number of coordinates.
        dim: usize,
    },
    /// A run folder belongs to another run than the one that goes on in it.
    #[error("'{}' is the folder of another run: {difference}; go on in the folder that belongs to the checkpoint", path.display())]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// A statistic's name cannot be stored.
    #[error(
        "the statistic '{0}' cannot be stored; give each statistic its own name of letters, digits, '_', '-' and '.', \
         starting with a letter, and other than chain, draw, sample and pred_id"
    )]
    InvalidStatistic(String),
    /// A statistic has a value that its type on disk cannot hold.
    #[error("the statistic '{column}' is declared as {kind:?} but has the value {value}; declare it as real")]
    WrongKind {
        /// The statistic.
        column: String,
        /// Its type.
        kind: FieldKind,
        /// Its value.
        value: f64,
    },
    /// The calls to a sink do not follow the order that [`Sink`] states.
    #[error("a sink is used in the wrong order: {0}")]
    Misused(&'static str),
}
