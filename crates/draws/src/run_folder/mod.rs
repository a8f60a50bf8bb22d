//! Keep draws in a folder that ArviZ opens, written while the chains run.

mod attributes;
mod chain;
mod load;
mod resume;
mod run;
pub(crate) mod storage;
mod variable;
mod zarr;

use crate::{ChainSink, DrawRef, Draws, Phase, Recorded, RunReport, Schema, Sink, SinkError, Statistics};
use chain::ChainWriter;
use resume::Earlier;
use run::{Cutting, Run};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::{Disk, Storage, io_error};

/// A sink that writes draws to a folder, which is a Zarr store (version 3) with ArviZ's groups.
///
/// # Reading it from Python
/// With ArviZ 1.0 or later, on Python 3.12 or later (`pip install arviz zarr`), during the run, after it, or after it was killed:
/// ```python
/// import arviz as az
/// run = az.from_zarr("run.zarr")
/// print(run.attrs["method"], run.attrs["caveat"], run.attrs["chain_outcomes"])
/// print(az.summary(run))
/// az.plot_trace_dist(run)
/// run.to_netcdf("run.nc")  # for other programs; needs h5netcdf and h5py
/// ```
/// ArviZ needs chains of one length. It sees the leading chains that have draws, each cut to the shortest of them; [`load`](Self::load)
/// reads every chain in full.
///
/// # What is in it
/// - `posterior`: one variable per block of the layout, dimensions `chain`, `draw`, `NAME_dim_0`, …, on the scale people read;
/// - `unconstrained_posterior`: the raw coordinates of blocks that have a transform;
/// - `sample_stats` and `warmup_sample_stats`: one variable per statistic, as `float64`, `int64` or `bool`; positions of the warm-up
///   are not stored;
/// - root attributes: method, settings, seed, temperatures, origin and caveat, versions, draws and outcome of each chain, layout and report.
///
/// # What a crash leaves
/// Each chain fills one chunk per variable in memory. Chunks are written aside, synced and renamed; then one file, the root's
/// `zarr.json`, is replaced and moves all variables to their new length at once. So a reader never meets a missing value or
/// half a draw, and a killed run loses what was made since its chain last published: at most
/// [`block_draws`](Self::block_draws) draws or the draws of [`flush_interval`](Self::flush_interval), whichever are fewer. On a full
/// disk the run stops with an error, and what was published stays readable.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Layout, Origin, RunFolder, RunReport};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.zarr");
/// let chain = ChainDraws::from_positions(2, vec![0.0, 1.0, 2.0, 3.0]);
/// let draws = Draws::new(Layout::flat(2), Origin::Mcmc, vec![chain], RunReport::new("nuts", 1));
/// RunFolder::write(&path, &draws)?;
/// assert_eq!(RunFolder::load(&path)?, draws);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    storage: Arc<dyn Storage>,
    cutting: Cutting,
    /// What a folder that was opened again holds.
    earlier: Option<Earlier>,
    run: OnceLock<Run>,
}

