//! Draw ranks: how often each chain visits every part of the pooled distribution, against what mixing chains do.

use super::canvas::{Anchor, Canvas, Font, Stroke};
use super::legend::{Legend, Swatch, surround};
use super::panel::{Axes, LABEL_SPACE, Panel, TICK_SPACE};
use super::quantity::{join_caveats, range, widen};
use super::ranks::{average_ranks, simultaneous_band};
use super::style::{INK, LABEL_SIZE, MARGIN, REFERENCE, SMALL_SIZE, number, series_color};
use super::{Plot, PlotError, Quantity};
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Height of the name above a row.
const NAME_SPACE: f64 = 24.0;
/// Points of the grid on which distribution functions are drawn.
const GRID: usize = 200;

/// Ranks of every chain's draws among the draws of all chains (Vehtari et al. 2021), a row a quantity.
///
/// On the left one histogram per chain against the level that equal chains have, with the band that holds 95 % of the bars of
/// independent draws. On the right the difference between each chain's distribution function of ranks and the uniform one,
/// with a band that holds all chains at all points with probability 95 % if chains agree.
///
/// Both bands take the draws of a chain for independent; autocorrelated chains leave them more often. Give the effective sample
/// size per chain with [`with_effective_draws`](Self::with_effective_draws) to widen them.
///
/// ```
/// use ergodic_diagnostics::plots::{Quantity, RankPlot};
/// let chains = vec![(0..100).map(f64::from).collect(), (0..100).map(|i| f64::from(i) + 0.5).collect()];
/// let plot = RankPlot::new(&[Quantity::new("w", chains)?], 10)?;
/// assert_eq!(plot.rows[0].counts, vec![vec![10; 10]; 2]);
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankPlot {
    /// One row a quantity.
    pub rows: Vec<RankRow>,
    /// What stands below results that are not exact.
    pub caveat: String,
}

/// What a row of a rank plot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankRow {
    /// Name of the quantity.
    pub name: String,
    /// Draws of a chain per bin of ranks, `[chain][bin]`.
    pub counts: Vec<Vec<usize>>,
    /// Draws of every chain.
    pub lengths: Vec<usize>,
    /// Draws of a chain that the bands take for independent.
    pub effective_draws: Vec<f64>,
    /// Distribution function of the scaled ranks minus the uniform one, `[chain][grid]` at equal distances between 0 and 1.
    pub difference: Vec<Vec<f64>>,
}

impl RankPlot {
    /// Ranks of `quantities` in `bins` bins; 20 serve well.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without quantities, [`PlotError::Setting`] for fewer than 2 bins, [`PlotError::Length`] for a single
    /// chain or chains with fewer draws than bins.
    pub fn new(quantities: &[Quantity], bins: usize) -> Result<Self, PlotError> {
        if quantities.is_empty() {
            return Err(PlotError::Empty { name: "rank".to_owned(), reason: "no quantity is selected" });
        }
        if bins < 2 {
            return Err(PlotError::Setting { setting: "bins", value: bins as f64, advice: "choose 2 or more, such as 20" });
        }
        let rows = quantities.iter().map(|quantity| RankRow::new(quantity, bins)).collect::<Result<_, _>>()?;
        Ok(Self { rows, caveat: join_caveats(quantities.iter().map(|q| q.caveat.as_str())) })
    }

    /// Widens the bands of all rows to `effective_draws` independent draws per chain, the effective sample size of the chains.
    ///
    /// # Errors
    /// [`PlotError::Setting`] unless it is positive.
    pub fn with_effective_draws(mut self, effective_draws: f64) -> Result<Self, PlotError> {
        if effective_draws.is_nan() || effective_draws <= 0.0 {
            let advice = "give the effective sample size per chain, a positive number";
            return Err(PlotError::Setting { setting: "effective_draws", value: effective_draws, advice });
        }
        for row in &mut self.rows {
            row.effective_draws = row.lengths.iter().map(|n| effective_draws.min(*n as f64)).collect();
        }
        Ok(self)
    }
}

