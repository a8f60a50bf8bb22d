//! Place panels with titles side by side, in rows, with one shared vertical axis.

use super::PlotError;
use super::canvas::{Anchor, Canvas, Font};
use super::legend::{Legend, surround};
use super::panel::{LABEL_SPACE, OVERHANG, Panel, TICK_SPACE};
use super::style::{INK, LABEL_SIZE, MARGIN, SMALL_SIZE, SOFT_INK};
use plotters::prelude::DrawingBackend;

/// Most panels beside each other.
const COLUMNS: usize = 4;
/// Height of a line of a title.
const TITLE_LINE: f64 = 16.0;
/// Space between panels.
const GAP: f64 = 2.0 * OVERHANG;

/// Panels of one kind, one a method.
pub(super) struct Grid<'a> {
    /// Title and further lines of every panel; a line that is empty everywhere takes no room.
    pub titles: Vec<(&'a str, String)>,
    /// Ranges of the data, the same for all panels.
    pub x: (f64, f64),
    /// Range of the shared vertical axis.
    pub y: (f64, f64),
}

/// Where a panel is, and which of its axes are labelled.
pub(super) struct Cell {
    pub panel: Panel,
    /// Whether it is the first of its row, which has the numbers of the vertical axis.
    pub first: bool,
    /// Whether no panel stands below it.
    pub lowest: bool,
}

impl Grid<'_> {
    fn shape(count: usize) -> (usize, usize) {
        (count.clamp(1, COLUMNS), count.div_ceil(COLUMNS))
    }

    /// Natural size for `count` panels.
    pub(super) fn size(count: usize) -> (u32, u32) {
        let (columns, rows) = Self::shape(count);
        let width = match columns {
            1 => 640,
            2 => 760,
            more => 120 + 240 * more as u32,
        };
        (width, (110 + 240 * rows as u32).min(8000))
    }

    /// Draws titles, legend and caveat, and says where the panels are.
    pub(super) fn cells<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        legend: &Legend,
        caveat: &str,
    ) -> Result<Vec<Cell>, PlotError> {
        let (top, bottom) = surround(canvas, "", legend, caveat)?;
        let count = self.titles.len();
        let (columns, rows) = Self::shape(count);
        let (x, y) = (self.x, self.y);
        let height = (bottom - LABEL_SPACE - top) / rows as f64;
        let has_title = self.titles.iter().any(|t| !t.0.is_empty());
        // The numbers of the axis are measured at the largest height that panels can have.
        let tall = Panel { left: 0.0, right: 100.0, top: 0.0, bottom: height - TICK_SPACE, x, y };
        let left = MARGIN + LABEL_SPACE + tall.y_tick_space(canvas);
        let width = (canvas.width() - MARGIN - 6.0 - left + GAP) / columns as f64;
        let font = Font::new(SMALL_SIZE, SOFT_INK);
        let seconds: Vec<Vec<String>> = self
            .titles
            .iter()
            .map(|t| t.1.lines().flat_map(|line| canvas.wrapped(line, width - 4.0, font)).collect())
            .collect();
        let lines = seconds.iter().map(Vec::len).max().unwrap_or(0) + usize::from(has_title);
        let title_space = TITLE_LINE * lines as f64 + 8.0;
        let place = |(i, (title, second)): (usize, (&(&str, String), &Vec<String>))| {
            let (column, row) = (i % columns, i / columns);
            let panel_left = left + column as f64 * width;
            let panel_top = top + row as f64 * height + title_space;
            let panel = Panel {
                left: panel_left,
                right: panel_left + width - GAP,
                top: panel_top,
                bottom: panel_top - title_space + height - TICK_SPACE,
                x,
                y,
            };
            let panel = panel.check(canvas)?;
            let mut line = panel.top - title_space + TITLE_LINE / 2.0;
            let room = panel.right - panel.left;
            if has_title {
                let font = Font::new(LABEL_SIZE, INK).bold();
                canvas.text(&canvas.shortened(title.0, room, font), (panel.left, line), Anchor::Left, font)?;
                line += TITLE_LINE;
            }
            for text in second {
                canvas.text(text, (panel.left, line), Anchor::Left, font)?;
                line += TITLE_LINE;
            }
            Ok(Cell { panel, first: column == 0, lowest: i + columns >= count })
        };
        self.titles.iter().zip(&seconds).enumerate().map(place).collect()
    }
}

/// Ranges of a panel's horizontal and vertical axis.
pub(super) type Ranges = ((f64, f64), (f64, f64));

/// Panels beside each other between `top` and `bottom`, each with its own ranges (x, y), axes and labels.
pub(super) fn beside<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    (top, bottom): (f64, f64),
    ranges: &[Ranges],
    square: bool,
) -> Result<Vec<Panel>, PlotError> {
    let width = (canvas.width() - 2.0 * MARGIN) / ranges.len().max(1) as f64;
    let bottom = bottom - TICK_SPACE - LABEL_SPACE;
    let place = |(i, &(x, y)): (usize, &Ranges)| {
        let edge = MARGIN + i as f64 * width;
        let panel = Panel { left: edge, top: top + 6.0, right: edge + width - OVERHANG, bottom, x, y };
        Panel { left: edge + LABEL_SPACE + panel.y_tick_space(canvas), ..panel }
    };
    let mut panels: Vec<Panel> = ranges.iter().enumerate().map(place).collect();
    if square {
        let side = panels.iter().map(|p| (p.right - p.left).min(p.bottom - p.top)).fold(f64::INFINITY, f64::min);
        for panel in &mut panels {
            (panel.right, panel.bottom) = (panel.left + side, panel.top + side);
        }
    }
    panels.into_iter().map(|panel| panel.check(canvas)).collect()
}

/// Natural size of two square panels with a legend above and caveats below.
pub(super) fn square_pair_size<'a>(caveats: impl ExactSizeIterator<Item = &'a str>) -> (u32, u32) {
    let legend_rows = caveats.len().div_ceil(3) as u32 + 1;
    (840, 410 + 17 * legend_rows + 15 * caveats.filter(|c| !c.is_empty()).count() as u32)
}

/// The caveats of several methods, a line each; one line without names if they all say the same.
pub(super) fn caveat_lines<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let named: Vec<_> = named.collect();
    match named.first() {
        Some((_, first)) if named.iter().all(|(_, caveat)| caveat == first) => (*first).to_owned(),
        _ => {
            let lines = named.iter().filter(|(_, caveat)| !caveat.is_empty());
            lines.map(|(name, caveat)| format!("{name}: {caveat}")).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Every how-manieth of `count` things is drawn so that there are at most `most`.
pub(super) fn stride(count: usize, most: usize) -> usize {
    count.div_ceil(most.max(1)).max(1)
}
