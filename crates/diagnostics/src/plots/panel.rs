//! Map data to a rectangle of a canvas, with axes, and cut what lies outside.

use super::PlotError;
use super::canvas::{Anchor, Canvas, Font, Stroke};
use super::style::{GRID, INK, LABEL_SIZE, SMALL_SIZE, SOFT_INK, tick_labels, ticks};
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

/// Height that tick labels below a panel take, and that an axis label takes.
pub(super) const TICK_SPACE: f64 = 20.0;
/// How far numbers below a panel may stand out on both sides; panels beside each other keep twice that distance.
pub(super) const OVERHANG: f64 = 13.0;
/// Height of an axis label, also of an upward one's width.
pub(super) const LABEL_SPACE: f64 = 18.0;

/// A rectangle in units and the ranges of data that it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Panel {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Lower edge.
    pub bottom: f64,
    /// Data at the left and right edge.
    pub x: (f64, f64),
    /// Data at the lower and upper edge.
    pub y: (f64, f64),
}

/// Which parts of the axes are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Axes<'a> {
    /// Label below; none when empty.
    pub x_label: &'a str,
    /// Label on the left, reading upwards; none when empty.
    pub y_label: &'a str,
    /// Whether numbers stand below.
    pub x_ticks: bool,
    /// Whether numbers stand on the left.
    pub y_ticks: bool,
    /// Whether ticks are at whole numbers only.
    pub whole_x: bool,
    /// Whether light lines mark the ticks of the vertical axis.
    pub grid: bool,
}

impl Panel {
    /// Refuses a panel that is too small to read.
    ///
    /// # Errors
    /// [`PlotError::TooSmall`] with the size of the canvas.
    pub fn check<DB: DrawingBackend>(self, canvas: &Canvas<'_, DB>) -> Result<Self, PlotError> {
        if self.right - self.left < 20.0 || self.bottom - self.top < 12.0 {
            let advice = "make it larger, or show fewer quantities or panels at once";
            return Err(PlotError::TooSmall { width: canvas.width(), height: canvas.height(), advice });
        }
        Ok(self)
    }

    /// Position of data on the canvas.
    #[must_use]
    pub fn place(&self, x: f64, y: f64) -> (f64, f64) {
        // Halves first, so that ranges near the largest number do not overflow.
        let share = |v: f64, (low, high): (f64, f64)| (v / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        (self.left + share(x, self.x) * (self.right - self.left), self.bottom - share(y, self.y) * (self.bottom - self.top))
    }

    /// Ticks and labels of the vertical axis.
    fn y_ticks(&self) -> (Vec<f64>, Vec<String>) {
        let count = ((self.bottom - self.top) / 34.0).floor().clamp(2.0, 7.0) as usize;
        let ticks = ticks(self.y.0, self.y.1, count);
        let labels = tick_labels(&ticks);
        (ticks, labels)
    }

    /// Width that the numbers on the left need.
    #[must_use]
    pub fn y_tick_space<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> f64 {
        let font = Font::new(SMALL_SIZE, SOFT_INK);
        self.y_ticks().1.iter().fold(0.0, |w, label| canvas.text_width(label, font).max(w)) + 8.0
    }

    /// Ticks of the horizontal axis, as many as their labels leave room for.
    fn x_ticks<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, whole: bool) -> (Vec<f64>, Vec<String>) {
        let font = Font::new(SMALL_SIZE, SOFT_INK);
        let most = ((self.right - self.left) / 55.0).floor().clamp(2.0, 8.0) as usize;
        for count in (1..=most).rev() {
            let mut ticks = ticks(self.x.0, self.x.1, count);
            if whole {
                ticks.retain(|t| t.fract() == 0.0);
            }
            let labels = tick_labels(&ticks);
            let ends: Vec<(f64, f64)> = ticks
                .iter()
                .zip(&labels)
                .map(|(&t, label)| {
                    let (x, half) = (self.place(t, 0.0).0, canvas.text_width(label, font) / 2.0);
                    (x - half, x + half)
                })
                .collect();
            if ends.windows(2).all(|pair| pair[0].1 + 8.0 < pair[1].0) || count == 1 {
                // What would be cut off by the edge of the picture or run into a neighbour, in this panel or beside it, is left out.
                let mut free = (self.left - OVERHANG).max(2.0);
                let end = (self.right + OVERHANG).min(canvas.width() - 2.0);
                let fits = |&(left, right): &(f64, f64)| {
                    let fits = left >= free && right <= end;
                    if fits {
                        free = right + 4.0;
                    }
                    fits
                };
                let kept: Vec<bool> = ends.iter().map(fits).collect();
                return ticks.into_iter().zip(labels).zip(kept).filter(|(_, kept)| *kept).map(|(tick, _)| tick).unzip();
            }
        }
        (Vec::new(), Vec::new())
    }

