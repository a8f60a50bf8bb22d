//! Draw lines, shapes and text in units that do not depend on the picture's resolution.

use super::PlotError;
use super::style::{FONT_FAMILY, register_fonts};
use plotters::coord::Shift;
use plotters::prelude::{Circle, DrawingArea, DrawingBackend, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub color: RGBColor,
    /// Width in units.
    pub width: f64,
    /// Opacity between 0 and 1.
    pub opacity: f64,
    /// Lengths in units of dash and gap; `None` for a solid line.
    pub dash: Option<(f64, f64)>,
}

impl Stroke {
    /// A solid opaque line.
    #[must_use]
    pub fn new(color: RGBColor, width: f64) -> Self {
        Self { color, width, opacity: 1.0, dash: None }
    }

    /// The same line, translucent.
    #[must_use]
    pub fn opacity(mut self, opacity: f64) -> Self {
        self.opacity = opacity;
        self
    }

    /// The same line, dashed.
    #[must_use]
    pub fn dashed(mut self) -> Self {
        self.dash = Some((5.0, 3.0));
        self
    }
}

/// Which point of a text its coordinates mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its left end.
    Left,
    /// Its middle.
    Middle,
    /// Its right end.
    Right,
}

/// How a text looks and which way it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Font {
    /// Size in units.
    pub size: f64,
    /// Colour.
    pub color: RGBColor,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it reads upwards.
    pub upward: bool,
}

impl Font {
    /// Regular, horizontal text.
    #[must_use]
    pub fn new(size: f64, color: RGBColor) -> Self {
        Self { size, color, bold: false, upward: false }
    }

    /// The same text in bold.
    #[must_use]
    pub fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    fn description(self, scale: f64) -> FontDesc<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        // plotters writes sizes divided by 1.24 into an SVG.
        FontDesc::new(FontFamily::Name(FONT_FAMILY), self.size * 1.24 * scale, style)
    }
}

/// A drawing area of any plotters backend, measured in units from its upper left corner.
pub struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// A canvas on `area` with `scale` backend pixels per unit.
    ///
    /// # Errors
    /// [`PlotError::Setting`] unless `scale` is positive and finite; [`PlotError::Backend`] when the font cannot be registered.
    pub fn new(area: &'a DrawingArea<DB, Shift>, scale: f64) -> Result<Self, PlotError> {
        register_fonts()?;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(PlotError::Setting {
                setting: "scale",
                value: scale,
                advice: "choose a positive number of pixels per unit",
            });
        }
        Ok(Self { area, scale })
    }

    /// Width in units.
    #[must_use]
    pub fn width(&self) -> f64 {
        f64::from(self.area.dim_in_pixel().0) / self.scale
    }

    /// Height in units.
    #[must_use]
    pub fn height(&self) -> f64 {
        f64::from(self.area.dim_in_pixel().1) / self.scale
    }

    fn pixel(&self, (x, y): (f64, f64)) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn stroke_width(&self, width: f64) -> u32 {
        (width * self.scale).round().max(1.0) as u32
    }

    /// Paints everything white.
    ///
    /// # Errors
    /// [`PlotError::Backend`], as all that draws.
    pub fn clear(&self) -> Result<(), PlotError> {
        self.area.fill(&plotters::style::WHITE).map_err(backend)
    }

    /// A line through `points`.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn line(&self, points: &[(f64, f64)], stroke: Stroke) -> Result<(), PlotError> {
        let style = stroke.color.mix(stroke.opacity).stroke_width(self.stroke_width(stroke.width));
        let draw = |points: &[(f64, f64)]| -> Result<(), PlotError> {
            let mut pixels: Vec<_> = points.iter().map(|&p| self.pixel(p)).collect();
            pixels.dedup();
            if pixels.len() < 2 {
                return Ok(());
            }
            self.area.draw(&PathElement::new(pixels, style)).map_err(backend)
        };
        match stroke.dash {
            None => draw(points),
            Some((dash, gap)) => dashes(points, dash, gap).iter().try_for_each(|piece| draw(piece)),
        }
    }

    /// A filled polygon.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn polygon(&self, corners: &[(f64, f64)], color: RGBColor, opacity: f64) -> Result<(), PlotError> {
        let pixels: Vec<_> = corners.iter().map(|&p| self.pixel(p)).collect();
        if pixels.len() < 3 {
            return Ok(());
        }
        self.area.draw(&Polygon::new(pixels, color.mix(opacity))).map_err(backend)
    }

    /// A filled rectangle between two opposite corners; at least one pixel wide and high.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn rectangle(&self, a: (f64, f64), b: (f64, f64), color: RGBColor, opacity: f64) -> Result<(), PlotError> {
        let (p, q) = (self.pixel((a.0.min(b.0), a.1.min(b.1))), self.pixel((a.0.max(b.0), a.1.max(b.1))));
        let q = (q.0.max(p.0 + 1), q.1.max(p.1 + 1));
        self.area.draw(&Rectangle::new([p, q], color.mix(opacity).filled())).map_err(backend)
    }

    /// A dot, filled or only outlined.
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn dot(&self, center: (f64, f64), radius: f64, stroke: Stroke, filled: bool) -> Result<(), PlotError> {
        let mut style = stroke.color.mix(stroke.opacity).stroke_width(self.stroke_width(stroke.width));
        style.filled = filled;
        let radius = (radius * self.scale).round().max(1.0) as i32;
        self.area.draw(&Circle::new(self.pixel(center), radius, style)).map_err(backend)
    }

    /// One line of text; `y` is the middle of its capital letters (for upward text: `x` is).
    ///
    /// # Errors
    /// [`PlotError::Backend`].
    pub fn text(&self, text: &str, (x, y): (f64, f64), anchor: Anchor, font: Font) -> Result<(), PlotError> {
        // Characters that no XML document may hold become visible instead.
        let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        let clean: String = text.chars().map(|c| if forbidden(c) { '\u{fffd}' } else { c }).collect();
        if clean.is_empty() {
            return Ok(());
        }
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // Of the vertical anchors only the bottom lies at nearly the same height in plotters' SVG (0.27 em below the base line)
        // and bitmap (0.38 em): the base line is half a capital (0.36 em) below the middle.
        let offset = (0.36 + 0.325) * font.size;
        let (transform, position) =
            if font.upward { (FontTransform::Rotate270, (x + offset, y)) } else { (FontTransform::None, (x, y + offset)) };
        let style = TextStyle::from(font.description(self.scale))
            .color(&font.color)
            .transform(transform)
            .pos(Pos::new(horizontal, VPos::Bottom));
        self.area.draw_text(&clean, &style, self.pixel(position)).map_err(backend)
    }

    /// Width of a text in units.
    #[must_use]
    pub fn text_width(&self, text: &str, font: Font) -> f64 {
        // Measured large, since plotters rounds to whole pixels.
        const ZOOM: f64 = 16.0;
        let per_character = 0.65 * font.size * text.chars().count() as f64;
        font.description(ZOOM).layout_box(text).map_or(per_character, |((x0, _), (x1, _))| f64::from(x1 - x0) / ZOOM)
    }

    /// `text`, or its beginning and end with an ellipsis between, so that it fits into `width`.
    #[must_use]
    pub fn shortened(&self, text: &str, width: f64, font: Font) -> String {
        if self.text_width(text, font) <= width {
            return text.to_owned();
        }
        let characters: Vec<char> = text.chars().collect();
        let cut = |kept: usize| -> String {
            let head = kept.div_ceil(2);
            let tail = kept - head;
            characters[..head].iter().chain(&['…']).chain(&characters[characters.len() - tail..]).collect()
        };
        (1..characters.len())
            .rev()
            .map(cut)
            .find(|short| self.text_width(short, font) <= width)
            .unwrap_or_else(|| "…".to_owned())
    }

    /// `text` in lines no wider than `width`, broken at spaces.
    #[must_use]
    pub fn wrapped(&self, text: &str, width: f64, font: Font) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.text_width(&format!("{line} {word}"), font) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(self.shortened(word, width, font)),
            }
        }
        lines
    }
}

