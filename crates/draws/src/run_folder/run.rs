//! Publish how far a run is, so that a reader at any time sees finished draws only.

use super::attributes::{Attributes, Status};
use super::resume::Earlier;
use super::storage::{Durability, Storage, io_error};
use super::variable::{Group, Variable};
use super::zarr::{ArrayMetadata, chunk_name, coordinate_chunk, group_json};
use crate::{Column, Phase, Recorded, RunReport, Schema, SinkError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Values in a chunk of the `draw` coordinate.
const DRAW_CHUNK: usize = 4096;

/// Longest axis that gets a coordinate array; readers hold these in memory.
const LONGEST_COORDINATE: usize = 1 << 20;

/// Sizes that say how a run is cut into chunks and when it is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    /// Draws after which a chain publishes what it has; no chunk holds more.
    pub(super) block_draws: usize,
    /// Bytes that a chunk of several draws does not exceed.
    pub(super) chunk_bytes: usize,
    /// Time after which a chain publishes what it has.
    pub(super) flush_interval: Duration,
}

impl Cutting {
    /// A chunk of a megabyte is large enough to read fast and small enough to wait for, and 1000 draws are a whole usual run.
    pub(super) const USUAL: Self = Self { block_draws: 1000, chunk_bytes: 1 << 20, flush_interval: Duration::from_secs(10) };

    /// Draws in a chunk of `variable`.
    fn chunk_draws(&self, variable: &Variable) -> usize {
        (self.chunk_bytes / variable.draw_bytes()).clamp(1, self.block_draws)
    }
}

/// What the writers of a run's chains share.
///
/// The metadata of all arrays stands in the root's `zarr.json` a second time, as consolidated metadata. Readers take it from there,
/// so replacing that one file moves all arrays to their new shape at once.
#[derive(Debug)]
pub(super) struct Run {
    root: PathBuf,
    pub(super) dim: usize,
    pub(super) columns: Vec<Column>,
    pub(super) cutting: Cutting,
    chains: usize,
    warmup: usize,
    /// Every array, with the draws in one of its chunks.
    pub(super) variables: Vec<(Variable, usize)>,
    published: Mutex<Published>,
}

#[derive(Debug)]
struct Published {
    attributes: Attributes,
    opened: Vec<bool>,
    groups: BTreeMap<Group, PublishedGroup>,
}

/// What is on disk of one group.
#[derive(Debug, Default)]
struct PublishedGroup {
    /// Chains and draws of every array, once the arrays are there.
    extent: Option<(usize, usize)>,
    /// Chunks of the `draw` coordinate.
    draw_chunks: usize,
}

impl Run {
    /// Lays out the arrays of a run in the folder `root` and publishes them without draws.
    pub(super) fn begin(root: &Path, storage: &dyn Storage, schema: &Schema, cutting: Cutting) -> Result<Self, SinkError> {
        let run = Self::new(root, schema, cutting, Attributes::new(schema), |_| None);
        for group in Group::ALL.into_iter().filter(|&group| run.has_group(group)) {
            run.create_group(storage, group)?;
        }
        run.publish_all(storage, &mut run.lock(), false)?;
        Ok(run)
    }

    /// Goes on in the folder `root`, where `earlier` is what it holds; its chunks keep their size.
    pub(super) fn resume(
        root: &Path,
        storage: &dyn Storage,
        schema: &Schema,
        cutting: Cutting,
        earlier: &Earlier,
    ) -> Result<Self, SinkError> {
        earlier.check(root, schema)?;
        let run = Self::new(root, schema, cutting, earlier.attributes(schema), |variable| earlier.chunk_draws(variable));
        run.publish_all(storage, &mut run.lock(), false)?;
        Ok(run)
    }

    fn new(
        root: &Path,
        schema: &Schema,
        cutting: Cutting,
        attributes: Attributes,
        chunk_draws: impl Fn(&Variable) -> Option<usize>,
    ) -> Self {
        let with_chunk = |variable: Variable| {
            let draws = chunk_draws(&variable).unwrap_or_else(|| cutting.chunk_draws(&variable));
            (variable, draws)
        };
        let variables = Variable::all(&schema.layout, &schema.columns).into_iter().map(with_chunk).collect();
        let published = Published { attributes, opened: vec![false; schema.chains], groups: BTreeMap::new() };
        Self {
            root: root.to_owned(),
            dim: schema.layout.dim(),
            columns: schema.columns.clone(),
            cutting,
            chains: schema.chains,
            warmup: schema.warmup,
            variables,
            published: Mutex::new(published),
        }
    }

