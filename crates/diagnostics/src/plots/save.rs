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

/// Pixels of the drawing per unit: coordinates of an SVG are exact to a quarter of a unit.
const DETAIL: u32 = 4;
/// Pixels of the drawing per pixel of a PNG, in both directions.
const SMOOTHING: u32 = 2;
/// The largest width and height of a picture in units.
const LARGEST_SIDE: u32 = 8000;
/// The largest area of a picture in square units, which bounds the memory that drawing takes.
const LARGEST_AREA: u32 = 10_000_000;
/// The largest area in square units whose PNG has two pixels per unit; larger ones have one.
const LARGEST_SHARP_AREA: u32 = 2_000_000;

/// A picture computed from draws: data that can be serialised, and how to draw them.
///
/// A plot of one's own implements [`size`](Self::size) and [`paint`](Self::paint); the rest follows.
pub trait Plot {
    /// Natural width and height in units. An SVG has as many pixels, a PNG twice as many, or as many where it is very large.
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
        let (width, height) = scaled(size, DETAIL)?;
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
    /// Folders above are made where they are missing. Files are written aside, synced and renamed: a reader finds the old picture or
    /// the new one.
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
            let sharp = u64::from(size.0) * u64::from(size.1) <= u64::from(LARGEST_SHARP_AREA);
            let detail = if sharp { DETAIL } else { DETAIL / 2 };
            let (width, height) = scaled(size, detail)?;
            let raster = Rc::new(RefCell::new(Raster::new(width, height)));
            let area = DrawingArea::from(&raster);
            self.paint(&Canvas::new(&area, f64::from(detail))?)?;
            let (width, height, pixels) = raster.borrow().averaged(SMOOTHING as usize);
            write_aside(path, |aside| encode_png(aside, (width, height), &pixels))?;
        }
        Ok(svg.into_iter().chain(png).collect())
    }
}

/// The size of the drawing in pixels.
fn scaled((width, height): (u32, u32), detail: u32) -> Result<(u32, u32), PlotError> {
    for (setting, value) in [("width", width), ("height", height)] {
        if !(1..=LARGEST_SIDE).contains(&value) {
            return Err(PlotError::Setting { setting, value: f64::from(value), advice: "choose between 1 and 8000 units" });
        }
    }
    if width * height > LARGEST_AREA {
        let value = f64::from(width * height);
        return Err(PlotError::Setting {
            setting: "width times height",
            value,
            advice: "choose at most ten million square units",
        });
    }
    Ok((width * detail, height * detail))
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
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;
    use crate::plots::{Quantity, RankPlot, TracePlot};

    fn plot(name: &str) -> TracePlot {
        TracePlot::new(&[Quantity::new(name, Noise::new(1).chains(2, 50, 0.3)).unwrap()], &[]).unwrap()
    }

    /// Width and height from the header of a PNG file.
    fn png_size(path: &Path) -> (u32, u32) {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    }

    #[test]
    fn both_formats_are_written_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let written = plot("w").save_sized(folder.path().join("trace.v1"), (500, 200)).unwrap();
        assert_eq!(written, vec![folder.path().join("trace.v1.svg"), folder.path().join("trace.v1.png")]);
        assert_eq!(png_size(&written[1]), (1000, 400));
        let svg = std::fs::read_to_string(&written[0]).unwrap();
        assert!(svg.starts_with("<svg width=\"500\" height=\"200\" viewBox=\"0 0 2000 800\""));
        assert!(svg.trim_end().ends_with("</svg>"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_ending_chooses_the_format_and_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let svg = folder.path().join("plot.SVG");
        std::fs::write(&svg, "old").unwrap();
        assert_eq!(plot("w").save(&svg).unwrap(), vec![svg.clone()]);
        assert!(std::fs::read_to_string(&svg).unwrap().contains("chain 1"));
        let png = folder.path().join("plot.png");
        assert_eq!(plot("w").save(&png).unwrap(), vec![png.clone()]);
        assert!(std::fs::metadata(&png).unwrap().len() > 1000);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_error_names_the_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        // A file in the way of the folder.
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = plot("w").save(file.join("plot")).unwrap_err();
        assert!(error.to_string().contains("plot.svg"), "{error}");
        // A folder in the way of the picture: writing aside works, renaming fails.
        let png = folder.path().join("taken.png");
        std::fs::create_dir(&png).unwrap();
        assert!(matches!(plot("w").save(&png), Err(PlotError::Write { path, .. }) if path == png));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn missing_folders_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let written = plot("w").save(folder.path().join("new").join("plot")).unwrap();
        assert!(written.iter().all(|path| path.exists()));
    }

    #[test]
    fn sizes_that_are_not_possible_are_refused() {
        for size in [(0, 100), (100, 0), (9000, 100), (8000, 8000)] {
            assert!(matches!(plot("w").svg(size), Err(PlotError::Setting { .. })), "{size:?}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let svg = plot("a<b & \"c\"\u{0}").svg((500, 200)).unwrap();
        assert!(svg.contains("a&lt;b &amp; &quot;c&quot;\u{fffd}"), "{svg}");
    }

    #[test]
    fn the_same_data_give_the_same_files() {
        let quantity = Quantity::new("w", Noise::new(2).chains(3, 60, 0.3)).unwrap();
        let picture = || RankPlot::new(std::slice::from_ref(&quantity), 10).unwrap().svg((600, 260)).unwrap();
        assert_eq!(picture(), picture());
    }

    #[test]
    fn a_plot_draws_on_an_area_of_any_backend() {
        let mut pixels = vec![0; 3 * 600 * 200];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (600, 200)).into_drawing_area();
            area.fill(&plotters::style::WHITE).unwrap();
            plot("w").draw(&area, 1.0).unwrap();
        }
        let dark = pixels.chunks_exact(3).filter(|p| p[0] < 200).count();
        assert!(dark > 500, "{dark}");
    }
}
