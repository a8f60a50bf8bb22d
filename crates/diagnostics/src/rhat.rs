//! Compare chains with each other: the potential scale reduction factor R-hat.
//!
//! For `C` sequences of `n` values with variance `B/n` of their means and mean variance `W`,
//! `R = sqrt((B/W + n − 1) / n)`. The rank-normalised form is that of Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021),
//! "Rank-normalization, folding, and localization: an improved R-hat", Bayesian Analysis 16(2).

use crate::chains::{MIN_DRAWS, Sample, Sequences, mean, variance};
use crate::workspace::Workspace;
use crate::{Diagnostic, Status};

/// R-hat above which chains do not yet agree (Vehtari et al. 2021).
pub const RHAT_THRESHOLD: f64 = 1.01;

/// Rank-normalised split R-hat: the larger of the bulk and the folded value.
///
/// Chains are split in halves and replaced by the normal scores of their ranks; the folded value does the same with
/// `|x − median|`, which shows chains that differ in scale. Values above 1.01 mean that the chains do not yet agree.
/// Invariant under permutations of the chains; the bulk part also under monotone transforms.
///
/// Chains are cut to the length of the shortest. One chain is flagged [`Status::SingleChain`], chains that all stand still at
/// different values give infinity and [`Status::ChainsStuckApart`].
///
/// ```
/// use ergodic_diagnostics::{Status, rhat};
/// let up: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50)).collect();
/// let shifted: Vec<f64> = up.iter().map(|x| x + 100.0).collect();
/// assert!(rhat(&[&up, &up]).value < 1.01);
/// assert!(rhat(&[&up, &shifted]).value > 1.5);
/// assert_eq!(rhat(&[vec![1.0; 50], vec![1.0; 50]]).status, Status::Constant);
/// ```
#[must_use]
pub fn rhat(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_order(chains, |sample, workspace| {
        let bulk = bulk(sample, workspace);
        larger(bulk, folded(sample, workspace))
    })
}

/// The bulk part of [`rhat()`]: rank-normalised split R-hat without folding; sensitive to chains that differ in location.
#[must_use]
pub fn rhat_bulk(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_order(chains, bulk)
}

/// The folded part of [`rhat()`]: rank-normalised split R-hat of `|x − median|`; sensitive to chains that differ in scale.
#[must_use]
pub fn rhat_folded(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    with_order(chains, folded)
}

/// Split R-hat of the values themselves, without ranks (Gelman et al. 2013, Bayesian Data Analysis, 3rd edition).
#[must_use]
pub fn rhat_split(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    match Sample::new(chains, MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => {
            let mut sequences = Sequences::default();
            sample.split_into(&mut sequences, |x| x);
            flag_single(&sample, of_sequences(&sequences))
        }
    }
}

/// R-hat of whole chains, without splitting or ranks (Gelman & Rubin 1992); blind to a common drift. Needs two chains.
#[must_use]
pub fn rhat_basic(chains: &[impl AsRef<[f64]>]) -> Diagnostic {
    match Sample::new(chains, MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) if sample.num_chains() < 2 => Diagnostic::undefined(Status::TooFewChains),
        Ok(sample) => {
            let mut sequences = Sequences::default();
            sample.whole_into(&mut sequences);
            of_sequences(&sequences)
        }
    }
}

fn with_order(chains: &[impl AsRef<[f64]>], compute: impl FnOnce(&Sample<'_>, &mut Workspace) -> Diagnostic) -> Diagnostic {
    match Sample::new(chains, MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => {
            let mut workspace = Workspace::default();
            workspace.order.sort(&sample);
            compute(&sample, &mut workspace)
        }
    }
}

fn bulk(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    workspace.order.split_scores(sample, &mut workspace.sequences);
    flag_single(sample, of_sequences(&workspace.sequences))
}

/// The folded value of a sample whose order is known.
pub(crate) fn folded(sample: &Sample<'_>, workspace: &mut Workspace) -> Diagnostic {
    workspace.order.split_folded_scores(sample, &mut workspace.sequences);
    flag_single(sample, of_sequences(&workspace.sequences))
}

/// The larger of two values; one that is undefined, as the folded one of two-valued draws, does not count.
pub(crate) fn larger(bulk: Diagnostic, folded: Diagnostic) -> Diagnostic {
    if !folded.status.is_defined() || bulk.value >= folded.value { bulk } else { folded }
}

/// Marks a value that rests on one chain.
pub(crate) fn flag_single(sample: &Sample<'_>, diagnostic: Diagnostic) -> Diagnostic {
    match diagnostic.status {
        Status::Ok if sample.num_chains() == 1 => Diagnostic { status: Status::SingleChain, ..diagnostic },
        _ => diagnostic,
    }
}

/// R-hat of sequences as they are.
pub(crate) fn of_sequences(sequences: &Sequences) -> Diagnostic {
    if sequences.is_constant() {
        return Diagnostic::undefined(Status::Constant);
    }
    // Asked of the values and not of W: the variance of equal values may come out as rounding noise above zero.
    if sequences.is_stuck() {
        return Diagnostic { value: f64::INFINITY, status: Status::ChainsStuckApart };
    }
    let (n, rows) = (sequences.length, sequences.rows().len());
    let means = sequences.rows().map(|row| mean(row.iter().copied(), n));
    let between = means.clone().sum::<f64>() / rows as f64;
    let between = means.map(|m| (m - between) * (m - between)).sum::<f64>() / (rows as f64 - 1.0);
    let within = mean(sequences.rows().map(|row| variance(row.iter().copied(), n)), rows);
    Diagnostic::in_range((between / within + (n as f64 - 1.0) / n as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_values() {
        // Two sequences of two: means 1.5 and 3.5, B/n = 2, W = 0.5, so R² = 4 + 1/2.
        let sequences = Sequences { values: vec![1.0, 2.0, 3.0, 4.0], length: 2 };
        assert!((of_sequences(&sequences).value - 4.5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn two_valued_draws_use_the_bulk_value() {
        let chains: Vec<Vec<f64>> = (0..4).map(|c| (0..100).map(|i| f64::from((i * 7 + c) % 5 % 2)).collect()).collect();
        assert!(rhat(&chains).value.is_finite());
        let symmetric: Vec<Vec<f64>> = (0..2).map(|c| (0..100).map(|i| f64::from((i + c) % 2)).collect()).collect();
        assert_eq!(rhat_folded(&symmetric).status, Status::Constant);
        assert_eq!(rhat(&symmetric), rhat_bulk(&symmetric));
    }
}
