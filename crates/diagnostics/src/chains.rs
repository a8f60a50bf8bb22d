//! Check the draws of one scalar and split its chains in halves, as every convergence diagnostic starts.

use crate::Status;

/// The fewest draws per chain for which R-hat and ESS are defined.
pub(crate) const MIN_DRAWS: usize = 4;

/// The place of a draw that belongs to neither half of its chain.
pub(crate) const MIDDLE: u32 = u32::MAX;

/// The draws of one scalar, cut to equal length and checked.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    chains: Vec<&'a [f64]>,
    /// Draws per chain.
    pub(crate) length: usize,
}

impl<'a> Sample<'a> {
    /// Takes the first draws of each chain, as many as the shortest has.
    pub(crate) fn new(chains: &'a [impl AsRef<[f64]>], min_draws: usize) -> Result<Self, Status> {
        let length = chains.iter().map(|chain| chain.as_ref().len()).min().ok_or(Status::TooFewChains)?;
        let chains: Vec<&[f64]> = chains.iter().map(|chain| &chain.as_ref()[..length]).collect();
        if chains.iter().any(|chain| chain.iter().any(|x| !x.is_finite())) {
            return Err(Status::NonFinite);
        }
        if length < min_draws.max(1) {
            return Err(Status::TooFewDraws);
        }
        if chains.iter().all(|chain| chain.iter().all(|&x| x == chains[0][0])) {
            return Err(Status::Constant);
        }
        Ok(Self { chains, length })
    }

    /// Number of chains.
    pub(crate) fn num_chains(&self) -> usize {
        self.chains.len()
    }

    /// Number of draws of all chains.
    pub(crate) fn total(&self) -> usize {
        self.chains.len() * self.length
    }

    /// All draws, chain after chain.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.chains.iter().flat_map(|chain| chain.iter().copied())
    }

    /// Draws of a half chain: the middle draw of an odd chain belongs to neither half.
    pub(crate) fn half(&self) -> usize {
        self.length / 2
    }

    /// For each draw, chain after chain, its place in the split sequences; [`MIDDLE`] for a draw that is in neither half.
    pub(crate) fn split_places(&self) -> impl Iterator<Item = u32> + '_ {
        let half = self.half() as u32;
        let middles = self.length - 2 * self.half();
        (0u32..self.chains.len() as u32).flat_map(move |chain| {
            let first = 2 * chain * half;
            let middle = std::iter::repeat_n(MIDDLE, middles);
            (first..first + half).chain(middle).chain(first + half..first + 2 * half)
        })
    }

    /// Fills `sequences` with the half chains of `change(x)`.
    pub(crate) fn split_into(&self, sequences: &mut Sequences, change: impl Fn(f64) -> f64) {
        let half = self.half();
        sequences.reset(half);
        for chain in &self.chains {
            sequences.values.extend(chain[..half].iter().map(|&x| change(x)));
            sequences.values.extend(chain[self.length - half..].iter().map(|&x| change(x)));
        }
    }

    /// Fills `sequences` with whole chains.
    pub(crate) fn whole_into(&self, sequences: &mut Sequences) {
        sequences.reset(self.length);
        sequences.values.extend(self.values());
    }

    /// Mean of all draws.
    pub(crate) fn mean(&self) -> f64 {
        mean(self.values(), self.total())
    }
}

/// Series of equal length, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    pub(crate) values: Vec<f64>,
    pub(crate) length: usize,
}

impl Sequences {
    pub(crate) fn reset(&mut self, length: usize) {
        self.values.clear();
        self.length = length;
    }

    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.length)
    }

    pub(crate) fn is_constant(&self) -> bool {
        self.values.iter().all(|&x| x == self.values[0])
    }

    /// Whether every row stands still.
    pub(crate) fn is_stuck(&self) -> bool {
        self.rows().all(|row| row.iter().all(|&x| x == row[0]))
    }
}

/// Arithmetic mean of `count` values.
pub(crate) fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count as f64
}

/// Variance with divisor `count − 1`, in two passes so that a large mean cancels nothing.
pub(crate) fn variance(values: impl Iterator<Item = f64> + Clone, count: usize) -> f64 {
    let centre = mean(values.clone(), count);
    values.map(|x| (x - centre) * (x - centre)).sum::<f64>() / (count as f64 - 1.0)
}

/// Which chains take part when they differ in length: those with at least half the draws of the longest.
///
/// A chain that failed early would otherwise cut all the others to its own length. What is left out is always named in the
/// notes of the table that was made without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsableChains {
    /// Numbers of the chains that take part.
    pub(crate) chains: Vec<usize>,
    /// Draws used of each.
    pub(crate) length: usize,
    /// What was left out, in words.
    pub(crate) notes: Vec<String>,
}

impl UsableChains {
    pub(crate) fn choose(lengths: &[usize]) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let chains: Vec<usize> = (0..lengths.len()).filter(|&c| lengths[c] > 0 && 2 * lengths[c] >= longest).collect();
        let length = chains.iter().map(|&c| lengths[c]).min().unwrap_or(0);
        let mut notes = Vec::new();
        for (chain, &draws) in lengths.iter().enumerate() {
            if !chains.contains(&chain) {
                notes.push(format!("chain {chain} is left out: it has {draws} draws where the longest has {longest}"));
            }
        }
        if chains.iter().any(|&c| lengths[c] > length) {
            notes.push(format!("chains differ in length: the first {length} draws of each are used"));
        }
        Self { chains, length, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_an_odd_chain_leave_out_the_middle() {
        let chains = [[1.0, 2.0, 3.0, 4.0, 5.0]];
        let sample = Sample::new(&chains, 4).unwrap();
        let mut sequences = Sequences::default();
        sample.split_into(&mut sequences, |x| x);
        assert_eq!(sequences.values, [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(sample.split_places().collect::<Vec<_>>(), [0, 1, MIDDLE, 2, 3]);
    }

    #[test]
    fn a_chain_that_failed_early_does_not_cut_the_others() {
        let usable = UsableChains::choose(&[100, 3, 90, 0]);
        assert_eq!((usable.chains, usable.length, usable.notes.len()), (vec![0, 2], 90, 3));
        assert_eq!(UsableChains::choose(&[]).length, 0);
    }

    #[test]
    fn variance_survives_a_large_mean() {
        let values = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0];
        assert_eq!(variance(values.iter().copied(), 3), 1.0);
    }
}
