//! Draw autocorrelations: how long a chain remembers, per chain, against what an independent series shows.

use super::canvas::{Canvas, Stroke};
use super::density::mean_and_sd;
use super::grid::Grid;
use super::legend::Swatch;
use super::panel::Axes;
use super::quantity::{join_caveats, range, widen};
use super::style::{INK, REFERENCE, count, series_color};
use super::trace::chain_legend;
use super::{Plot, PlotError, Quantity};
use plotters::prelude::DrawingBackend;
use serde::Serialize;

/// Autocorrelations of quantities, a panel each, one line a chain.
///
/// ρ(t) = Σ (x(i) − x̄)(x(i+t) − x̄) / Σ (x(i) − x̄)², the biased estimate. The band ±1.96/√n holds 95 % of the values of an
/// independent series as long as the shortest chain.
///
/// ```
/// use ergodic_diagnostics::plots::{AutocorrelationPlot, Quantity};
/// let alternating = (0..100).map(|i| f64::from(i % 2)).collect();
/// let plot = AutocorrelationPlot::new(&[Quantity::new("w", vec![alternating])?], 10)?;
/// assert!((plot.panels[0].chains[0].as_ref().unwrap()[1] + 0.99).abs() < 1e-9);
/// # Ok::<(), ergodic_diagnostics::plots::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutocorrelationPlot {
    /// One panel a quantity.
    pub panels: Vec<AutocorrelationPanel>,
    /// What stands below results that are not exact.
    pub caveat: String,
}

/// Autocorrelations of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutocorrelationPanel {
    /// Name of the quantity.
    pub name: String,
    /// Autocorrelation at lags 0, 1, … of every chain; `None` for a constant chain, which has none.
    pub chains: Vec<Option<Vec<f64>>>,
    /// Number of draws of the shortest chain.
    pub num_draws: usize,
}

impl AutocorrelationPlot {
    /// Autocorrelations of `quantities` up to `max_lag` (100 serves well), or to the last lag that a chain has.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without quantities, [`PlotError::Setting`] for a `max_lag` of 0, [`PlotError::Length`] when a chain has
    /// fewer than three draws.
    pub fn new(quantities: &[Quantity], max_lag: usize) -> Result<Self, PlotError> {
        if quantities.is_empty() {
            return Err(PlotError::Empty { name: "autocorrelation".to_owned(), reason: "no quantity is selected" });
        }
        if max_lag == 0 {
            return Err(PlotError::Setting { setting: "max_lag", value: 0.0, advice: "choose 1 or more, such as 100" });
        }
        let panel = |quantity: &Quantity| {
            let num_draws = quantity.chains.iter().map(Vec::len).min().unwrap_or(0);
            if num_draws < 3 {
                let name = quantity.name.clone();
                return Err(PlotError::Length { name, what: "draws in a chain", expected: 3, found: num_draws });
            }
            let chains = quantity.chains.iter().map(|chain| autocorrelation(chain, max_lag)).collect();
            Ok(AutocorrelationPanel { name: quantity.name.clone(), chains, num_draws })
        };
        Ok(Self {
            panels: quantities.iter().map(panel).collect::<Result<_, _>>()?,
            caveat: join_caveats(quantities.iter().map(|q| q.caveat.as_str())),
        })
    }
}

impl AutocorrelationPanel {
    fn band(&self) -> f64 {
        1.96 / (self.num_draws as f64).sqrt()
    }

    /// Names the chains that have no autocorrelation; empty if there are none.
    fn note(&self) -> String {
        let constant: Vec<String> =
            self.chains.iter().enumerate().filter(|(_, c)| c.is_none()).map(|(i, _)| i.to_string()).collect();
        match constant.len() {
            0 => String::new(),
            1 => format!("chain {} is constant", constant[0]),
            n if n == self.chains.len() => "all chains are constant".to_owned(),
            _ => format!("chains {} are constant", constant.join(", ")),
        }
    }
}

/// Autocorrelation at lags 0 to `max_lag`; `None` where the series is constant to rounding.
fn autocorrelation(series: &[f64], max_lag: usize) -> Option<Vec<f64>> {
    let (mean, sd) = mean_and_sd(series);
    if sd <= 1e-12 * mean.abs() || !sd.is_finite() {
        return None;
    }
    let scaled: Vec<f64> = series.iter().map(|x| (x - mean) / sd).collect();
    let mut values = crate::autocorrelation(&scaled);
    values.truncate(max_lag.saturating_add(1));
    Some(values)
}

