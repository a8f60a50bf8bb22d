//! Hold the settings of Pathfinder.

use crate::FitError;
use crate::error::check_count;
use serde::{Deserialize, Serialize};

/// Settings of [`pathfinder`](crate::pathfinder()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pathfinder {
    /// Optimisations, each from an initial position of its own; 4, as Stan does. 1 is the single-path method. The paper uses 20 where
    /// there are several modes.
    pub paths: usize,
    /// Most L-BFGS iterations of a path; the paper's 1000.
    pub iterations: usize,
    /// A path ends when an iteration raises the log density by less than this share of it; the paper's 10⁻¹³.
    pub tolerance: f64,
    /// Steps that the inverse Hessian is estimated from; the paper's 6.
    pub history: usize,
    /// Draws by which the evidence lower bound is estimated at each iteration; Stan's 25. With the paper's 5 the highest estimate is
    /// often luck: on a normal of five dimensions the bound of what is chosen then lies 0.15 nats below the evidence instead of 0.01.
    pub elbo_draws: usize,
    /// Draws of each path's normal that are weighed; Stan's 1000. The shape of the weights' tail is known the better the more there are.
    pub candidates: usize,
    /// Draws of the result, chosen from all candidates; Stan's 1000.
    pub draws: usize,
    /// Seed of all random streams; path k begins where a sampler's chain k of this seed would.
    pub seed: u64,
    /// Threads; one a core by default. Results are the same for any number.
    pub threads: Option<usize>,
}

impl Default for Pathfinder {
    fn default() -> Self {
        Self {
            paths: 4,
            iterations: 1000,
            tolerance: 1e-13,
            history: 6,
            elbo_draws: 25,
            candidates: 1000,
            draws: 1000,
            seed: 0,
            threads: None,
        }
    }
}

impl Pathfinder {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of range, and the range.
    pub fn validate(&self) -> Result<(), FitError> {
        check_count("paths", self.paths)?;
        check_count("iterations", self.iterations)?;
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(FitError::setting("tolerance", self.tolerance, "a finite number, at least 0"));
        }
        check_count("history", self.history)?;
        check_count("elbo_draws", self.elbo_draws)?;
        check_count("candidates", self.candidates)?;
        check_count("draws", self.draws)?;
        self.threads.map_or(Ok(()), |threads| check_count("threads", threads))
    }
}
