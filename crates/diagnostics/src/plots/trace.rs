//! Draw traces: for every quantity the marginal density of each chain beside its values draw by draw.

use super::canvas::{Anchor, Canvas, Font, Stroke};
use super::legend::{Legend, Swatch, surround};
use super::panel::{Axes, LABEL_SPACE, Panel, TICK_SPACE};
use super::quantity::{join_caveats, range, widen};
use super::style::{INK, LABEL_SIZE, MARGIN, SMALL_SIZE, SOFT_INK, count, series_color};
use super::{Decimated, Density, Plot, PlotError, Quantity};
use ergodic_draws::Draws;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Stretches into which a trace is cut before the extremes of each are drawn.
const COLUMNS: usize = 600;
/// Height of the name above a row.
const NAME_SPACE: f64 = 22.0;
/// Share of a panel's height that the rug of divergences takes.
const RUG: f64 = 0.08;

/// Traces of quantities, a row each: densities per chain on the left, values against draws on the right, divergences as a rug.
///
/// ```
/// use ergodic_diagnostics::plots::{Plot, Quantity, TracePlot};
/// let quantity = Quantity::new("tau", vec![vec![0.1, 0.4, 0.2], vec![0.2, 0.3, 0.1]])?;
/// let svg = TracePlot::new(&[quantity], &[])?.svg((800, 200))?;
/// assert!(svg.contains("tau"));
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TracePlot {
    /// One row a quantity.
    pub rows: Vec<TraceRow>,
    /// Number of divergent draws of all chains.
    pub num_divergences: usize,
    /// What stands below results that are not exact.
    pub caveat: String,
}

/// What a row of a trace plot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceRow {
    /// Name of the quantity.
    pub name: String,
    /// Number of draws of the longest chain.
    pub num_draws: usize,
    /// Density of every chain.
    pub densities: Vec<Density>,
    /// Values of every chain, thinned without losing an extreme.
    pub traces: Vec<Decimated>,
    /// Positions of divergent draws, of all chains, at most one per column of the picture.
    pub divergent_draws: Vec<usize>,
    /// Values of the quantity at divergent draws, at most one per column of the picture.
    pub divergent_values: Vec<f64>,
}

impl TracePlot {
    /// Traces of `quantities`; `divergent` is empty or says for every draw of every chain whether it ended in a divergence.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without quantities, [`PlotError::Length`] when `divergent` does not fit a quantity's chains.
    pub fn new(quantities: &[Quantity], divergent: &[Vec<bool>]) -> Result<Self, PlotError> {
        if quantities.is_empty() {
            return Err(PlotError::Empty { name: "trace".to_owned(), reason: "no quantity is selected" });
        }
        let rows = quantities.iter().map(|quantity| TraceRow::new(quantity, divergent)).collect::<Result<_, _>>()?;
        Ok(Self {
            rows,
            num_divergences: divergent.iter().flatten().filter(|d| **d).count(),
            caveat: join_caveats(quantities.iter().map(|q| q.caveat.as_str())),
        })
    }

    /// Traces of the coordinates `names`, with the divergences that the draws report.
    ///
    /// # Errors
    /// [`PlotError::UnknownCoordinate`] names the first coordinate that there is not; otherwise as [`new`](Self::new).
    pub fn from_draws(draws: &Draws, names: &[&str]) -> Result<Self, PlotError> {
        let quantities = names.iter().map(|name| Quantity::from_draws(draws, name)).collect::<Result<Vec<_>, _>>()?;
        let flags = draws.statistic("diverging").unwrap_or_default();
        let divergent: Vec<Vec<bool>> = flags.iter().map(|chain| chain.iter().map(|flag| *flag != 0.0).collect()).collect();
        let mut plot = Self::new(&quantities, &divergent)?;
        plot.caveat = draws.caveat().unwrap_or_default();
        Ok(plot)
    }
}

