//! Keep the whole state of a run, so that it goes on bit for bit as if it had never stopped.

use crate::counters::Counters;
use crate::meeting::Course;
use crate::{Method, RunError};
use ergodic_draws::Temperatures;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"ERGODICK";
const VERSION: u32 = 3;

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

/// What must agree between a checkpoint and the run that goes on from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub method: String,
    /// Settings of the method, as JSON.
    pub settings: String,
    pub dim: usize,
    /// Temperatures of the density, in words.
    pub temperatures: String,
    pub chains: usize,
    pub warmup: usize,
    pub max_extra_warmup: usize,
    pub seed: u64,
}

/// One chain of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

    /// The checkpoint as bytes: a mark, the version, a check sum (CRC-32) and the content in postcard's format.
    ///
    /// # Errors
    /// When the content cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let content = postcard::to_stdvec(self).map_err(|error| CheckpointError::Malformed { problem: error.to_string() })?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32(&content).to_le_bytes());
        bytes.extend_from_slice(&content);
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
        let (sum, content) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("it is cut short"))?;
        if u32::from_le_bytes(*sum) != crc32(content) {
            return Err(malformed("it is damaged or cut short: its check sum is wrong"));
        }
        postcard::from_bytes(content).map_err(|error| malformed(&error.to_string()))
    }

    /// Saves the checkpoint: written beside `path`, synced and renamed, so that a file at `path` is always whole.
    ///
    /// # Errors
    /// When the file cannot be written; an older file at `path` is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}.partial", std::process::id()));
        let aside = PathBuf::from(aside);
        let written = std::fs::File::create(&aside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| std::fs::rename(&aside, path));
        renamed.map_err(|source| {
            // The partial file is of no use to anyone; failing to remove it is no second error.
            let _ = std::fs::remove_file(&aside);
            CheckpointError::Io { action: "write", path: path.to_owned(), source }
        })?;
        sync_folder(path);
        Ok(())
    }

    /// Loads a checkpoint that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is no whole checkpoint.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|source| CheckpointError::Io { action: "read", path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }
}

impl Header {
    pub(crate) fn new<M: Method>(
        method: &M,
        dim: usize,
        temperatures: Temperatures,
        run: &crate::Run,
    ) -> Result<Self, RunError> {
        let settings = serde_json::to_string(method).map_err(|error| RunError::Checkpoint {
            difference: format!("the method's settings cannot be written: {error}"),
        })?;
        let method = M::NAME.to_owned();
        let temperatures = temperatures.to_string();
        let crate::Run { chains, warmup, max_extra_warmup, seed, .. } = *run;
        Ok(Self { method, settings, dim, temperatures, chains, warmup, max_extra_warmup, seed })
    }

    /// Refuses a checkpoint of another run, naming the first difference.
    pub(crate) fn check(&self, stored: &Self) -> Result<(), RunError> {
        let differ = |what: &str, stored: &dyn std::fmt::Display, asked: &dyn std::fmt::Display| {
            Err(RunError::Checkpoint { difference: format!("its {what} is {stored}, and the run's is {asked}") })
        };
        if stored.method != self.method {
            return differ("method", &stored.method, &self.method);
        }
        if stored.dim != self.dim {
            return differ("number of coordinates", &stored.dim, &self.dim);
        }
        if stored.temperatures != self.temperatures {
            return differ("density", &stored.temperatures, &self.temperatures);
        }
        if stored.seed != self.seed {
            return differ("seed", &stored.seed, &self.seed);
        }
        if stored.chains != self.chains {
            return differ("number of chains", &stored.chains, &self.chains);
        }
        if stored.warmup != self.warmup {
            return differ("number of warm-up iterations", &stored.warmup, &self.warmup);
        }
        if stored.max_extra_warmup != self.max_extra_warmup {
            return differ("limit of extra warm-up iterations", &stored.max_extra_warmup, &self.max_extra_warmup);
        }
        if stored.settings != self.settings {
            return differ("method's settings", &stored.settings, &self.settings);
        }
        Ok(())
    }
}

/// Makes a rename durable where folders can be opened; elsewhere the system's own order has to do.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// The CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let (settings, temperatures) = ("{}".into(), Temperatures::POSTERIOR.to_string());
        let (chains, warmup, max_extra_warmup) = (2, 10, 0);
        let header =
            Header { method: "nuts".into(), settings, dim: 2, temperatures, chains, warmup, max_extra_warmup, seed: 3 };
        let counters = Counters { iteration: 25, ..Counters::default() };
        let alive = ChainRecord::Alive { counters, state: vec![1, 2, 3] };
        Checkpoint { chains: vec![alive, ChainRecord::NotBegun], ..Checkpoint::at_start(header) }
    }

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
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
    fn a_checkpoint_of_another_run_is_refused_by_name() {
        let run = checkpoint().header;
        assert!(run.check(&run).is_ok());
        let refuse = |stored: Header| run.check(&stored).unwrap_err().to_string();
        assert!(refuse(Header { method: "hmc".into(), ..run.clone() }).contains("method is hmc, and the run's is nuts"));
        assert!(refuse(Header { dim: 9, ..run.clone() }).contains("number of coordinates is 9"));
        let cold = Header { temperatures: Temperatures::both(0.5).to_string(), ..run.clone() };
        assert!(refuse(cold).contains("temperature 0.5, and the run's is temperature 1"));
        assert!(refuse(Header { seed: 9, ..run.clone() }).contains("seed is 9"));
        assert!(refuse(Header { chains: 9, ..run.clone() }).contains("chains is 9"));
        assert!(refuse(Header { warmup: 9, ..run.clone() }).contains("warm-up iterations is 9"));
        assert!(refuse(Header { max_extra_warmup: 9, ..run.clone() }).contains("extra warm-up iterations is 9"));
        assert!(refuse(Header { settings: "[]".into(), ..run.clone() }).contains("settings is []"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = checkpoint().save("/no/such/folder/run.checkpoint").unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/run.checkpoint"));
        assert!(Checkpoint::load("/no/such/folder/run.checkpoint").is_err());
    }
}
