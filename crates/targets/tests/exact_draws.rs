//! Hold exact draws against the moments that targets state and against the density that they evaluate.
//!
//! Four kinds of z-tests on 200,000 independent draws: means, variances, and Stein's identities E ∂ᵢ log p = 0 and
//! E (xᵢ − meanᵢ) ∂ᵢ log p = −1, which hold for draws from exactly the density whose gradient is evaluated. The threshold is Bonferroni's
//! at a family-wise false-alarm rate of 10⁻⁶ over all comparisons of all targets (two-sided). A scale that is off by 5 % moves a
//! normal coordinate's variance by 10 %, 30 standard errors, so the power is above 0.999; the last test shows it.

use ergodic_model::{LogDensity, Purpose, stream};
use ergodic_targets::{
    Banana, CorrelatedGaussian, DiagonalGaussian, EightSchools, ExactDraws, Funnel, GaussianMixture, KnownMoments,
    LinearNetwork, SmallNetwork,
};
use statrs::distribution::{ContinuousCDF, Normal};

const DRAWS: usize = 200_000;
/// Coordinates of all targets, times four kinds of tests.
const COMPARISONS: usize = 4 * (3 + 6 + 4 + 4 + 2 + 10 + 4 + 3);

fn threshold() -> f64 {
    Normal::standard().inverse_cdf(1.0 - 0.5e-6 / COMPARISONS as f64)
}

/// Mean and standard error of the mean, by Welford's recursion.
#[derive(Clone, Default)]
struct Average {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Average {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        let step = value - self.mean;
        self.mean += step / self.count;
        self.squares += step * (value - self.mean);
    }

    fn z(&self, expected: f64) -> f64 {
        (self.mean - expected) / (self.squares / (self.count - 1.0) / self.count).sqrt()
    }
}

/// The largest |z| of each kind of test, with draws stretched about the mean by `stretch`.
fn largest_z<T: LogDensity + KnownMoments + ExactDraws>(target: &mut T, stretch: f64) -> [f64; 4] {
    let (mean, variance) = (target.mean().expect("known"), target.variance().expect("known"));
    let dim = target.dim();
    let mut averages = vec![[const { Average { count: 0.0, mean: 0.0, squares: 0.0 } }; 4]; dim];
    let (mut position, mut gradient) = (vec![0.0; dim], vec![0.0; dim]);
    let mut rng = stream(20, 0, Purpose::Test);
    for _ in 0..DRAWS {
        target.draw(&mut rng, &mut position);
        position.iter_mut().zip(&mean).for_each(|(x, m)| *x = m + stretch * (*x - m));
        target.log_density_and_gradient(&position, &mut gradient).expect("evaluates");
        for (i, [first, second, slope, product]) in averages.iter_mut().enumerate() {
            let centred = position[i] - mean[i];
            first.push(position[i]);
            second.push(centred * centred);
            slope.push(gradient[i]);
            product.push(centred * gradient[i]);
        }
    }
    let mut largest = [0.0; 4];
    for (i, average) in averages.iter().enumerate() {
        for (k, expected) in [mean[i], variance[i], 0.0, -1.0].into_iter().enumerate() {
            largest[k] = f64::max(largest[k], average[k].z(expected).abs());
        }
    }
    largest
}

fn check<T: LogDensity + KnownMoments + ExactDraws>(name: &str, mut target: T) {
    let (found, threshold) = (largest_z(&mut target, 1.0), threshold());
    assert!(found.iter().all(|&z| z < threshold), "{name}: largest |z| {found:?}, threshold {threshold}");
    let stretched = largest_z(&mut target, 1.05);
    assert!(stretched[1] > threshold, "{name}: a scale off by 5 % goes unnoticed, |z| {stretched:?}");
    assert!(stretched[3] > threshold, "{name}: a scale off by 5 % goes unnoticed by Stein's identity, |z| {stretched:?}");
}

#[test]
fn diagonal_gaussian() {
    check("diagonal", DiagonalGaussian::new(vec![1.0, -2.0, 0.0], vec![0.3, 5.0, 1.0]).expect("valid"));
}

#[test]
fn ill_conditioned_gaussian() {
    check("ill-conditioned", CorrelatedGaussian::ill_conditioned(6, 1e4, 5).expect("valid"));
}

/// With scale 0.5 the squares of x have a finite variance that 200,000 draws know well.
#[test]
fn funnel() {
    check("funnel", Funnel::new(4, 0.5).expect("valid"));
}

#[test]
fn banana() {
    check("banana", Banana::new(2, 1.0, 0.8, 0.5).expect("valid"));
}

#[test]
fn gaussian_mixture() {
    let means = vec![vec![-1.0, 0.5], vec![2.0, -1.0], vec![0.0, 3.0]];
    check("mixture", GaussianMixture::new(&[0.2, 0.5, 0.3], means, vec![0.7, 1.2, 0.4]).expect("valid"));
}

#[test]
fn eight_schools() {
    check("eight schools", EightSchools::new());
}

#[test]
fn linear_network() {
    check("linear network", LinearNetwork::simulated(20, 3, 1.5, 0.8, 9).expect("valid"));
}

#[test]
fn small_network() {
    check("small network", SmallNetwork::example().expect("valid"));
}
