//! Diagnose chains where networks are identified: in their predictions, point by point.

use crate::ScalarSummary;
use crate::chains::UsableChains;
use crate::predictions_check::{PredictionsError, check};
use crate::roll_up::{ChainShape, RollUp};
use crate::summary::{ROW_COLUMNS, scalar_cells};
use crate::table::{Cell, Table};
use crate::workspace::Workspace;
use ergodic_draws::{Origin, PredictionKind, Predictions};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;

/// Diagnostics of one output at one point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionRow {
    /// Number of the point.
    pub point: usize,
    /// Number of the output: of the target, or of the class.
    pub output: usize,
    /// Its numbers: of the predicted mean in the target's unit, or of the class probability.
    #[serde(flatten)]
    pub scalar: ScalarSummary,
}

/// What [`function_diagnostics`] finds; `Display` writes the roll-up and the worst points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionDiagnostics {
    /// Name of the target.
    pub target_name: String,
    /// Where the draws come from.
    pub origin: Origin,
    /// Why the draws do not follow the posterior itself; empty where they do.
    pub caveat: String,
    /// Chains that take part.
    pub chains: usize,
    /// Draws of each that take part.
    pub draws: usize,
    /// Chains left out, in words.
    pub notes: Vec<String>,
    /// All points and outputs together, the worst named: the headline of a network's convergence.
    pub roll_up: RollUp,
    /// The noise standard deviations of all points and outputs, where they differ from point to point; else they are in the summary.
    pub noise: Option<RollUp>,
    /// Each point and output; of two classes only the second, for the first is its mirror image.
    pub rows: Vec<FunctionRow>,
}

/// R-hat, ESS and Monte Carlo errors of what the network predicts, per point and output.
///
/// The weights of a network are not identified: hidden units may swap places between chains, which raises the weights' R-hat
/// without changing any prediction. What chains must agree on is the predicted function, and this looks at it. The points are those
/// of `predictions`; points outside the training data are the harder test.
///
/// # Errors
/// When the predictions' parts do not fit together.
pub fn function_diagnostics(predictions: &Predictions) -> Result<FunctionDiagnostics, PredictionsError> {
    check(predictions)?;
    let usable = UsableChains::choose(&predictions.chain_lengths);
    let outputs = predictions.num_outputs;
    let mirrored = predictions.kind == PredictionKind::Classification && outputs == 2;
    let first = usize::from(mirrored);
    let shape = ChainShape { chains: usable.chains.len(), draws: usable.length };
    let rows = rows(predictions, &predictions.values, &usable, first);
    let noise = varies(predictions).then(|| {
        let rows = self::rows(predictions, &predictions.noise_sd, &usable, 0);
        roll_up(&rows, shape, outputs)
    });
    let roll_up = roll_up(&rows, shape, outputs - first);
    Ok(FunctionDiagnostics {
        target_name: predictions.target_name.clone(),
        origin: predictions.origin,
        caveat: predictions.caveat().unwrap_or_default(),
        chains: shape.chains,
        draws: shape.draws,
        notes: usable.notes,
        roll_up,
        noise,
        rows,
    })
}

/// Whether the noise of an output differs from point to point in any draw.
fn varies(predictions: &Predictions) -> bool {
    let outputs = predictions.num_outputs;
    let mut draws = predictions.noise_sd.chunks_exact(predictions.num_points * outputs);
    draws.any(|draw| draw.chunks_exact(outputs).any(|point| point != &draw[..outputs]))
}

/// Summaries of `values`, indexed `[draw][point][output]`, for every point and the outputs from `first` on.
fn rows(predictions: &Predictions, values: &[f64], usable: &UsableChains, first: usize) -> Vec<FunctionRow> {
    let (points, outputs) = (predictions.num_points, predictions.num_outputs);
    let starts = chain_starts(&predictions.chain_lengths);
    let markov = predictions.origin.is_markov();
    let row = |workspace: &mut Workspace, cell: usize| {
        let (point, output) = (cell / (outputs - first), first + cell % (outputs - first));
        let series = |&chain: &usize| -> Vec<f64> {
            let draws = starts[chain]..starts[chain] + usable.length;
            draws.map(|draw| values[(draw * points + point) * outputs + output]).collect()
        };
        let chains: Vec<Vec<f64>> = usable.chains.iter().map(series).collect();
        FunctionRow { point, output, scalar: ScalarSummary::compute_in(&chains, markov, workspace) }
    };
    let mut rows = Vec::new();
    let cells = points * (outputs - first);
    (0..cells).into_par_iter().map_init(Workspace::default, row).collect_into_vec(&mut rows);
    rows
}

fn roll_up(rows: &[FunctionRow], shape: ChainShape, outputs: usize) -> RollUp {
    let scalars: Vec<ScalarSummary> = rows.iter().map(|row| row.scalar).collect();
    RollUp::new(&scalars, shape, 5, |index| name(&rows[index], outputs))
}

/// The first draw of each chain.
fn chain_starts(lengths: &[usize]) -> Vec<usize> {
    (0..lengths.len()).map(|chain| lengths[..chain].iter().sum()).collect()
}

fn name(row: &FunctionRow, outputs: usize) -> String {
    if outputs == 1 { format!("point {}", row.point) } else { format!("point {}, output {}", row.point, row.output) }
}

impl FunctionDiagnostics {
    /// The roll-up as a table of one row, and a second for noise that differs from point to point.
    #[must_use]
    pub fn roll_up_table(&self) -> Table {
        let columns: Vec<&str> = ["target"].into_iter().chain(RollUp::COLUMNS).collect();
        let mut table = Table::new("Predictions", &columns).with_caveat(self.caveat.clone());
        let mut cells = vec![Cell::text(&self.target_name)];
        cells.extend(self.roll_up.cells());
        table.push(cells);
        if let Some(noise) = &self.noise {
            let mut cells = vec![Cell::text(format!("noise of {}", self.target_name))];
            cells.extend(noise.cells());
            table.push(cells);
        }
        table.notes.extend(self.roll_up.undefined_note("Predictions"));
        table
    }

    /// The points with the largest R-hat as a table.
    #[must_use]
    pub fn worst_table(&self) -> Table {
        let worst = self.roll_up.worst.iter().filter_map(|worst| self.rows.get(worst.index));
        self.table_of("Worst points", worst)
    }

    /// Every point and output as a table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table_of("Points", self.rows.iter())
    }

    /// Every point and output as comma-separated values.
    #[must_use]
    pub fn to_csv(&self) -> String {
        self.table().to_csv()
    }

    fn table_of<'a>(&self, title: &str, rows: impl Iterator<Item = &'a FunctionRow>) -> Table {
        let mut table = Table::new(title, &ROW_COLUMNS).with_caveat(self.caveat.clone());
        let outputs = self.rows.iter().take_while(|row| row.point == 0).count();
        for row in rows {
            let mut cells = vec![Cell::text(name(row, outputs))];
            cells.extend(scalar_cells(&row.scalar));
            table.push(cells);
        }
        table
    }
}

impl fmt::Display for FunctionDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.roll_up_table())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "! {note}"))?;
        write!(f, "\n{}", self.worst_table())
    }
}
