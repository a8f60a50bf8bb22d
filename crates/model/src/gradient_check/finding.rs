//! Say what is wrong with a gradient, from the pattern of its errors.

use super::TOLERANCE;
use super::differences::{Comparison, Pair};
use ergodic_draws::{Block, Layout};
use std::fmt;

/// One thing that is wrong with a gradient.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// A position, or the evaluator, has another number of coordinates than the layout.
    Dimension {
        /// The position or the evaluator.
        what: &'static str,
        /// Its number of coordinates.
        found: usize,
        /// The layout's.
        expected: usize,
    },
    /// The evaluation failed.
    NotEvaluated {
        /// What it said.
        message: String,
    },
    /// The log density at the position is not finite, so there is nothing to compare.
    OutsideSupport {
        /// The log density.
        log_density: f64,
    },
    /// Two calls at the same position give different log densities or gradients.
    NotReproducible {
        /// The log density of the first call.
        first: f64,
        /// The log density of the second call.
        second: f64,
    },
    /// The gradient is added to what the buffer held before, instead of written over it.
    AddedTo {
        /// The first such coordinate.
        coordinate: NamedCoordinate,
        /// How many there are.
        count: usize,
    },
    /// Entries of the gradient are never written.
    NotWritten {
        /// The first such coordinate.
        coordinate: NamedCoordinate,
        /// How many there are.
        count: usize,
    },
    /// Entries of the gradient are not finite where the log density is.
    NotFinite {
        /// The first such coordinate.
        coordinate: NamedCoordinate,
        /// Its entry.
        gradient: f64,
        /// How many there are.
        count: usize,
    },
    /// All entries are a common multiple of the derivative.
    Factor {
        /// The block; `None` when the factor is common to all coordinates.
        block: Option<String>,
        /// Gradient divided by derivative.
        ratio: f64,
    },
    /// Entries are 0 where the derivative is not.
    Zero {
        /// The coordinate with the largest derivative among them.
        coordinate: NamedCoordinate,
        /// The derivative there.
        difference: f64,
        /// How many there are.
        count: usize,
    },
    /// Entries differ from the derivative.
    Wrong {
        /// The coordinate with the largest error among them.
        coordinate: NamedCoordinate,
        /// Its entry of the gradient.
        gradient: f64,
        /// The derivative there.
        difference: f64,
        /// How many there are in that block.
        count: usize,
        /// How many coordinates of the block were compared.
        compared: usize,
    },
}

/// A coordinate and the names people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCoordinate {
    /// The coordinate.
    pub coordinate: usize,
    /// Its name, such as `layer0.weight[3,1]`.
    pub name: String,
    /// Name of its block.
    pub block: String,
}

