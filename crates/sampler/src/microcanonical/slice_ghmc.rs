//! Sample by isokinetic generalised HMC with non-reversible slice acceptance: MCLMC with an accept step, and so exact.
//!
//! Every step of [`Microcanonical`] dynamics is accepted or turned back, and the direction is only partially refreshed. Rejections undo
//! progress unless they are rare or come together; a slice variable s on (−1, 1) that drifts slowly, instead of being drawn for every
//! step, makes them come together (Neal 2020). A step with energy error ΔE is accepted when |s| exp(ΔE) < 1, and s becomes s exp(ΔE);
//! otherwise the direction turns round. The kinetic energy is that of the dynamics' Jacobian, so the posterior is conserved.

use super::acceptance::{AcceptanceAdaptation, check_acceptance};
use super::dynamics::Microcanonical;
use super::kernel::{MicrocanonicalKernel, check_length};
use super::scaling::{Scaling, check_scaling};
use super::state::MicrocanonicalState;
use crate::settings::{check, positive};
use crate::slice::{accepted_slice, draw_slice, drifted, steps_between_refreshments};
use crate::{BuildContext, ChainState, Integrator, Kernel, Method, SettingsError, StepwiseInfo};
use ergodic_model::{ChainRng, EvaluationError, LogDensity};
use serde::{Deserialize, Serialize};

/// Settings of isokinetic generalised HMC with slice acceptance.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Run, SliceGhmc, sample};
/// let normal = density(10, |x: &[f64], gradient: &mut [f64]| {
///     gradient.iter_mut().zip(x).for_each(|(g, x)| *g = -x);
///     -0.5 * x.iter().map(|x| x * x).sum::<f64>()
/// });
/// let draws = sample(&normal, &SliceGhmc::default(), &Run { chains: 2, ..Run::default() })?;
/// assert!(draws.caveat().is_none(), "it is exact");
/// # Ok::<(), ergodic_sampler::RunError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SliceGhmc {
    /// Decoherence length L over √D, in prior standard deviations; 2 by default, as for [`Mclmc`](crate::Mclmc).
    pub decoherence_length: f64,
    /// Integrator steps from one stored draw to the next; 8 by default, as for [`Mclmc`](crate::Mclmc).
    pub steps_per_draw: usize,
    /// Acceptance probability of one step that warm-up aims at; 0.97 by default. Between 0.96 and 0.98 small networks give most
    /// effective draws; the step size is then about half of [`Mclmc`](crate::Mclmc)'s.
    pub target_acceptance: f64,
    /// Energy error, in nats, above which a step counts as divergent; 1000 as in all libraries.
    pub max_energy_error: f64,
    /// How the steps are taken.
    pub integrator: Integrator,
    /// In which coordinates the chain moves; in units of the prior's scales by default.
    pub scaling: Scaling,
    /// A step size to keep as it is, instead of tuning.
    pub fixed_step_size: Option<f64>,
}

impl Default for SliceGhmc {
    fn default() -> Self {
        Self {
            decoherence_length: 2.0,
            steps_per_draw: 8,
            target_acceptance: 0.97,
            max_energy_error: 1000.0,
            integrator: Integrator::Leapfrog,
            scaling: Scaling::Prior,
            fixed_step_size: None,
        }
    }
}

impl Method for SliceGhmc {
    type Kernel = SliceGhmcKernel;
    type Adaptation = AcceptanceAdaptation;

    const NAME: &'static str = "slice_ghmc";
    const EXACT: bool = true;

    fn validate(&self) -> Result<(), SettingsError> {
        check_length("decoherence_length", self.decoherence_length)?;
        check(self.steps_per_draw >= 1, "steps_per_draw", &self.steps_per_draw, "at least 1")?;
        positive("max_energy_error", self.max_energy_error)?;
        check_scaling(self.scaling, self.fixed_step_size)?;
        check_acceptance(self.target_acceptance, self.fixed_step_size)
    }