impl RankRow {
    fn new(quantity: &Quantity, bins: usize) -> Result<Self, PlotError> {
        let name = quantity.name.clone();
        let lengths: Vec<usize> = quantity.chains.iter().map(Vec::len).collect();
        if lengths.len() < 2 {
            return Err(PlotError::Length { name, what: "chains", expected: 2, found: lengths.len() });
        }
        if let Some(&found) = lengths.iter().find(|n| **n < bins) {
            return Err(PlotError::Length { name, what: "draws in a chain", expected: bins, found });
        }
        let ranks = average_ranks(&quantity.chains);
        let total = quantity.num_draws() as f64;
        let scaled = |rank: &f64| (rank - 0.5) / total;
        let histogram = |chain: &Vec<f64>| {
            let mut counts = vec![0; bins];
            for rank in chain {
                counts[((scaled(rank) * bins as f64) as usize).min(bins - 1)] += 1;
            }
            counts
        };
        let difference = |chain: &Vec<f64>| {
            let mut sorted: Vec<f64> = chain.iter().map(scaled).collect();
            sorted.sort_by(f64::total_cmp);
            let at = |i: usize| {
                let z = i as f64 / (GRID - 1) as f64;
                sorted.partition_point(|u| *u <= z) as f64 / sorted.len() as f64 - z
            };
            (0..GRID).map(at).collect()
        };
        Ok(Self {
            name,
            counts: ranks.iter().map(histogram).collect(),
            effective_draws: lengths.iter().map(|n| *n as f64).collect(),
            lengths,
            difference: ranks.iter().map(difference).collect(),
        })
    }

    /// Relative heights between which 95 % of the bars of a chain lie when chains agree.
    ///
    /// The count of a bin is hypergeometric; its standard deviation in units of the expected count is
    /// √((bins − 1) / n · (chains − 1) / chains).
    fn bar_band(&self, chain: usize) -> (f64, f64) {
        let (bins, chains) = (self.counts[chain].len() as f64, self.counts.len() as f64);
        let sd = ((bins - 1.0) / self.effective_draws[chain] * (chains - 1.0) / chains).sqrt();
        ((1.0 - 1.96 * sd).max(0.0), 1.0 + 1.96 * sd)
    }

    /// Half the width of the band that holds all distribution functions with probability 0.95.
    fn difference_band(&self) -> f64 {
        let fewest = self.effective_draws.iter().copied().fold(f64::INFINITY, f64::min);
        simultaneous_band(self.counts.len(), fewest)
    }

    /// Range of the right panel: all chains and the band.
    fn difference_range(&self) -> (f64, f64) {
        let half = self.difference_band();
        widen(range(self.difference.iter().flatten().copied().chain([-half, half])), 0.06)
    }

