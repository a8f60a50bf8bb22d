//! Find an initial position at which a chain can begin.

use crate::vector::first_non_finite;
use crate::{ChainError, ChainState, Kernel};
use ergodic_draws::Layout;
use ergodic_model::{ChainRng, LogDensity, Posterior};

/// Positions that are tried before a chain gives up; Stan's number.
const TRIES: usize = 100;

/// The state at the first position whose log density and gradient are finite: the given one, or one of the model's.
pub(crate) fn initial_state<K: Kernel, P: Posterior + ?Sized>(
    kernel: &mut K,
    density: &mut dyn LogDensity,
    posterior: &P,
    layout: &Layout,
    given: Option<&[f64]>,
    rng: &mut ChainRng,
) -> Result<K::State, ChainError> {
    let mut position = vec![0.0; layout.dim()];
    let tries = if given.is_some() { 1 } else { TRIES };
    let (mut log_density, mut problem) = (f64::NAN, String::new());
    for _ in 0..tries {
        match given {
            Some(given) => position.copy_from_slice(given),
            None => posterior.initial_position(rng, &mut position),
        }
        if let Some(coordinate) = first_non_finite(&position) {
            problem = format!("the initial position has {} = {}", layout.coordinate_name(coordinate), position[coordinate]);
            continue;
        }
        let state = kernel.init(density, &position)?;
        log_density = state.log_density();
        if !log_density.is_finite() {
            problem = format!("the log density is {log_density}");
        } else if let Some(coordinate) = first_non_finite(state.gradient()) {
            let value = state.gradient()[coordinate];
            problem = format!("the gradient in {} is {value}", layout.coordinate_name(coordinate));
        } else {
            return Ok(state);
        }
    }
    Err(ChainError::NoInitialPosition { tries, log_density, problem })
}
