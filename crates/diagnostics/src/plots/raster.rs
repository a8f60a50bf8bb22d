//! Fill and stroke shapes into pixels, each shape as one layer, so that translucent lines have no dark joints.
//!
//! The picture is drawn several times larger than it is written and then averaged, which smooths every edge.

use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind};
use std::convert::Infallible;

type Done = Result<(), DrawingErrorKind<Infallible>>;

/// A picture in memory, red, green and blue per pixel.
pub(super) struct Raster {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    /// Pixels that the current shape covers; all false between shapes.
    mask: Vec<bool>,
    /// Columns and rows that the current shape touches: left, top, right, bottom, the last two exclusive.
    touched: (usize, usize, usize, usize),
}

impl Raster {
    /// A white picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            pixels: vec![255; 3 * width * height],
            mask: vec![false; width * height],
            touched: (width, height, 0, 0),
        }
    }

    /// The picture smaller by `factor` in both directions, each pixel the mean of the pixels it replaces.
    pub(super) fn averaged(&self, factor: usize) -> (u32, u32, Vec<u8>) {
        let (width, height) = (self.width / factor, self.height / factor);
        let count = (factor * factor) as u32;
        let mut out = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            for x in 0..width {
                for channel in 0..3 {
                    let sum: u32 = (0..factor * factor)
                        .map(|i| {
                            let (dx, dy) = (i % factor, i / factor);
                            u32::from(self.pixels[3 * ((y * factor + dy) * self.width + x * factor + dx) + channel])
                        })
                        .sum();
                    out.push(((sum + count / 2) / count) as u8);
                }
            }
        }
        (width as u32, height as u32, out)
    }

    /// Marks the pixels of row `y` whose centres lie between `from` and `to`.
    fn cover(&mut self, y: i32, from: f64, to: f64) {
        if y < 0 || y as usize >= self.height {
            return;
        }
        let first = (from - 0.5).ceil().max(0.0) as usize;
        let last = ((to - 0.5).floor() + 1.0).clamp(0.0, self.width as f64) as usize;
        if first >= last {
            return;
        }
        let row = y as usize;
        self.mask[row * self.width + first..row * self.width + last].fill(true);
        let (left, top, right, bottom) = self.touched;
        self.touched = (left.min(first), top.min(row), right.max(last), bottom.max(row + 1));
    }

    /// Paints the marked pixels and unmarks them.
    fn paint(&mut self, color: BackendColor) -> Done {
        let (left, top, right, bottom) = self.touched;
        for row in top..bottom {
            for column in left..right {
                let index = row * self.width + column;
                if std::mem::take(&mut self.mask[index]) {
                    blend(&mut self.pixels[3 * index..][..3], color);
                }
            }
        }
        self.touched = (self.width, self.height, 0, 0);
        Ok(())
    }

    /// Marks a disk.
    fn cover_disk(&mut self, (x, y): (f64, f64), radius: f64) {
        for row in (y - radius).floor() as i32..=(y + radius).ceil() as i32 {
            let dy = f64::from(row) + 0.5 - y;
            let half = (radius * radius - dy * dy).max(0.0).sqrt();
            if half > 0.0 {
                self.cover(row, x - half, x + half);
            }
        }
    }

    /// Marks the inside of a polygon, by the even–odd rule.
    fn cover_polygon(&mut self, corners: &[(f64, f64)]) {
        let (low, high) = corners.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.1), h.max(p.1)));
        if low >= high {
            return;
        }
        let mut crossings = Vec::new();
        let rows = (low.floor() as i32).max(0)..=(high.ceil() as i32).min(self.height as i32);
        for row in rows {
            let y = f64::from(row) + 0.5;
            crossings.clear();
            for (i, &(x0, y0)) in corners.iter().enumerate() {
                let (x1, y1) = corners[(i + 1) % corners.len()];
                if (y0 <= y) != (y1 <= y) {
                    crossings.push(x0 + (y - y0) / (y1 - y0) * (x1 - x0));
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.cover(row, pair[0], pair[1]);
            }
        }
    }

    /// Marks a line of width `2 · radius` with round ends and joints.
    fn cover_line(&mut self, points: &[(f64, f64)], radius: f64) {
        for &point in points {
            self.cover_disk(point, radius);
        }
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            if length > 0.0 {
                let (nx, ny) = (-(y1 - y0) / length * radius, (x1 - x0) / length * radius);
                self.cover_polygon(&[(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]);
            }
        }
    }
}

