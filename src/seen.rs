//! Keep what a run has made so far, and judge it: predictions are made once of each draw, and draws are joined once.

use crate::until::{Look, UntilError};
use ergodic_diagnostics::{ess_bulk, rhat};
use ergodic_draws::{ChainDraws, Draws, Role};
use ergodic_model::{MissingCapability, NetworkOutputs, Posterior, PredictOptions, predict};
use nalgebra::DMatrix;

/// The parts of a run, one after the other, and what the network predicts at the points with their draws.
pub(crate) struct Seen<'a> {
    model: Option<(&'a dyn NetworkOutputs, &'a DMatrix<f64>)>,
    parts: Vec<Draws>,
    /// Values of one draw: points × outputs.
    cells: usize,
    /// One list a chain, draw after draw.
    values: Vec<Vec<f64>>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(posterior: &'a dyn Posterior, points: Option<&'a DMatrix<f64>>) -> Result<Self, UntilError> {
        let missing = MissingCapability { method: "sample_until", capability: "NetworkOutputs" };
        let model = match points {
            None => None,
            Some(points) => Some((posterior.capabilities().outputs.ok_or(missing)?, points)),
        };
        Ok(Self { model, parts: Vec::new(), cells: 0, values: Vec::new() })
    }

    /// Takes the next draws of every chain, with a report that counts from the chains' beginning.
    pub(crate) fn add(&mut self, draws: Draws) -> Result<(), UntilError> {
        self.values.resize_with(draws.chains().len(), Vec::new);
        if let Some((model, points)) = self.model.filter(|_| draws.num_draws() > 0) {
            let options = PredictOptions { simulations: 0, ..PredictOptions::default() };
            let predictions = predict(model, &draws, points, None, &options)?;
            self.cells = predictions.num_points * predictions.num_outputs;
            let mut rest = predictions.values.as_slice();
            for (values, length) in self.values.iter_mut().zip(predictions.chain_lengths) {
                let (own, others) = rest.split_at(length * self.cells);
                values.extend_from_slice(own);
                rest = others;
            }
        }
        self.parts.push(draws);
        Ok(())
    }

    /// R-hat and effective draws of the worst of what is judged, after `seconds`.
    pub(crate) fn look(&self, seconds: f64) -> Look {
        let (mut rhats, mut sizes) = (Vec::new(), Vec::new());
        let mut judge = |series: &[Vec<f64>], with_ess: bool| {
            rhats.push(rhat(series).value);
            if with_ess {
                sizes.push(ess_bulk(series).value);
            }
        };
        let Some(last) = self.parts.last() else {
            return Look { draws: 0, gradients: 0, seconds, rhat: f64::NAN, ess: f64::NAN };
        };
        let chains = 0..last.chains().len();
        let lengths = chains.clone().map(|chain| self.parts.iter().map(|part| part.chains()[chain].len()).sum());
        let length = lengths.min().unwrap_or(0);
        let coordinate = |coordinate: usize| -> Vec<Vec<f64>> {
            let of = |chain: usize| {
                let values = self.parts.iter().flat_map(|part| part.chains()[chain].positions().map(|x| x[coordinate]));
                values.take(length).collect()
            };
            chains.clone().map(of).collect()
        };
        if self.model.is_none() {
            (0..last.dim()).for_each(|i| judge(&coordinate(i), true));
        } else {
            for cell in 0..self.cells {
                let of = |values: &Vec<f64>| values.iter().skip(cell).step_by(self.cells).take(length).copied().collect();
                judge(&self.values.iter().map(of).collect::<Vec<Vec<f64>>>(), true);
            }
            let others = last.layout().blocks().iter().filter(|block| !matches!(block.role, Role::Weight | Role::Bias));
            others.flat_map(|block| block.range()).for_each(|i| judge(&coordinate(i), false));
        }
        Look {
            draws: length,
            gradients: last.report.gradients(),
            seconds,
            rhat: worst(&rhats, f64::max),
            ess: worst(&sizes, f64::min),
        }
    }

    /// All draws, with the report of the last part.
    ///
    /// # Panics
    /// When no part was added.
    pub(crate) fn into_draws(self) -> Draws {
        let mut parts = self.parts.into_iter();
        let first = parts.next().expect("a part was added");
        let (layout, origin, mut report) = (first.layout().clone(), first.origin(), first.report.clone());
        let mut chains: Vec<ChainDraws> = first.chains().to_vec();
        for part in parts {
            for (chain, more) in chains.iter_mut().zip(part.chains()) {
                chain.append(more, more.len());
            }
            report = part.report;
        }
        Draws::new(layout, origin, chains, report)
    }
}

/// The worst value, undefined where any is: an undefined one must not hide behind the others.
fn worst(values: &[f64], worse: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { worse(a, b) }).unwrap_or(f64::NAN)
}
