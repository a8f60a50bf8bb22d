//! Check that a model's local reparameterisation bounds the same log joint as its log density states.

use super::estimator::build;
use super::{METHOD, MeanField, mean_and_error};
use crate::{DiagonalNormal, FitError};
use ergodic_model::{Posterior, Purpose, stream};

/// Estimates of each bound.
const ESTIMATES: usize = 100;

/// Standard errors by which the two may differ; chance alone exceeds 6 in about two of 10⁹ fits.
const LIMIT: f64 = 6.0;

/// Compares how much the bound falls when all standard deviations are halved, by local reparameterisation and by draws on the whole
/// vector, and warns if the two differ. Differences of the bound, because a log density may lack constants.
///
/// A divergence that is averaged over coordinates or divided by the number of layers, the commonest fault of variational fits, is
/// off by about ln 2 a coordinate here. Returns the gradients spent.
pub(super) fn check(
    posterior: &dyn Posterior,
    settings: &MeanField,
    q: &DiagonalNormal,
    warnings: &mut Vec<String>,
) -> Result<u64, FitError> {
    let narrow = DiagonalNormal { mean: q.mean.clone(), sd: q.sd.iter().map(|sd| 0.5 * sd).collect() };
    let dim = q.dim();
    // Streams after those of the starts: nothing else reads them.
    let mut bound = build(posterior, settings, settings.starts)?;
    let mut rng = stream(settings.seed, settings.starts, Purpose::Optimise);
    let mut gradient = vec![0.0; 2 * dim];
    let mut local = Vec::with_capacity(ESTIMATES);
    for _ in 0..ESTIMATES {
        let at_q = bound.estimate(q, 1.0, &mut rng, &mut gradient).map_err(FitError::at(METHOD, 0))?;
        local.push(at_q - bound.estimate(&narrow, 1.0, &mut rng, &mut gradient).map_err(FitError::at(METHOD, 0))?);
    }
    let mut density = posterior.evaluator();
    let (mut position, mut whole) = (vec![0.0; dim], Vec::with_capacity(ESTIMATES));
    for estimate in 0..ESTIMATES {
        let mut difference = 0.0;
        for (family, sign) in [(q, 1.0), (&narrow, -1.0)] {
            // The same noise for both, so that most of it cancels.
            family.draw(&mut stream(settings.seed, settings.starts + estimate, Purpose::Draw), &mut position);
            let lp = density.log_density_and_gradient(&position, &mut gradient[..dim]).map_err(FitError::at(METHOD, 0))?;
            difference += sign * (lp - family.log_density(&position));
        }
        whole.push(difference);
    }
    let ((local, local_error), (whole, whole_error)) = (mean_and_error(&local), mean_and_error(&whole));
    let error = local_error.hypot(whole_error) + 1e-9 * whole.abs();
    if (local - whole).abs() > LIMIT * error {
        warnings.push(format!(
            "the model's local reparameterisation and its log density disagree: halving all standard deviations changes the lower \
             bound by {:.3} nats and by {:.3} nats (± {error:.3}); the divergence from the prior may not be a sum over all \
             coordinates, so that q fits another posterior",
            -local, -whole
        ));
    }
    Ok(bound.gradients() + 2 * ESTIMATES as u64)
}
