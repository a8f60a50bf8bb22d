//! Read a network's output as the centre of Student-t targets: noise with outliers.

use super::special::{digamma_difference, integrate_over_logarithm, ln_gamma_difference};
use super::{FastPath, Likelihood, LikelihoodParameter, Positive};
use crate::ChainRng;
use crate::likelihood_block::BlockLikelihood;
use crate::vector_likelihood::VectorLikelihood;
use ergodic_draws::PredictionKind;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// ln Γ(½) = ½ ln π.
const LN_GAMMA_HALF: f64 = 0.572_364_942_924_700_1;

/// Student-t targets: `y = f(x) + σ t`, with t of ν degrees of freedom and f the network's one output.
///
/// ln p(y | f) = ln Γ((ν + 1)/2) − ln Γ(ν/2) − ½ ln(νπ) − ln σ − ½ (ν + 1) ln(1 + z²/ν) with z = (y − f)/σ.
///
/// The scale σ is on the scale the network is trained on; learned, it is the coordinate `ln σ`. The degrees of freedom ν are a pure number;
/// learned, they are the coordinate `ln ν`. The standard deviation of the noise is σ √(ν/(ν − 2)), infinite for ν ≤ 2. The mean is f
/// for ν > 1; below, where there is none, predictions give the centre f, the median.
///
/// ```
/// use ergodic_model::{Likelihood, StudentT};
/// let likelihood = StudentT::learned();
/// let names: Vec<String> = likelihood.parameters().into_iter().map(|parameter| parameter.name).collect();
/// assert_eq!(names, ["noise_scale", "degrees_of_freedom"]);
/// let mut variance = [0.0];
/// StudentT::known(3.0, 2.0).variance(&[0.0], &[], &mut variance);
/// assert!((variance[0] - 12.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StudentT {
    /// ν: 1 is a Cauchy distribution, from 30 on it is nearly normal.
    pub degrees_of_freedom: Positive,
    /// σ, the noise's scale, which is smaller than its standard deviation.
    pub scale: Positive,
}

impl StudentT {
    /// Degrees of freedom and scale both known.
    #[must_use]
    pub fn known(degrees_of_freedom: f64, scale: f64) -> Self {
        Self { degrees_of_freedom: Positive::Known(degrees_of_freedom), scale: Positive::Known(scale) }
    }

    /// Known degrees of freedom and a scale that is sampled along; `ln σ ~ N(0, 1)` on the standardised scale.
    #[must_use]
    pub fn learned_noise(degrees_of_freedom: f64) -> Self {
        Self {
            degrees_of_freedom: Positive::Known(degrees_of_freedom),
            scale: Positive::Learned { prior_mean: 0.0, prior_sd: 1.0 },
        }
    }

    /// Degrees of freedom and scale both sampled along; `ln σ ~ N(0, 1)` on the standardised scale, `ln ν ~ N(2.7, 0.8²)`.
    ///
    /// The prior of ν has the mean and the standard deviation of ln ν under the Gamma(2, 0.1) of Juárez & Steel (2010, "Model-based
    /// clustering of non-Gaussian panel data based on skew-t distributions"): its median is 15, 95 % of it lie between 3 and 71.
    #[must_use]
    pub fn learned() -> Self {
        Self {
            degrees_of_freedom: Positive::Learned { prior_mean: 2.7, prior_sd: 0.8 },
            scale: Positive::Learned { prior_mean: 0.0, prior_sd: 1.0 },
        }
    }

    /// (ln σ, ν).
    fn read(&self, mut parameters: &[f64]) -> (f64, f64) {
        let log_scale = self.scale.logarithm(&mut parameters);
        let degrees = match self.degrees_of_freedom {
            Positive::Known(value) => value,
            Positive::Learned { .. } => self.degrees_of_freedom.logarithm(&mut parameters).exp(),
        };
        (log_scale, degrees)
    }
}

impl StudentT {
    /// What of the density does not depend on the row.
    pub(crate) fn constants(&self, parameters: &[f64]) -> StudentTConstants {
        let (log_scale, degrees) = self.read(parameters);
        StudentTConstants::new(log_scale, degrees)
    }

