//! Draw energies: the distribution that a chain must explore beside the steps it takes in it.

use super::canvas::{Anchor, Canvas, Font, Stroke};
use super::density::mean_and_sd;
use super::legend::{Legend, Swatch, surround};
use super::panel::{Axes, LABEL_SPACE, Panel, TICK_SPACE};
use super::quantity::{range, widen};
use super::style::{INK, LABEL_SIZE, MARGIN, WARNING, series_color};
use super::{Density, Plot, PlotError, Quantity};
use ergodic_draws::Draws;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// E-BFMI below which momentum resampling explores the energy too slowly (Betancourt 2016; the threshold of CmdStan and ArviZ).
const LOW_BFMI: f64 = 0.3;
/// Height of a panel's title.
const TITLE_SPACE: f64 = 22.0;
/// Panels beside each other.
const COLUMNS: usize = 4;

/// Energies of Hamiltonian chains: the density of E − mean(E) and that of the steps E(n) − E(n−1).
///
/// Where the steps are much narrower than the energies, the chain moves through the energy by diffusion and explores tails slowly.
/// E-BFMI = mean((E(n) − E(n−1))²) / var(E), written into the legend, measures that; below 0.3 it is marked.
///
/// ```
/// use ergodic_diagnostics::plots::{EnergyPlot, Quantity};
/// let plot = EnergyPlot::new(&Quantity::new("energy", vec![vec![1.0, 2.0, 3.0, 4.0]])?)?;
/// assert!((plot.bfmi[0].unwrap() - 0.6).abs() < 1e-12);
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnergyPlot {
    /// A panel of all chains together, or one a chain.
    pub panels: Vec<EnergyPanel>,
    /// E-BFMI of every chain; `None` where the energy does not change.
    pub bfmi: Vec<Option<f64>>,
    /// What stands below results that are not exact.
    pub caveat: String,
}

/// What a panel of an energy plot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnergyPanel {
    /// Title; empty for all chains together.
    pub title: String,
    /// Density of E − mean(E), in nats.
    pub marginal: Density,
    /// Density of E(n) − E(n−1), in nats.
    pub transition: Density,
}

impl EnergyPlot {
    /// One panel of the energies of all chains.
    ///
    /// # Errors
    /// [`PlotError::Length`] when a chain has fewer than three draws.
    pub fn new(energy: &Quantity) -> Result<Self, PlotError> {
        check(energy)?;
        let (mean, _) = mean_and_sd(&energy.chains.concat());
        let steps: Vec<f64> = energy.chains.iter().flat_map(|chain| steps(chain)).collect();
        let panel = panel(String::new(), &energy.chains.concat(), mean, &steps);
        Ok(Self { panels: vec![panel], bfmi: bfmis(energy), caveat: energy.caveat.clone() })
    }

    /// One panel for every chain.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn per_chain(energy: &Quantity) -> Result<Self, PlotError> {
        check(energy)?;
        let of_chain = |(i, chain): (usize, &Vec<f64>)| panel(format!("chain {i}"), chain, mean_and_sd(chain).0, &steps(chain));
        let panels = energy.chains.iter().enumerate().map(of_chain).collect();
        Ok(Self { panels, bfmi: bfmis(energy), caveat: energy.caveat.clone() })
    }

    /// The statistic `energy` of the draws, all chains in one panel.
    ///
    /// # Errors
    /// [`PlotError::Missing`] when the method has no energy; otherwise as [`new`](Self::new).
    pub fn from_draws(draws: &Draws) -> Result<Self, PlotError> {
        let chains = draws.statistic("energy").ok_or_else(|| PlotError::Missing {
            name: draws.report.method.clone(),
            what: "the statistic 'energy'",
            advice: "only Hamiltonian samplers report one; draw traces or ranks instead",
        })?;
        Self::new(&Quantity::new("energy", chains)?.with_caveat(draws.caveat().unwrap_or_default()))
    }
}