    /// Height of every bar in units of the level that equal chains have.
    fn heights(&self, chain: usize) -> impl Iterator<Item = f64> + '_ {
        let level = self.lengths[chain] as f64 / self.counts[chain].len() as f64;
        self.counts[chain].iter().map(move |count| *count as f64 / level)
    }

    fn paint_bars<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, area: Panel, last: bool) -> Result<(), PlotError> {
        let chains = self.counts.len();
        let strip = (area.bottom - area.top) / chains as f64;
        let highest = (0..chains).flat_map(|c| self.heights(c).chain([self.bar_band(c).1])).fold(0.0, f64::max);
        for chain in 0..chains {
            let bins = self.counts[chain].len() as f64;
            let top = area.top + chain as f64 * strip;
            let panel = Panel { top: top + 3.0, bottom: top + strip, x: (0.0, 1.0), y: (0.0, 1.03 * highest), ..area };
            let (low, high) = self.bar_band(chain);
            panel.bar(canvas, (0.0, 1.0), (low, high), REFERENCE, 0.35)?;
            for (bin, height) in self.heights(chain).enumerate() {
                let x = (bin as f64 / bins + 0.06 / bins, (bin + 1) as f64 / bins - 0.06 / bins);
                panel.bar(canvas, x, (0.0, height), series_color(chain), 0.75)?;
            }
            panel.line(canvas, [(0.0, 1.0), (1.0, 1.0)], Stroke::new(INK, 0.8).dashed())?;
            let bottom = chain + 1 == chains;
            let x_label = if bottom && last { "rank among all draws, scaled" } else { "" };
            panel.axes(canvas, Axes { x_label, x_ticks: bottom, ..Axes::default() })?;
            let font = Font::new(SMALL_SIZE, INK);
            canvas.text(&chain.to_string(), (panel.left - 6.0, (panel.top + panel.bottom) / 2.0), Anchor::Right, font)?;
        }
        Ok(())
    }

    fn paint_difference<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, panel: Panel, last: bool) -> Result<(), PlotError> {
        let half = self.difference_band();
        panel.bar(canvas, (0.0, 1.0), (-half, half), REFERENCE, 0.25)?;
        panel.line(canvas, [(0.0, 0.0), (1.0, 0.0)], Stroke::new(INK, 0.8).dashed())?;
        for (chain, difference) in self.difference.iter().enumerate() {
            let points = difference.iter().enumerate().map(|(i, d)| (i as f64 / (GRID - 1) as f64, *d));
            panel.line(canvas, points, Stroke::new(series_color(chain), 1.3).opacity(0.9))?;
        }
        let x_label = if last { "rank among all draws, scaled" } else { "" };
        let y_label = "ECDF − uniform";
        panel.axes(canvas, Axes { x_label, y_label, x_ticks: true, y_ticks: true, ..Axes::default() })
    }

    /// Height in units at which a row is easily read.
    fn natural_height(&self) -> u32 {
        75 + (26 * self.counts.len() as u32).max(110)
    }
}

impl Plot for RankPlot {
    fn size(&self) -> (u32, u32) {
        (900, (70 + self.rows.iter().map(RankRow::natural_height).sum::<u32>()).min(8000))
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let chains = self.rows.iter().map(|row| row.counts.len()).max().unwrap_or(0);
        let mut legend = Legend::default();
        for chain in 0..chains.min(6) {
            legend.push(Swatch::Area(series_color(chain), 0.75), format!("chain {chain}"));
        }
        if chains > 6 {
            legend.note(format!("… {chains} chains, colours repeat"));
        }
        legend.push(Swatch::Area(REFERENCE, 0.35), format!("95 % band if chains agree, for {}", self.draws_of_band()));
        let (top, bottom) = surround(canvas, "", &legend, &self.caveat)?;
        let natural: u32 = self.rows.iter().map(RankRow::natural_height).sum();
        let room = bottom - LABEL_SPACE - top;
        let (left, right) = (MARGIN + 16.0, canvas.width() - MARGIN - 8.0);
        let split = left + 0.5 * (right - left);
        // The numbers of all rows get the same room, so that the panels stand in a column.
        let some = Panel { left, top: 0.0, right, bottom: 200.0, x: (0.0, 1.0), y: (0.0, 1.0) };
        let space = |row: &RankRow| Panel { y: row.difference_range(), ..some }.y_tick_space(canvas);
        let tick_space = self.rows.iter().map(space).fold(0.0, f64::max);
        let mut row_top = top;
        for (i, row) in self.rows.iter().enumerate() {
            let row_bottom = row_top + room * f64::from(row.natural_height()) / f64::from(natural);
            let last = i + 1 == self.rows.len();
            let (top, bottom) = (row_top + NAME_SPACE, row_bottom - TICK_SPACE - 4.0);
            let bars = Panel { left, top, right: split - 20.0, bottom, x: (0.0, 1.0), y: (0.0, 1.0) }.check(canvas)?;
            let panel =
                Panel { left: split + LABEL_SPACE + tick_space, right, y: row.difference_range(), ..bars }.check(canvas)?;
            let font = Font::new(LABEL_SIZE, INK).bold();
            let name = canvas.shortened(&row.name, right - MARGIN, font);
            canvas.text(&name, (MARGIN, row_top + NAME_SPACE / 2.0), Anchor::Left, font)?;
            row.paint_bars(canvas, bars, last)?;
            row.paint_difference(canvas, panel, last)?;
            row_top = row_bottom;
        }
        Ok(())
    }
}

