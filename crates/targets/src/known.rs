//! Define what is known about a target beyond its density: moments and independent draws.

use ergodic_model::ChainRng;

/// Moments of the unconstrained coordinates, where they are known.
pub trait KnownMoments {
    /// The mean of each coordinate; `None` where it is not known.
    fn mean(&self) -> Option<Vec<f64>>;

    /// The variance of each coordinate; `None` where it is not known.
    fn variance(&self) -> Option<Vec<f64>>;
}

/// Independent draws from exactly the density that the target evaluates.
pub trait ExactDraws {
    /// Writes one draw into `position`, one value per coordinate.
    fn draw(&self, rng: &mut ChainRng, position: &mut [f64]);
}
