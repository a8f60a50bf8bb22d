//! Draw what diagnostics and predictions say: one file a plot, each a serialisable structure that draws itself.
//!
//! A plot is computed once from [`Draws`](ergodic_draws::Draws), [`Predictions`](ergodic_draws::Predictions) or plain series, holds
//! no more than the picture shows (traces are thinned without losing an extreme), and writes SVG and PNG with a font that
//! ships. What is not exact says so at the bottom of every picture.
//!
//! ```
//! use ergodic_diagnostics::plots::{Plot, Quantity, RankPlot, TracePlot};
//! let chains = vec![vec![0.1, 0.4, 0.2, 0.3], vec![0.2, 0.3, 0.1, 0.5]];
//! let quantities = [Quantity::new("tau", chains)?];
//! let folder = tempfile::tempdir()?;
//! TracePlot::new(&quantities, &[])?.save(folder.path().join("trace"))?; // trace.svg and trace.png
//! RankPlot::new(&quantities, 2)?.save(folder.path().join("rank.svg"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A plot of one's own holds its data and implements [`Plot`]: its natural size, and how to paint it on a [`Canvas`], for which
//! [`Panel`] and [`Legend`] help.

mod autocorrelation;
mod canvas;
mod coverage;
mod decimate;
mod density;
mod energy;
mod error;
#[cfg(test)]
mod extremes;
mod grid;
mod intervals;
mod legend;
mod objective;
mod panel;
mod predictive;
mod quantity;
mod rank;
mod ranks;
mod raster;
mod reliability;
mod save;
#[cfg(test)]
pub(crate) mod series;
pub mod style;
mod trace;

pub use autocorrelation::{AutocorrelationPanel, AutocorrelationPlot};
pub use canvas::{Anchor, Canvas, Font, Stroke};
pub use coverage::{CoverageCurve, CoveragePlot};
pub use decimate::Decimated;
pub use density::Density;
pub use energy::{EnergyPanel, EnergyPlot};
pub use error::PlotError;
pub use intervals::{Interval, IntervalsPanel, PredictiveIntervals};
pub use legend::{Legend, Swatch};
pub use objective::{ObjectivePlot, ObjectiveSeries};
pub use panel::{Axes, Panel};
pub use predictive::{Band, BandsPanel, PredictiveBands};
pub use quantity::Quantity;
pub use rank::{RankPlot, RankRow};
pub use reliability::{ReliabilityBin, ReliabilityCurve, ReliabilityPlot};
pub use save::Plot;
pub use trace::{TracePlot, TraceRow};
