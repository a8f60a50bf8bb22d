//! Begin every method at a given position, such as the weights of a network trained elsewhere.

use crate::{Capabilities, ChainRng, LabelError, LogDensity, Posterior, Recorder};
use ergodic_draws::{Layout, Temperatures};

/// A posterior whose initial position is a given one; all else is as it was.
///
/// Whatever asks for an initial position begins there: chains, optimisation, variational fits. Chains that all begin at one place
/// look alike until they have forgotten it, so that R-hat sees less; a sampler's own initial positions give each chain a start of its own.
///
/// ```
/// use ergodic_model::{density, stream, Posterior, Purpose, StartingAt};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let trained = StartingAt::new(&normal, vec![0.5, -0.5])?;
/// let mut position = [0.0; 2];
/// trained.initial_position(&mut stream(1, 0, Purpose::Initialise), &mut position);
/// assert_eq!(position, [0.5, -0.5]);
/// # Ok::<(), ergodic_model::LabelError>(())
/// ```
#[derive(Clone)]
pub struct StartingAt<'a> {
    posterior: &'a dyn Posterior,
    start: Vec<f64>,
}

impl std::fmt::Debug for StartingAt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartingAt").field("dim", &self.start.len()).finish_non_exhaustive()
    }
}

impl<'a> StartingAt<'a> {
    /// `posterior`, beginning at the unconstrained position `start`.
    ///
    /// # Errors
    /// When `start` has another dimension than the posterior.
    pub fn new(posterior: &'a dyn Posterior, start: Vec<f64>) -> Result<Self, LabelError> {
        let (found, expected) = (start.len(), posterior.layout().dim());
        if found == expected {
            Ok(Self { posterior, start })
        } else {
            Err(LabelError::Dimension { what: "initial position", found, expected })
        }
    }
}

impl Posterior for StartingAt<'_> {
    fn layout(&self) -> Layout {
        self.posterior.layout()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        self.posterior.evaluator()
    }

    fn initial_position(&self, _: &mut ChainRng, position: &mut [f64]) {
        position.copy_from_slice(&self.start);
    }

    fn prior_scales(&self, scales: &mut [f64]) {
        self.posterior.prior_scales(scales);
    }

    fn draw_layout(&self) -> Layout {
        self.posterior.draw_layout()
    }

    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        self.posterior.recorder()
    }

    fn temperatures(&self) -> Temperatures {
        self.posterior.temperatures()
    }

    fn description(&self) -> serde_json::Value {
        self.posterior.description()
    }

    fn capabilities(&self) -> Capabilities<'_> {
        self.posterior.capabilities()
    }
}
