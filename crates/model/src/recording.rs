//! Turn the positions that samplers move in into the draws that are stored.

use crate::{ChainRng, EvaluationError, Posterior};

/// Writes what is stored of a position, where a posterior stores something else than the position itself.
///
/// A prior with sampled scales moves in standardised coordinates z and stores weights w = s z; a posterior that integrates some
/// weights out stores them too, drawn from their distribution given the rest. Draws then look like those of any other posterior to
/// predictions, diagnostics and files. [`Posterior::recorder`] makes one for each chain; [`Posterior::draw_layout`] names what it
/// writes.
pub trait Recorder {
    /// Writes the draw that belongs to `position`; what the position leaves open is drawn with `rng`.
    ///
    /// # Errors
    /// When the draw cannot be computed.
    fn record(&mut self, position: &[f64], rng: &mut ChainRng, draw: &mut [f64]) -> Result<(), EvaluationError>;

    /// Writes the most probable draw given `position`: what is stored of an optimised point.
    ///
    /// # Errors
    /// When the draw cannot be computed.
    fn record_mode(&mut self, position: &[f64], draw: &mut [f64]) -> Result<(), EvaluationError>;

    /// Writes a position that `draw` belongs to, so that stored draws can start other chains.
    ///
    /// # Errors
    /// When no position has this draw.
    fn restore(&mut self, draw: &[f64], position: &mut [f64]) -> Result<(), EvaluationError>;
}

/// The draws of one chain's positions: the positions themselves, unless the posterior has a [`Recorder`].
///
/// ```
/// use ergodic_model::{density, stream, Purpose, Recording};
/// let flat = density(2, |_: &[f64], gradient: &mut [f64]| {
///     gradient.fill(0.0);
///     0.0
/// });
/// let mut recording = Recording::new(&flat);
/// assert_eq!(recording.draw(&[1.0, 2.0], || stream(1, 0, Purpose::Record))?, [1.0, 2.0]);
/// # Ok::<(), ergodic_model::EvaluationError>(())
/// ```
pub struct Recording<'a> {
    recorder: Option<Box<dyn Recorder + Send + 'a>>,
    draw: Vec<f64>,
}

impl std::fmt::Debug for Recording<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("recorder", &self.recorder.is_some()).finish_non_exhaustive()
    }
}

impl<'a> Recording<'a> {
    /// For the positions of one chain of `posterior`.
    #[must_use]
    pub fn new<P: Posterior + ?Sized>(posterior: &'a P) -> Self {
        let recorder = posterior.recorder();
        let dim = if recorder.is_some() { posterior.draw_layout().dim() } else { 0 };
        Self { recorder, draw: vec![0.0; dim] }
    }

    /// The draw that belongs to `position`; a random stream is asked for where the position leaves something open.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn draw<'b>(&'b mut self, position: &'b [f64], rng: impl FnOnce() -> ChainRng) -> Result<&'b [f64], EvaluationError> {
        let Some(recorder) = &mut self.recorder else { return Ok(position) };
        recorder.record(position, &mut rng(), &mut self.draw)?;
        Ok(&self.draw)
    }

    /// The most probable draw given `position`.
    ///
    /// # Errors
    /// As [`Recorder::record_mode`].
    pub fn mode<'b>(&'b mut self, position: &'b [f64]) -> Result<&'b [f64], EvaluationError> {
        let Some(recorder) = &mut self.recorder else { return Ok(position) };
        recorder.record_mode(position, &mut self.draw)?;
        Ok(&self.draw)
    }
}

/// A position that the stored draw `draw` of `posterior` belongs to, to start another chain from.
///
/// ```
/// use ergodic_model::{density, position_of};
/// let flat = density(1, |_: &[f64], gradient: &mut [f64]| {
///     gradient.fill(0.0);
///     0.0
/// });
/// assert_eq!(position_of(&flat, &[3.0])?, [3.0]);
/// # Ok::<(), ergodic_model::EvaluationError>(())
/// ```
///
/// # Errors
/// When `draw` has another number of coordinates than the posterior stores, or no position has this draw.
pub fn position_of<P: Posterior + ?Sized>(posterior: &P, draw: &[f64]) -> Result<Vec<f64>, EvaluationError> {
    let stored = posterior.draw_layout().dim();
    if draw.len() != stored {
        return Err(EvaluationError::new(format!("the draw has {} coordinates and the model stores {stored}", draw.len())));
    }
    let Some(mut recorder) = posterior.recorder() else { return Ok(draw.to_vec()) };
    let mut position = vec![0.0; posterior.layout().dim()];
    recorder.restore(draw, &mut position)?;
    Ok(position)
}
