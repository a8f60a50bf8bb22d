//! Check what every kernel promises, for the tests of kernels here and elsewhere.

use crate::{Adaptation, BuildContext, ChainError, ChainState, Info, Kernel, Meeting, Member, Method};
use ergodic_model::{EvaluationError, LogDensity, Purpose, stream};

/// How a method breaks the contract of kernels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractViolation {
    /// A promise is not kept.
    #[error("{method}, transition {transition}: {problem}")]
    Broken {
        /// The method.
        method: &'static str,
        /// The transition, counted from 0, warm-up included.
        transition: usize,
        /// What is wrong.
        problem: String,
    },
    /// The chain could not go on.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl From<EvaluationError> for ContractViolation {
    fn from(error: EvaluationError) -> Self {
        Self::Chain(error.into())
    }
}

/// Runs a method on `density` from `position`, `warmup` and then 50 transitions, and checks after each that
///
/// - the state's log density and gradient are those of its position, bit for bit,
/// - nothing in the state is infinite or not a number,
/// - one statistic per field is written, the first is `lp` and the state's log density, and the acceptance rate lies in \[0, 1\],
/// - a kernel, adaptation, state and stream that were stored and restored go on bit for bit as the originals do.
///
/// A method whose chains meet holds its meetings with the one chain there is. For methods whose state is that of the whole density; kernels on minibatches have another contract.
///
/// # Errors
/// Names the method, the transition and the broken promise.
///
/// ```
/// use ergodic_model::density;
/// use ergodic_sampler::{Nuts, check_contract};
/// let normal = density(2, |x: &[f64], gradient: &mut [f64]| {
///     gradient.copy_from_slice(&[-x[0], -x[1]]);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// check_contract(&Nuts::default(), &mut normal.clone(), &[0.1, 0.2], 50)?;
/// # Ok::<(), ergodic_sampler::ContractViolation>(())
/// ```
pub fn check_contract<M: Method>(
    method: &M,
    density: &mut dyn LogDensity,
    position: &[f64],
    warmup: usize,
) -> Result<(), ContractViolation> {
    let dim = position.len();
    let prior_scales = vec![1.0; dim];
    let (mut kernel, mut adaptation) = method.build(&BuildContext { dim, warmup, prior_scales: &prior_scales, blocks: &[] });
    let mut rng = stream(1, 0, Purpose::Test);
    let mut state = kernel.init(density, position)?;
    adaptation.init(&mut kernel, density, &mut state, &mut rng)?;
    let mut row = vec![f64::NAN; <<M::Kernel as Kernel>::Info as Info>::FIELDS.len()];
    let mut restored_row = row.clone();
    let mut gradient = vec![0.0; dim];
    let meetings = adaptation.meetings(warmup);
    let mut next_meeting = meetings.after(None, warmup);
    for transition in 0..warmup + 50 {
        let broken = |problem: String| ContractViolation::Broken { method: M::NAME, transition, problem };
        if next_meeting == Some(transition) {
            let (kernel, adaptation, state) = (&mut kernel, &mut adaptation, &mut state);
            let mut alone = [Member { chain: 0, kernel, adaptation, state }];
            M::Adaptation::meet(&mut Meeting::new(1, transition, warmup, 0), &mut alone);
            next_meeting = meetings.after(next_meeting, warmup);
        }
        if transition == warmup {
            adaptation.finalize(&mut kernel);
        }
        let stored = postcard::to_stdvec(&(&kernel, &adaptation, &state, &rng)).map_err(|error| broken(error.to_string()))?;
        let restored: (M::Kernel, M::Adaptation, <M::Kernel as Kernel>::State, _) =
            postcard::from_bytes(&stored).map_err(|error| broken(error.to_string()))?;
        let (mut other_kernel, mut other_adaptation, mut other_state, mut other_rng) = restored;

        let info = kernel.step(density, &mut state, &mut rng)?;
        let other_info = other_kernel.step(density, &mut other_state, &mut other_rng)?;
        if transition < warmup {
            adaptation.update(&mut kernel, density, &mut state, &info, transition, &mut rng)?;
            let (kernel, state) = (&mut other_kernel, &mut other_state);
            other_adaptation.update(kernel, density, state, &other_info, transition, &mut other_rng)?;
        }
        info.write(&mut row);
        other_info.write(&mut restored_row);

        let log_density = density.log_density_and_gradient(state.position(), &mut gradient)?;
        if log_density.to_bits() != state.log_density().to_bits() || gradient != state.gradient() {
            return Err(broken("the state's log density or gradient is not that of its position".to_owned()));
        }
        let finite = |values: &[f64]| values.iter().all(|x| x.is_finite());
        if !(log_density.is_finite() && finite(state.position()) && finite(state.gradient())) {
            return Err(broken("the state is not finite".to_owned()));
        }
        if <<M::Kernel as Kernel>::Info as Info>::FIELDS[0].name != "lp" || row[0].to_bits() != log_density.to_bits() {
            return Err(broken("the first statistic is not `lp` with the state's log density".to_owned()));
        }
        if !(0.0..=1.0).contains(&info.acceptance_rate()) {
            return Err(broken(format!("the acceptance rate is {}", info.acceptance_rate())));
        }
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let same =
            bits(state.position()) == bits(other_state.position()) && bits(&row) == bits(&restored_row) && rng == other_rng;
        if !same {
            return Err(broken("a stored and restored chain goes another way".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chees, Ghmc, GradientState, Hmc, HmcKernel, Integrator, Mala, MetricShape, Nuts, Walnuts, Warmup, Windowed};
    use ergodic_draws::Field;
    use ergodic_model::{ChainRng, density};
    use serde::{Deserialize, Serialize};

    /// A normal that ends at −1 in its first coordinate.
    fn target() -> impl LogDensity {
        density(3, |x: &[f64], gradient: &mut [f64]| {
            for (g, x) in gradient.iter_mut().zip(x) {
                *g = -x;
            }
            if x[0] < -1.0 { f64::NAN } else { -0.5 * x.iter().map(|x| x * x).sum::<f64>() }
        })
    }

    #[test]
    fn hamiltonian_methods_keep_the_contract_in_all_their_settings() {
        let windowed = |metric| Warmup::Windowed(Windowed { metric, ..Windowed::default() });
        let fixed = Warmup::Fixed { step_size: 0.3 };
        let warmups = [Warmup::default(), windowed(MetricShape::Unit), windowed(MetricShape::Dense), fixed];
        for adaptation in warmups {
            for integrator in [Integrator::Leapfrog, Integrator::MinimalNorm] {
                let adaptation = adaptation.clone();
                let nuts = Nuts { adaptation: adaptation.clone(), integrator, ..Nuts::default() };
                check_contract(&nuts, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
                let hmc = Hmc { adaptation: adaptation.clone(), integrator, ..Hmc::default() };
                check_contract(&hmc, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
                let ghmc = Ghmc { adaptation: adaptation.clone(), integrator, ..Ghmc::default() };
                check_contract(&ghmc, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
                let walnuts = Walnuts { adaptation: adaptation.clone(), integrator, ..Walnuts::default() };
                check_contract(&walnuts, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
                let chees = Chees { integrator, ..Chees::default() };
                check_contract(&chees, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
            }
            check_contract(&Mala { adaptation, ..Mala::default() }, &mut target(), &[0.1, 0.2, 0.3], 160).unwrap();
        }
    }

    /// HMC that moves to the new position, but keeps the gradient of the old one.
    #[derive(Clone, Serialize)]
    struct Stale;

    #[derive(Serialize, Deserialize)]
    struct StaleKernel(HmcKernel);

    struct StaleInfo(f64);

    impl Info for StaleInfo {
        const FIELDS: &'static [Field] = &[Field::real("lp")];
        fn write(&self, row: &mut [f64]) {
            row[0] = self.0;
        }
        fn diverging(&self) -> bool {
            false
        }
        fn step_size(&self) -> f64 {
            0.3
        }
        fn acceptance_rate(&self) -> f64 {
            1.0
        }
    }

    impl Kernel for StaleKernel {
        type State = GradientState;
        type Info = StaleInfo;
        fn init(&mut self, density: &mut dyn LogDensity, position: &[f64]) -> Result<GradientState, EvaluationError> {
            GradientState::at(density, position)
        }
        fn step(
            &mut self,
            density: &mut dyn LogDensity,
            state: &mut GradientState,
            rng: &mut ChainRng,
        ) -> Result<StaleInfo, EvaluationError> {
            let gradient = state.gradient.clone();
            let info = self.0.step(density, state, rng)?;
            state.gradient = gradient;
            Ok(StaleInfo(info.log_density))
        }
        fn tuned(&self) -> Vec<(&'static str, f64)> {
            Vec::new()
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Untuned;

    impl Adaptation<StaleKernel> for Untuned {
        fn init(
            &mut self,
            _: &mut StaleKernel,
            _: &mut dyn LogDensity,
            _: &mut GradientState,
            _: &mut ChainRng,
        ) -> Result<(), ChainError> {
            Ok(())
        }
        fn update(
            &mut self,
            _: &mut StaleKernel,
            _: &mut dyn LogDensity,
            _: &mut GradientState,
            _: &StaleInfo,
            _: usize,
            _: &mut ChainRng,
        ) -> Result<(), ChainError> {
            Ok(())
        }
        fn finalize(&mut self, _: &mut StaleKernel) {}
    }

    impl Method for Stale {
        type Kernel = StaleKernel;
        type Adaptation = Untuned;
        const NAME: &'static str = "stale";
        const EXACT: bool = false;
        fn validate(&self) -> Result<(), crate::SettingsError> {
            Ok(())
        }
        fn build(&self, context: &BuildContext<'_>) -> (StaleKernel, Untuned) {
            let hmc = Hmc { adaptation: Warmup::Fixed { step_size: 0.3 }, ..Hmc::default() };
            (StaleKernel(hmc.build(context).0), Untuned)
        }
    }

    #[test]
    fn a_kernel_with_a_stale_gradient_is_caught() {
        let error = check_contract(&Stale, &mut target(), &[0.1, 0.2, 0.3], 0).unwrap_err();
        assert!(error.to_string().contains("not that of its position"), "{error}");
    }
}
