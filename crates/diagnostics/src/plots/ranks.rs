//! Rank the draws of several chains among each other, and bound how far equal chains differ.

/// Ranks from 1 of all values of all chains; equal values share the mean of their ranks.
pub(super) fn average_ranks(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut order: Vec<(usize, usize)> =
        chains.iter().enumerate().flat_map(|(c, chain)| (0..chain.len()).map(move |i| (c, i))).collect();
    let value = |&(c, i): &(usize, usize)| chains[c][i];
    order.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let mut ranks: Vec<Vec<f64>> = chains.iter().map(|chain| vec![0.0; chain.len()]).collect();
    let mut from = 0;
    for ties in order.chunk_by(|a, b| value(a) == value(b)) {
        // Ranks from + 1 to from + ties.
        let mean = from as f64 + (ties.len() + 1) as f64 / 2.0;
        for &(c, i) in ties {
            ranks[c][i] = mean;
        }
        from += ties.len();
    }
    ranks
}

/// Half the width of a band around the uniform distribution function that holds those of `chains` chains with `draws` independent
/// draws each, everywhere, with probability 0.95.
///
/// Against the pooled ranks √(n · m / (m − 1)) times the largest difference of one of m chains follows Kolmogorov's distribution
/// for many draws (a two-sample test of the chain against the others); a chain's share of the error is 1 − 0.95^(1/m).
pub(super) fn simultaneous_band(chains: usize, draws: f64) -> f64 {
    let m = chains.max(2) as f64;
    let error = 1.0 - 0.95_f64.powf(1.0 / m);
    let exceeds = |c: f64| -> f64 {
        let term = |k: i32| (if k % 2 == 1 { 2.0 } else { -2.0 }) * (-2.0 * f64::from(k * k) * c * c).exp();
        (1..=20).map(term).sum()
    };
    let (mut low, mut high) = (0.5, 5.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if exceeds(middle) > error { low = middle } else { high = middle }
    }
    high * ((m - 1.0) / (m * draws)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    #[test]
    fn ranks_sum_to_what_they_must_and_ties_share() {
        let ranks = average_ranks(&[vec![3.0, 1.0, 1.0], vec![2.0, 3.0, 1.0]]);
        assert_eq!(ranks, vec![vec![5.5, 2.0, 2.0], vec![4.0, 5.5, 2.0]]);
        let chains = Noise::new(1).chains(3, 101, 0.3);
        let sum: f64 = average_ranks(&chains).iter().flatten().sum();
        assert_eq!(sum, (303 * 304 / 2) as f64);
    }

    #[test]
    fn the_band_of_two_chains_is_kolmogorovs() {
        // 0.95^(1/2) leaves 0.0253; Kolmogorov's quantile there is 1.4776, by the leading term √(−ln(0.0253 / 2) / 2) = 1.4782.
        let half = simultaneous_band(2, 1.0);
        let quantile = (-(1.0 - 0.95_f64.sqrt()).ln() / 2.0 + 0.5 * 2.0_f64.ln()).sqrt();
        assert!((half / 0.5_f64.sqrt() - quantile).abs() < 1e-3, "{half}");
        assert!(simultaneous_band(4, 400.0) < simultaneous_band(4, 100.0));
    }
}