    /// Adds the derivatives in the learned parameters, given the sums over rows of 1, of ln(1 + w²) and of w²/(1 + w²).
    pub(crate) fn add_parameter_gradient(&self, constants: &StudentTConstants, sums: [f64; 3], d_parameters: &mut [f64]) {
        let (d_scale, d_degrees) = constants.parameter_gradient(sums);
        let learned = [(self.scale, d_scale), (self.degrees_of_freedom, d_degrees)].into_iter().filter(|(p, _)| p.is_learned());
        for (to, (_, derivative)) in d_parameters.iter_mut().zip(learned) {
            *to += derivative;
        }
    }
}

/// What of a Student-t density does not depend on the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StudentTConstants {
    pub(crate) degrees: f64,
    /// 1/(σ√ν).
    pub(crate) inverse_width: f64,
    /// The log density at the centre.
    pub(crate) log_peak: f64,
    /// ψ((ν + 1)/2) − ψ(ν/2), times ν.
    digamma_term: f64,
}

impl StudentTConstants {
    fn new(log_scale: f64, degrees: f64) -> Self {
        let log_width = log_scale + 0.5 * degrees.ln();
        Self {
            degrees,
            // Finite, so that a residual of zero stays one.
            inverse_width: (-log_width).exp().clamp(0.0, f64::MAX),
            log_peak: ln_gamma_difference(0.5 * degrees, 0.5) - LN_GAMMA_HALF - log_width,
            digamma_term: degrees * digamma_difference(0.5 * degrees, 0.5),
        }
    }

    /// The derivatives in ln σ and ln ν.
    fn parameter_gradient(&self, [rows, logarithms, shares]: [f64; 3]) -> (f64, f64) {
        let scale = (self.degrees + 1.0) * shares - rows;
        (scale, 0.5 * (rows * self.digamma_term - self.degrees * logarithms + scale))
    }
}

/// (ln(1 + w²), w/(1 + w²)) without overflow.
fn heavy_tail(w: f64) -> (f64, f64) {
    let slope = (w + w.recip()).recip();
    let logarithm = if w.abs() > 1e8 { 2.0 * w.abs().ln() } else { (w * w).ln_1p() };
    (logarithm, slope)
}

