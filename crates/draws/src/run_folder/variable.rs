//! List the arrays of a run, and turn a draw into the bytes of each.

use super::zarr::{ArrayMetadata, element_bytes};
use crate::layout::{axis_name, is_reserved_name, is_valid_name};
use crate::{Block, Column, DrawRef, FieldKind, Layout, Phase, SinkError, Transform};
use serde_json::{Value, json};
use std::ops::Range;

/// The groups of a run folder, named as ArviZ names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Posterior,
    UnconstrainedPosterior,
    SampleStats,
    WarmupSampleStats,
}

impl Group {
    pub(super) const ALL: [Self; 4] =
        [Self::Posterior, Self::UnconstrainedPosterior, Self::SampleStats, Self::WarmupSampleStats];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Posterior => "posterior",
            Self::UnconstrainedPosterior => "unconstrained_posterior",
            Self::SampleStats => "sample_stats",
            Self::WarmupSampleStats => "warmup_sample_stats",
        }
    }

    pub(super) fn phase(self) -> Phase {
        if self == Self::WarmupSampleStats { Phase::Warmup } else { Phase::Sampling }
    }
}

/// Where the values of a variable come from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// Coordinates of the position, each read through its transform; one for all where there is one.
    Position(Range<usize>, Vec<Transform>),
    /// One value of the row of statistics.
    Statistic(usize, FieldKind),
}

/// One array of a run: a block of the position, or a statistic.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    pub(super) group: Group,
    pub(super) name: String,
    /// Shape of one draw's value.
    pub(super) extents: Vec<usize>,
    attributes: Value,
    source: Source,
}

impl Variable {
    /// All arrays that a run with this layout and these statistics has.
    ///
    /// Blocks with a transform are stored twice: as people read them, and as the sampler moved, so that loading is exact. Blocks without
    /// coordinates are not stored; plots of an array without values fail.
    pub(super) fn all(layout: &Layout, columns: &[Column]) -> Vec<Self> {
        let blocks = layout.blocks().iter().filter(|block| block.len() > 0);
        let posterior = blocks.clone().map(|block| Self::of_block(Group::Posterior, block, transforms(block)));
        let unconstrained = blocks
            .filter(|block| block.transform != Transform::Identity)
            .map(|block| Self::of_block(Group::UnconstrainedPosterior, block, vec![Transform::Identity]));
        let statistics = [Group::SampleStats, Group::WarmupSampleStats]
            .into_iter()
            .flat_map(|group| columns.iter().enumerate().map(move |(index, column)| Self::of_column(group, index, column)));
        posterior.chain(unconstrained).chain(statistics).collect()
    }

    fn of_block(group: Group, block: &Block, transforms: Vec<Transform>) -> Self {
        let mut attributes = json!({"role": block.role});
        if let Some(layer) = block.layer {
            attributes["layer"] = json!(layer);
        }
        let source = Source::Position(block.range(), transforms);
        Self { group, name: block.name.clone(), extents: block.shape.clone(), attributes, source }
    }

    fn of_column(group: Group, index: usize, column: &Column) -> Self {
        let source = Source::Statistic(index, column.kind);
        Self { group, name: column.name.clone(), extents: Vec::new(), attributes: json!({}), source }
    }

    /// Type on disk.
    pub(super) fn kind(&self) -> FieldKind {
        match self.source {
            Source::Position(..) => FieldKind::Real,
            Source::Statistic(_, kind) => kind,
        }
    }

    /// Bytes of one draw's value.
    pub(super) fn draw_bytes(&self) -> usize {
        // A shape that a damaged file claims may be beyond counting in bytes.
        self.extents.iter().product::<usize>().saturating_mul(element_bytes(self.kind()))
    }

    /// Names of all axes.
    pub(super) fn axes(&self) -> Vec<String> {
        let own = (0..self.extents.len()).map(|axis| axis_name(&self.name, axis));
        ["chain".to_owned(), "draw".to_owned()].into_iter().chain(own).collect()
    }

    /// The array's description when `chains` × `draws` are complete and a chunk holds `block_draws` draws.
    pub(super) fn metadata(&self, chains: usize, draws: usize, block_draws: usize) -> ArrayMetadata {
        ArrayMetadata {
            kind: self.kind(),
            shape: [chains, draws].into_iter().chain(self.extents.iter().copied()).collect(),
            chunk: [1, block_draws].into_iter().chain(self.extents.iter().copied()).collect(),
            axes: self.axes(),
            attributes: self.attributes.clone(),
        }
    }

    /// Appends the value of one draw, which [`check_draw`] has accepted.
    pub(super) fn encode(&self, draw: &DrawRef<'_>, bytes: &mut Vec<u8>) {
        match &self.source {
            Source::Position(range, transforms) => {
                for (&x, transform) in draw.position[range.clone()].iter().zip(transforms.iter().cycle()) {
                    bytes.extend_from_slice(&transform.constrain(x).to_le_bytes());
                }
            }
            Source::Statistic(index, kind) => {
                let value = draw.statistics[*index];
                match kind {
                    FieldKind::Real => bytes.extend_from_slice(&value.to_le_bytes()),
                    FieldKind::Integer => bytes.extend_from_slice(&(value as i64).to_le_bytes()),
                    FieldKind::Flag => bytes.push(u8::from(value != 0.0)),
                }
            }
        }
    }
}

/// One transform for all coordinates of a block, or one a coordinate where they have factors.
fn transforms(block: &Block) -> Vec<Transform> {
    let count = if block.factors.is_empty() { 1 } else { block.len() };
    (0..count).map(|index| block.transform_of(index)).collect()
}

/// The value of one element; `None` for a flag that is neither 0 nor 1.
pub(super) fn decode(kind: FieldKind, element: &[u8]) -> Option<f64> {
    let word = || element.try_into().expect("an element of 8 bytes");
    match kind {
        FieldKind::Real => Some(f64::from_le_bytes(word())),
        FieldKind::Integer => Some(i64::from_le_bytes(word()) as f64),
        FieldKind::Flag => (element[0] <= 1).then(|| f64::from(element[0])),
    }
}

/// Checks that the names of statistics can be variables.
pub(super) fn check_columns(columns: &[Column]) -> Result<(), SinkError> {
    for (index, Column { name, .. }) in columns.iter().enumerate() {
        let unique = columns[..index].iter().all(|other| other.name != *name);
        if !(unique && is_valid_name(name) && !is_reserved_name(name)) {
            return Err(SinkError::InvalidStatistic(name.clone()));
        }
    }
    Ok(())
}

/// Checks that a draw can be stored without loss, before any of it is.
pub(super) fn check_draw(draw: &DrawRef<'_>, dim: usize, columns: &[Column]) -> Result<(), SinkError> {
    if draw.phase == Phase::Sampling && draw.position.len() != dim {
        return Err(SinkError::Misused("a draw has another number of coordinates than the layout"));
    }
    if draw.statistics.len() != columns.len() {
        return Err(SinkError::Misused("a draw has another number of statistics than the schema"));
    }
    for (column, &value) in columns.iter().zip(draw.statistics) {
        let fits = match column.kind {
            FieldKind::Real => true,
            FieldKind::Integer => value.fract() == 0.0 && value.abs() < 2f64.powi(63),
            FieldKind::Flag => value == 0.0 || value == 1.0,
        };
        if !fits {
            return Err(SinkError::WrongKind { column: column.name.clone(), kind: column.kind, value });
        }
    }
    Ok(())
}