impl Plot for AutocorrelationPlot {
    fn size(&self) -> (u32, u32) {
        Grid::size(self.panels.len())
    }

    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError> {
        let chains = self.panels.iter().map(|p| p.chains.len()).max().unwrap_or(0);
        let mut legend = chain_legend(chains, 2.0);
        let (fewest, most) = range(self.panels.iter().map(|p| p.num_draws as f64));
        let of = if fewest == most { format!(", {} draws", count(fewest as usize)) } else { String::new() };
        legend.push(Swatch::Area(REFERENCE, 0.3), format!("95 % of an independent series{of}"));
        let values = || self.panels.iter().flat_map(|p| p.chains.iter().flatten());
        let lags = values().map(Vec::len).max().unwrap_or(2);
        let widest = self.panels.iter().map(AutocorrelationPanel::band).fold(0.0, f64::max);
        let (low, _) = range(values().flatten().copied().chain([-widest]));
        let grid = Grid {
            titles: self.panels.iter().map(|p| (p.name.as_str(), p.note())).collect(),
            x: widen((0.0, (lags.max(2) - 1) as f64), 0.02),
            y: (1.08 * low, 1.05),
        };
        for (shown, cell) in self.panels.iter().zip(grid.cells(canvas, &legend, &self.caveat)?) {
            let panel = cell.panel;
            panel.bar(canvas, panel.x, (-shown.band(), shown.band()), REFERENCE, 0.3)?;
            panel.line(canvas, [(panel.x.0, 0.0), (panel.x.1, 0.0)], Stroke::new(INK, 0.7))?;
            for (chain, values) in shown.chains.iter().enumerate() {
                let points = values.iter().flatten().enumerate().map(|(lag, value)| (lag as f64, *value));
                panel.line(canvas, points, Stroke::new(series_color(chain), 1.4).opacity(0.9))?;
            }
            let x_label = if cell.lowest { "lag" } else { "" };
            let y_label = if cell.first { "autocorrelation" } else { "" };
            panel.axes(
                canvas,
                Axes { x_label, y_label, x_ticks: true, y_ticks: cell.first, whole_x: true, ..Axes::default() },
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    #[test]
    fn an_autoregressive_chain_has_powers_of_its_coefficient() {
        // Standard error of ρ over 50,000 draws below 0.015.
        let rho = autocorrelation(&Noise::new(1).autoregressive(50_000, 0.8), 10).unwrap();
        for (lag, value) in rho.iter().enumerate() {
            assert!((value - 0.8_f64.powi(lag as i32)).abs() < 0.05, "lag {lag}: {value}");
        }
    }

    #[test]
    fn independent_draws_stay_in_the_band() {
        let quantity = Quantity::new("w", Noise::new(2).chains(4, 1000, 0.0)).unwrap();
        let panel = &AutocorrelationPlot::new(&[quantity], 100).unwrap().panels[0];
        let outside = panel.chains.iter().flatten().flat_map(|c| &c[1..]).filter(|v| v.abs() > panel.band()).count();
        // 400 values, 20 expected, standard deviation 4.4.
        assert!((4..=38).contains(&outside), "{outside}");
    }

    #[test]
    fn constant_and_short_chains_are_named() {
        let mut noise = Noise::new(3);
        let quantity =
            Quantity::new("w", vec![noise.autoregressive(50, 0.1), vec![2.0; 50], noise.autoregressive(9, 0.1)]).unwrap();
        let plot = AutocorrelationPlot::new(&[quantity], 40).unwrap();
        assert_eq!(plot.panels[0].chains[1], None);
        assert_eq!(plot.panels[0].chains[2].as_ref().unwrap().len(), 9);
        assert!(plot.svg(plot.size()).unwrap().contains("chain 1 is constant"));
        let constant = Quantity::new("c", vec![vec![0.1 + 0.2; 30]; 2]).unwrap();
        let plot = AutocorrelationPlot::new(&[constant], 40).unwrap();
        assert!(plot.svg(plot.size()).unwrap().contains("all chains are constant"));
        let short = Quantity::new("s", vec![vec![1.0, 2.0]]).unwrap();
        assert!(matches!(AutocorrelationPlot::new(std::slice::from_ref(&short), 5), Err(PlotError::Length { .. })));
        assert!(matches!(AutocorrelationPlot::new(&[short], 0), Err(PlotError::Setting { .. })));
        assert!(matches!(AutocorrelationPlot::new(&[], 5), Err(PlotError::Empty { .. })));
    }
}