impl RunFolder {
    /// Makes the folder, and the folders above it where they are missing.
    ///
    /// # Errors
    /// When the path exists, or the folder cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        Self::create_in(path.as_ref(), Arc::new(Disk))
    }

    /// Opens the folder of a run that was stopped or killed, or that shall have more draws, to go on in it from a checkpoint.
    ///
    /// Each chain goes on at the checkpoint's place; draws that were written after it are made again and replaced, so that the folder
    /// ends with the same values as that of a run that was never interrupted. Only a run that goes on from a checkpoint can use it.
    ///
    /// # Errors
    /// When there is no run folder, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        Self::open_in(path.as_ref(), Arc::new(Disk))
    }

    fn open_in(root: &Path, storage: Arc<dyn Storage>) -> Result<Self, SinkError> {
        let earlier = Some(Earlier::read(root)?);
        Ok(Self { root: root.to_owned(), storage, cutting: Cutting::USUAL, earlier, run: OnceLock::new() })
    }

    fn create_in(root: &Path, storage: Arc<dyn Storage>) -> Result<Self, SinkError> {
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|error| io_error("create", parent, error))?;
        }
        run::create_folder(&*storage, root)?;
        Ok(Self { root: root.to_owned(), storage, cutting: Cutting::USUAL, earlier: None, run: OnceLock::new() })
    }

    /// The same sink with another number of draws after which a chain publishes what it has; 1000 at first.
    #[must_use]
    pub fn block_draws(mut self, draws: NonZeroUsize) -> Self {
        self.cutting.block_draws = draws.get();
        self
    }

    /// The same sink with another time after which a chain publishes what it has; 10 seconds at first, zero for every draw.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.cutting.flush_interval = interval;
        self
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Reads a run folder: positions, statistics, layout, origin and report, bit for bit.
    ///
    /// The folder of a killed run gives the draws that it published, and says in the report that the run did not finish. Where a file
    /// is missing or truncated, its chain is cut to the whole blocks before it, and the report's warnings say so.
    ///
    /// # Errors
    /// When the folder cannot be read, is not a run folder, or does not fit into memory.
    pub fn load(path: impl AsRef<Path>) -> Result<Draws, SinkError> {
        load::load(path.as_ref())
    }

    /// Writes finished draws of any origin to a new run folder.
    ///
    /// # Errors
    /// As [`create`](Self::create), and when chains have different statistics, or a chain has another number of them than of draws.
    pub fn write(path: impl AsRef<Path>, draws: &Draws) -> Result<(), SinkError> {
        Self::create(path)?.write_draws(draws)
    }

    fn write_draws(&self, draws: &Draws) -> Result<(), SinkError> {
        let chains = draws.chains();
        let columns = chains.first().map_or_else(Vec::new, |chain| chain.statistics.columns().to_vec());
        for chain in chains {
            let statistics = &chain.statistics;
            let warmup = &chain.warmup_statistics;
            if statistics.columns() != columns || !(warmup.is_empty() || warmup.columns() == columns) {
                return Err(SinkError::Misused("chains of one run have the same statistics"));
            }
            if !columns.is_empty() && draws.dim() > 0 && statistics.len() != chain.len() {
                return Err(SinkError::Misused("a chain has one row of statistics a draw"));
            }
        }
        let schema = Schema {
            layout: Arc::clone(draws.layout()),
            columns,
            origin: draws.origin(),
            chains: chains.len(),
            warmup: chains.iter().map(|chain| chain.warmup_statistics.len()).max().unwrap_or(0),
            draws: chains.iter().map(crate::ChainDraws::len).max().unwrap_or(0),
            report: draws.report.clone(),
        };
        self.begin(&schema)?;
        let row = |statistics: &'_ Statistics, index| -> Vec<f64> {
            if statistics.columns().is_empty() { Vec::new() } else { statistics.row(index).to_vec() }
        };
        for (number, chain) in chains.iter().enumerate() {
            let mut writer = self.open_chain(number)?;
            for index in 0..chain.warmup_statistics.len() {
                let statistics = &row(&chain.warmup_statistics, index);
                writer.record(&DrawRef { phase: Phase::Warmup, index, position: &[], statistics })?;
            }
            for (index, position) in chain.positions().enumerate() {
                let statistics = &row(&chain.statistics, index);
                writer.record(&DrawRef { phase: Phase::Sampling, index, position, statistics })?;
            }
            writer.finish()?;
        }
        self.finish(&draws.report)
    }

    fn run(&self) -> Result<&Run, SinkError> {
        self.run.get().ok_or(SinkError::Misused("a run folder is used before the run begins"))
    }
}

impl Sink for RunFolder {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        variable::check_columns(&schema.columns)?;
        // A short run needs no chunks for a long one.
        let block_draws = self.cutting.block_draws.min(schema.draws.max(schema.warmup).max(1));
        let cutting = Cutting { block_draws, ..self.cutting };
        let run = match &self.earlier {
            None => Run::begin(&self.root, &*self.storage, schema, cutting)?,
            Some(earlier) => Run::resume(&self.root, &*self.storage, schema, cutting, earlier)?,
        };
        self.run.set(run).map_err(|_| SinkError::Misused("a run begins twice"))
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        if self.earlier.is_some() {
            return Err(SinkError::Misused("a run folder that was opened again takes draws after a checkpoint only"));
        }
        let run = self.run()?;
        run.open_chain(chain)?;
        Ok(Box::new(ChainWriter::new(run, &*self.storage, chain)))
    }

    fn resume_chain(&self, chain: usize, recorded: Recorded) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        if self.earlier.is_none() {
            return self.open_chain(chain);
        }
        let run = self.run()?;
        run.open_chain(chain)?;
        run.cut(&*self.storage, chain, recorded)?;
        let mut writer = ChainWriter::new(run, &*self.storage, chain);
        writer.go_on_after(recorded)?;
        Ok(Box::new(writer))
    }

    fn finish(&self, report: &RunReport) -> Result<(), SinkError> {
        self.run()?.finish(&*self.storage, report)
    }
}

#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;
