//! Show that the conservation test finds what is broken, and only that.

use crate::conservation::{Conservation, Target};
use crate::kernels::{frozen, gaussian, low_rank, metrics, step_size, step_size_at, transition};
use crate::twins::{Fault, Twin};
use ergodic::model::{ChainRng, EvaluationError, LogDensity};
use ergodic::sampler::{HamiltonianKernel, Hmc, Method, Metric, Nuts, Walnuts};
use ergodic_targets::KnownMoments;

/// A target whose evaluations are scaled, and whose draws are not.
#[derive(Clone)]
struct Distorted<T> {
    target: T,
    value_factor: f64,
    gradient_factor: f64,
}

impl<T: LogDensity> LogDensity for Distorted<T> {
    fn dim(&self) -> usize {
        self.target.dim()
    }

    fn log_density_and_gradient(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, EvaluationError> {
        let value = self.target.log_density_and_gradient(position, gradient)?;
        gradient.iter_mut().for_each(|g| *g *= self.gradient_factor);
        Ok(self.value_factor * value)
    }
}

/// The library's kernel on a distorted density, held against the true target, for every metric.
fn distorted<T: Target, M>(target: &T, method: &M, value_factor: f64, gradient_factor: f64) -> Vec<Conservation>
where
    M: Method,
    M::Kernel: HamiltonianKernel,
{
    let experiments = metrics(target).into_iter().map(|(name, metric)| {
        let step_size = step_size(target, method, &metric);
        let mut kernel = frozen(method, target.dim(), &metric, step_size);
        let mut density = Distorted { target: target.clone(), value_factor, gradient_factor };
        let found = Conservation::test(
            target,
            |position, rng| {
                transition(&mut kernel, &mut density, position, rng);
            },
            200,
        );
        println!("{} {name:8} value × {value_factor}, gradient × {gradient_factor}: {:?}", M::NAME, found.distance);
        found
    });
    experiments.collect()
}

fn hmc() -> Hmc {
    Hmc { trajectory_length: 2.0, max_steps: 64, ..Hmc::default() }
}

fn nuts() -> Nuts {
    Nuts { max_tree_depth: 6, ..Nuts::default() }
}

#[test]
fn a_wrong_log_density_is_found() {
    // Only the accept step is wrong: the log density is 1.1 times its value, the gradient is right.
    assert!(distorted(&gaussian(), &hmc(), 1.1, 1.0).iter().all(|found| !found.holds()));
    assert!(distorted(&gaussian(), &nuts(), 1.1, 1.0).iter().all(|found| !found.holds()));
}

#[test]
fn a_wrong_target_is_found() {
    assert!(distorted(&gaussian(), &hmc(), 1.1, 1.1).iter().all(|found| !found.holds()));
    assert!(distorted(&gaussian(), &nuts(), 1.1, 1.1).iter().all(|found| !found.holds()));
}

/// A wrong gradient costs acceptance and not exactness: kicks along any field are reversible and conserve volume, and the accept step
/// reads the right density. That this passes shows that the test accuses only what is broken.
#[test]
fn a_wrong_gradient_is_harmless() {
    assert!(distorted(&gaussian(), &hmc(), 1.0, 1.05).iter().all(Conservation::holds));
    assert!(distorted(&gaussian(), &nuts(), 1.0, 1.05).iter().all(Conservation::holds));
}

/// Plain transitions with a fault on the correlated Gaussian, at the step size of the library's kernel.
///
/// The metric is the diagonal one of the target's variances. A metric near 1 serves the fault that inverts it: far from 1 the wrong
/// momenta are so large that every trajectory is rejected, which conserves the target and moves nothing.
fn twin(method: &impl HasTwin, fault: Fault) -> Conservation {
    let target = gaussian();
    if fault == Fault::InvertedStretch {
        return stretched_twin(method, fault);
    }
    let inverse_mass: Vec<f64> = match fault {
        Fault::InvertedMetric => (0..target.dim()).map(|i| if i % 2 == 0 { 0.7 } else { 1.4 }).collect(),
        _ => target.variance().expect("the variance is known"),
    };
    let inverted = Metric::diagonal(inverse_mass.iter().map(|v| 1.0 / v).collect()).expect("positive");
    let metric = Metric::diagonal(inverse_mass).expect("positive");
    with_metric(method, fault, metric, inverted)
}

const STRETCH: [f64; 2] = [0.2, 0.4];

/// The same under a low-rank metric, with its eigenvalues inverted for the fault: those below 1 make the wrong momenta small, so that
/// trajectories are not rejected.
fn stretched_twin(method: &impl HasTwin, fault: Fault) -> Conservation {
    let scales: Vec<f64> = gaussian().variance().expect("the variance is known").iter().map(|v| v.sqrt()).collect();
    let inverted = low_rank(scales.clone(), STRETCH.map(|v| 1.0 / v));
    with_metric(method, fault, low_rank(scales, STRETCH), inverted)
}

fn with_metric(method: &impl HasTwin, fault: Fault, metric: Metric, inverted: Metric) -> Conservation {
    let target = gaussian();
    let refined = method.refined();
    let twin = Twin { step_size: method.step_size(&target, &metric), metric, inverted, refined, fault };
    let mut density = target.clone();
    let found = Conservation::test(&target, |position, rng| method.run(&twin, &mut density, position, rng), 300);
    println!("{fault:?}: {found:?}, threshold {:.4}", Conservation::threshold());
    found
}

/// A method that has a plain twin.
trait HasTwin {
    fn step_size<T: Target>(&self, target: &T, metric: &Metric) -> f64;
    /// Tolerance and most halvings, of a method with macro steps.
    fn refined(&self) -> Option<(f64, u32)> {
        None
    }
    fn run(&self, twin: &Twin, density: &mut dyn LogDensity, position: &mut Vec<f64>, rng: &mut ChainRng);
}

impl HasTwin for Hmc {
    fn step_size<T: Target>(&self, target: &T, metric: &Metric) -> f64 {
        step_size(target, self, metric)
    }