impl TraceRow {
    fn new(quantity: &Quantity, divergent: &[Vec<bool>]) -> Result<Self, PlotError> {
        if !divergent.is_empty() && divergent.len() != quantity.chains.len() {
            let (expected, found) = (quantity.chains.len(), divergent.len());
            return Err(PlotError::Length { name: quantity.name.clone(), what: "chains with divergences", expected, found });
        }
        let mut points: Vec<(usize, f64)> = Vec::new();
        for (chain, flags) in quantity.chains.iter().zip(divergent) {
            if flags.len() != chain.len() {
                let (expected, found) = (chain.len(), flags.len());
                return Err(PlotError::Length { name: quantity.name.clone(), what: "flags of divergence", expected, found });
            }
            points.extend(flags.iter().enumerate().filter(|(_, flag)| **flag).map(|(i, _)| (i, chain[i])));
        }
        let num_draws = quantity.max_len();
        let (low, high) = quantity.range();
        let column_of = |position: f64, length: f64| (position / length.max(f64::MIN_POSITIVE) * COLUMNS as f64) as i64;
        let mut divergent_draws: Vec<usize> = points.iter().map(|p| p.0).collect();
        divergent_draws.sort_unstable();
        divergent_draws.dedup_by_key(|draw| column_of(*draw as f64, num_draws as f64));
        let mut divergent_values: Vec<f64> = points.iter().map(|p| p.1).collect();
        divergent_values.sort_by(f64::total_cmp);
        divergent_values.dedup_by_key(|value| column_of(*value - low, high - low));
        Ok(Self {
            name: quantity.name.clone(),
            num_draws,
            densities: quantity.chains.iter().map(|chain| Density::new(chain)).collect(),
            traces: quantity.chains.iter().map(|chain| Decimated::new(chain, COLUMNS)).collect(),
            divergent_draws,
            divergent_values,
        })
    }

    /// Chains from the widest to the narrowest, so that a stuck chain is drawn over moving ones.
    fn order(&self) -> Vec<usize> {
        let span = |chain: &usize| {
            let (low, high) = range(self.traces[*chain].value.iter().copied());
            high - low
        };
        let mut order: Vec<usize> = (0..self.traces.len()).collect();
        order.sort_by(|a, b| span(b).total_cmp(&span(a)));
        order
    }

    fn paint_density<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, panel: Panel) -> Result<(), PlotError> {
        panel.axes(canvas, Axes { x_ticks: true, ..Axes::default() })?;
        for chain in self.order() {
            let (density, color) = (&self.densities[chain], series_color(chain));
            match density.point_mass() {
                Some(value) => {
                    panel.line(canvas, [(value, 0.0), (value, panel.y.1 * 0.98)], Stroke::new(color, 1.6))?;
                }
                None => {
                    let points = density.x.iter().copied().zip(density.density.iter().copied());
                    panel.line(canvas, points, Stroke::new(color, 1.3).opacity(0.9))?;
                }
            }
        }
        for &value in self.divergent_values.iter().filter(|v| panel.contains(**v, 0.0)) {
            let x = panel.place(value, 0.0).0;
            let height = RUG * (panel.bottom - panel.top);
            canvas.line(&[(x, panel.bottom), (x, panel.bottom - height)], Stroke::new(INK, 0.7).opacity(0.7))?;
        }
        let font = Font::new(SMALL_SIZE - 1.0, SOFT_INK);
        canvas.text(&self.density_note(), (panel.right, panel.top + 5.0), Anchor::Right, font)
    }

    /// What the density panel leaves out; empty if nothing.
    fn density_note(&self) -> String {
        let outside: usize = self.densities.iter().map(|d| d.outside).sum();
        let top = self.density_ranges().1.1;
        let mut notes = Vec::new();
        if outside > 0 {
            notes.push(format!("{} draws outside", count(outside)));
        }
        if self.densities.iter().any(|d| d.peak() > top) {
            notes.push("peak cut".to_owned());
        }
        notes.join(", ")
    }

    fn paint_trace<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, panel: Panel, last: bool) -> Result<(), PlotError> {
        let x_label = if last { "draw" } else { "" };
        panel.axes(canvas, Axes { x_label, x_ticks: true, y_ticks: true, whole_x: true, ..Axes::default() })?;
        // Few chains stay apart by colour; opacity lets what lies below shine through.
        let stroke =
            |chain: usize| Stroke::new(series_color(chain), 0.8).opacity(if self.traces.len() > 1 { 0.65 } else { 0.9 });
        for chain in self.order() {
            let trace = &self.traces[chain];
            panel.line(canvas, trace.points(), stroke(chain))?;
            if let [(x, y)] = trace.points().collect::<Vec<_>>()[..] {
                canvas.dot(panel.place(x, y), 1.8, Stroke::new(series_color(chain), 1.0), true)?;
            }
        }
        for &draw in &self.divergent_draws {
            let x = panel.place(draw as f64, 0.0).0;
            let height = RUG * (panel.bottom - panel.top);
            canvas.line(&[(x, panel.bottom), (x, panel.bottom - height)], Stroke::new(INK, 0.7).opacity(0.7))?;
        }
        Ok(())
    }

    /// Ranges of the density panel: the shown values of all chains, and a height that one narrow chain does not dictate.
    fn density_ranges(&self) -> ((f64, f64), (f64, f64)) {
        let x = widen(range(self.densities.iter().flat_map(|d| d.x.iter().copied())), 0.02);
        let mut peaks: Vec<f64> = self.densities.iter().map(Density::peak).filter(|p| *p > 0.0).collect();
        peaks.sort_by(f64::total_cmp);
        let top = match (peaks.last(), peaks.get(peaks.len() / 2)) {
            (Some(&highest), Some(&middle)) => highest.min(3.0 * middle),
            _ => 1.0,
        };
        // Room for the note on draws outside.
        let room = if self.densities.iter().any(|d| d.outside > 0) { 1.2 } else { 1.06 };
        (x, (0.0, room * top))
    }
}

