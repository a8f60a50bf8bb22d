//! Define what all kernels with a step size and a metric share, so that one adaptation tunes them all.

use crate::{Info, Integrator, Kernel, Metric};

/// A kernel that integrates Hamilton's equations under a metric with a step size.
///
/// ```
/// use ergodic_sampler::{BuildContext, HamiltonianKernel, Method, Metric, Nuts};
/// let (mut kernel, _) = Nuts::default().build(&BuildContext { dim: 2, warmup: 0, prior_scales: &[1.0, 1.0], blocks: &[] });
/// kernel.set_step_size(0.5);
/// kernel.set_metric(Metric::diagonal(vec![1.0, 4.0])?);
/// # Ok::<(), ergodic_sampler::MetricError>(())
/// ```
pub trait HamiltonianKernel: Kernel {
    /// How steps are taken.
    fn integrator(&self) -> Integrator;

    /// The step size ε.
    fn step_size(&self) -> f64;

    /// Sets the step size ε, positive and finite.
    fn set_step_size(&mut self, step_size: f64);

    /// The metric.
    fn metric(&self) -> &Metric;

    /// The metric, to change it.
    fn metric_mut(&mut self) -> &mut Metric;

    /// Replaces the metric; it must fit the dimension of the state.
    fn set_metric(&mut self, metric: Metric) {
        *self.metric_mut() = metric;
    }

    /// An acceptance rate that falls with energy errors of either sign, if the kernel has one: a kernel that chooses among many points
    /// can take larger steps when it is tuned by this one. By default the plain rate.
    fn symmetric_acceptance_rate(info: &Self::Info) -> f64 {
        info.acceptance_rate()
    }

    /// Whether a step moved, so that its end tells something new about the posterior's scales.
    fn is_informative(info: &Self::Info) -> bool;
}
