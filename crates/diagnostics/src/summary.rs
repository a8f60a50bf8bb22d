//! Summarise draws: a row for each parameter that has a meaning of its own, a roll-up for each layer of weights.

use crate::chains::UsableChains;
use crate::roll_up::{ChainShape, RollUp};
use crate::table::{Cell, Table};
use crate::workspace::Workspace;
use crate::{Diagnostic, Provenance, ScalarSummary};
use ergodic_draws::{Block, ChainDraws, Draws, Role};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// What a [`Summary`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SummaryOptions {
    /// Blocks that are not weights or biases get one row per coordinate up to this many, and a roll-up beyond.
    pub max_rows: usize,
    /// How many of the worst coordinates each roll-up names.
    pub worst: usize,
}

impl Default for SummaryOptions {
    /// 100 rows, as many as fit a few screens; the five worst.
    fn default() -> Self {
        Self { max_rows: 100, worst: 5 }
    }
}

/// Summary of one coordinate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryRow {
    /// Name of the coordinate.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its numbers, on the scale people read.
    #[serde(flatten)]
    pub scalar: ScalarSummary,
}

/// Summary of the weights or biases of a layer, or of a long block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryGroup {
    /// Such as `layer 0 weights`, or the block's name.
    pub name: String,
    /// What the coordinates are for.
    pub role: Role,
    /// The layer, where there is one.
    pub layer: Option<usize>,
    /// The numbers, on the scale people read.
    #[serde(flatten)]
    pub roll_up: RollUp,
}

/// What [`summary`] finds; `Display` writes it as aligned text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Where the draws come from.
    pub provenance: Provenance,
    /// Chains that take part.
    pub chains: usize,
    /// Draws of each that take part.
    pub draws: usize,
    /// Chains that are left out or cut because they are short, in words.
    pub left_out: Vec<String>,
    /// Noise scales, hyperparameters and parameters, in this order.
    pub rows: Vec<SummaryRow>,
    /// Layers of weights and biases, and long blocks.
    pub groups: Vec<SummaryGroup>,
}

/// Summarises draws with the default [`SummaryOptions`].
///
/// Noise scales, hyperparameters and plain parameters come first, each as a row; weights and biases are not identified one by one
/// and are rolled up per layer. Convergence diagnostics are blank, with the reason, where draws are not a Markov chain.
/// Coordinates are computed in parallel on the current rayon pool; the result does not depend on the number of threads.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Layout, Origin, RunReport};
/// let chain = |seed: usize| {
///     ChainDraws::from_positions(2, (0..400).map(|i| ((i * seed) % 401) as f64).collect())
/// };
/// let draws = Draws::new(Layout::flat(2), Origin::Mcmc, vec![chain(149), chain(211)], RunReport::new("nuts", 1));
/// let summary = ergodic_diagnostics::summary(&draws);
/// assert_eq!(summary.rows[1].name, "x[1]");
/// println!("{summary}");
/// ```
#[must_use]
pub fn summary(draws: &Draws) -> Summary {
    summary_with(draws, &SummaryOptions::default())
}

