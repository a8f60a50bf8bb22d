//! Draw what diagnostics and predictions say: one file a plot, each a serialisable structure that draws itself.
//!
//! A plot is computed once from [`Draws`](ergodic_draws::Draws), [`Predictions`](ergodic_draws::Predictions) or plain series, holds
//! no more than the picture shows (traces are thinned without losing an extreme), and writes SVG and PNG with a font that
//! ships. What is not exact says so at the bottom of every picture.

mod autocorrelation;
mod calibration;
mod canvas;
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
mod raster;
mod save;
#[cfg(test)]
pub(crate) mod series;
pub mod style;
mod trace;

pub use autocorrelation::{AutocorrelationPanel, AutocorrelationPlot};
pub use calibration::{CoverageCurve, CoveragePlot, ReliabilityBin, ReliabilityCurve, ReliabilityPlot};
pub use canvas::{Anchor, Canvas, Font, Stroke};
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
pub use save::Plot;
pub use trace::{TracePlot, TraceRow};