impl NamedCoordinate {
    fn new(layout: &Layout, coordinate: usize) -> Self {
        Self { coordinate, name: layout.coordinate_name(coordinate), block: layout.block_of(coordinate).name.clone() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = |count: usize| if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        match self {
            Self::Dimension { what, found, expected } => {
                write!(f, "the {what} has {found} coordinates and the layout {expected}; they must agree")
            }
            Self::NotEvaluated { message } => write!(f, "the gradient cannot be checked: {message}"),
            Self::OutsideSupport { log_density } => write!(
                f,
                "the log density is {log_density} at the position, so there is no gradient to compare; choose a position inside the support"
            ),
            Self::NotReproducible { first, second } => write!(
                f,
                "two calls at the same position disagree (log density {first} and then {second}): something is kept from call to call, \
                 such as a scratch buffer that is not cleared, or a random number"
            ),
            Self::AddedTo { coordinate, count } => write!(
                f,
                "the gradient is added to what the buffer held before, in {}, first {}; write it, or fill the buffer with 0 at the start",
                entries(*count),
                coordinate.name
            ),
            Self::NotWritten { coordinate, count } => {
                write!(f, "the gradient is never written in {}, first {}", entries(*count), coordinate.name)
            }
            Self::NotFinite { coordinate, gradient, count } => write!(
                f,
                "the gradient is not finite in {}, first {} ({gradient}), where the log density is finite",
                entries(*count),
                coordinate.name
            ),
            Self::Factor { block, ratio } => {
                let of = block.as_ref().map_or(String::new(), |block| format!(" of block '{block}'"));
                if (ratio + 1.0).abs() < 1e-3 {
                    write!(
                        f,
                        "the gradient{of} has the wrong sign: the log density's gradient is wanted, not that of its negative"
                    )
                } else {
                    write!(
                        f,
                        "the gradient{of} is {ratio:.6} times the derivative in every coordinate; a constant factor is wrong"
                    )
                }
            }
            Self::Zero { coordinate, difference, count } => write!(
                f,
                "the gradient is 0 in {} where the log density changes; the largest derivative among them is {difference:.6e}, in {} \
                 (block '{}')",
                entries(*count),
                coordinate.name,
                coordinate.block
            ),
            Self::Wrong { coordinate, gradient, difference, count, compared } => write!(
                f,
                "the gradient is wrong in {count} of {compared} coordinates compared in block '{}'; the worst is {}: gradient \
                 {gradient:.6e}, finite difference {difference:.6e}",
                coordinate.block, coordinate.name
            ),
        }
    }
}

/// The findings of one comparison, most telling first.
pub(super) fn judge(comparison: &Comparison, layout: &Layout) -> Vec<Finding> {
    if let Some(finding) = misused_buffer(comparison, layout) {
        return vec![finding];
    }
    let not_finite: Vec<usize> = (0..comparison.gradient.len()).filter(|&i| !comparison.gradient[i].is_finite()).collect();
    let mut findings = Vec::new();
    if let Some(&first) = not_finite.first() {
        let gradient = comparison.gradient[first];
        findings.push(Finding::NotFinite {
            coordinate: NamedCoordinate::new(layout, first),
            gradient,
            count: not_finite.len(),
        });
    }
    let finite: Vec<&Pair> = comparison.pairs.iter().filter(|pair| pair.gradient.is_finite()).collect();
    if finite.iter().all(|pair| pair.error <= TOLERANCE) {
        return findings;
    }
    // One coordinate alone always has some ratio; −1 is then still the likeliest story, other factors are not.
    if let Some(ratio) = common_ratio(&finite) {
        findings.push(Finding::Factor { block: None, ratio });
        return findings;
    }
    let is_zero = |pair: &&Pair| pair.gradient == 0.0 && pair.error > TOLERANCE;
    let zeros: Vec<&Pair> = finite.iter().copied().filter(is_zero).collect();
    if let Some(largest) = zeros.iter().max_by(|a, b| a.difference.abs().total_cmp(&b.difference.abs())) {
        let coordinate = NamedCoordinate::new(layout, largest.coordinate);
        findings.push(Finding::Zero { coordinate, difference: largest.difference, count: zeros.len() });
    }
    for block in layout.blocks() {
        findings.extend(judge_block(block, &finite, layout));
    }
    findings
}

fn judge_block(block: &Block, finite: &[&Pair], layout: &Layout) -> Option<Finding> {
    let pairs: Vec<&Pair> = finite.iter().copied().filter(|pair| block.range().contains(&pair.coordinate)).collect();
    let is_wrong = |pair: &&Pair| pair.error > TOLERANCE && pair.gradient != 0.0;
    let wrong: Vec<&Pair> = pairs.iter().copied().filter(is_wrong).collect();
    let worst = wrong.iter().max_by(|a, b| a.error.total_cmp(&b.error))?;
    if let Some(ratio) = common_ratio(&pairs) {
        return Some(Finding::Factor { block: Some(block.name.clone()), ratio });
    }
    Some(Finding::Wrong {
        coordinate: NamedCoordinate::new(layout, worst.coordinate),
        gradient: worst.gradient,
        difference: worst.difference,
        count: wrong.len(),
        compared: pairs.len(),
    })
}

/// The factor that all entries share, if they do.
fn common_ratio(pairs: &[&Pair]) -> Option<f64> {
    let clear: Vec<&&Pair> = pairs.iter().filter(|pair| pair.difference.abs() > 1e3 * pair.noise).collect();
    let mut ratios: Vec<f64> = clear.iter().map(|pair| pair.gradient / pair.difference).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = *ratios.get(ratios.len() / 2)?;
    let agrees = |other: &f64| (other - ratio).abs() < 2e-3 * ratio.abs();
    let telling = (ratios.len() > 1 && (ratio - 1.0).abs() > 5e-5) || (ratio + 1.0).abs() < 1e-3;
    (telling && ratio != 0.0 && ratios.iter().all(agrees)).then_some(ratio)
}

fn misused_buffer(comparison: &Comparison, layout: &Layout) -> Option<Finding> {
    let pairs = || comparison.gradient.iter().zip(&comparison.gradient_over_ones).enumerate();
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || a == b;
    let untouched: Vec<usize> = pairs().filter(|(_, (zero, one))| **zero == 0.0 && **one == 1.0).map(|(i, _)| i).collect();
    let differing: Vec<usize> = pairs().filter(|(_, (zero, one))| !same(**zero, **one)).map(|(i, _)| i).collect();
    let unstable = Finding::NotReproducible { first: comparison.log_density, second: comparison.second_log_density };
    let Some(&first) = differing.first() else {
        return (!same(comparison.log_density, comparison.second_log_density)).then_some(unstable);
    };
    if untouched.len() == differing.len() {
        let coordinate = NamedCoordinate::new(layout, first);
        return Some(Finding::NotWritten { coordinate, count: untouched.len() });
    }
    let grew = |&i: &usize| {
        let growth = comparison.gradient_over_ones[i] - comparison.gradient[i] - 1.0;
        growth.abs() <= 1e-9 * comparison.gradient[i].abs().max(1.0)
    };
    if differing.iter().all(grew) {
        return Some(Finding::AddedTo { coordinate: NamedCoordinate::new(layout, first), count: differing.len() });
    }
    Some(unstable)
}