    /// Draws spines, ticks, numbers and labels.
    ///
    /// # Errors
    /// [`PlotError::Backend`], as all that draws.
    pub fn axes<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, axes: Axes<'_>) -> Result<(), PlotError> {
        let font = Font::new(SMALL_SIZE, SOFT_INK);
        let spine = Stroke::new(SOFT_INK, 0.8);
        if axes.y_ticks || axes.grid {
            let (values, labels) = self.y_ticks();
            for (value, label) in values.iter().zip(&labels) {
                let y = self.place(0.0, *value).1;
                if axes.grid {
                    canvas.line(&[(self.left, y), (self.right, y)], Stroke::new(GRID, 0.6))?;
                }
                if axes.y_ticks {
                    canvas.line(&[(self.left - 3.0, y), (self.left, y)], spine)?;
                    canvas.text(label, (self.left - 5.5, y), Anchor::Right, font)?;
                }
            }
        }
        if axes.x_ticks {
            let (values, labels) = self.x_ticks(canvas, axes.whole_x);
            for (value, label) in values.iter().zip(&labels) {
                let x = self.place(*value, 0.0).0;
                canvas.line(&[(x, self.bottom), (x, self.bottom + 3.0)], spine)?;
                canvas.text(label, (x, self.bottom + 11.0), Anchor::Middle, font)?;
            }
        }
        canvas.line(&[(self.left, self.bottom), (self.right, self.bottom)], spine)?;
        if axes.y_ticks {
            canvas.line(&[(self.left, self.top), (self.left, self.bottom)], spine)?;
        }
        let font = Font::new(LABEL_SIZE, INK);
        if !axes.x_label.is_empty() {
            let below = if axes.x_ticks { TICK_SPACE } else { 4.0 };
            let label = canvas.shortened(axes.x_label, self.right - self.left, font);
            canvas.text(&label, ((self.left + self.right) / 2.0, self.bottom + below + 8.0), Anchor::Middle, font)?;
        }
        if !axes.y_label.is_empty() {
            let beside = if axes.y_ticks { self.y_tick_space(canvas) } else { 4.0 };
            let label = canvas.shortened(axes.y_label, self.bottom - self.top + 20.0, font);
            let font = Font { upward: true, ..font };
            canvas.text(&label, (self.left - beside - 8.0, (self.top + self.bottom) / 2.0), Anchor::Middle, font)?;
        }
        Ok(())
    }

    /// A line through data, cut at the panel's edges.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn line<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        points: impl IntoIterator<Item = (f64, f64)>,
        stroke: Stroke,
    ) -> Result<(), PlotError> {
        let placed: Vec<_> = points.into_iter().map(|(x, y)| self.place(x, y)).collect();
        self.inside(&placed).iter().try_for_each(|piece| canvas.line(piece, stroke))
    }

    /// The pieces of a polyline (in units) that lie in the panel.
    fn inside(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut open = false;
        for pair in points.windows(2) {
            let Some((from, to)) = self.cut(pair[0], pair[1]) else {
                open = false;
                continue;
            };
            match pieces.last_mut() {
                Some(piece) if open => piece.push(to),
                _ => pieces.push(vec![from, to]),
            }
            open = to == pair[1];
        }
        pieces
    }

    /// The part of a segment that lies in the panel (Liang and Barsky 1984).
    fn cut(&self, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (x1 - x0, y1 - y0);
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        for (speed, distance) in [(-dx, x0 - self.left), (dx, self.right - x0), (-dy, y0 - self.top), (dy, self.bottom - y0)] {
            // Half a unit beyond the edge still counts: lines along the edge are drawn whole.
            let distance = distance + 0.5;
            if speed == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if speed < 0.0 {
                enter = enter.max(distance / speed);
            } else {
                leave = leave.min(distance / speed);
            }
        }
        let at = |t: f64| (x0 + t * dx, y0 + t * dy);
        // The end itself, not its rounded image, so that neighbouring segments join.
        (enter <= leave)
            .then(|| (if enter > 0.0 { at(enter) } else { (x0, y0) }, if leave < 1.0 { at(leave) } else { (x1, y1) }))
    }

    /// The area between two curves over the same abscissae, cut at the panel's edges.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn band<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        x: &[f64],
        (lower, upper): (&[f64], &[f64]),
        color: RGBColor,
        opacity: f64,
    ) -> Result<(), PlotError> {
        let corner = |(&x, &y): (&f64, &f64)| {
            let (x, y) = self.place(x, y);
            (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
        };
        let corners: Vec<_> = x.iter().zip(lower).map(corner).chain(x.iter().zip(upper).rev().map(corner)).collect();
        canvas.polygon(&corners, color, opacity)
    }

    /// A bar from `low` to `high` over `x.0..x.1`, cut at the panel's edges.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn bar<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        x: (f64, f64),
        (low, high): (f64, f64),
        color: RGBColor,
        opacity: f64,
    ) -> Result<(), PlotError> {
        let corner = |x: f64, y: f64| {
            let (x, y) = self.place(x, y);
            (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
        };
        canvas.rectangle(corner(x.0, low), corner(x.1, high), color, opacity)
    }

    /// Whether a point of the data lies in the panel.
    #[must_use]
    pub fn contains(&self, x: f64, y: f64) -> bool {
        (self.x.0..=self.x.1).contains(&x) && (self.y.0..=self.y.1).contains(&y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel { left: 10.0, top: 20.0, right: 110.0, bottom: 70.0, x: (0.0, 1.0), y: (0.0, 10.0) }
    }

    #[test]
    fn data_lands_where_the_ranges_say() {
        assert_eq!(panel().place(0.0, 0.0), (10.0, 70.0));
        assert_eq!(panel().place(1.0, 10.0), (110.0, 20.0));
        let wide = Panel { y: (-f64::MAX, f64::MAX), ..panel() };
        assert_eq!(wide.place(0.5, 0.0), (60.0, 45.0));
    }

    #[test]
    fn lines_are_cut_at_the_edges_and_joined_inside() {
        let panel = panel();
        let zigzag: Vec<_> =
            [(0.0, 5.0), (0.2, 50.0), (0.4, 5.0), (0.6, 4.0)].iter().map(|&(x, y)| panel.place(x, y)).collect();
        let pieces = panel.inside(&zigzag);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1].len(), 3);
        assert!(pieces.iter().flatten().all(|&(_, y)| (19.4..=70.6).contains(&y)), "{pieces:?}");
        assert!(panel.inside(&[(0.0, 0.0), (200.0, 5.0)]).is_empty());
    }
}