    /// Forgets what chain `chain` wrote beyond `recorded`.
    pub(super) fn cut(&self, storage: &dyn Storage, chain: usize, recorded: Recorded) -> Result<(), SinkError> {
        let mut published = self.lock();
        let Attributes { chain_draws, chain_warmup_draws, .. } = &mut published.attributes;
        let warmup = if self.keeps_warmup() { recorded.warmup } else { 0 };
        for (what, count, recorded) in
            [("warm-up iterations", &mut chain_warmup_draws[chain], warmup), ("draws", &mut chain_draws[chain], recorded.draws)]
        {
            if *count < recorded {
                let difference = format!("it has {count} {what} of chain {chain}, and the checkpoint goes on after {recorded}");
                return Err(SinkError::OtherRun { path: self.root.clone(), difference });
            }
            *count = recorded;
        }
        self.publish_all(storage, &mut published, false)
    }

    /// Marks a chain as having its one writer.
    pub(super) fn open_chain(&self, chain: usize) -> Result<(), SinkError> {
        let mut published = self.lock();
        let opened = published.opened.get_mut(chain);
        let opened = opened.ok_or(SinkError::Misused("a chain is opened that the run does not have"))?;
        if std::mem::replace(opened, true) {
            return Err(SinkError::Misused("a chain is opened that has a writer already"));
        }
        Ok(())
    }

    /// Whether draws of `phase` have a place.
    pub(super) fn has_phase(&self, phase: Phase) -> bool {
        phase == Phase::Sampling || self.warmup > 0
    }

    /// The file of one chunk.
    pub(super) fn chunk_path(&self, variable: &Variable, chain: usize, block: usize) -> PathBuf {
        chunk_path(&self.root, variable, chain, block)
    }

    /// Publishes that `chain` has `draws` draws of `phase` on disk.
    pub(super) fn publish(&self, storage: &dyn Storage, phase: Phase, chain: usize, draws: usize) -> Result<(), SinkError> {
        let mut published = self.lock();
        match phase {
            Phase::Sampling => published.attributes.chain_draws[chain] = draws,
            Phase::Warmup => published.attributes.chain_warmup_draws[chain] = draws,
        }
        self.publish_all(storage, &mut published, false)
    }

    /// Publishes the end of the run.
    pub(super) fn finish(&self, storage: &dyn Storage, report: &RunReport) -> Result<(), SinkError> {
        let mut published = self.lock();
        published.attributes.set_report(report);
        published.attributes.status = Status::Finished;
        self.publish_all(storage, &mut published, true)
    }

    /// Writes the metadata of the arrays whose shape has changed, or of `all`, and last the root's.
    ///
    /// Only the root's must be on the disk before the chains go on: readers that find it need none of the others.
    fn publish_all(&self, storage: &dyn Storage, published: &mut Published, all: bool) -> Result<(), SinkError> {
        let mut consolidated = Map::new();
        let Published { attributes, groups, .. } = published;
        for group in Group::ALL.into_iter().filter(|&group| self.has_group(group)) {
            let counts = match group.phase() {
                Phase::Sampling => &attributes.chain_draws,
                Phase::Warmup => &attributes.chain_warmup_draws,
            };
            let (chains, draws) = extent(counts);
            if group.phase() == Phase::Warmup && counts.iter().all(|&count| count == 0) {
                continue;
            }
            let state = groups.entry(group).or_default();
            while state.draw_chunks * DRAW_CHUNK < draws {
                let values = coordinate_chunk(state.draw_chunks * DRAW_CHUNK, DRAW_CHUNK);
                let path = self.root.join(group.name()).join("draw").join(format!("c.{}", state.draw_chunks));
                replace(storage, &path, &values, Durability::Buffered)?;
                state.draw_chunks += 1;
            }
            let nodes = self.nodes(group, chains, draws, &attributes.of_group());
            if state.extent != Some((chains, draws)) || all {
                for (path, node) in &nodes {
                    replace(
                        storage,
                        &self.root.join(path).join("zarr.json"),
                        node.to_string().as_bytes(),
                        Durability::Buffered,
                    )?;
                }
                state.extent = Some((chains, draws));
            }
            consolidated.extend(nodes);
        }
        let path = self.root.join("zarr.json");
        let attributes = serde_json::to_value(&*attributes).map_err(|error| io_error("write", &path, error.into()))?;
        let mut root = group_json(&attributes);
        root["consolidated_metadata"] = json!({"kind": "inline", "must_understand": false, "metadata": consolidated});
        replace(storage, &path, root.to_string().as_bytes(), Durability::Synced)
    }

