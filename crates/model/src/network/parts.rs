//! Split the rows of a gradient into parts of fixed boundaries, which idle threads may take.

use super::block::panel_rows;
use super::{DenseNetwork as Network, FusedData, FusedGradient};
use crate::RowThreads;
use crate::likelihood_block::BlockLikelihood;
use crate::simd::Real;
use pulp::Arch;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Least operations of a part: some tenths of a millisecond, against microseconds for another thread to take it.
const PART_OPERATIONS: usize = 1 << 25;

/// Least rows of a part, so that adding up gradients costs little beside computing them.
const PART_ROWS: usize = 1024;

/// Most parts, which bounds the memory of their gradients.
const MOST_PARTS: usize = 8;

/// Operations that an activation counts for.
const ACTIVATION: usize = 50;

/// Rows of every part but the last, which may be shorter; they depend on the network and on the number of rows alone, so that the
/// sums do not depend on threads.
pub(crate) fn part_rows(network: &Network, rows: usize) -> usize {
    let hidden: usize = network.layers().iter().map(|layer| layer.outputs).sum();
    let operations = 6 * network.num_weights() + ACTIVATION * hidden;
    let least = PART_ROWS.max(PART_OPERATIONS / operations.max(1));
    let parts = (rows / least).clamp(1, MOST_PARTS);
    // Whole panels in both precisions.
    rows.div_ceil(parts).next_multiple_of(panel_rows::<f32>()).max(panel_rows::<f32>())
}

/// Sums over one part: the gradients of weights and parameters.
#[derive(Debug)]
struct PartSums {
    weights: Vec<f64>,
    parameters: Vec<f64>,
}

/// What the evaluation of a part needs, for any thread.
#[derive(Debug)]
struct Shared<E> {
    network: Arc<Network>,
    data: Arc<FusedData<E>>,
    likelihood: BlockLikelihood,
    arch: Arch,
    /// Evaluators not in use; at most one for each thread that has worked here.
    evaluators: Mutex<Vec<FusedGradient<E>>>,
}

/// Evaluates the log likelihood of a network and its gradient part by part; one for each chain.
///
/// Parts are added as a binary tree over their order, whoever evaluates them, so the result is the same for any number of threads.
#[derive(Debug)]
pub(crate) struct SplitGradient<E> {
    shared: Shared<E>,
    /// The sums of every part but the first, which goes to the caller's gradient.
    sums: Vec<PartSums>,
    threads: RowThreads,
}

/// One call: where the position is, and which rows.
#[derive(Clone, Copy)]
struct Call<'a, E> {
    shared: &'a Shared<E>,
    weights: &'a [f64],
    parameters: &'a [f64],
    chosen: Option<&'a [usize]>,
    rows: usize,
    part_rows: usize,
    parallel: bool,
}

impl<E: Real> SplitGradient<E> {
    pub(crate) fn new(
        network: Arc<Network>,
        data: Arc<FusedData<E>>,
        likelihood: BlockLikelihood,
        threads: RowThreads,
    ) -> Self {
        let (arch, evaluators) = (Arch::new(), Mutex::new(Vec::new()));
        let shared = Shared { network, data, likelihood, arch, evaluators };
        let first = shared.evaluator();
        shared.put_back(first);
        Self { shared, sums: Vec::new(), threads }
    }

