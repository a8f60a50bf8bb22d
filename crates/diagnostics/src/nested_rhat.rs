//! Compare groups of short chains with each other: nested R-hat.

use crate::chains::{Sample, Sequences, mean, variance};
use crate::workspace::Workspace;
use crate::{Diagnostic, Status};

/// Why chains cannot be grouped to superchains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuperchainError {
    /// Each chain needs the number of its superchain.
    #[error("{ids} superchain numbers for {chains} chains; give one per chain")]
    WrongLength {
        /// How many numbers were given.
        ids: usize,
        /// How many chains there are.
        chains: usize,
    },
    /// Between-superchain variance needs two of them.
    #[error("{0} superchain(s); nested R-hat compares at least two")]
    TooFew(usize),
    /// Superchains of different size have no common within-variance.
    #[error("superchain {first} has {first_size} chains and superchain {second} has {second_size}; give all the same number")]
    UnequalSizes {
        /// Number of one superchain.
        first: usize,
        /// Its chains.
        first_size: usize,
        /// Number of another one.
        second: usize,
        /// Its chains.
        second_size: usize,
    },
}

/// Nested R-hat of the values as they are (Margossian et al. 2024, "Nested R-hat: assessing the convergence of Markov chain Monte
/// Carlo when running many short chains", Bayesian Analysis).
///
/// `superchains[c]` is the number of the superchain that chain `c` belongs to: chains of one superchain start at the same point.
/// With `B` the variance of the superchains' means, and `W` the mean over superchains of the variance of their chains' means plus
/// their chains' mean variance, `R = sqrt(1 + B / W) ≥ 1`. Defined from one draw per chain on.
///
/// # Errors
/// When the numbers do not group the chains to at least two superchains of equal size.
///
/// ```
/// let chains = [[0.0, 1.0], [1.0, 0.0], [0.5, 0.6], [0.4, 0.5]];
/// let value = ergodic_diagnostics::nested_rhat(&chains, &[0, 1, 0, 1])?.value;
/// assert!(value >= 1.0 && value < 1.1);
/// # Ok::<(), ergodic_diagnostics::SuperchainError>(())
/// ```
pub fn nested_rhat(chains: &[impl AsRef<[f64]>], superchains: &[usize]) -> Result<Diagnostic, SuperchainError> {
    let groups = group(chains.len(), superchains)?;
    Ok(match Sample::new(chains, 1) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => {
            let mut sequences = Sequences::default();
            sample.whole_into(&mut sequences);
            of_sequences(&sequences, &groups)
        }
    })
}

/// Nested R-hat of the normal scores of the half chains' ranks; 4 draws per chain are needed.
///
/// # Errors
/// As [`nested_rhat`].
pub fn nested_rhat_bulk(chains: &[impl AsRef<[f64]>], superchains: &[usize]) -> Result<Diagnostic, SuperchainError> {
    let groups = group(chains.len(), superchains)?;
    Ok(match Sample::new(chains, crate::chains::MIN_DRAWS) {
        Err(status) => Diagnostic::undefined(status),
        Ok(sample) => {
            let mut workspace = Workspace::default();
            workspace.order.sort(&sample);
            workspace.order.split_scores(&sample, &mut workspace.sequences);
            let halves: Vec<Vec<usize>> =
                groups.iter().map(|group| group.iter().flat_map(|&c| [2 * c, 2 * c + 1]).collect()).collect();
            of_sequences(&workspace.sequences, &halves)
        }
    })
}

/// The chains of each superchain.
fn group(chains: usize, ids: &[usize]) -> Result<Vec<Vec<usize>>, SuperchainError> {
    if ids.len() != chains {
        return Err(SuperchainError::WrongLength { ids: ids.len(), chains });
    }
    let mut groups = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (chain, &id) in ids.iter().enumerate() {
        groups.entry(id).or_default().push(chain);
    }
    if groups.len() < 2 {
        return Err(SuperchainError::TooFew(groups.len()));
    }
    let mut sizes = groups.iter().map(|(&id, members)| (id, members.len()));
    let (first, first_size) = sizes.next().unwrap_or_default();
    if let Some((second, second_size)) = sizes.find(|&(_, size)| size != first_size) {
        return Err(SuperchainError::UnequalSizes { first, first_size, second, second_size });
    }
    Ok(groups.into_values().collect())
}

fn of_sequences(sequences: &Sequences, groups: &[Vec<usize>]) -> Diagnostic {
    let n = sequences.length;
    let rows: Vec<&[f64]> = sequences.rows().collect();
    let means: Vec<f64> = rows.iter().map(|row| mean(row.iter().copied(), n)).collect();
    let (mut group_means, mut within) = (Vec::new(), 0.0);
    for group in groups {
        let members = group.iter().map(|&c| means[c]);
        if group.len() > 1 {
            within += variance(members.clone(), group.len());
        }
        if n > 1 {
            within += mean(group.iter().map(|&c| variance(rows[c].iter().copied(), n)), group.len());
        }
        group_means.push(mean(members, group.len()));
    }
    within /= groups.len() as f64;
    if within == 0.0 && sequences.is_stuck() {
        return Diagnostic { value: f64::INFINITY, status: Status::ChainsStuckApart };
    }
    let between = variance(group_means.iter().copied(), groups.len());
    Diagnostic::in_range((1.0 + between / within).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_value() {
        // Superchain means 1 and 3, so B = 2; each superchain's chain means differ by 2, so B̃ = 2; no variance within chains.
        let chains = [[0.0], [2.0], [2.0], [4.0]];
        let value = nested_rhat(&chains, &[0, 0, 1, 1]).unwrap().value;
        assert!((value - 2f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn wrong_groups_are_refused() {
        let chains = [[0.0], [2.0], [3.0]];
        assert!(matches!(nested_rhat(&chains, &[0, 1]), Err(SuperchainError::WrongLength { ids: 2, chains: 3 })));
        assert!(matches!(nested_rhat(&chains, &[0, 0, 0]), Err(SuperchainError::TooFew(1))));
        assert!(matches!(nested_rhat(&chains, &[0, 1, 1]), Err(SuperchainError::UnequalSizes { .. })));
    }

    #[test]
    fn superchains_stuck_apart_are_infinite() {
        let value = nested_rhat(&[[0.0; 3], [1.0; 3]], &[0, 1]).unwrap();
        assert_eq!((value.value, value.status), (f64::INFINITY, Status::ChainsStuckApart));
    }
}
