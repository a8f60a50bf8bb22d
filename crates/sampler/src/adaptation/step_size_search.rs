//! Find a first step size by doubling or halving until one step's acceptance probability crosses 0.8 (Hoffman & Gelman 2014, as in Stan).

use crate::{ChainError, ChainState, HamiltonianKernel, PhasePoint};
use ergodic_model::{ChainRng, LogDensity};

/// Most doublings or halvings; 2¹⁰⁰ is beyond any posterior that one metric can serve.
const MAX_CHANGES: usize = 100;

/// Doubles or halves the kernel's step size until the acceptance probability of one step, with a fresh momentum, crosses 0.8.
///
/// A step that leaves the support counts as rejected, so the search ends for gradients that are not numbers too.
///
/// # Errors
/// When the density cannot be evaluated, or 100 changes do not suffice.
pub fn find_step_size<K: HamiltonianKernel>(
    kernel: &mut K,
    density: &mut dyn LogDensity,
    state: &K::State,
    rng: &mut ChainRng,
) -> Result<(), ChainError> {
    // Rather than beside what the kernel keeps: searches are rare.
    kernel.free_scratch();
    let mut point = PhasePoint::new(state.position().len(), kernel.metric());
    let first = kernel.step_size();
    let mut step_size = first;
    // Whether a step is accepted with probability above 0.8, and whether it moved at all.
    let mut try_step = |kernel: &K, step_size: f64| {
        point.set_position(state.position(), state.gradient(), state.log_density());
        point.draw_momentum(kernel.metric(), rng);
        let energy = point.energy();
        kernel.integrator().step(density, kernel.metric(), step_size, &mut point)?;
        // The energy outside the support is infinite, so the difference is never NaN.
        let accepted = energy - point.energy() > 0.8_f64.ln();
        Ok::<_, ChainError>((accepted, point.position != state.position()))
    };
    let (grow, _) = try_step(kernel, step_size)?;
    for _ in 0..MAX_CHANGES {
        step_size *= if grow { 2.0 } else { 0.5 };
        let (accepted, moved) = try_step(kernel, step_size)?;
        if accepted != grow {
            if !moved {
                // A step below the resolution of numbers is accepted for staying where it is.
                break;
            }
            kernel.set_step_size(step_size);
            return Ok(());
        }
    }
    let problem = if grow {
        format!(
            "steps are still accepted at {step_size:e}, {MAX_CHANGES} doublings from {first}: the log density hardly changes in any direction; \
             is a prior missing?"
        )
    } else {
        format!(
            "steps are still rejected at {step_size:e}, halved again and again from {first}: near the initial position the gradient does not \
             belong to the log density, or is not finite; check the model with its gradient checker"
        )
    };
    Err(ChainError::NoStepSize { problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildContext, Counted, Kernel, Method, Nuts, NutsKernel, Warmup};
    use ergodic_model::{Purpose, density, stream};

    /// Searches from `first` on a normal of the given scale, with gradients multiplied by `factor` away from the start.
    fn search(scale: f64, first: f64, factor: f64) -> (Result<f64, ChainError>, u64) {
        let start = scale;
        let mut normal = Counted::new(density(1, move |x: &[f64], gradient: &mut [f64]| {
            let factor = if x[0] == start { 1.0 } else { factor };
            gradient[0] = -x[0] / (scale * scale) * factor;
            -0.5 * (x[0] / scale).powi(2)
        }));
        let settings = Nuts { adaptation: Warmup::Fixed { step_size: first }, ..Nuts::default() };
        let (mut kernel, _): (NutsKernel, _) =
            settings.build(&BuildContext { dim: 1, warmup: 0, prior_scales: &[1.0], blocks: &[] });
        let state = kernel.init(&mut normal, &[start]).unwrap();
        let found = find_step_size(&mut kernel, &mut normal, &state, &mut stream(1, 0, Purpose::Test));
        (found.map(|()| kernel.step_size()), normal.evaluations())
    }

    #[test]
    fn the_step_size_has_the_scale_of_the_density() {
        for scale in [1e-8, 1e-3, 1.0, 1e5] {
            for first in [1e-6, 0.1, 1e3] {
                let (found, _) = search(scale, first, 1.0);
                let relative = found.unwrap() / scale;
                assert!((0.05..20.0).contains(&relative), "{relative} at scale {scale} from {first}");
            }
        }
    }

    #[test]
    fn gradients_that_are_not_numbers_end_the_search_with_an_error() {
        let (found, evaluations) = search(1.0, 0.1, f64::NAN);
        assert!(found.unwrap_err().to_string().contains("still rejected"));
        assert!(evaluations <= MAX_CHANGES as u64 + 2, "{evaluations}");
    }
}
