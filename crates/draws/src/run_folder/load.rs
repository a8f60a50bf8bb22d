//! Read a run folder back, bit for bit, also when its run was killed or files are damaged.

use super::attributes::{Attributes, FORMAT, Status};
use super::run::chunk_path;
use super::storage::io_error;
use super::variable::{Group, Variable, check_columns, decode};
use super::zarr::element_bytes;
use crate::{
    Block, ChainDraws, ChainReport, Column, Draws, Layout, Outcome, Phase, RunReport, SinkError, Statistics, Transform,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why the report of a killed run's chains says `stopped`.
const UNFINISHED: &str = "the run did not finish";

/// Reads the run folder `root`.
pub(super) fn load(root: &Path) -> Result<Draws, SinkError> {
    let (attributes, arrays) = read_root(&root.join("zarr.json"))?;
    let Attributes { layout, statistics: columns, mut report, .. } = attributes;
    let raw = raw_arrays(&layout, &arrays);
    let mut chains = Vec::with_capacity(attributes.chain_draws.len());
    for (chain, (&draws, &warmup)) in attributes.chain_draws.iter().zip(&attributes.chain_warmup_draws).enumerate() {
        let reader = ChainReader { root, chain };
        let sampled = arrays.iter().filter(|array| array.variable.group.phase() == Phase::Sampling);
        let draws = reader.undamaged_draws(sampled, draws, "draws", &mut report.warnings)?;
        let warmup_arrays = arrays.iter().filter(|array| array.variable.group == Group::WarmupSampleStats);
        let warmup = reader.undamaged_draws(warmup_arrays, warmup, "warm-up iterations", &mut report.warnings)?;
        let mut loaded = reader.read_positions(&layout, &raw, draws)?;
        loaded.statistics = reader.read_statistics(&arrays, Group::SampleStats, &columns, draws)?;
        if warmup > 0 {
            loaded.warmup_statistics = reader.read_statistics(&arrays, Group::WarmupSampleStats, &columns, warmup)?;
        }
        chains.push(loaded);
    }
    if attributes.status == Status::Running {
        say_unfinished(&mut report, chains.len());
    }
    Ok(Draws::new(layout, attributes.origin, chains, report))
}

/// An array as the root describes it.
#[derive(Debug)]
pub(super) struct StoredArray {
    pub(super) variable: Variable,
    /// Draws in a chunk.
    pub(super) chunk_draws: usize,
    /// Bytes of a chunk.
    chunk_bytes: usize,
}

/// Reads the attributes and the sizes of chunks from the root's `zarr.json`.
pub(super) fn read_root(path: &Path) -> Result<(Attributes, Vec<StoredArray>), SinkError> {
    let malformed = |problem: String| SinkError::Malformed { path: path.to_owned(), problem };
    let text = fs::read(path).map_err(|error| io_error("read", path, error))?;
    let root: Value = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    let format = root["attributes"]["format"].as_u64();
    if let Some(format) = format.filter(|&format| format > u64::from(FORMAT)) {
        let problem = format!("its format {format} is newer than {FORMAT}, the newest that this version reads; update");
        return Err(malformed(problem));
    }
    let attributes: Attributes =
        serde_json::from_value(root["attributes"].clone()).map_err(|error| malformed(format!("attributes: {error}")))?;
    check_columns(&attributes.statistics).map_err(|error| malformed(error.to_string()))?;
    if attributes.chain_draws.len() != attributes.chain_warmup_draws.len() {
        return Err(malformed("chain_draws and chain_warmup_draws have another number of chains".to_owned()));
    }
    let described = &root["consolidated_metadata"]["metadata"];
    let warmed_up = attributes.chain_warmup_draws.iter().any(|&draws| draws > 0);
    let stored_array = |variable: Variable| {
        let name = format!("{}/{}", variable.group.name(), variable.name);
        let chunk_draws = described[&name]["chunk_grid"]["configuration"]["chunk_shape"][1].as_u64();
        let chunk_draws = chunk_draws.and_then(|draws| usize::try_from(draws).ok()).filter(|&draws| draws > 0);
        let chunk = chunk_draws.and_then(|draws| Some((draws, draws.checked_mul(variable.draw_bytes())?)));
        let (chunk_draws, chunk_bytes) = chunk.ok_or_else(|| malformed(format!("it states no chunk shape of '{name}'")))?;
        Ok(StoredArray { variable, chunk_draws, chunk_bytes })
    };
    let variables = Variable::all(&attributes.layout, &attributes.statistics);
    let wanted = variables.into_iter().filter(|variable| warmed_up || variable.group.phase() == Phase::Sampling);
    let arrays = wanted.map(stored_array).collect::<Result<_, _>>()?;
    Ok((attributes, arrays))
}

/// The arrays of unconstrained values, with the first coordinate of each.
fn raw_arrays<'a>(layout: &Layout, arrays: &'a [StoredArray]) -> Vec<(usize, &'a StoredArray)> {
    let raw_of = |block: &Block| {
        let group = match block.transform {
            Transform::Identity => Group::Posterior,
            _ => Group::UnconstrainedPosterior,
        };
        let array = arrays.iter().find(|a| a.variable.group == group && a.variable.name == block.name)?;
        Some((block.offset, array))
    };
    layout.blocks().iter().filter_map(raw_of).collect()
}

