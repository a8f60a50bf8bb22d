//! Estimate the density of draws by a Gaussian kernel, reflected at the ends of the data.

use super::quantity::range;
use crate::quantiles::quantile_of_sorted;
use serde::Serialize;

/// Points of the grid on which a density is evaluated.
const GRID: usize = 400;

/// Density of a sample on an even grid, or a point mass where all values are equal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Density {
    /// Abscissae; a single one for a point mass.
    pub x: Vec<f64>,
    /// Density at the abscissae, in one over the unit of the data; empty for a point mass.
    pub density: Vec<f64>,
    /// How many values lie outside the grid, which leaves out the far ends of heavy tails.
    pub outside: usize,
}

impl Density {
    /// The density of `values`, all finite; a point mass at 0 without values.
    ///
    /// Bandwidth after Silverman (1986), 0.9 · min(standard deviation, interquartile range / 1.34) · n^(−1/5), of the values on the
    /// grid; the kernel is reflected at both ends of the grid, so that the trapezium sum over the grid is one and nothing
    /// leaks over the border of a bounded quantity. The grid spans the data, except that ends that lie more than three times the
    /// width of the central 98 % beyond them are left out and counted; an end where the density is below a fifth of its peak is
    /// extended by three bandwidths instead of reflected.
    ///
    /// ```
    /// use ergodic_diagnostics::plots::Density;
    /// let density = Density::new(&[0.0, 1.0, 2.0, 3.0]);
    /// let step = density.x[1] - density.x[0];
    /// let sum: f64 = density.density.windows(2).map(|pair| step * (pair[0] + pair[1]) / 2.0).sum();
    /// assert!((sum - 1.0).abs() < 1e-9);
    /// ```
    #[must_use]
    pub fn new(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = shown_range(&sorted);
        let inside: Vec<f64> = sorted.iter().copied().filter(|v| (low..=high).contains(v)).collect();
        let outside = sorted.len() - inside.len();
        let span = high - low;
        let resolvable = low.abs().max(high.abs()) * 1e-12;
        if span <= resolvable || !span.is_finite() {
            return Self { x: vec![low], density: Vec::new(), outside };
        }
        let width = bandwidth(&inside);
        let (x, density) = estimate(&inside, (low, high), width);
        // An end where the density is high is a border of the quantity; a tail that is thin there fades out beyond the data.
        let thin = |end: f64| outside == 0 && end < 0.2 * density.iter().copied().fold(0.0, f64::max);
        let beyond = |end: f64| if thin(end) { 3.0 * width } else { 0.0 };
        let ends = (low - beyond(density[0]), high + beyond(density[GRID - 1]));
        if ends == (low, high) {
            return Self { x, density, outside };
        }
        let (x, density) = estimate(&inside, ends, width);
        Self { x, density, outside }
    }

    /// The largest density; 0 for a point mass.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.density.iter().copied().fold(0.0, f64::max)
    }

    /// The value of a point mass.
    #[must_use]
    pub fn point_mass(&self) -> Option<f64> {
        if self.density.is_empty() { self.x.first().copied() } else { None }
    }
}

/// Grid and density of `values` between `low` and `high`, with both ends as mirrors.
fn estimate(values: &[f64], (low, high): (f64, f64), width: f64) -> (Vec<f64>, Vec<f64>) {
    let step = (high - low) / (GRID - 1) as f64;
    let shares = smoothed(&binned(values, low, step), width.max(step / 2.0) / step);
    ((0..GRID).map(|i| low + i as f64 * step).collect(), shares.iter().map(|share| share / step).collect())
}

/// The range of sorted values that is worth showing.
fn shown_range(sorted: &[f64]) -> (f64, f64) {
    let (low, high) = range(sorted.iter().copied());
    let (p1, p99) = (quantile_of_sorted(sorted, 0.01), quantile_of_sorted(sorted, 0.99));
    let reach = 3.0 * (p99 - p1);
    if reach > 0.0 { (low.max(p1 - reach), high.min(p99 + reach)) } else { (low, high) }
}

/// Mean and standard deviation (divisor n − 1; 0 for a single value).
pub(super) fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn bandwidth(sorted: &[f64]) -> f64 {
    let sd = mean_and_sd(sorted).1;
    let iqr = (quantile_of_sorted(sorted, 0.75) - quantile_of_sorted(sorted, 0.25)) / 1.34;
    let spread = if iqr > 0.0 { sd.min(iqr) } else { sd };
    0.9 * spread * (sorted.len() as f64).powf(-0.2)
}