/// The pieces of a dashed line.
fn dashes(points: &[(f64, f64)], dash: f64, gap: f64) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    let (mut inked, mut left) = (true, dash);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let t = done / length;
            let point = (x0 + t * (x1 - x0), y0 + t * (y1 - y0));
            if inked {
                piece.push(point);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![point];
            }
            inked = !inked;
            left = if inked { dash } else { gap };
        }
        left -= length - done;
        if inked {
            piece.push((x1, y1));
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// What a backend said, as an error of this crate.
fn backend(error: impl std::fmt::Display) -> PlotError {
    PlotError::Backend(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::raster::Raster;
    use super::*;
    use plotters::prelude::IntoDrawingArea;

    fn with_canvas(check: impl FnOnce(&Canvas<'_, Raster>)) {
        let area = Raster::new(400, 200).into_drawing_area();
        check(&Canvas::new(&area, 2.0).unwrap());
    }

    #[test]
    fn units_are_scaled_pixels() {
        with_canvas(|canvas| assert_eq!((canvas.width(), canvas.height()), (200.0, 100.0)));
        let area = Raster::new(4, 4).into_drawing_area();
        assert!(matches!(Canvas::new(&area, 0.0), Err(PlotError::Setting { .. })));
        assert!(matches!(Canvas::new(&area, f64::NAN), Err(PlotError::Setting { .. })));
    }

    #[test]
    fn texts_are_shortened_and_wrapped_to_a_width() {
        let font = Font::new(10.0, super::super::style::INK);
        with_canvas(|canvas| {
            let name = "encoder.block3.attention.output.dense.weight[1023,767]";
            let short = canvas.shortened(name, 120.0, font);
            assert!(short.starts_with("enc") && short.ends_with("767]") && short.contains('…'), "{short}");
            assert!(canvas.text_width(&short, font) <= 120.0);
            assert_eq!(canvas.shortened("tau", 120.0, font), "tau");
            let lines = canvas.wrapped("one two three four five six seven eight nine ten", 60.0, font);
            assert!(lines.len() > 3 && lines.iter().all(|l| canvas.text_width(l, font) <= 60.0), "{lines:?}");
            assert_eq!(lines.join(" "), "one two three four five six seven eight nine ten");
        });
    }

    #[test]
    fn dashes_cover_their_share_of_the_line() {
        let pieces = dashes(&[(0.0, 0.0), (50.0, 0.0), (50.0, 30.0)], 5.0, 3.0);
        let length = |p: &Vec<(f64, f64)>| -> f64 { p.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum() };
        let total: f64 = pieces.iter().map(length).sum();
        assert!((total - 50.0).abs() < 1e-9, "ten dashes of five: {total}");
    }
}
