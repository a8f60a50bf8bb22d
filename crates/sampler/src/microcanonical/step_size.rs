//! Find a first step size by doubling or halving until one step's energy error crosses a tolerance.

use super::kernel::MicrocanonicalKernel;
use super::state::MicrocanonicalState;
use crate::{ChainError, ChainState};
use ergodic_model::{ChainRng, LogDensity};

/// Most doublings or halvings; 2¹⁰⁰ is beyond any posterior.
const MAX_CHANGES: usize = 100;

/// Doubles or halves the kernel's step size until the energy error of one step, in a fresh direction, crosses `tolerance` nats; keeps
/// the largest step size below.
///
/// A step that leaves the support has an infinite error, so the search ends for gradients that are not numbers too.
pub(crate) fn find_step_size<K: MicrocanonicalKernel>(
    kernel: &mut K,
    density: &mut dyn LogDensity,
    state: &K::State,
    tolerance: f64,
    rng: &mut ChainRng,
) -> Result<(), ChainError> {
    let mut trial = MicrocanonicalState::zero(state.position().len());
    let first = kernel.step_size();
    let mut step_size = first;
    let mut try_step = |kernel: &K, step_size: f64| {
        trial.set_position(state.position(), state.gradient(), state.log_density());
        trial.draw_direction(rng);
        let error = kernel.dynamics().step(density, step_size, &mut trial)?;
        Ok::<_, ChainError>((error.abs() <= tolerance, trial.position != state.position()))
    };
    let (grow, _) = try_step(kernel, step_size)?;
    for _ in 0..MAX_CHANGES {
        let before = step_size;
        step_size *= if grow { 2.0 } else { 0.5 };
        let (small, moved) = try_step(kernel, step_size)?;
        if small != grow {
            if !moved {
                // A step below the resolution of numbers has no error for staying where it is.
                break;
            }
            kernel.set_step_size(if grow { before } else { step_size });
            return Ok(());
        }
    }
    let problem = if grow {
        format!(
            "steps still conserve energy at {step_size:e}, {MAX_CHANGES} doublings from {first}: the log density hardly changes in any \
             direction; is a prior missing?"
        )
    } else {
        format!(
            "steps still do not conserve energy at {step_size:e}, halved again and again from {first}: near the initial position the \
             gradient does not belong to the log density, or is not finite; check the model with its gradient checker"
        )
    };
    Err(ChainError::NoStepSize { problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildContext, Counted, Kernel, Mams, MamsKernel, Method};
    use ergodic_model::{Purpose, density, stream};

    /// Searches from `first` on two independent normals of the given scale, with gradients multiplied by `factor` away from the start.
    fn search(scale: f64, first: f64, factor: f64) -> (Result<f64, ChainError>, u64) {
        let start = [scale, -0.5 * scale];
        let mut normal = Counted::new(density(2, move |x: &[f64], gradient: &mut [f64]| {
            let factor = if x == start { 1.0 } else { factor };
            gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x / (scale * scale) * factor);
            -0.5 * x.iter().map(|x| (x / scale).powi(2)).sum::<f64>()
        }));
        let context = BuildContext { dim: 2, warmup: 0, prior_scales: &[1.0; 2], blocks: &[] };
        let (mut kernel, _): (MamsKernel, _) = Mams::default().build(&context);
        kernel.set_step_size(first);
        let state = kernel.init(&mut normal, &start).unwrap();
        let found = find_step_size(&mut kernel, &mut normal, &state, 0.2, &mut stream(1, 0, Purpose::Test));
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
        assert!(found.unwrap_err().to_string().contains("still do not conserve"));
        assert!(evaluations <= MAX_CHANGES as u64 + 2, "{evaluations}");
    }
}
