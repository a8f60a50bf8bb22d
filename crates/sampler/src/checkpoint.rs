//! Keep the whole state of a run, so that it goes on bit for bit as if it had never stopped.

use crate::checkpoint_file::{Aside, Writer, read};
use crate::counters::Counters;
use crate::header::Header;
use crate::living::LivingOf;
use crate::meeting::{Course, Reasons};
use crate::{HamiltonianKernel, Method, Metric};
use std::fs::File;
use std::io::{self, BufReader, Cursor};
use std::path::{Path, PathBuf};

/// The state of every chain of a run, and what the run was asked.
///
/// [`Sampler::run_with_checkpoint`](crate::Sampler::run_with_checkpoint) makes one, [`Sampler::resume`](crate::Sampler::resume) goes on
/// from it. Kernel, adaptation, position, random stream and counters are all in it; thread counts, budgets and the number of draws
/// may differ afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) course: Course,
    pub(crate) chains: Vec<ChainRecord>,
}

/// One chain of a checkpoint; `state` is what [`LivingOf`] its method serialises to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChainRecord {
    NotBegun,
    Alive { counters: Counters, state: Vec<u8> },
    Failed { counters: Counters, reason: String },
}

/// Why a checkpoint could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file could not be read or written.
    #[error("cannot {action} the checkpoint '{}': {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A new run would overwrite the checkpoint of another.
    #[error("the checkpoint '{}' exists already; go on from it, or remove it first, or choose another file", .0.display())]
    AlreadyExists(PathBuf),
    /// Bytes are not a checkpoint of this version.
    #[error("not a usable checkpoint: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
}

impl Checkpoint {
    /// A run of which nothing is done.
    pub(crate) fn at_start(header: Header) -> Self {
        let course = Course { warmup: header.warmup, held: None, refused: 0, reasons: Reasons::default() };
        let chains = vec![ChainRecord::NotBegun; header.chains];
        Self { header, course, chains }
    }

    /// Draws of the shortest chain so far.
    #[must_use]
    pub fn min_draws(&self) -> usize {
        self.draws().into_iter().min().unwrap_or(0)
    }

    /// Draws of each chain so far.
    #[must_use]
    pub fn draws(&self) -> Vec<usize> {
        let draws = |chain: &ChainRecord| match chain {
            ChainRecord::NotBegun => 0,
            ChainRecord::Alive { counters, .. } | ChainRecord::Failed { counters, .. } => {
                counters.iteration.saturating_sub(self.course.warmup)
            }
        };
        self.chains.iter().map(draws).collect()
    }

    /// The metric that a run of `M` adapted, [pooled](Metric::pooled) over its chains: for [`Warmup::given`](crate::Warmup::given).
    ///
    /// # Errors
    /// When the run was one of another method, no chain has begun, or the chains' metrics have no mean.
    pub fn metric<M: Method>(&self) -> Result<Metric, CheckpointError>
    where
        M::Kernel: HamiltonianKernel,
    {
        let malformed = |problem: String| CheckpointError::Malformed { problem };
        if self.header.method != M::NAME {
            return Err(malformed(format!("it is of a run of {}, and not of {}", self.header.method, M::NAME)));
        }
        let mut metrics = Vec::new();
        for chain in &self.chains {
            if let ChainRecord::Alive { state, .. } = chain {
                let living: LivingOf<M> = postcard::from_bytes(state).map_err(|error| malformed(error.to_string()))?;
                metrics.push(living.kernel.metric().clone());
            }
        }
        Metric::pooled(&metrics).map_err(|error| malformed(error.to_string()))
    }

    /// The checkpoint as bytes: what [`save`](Self::save) writes to a file.
    ///
    /// # Errors
    /// When the content cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let written = self.write(Vec::new());
        written.map_err(|error| CheckpointError::Malformed { problem: error.to_string() })
    }

    /// A checkpoint from [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// When the bytes are damaged, cut short, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        read(&mut Cursor::new(bytes)).map_err(|problem| CheckpointError::Malformed { problem: problem.to_string() })
    }

    /// Saves the checkpoint: written beside `path`, synced and renamed, so that a file at `path` is always whole.
    ///
    /// # Errors
    /// When the file cannot be written; an older file at `path` is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        let saved = Aside::create(path).and_then(|aside| self.write(aside)).and_then(Aside::place);
        saved.map_err(|source| CheckpointError::Io { action: "write", path: path.to_owned(), source })
    }

    /// Loads a checkpoint that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is no whole checkpoint.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let io_error = |source| CheckpointError::Io { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io_error)?;
        read(&mut BufReader::new(file)).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => CheckpointError::Malformed { problem: source.to_string() },
            _ => io_error(source),
        })
    }

    fn write<W: io::Write>(&self, to: W) -> io::Result<W> {
        let mut writer = Writer::begin(to, &self.header, self.course, self.chains.len())?;
        for (number, chain) in self.chains.iter().enumerate() {
            writer.record(number, chain)?;
        }
        Ok(writer.finish()?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::Posterior;

    fn checkpoint() -> Checkpoint {
        let normal = ergodic_model::density(2, |_: &[f64], _: &mut [f64]| 0.0);
        let run = crate::Run { chains: 2, warmup: 10, ..crate::Run::DEFAULT };
        let header = Header::new(&normal, &normal.layout(), &crate::Nuts::default(), &run, true).unwrap();
        let counters = Counters { iteration: 25, ..Counters::default() };
        let alive = ChainRecord::Alive { counters, state: vec![1, 2, 3] };
        Checkpoint { chains: vec![alive, ChainRecord::NotBegun], ..Checkpoint::at_start(header) }
    }

    #[test]
    fn bytes_survive_and_damage_does_not() {
        let bytes = checkpoint().to_bytes().unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes).unwrap(), checkpoint());
        for length in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        for byte in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 4;
            assert!(Checkpoint::from_bytes(&damaged).is_err(), "damaged at byte {byte}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = checkpoint().save("/no/such/folder/run.checkpoint").unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/run.checkpoint"));
        assert!(Checkpoint::load("/no/such/folder/run.checkpoint").is_err());
    }
}