impl Plot for TracePlot {
    fn size(&self) -> (u32, u32) {
        (1000, (70 + 165 * self.rows.len() as u32).min(8000))
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let chains = self.rows.iter().map(|row| row.traces.len()).max().unwrap_or(0);
        let mut legend = chain_legend(chains, 2.0);
        if self.num_divergences > 0 {
            legend.push(Swatch::Rug(INK), format!("divergence ({} in all)", count(self.num_divergences)));
        }
        let (top, bottom) = surround(canvas, "", &legend, &self.caveat)?;
        let height = (bottom - LABEL_SPACE - top) / self.rows.len() as f64;
        let (left, right) = (MARGIN, canvas.width() - MARGIN);
        // Numbers stand out by half their width beyond the first and last tick.
        let overhang = 8.0;
        let split = left + 0.3 * (right - left);
        // The numbers of all rows get the same room, so that the panels stand in a column.
        let trace_panel = |row: &TraceRow, top: f64, left: f64| {
            let values = widen(range(row.traces.iter().flat_map(|t| t.value.iter().copied())), 0.04);
            let rug = if row.divergent_draws.is_empty() { 0.0 } else { 1.3 * RUG * (values.1 - values.0) };
            let x = (0.0, row.num_draws.saturating_sub(1).max(1) as f64);
            let bottom = top + height - TICK_SPACE - 4.0;
            Panel { left, top: top + NAME_SPACE, right: right - overhang, bottom, x, y: (values.0 - rug, values.1) }
        };
        let tick_space = self.rows.iter().map(|row| trace_panel(row, top, split).y_tick_space(canvas)).fold(0.0, f64::max);
        for (i, row) in self.rows.iter().enumerate() {
            let row_top = top + i as f64 * height;
            let trace = trace_panel(row, row_top, split + tick_space + 10.0).check(canvas)?;
            let (x, y) = row.density_ranges();
            let density = Panel { left: left + overhang, right: split - 4.0, x, y, ..trace }.check(canvas)?;
            let font = Font::new(LABEL_SIZE, INK).bold();
            let name = canvas.shortened(&row.name, right - left, font);
            canvas.text(&name, (left, row_top + NAME_SPACE / 2.0), Anchor::Left, font)?;
            row.paint_density(canvas, density)?;
            row.paint_trace(canvas, trace, i + 1 == self.rows.len())?;
        }
        Ok(())
    }
}