    fn run(&self, twin: &Twin, density: &mut dyn LogDensity, position: &mut Vec<f64>, rng: &mut ChainRng) {
        twin.hmc(density, position, self.trajectory_length, rng);
    }
}

impl HasTwin for Nuts {
    fn step_size<T: Target>(&self, target: &T, metric: &Metric) -> f64 {
        step_size(target, self, metric)
    }

    fn run(&self, twin: &Twin, density: &mut dyn LogDensity, position: &mut Vec<f64>, rng: &mut ChainRng) {
        twin.nuts(density, position, self.max_tree_depth as u32, rng);
    }
}

impl HasTwin for Walnuts {
    fn step_size<T: Target>(&self, target: &T, metric: &Metric) -> f64 {
        step_size_at(0.5, target, self, metric)
    }

    fn refined(&self) -> Option<(f64, u32)> {
        Some((self.energy_tolerance, self.max_halvings as u32))
    }

    fn run(&self, twin: &Twin, density: &mut dyn LogDensity, position: &mut Vec<f64>, rng: &mut ChainRng) {
        twin.nuts(density, position, self.max_tree_depth as u32, rng);
    }
}

#[test]
fn faults_of_hmc_are_found() {
    assert!(twin(&hmc(), Fault::None).holds());
    assert!(stretched_twin(&hmc(), Fault::None).holds());
    let faults = [
        Fault::NoAcceptStep,
        Fault::KeptMomentum,
        Fault::MomentumScale(1.05),
        Fault::InvertedMetric,
        Fault::InvertedStretch,
        Fault::LengthFromState,
    ];
    for fault in faults {
        assert!(!twin(&hmc(), fault).holds(), "{fault:?} goes unnoticed");
    }
}

#[test]
fn faults_of_nuts_are_found() {
    assert!(twin(&nuts(), Fault::None).holds());
    assert!(stretched_twin(&nuts(), Fault::None).holds());
    let faults = [
        Fault::UniformWeights,
        Fault::TurnedHalfEnters,
        Fault::BiasedInside,
        Fault::KeptMomentum,
        Fault::MomentumScale(1.05),
        Fault::InvertedMetric,
        Fault::InvertedStretch,
    ];
    for fault in faults {
        assert!(!twin(&nuts(), fault).holds(), "{fault:?} goes unnoticed");
    }
}

#[test]
fn faults_of_walnuts_are_found() {
    let walnuts = Walnuts { max_tree_depth: 4, max_halvings: 4, ..Walnuts::default() };
    assert!(twin(&walnuts, Fault::None).holds());
    let faults = [Fault::SkippedReversibilityCheck, Fault::UniformWeights, Fault::MomentumScale(1.05)];
    for fault in faults {
        assert!(!twin(&walnuts, fault).holds(), "{fault:?} goes unnoticed");
    }
}