/// Says of each chain of a killed run how it ended.
fn say_unfinished(report: &mut RunReport, chains: usize) {
    report.warnings.push(format!("{UNFINISHED}; what it wrote before it ended is here"));
    let unfinished = ChainReport {
        warmup_gradients: 0,
        sampling_gradients: 0,
        warmup_seconds: 0.0,
        sampling_seconds: 0.0,
        tuned: BTreeMap::new(),
        outcome: Outcome::Stopped(UNFINISHED.to_owned()),
    };
    report.chains = vec![unfinished; chains];
}

/// Reads the chunks of one chain.
struct ChainReader<'a> {
    root: &'a Path,
    chain: usize,
}

impl ChainReader<'_> {
    /// Draws before the first chunk of `arrays` that is missing or has a wrong size; at most `draws`.
    fn undamaged_draws<'s>(
        &self,
        arrays: impl Iterator<Item = &'s StoredArray>,
        draws: usize,
        what: &str,
        warnings: &mut Vec<String>,
    ) -> Result<usize, SinkError> {
        let mut undamaged = draws;
        let mut damaged: Option<PathBuf> = None;
        for array in arrays {
            for block in 0..undamaged.div_ceil(array.chunk_draws) {
                let path = chunk_path(self.root, &array.variable, self.chain, block);
                let size = match fs::metadata(&path) {
                    Ok(metadata) => Some(metadata.len()),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(io_error("read", &path, error)),
                };
                if size != Some(array.chunk_bytes as u64) {
                    undamaged = block * array.chunk_draws;
                    damaged = Some(path);
                    break;
                }
            }
        }
        if let Some(path) = damaged {
            let chain = self.chain;
            let path = path.display();
            warnings.push(format!(
                "chain {chain} is cut to {undamaged} of {draws} {what}: '{path}' is missing or has another size"
            ));
        }
        Ok(undamaged)
    }

    fn read_positions(&self, layout: &Layout, raw: &[(usize, &StoredArray)], draws: usize) -> Result<ChainDraws, SinkError> {
        let dim = layout.dim();
        if dim == 0 {
            return Ok(ChainDraws::new(0));
        }
        let mut positions = zeros(draws, dim)?;
        for &(offset, array) in raw {
            self.read_array(array, draws, &mut positions, dim, offset)?;
        }
        Ok(ChainDraws::from_positions(dim, positions))
    }

    fn read_statistics(
        &self,
        arrays: &[StoredArray],
        group: Group,
        columns: &[Column],
        draws: usize,
    ) -> Result<Statistics, SinkError> {
        let mut statistics = Statistics::new(columns.to_vec());
        if columns.is_empty() {
            return Ok(statistics);
        }
        let mut rows = zeros(draws, columns.len())?;
        for (index, array) in arrays.iter().filter(|array| array.variable.group == group).enumerate() {
            self.read_array(array, draws, &mut rows, columns.len(), index)?;
        }
        rows.chunks_exact(columns.len()).for_each(|row| statistics.push(row));
        Ok(statistics)
    }

    /// Copies the first `draws` draws of an array into the columns of `rows` from `offset` on; a row has `width` values.
    fn read_array(
        &self,
        array: &StoredArray,
        draws: usize,
        rows: &mut [f64],
        width: usize,
        offset: usize,
    ) -> Result<(), SinkError> {
        let kind = array.variable.kind();
        let values = array.variable.extents.iter().product::<usize>();
        for (block, rows) in rows[..draws * width].chunks_mut(array.chunk_draws.saturating_mul(width)).enumerate() {
            let path = chunk_path(self.root, &array.variable, self.chain, block);
            let bytes = fs::read(&path).map_err(|error| io_error("read", &path, error))?;
            let malformed = |problem: &str| SinkError::Malformed { path: path.clone(), problem: problem.to_owned() };
            if bytes.len() != array.chunk_bytes {
                return Err(malformed("its size changed while it was read"));
            }
            let mut elements = bytes.chunks_exact(element_bytes(kind));
            for row in rows.chunks_exact_mut(width) {
                for (slot, element) in row[offset..offset + values].iter_mut().zip(&mut elements) {
                    *slot = decode(kind, element).ok_or_else(|| malformed("a flag is neither 0 nor 1"))?;
                }
            }
        }
        Ok(())
    }
}

/// A table of zeros, or the error of one that does not fit into memory.
fn zeros(draws: usize, width: usize) -> Result<Vec<f64>, SinkError> {
    let mut values = Vec::new();
    let len = draws.saturating_mul(width);
    values.try_reserve_exact(len).map_err(|_| SinkError::TooLarge {
        bytes: draws as u128 * width as u128 * size_of::<f64>() as u128,
        chains: 1,
        draws,
        dim: width,
    })?;
    values.resize(len, 0.0);
    Ok(values)
}
