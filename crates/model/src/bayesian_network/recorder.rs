//! Store a network's weights where its prior moves in other coordinates.

use super::BayesianNetwork;
use crate::{ChainRng, EvaluationError, Recorder};

/// Writes weights in place of their coordinates; the parameters behind them stay.
pub(super) struct WeightRecorder<'a> {
    pub(super) model: &'a BayesianNetwork,
}

impl Recorder for WeightRecorder<'_> {
    fn record(&mut self, position: &[f64], _rng: &mut ChainRng, draw: &mut [f64]) -> Result<(), EvaluationError> {
        self.record_mode(position, draw)
    }

    fn record_mode(&mut self, position: &[f64], draw: &mut [f64]) -> Result<(), EvaluationError> {
        draw.copy_from_slice(position);
        let [coordinates, _, scales] = self.model.parts(position);
        if let Some(form) = self.model.prior.reparameterization() {
            form.weights(coordinates, scales, &mut draw[..coordinates.len()]);
        }
        Ok(())
    }

    fn restore(&mut self, draw: &[f64], position: &mut [f64]) -> Result<(), EvaluationError> {
        position.copy_from_slice(draw);
        let [weights, _, scales] = self.model.parts(draw);
        if let Some(form) = self.model.prior.reparameterization() {
            form.coordinates(weights, scales, &mut position[..weights.len()]);
        }
        Ok(())
    }
}
