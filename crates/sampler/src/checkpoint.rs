//! Keep the whole state of a run, so that it goes on bit for bit as if it had never stopped.

use crate::counters::Counters;
use crate::header::Header;
use crate::living::LivingOf;
use crate::meeting::Course;
use crate::{HamiltonianKernel, Method, Metric};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"ERGODICK";
const VERSION: u32 = 4;

/// The state of every chain of a run, and what the run was asked.
///
/// [`Sampler::run_with_checkpoint`](crate::Sampler::run_with_checkpoint) makes one, [`Sampler::resume`](crate::Sampler::resume) goes on
/// from it. Kernel, adaptation, position, random stream and counters are all in it; thread counts, budgets and the number of draws
/// may differ afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) course: Course,
    pub(crate) chains: Vec<ChainRecord>,
}

/// One chain of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ChainRecord {
    NotBegun,
    Alive {
        counters: Counters,
        #[serde(with = "bytes")]
        state: Vec<u8>,
    },
    Failed {
        counters: Counters,
        reason: String,
    },
}

/// A checkpoint whose parts belong to a run that goes on; written as a [`Checkpoint`].
#[derive(Serialize)]
pub(crate) struct CheckpointRef<'a> {
    pub header: &'a Header,
    pub course: Course,
    pub chains: &'a [ChainRecord],
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
        let course = Course { warmup: header.warmup, held: None, refused: 0 };
        let chains = vec![ChainRecord::NotBegun; header.chains];
        Self { header, course, chains }
    }

    /// Draws of the shortest chain so far.
    #[must_use]
    pub fn min_draws(&self) -> usize {
        let draws = |chain: &ChainRecord| match chain {
            ChainRecord::NotBegun => 0,
            ChainRecord::Alive { counters, .. } | ChainRecord::Failed { counters, .. } => {
                counters.iteration.saturating_sub(self.course.warmup)
            }
        };
        self.chains.iter().map(draws).min().unwrap_or(0)
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

    /// The checkpoint as bytes: a mark, the version, the content in postcard's format, and a check sum of that (CRC-32).
    ///
    /// # Errors
    /// When the content cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = Vec::new();
        let written = self.as_ref().write(&mut bytes);
        written.map_err(|error| CheckpointError::Malformed { problem: error.to_string() })?;
        Ok(bytes)
    }

    /// A checkpoint from [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// When the bytes are damaged, cut short, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let malformed = |problem: &str| CheckpointError::Malformed { problem: problem.to_owned() };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| malformed("it does not begin like one"))?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("it is cut short"))?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(malformed(&format!("it has format {version}, and this library reads {VERSION}")));
        }
        let (content, sum) = rest.split_last_chunk::<4>().ok_or_else(|| malformed("it is cut short"))?;
        if u32::from_le_bytes(*sum) != crc32fast::hash(content) {
            return Err(malformed("it is damaged or cut short: its check sum is wrong"));
        }
        postcard::from_bytes(content).map_err(|error| malformed(&error.to_string()))
    }

    /// Saves the checkpoint: written beside `path`, synced and renamed, so that a file at `path` is always whole.
    ///
    /// # Errors
    /// When the file cannot be written; an older file at `path` is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        self.as_ref().save(path.as_ref())
    }

    fn as_ref(&self) -> CheckpointRef<'_> {
        CheckpointRef { header: &self.header, course: self.course, chains: &self.chains }
    }

    /// Loads a checkpoint that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is no whole checkpoint.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| CheckpointError::Io { action: "read", path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }
}

impl CheckpointRef<'_> {
    /// As [`Checkpoint::save`]; no second copy of the chains' states is made.
    pub(crate) fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let written = write_aside(path, |file| self.write(file));
        written.map_err(|source| CheckpointError::Io { action: "write", path: path.to_owned(), source })
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        let mut summed = Summed { to, sum: crc32fast::Hasher::new(), error: None };
        let written = postcard::to_io(self, &mut summed).map(|_| ());
        let Summed { sum, error, .. } = summed;
        // What postcard says of a failed write is less than what the system said.
        error.map_or(Ok(()), Err)?;
        written.map_err(io::Error::other)?;
        to.write_all(&sum.finalize().to_le_bytes())
    }
}

/// Writes a file beside `path`, syncs and renames it, so that a file at `path` is always whole.
pub(crate) fn write_aside(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".partial");
    let aside = PathBuf::from(aside);
    let written = File::create(&aside).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner()?.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&aside, path));
    renamed.inspect_err(|_| {
        // The partial file is of no use to anyone; failing to remove it is no second error.
        let _ = fs::remove_file(&aside);
    })?;
    sync_folder(path);
    Ok(())
}

/// A writer that sums up what passes.
struct Summed<'a, W> {
    to: &'a mut W,
    sum: crc32fast::Hasher,
    error: Option<io::Error>,
}

impl<W: Write> Write for Summed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.to.write_all(bytes) {
            Ok(()) => self.sum.update(bytes),
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                return Err(kind.into());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Bytes in one piece, for `#[serde(with = "bytes")]`; element by element they would take most of a checkpoint's time.
mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Makes a rename durable where folders can be opened; elsewhere the system's own order has to do.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
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