/// Lays `color` over one pixel.
fn blend(pixel: &mut [u8], color: BackendColor) {
    let (r, g, b) = color.rgb;
    let alpha = color.alpha.clamp(0.0, 1.0);
    for (old, new) in pixel.iter_mut().zip([r, g, b]) {
        *old = (f64::from(*old) * (1.0 - alpha) + f64::from(new) * alpha).round() as u8;
    }
}

fn real((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x), f64::from(y))
}

impl DrawingBackend for Raster {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Done {
        if x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height {
            let index = y as usize * self.width + x as usize;
            blend(&mut self.pixels[3 * index..][..3], color);
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Done {
        let points: Vec<_> = path.into_iter().map(real).collect();
        self.cover_line(&points, f64::from(style.stroke_width()) / 2.0);
        self.paint(style.color())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Done {
        if fill {
            for row in top.max(0)..bottom.min(self.height as i32) {
                self.cover(row, f64::from(left), f64::from(right));
            }
            return self.paint(style.color());
        }
        self.draw_path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], style)
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Done {
        let (x, y) = real(center);
        let radius = f64::from(radius);
        if fill {
            self.cover_disk((x, y), radius);
        } else {
            let corner = |i: usize| {
                let (sin, cos) = (i as f64 / 48.0 * std::f64::consts::TAU).sin_cos();
                (x + radius * cos, y + radius * sin)
            };
            let outline: Vec<_> = (0..=48).map(corner).collect();
            self.cover_line(&outline, f64::from(style.stroke_width()) / 2.0);
        }
        self.paint(style.color())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Done {
        let corners: Vec<_> = corners.into_iter().map(real).collect();
        self.cover_polygon(&corners);
        self.paint(style.color())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::style::{Color, RGBColor, ShapeStyle};

    fn dark(raster: &Raster) -> Vec<u8> {
        raster.pixels.chunks_exact(3).map(|p| 255 - p[0]).collect()
    }

    #[test]
    fn a_translucent_line_has_one_shade_also_where_it_crosses_itself() {
        let mut raster = Raster::new(40, 40);
        let style = ShapeStyle { color: RGBColor(0, 0, 0).mix(0.5), filled: false, stroke_width: 4 };
        raster.draw_path([(5, 5), (35, 35), (35, 5), (5, 35)], &style).unwrap();
        let mut shades = dark(&raster);
        shades.sort_unstable();
        shades.dedup();
        assert_eq!(shades.len(), 2, "white and one grey: {shades:?}");
    }

    #[test]
    fn polygons_cover_their_area() {
        let mut raster = Raster::new(50, 50);
        raster.fill_polygon([(10, 10), (30, 10), (30, 40), (10, 40)], &RGBColor(0, 0, 0)).unwrap();
        assert_eq!(dark(&raster).iter().filter(|d| **d > 0).count(), 20 * 30);
        let mut triangle = Raster::new(50, 50);
        triangle.fill_polygon([(0, 0), (40, 0), (0, 40)], &RGBColor(0, 0, 0)).unwrap();
        let count = dark(&triangle).iter().filter(|d| **d > 0).count();
        assert!(count.abs_diff(800) <= 40, "{count}");
    }

    #[test]
    fn shapes_outside_the_picture_are_cut() {
        let mut raster = Raster::new(10, 10);
        let style = ShapeStyle { color: RGBColor(0, 0, 0).to_rgba(), filled: false, stroke_width: 2 };
        raster.draw_line((-100, 5), (100, 5), &style).unwrap();
        raster.draw_circle((12, -3), 6, &RGBColor(0, 0, 0), true).unwrap();
        raster.draw_rect((-5, 8), (50, 90), &RGBColor(0, 0, 0), true).unwrap();
        raster.draw_pixel((-1, 3), RGBColor(0, 0, 0).to_backend_color()).unwrap();
        assert_eq!(dark(&raster)[5 * 10 + 3], 255);
        assert_eq!(dark(&raster)[9 * 10 + 9], 255);
    }

    #[test]
    fn averaging_keeps_the_mean_shade() {
        let mut raster = Raster::new(8, 8);
        raster.draw_rect((0, 0), (4, 4), &RGBColor(0, 0, 0), true).unwrap();
        let (width, height, pixels) = raster.averaged(8);
        assert_eq!((width, height), (1, 1));
        assert_eq!(pixels, vec![191; 3]);
    }
}
