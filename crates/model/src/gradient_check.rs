//! Compare a gradient with finite differences of its log density, and say in plain words what is wrong with it.

mod differences;
mod finding;

pub use finding::{Finding, NamedCoordinate};

use crate::{Posterior, Purpose, stream};
use differences::Differences;
use finding::judge;
use std::fmt;

/// Relative difference up to which a gradient counts as right, beyond the rounding noise of the log density itself.
const TOLERANCE: f64 = 2e-5;

/// Largest number of coordinates that are checked one by one; of a longer position every block is sampled evenly.
const MOST_COORDINATES: usize = 2000;

/// What [`check_gradient`] found. [`Display`](fmt::Display) writes it in plain words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GradientCheck {
    /// The position at which the gradient was checked.
    pub position: Vec<f64>,
    /// The log density there, in nats.
    pub log_density: f64,
    /// Number of coordinates of the position.
    pub dim: usize,
    /// The coordinates that were compared, in order: all of them up to a position of 2000.
    pub coordinates: Vec<CoordinateCheck>,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Finding>,
}

/// The comparison of one coordinate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CoordinateCheck {
    /// The coordinate.
    pub coordinate: usize,
    /// Its name.
    pub name: String,
    /// The entry of the gradient.
    pub gradient: f64,
    /// The central difference of the log density.
    pub difference: f64,
    /// `|gradient − difference| / max(|gradient|, |difference|)`, after the rounding noise of the difference is subtracted from the
    /// numerator; infinite when one of them is not finite. Entries that matter 10⁵ times less than the largest are measured
    /// against that.
    pub error: f64,
}

impl GradientCheck {
    /// Whether the gradient agrees with finite differences in every coordinate that was compared.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// The coordinate with the largest error.
    #[must_use]
    pub fn worst(&self) -> Option<&CoordinateCheck> {
        self.coordinates.iter().max_by(|a, b| a.error.total_cmp(&b.error))
    }
}

impl fmt::Display for GradientCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            write!(f, "the gradient agrees with finite differences in all {}", self.coordinates.len())?;
            if self.coordinates.len() < self.dim {
                write!(f, " coordinates compared (of {})", self.dim)?;
            } else {
                write!(f, " coordinates")?;
            }
            if let Some(worst) = self.worst() {
                write!(f, "; the largest relative error is {:.1e}, of {}", worst.error, worst.name)?;
            }
            return Ok(());
        }
        for (index, finding) in self.findings.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

/// Compares the gradient of a log density with central differences, coordinate by coordinate.
///
/// Each coordinate is moved by steps in proportion to its size or its prior's scale, whichever is larger; of several steps the one that
/// agrees best counts, and the rounding noise of the log density is measured and allowed for. Without `position` the check runs at a
/// random initial position of chain 0 under `seed`. It costs four evaluations
/// a coordinate and up to fourteen where the gradient is wrong.
///
/// It also finds gradients that are added to instead of written, entries that are never written, evaluations that change from call
/// to call, and a factor that all entries of the gradient, or of one block, share.
///
/// ```
/// use ergodic_model::{check_gradient, density};
/// let right = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = -x[0];
///     gradient[1] = -x[1];
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// assert!(check_gradient(&right, None, 1).is_ok());
///
/// let wrong_sign = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = x[0];
///     -0.5 * x[0] * x[0]
/// });
/// let check = check_gradient(&wrong_sign, Some(&[0.7]), 1);
/// assert!(check.to_string().contains("sign"), "{check}");
/// ```
#[must_use]
pub fn check_gradient<P: Posterior + ?Sized>(posterior: &P, position: Option<&[f64]>, seed: u64) -> GradientCheck {
    let layout = posterior.layout();
    let mut check = GradientCheck {
        position: position.unwrap_or_default().to_vec(),
        log_density: f64::NAN,
        dim: layout.dim(),
        coordinates: Vec::new(),
        findings: Vec::new(),
    };
    let mut scales = vec![1.0; layout.dim()];
    posterior.prior_scales(&mut scales);
    let mut differences = Differences::new(posterior.evaluator(), scales);
    if differences.dim() != layout.dim() {
        check.findings.push(Finding::Dimension { what: "evaluator", found: differences.dim(), expected: layout.dim() });
        return check;
    }
    match position {
        Some(position) if position.len() != layout.dim() => {
            let (found, expected) = (position.len(), layout.dim());
            check.findings.push(Finding::Dimension { what: "position", found, expected });
            return check;
        }
        Some(_) => {}
        None => {
            check.position = vec![0.0; layout.dim()];
            let mut rng = stream(seed, 0, Purpose::Initialise);
            // As many attempts as a chain makes to find a start inside the support.
            for _ in 0..100 {
                posterior.initial_position(&mut rng, &mut check.position);
                if matches!(differences.value(&check.position), Ok(value) if value.is_finite()) {
                    break;
                }
            }
        }
    }
    let coordinates = selection(&layout);
    match differences.compare(&check.position, &coordinates, &mut stream(seed, 0, Purpose::Test)) {
        Ok(comparison) => {
            check.log_density = comparison.log_density;
            check.findings = judge(&comparison, &layout);
            let coordinate = |pair: &differences::Pair| CoordinateCheck {
                coordinate: pair.coordinate,
                name: layout.coordinate_name(pair.coordinate),
                gradient: pair.gradient,
                difference: pair.difference,
                error: pair.error,
            };
            check.coordinates = comparison.pairs.iter().map(coordinate).collect();
        }
        Err(finding) => check.findings.push(finding),
    }
    check
}

/// All coordinates, or evenly spread ones of every block when there are too many.
fn selection(layout: &ergodic_draws::Layout) -> Vec<usize> {
    if layout.dim() <= MOST_COORDINATES {
        return (0..layout.dim()).collect();
    }
    let per_block = |block: &ergodic_draws::Block| {
        let share = (MOST_COORDINATES * block.len()).div_ceil(layout.dim());
        let count = share.max(10).min(block.len());
        let (offset, len) = (block.offset, block.len());
        (0..count).map(move |index| offset + index * len / count)
    };
    layout.blocks().iter().flat_map(per_block).collect()
}