    /// Writes the gradient of the log likelihood of the given rows, or of all, in the network's weights and in the likelihood's own
    /// parameters, and returns the log likelihood with all constants.
    pub(crate) fn log_likelihood_and_gradient(
        &mut self,
        chosen: Option<&[usize]>,
        weights: &[f64],
        parameters: &[f64],
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
    ) -> f64 {
        let rows = chosen.map_or(self.shared.data.num_rows(), <[usize]>::len);
        let part_rows = part_rows(&self.shared.network, rows);
        let parts = rows.div_ceil(part_rows).max(1);
        if parts == 1
            && let Some(evaluator) = self.shared.evaluators.get_mut().unwrap_or_else(PoisonError::into_inner).last_mut()
        {
            return match chosen {
                None => evaluator.log_likelihood_and_gradient(weights, parameters, weight_gradient, parameter_gradient),
                Some(rows) => evaluator.log_likelihood_and_gradient_of_rows(
                    rows,
                    weights,
                    parameters,
                    weight_gradient,
                    parameter_gradient,
                ),
            };
        }
        while self.sums.len() + 1 < parts {
            let (weights, parameters) = (vec![0.0; weights.len()], vec![0.0; parameters.len()]);
            self.sums.push(PartSums { weights, parameters });
        }
        // Outside a pool there are no idle threads to ask, and the global pool is the program's to start.
        let parallel = self.threads == RowThreads::Idle && rayon::current_thread_index().is_some();
        let shared = &self.shared;
        let call = Call { shared, weights, parameters, chosen, rows, part_rows, parallel };
        call.sum(0..parts, weight_gradient, parameter_gradient, &mut self.sums)
    }
}

#[cfg(test)]
impl<E: Real> SplitGradient<E> {
    /// Number of evaluators made so far.
    pub(crate) fn evaluators(&self) -> usize {
        self.shared.evaluators.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<E: Real> Shared<E> {
    /// An evaluator that is not in use, or a new one.
    fn evaluator(&self) -> FusedGradient<E> {
        let free = self.evaluators.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| {
            let (network, data) = (Arc::clone(&self.network), Arc::clone(&self.data));
            let rows = part_rows(&network, data.num_rows()).min(data.num_rows());
            FusedGradient::with_room(network, data, self.likelihood.clone(), self.arch, rows)
        })
    }

    fn put_back(&self, evaluator: FusedGradient<E>) {
        self.evaluators.lock().unwrap_or_else(PoisonError::into_inner).push(evaluator);
    }
}

impl<E: Real> Call<'_, E> {
    /// Writes the sums over some parts, and returns their log likelihood; `others` has room for every part but the first.
    fn sum(
        self,
        parts: Range<usize>,
        weight_gradient: &mut [f64],
        parameter_gradient: &mut [f64],
        others: &mut [PartSums],
    ) -> f64 {
        if parts.len() == 1 {
            return self.part(parts.start, weight_gradient, parameter_gradient);
        }
        let middle = parts.start + parts.len() / 2;
        let (lower, upper) = others.split_at_mut(middle - parts.start - 1);
        let (sums, upper) = upper.split_at_mut(1);
        let sums = &mut sums[0];
        let (left, right) = {
            let mut left = || self.sum(parts.start..middle, weight_gradient, parameter_gradient, lower);
            let mut right = || self.sum(middle..parts.end, &mut sums.weights, &mut sums.parameters, upper);
            if self.parallel { rayon::join(left, right) } else { (left(), right()) }
        };
        weight_gradient.iter_mut().zip(&sums.weights).for_each(|(to, from)| *to += from);
        parameter_gradient.iter_mut().zip(&sums.parameters).for_each(|(to, from)| *to += from);
        left + right
    }

    fn part(self, part: usize, weight_gradient: &mut [f64], parameter_gradient: &mut [f64]) -> f64 {
        let rows = part * self.part_rows..((part + 1) * self.part_rows).min(self.rows);
        let mut evaluator = self.shared.evaluator();
        let (weights, parameters) = (self.weights, self.parameters);
        let value = match self.chosen {
            None => {
                evaluator.log_likelihood_and_gradient_of_range(rows, weights, parameters, weight_gradient, parameter_gradient)
            }
            Some(all) => evaluator.log_likelihood_and_gradient_of_rows(
                &all[rows],
                weights,
                parameters,
                weight_gradient,
                parameter_gradient,
            ),
        };
        self.shared.put_back(evaluator);
        value
    }
}
