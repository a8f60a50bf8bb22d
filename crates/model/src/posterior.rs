//! Define what chains share: evaluators, names of coordinates, initial positions and capabilities.

use crate::capabilities::Capabilities;
use crate::{ChainRng, LogDensity, Recorder};
use ergodic_draws::{Layout, LayoutError, RunReport, Temperatures};
use rand::RngExt;

/// A posterior that several chains sample at once.
///
/// Anything that is [`LogDensity`]` + Clone + Send + Sync` implements it, without names and with initial positions uniform
/// on (−2, 2), Stan's choice; [`Labelled`] adds names, transforms and an initial position. Networks implement it themselves.
pub trait Posterior: Sync {
    /// Names, shapes and transforms of the coordinates that samplers move in.
    fn layout(&self) -> Layout;

    /// An evaluator of the log density for one chain.
    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_>;

    /// Writes a random initial position for one chain; drivers ask again when the density there is not finite.
    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        for x in position {
            *x = rng.random_range(-2.0..2.0);
        }
    }

    /// Writes the prior's standard deviation of each coordinate, toward which adapted scales are shrunk; 1 where it is not known.
    fn prior_scales(&self, scales: &mut [f64]) {
        scales.fill(1.0);
    }

    /// Names, shapes and transforms of what is stored of a position; the position itself unless there is a
    /// [`recorder`](Self::recorder).
    fn draw_layout(&self) -> Layout {
        self.layout()
    }

    /// What turns positions into stored draws; `None` where the position itself is stored.
    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        None
    }

    /// The temperatures of this density, which every result of it states; the posterior itself unless it is
    /// [`Tempered`](crate::Tempered).
    fn temperatures(&self) -> Temperatures {
        Temperatures::POSTERIOR
    }

    /// What this model is, for reports and files: anything in JSON; nothing by default.
    fn description(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// An empty report of a method on this posterior, which states its temperatures and describes it: where every method's report
    /// begins.
    fn new_report(&self, method: &str, seed: u64) -> RunReport {
        let mut report = RunReport::new(method, seed);
        report.temperatures = self.temperatures();
        report.model = self.description();
        report
    }

    /// What else the model can do; nothing unless it says so.
    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities::default()
    }
}

impl<D: LogDensity + Clone + Send + Sync> Posterior for D {
    fn layout(&self) -> Layout {
        Layout::flat(self.dim())
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(self.clone())
    }
}

/// A density with names, transforms and, if given, an initial position.
///
/// ```
/// use ergodic_draws::{Block, Layout, Transform};
/// use ergodic_model::{density, Labelled, Posterior};
/// let scale = density(1, |x: &[f64], gradient: &mut [f64]| {
///     gradient[0] = 1.0 - x[0].exp();
///     x[0] - x[0].exp()
/// });
/// let posterior = Labelled::new(scale, Layout::new(vec![Block::new("scale", &[]).with_transform(Transform::EXP)])?)?;
/// assert_eq!(posterior.layout().coordinate_name(0), "scale");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Labelled<D> {
    density: D,
    layout: Layout,
    initial: Option<Vec<f64>>,
}

/// Why a density and its labels do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The labels name another number of coordinates than the density has.
    #[error("the {what} has {found} coordinates and the density {expected}; they must agree")]
    Dimension {
        /// What was given.
        what: &'static str,
        /// Its number of coordinates.
        found: usize,
        /// The density's.
        expected: usize,
    },
    /// The blocks do not make a layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl<D: LogDensity + Clone + Send + Sync> Labelled<D> {
    /// Names the coordinates of `density`.
    ///
    /// # Errors
    /// When the layout has another dimension than the density.
    pub fn new(density: D, layout: Layout) -> Result<Self, LabelError> {
        if layout.dim() != density.dim() {
            return Err(LabelError::Dimension { what: "layout", found: layout.dim(), expected: density.dim() });
        }
        Ok(Self { density, layout, initial: None })
    }

    /// Starts every chain near `position`: uniformly within ±0.1 of each coordinate, so that chains differ.
    ///
    /// # Errors
    /// When `position` has another dimension than the density.
    pub fn with_initial_position(mut self, position: Vec<f64>) -> Result<Self, LabelError> {
        if position.len() != self.layout.dim() {
            let (found, expected) = (position.len(), self.layout.dim());
            return Err(LabelError::Dimension { what: "initial position", found, expected });
        }
        self.initial = Some(position);
        Ok(self)
    }
}

impl<D: LogDensity + Clone + Send + Sync> Posterior for Labelled<D> {
    fn layout(&self) -> Layout {
        self.layout.clone()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(self.density.clone())
    }

    fn initial_position(&self, rng: &mut ChainRng, position: &mut [f64]) {
        match &self.initial {
            Some(initial) => {
                for (x, start) in position.iter_mut().zip(initial) {
                    *x = start + rng.random_range(-0.1..0.1);
                }
            }
            None => self.density.initial_position(rng, position),
        }
    }
}
