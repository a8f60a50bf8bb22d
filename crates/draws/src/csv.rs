//! Write draws as a table of comma-separated values, for programs that read nothing else.

use crate::run_folder::storage::{Durability, io_error, write_aside};
use crate::{Draws, SinkError};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes draws to `path` as a table: one row a draw, with columns `chain`, `draw` and one per coordinate.
///
/// Values are on the scale people read, with 17 significant digits, which is enough to read the same number back; `NaN`, `inf` and
/// `-inf` stand for what is not finite. Draws that do not follow the posterior have their caveat in a first line that starts with
/// `#`. With pandas: `pandas.read_csv(path, comment="#", float_precision="round_trip")`. A table of many weights is large and slow; a
/// [`RunFolder`](crate::RunFolder) is neither.
///
/// # Errors
/// When the file cannot be written; a file that was there stays as it was.
///
/// ```
/// use ergodic_draws::{ChainDraws, Draws, Layout, Origin, RunReport, write_csv};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("draws.csv");
/// let chain = ChainDraws::from_positions(2, vec![0.5, -1.0]);
/// let draws = Draws::new(Layout::flat(2), Origin::Mcmc, vec![chain], RunReport::new("nuts", 1));
/// write_csv(&draws, &path)?;
/// assert!(std::fs::read_to_string(&path)?.starts_with("chain,draw,x[0],x[1]\n0,0,5.0000000000000000e-1,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_csv(draws: &Draws, path: impl AsRef<Path>) -> Result<(), SinkError> {
    let path = path.as_ref();
    let write = |file: &mut std::fs::File| {
        let mut writer = BufWriter::new(file);
        write_table(draws, &mut writer)?;
        writer.flush()
    };
    write_aside(path, Durability::Synced, write).map_err(|error| io_error("write", path, error))
}

fn write_table(draws: &Draws, writer: &mut impl Write) -> io::Result<()> {
    if let Some(caveat) = draws.caveat() {
        writeln!(writer, "# {caveat}")?;
    }
    let layout = draws.layout();
    write!(writer, "chain,draw")?;
    for coordinate in 0..layout.dim() {
        let name = layout.coordinate_name(coordinate);
        // Names of blocks have neither commas nor quotes, so only an index of several axes needs quotes.
        if name.contains(',') { write!(writer, ",\"{name}\"")? } else { write!(writer, ",{name}")? }
    }
    writeln!(writer)?;
    for (number, chain) in draws.chains().iter().enumerate() {
        for (draw, position) in chain.positions().enumerate() {
            write!(writer, "{number},{draw}")?;
            for block in layout.blocks() {
                for (index, &x) in position[block.range()].iter().enumerate() {
                    write!(writer, ",{:.16e}", block.transform_of(index).constrain(x))?;
                }
            }
            writeln!(writer)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, ChainDraws, Layout, Origin, RunReport, Transform};

    fn draws(origin: Origin) -> Draws {
        let blocks = vec![Block::new("w", &[1, 2]), Block::new("tau", &[]).with_transform(Transform::EXP)];
        let chains = vec![
            ChainDraws::from_positions(3, vec![0.1, 1.0 / 3.0, 0.0, f64::NAN, f64::NEG_INFINITY, 1.0]),
            ChainDraws::from_positions(3, vec![5e-324, f64::MAX, 800.0]),
        ];
        Draws::new(Layout::new(blocks).unwrap(), origin, chains, RunReport::new("test", 1))
    }

    #[test]
    fn every_number_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draws.csv");
        write_csv(&draws(Origin::Mcmc), &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "chain,draw,\"w[0,0]\",\"w[0,1]\",tau");
        let rows: Vec<Vec<f64>> =
            lines[1..].iter().map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
        assert_eq!(rows[0], [0.0, 0.0, 0.1, 1.0 / 3.0, 1.0]);
        assert!(rows[1][2].is_nan());
        assert_eq!([rows[1][3], rows[1][4]], [f64::NEG_INFINITY, 1f64.exp()]);
        assert_eq!(rows[2], [1.0, 0.0, 5e-324, f64::MAX, f64::INFINITY]);
        assert_eq!(rows.len(), 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn draws_that_are_not_from_the_posterior_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draws.csv");
        write_csv(&draws(Origin::Approximation), &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some(format!("# {}", Origin::Approximation.caveat()).as_str()));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_csv(&draws(Origin::Mcmc), folder.path().join("missing/draws.csv")).unwrap_err();
        assert!(matches!(&error, SinkError::Io { path, .. } if path.ends_with("missing/draws.csv")), "{error}");
    }
}