impl RankPlot {
    fn draws_of_band(&self) -> String {
        let (low, high) = range(self.rows.iter().flat_map(|row| row.effective_draws.iter().copied()));
        let independent =
            self.rows.iter().all(|row| row.effective_draws.iter().zip(&row.lengths).all(|(e, n)| *e == *n as f64));
        let kind = if independent { "independent draws" } else { "effective draws" };
        if low == high {
            format!("{} {kind}", number(low, 6))
        } else {
            format!("{} to {} {kind}", number(low, 6), number(high, 6))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    #[test]
    fn every_draw_is_in_one_bin() {
        let quantity = Quantity::new("w", Noise::new(2).chains(4, 503, 0.5)).unwrap();
        let row = &RankPlot::new(&[quantity], 20).unwrap().rows[0];
        for bin in 0..20 {
            let all: usize = row.counts.iter().map(|c| c[bin]).sum();
            assert!(all.abs_diff(4 * 503 / 20) <= 1, "the pooled histogram is flat: {all}");
        }
        assert!(row.counts.iter().all(|c| c.iter().sum::<usize>() == 503));
    }

    #[test]
    fn the_simultaneous_band_holds_agreeing_chains_and_not_shifted_ones() {
        // 400 repetitions: the share inside is 0.95 with standard error 0.011, somewhat more for finite samples; bounds of four
        // standard errors raise a false alarm once in 10^4. A shift of 0.3 standard deviations is found nearly always.
        let inside = |shift: f64, seed: u64| {
            let mut noise = Noise::new(seed);
            let held = (0..400).filter(|_| {
                let mut chains = noise.chains(4, 300, 0.0);
                chains[1].iter_mut().for_each(|v| *v += shift);
                let row = RankRow::new(&Quantity::new("w", chains).unwrap(), 20).unwrap();
                let half = row.difference_band();
                row.difference.iter().flatten().all(|d| d.abs() <= half)
            });
            held.count() as f64 / 400.0
        };
        let agreeing = inside(0.0, 3);
        assert!((0.90..=0.995).contains(&agreeing), "{agreeing}");
        assert!(inside(0.3, 4) < 0.2);
    }

    #[test]
    fn the_band_of_bars_holds_95_percent() {
        let quantity = Quantity::new("w", Noise::new(5).chains(4, 4000, 0.0)).unwrap();
        let row = &RankPlot::new(&[quantity], 100).unwrap().rows[0];
        let (low, high) = row.bar_band(0);
        let inside = (0..4).flat_map(|c| row.heights(c)).filter(|h| (low..=high).contains(h)).count();
        // 400 nearly independent bars: 380 expected, standard deviation 4.4.
        assert!((360..=398).contains(&inside), "{inside}");
    }

    #[test]
    fn settings_that_make_no_plot_are_refused() {
        let quantity = |chains| Quantity::new("w", chains).unwrap();
        let two = quantity(vec![vec![1.0; 30]; 2]);
        assert!(matches!(RankPlot::new(&[], 20), Err(PlotError::Empty { .. })));
        assert!(matches!(RankPlot::new(std::slice::from_ref(&two), 1), Err(PlotError::Setting { .. })));
        assert!(matches!(RankPlot::new(std::slice::from_ref(&two), 40), Err(PlotError::Length { .. })));
        assert!(matches!(RankPlot::new(&[quantity(vec![vec![1.0; 30]])], 20), Err(PlotError::Length { .. })));
        let plot = RankPlot::new(&[two], 20).unwrap();
        assert!(plot.svg(plot.size()).unwrap().contains("chain 1"));
        assert!(plot.clone().with_effective_draws(f64::NAN).is_err());
        let wide = plot.clone().with_effective_draws(5.0).unwrap();
        assert!(wide.rows[0].difference_band() > plot.rows[0].difference_band());
    }
}
