//! Sort draws once, and turn their ranks into normal scores.

use crate::chains::{Sample, Sequences};
use crate::special::normal_quantile;

/// The draws of a scalar in ascending order, each with its place in the split sequences.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pairs: Vec<(f64, u32)>,
    folded: Vec<(f64, u32)>,
    scores: NormalScores,
}

impl Order {
    /// Sorts the draws of `sample`.
    pub(crate) fn sort(&mut self, sample: &Sample<'_>) {
        self.pairs.clear();
        self.pairs.extend(sample.values().zip(sample.split_places()));
        self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// The draw of ascending rank `rank`, counted from 0.
    pub(crate) fn value(&self, rank: usize) -> f64 {
        self.pairs[rank].0
    }

    /// Number of draws.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Type-7 quantile.
    pub(crate) fn quantile(&self, probability: f64) -> f64 {
        crate::quantiles::interpolate(self.len(), probability, |rank| self.value(rank))
    }

    /// Mean of the two middle draws, or the middle one.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.len() / 2;
        if self.len().is_multiple_of(2) { (self.value(middle - 1) + self.value(middle)) / 2.0 } else { self.value(middle) }
    }

    /// Fills `sequences` with the normal scores of the half chains' ranks.
    pub(crate) fn split_scores(&mut self, sample: &Sample<'_>, sequences: &mut Sequences) {
        score_ranks(&self.pairs, &mut self.scores, sample, sequences);
    }

    /// Fills `sequences` with the normal scores of the half chains' ranks after folding, `|x − median|`.
    ///
    /// The distances to the median grow to both sides of it, so they come in order by merging the two sides.
    pub(crate) fn split_folded_scores(&mut self, sample: &Sample<'_>, sequences: &mut Sequences) {
        let median = self.median();
        let mut right = self.pairs.partition_point(|pair| pair.0 < median);
        let mut left = right;
        self.folded.clear();
        while left > 0 || right < self.pairs.len() {
            let below = if left > 0 { median - self.pairs[left - 1].0 } else { f64::INFINITY };
            let above = if right < self.pairs.len() { self.pairs[right].0 - median } else { f64::INFINITY };
            if right == self.pairs.len() || (left > 0 && below <= above) {
                left -= 1;
                self.folded.push((below, self.pairs[left].1));
            } else {
                self.folded.push((above, self.pairs[right].1));
                right += 1;
            }
        }
        score_ranks(&self.folded, &mut self.scores, sample, sequences);
    }
}

/// Writes `Φ⁻¹((r − 3/8) / (S + 1/4))` of the mean ranks `r` of the sorted `pairs` to their places in the half chains.
fn score_ranks(pairs: &[(f64, u32)], scores: &mut NormalScores, sample: &Sample<'_>, sequences: &mut Sequences) {
    let total = 2 * sample.num_chains() * sample.half();
    sequences.reset(sample.half());
    sequences.values.resize(total, 0.0);
    scores.resize(total);
    let mut rank = 0;
    let mut start = 0;
    while start < pairs.len() {
        let ties = pairs[start..].iter().take_while(|pair| pair.0 == pairs[start].0).count();
        let places = pairs[start..start + ties].iter().map(|pair| pair.1 as usize).filter(|&place| place < total);
        let kept = places.clone().count();
        if kept > 0 {
            // Ranks rank + 1 ..= rank + kept share their mean, which is half of 2 rank + kept + 1.
            let score = scores.of_doubled_rank(2 * rank + kept + 1);
            places.for_each(|place| sequences.values[place] = score);
        }
        rank += kept;
        start += ties;
    }
}

/// Normal scores by rank, kept because thousands of coordinates of one run share them.
#[derive(Debug, Default)]
struct NormalScores {
    total: usize,
    of_doubled_ranks: Vec<f64>,
}

impl NormalScores {
    fn resize(&mut self, total: usize) {
        if self.total != total {
            self.total = total;
            self.of_doubled_ranks.clear();
            self.of_doubled_ranks.resize(2 * total + 1, f64::NAN);
        }
    }

    /// The score of rank `doubled / 2`; mean ranks of ties are whole or half numbers.
    fn of_doubled_rank(&mut self, doubled: usize) -> f64 {
        let score = &mut self.of_doubled_ranks[doubled];
        if score.is_nan() {
            *score = normal_quantile((0.5 * doubled as f64 - 0.375) / (self.total as f64 + 0.25));
        }
        *score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chains::MIDDLE;

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        let chains = [[1.0, 2.0, 2.0, 3.0]];
        let sample = Sample::new(&chains, 4).unwrap();
        let (mut order, mut sequences) = (Order::default(), Sequences::default());
        order.sort(&sample);
        order.split_scores(&sample, &mut sequences);
        let expected: Vec<f64> = [1.0, 2.5, 2.5, 4.0].iter().map(|r| normal_quantile((r - 0.375) / 4.25)).collect();
        assert_eq!(sequences.values, expected);
    }

    #[test]
    fn merging_the_two_sides_sorts_the_distances_to_the_median() {
        let chains = [[5.0, -3.0, 0.5, 0.25, 9.0, -8.0, 0.5], [1.0, 2.0, -2.0, 0.5, 7.0, 3.0, -1.0]];
        let sample = Sample::new(&chains, 4).unwrap();
        let (mut order, mut sequences) = (Order::default(), Sequences::default());
        order.sort(&sample);
        order.split_folded_scores(&sample, &mut sequences);
        assert!(order.folded.is_sorted_by(|a, b| a.0 <= b.0));
        let median = order.median();
        let mut halves = Sequences::default();
        sample.split_into(&mut halves, |x| (x - median).abs());
        for &(distance, place) in order.folded.iter().filter(|pair| pair.1 != MIDDLE) {
            assert_eq!(distance, halves.values[place as usize]);
        }
    }
}