/// The share of the values at every grid point, each value split between its two neighbours.
fn binned(values: &[f64], low: f64, step: f64) -> Vec<f64> {
    let mut shares = vec![0.0; GRID];
    for v in values {
        let position = ((v - low) / step).clamp(0.0, (GRID - 1) as f64);
        let below = (position.floor() as usize).min(GRID - 2);
        let right = position - below as f64;
        shares[below] += (1.0 - right) / values.len() as f64;
        shares[below + 1] += right / values.len() as f64;
    }
    shares
}

/// `shares` spread by a Gaussian of standard deviation `width` (in grid steps), reflected at both ends.
///
/// The result is scaled so that its trapezium sum, where the end points count half, is one.
fn smoothed(shares: &[f64], width: f64) -> Vec<f64> {
    let reach = ((5.0 * width).ceil() as usize).min(GRID - 1);
    let kernel: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / width).powi(2)).exp()).collect();
    let last = (shares.len() - 1) as i64;
    let mut out = vec![0.0; shares.len()];
    for (i, &share) in shares.iter().enumerate().filter(|(_, s)| **s > 0.0) {
        for offset in -(reach as i64)..=reach as i64 {
            let place = i as i64 + offset;
            let reflected = if place < 0 {
                -place
            } else if place > last {
                2 * last - place
            } else {
                place
            };
            out[reflected.clamp(0, last) as usize] += share * kernel[offset.unsigned_abs() as usize];
        }
    }
    // A mirror at a grid point collects nothing beyond itself: end points receive half of what a density there is.
    out[0] *= 2.0;
    out[shares.len() - 1] *= 2.0;
    let sum: f64 = out.iter().sum::<f64>() - (out[0] + out[shares.len() - 1]) / 2.0;
    out.iter().map(|v| v / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::series::Noise;

    fn integral(density: &Density) -> f64 {
        let step = (density.x[density.x.len() - 1] - density.x[0]) / (density.x.len() - 1) as f64;
        density.density.windows(2).map(|pair| step * (pair[0] + pair[1]) / 2.0).sum()
    }

    #[test]
    fn densities_integrate_to_one() {
        let mut noise = Noise::new(1);
        let samples: [Vec<f64>; 4] = [
            (0..5000).map(|_| noise.normal()).collect(),
            (0..5000).map(|_| noise.uniform()).collect(),
            (0..5000).map(|_| 1e9 + 1e-3 * noise.normal()).collect(),
            vec![1.0, 2.0],
        ];
        for sample in &samples {
            let sum = integral(&Density::new(sample));
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }

    #[test]
    fn the_estimate_is_near_the_truth() {
        let mut noise = Noise::new(2);
        let normal: Vec<f64> = (0..20_000).map(|_| noise.normal()).collect();
        let density = Density::new(&normal);
        let truth = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let worst = density.x.iter().zip(&density.density).map(|(&x, &d)| (d - truth(x)).abs()).fold(0.0, f64::max);
        assert!(worst < 0.02, "{worst}");
        let uniform: Vec<f64> = (0..20_000).map(|_| noise.uniform()).collect();
        let flat = Density::new(&uniform);
        assert!(flat.density.iter().all(|d| (0.85..1.15).contains(d)), "no dip at the borders");
    }

    #[test]
    fn far_tails_are_left_out_and_counted() {
        let mut noise = Noise::new(3);
        let cauchy: Vec<f64> = (0..10_000).map(|_| noise.normal() / noise.normal()).collect();
        let density = Density::new(&cauchy);
        assert!(density.outside > 0 && density.outside < 100, "{}", density.outside);
        assert!(density.peak() > 0.1, "the middle is resolved: {}", density.peak());
    }

    #[test]
    fn constants_are_a_point_mass() {
        assert_eq!(Density::new(&[3.0; 100]).point_mass(), Some(3.0));
        assert_eq!(Density::new(&[0.1 + 0.2, 0.3]).point_mass(), Some(0.3));
        assert_eq!(Density::new(&[3.0, 4.0]).point_mass(), None);
    }

    #[test]
    fn mostly_equal_values_still_have_a_density() {
        let mut stuck = vec![1.0; 999];
        stuck.push(2.0);
        let density = Density::new(&stuck);
        assert!((integral(&density) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile_of_sorted(&[0.0, 1.0, 2.0, 3.0], 0.5), 1.5);
        assert_eq!(quantile_of_sorted(&[5.0], 0.9), 5.0);
        assert!(quantile_of_sorted(&[], 0.5).is_nan());
    }
}
