//! Know what a run folder holds, so that its run can go on in it.

use super::attributes::Attributes;
use super::load::{StoredArray, read_root};
use super::variable::{Group, Variable};
use crate::{Schema, SinkError};
use std::path::Path;

/// What an earlier part of the run left in the folder.
#[derive(Debug)]
pub(super) struct Earlier {
    attributes: Attributes,
    arrays: Vec<StoredArray>,
}

impl Earlier {
    /// Reads what the folder `root` says of itself.
    pub(super) fn read(root: &Path) -> Result<Self, SinkError> {
        let (attributes, arrays) = read_root(&root.join("zarr.json"))?;
        Ok(Self { attributes, arrays })
    }

    /// Refuses the folder of another run than `schema` describes, naming the first difference.
    pub(super) fn check(&self, root: &Path, schema: &Schema) -> Result<(), SinkError> {
        let differ = |difference: String| Err(SinkError::OtherRun { path: root.to_owned(), difference });
        let of = |what: &str, stored: &dyn std::fmt::Display, asked: &dyn std::fmt::Display| {
            differ(format!("its {what} is {stored}, and the run's is {asked}"))
        };
        let Attributes { report, layout, statistics, origin, chain_draws, .. } = &self.attributes;
        if report.method != schema.report.method {
            return of("method", &report.method, &schema.report.method);
        }
        if report.seed != schema.report.seed {
            return of("seed", &report.seed, &schema.report.seed);
        }
        if chain_draws.len() != schema.chains {
            return of("number of chains", &chain_draws.len(), &schema.chains);
        }
        if report.temperatures != schema.report.temperatures {
            return of("density", &report.temperatures, &schema.report.temperatures);
        }
        if *layout != *schema.layout {
            return differ("its coordinates have other names or shapes than the run's".to_owned());
        }
        if *statistics != schema.columns || *origin != schema.origin {
            return differ("its statistics are of another kind than the run's".to_owned());
        }
        let warmed_up = root.join(Group::WarmupSampleStats.name()).is_dir();
        if warmed_up != (schema.warmup > 0 && !schema.columns.is_empty()) {
            let (stored, asked) = if warmed_up { ("with", "without") } else { ("without", "with") };
            return differ(format!("it is {stored} a warm-up, and the run {asked}"));
        }
        Ok(())
    }

    /// The attributes of the run that goes on: as before, but running.
    pub(super) fn attributes(&self, schema: &Schema) -> Attributes {
        let mut attributes = self.attributes.clone();
        attributes.set_report(&schema.report);
        attributes.set_running();
        attributes
    }

    /// Draws in a chunk of an array that is there.
    pub(super) fn chunk_draws(&self, variable: &Variable) -> Option<usize> {
        let same = |array: &&StoredArray| array.variable.group == variable.group && array.variable.name == variable.name;
        self.arrays.iter().find(same).map(|array| array.chunk_draws)
    }
}
