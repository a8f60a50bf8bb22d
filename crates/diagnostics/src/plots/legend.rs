//! Explain colours in rows of a legend, and write titles and caveats around panels.

use super::PlotError;
use super::canvas::{Anchor, Canvas, Font, Stroke};
use super::style::{INK, MARGIN, SMALL_SIZE, TITLE_SIZE, WARNING};
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

/// Height of a row of a legend.
const ROW: f64 = 17.0;
/// Width of what stands before an entry's text.
const SWATCH: f64 = 18.0;
/// Space between text and the next entry.
const GAP: f64 = 16.0;

/// What stands before a text of a legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    /// A piece of a line.
    Line(Stroke),
    /// A filled box with its opacity.
    Area(RGBColor, f64),
    /// A dot, filled or not.
    Dot(RGBColor, bool),
    /// A short upright line, as in a rug.
    Rug(RGBColor),
}

/// Entries of a legend, placed in as many rows as they need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Legend {
    entries: Vec<(Option<Swatch>, String)>,
}

impl Legend {
    /// Adds an entry.
    pub fn push(&mut self, swatch: Swatch, text: impl Into<String>) {
        self.entries.push((Some(swatch), text.into()));
    }

    /// Adds a text without a swatch.
    pub fn note(&mut self, text: impl Into<String>) {
        self.entries.push((None, text.into()));
    }

    fn font() -> Font {
        Font::new(SMALL_SIZE, INK)
    }

    /// Left edge and row of every entry.
    fn places<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, width: f64) -> Vec<(f64, usize, String)> {
        let (mut x, mut row) = (0.0, 0);
        let mut places = Vec::with_capacity(self.entries.len());
        for (swatch, text) in &self.entries {
            let before = if swatch.is_some() { SWATCH } else { 0.0 };
            let text = canvas.shortened(text, width - before, Self::font());
            let needed = before + canvas.text_width(&text, Self::font());
            if x > 0.0 && x + needed > width {
                x = 0.0;
                row += 1;
            }
            places.push((x, row, text));
            x += needed + GAP;
        }
        places
    }

    /// Height that the legend takes at `width`; 0 without entries.
    #[must_use]
    pub fn height<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, width: f64) -> f64 {
        self.places(canvas, width).last().map_or(0.0, |(_, row, _)| (*row + 1) as f64 * ROW)
    }

    /// Draws the legend with its upper left corner at `(left, top)`.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        (left, top): (f64, f64),
        width: f64,
    ) -> Result<(), PlotError> {
        for ((swatch, _), (x, row, text)) in self.entries.iter().zip(self.places(canvas, width)) {
            let (x, y) = (left + x, top + (row as f64 + 0.5) * ROW);
            match *swatch {
                Some(Swatch::Line(stroke)) => canvas.line(&[(x, y), (x + 13.0, y)], stroke)?,
                Some(Swatch::Area(color, opacity)) => canvas.rectangle((x, y - 4.5), (x + 13.0, y + 4.5), color, opacity)?,
                Some(Swatch::Dot(color, filled)) => canvas.dot((x + 6.5, y), 3.0, Stroke::new(color, 1.2), filled)?,
                Some(Swatch::Rug(color)) => canvas.line(&[(x + 6.5, y - 4.5), (x + 6.5, y + 4.5)], Stroke::new(color, 1.2))?,
                None => {}
            }
            let before = if swatch.is_some() { SWATCH } else { 0.0 };
            canvas.text(&text, (x + before, y), Anchor::Left, Self::font())?;
        }
        Ok(())
    }
}

/// What remains for panels after title, legend and caveat are drawn: the upper and the lower edge.
pub(super) fn surround<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    title: &str,
    legend: &Legend,
    caveat: &str,
) -> Result<(f64, f64), PlotError> {
    let width = canvas.width() - 2.0 * MARGIN;
    let mut top = MARGIN;
    if !title.is_empty() {
        let font = Font::new(TITLE_SIZE, INK).bold();
        canvas.text(&canvas.shortened(title, width, font), (MARGIN, top + 6.0), Anchor::Left, font)?;
        top += 20.0;
    }
    legend.draw(canvas, (MARGIN, top), width)?;
    let height = legend.height(canvas, width);
    top += if height > 0.0 { height + 5.0 } else { 0.0 };
    let mut bottom = canvas.height() - MARGIN;
    if !caveat.is_empty() {
        let font = Font::new(SMALL_SIZE, WARNING);
        let lines: Vec<String> = caveat.lines().flat_map(|line| canvas.wrapped(line, width, font)).collect();
        bottom -= 15.0 * lines.len() as f64;
        for (i, line) in lines.iter().enumerate() {
            canvas.text(line, (MARGIN, bottom + 8.0 + 15.0 * i as f64), Anchor::Left, font)?;
        }
        bottom -= 4.0;
    }
    Ok((top, bottom))
}