/// As [`summary`], with options.
#[must_use]
pub fn summary_with(draws: &Draws, options: &SummaryOptions) -> Summary {
    let lengths: Vec<usize> = draws.chains().iter().map(ChainDraws::len).collect();
    let usable = UsableChains::choose(&lengths);
    let provenance = Provenance::of(draws);
    let shape = ChainShape { chains: usable.chains.len(), draws: usable.length };
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    for role in [Role::Noise, Role::Hyperparameter, Role::Parameter] {
        for block in draws.layout().blocks().iter().filter(|block| shown_as(block.role) == role) {
            let scalars = scalars(draws, &usable, block.range());
            if block.len() <= options.max_rows {
                let names = block.range().map(|coordinate| draws.layout().coordinate_name(coordinate));
                rows.extend(names.zip(scalars).map(|(name, scalar)| SummaryRow { name, role: block.role, scalar }));
            } else {
                let named = |index: usize| draws.layout().coordinate_name(block.offset + index);
                let roll_up = RollUp::new(&scalars, shape, options.worst, named);
                groups.push(SummaryGroup { name: block.name.clone(), role: block.role, layer: block.layer, roll_up });
            }
        }
    }
    for (layer, role) in layers(draws.layout().blocks()) {
        let blocks = draws.layout().blocks().iter().filter(|block| (block.layer, block.role) == (layer, role));
        let coordinates: Vec<usize> = blocks.clone().flat_map(Block::range).collect();
        let scalars: Vec<ScalarSummary> = blocks.flat_map(|block| scalars(draws, &usable, block.range())).collect();
        let roll_up = RollUp::new(&scalars, shape, options.worst, |index| draws.layout().coordinate_name(coordinates[index]));
        let kind = if role == Role::Weight { "weights" } else { "biases" };
        let name = layer.map_or_else(|| kind.to_owned(), |layer| format!("layer {layer} {kind}"));
        groups.push(SummaryGroup { name, role, layer, roll_up });
    }
    Summary { provenance, chains: shape.chains, draws: shape.draws, left_out: usable.notes, rows, groups }
}

/// Roles that this crate does not know are shown as plain parameters.
fn shown_as(role: Role) -> Role {
    match role {
        Role::Weight | Role::Bias | Role::Noise | Role::Hyperparameter => role,
        _ => Role::Parameter,
    }
}

/// Layers with weights or biases in the order of the layout, weights first.
fn layers(blocks: &[Block]) -> Vec<(Option<usize>, Role)> {
    let mut layers: Vec<(Option<usize>, Role)> = Vec::new();
    for block in blocks.iter().filter(|block| matches!(block.role, Role::Weight | Role::Bias) && block.len() > 0) {
        if !layers.contains(&(block.layer, block.role)) {
            layers.push((block.layer, block.role));
        }
    }
    layers.sort_by_key(|&(layer, role)| (layer, role == Role::Bias));
    layers
}

/// Coordinates that are gathered together: draws lie row by row, and a row's neighbours share cache lines.
const GATHERED: usize = 32;

/// Summaries of a range of coordinates, on the scale people read.
fn scalars(draws: &Draws, usable: &UsableChains, range: Range<usize>) -> Vec<ScalarSummary> {
    let markov = draws.origin().is_markov();
    let starts: Vec<usize> = range.clone().step_by(GATHERED).collect();
    let mut blocks: Vec<Vec<ScalarSummary>> = Vec::new();
    starts
        .into_par_iter()
        .map_init(
            || (Workspace::default(), Vec::new()),
            |(workspace, gathered), start| {
                let width = GATHERED.min(range.end - start);
                gather(draws, usable, start..start + width, gathered);
                let each = usable.chains.len() * usable.length;
                let scalar = |values: &[f64]| {
                    let chains: Vec<&[f64]> = values.chunks_exact(usable.length.max(1)).collect();
                    ScalarSummary::compute_in(&chains, markov, workspace)
                };
                if each == 0 {
                    return vec![ScalarSummary::compute_in(&[] as &[&[f64]], markov, workspace); width];
                }
                gathered.chunks_exact(each).map(scalar).collect()
            },
        )
        .collect_into_vec(&mut blocks);
    blocks.concat()
}

/// Fills `gathered` with `[coordinate][chain][draw]`.
fn gather(draws: &Draws, usable: &UsableChains, range: Range<usize>, gathered: &mut Vec<f64>) {
    let each = usable.chains.len() * usable.length;
    gathered.clear();
    gathered.resize(range.len() * each, 0.0);
    for (row, &chain) in usable.chains.iter().enumerate() {
        for (draw, position) in draws.chains()[chain].positions().take(usable.length).enumerate() {
            let values = position[range.clone()].iter();
            for (column, &x) in values.enumerate() {
                gathered[column * each + row * usable.length + draw] = x;
            }
        }
    }
    if each > 0 {
        for (values, coordinate) in gathered.chunks_exact_mut(each).zip(range) {
            let transform = draws.layout().transform_of(coordinate);
            values.iter_mut().for_each(|x| *x = transform.constrain(*x));
        }
    }
}