    /// Whether anything of the warm-up is written.
    fn keeps_warmup(&self) -> bool {
        self.has_group(Group::WarmupSampleStats)
    }

    fn has_group(&self, group: Group) -> bool {
        // Without blocks the posterior is still a group, which readers look for.
        group == Group::Posterior
            || self.has_phase(group.phase()) && self.variables.iter().any(|(variable, _)| variable.group == group)
    }

    /// Makes the folders of a group's arrays, and the coordinates that never change.
    fn create_group(&self, storage: &dyn Storage, group: Group) -> Result<(), SinkError> {
        let folder = self.root.join(group.name());
        create_folder(storage, &folder)?;
        create_folder(storage, &folder.join("draw"))?;
        for (name, extent) in self.fixed_coordinates(group) {
            create_folder(storage, &folder.join(&name))?;
            replace(storage, &folder.join(&name).join("c.0"), &coordinate_chunk(0, extent), Durability::Buffered)?;
        }
        // Names that differ in case alone are one folder on some systems, which this call finds.
        self.variables
            .iter()
            .filter(|(variable, _)| variable.group == group)
            .try_for_each(|(variable, _)| create_folder(storage, &folder.join(&variable.name)))
    }

    /// Names and extents of a group's coordinates other than `draw`.
    fn fixed_coordinates(&self, group: Group) -> Vec<(String, usize)> {
        let mut coordinates = vec![("chain".to_owned(), self.chains)];
        for (variable, _) in self.variables.iter().filter(|(variable, _)| variable.group == group) {
            let own = variable.axes().into_iter().skip(2).zip(variable.extents.iter().copied());
            coordinates.extend(own.filter(|&(_, extent)| extent <= LONGEST_COORDINATE));
        }
        coordinates
    }

    /// Path in the folder and metadata of a group and everything in it.
    fn nodes(&self, group: Group, chains: usize, draws: usize, attributes: &Value) -> Vec<(String, Value)> {
        let path = |name: &str| format!("{}/{name}", group.name());
        let mut nodes = vec![
            (group.name().to_owned(), group_json(attributes)),
            (path("draw"), ArrayMetadata::coordinate("draw", draws, DRAW_CHUNK).to_json()),
        ];
        for (name, extent) in self.fixed_coordinates(group) {
            let shown = if name == "chain" { chains } else { extent };
            nodes.push((path(&name), ArrayMetadata::coordinate(&name, shown, extent).to_json()));
        }
        for (variable, chunk_draws) in self.variables.iter().filter(|(variable, _)| variable.group == group) {
            nodes.push((path(&variable.name), variable.metadata(chains, draws, *chunk_draws).to_json()));
        }
        nodes
    }

    fn lock(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of one chunk in the run folder `root`.
pub(super) fn chunk_path(root: &Path, variable: &Variable, chain: usize, block: usize) -> PathBuf {
    root.join(variable.group.name()).join(&variable.name).join(chunk_name(chain, block, variable.extents.len()))
}

/// Puts a file of the run folder in place.
pub(super) fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8], durability: Durability) -> Result<(), SinkError> {
    storage.replace(path, bytes, durability).map_err(|error| io_error("write", path, error))
}

pub(super) fn create_folder(storage: &dyn Storage, path: &Path) -> Result<(), SinkError> {
    storage.create_folder(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => SinkError::AlreadyExists(path.to_owned()),
        _ => io_error("create", path, error),
    })
}

/// Chains and draws of the rectangle that readers see: the leading chains that have draws, cut to the shortest of them.
fn extent(counts: &[usize]) -> (usize, usize) {
    let leading = counts.iter().take_while(|&&count| count > 0);
    (leading.clone().count(), leading.copied().min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_a_rectangle_without_holes() {
        assert_eq!(extent(&[]), (0, 0));
        assert_eq!(extent(&[3, 2, 5]), (3, 2));
        assert_eq!(extent(&[3, 2, 0]), (2, 2));
        assert_eq!(extent(&[0, 2, 5]), (0, 0));
    }
}