impl Likelihood for StudentT {
    fn name(&self) -> &'static str {
        match (self.degrees_of_freedom, self.scale) {
            (Positive::Known(_), Positive::Known(_)) => "student-t, known noise",
            (Positive::Known(_), Positive::Learned { .. }) => "student-t, learned noise",
            (Positive::Learned { .. }, Positive::Known(_)) => "student-t, learned degrees of freedom",
            (Positive::Learned { .. }, Positive::Learned { .. }) => "student-t, learned noise and degrees of freedom",
        }
    }

    fn kind(&self) -> PredictionKind {
        PredictionKind::Regression
    }

    fn num_outputs(&self) -> usize {
        1
    }

    fn num_targets(&self) -> usize {
        1
    }

    fn num_means(&self) -> usize {
        1
    }

    fn parameters(&self) -> Vec<LikelihoodParameter> {
        let scale = self.scale.parameter("noise_scale").map(|scale| scale.in_unit_of(0));
        scale.into_iter().chain(self.degrees_of_freedom.parameter("degrees_of_freedom")).collect()
    }

    fn check(&self) -> Result<(), String> {
        self.scale.check("noise scale")?;
        self.degrees_of_freedom.check("number of degrees of freedom")
    }

    fn check_targets(&self, targets: &[f64]) -> Result<(), String> {
        if targets[0].is_finite() { Ok(()) } else { Err(format!("the target is {}, not a finite number", targets[0])) }
    }

    fn gradient(
        &self,
        outputs: &[f64],
        targets: &[f64],
        parameters: &[f64],
        d_outputs: &mut [f64],
        d_parameters: &mut [f64],
    ) -> f64 {
        let constants = self.constants(parameters);
        let degrees = constants.degrees;
        let w = ((targets[0] - outputs[0]) * constants.inverse_width).clamp(-f64::MAX, f64::MAX);
        let (logarithm, slope) = heavy_tail(w);
        d_outputs[0] = (degrees + 1.0) * constants.inverse_width * slope;
        self.add_parameter_gradient(&constants, [1.0, logarithm, w * slope], d_parameters);
        constants.log_peak - 0.5 * (degrees + 1.0) * logarithm
    }

    fn curvature(&self, _: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let (log_scale, degrees) = self.read(parameters);
        matrix[0] = (degrees + 1.0) / (degrees + 3.0) * (-2.0 * log_scale).exp();
    }

    /// In (ln σ, ln ν): 2ν/(ν + 3), −2ν/((ν + 1)(ν + 3)), and ν²{¼[ψ′(ν/2) − ψ′((ν + 1)/2)] − (ν + 5)/(2ν(ν + 1)(ν + 3))} (Lange, Little &
    /// Taylor 1989), its difference of ψ′ as an integral.
    fn parameter_curvature(&self, _: &[f64], parameters: &[f64], matrix: &mut [f64]) {
        let (_, nu) = self.read(parameters);
        let scale = 2.0 * nu / (nu + 3.0);
        let mixed = -2.0 * nu / ((nu + 1.0) * (nu + 3.0));
        let degrees = || {
            // ψ′(a) − ψ′(a + ½) = ∫ s exp(−as) / (1 + exp(−s/2)) ds, with a = ν/2 and u = as.
            let a = 0.5 * nu;
            let integrand = |u: f64| u * u * (-u).exp() / (1.0 + (-0.5 * u / a).exp());
            let difference = integrate_over_logarithm(-25.0, 6.7, integrand);
            (difference - 0.5 * nu * (nu + 5.0) / ((nu + 1.0) * (nu + 3.0))).max(0.0)
        };
        match (self.scale.is_learned(), self.degrees_of_freedom.is_learned()) {
            (true, true) => matrix.copy_from_slice(&[scale, mixed, mixed, degrees()]),
            (true, false) => matrix[0] = scale,
            (false, true) => matrix[0] = degrees(),
            (false, false) => {}
        }
    }

    fn fast_path(&self) -> Option<FastPath> {
        Some(FastPath(BlockLikelihood::Vector(VectorLikelihood::StudentT(Arc::new(*self)))))
    }

    /// The centre f: the mean for ν > 1, and the median also below, where there is no mean.
    fn mean(&self, outputs: &[f64], _: &[f64], mean: &mut [f64]) {
        mean[0] = outputs[0];
    }

    /// σ² ν/(ν − 2) for ν > 2; ∞ for ν ≤ 2, where the expected squared distance from the centre diverges.
    fn variance(&self, _: &[f64], parameters: &[f64], variance: &mut [f64]) {
        let (log_scale, degrees) = self.read(parameters);
        variance[0] = if degrees <= 2.0 { f64::INFINITY } else { (2.0 * log_scale).exp() / (1.0 - 2.0 / degrees) };
    }

    fn entropy(&self, _: &[f64], parameters: &[f64]) -> f64 {
        let (log_scale, degrees) = self.read(parameters);
        0.5 * (degrees + 1.0) * digamma_difference(0.5 * degrees, 0.5) + 0.5 * degrees.ln() + LN_GAMMA_HALF
            - ln_gamma_difference(0.5 * degrees, 0.5)
            + log_scale
    }

    /// A normal deviate over √(χ²/ν).
    fn simulate(&self, outputs: &[f64], parameters: &[f64], rng: &mut ChainRng, targets: &mut [f64]) {
        let (log_scale, degrees) = self.read(parameters);
        let z: f64 = StandardNormal.sample(rng);
        let spread = ChiSquared::new(degrees).map_or(f64::NAN, |chi| (chi.sample(rng) / degrees).sqrt());
        targets[0] = outputs[0] + log_scale.exp() * z / spread;
    }
}