fn check(energy: &Quantity) -> Result<(), PlotError> {
    match energy.chains.iter().map(Vec::len).find(|n| *n < 3) {
        Some(found) => Err(PlotError::Length { name: energy.name.clone(), what: "draws in a chain", expected: 3, found }),
        None => Ok(()),
    }
}

fn steps(chain: &[f64]) -> Vec<f64> {
    chain.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn panel(title: String, energies: &[f64], mean: f64, steps: &[f64]) -> EnergyPanel {
    let centred: Vec<f64> = energies.iter().map(|e| e - mean).collect();
    EnergyPanel { title, marginal: Density::new(&centred), transition: Density::new(steps) }
}

/// Mean squared step over variance (divisor n − 1), per chain.
fn bfmis(energy: &Quantity) -> Vec<Option<f64>> {
    let of_chain = |chain: &Vec<f64>| {
        let steps = steps(chain);
        let mean_square = steps.iter().map(|s| s * s).sum::<f64>() / steps.len() as f64;
        let variance = mean_and_sd(chain).1.powi(2);
        (variance > 0.0).then(|| mean_square / variance)
    };
    energy.chains.iter().map(of_chain).collect()
}

impl EnergyPlot {
    fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        legend.push(Swatch::Area(series_color(0), 0.55), "energy − mean");
        legend.push(Swatch::Area(series_color(1), 0.55), "energy step");
        let text = |(chain, bfmi): (usize, &Option<f64>)| match bfmi {
            Some(bfmi) if *bfmi < LOW_BFMI => format!("chain {chain}: {bfmi:.2} (low)"),
            Some(bfmi) => format!("chain {chain}: {bfmi:.2}"),
            None => format!("chain {chain}: undefined, constant energy"),
        };
        let of_chains: Vec<String> = self.bfmi.iter().enumerate().map(text).collect();
        if of_chains.len() <= 8 {
            let mut texts = of_chains.into_iter();
            legend.note(format!("E-BFMI  {}", texts.next().unwrap_or_default()));
            texts.for_each(|text| legend.note(text));
        } else {
            let (low, high) = range(self.bfmi.iter().flatten().copied());
            legend.note(format!("E-BFMI of {} chains: {low:.2} to {high:.2}", of_chains.len()));
        }
        legend
    }

    /// What is wrong, in words; empty if nothing is.
    fn warning(&self) -> String {
        match self.bfmi.iter().filter(|bfmi| bfmi.is_none_or(|b| b < LOW_BFMI)).count() {
            0 => String::new(),
            low => format!("E-BFMI below {LOW_BFMI} in {low} of {} chains: tails are explored slowly", self.bfmi.len()),
        }
    }
}

