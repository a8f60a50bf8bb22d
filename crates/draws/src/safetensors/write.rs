//! Write draws as named tensors to a safetensors file.

use super::{METADATA_KEY, SafetensorsError, TensorNames, TensorPrecision};
use crate::Draws;
use crate::run_folder::storage::{Durability, write_aside};
use safetensors::tensor::TensorView;
use std::io::Write;
use std::path::Path;

/// Which draws go into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawSelection {
    /// One draw: tensors have the shapes of their blocks, as a program that loads one network expects.
    One {
        /// The chain.
        chain: usize,
        /// The draw in its chain.
        draw: usize,
    },
    /// All draws, chain after chain: tensors have a leading dimension of draws.
    All,
}

/// How tensors are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SafetensorsOptions {
    /// Names of the tensors; those of the blocks by default.
    pub names: TensorNames,
    /// The numbers.
    pub precision: TensorPrecision,
}

/// Writes draws to `path`, a tensor for each block, on the scale people read.
///
/// The metadata have, under `ergodic`, a text in JSON: method, origin, caveat and temperatures of the draws, the length of each chain,
/// and the model with the means and standard deviations by which it standardises. In Python:
///
/// ```text
/// from safetensors import safe_open
/// with safe_open("weights.safetensors", "np") as file:
///     weight, about = file.get_tensor("layer0.weight"), json.loads(file.metadata()["ergodic"])
/// ```
///
/// # Errors
/// When there is no such draw, a name is of no block, or the file cannot be written; a file that was there stays as it was.
pub fn write_safetensors(
    draws: &Draws,
    selection: DrawSelection,
    path: impl AsRef<Path>,
    options: &SafetensorsOptions,
) -> Result<(), SafetensorsError> {
    let path = path.as_ref();
    options.names.check(draws.layout())?;
    let positions = select(draws, selection)?;
    let mut tensors = Vec::new();
    for block in draws.layout().blocks() {
        let (name, transposed) = options.names.of(&block.name);
        let mut shape = block.shape.clone();
        if transposed {
            if shape.len() != 2 {
                let problem = format!("block '{}' has shape {shape:?}, and only a matrix can be transposed", block.name);
                return Err(SafetensorsError::Names { problem });
            }
            shape.reverse();
        }
        let mut bytes = Vec::new();
        for position in &positions {
            let values = &position[block.range()];
            let columns = shape.last().copied().unwrap_or(1).max(1);
            for index in 0..values.len() {
                let own = if transposed { (index % columns) * (values.len() / columns) + index / columns } else { index };
                options.precision.push(block.transform.constrain(values[own]), &mut bytes);
            }
        }
        if selection == DrawSelection::All {
            shape.insert(0, positions.len());
        }
        tensors.push((name.to_owned(), shape, bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(options.precision.dtype(), shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let malformed =
        |error: safetensors::SafeTensorError| SafetensorsError::Malformed { path: path.to_owned(), problem: error.to_string() };
    let views = views.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    // One key, since a file's bytes would otherwise depend on the order of a hash map.
    let metadata = [(METADATA_KEY.to_owned(), describe(draws, selection))].into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(malformed)?;
    write_aside(path, Durability::Synced, |file| file.write_all(&bytes)).map_err(|source| SafetensorsError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn select(draws: &Draws, selection: DrawSelection) -> Result<Vec<&[f64]>, SafetensorsError> {
    let problem = |problem| Err(SafetensorsError::Draw { problem });
    match selection {
        DrawSelection::All if draws.num_draws() == 0 => problem("there are no draws to write; every chain is empty".to_owned()),
        DrawSelection::All => Ok(draws.positions().collect()),
        DrawSelection::One { chain, draw } => match draws.chains().get(chain) {
            None => problem(format!("chain {chain} is asked for, and there are {}, counted from 0", draws.chains().len())),
            Some(chain) if draw < chain.len() => Ok(vec![chain.position(draw)]),
            Some(only) => {
                problem(format!("draw {draw} of chain {chain} is asked for, and it has {}, counted from 0", only.len()))
            }
        },
    }
}

/// What a reader must know of the tensors.
fn describe(draws: &Draws, selection: DrawSelection) -> String {
    let which = match selection {
        DrawSelection::One { chain, draw } => serde_json::json!({ "chain": chain, "draw": draw }),
        DrawSelection::All => {
            let lengths: Vec<usize> = draws.chains().iter().map(crate::ChainDraws::len).collect();
            serde_json::json!({ "chain_lengths": lengths })
        }
    };
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "method": draws.report.method,
        "origin": draws.origin(),
        "caveat": draws.caveat().unwrap_or_default(),
        "temperatures": draws.report.temperatures,
        "draws": which,
        "model": draws.report.model,
    })
    .to_string()
}
