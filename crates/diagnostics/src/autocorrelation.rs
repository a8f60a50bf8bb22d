//! Compute autocovariances of chains through the fast Fourier transform.

use crate::chains::Sequences;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Autocorrelation of one chain at lags `0..chain.len()`, from the autocovariance with divisor `N`.
///
/// All values are NaN where the chain is constant or holds a non-finite draw; an empty chain gives an empty vector.
///
/// ```
/// let rho = ergodic_diagnostics::autocorrelation(&[1.0, -1.0, 1.0, -1.0]);
/// assert_eq!(rho[0], 1.0);
/// assert!((rho[1] + 0.75).abs() < 1e-12);
/// ```
#[must_use]
pub fn autocorrelation(chain: &[f64]) -> Vec<f64> {
    if chain.iter().any(|x| !x.is_finite()) || chain.iter().all(|&x| x == chain[0]) {
        return vec![f64::NAN; chain.len()];
    }
    let sequences = Sequences { values: chain.to_vec(), length: chain.len() };
    let mut autocovariance = Autocovariance::default();
    let covariances = autocovariance.mean_over(&sequences);
    covariances.iter().map(|c| c / covariances[0]).collect()
}

/// Plans and buffers for autocovariances, kept from one coordinate to the next.
#[derive(Default)]
pub(crate) struct Autocovariance {
    plan: Option<Plan>,
}

struct Plan {
    length: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    signal: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    power: Vec<Complex<f64>>,
    forward_scratch: Vec<Complex<f64>>,
    inverse_scratch: Vec<Complex<f64>>,
}

impl Plan {
    fn new(length: usize) -> Self {
        let size = fast_size(2 * length);
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        Self {
            length,
            signal: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            power: inverse.make_input_vec(),
            forward_scratch: forward.make_scratch_vec(),
            inverse_scratch: inverse.make_scratch_vec(),
            forward,
            inverse,
        }
    }
}

impl Autocovariance {
    /// The mean over the rows of their autocovariances at lags `0..length`, each with divisor `length`.
    ///
    /// The rows' power spectra are added first, so that one inverse transform serves all.
    pub(crate) fn mean_over(&mut self, sequences: &Sequences) -> &[f64] {
        let length = sequences.length;
        if self.plan.as_ref().is_none_or(|plan| plan.length != length) {
            self.plan = Some(Plan::new(length));
        }
        let plan = self.plan.as_mut().expect("the plan was just made");
        plan.power.fill(Complex::new(0.0, 0.0));
        for row in sequences.rows() {
            let centre = crate::chains::mean(row.iter().copied(), length);
            for (slot, x) in plan.signal.iter_mut().zip(row) {
                *slot = x - centre;
            }
            plan.signal[length..].fill(0.0);
            plan.forward
                .process_with_scratch(&mut plan.signal, &mut plan.spectrum, &mut plan.forward_scratch)
                .expect("the buffers have the plan's sizes");
            for (power, frequency) in plan.power.iter_mut().zip(&plan.spectrum) {
                power.re += frequency.norm_sqr();
            }
        }
        let rows = sequences.rows().len();
        plan.inverse
            .process_with_scratch(&mut plan.power, &mut plan.signal, &mut plan.inverse_scratch)
            .expect("a power spectrum is real");
        let scale = 1.0 / (plan.signal.len() as f64 * length as f64 * rows as f64);
        let covariances = &mut plan.signal[..length];
        covariances.iter_mut().for_each(|c| *c *= scale);
        covariances
    }
}

/// The smallest of `2^a`, `3 · 2^a` and `9 · 2^a` from `least` on, and even.
///
/// Transforms of these sizes take less than half the time per value of those with a factor of 5, which outweighs the padding.
fn fast_size(least: usize) -> usize {
    let padded = |odd: usize| odd * least.div_ceil(odd).next_power_of_two().max(2);
    padded(1).min(padded(3)).min(padded(9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transform_equals_the_plain_sum() {
        let chain: Vec<f64> = (0..37).map(|i| ((i * i) % 11) as f64).collect();
        let centre = chain.iter().sum::<f64>() / 37.0;
        let plain =
            |lag: usize| -> f64 { (0..37 - lag).map(|i| (chain[i] - centre) * (chain[i + lag] - centre)).sum::<f64>() / 37.0 };
        let rho = autocorrelation(&chain);
        for (lag, value) in rho.iter().enumerate() {
            assert!((value - plain(lag) / plain(0)).abs() < 1e-13, "lag {lag}");
        }
    }

    #[test]
    fn undefined_chains_have_no_autocorrelation() {
        assert!(autocorrelation(&[]).is_empty());
        assert!(autocorrelation(&[1.0, f64::NAN]).iter().all(|x| x.is_nan()));
        assert!(autocorrelation(&[2.0; 5]).iter().all(|x| x.is_nan()));
    }

    #[test]
    fn fast_sizes_are_even_and_large_enough() {
        assert_eq!([1, 14, 1000, 1025, 1153].map(fast_size), [2, 16, 1024, 1152, 1536]);
    }
}
