//! Write a plot as SVG and PNG, aside first and renamed when complete.

use super::raster::Raster;
use super::{Canvas, PlotError};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend};
use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Pixels of the drawing per unit: coordinates of an SVG are exact to a quarter of a unit, and a PNG, of half that resolution, is
/// the mean of four pixels of the drawing.
const DETAIL: u32 = 4;
/// Pixels of the drawing per pixel of a PNG.
const SMOOTHING: u32 = 2;
/// The largest width and height of a picture in units.
const LARGEST: u32 = 8000;

/// A picture computed from draws: data that can be serialised, and how to draw them.
///
/// A plot of one's own implements [`size`](Self::size) and [`paint`](Self::paint); the rest follows.
pub trait Plot {
    /// Natural width and height in units: the SVG has as many pixels, the PNG twice as many.
    fn size(&self) -> (u32, u32);

    /// Draws onto a canvas of any size.
    ///
    /// # Errors
    /// [`PlotError::TooSmall`] when the picture does not fit, [`PlotError::Backend`] when the backend refuses.
    fn paint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), PlotError>;

    /// Draws onto an area of any plotters backend with `scale` pixels per unit (1 where the area has the natural size).
    ///
    /// # Errors
    /// As [`paint`](Self::paint).
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: f64) -> Result<(), PlotError> {
        self.paint(&Canvas::new(area, scale)?)
    }

    /// The picture as an SVG document of `size` units.
    ///
    /// # Errors
    /// As [`paint`](Self::paint), and [`PlotError::Setting`] when a side is zero or too large.
    fn svg(&self, size: (u32, u32)) -> Result<String, PlotError> {
        let (width, height) = detailed(size)?;
        let mut document = String::new();
        {
            let area = SVGBackend::with_string(&mut document, (width, height)).into_drawing_area();
            let canvas = Canvas::new(&area, f64::from(DETAIL))?;
            canvas.clear()?;
            self.paint(&canvas)?;
            area.present().map_err(|error| PlotError::Backend(error.to_string()))?;
        }
        let detailed = format!("width=\"{width}\" height=\"{height}\"");
        let natural = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
        Ok(document.replacen(&detailed, &natural, 1))
    }

    /// Writes the picture at its natural size; see [`save_sized`](Self::save_sized).
    ///
    /// # Errors
    /// As [`save_sized`](Self::save_sized).
    fn save(&self, path: impl AsRef<Path>) -> Result<Vec<PathBuf>, PlotError> {
        self.save_sized(path, self.size())
    }

    /// Writes the picture with `size` units: `path` ending in `.svg` or `.png` writes that file, any other path has both endings
    /// appended. Returns what was written.
    ///
    /// Files are written aside, synced and renamed: a reader finds the old picture or the new one.
    ///
    /// # Errors
    /// [`PlotError::Write`] names the file and what the system said; otherwise as [`svg`](Self::svg).
    fn save_sized(&self, path: impl AsRef<Path>, size: (u32, u32)) -> Result<Vec<PathBuf>, PlotError> {
        let path = path.as_ref();
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        let with_ending = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (svg, png) = match ending.as_deref() {
            Some("svg") => (Some(path.to_owned()), None),
            Some("png") => (None, Some(path.to_owned())),
            _ => (Some(with_ending(".svg")), Some(with_ending(".png"))),
        };
        if let Some(path) = &svg {
            let document = self.svg(size)?;
            write_aside(path, |aside| File::create(aside)?.write_all(document.as_bytes()))?;
        }
        if let Some(path) = &png {
            let (width, height) = detailed(size)?;
            let raster = Rc::new(RefCell::new(Raster::new(width, height)));
            let area = DrawingArea::from(&raster);
            self.paint(&Canvas::new(&area, f64::from(DETAIL))?)?;
            let (width, height, pixels) = raster.borrow().averaged(SMOOTHING as usize);
            write_aside(path, |aside| encode_png(aside, (width, height), &pixels))?;
        }
        Ok(svg.into_iter().chain(png).collect())
    }
}

/// The size in pixels of the drawing.
fn detailed((width, height): (u32, u32)) -> Result<(u32, u32), PlotError> {
    for (setting, value) in [("width", width), ("height", height)] {
        if !(1..=LARGEST).contains(&value) {
            return Err(PlotError::Setting { setting, value: f64::from(value), advice: "choose between 1 and 8000 units" });
        }
    }
    Ok((width * DETAIL, height * DETAIL))
}

fn encode_png(path: &Path, size: (u32, u32), pixels: &[u8]) -> std::io::Result<()> {
    let mut backend = BitMapBackend::new(path, size);
    backend.blit_bitmap((0, 0), size, pixels).map_err(std::io::Error::other)?;
    backend.present().map_err(std::io::Error::other)
}

/// Lets `write` fill a file beside `path`, syncs it and renames it to `path`.
fn write_aside(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), PlotError> {
    let failed = |reason: &dyn std::fmt::Display| PlotError::Write { path: path.to_owned(), reason: reason.to_string() };
    let name = path.file_name().ok_or_else(|| failed(&"the path names no file"))?.to_string_lossy();
    // The encoder chooses the format by the ending, which therefore stays last.
    let aside = path.with_file_name(format!(".{}.{name}", std::process::id()));
    let result = write(&aside)
        .and_then(|()| File::options().write(true).open(&aside)?.sync_all())
        .and_then(|()| std::fs::rename(&aside, path));
    result.map_err(|error| {
        // Nothing more can be done when the remains cannot be removed; the first error is the one to report.
        let _ = std::fs::remove_file(&aside);
        failed(&error)
    })
}
