//! Compute how the ChEES criterion changes with the trajectory length, and the mean acceptance that the step size is tuned by.

/// What one chain's trajectory tells: its ends, the momentum at its last one, and how probably it was accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends<'a> {
    pub start: &'a [f64],
    pub end: &'a [f64],
    /// p' = M v' at the end.
    pub momentum: &'a [f64],
    pub acceptance_rate: f64,
}

impl Ends<'_> {
    /// Whether the trajectory may be learnt from: it was accepted with some probability, and so ended inside the support.
    fn counts(&self) -> bool {
        self.acceptance_rate > 0.0
    }
}

/// The derivative of the ChEES criterion in log T, up to a positive factor; `None` where the chains say nothing.
///
/// ChEES = ¼ E (‖x' − E x'‖² − ‖x − E x‖²)², with lengths in units of the metric, ‖z‖² = zᵀMz. Since x' moves with velocity v' when the
/// trajectory is longer, and by h times as much as T is, a chain's share of its derivative in log T is
/// h T (‖x' − m'‖² − ‖x − m‖²) (x' − m')ᵀM v', with m the chains' mean and m' that of their ends, weighted by acceptance; chains are
/// averaged with the same weights, in their order. Chains that left the support, or whose numbers are not finite, are left out.
pub(super) fn slope<'a>(
    ends: impl Iterator<Item = Ends<'a>> + Clone,
    length: f64,
    inverse_mass: &[f64],
    [start_mean, end_mean]: &mut [Vec<f64>; 2],
) -> Option<f64> {
    let counted = ends.filter(Ends::counts);
    let (mut count, mut weight) = (0.0, 0.0);
    for mean in [&mut *start_mean, end_mean] {
        mean.clear();
        mean.resize(inverse_mass.len(), 0.0);
    }
    for chain in counted.clone() {
        count += 1.0;
        weight += chain.acceptance_rate;
        for (mean, x) in start_mean.iter_mut().zip(chain.start) {
            *mean += (x - *mean) / count;
        }
        for (mean, x) in end_mean.iter_mut().zip(chain.end) {
            *mean += (x - *mean) * chain.acceptance_rate / weight;
        }
    }
    if count < 2.0 {
        return None;
    }
    let (mut sum, mut total) = (0.0, 0.0);
    for chain in counted {
        let square = |x: &[f64], mean: &[f64]| {
            let terms = x.iter().zip(mean).zip(inverse_mass).map(|((x, mean), v)| (x - mean).powi(2) / v);
            terms.sum::<f64>()
        };
        let change = square(chain.end, end_mean) - square(chain.start, start_mean);
        let along: f64 = chain.end.iter().zip(&*end_mean).zip(chain.momentum).map(|((x, mean), p)| (x - mean) * p).sum();
        let slope = length * change * along;
        if slope.is_finite() {
            sum += chain.acceptance_rate * slope;
            total += chain.acceptance_rate;
        }
    }
    (total > 0.0).then(|| sum / total)
}

/// The harmonic mean of acceptance rates, which the worst chains dominate; those that are not numbers are left out, and with none left it
/// is 0.
pub(super) fn harmonic_mean(rates: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum) = (0.0, 0.0);
    for rate in rates.filter(|rate| !rate.is_nan()) {
        count += 1.0;
        sum += 1.0 / rate;
    }
    if count > 0.0 { count / sum } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{ChainRng, Purpose, stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn the_harmonic_mean_ignores_what_is_not_a_number() {
        assert!((harmonic_mean([0.5, f64::NAN, 1.0].into_iter()) - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(harmonic_mean([0.5, 0.0].into_iter()), 0.0);
        assert_eq!(harmonic_mean([f64::NAN].into_iter()), 0.0);
        assert_eq!(harmonic_mean(std::iter::empty()), 0.0);
    }

    /// Trajectories of length `t` on independent normals with scales s under the metric s²: x' = x cos t + s z sin t, p' likewise.
    fn chains(t: f64, scales: &[f64], count: usize, rng: &mut ChainRng) -> Vec<[Vec<f64>; 3]> {
        let chain = |_| {
            let (mut start, mut end, mut momentum) = (Vec::new(), Vec::new(), Vec::new());
            for s in scales {
                let (x, z): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
                start.push(s * x + 3.0);
                end.push(s * (x * t.cos() + z * t.sin()) + 3.0);
                momentum.push((z * t.cos() - x * t.sin()) / s);
            }
            [start, end, momentum]
        };
        (0..count).map(chain).collect()
    }

    fn slope_at(t: f64, scales: &[f64], count: usize, rng: &mut ChainRng) -> f64 {
        let chains = chains(t, scales, count, rng);
        let inverse_mass: Vec<f64> = scales.iter().map(|s| s * s).collect();
        let ends = chains.iter().map(|[start, end, momentum]| Ends { start, end, momentum, acceptance_rate: 1.0 });
        slope(ends, t, &inverse_mass, &mut Default::default()).unwrap()
    }

    #[test]
    fn the_slope_is_the_derivative_of_the_criterion() {
        // For a matched normal of D coordinates ChEES(t) = ¼ E(‖x'‖² − ‖x‖²)² = D sin² t, whose derivative in log t is D t sin 2t; with
        // 40,000 chains the mean's standard error is below 0.05 D t. Momenta with the wrong sign, the broken twin, miss by 2 D t sin 2t.
        let mut rng = stream(2, 0, Purpose::Test);
        let scales = [0.01, 1.0, 30.0];
        for t in [0.4, 1.2, 2.2] {
            let found = slope_at(t, &scales, 40_000, &mut rng);
            let expected = 3.0 * t * (2.0 * t).sin();
            assert!((found - expected).abs() < 0.25 * 3.0 * t, "{found} for {expected} at {t}");
        }
    }

    #[test]
    fn few_chains_know_the_direction() {
        // Four chains, 500 iterations: too short trajectories are to grow, those beyond a quarter of the period to shrink.
        let mut rng = stream(2, 1, Purpose::Test);
        let mut mean = |t| (0..500).map(|_| slope_at(t, &[1.0; 5], 4, &mut rng)).sum::<f64>() / 500.0;
        assert!(mean(0.8) > 0.5 && mean(2.4) < -0.5);
    }

    #[test]
    fn chains_outside_the_support_are_left_out() {
        let mut rng = stream(2, 2, Purpose::Test);
        let chains = chains(0.7, &[1.0; 2], 5, &mut rng);
        let bad = [f64::NAN, f64::INFINITY];
        let ends = |last: usize| {
            let good = chains.iter().map(|[start, end, momentum]| Ends { start, end, momentum, acceptance_rate: 0.8 });
            let bad = Ends { start: &chains[0][0], end: &bad, momentum: &bad, acceptance_rate: 0.0 };
            good.chain(std::iter::repeat_n(bad, last)).collect::<Vec<_>>()
        };
        let slope = |ends: &[Ends<'_>]| slope(ends.iter().copied(), 0.7, &[1.0; 2], &mut Default::default());
        assert!(slope(&ends(0)).unwrap().is_finite());
        assert_eq!(slope(&ends(3)), slope(&ends(0)));
        assert_eq!(slope(&ends(0)[..1]), None, "one chain has no mean");
    }
}
