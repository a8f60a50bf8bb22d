//! Hold independent normals: the mean-field family, its density, entropy, divergence and draws.

use ergodic_model::ChainRng;
use rand_distr::{Distribution, StandardNormal};

const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;

/// `q = N(mean, diag(sd²))` over unconstrained coordinates.
///
/// ```
/// use ergodic_baselines::DiagonalNormal;
/// let q = DiagonalNormal { mean: vec![0.0, 1.0], sd: vec![1.0, 2.0] };
/// let p = DiagonalNormal { mean: vec![0.0, 0.0], sd: vec![1.0, 1.0] };
/// assert_eq!(q.divergence_from(&q), 0.0);
/// assert!((q.divergence_from(&p) - (0.5 * (4.0 + 1.0 - 1.0) - 2f64.ln())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DiagonalNormal {
    /// Mean of each coordinate.
    pub mean: Vec<f64>,
    /// Standard deviation of each coordinate.
    pub sd: Vec<f64>,
}

impl DiagonalNormal {
    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `ln q(position)` in nats, with all constants.
    ///
    /// # Panics
    /// When `position` has another number of coordinates.
    #[must_use]
    pub fn log_density(&self, position: &[f64]) -> f64 {
        assert_eq!(position.len(), self.dim(), "a position has one value per coordinate");
        let terms = position.iter().zip(&self.mean).zip(&self.sd).map(|((x, mean), sd)| {
            let z = (x - mean) / sd;
            -0.5 * z * z - sd.ln() - HALF_LN_2PI
        });
        terms.sum()
    }

    /// The entropy in nats: `Σᵢ ln sdᵢ + ½ ln 2πe`.
    #[must_use]
    pub fn entropy(&self) -> f64 {
        self.sd.iter().map(|sd| sd.ln() + HALF_LN_2PI + 0.5).sum()
    }

    /// The Kullback–Leibler divergence KL(self ‖ other) in nats: `Σᵢ ln(sᵢ/σᵢ) + (σᵢ² + (μᵢ − mᵢ)²)/(2sᵢ²) − ½`.
    ///
    /// It is a sum over coordinates. The mean over coordinates or over layers, which some programs use, makes the divergence weigh
    /// less than the likelihood's nats do, and so fits another posterior.
    ///
    /// # Panics
    /// When `other` has another number of coordinates.
    #[must_use]
    pub fn divergence_from(&self, other: &Self) -> f64 {
        assert_eq!(other.dim(), self.dim(), "both distributions have the same coordinates");
        let from = self.mean.iter().zip(&self.sd);
        let to = other.mean.iter().zip(&other.sd);
        let terms = from.zip(to).map(|((mu, sigma), (m, s))| {
            let (ratio, z) = (sigma / s, (mu - m) / s);
            0.5 * (ratio * ratio + z * z - 1.0) - ratio.ln()
        });
        terms.sum()
    }

    /// Writes one independent draw.
    ///
    /// # Panics
    /// When `position` has another number of coordinates.
    pub fn draw(&self, rng: &mut ChainRng, position: &mut [f64]) {
        assert_eq!(position.len(), self.dim(), "a position has one value per coordinate");
        for ((x, mean), sd) in position.iter_mut().zip(&self.mean).zip(&self.sd) {
            let z: f64 = StandardNormal.sample(rng);
            *x = mean + sd * z;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ergodic_model::{Purpose, stream};

    fn pair() -> (DiagonalNormal, DiagonalNormal) {
        let q = DiagonalNormal { mean: vec![0.3, -1.0, 2.0, 0.0], sd: vec![0.5, 2.0, 0.01, 1.0] };
        let p = DiagonalNormal { mean: vec![0.0, -1.5, 2.01, 0.2], sd: vec![1.0, 1.5, 0.02, 3.0] };
        (q, p)
    }

    /// Mean and standard error of `f` over draws of `q`.
    fn expectation(q: &DiagonalNormal, f: impl Fn(&[f64]) -> f64) -> (f64, f64) {
        let mut rng = stream(11, 0, Purpose::Test);
        let mut x = vec![0.0; q.dim()];
        let draws = 20_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..draws {
            q.draw(&mut rng, &mut x);
            let value = f(&x);
            sum += value;
            squares += value * value;
        }
        let (n, mean) = (f64::from(draws), sum / f64::from(draws));
        (mean, ((squares / n - mean * mean) / n).sqrt())
    }

    // A fixed seed, bounds at 4 standard errors: two checks with a false-alarm rate of 6e-5 each. The standard errors are below
    // 0.02 nats, so an entropy or divergence off by 0.1 nats is caught with near certainty.
    #[test]
    fn entropy_and_divergence_are_the_expectations_they_stand_for() {
        let (q, p) = pair();
        let (entropy, error) = expectation(&q, |x| -q.log_density(x));
        assert!((entropy - q.entropy()).abs() < 4.0 * error && error < 0.02, "{entropy} ± {error}, {}", q.entropy());
        let (divergence, error) = expectation(&q, |x| q.log_density(x) - p.log_density(x));
        let exact = q.divergence_from(&p);
        assert!((divergence - exact).abs() < 4.0 * error && error < 0.02, "{divergence} ± {error}, {exact}");
        // The twin that averages over coordinates is far outside.
        assert!((divergence - exact / 4.0).abs() > 20.0 * error);
    }

    #[test]
    fn divergence_does_not_depend_on_how_coordinates_are_grouped() {
        let (q, p) = pair();
        let part = |d: &DiagonalNormal, range: std::ops::Range<usize>| DiagonalNormal {
            mean: d.mean[range.clone()].to_vec(),
            sd: d.sd[range].to_vec(),
        };
        let whole = q.divergence_from(&p);
        for cut in 1..4 {
            let parts = [0..cut, cut..4].map(|range| part(&q, range.clone()).divergence_from(&part(&p, range)));
            assert!((parts[0] + parts[1] - whole).abs() < 1e-12);
            // The twin that averages within layers changes with the grouping.
            let averaged = parts[0] / cut as f64 + parts[1] / (4 - cut) as f64;
            assert!((averaged - whole).abs() > 0.1);
        }
    }
}