impl Plot for EnergyPlot {
    fn size(&self) -> (u32, u32) {
        let (columns, rows) = (self.panels.len().min(COLUMNS) as u32, self.panels.len().div_ceil(COLUMNS) as u32);
        if columns == 1 { (640, 380) } else { (120 + 240 * columns, (110 + 210 * rows).min(8000)) }
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let (mut top, bottom) = surround(canvas, "", &self.legend(), &self.caveat)?;
        let warning = self.warning();
        if !warning.is_empty() {
            let font = Font::new(LABEL_SIZE, WARNING);
            let warning = canvas.shortened(&warning, canvas.width() - 2.0 * MARGIN, font);
            canvas.text(&warning, (MARGIN, top + 10.0), Anchor::Left, font)?;
            top += 20.0;
        }
        let columns = self.panels.len().min(COLUMNS);
        let rows = self.panels.len().div_ceil(COLUMNS);
        let densities = || self.panels.iter().flat_map(|p| [&p.marginal, &p.transition]);
        let x = widen(range(densities().flat_map(|d| d.x.iter().copied())), 0.02);
        let highest = densities().map(Density::peak).fold(0.0, f64::max);
        let y = (0.0, if highest > 0.0 { 1.05 * highest } else { 1.0 });
        let (left, right) = (MARGIN + LABEL_SPACE, canvas.width() - MARGIN - 6.0);
        let (width, height) = ((right - left) / columns as f64, (bottom - LABEL_SPACE - top) / rows as f64);
        for (i, shown) in self.panels.iter().enumerate() {
            let (column, row) = (i % columns, i / columns);
            let title = if shown.title.is_empty() { 6.0 } else { TITLE_SPACE };
            let panel = Panel {
                left: left + column as f64 * width + 8.0,
                right: left + (column + 1) as f64 * width - 8.0,
                top: top + row as f64 * height + title,
                bottom: top + (row + 1) as f64 * height - TICK_SPACE,
                x,
                y,
            }
            .check(canvas)?;
            canvas.text(
                &canvas.shortened(&shown.title, panel.right - panel.left, Font::new(LABEL_SIZE, INK)),
                (panel.left, panel.top - 10.0),
                Anchor::Left,
                Font::new(LABEL_SIZE, INK),
            )?;
            let y_label = if column == 0 { "density" } else { "" };
            let x_label = if row + 1 == rows { "energy in nats" } else { "" };
            for (density, color) in [(&shown.marginal, series_color(0)), (&shown.transition, series_color(1))] {
                let zero = vec![0.0; density.density.len()];
                panel.band(canvas, &density.x, (&zero, &density.density), color, 0.35)?;
                let points: Vec<_> = match density.point_mass() {
                    Some(value) => vec![(value, 0.0), (value, y.1)],
                    None => density.x.iter().copied().zip(density.density.iter().copied()).collect(),
                };
                panel.line(canvas, points, Stroke::new(color, 1.5))?;
            }
            panel.axes(canvas, Axes { x_label, y_label, x_ticks: true, ..Axes::default() })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use ergodic_draws::{ChainDraws, Layout, Origin, RunReport};

    #[test]
    fn bfmi_is_two_for_independent_energies_and_low_for_slow_ones() {
        // For an autoregressive chain E-BFMI is 2 (1 − φ); the standard error over 20,000 draws is below 0.03.
        let mut noise = Noise::new(1);
        let energy =
            Quantity::new("energy", vec![noise.autoregressive(20_000, 0.0), noise.autoregressive(20_000, 0.9)]).unwrap();
        let plot = EnergyPlot::new(&energy).unwrap();
        assert!((plot.bfmi[0].unwrap() - 2.0).abs() < 0.1);
        assert!((plot.bfmi[1].unwrap() - 0.2).abs() < 0.05);
        let svg = plot.svg(plot.size()).unwrap();
        assert!(svg.contains("(low)") && svg.contains("1 of 2 chains"));
    }

    #[test]
    fn constant_energies_are_said_to_be_constant() {
        let energy = Quantity::new("energy", vec![vec![5.0; 20]; 2]).unwrap();
        for plot in [EnergyPlot::new(&energy).unwrap(), EnergyPlot::per_chain(&energy).unwrap()] {
            assert_eq!(plot.bfmi, vec![None, None]);
            assert!(plot.svg(plot.size()).unwrap().contains("constant energy"));
        }
    }

    #[test]
    fn per_chain_panels_have_names() {
        let energy = Quantity::new("energy", Noise::new(2).chains(5, 200, 0.3)).unwrap();
        let plot = EnergyPlot::per_chain(&energy).unwrap();
        assert!(plot.svg(plot.size()).unwrap().contains("chain 4"));
        assert!(matches!(EnergyPlot::new(&Quantity::new("e", vec![vec![1.0, 2.0]]).unwrap()), Err(PlotError::Length { .. })));
    }

    #[test]
    fn methods_without_energy_are_told_so() {
        let chain = ChainDraws::from_positions(1, vec![0.0; 10]);
        let draws = Draws::new(Layout::flat(1), Origin::Mcmc, vec![chain], RunReport::new("random_walk", 1));
        let error = EnergyPlot::from_draws(&draws).unwrap_err();
        assert!(error.to_string().contains("random_walk"), "{error}");
    }
}
