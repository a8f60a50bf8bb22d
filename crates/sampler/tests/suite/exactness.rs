//! Check that bias is found by an exact leg, and that exact draws are not accused.

use crate::support::normal;
use ergodic_model::density;
use ergodic_sampler::{EnergyVariance, ExactnessCheck, Mams, Mclmc, Run, SliceGhmc, check_against_exact, sample};

const RUN: Run = Run { chains: 4, warmup: 300, draws: 4000, seed: 7, ..Run::DEFAULT };

fn biased(step_size: f64) -> Mclmc {
    let adaptation = EnergyVariance { fixed_step_size: Some(step_size), ..EnergyVariance::default() };
    Mclmc { adaptation, ..Mclmc::default() }
}

/// One block, whose root mean square differs by 4 % where the step is √D: some 20 standard errors of 4,000 draws of four chains. For
/// exact draws a score above 4.5 has a probability of 10⁻⁵.
#[test]
fn bias_is_found_and_exact_draws_are_not_accused() {
    let target = normal(&[1.0; 20]);
    let check = ExactnessCheck { run: RUN, ..ExactnessCheck::default() };
    let found = check_against_exact(&target, &sample(&target, &biased(20f64.sqrt()), &RUN).unwrap(), &check).unwrap();
    let worst = found.worst().unwrap();
    assert!(worst.score > 8.0 && worst.shift_in_sd > 0.1 && worst.unadjusted > worst.exact, "{found:?}");
    assert!(found.gradients > 0 && found.to_string().contains(&worst.block), "{found}");

    let exact = sample(&target, &Mams { trajectory_length: 1.5, ..Mams::default() }, &RUN).unwrap();
    let found = check_against_exact(&target, &exact, &check).unwrap();
    assert!(found.worst().unwrap().score.abs() < 4.5, "{found:?}");
}

#[test]
fn draws_of_another_posterior_or_too_few_are_refused() {
    let target = normal(&[1.0; 3]);
    let draws = sample(&target, &SliceGhmc::default(), &Run { draws: 8, ..RUN }).unwrap();
    let error = check_against_exact(&target, &draws, &ExactnessCheck::default()).unwrap_err().to_string();
    assert!(error.contains("a chain has 8 draws"), "{error}");
    let other = density(4, |_: &[f64], gradient: &mut [f64]| {
        gradient.fill(0.0);
        0.0
    });
    let error = check_against_exact(&other, &draws, &ExactnessCheck::default()).unwrap_err().to_string();
    assert!(error.contains("another layout"), "{error}");
}
