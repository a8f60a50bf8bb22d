//! Sample with nuts-rs, with this project's gradient behind its trait.

use crate::sampling::Timed;
use cpu_time::ProcessTime;
use ergodic::model::{Purpose, stream};
use ergodic::prelude::{BayesianNetwork, EvaluationError, LogDensity, Posterior, Run};
use nuts_rs::rand::Rng;
use nuts_rs::{Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings};
use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error;

/// Our evaluator as nuts-rs wants it, counting its evaluations.
struct Function<'a> {
    evaluator: Box<dyn LogDensity + Send + 'a>,
    evaluations: &'a Cell<u64>,
}

/// An error of the evaluator, which ends a chain of nuts-rs too.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(#[from] EvaluationError);

impl LogpError for Failed {
    fn is_recoverable(&self) -> bool {
        false
    }
}

impl HasDims for Function<'_> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::from([("unconstrained_parameter".to_owned(), self.evaluator.dim() as u64)])
    }
}

impl CpuLogpFunc for Function<'_> {
    type LogpError = Failed;
    type FlowParameters = ();
    type ExpandedVector = Vec<f64>;

    fn dim(&self) -> usize {
        self.evaluator.dim()
    }

    fn logp(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, Failed> {
        self.evaluations.set(self.evaluations.get() + 1);
        Ok(self.evaluator.log_density_and_gradient(position, gradient)?)
    }

    fn expand_vector<R: Rng + ?Sized>(&mut self, _rng: &mut R, position: &[f64]) -> Result<Vec<f64>, CpuMathError> {
        Ok(position.to_vec())
    }
}

/// One chain with nuts-rs's defaults, as long as `run` says.
pub(crate) fn sample(model: &BayesianNetwork, run: &Run, initial: &[f64]) -> Result<Timed, Box<dyn Error>> {
    let evaluations = Cell::new(0);
    let settings = DiagNutsSettings { num_tune: run.warmup as u64, num_draws: run.draws as u64, ..DiagNutsSettings::default() };
    let mut positions = Vec::with_capacity(run.draws * initial.len());
    let begin = ProcessTime::now();
    let math = CpuMath::new(Function { evaluator: model.evaluator(), evaluations: &evaluations });
    let mut chain = settings.new_chain(0, math, &mut stream(run.seed, 0, Purpose::Simulate))?;
    chain.set_position(initial)?;
    for _ in 0..run.warmup {
        chain.draw()?;
    }
    let warmup = (begin.elapsed().as_secs_f64(), evaluations.get());
    for _ in 0..run.draws {
        positions.extend_from_slice(&chain.draw()?.0);
    }
    Ok(Timed { warmup, whole: (begin.elapsed().as_secs_f64(), evaluations.get()), positions })
}