/// A legend of chains; only their number where colours repeat.
pub(super) fn chain_legend(chains: usize, width: f64) -> Legend {
    let mut legend = Legend::default();
    if chains > 6 {
        legend.note(format!("{chains} chains (colours repeat)"));
    } else if chains > 1 {
        for chain in 0..chains {
            legend.push(Swatch::Line(Stroke::new(series_color(chain), width)), format!("chain {chain}"));
        }
    }
    legend
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{ChainDraws, Layout, Origin, RunReport};

    #[test]
    fn a_million_draws_stay_a_small_file_with_every_extreme() {
        let mut chains = Noise::new(1).chains(4, 250_000, 0.5);
        chains[2][123_456] = 25.0;
        let quantity = Quantity::new("w", chains).unwrap();
        let plot = TracePlot::new(&[quantity], &[]).unwrap();
        assert!(plot.rows[0].traces[2].index.contains(&123_456));
        let svg = plot.svg(plot.size()).unwrap();
        assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
        assert!(serde_json::to_string(&plot).unwrap().len() < 1_000_000);
    }

    #[test]
    fn divergences_are_counted_and_drawn_where_they_happen() {
        let quantity = Quantity::new("w", Noise::new(2).chains(2, 100, 0.0)).unwrap();
        let mut divergent = vec![vec![false; 100]; 2];
        divergent[1][40] = true;
        divergent[0][70] = true;
        let plot = TracePlot::new(std::slice::from_ref(&quantity), &divergent).unwrap();
        assert_eq!(plot.rows[0].divergent_draws, vec![40, 70]);
        assert!(plot.svg(plot.size()).unwrap().contains("divergence (2 in all)"));
        let wrong = TracePlot::new(std::slice::from_ref(&quantity), &divergent[..1]).unwrap_err();
        assert!(matches!(wrong, PlotError::Length { expected: 2, found: 1, .. }));
        assert!(matches!(TracePlot::new(&[quantity], &[vec![], vec![]]), Err(PlotError::Length { .. })));
    }

    #[test]
    fn odd_chains_are_drawn() {
        let mut noise = Noise::new(3);
        let cases = [
            vec![vec![3.0; 50], vec![3.0; 50]],
            vec![vec![1.0]],
            vec![vec![1.0, 2.0], noise.autoregressive(30, 0.2)],
            vec![(0..500).map(|_| noise.normal() / noise.normal()).collect()],
            vec![vec![0.0; 100], noise.autoregressive(100, 0.2)],
            vec![vec![-1e100, 1e100, 0.0]],
            vec![vec![1e-300, 2e-300]],
            noise.chains(20, 40, 0.5),
        ];
        for (i, chains) in cases.into_iter().enumerate() {
            let plot = TracePlot::new(&[Quantity::new(format!("case {i}"), chains).unwrap()], &[]).unwrap();
            assert!(plot.svg(plot.size()).unwrap().contains(&format!("case {i}")));
        }
    }

    #[test]
    fn a_peak_that_is_cut_is_said_to_be() {
        let mut chains = Noise::new(4).chains(4, 400, 0.2);
        let one = |chains: &[Vec<f64>]| {
            let plot = TracePlot::new(&[Quantity::new("w", chains.to_vec()).unwrap()], &[]).unwrap();
            plot.svg(plot.size()).unwrap()
        };
        assert!(!one(&chains).contains("peak cut"));
        chains[0].iter_mut().for_each(|v| *v *= 0.01);
        assert!(one(&chains).contains("peak cut"));
    }

    #[test]
    fn draws_bring_names_divergences_and_caveats() {
        let chain = ChainDraws::from_positions(2, (0..40).map(f64::from).collect());
        let draws = Draws::new(Layout::flat(2), Origin::BiasedMcmc, vec![chain], RunReport::new("sgld", 1));
        let plot = TracePlot::from_draws(&draws, &["x[0]", "x[1]"]).unwrap();
        let svg = plot.svg(plot.size()).unwrap();
        assert!(svg.contains("x[1]") && svg.contains("biased"));
        assert!(matches!(TracePlot::from_draws(&draws, &["z"]), Err(PlotError::UnknownCoordinate { .. })));
        assert!(matches!(TracePlot::from_draws(&draws, &[]), Err(PlotError::Empty { .. })));
    }

    #[test]
    fn too_small_a_picture_is_refused() {
        let quantity = Quantity::new("w", vec![vec![1.0, 2.0]]).unwrap();
        let plot = TracePlot::new(&vec![quantity; 30], &[]).unwrap();
        assert!(matches!(plot.svg((300, 200)), Err(PlotError::TooSmall { .. })));
        assert!(plot.svg(plot.size()).is_ok());
    }
}