impl Summary {
    /// The rows as a table.
    #[must_use]
    pub fn parameter_table(&self) -> Table {
        let mut table = Table::new("Parameters", &ROW_COLUMNS).with_caveat(self.provenance.caveat.clone());
        for row in &self.rows {
            let mut cells = vec![Cell::text(&row.name)];
            cells.extend(scalar_cells(&row.scalar));
            table.push(cells);
        }
        table
    }

    /// The roll-ups as a table.
    #[must_use]
    pub fn group_table(&self) -> Table {
        let columns: Vec<&str> = ["group"].into_iter().chain(RollUp::COLUMNS).collect();
        let mut table = Table::new("Weights by layer", &columns).with_caveat(self.provenance.caveat.clone());
        for group in &self.groups {
            let mut cells = vec![Cell::text(&group.name)];
            cells.extend(group.roll_up.cells());
            table.push(cells);
            table.notes.extend(group.roll_up.undefined_note(&group.name));
        }
        if self.provenance.origin.is_markov() {
            table.notes.push("Weights are not identified one by one: judge a network by its predictions first.".to_owned());
        }
        table
    }

    /// The worst coordinates of each roll-up as a table.
    #[must_use]
    pub fn worst_table(&self) -> Table {
        let columns = ["coordinate", "group", "R-hat", "ESS bulk", "ESS tail"];
        let mut table = Table::new("Worst weights", &columns).with_caveat(self.provenance.caveat.clone());
        for group in &self.groups {
            for worst in &group.roll_up.worst {
                table.push(vec![
                    Cell::text(&worst.name),
                    Cell::text(&group.name),
                    Cell::fixed(worst.rhat, 3),
                    Cell::fixed(worst.ess_bulk.value, 0),
                    Cell::fixed(worst.ess_tail.value, 0),
                ]);
            }
        }
        table
    }

    /// Rows and roll-ups as comma-separated values, one table after the other, with an empty line between.
    #[must_use]
    pub fn to_csv(&self) -> String {
        [self.parameter_table(), self.group_table()]
            .iter()
            .filter(|table| !table.rows.is_empty())
            .map(Table::to_csv)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Headers of a scalar's row, its name included.
pub(crate) const ROW_COLUMNS: [&str; 11] =
    ["name", "mean", "sd", "MCSE mean", "MCSE sd", "5.5 %", "94.5 %", "ESS bulk", "ESS tail", "R-hat", "remark"];

/// The cells of a scalar's row after its name.
pub(crate) fn scalar_cells(scalar: &ScalarSummary) -> Vec<Cell> {
    let number = |diagnostic: Diagnostic| Cell::Significant(diagnostic.value);
    // The reason for a blank R-hat also explains the other blanks; otherwise the first remark counts.
    let remarks = [scalar.rhat, scalar.ess_bulk, scalar.ess_tail, scalar.mcse_mean, scalar.mcse_sd];
    let remark = remarks.iter().map(|d| d.status.reason()).find(|reason| !reason.is_empty()).unwrap_or("");
    vec![
        Cell::Significant(scalar.mean),
        Cell::Significant(scalar.sd),
        number(scalar.mcse_mean),
        number(scalar.mcse_sd),
        Cell::Significant(scalar.interval.lower),
        Cell::Significant(scalar.interval.upper),
        Cell::fixed(scalar.ess_bulk.value, 0),
        Cell::fixed(scalar.ess_tail.value, 0),
        Cell::fixed(scalar.rhat.value, 3),
        Cell::text(remark),
    ]
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provenance, chains, draws, .. } = self;
        writeln!(f, "{}: {chains} chain(s) of {draws} draws", provenance.method)?;
        for note in provenance.notes.iter().chain(&self.left_out) {
            writeln!(f, "! {note}")?;
        }
        let mut tables = vec![self.parameter_table(), self.group_table()];
        if provenance.origin.is_markov() {
            tables.push(self.worst_table());
        }
        tables.iter().filter(|table| !table.rows.is_empty()).try_for_each(|table| write!(f, "\n{table}"))
    }
}