    fn build(&self, context: &BuildContext<'_>) -> (SliceGhmcKernel, AcceptanceAdaptation) {
        let root = (context.dim as f64).sqrt();
        let kernel = SliceGhmcKernel {
            dynamics: Microcanonical::new(self.integrator, context.prior_scales),
            step_size: 0.01 * root,
            length: self.decoherence_length * root,
            steps_per_draw: self.steps_per_draw,
            max_energy_error: self.max_energy_error,
            proposal: None,
        };
        (kernel, AcceptanceAdaptation::new(self.target_acceptance, self.scaling, self.fixed_step_size, context))
    }
}

/// A point of the dynamics, and the slice variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceState {
    /// Position and direction.
    pub point: MicrocanonicalState,
    /// s, between −1 and 1; drawn with the first direction.
    pub slice: f64,
}

impl ChainState for SliceState {
    fn position(&self) -> &[f64] {
        &self.point.position
    }

    fn log_density(&self) -> f64 {
        self.point.log_density
    }

    fn gradient(&self) -> &[f64] {
        &self.point.gradient
    }
}

/// The transition of [`SliceGhmc`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SliceGhmcKernel {
    dynamics: Microcanonical,
    step_size: f64,
    length: f64,
    steps_per_draw: usize,
    max_energy_error: f64,
    #[serde(skip)]
    proposal: Option<MicrocanonicalState>,
}

impl Kernel for SliceGhmcKernel {
    type State = SliceState;
    type Info = StepwiseInfo;

    fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<SliceState, EvaluationError> {
        Ok(SliceState { point: MicrocanonicalState::at(density, position)?, slice: 0.0 })
    }

    fn step(
        &mut self,
        density: &mut dyn LogDensity,
        state: &mut SliceState,
        rng: &mut ChainRng,
    ) -> Result<StepwiseInfo, EvaluationError> {
        let SliceState { point, slice } = state;
        if !point.has_direction() {
            point.draw_direction(rng);
            *slice = draw_slice(rng);
        }
        let proposal = MicrocanonicalState::reuse(&mut self.proposal, point.position.len());
        let stretch = steps_between_refreshments(self.step_size, self.length, self.steps_per_draw);
        let drift = self.step_size / (2.0 * self.length);
        let (mut done, mut n_rejected, mut diverging) = (0, 0, false);
        let (mut energy_error, mut acceptance) = (0.0, 0.0);
        while done < self.steps_per_draw {
            let steps = stretch.min(self.steps_per_draw - done);
            point.refresh_direction(steps as f64 * self.step_size, self.length, rng);
            let mut flow = self.dynamics.begin(self.step_size, point);
            for _ in 0..steps {
                *slice = drifted(*slice, drift);
                let before = flow.clone();
                let error = flow.step_from(density, point, proposal)?;
                acceptance += (-error).exp().min(1.0);
                diverging |= error > self.max_energy_error;
                if let Some(moved) = accepted_slice(*slice, error) {
                    *slice = moved;
                    energy_error += error;
                    std::mem::swap(point, proposal);
                } else {
                    flow = before;
                    flow.reverse(point);
                    n_rejected += 1;
                }
            }
            flow.close(point);
            done += steps;
        }
        Ok(StepwiseInfo {
            log_density: point.log_density,
            acceptance_rate: acceptance / done as f64,
            step_size: self.step_size,
            n_steps: done,
            n_rejected,
            diverging,
            energy_error,
        })
    }

    fn tuned(&self) -> Vec<(&'static str, f64)> {
        vec![("step_size", self.step_size), ("decoherence_length", self.length)]
    }
}

impl MicrocanonicalKernel for SliceGhmcKernel {
    fn dynamics(&self) -> &Microcanonical {
        &self.dynamics
    }

    fn dynamics_mut(&mut self) -> &mut Microcanonical {
        &mut self.dynamics
    }

    fn step_size(&self) -> f64 {
        self.step_size
    }

    fn set_step_size(&mut self, step_size: f64) {
        self.step_size = step_size;
    }
}
