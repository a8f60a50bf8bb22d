//! Sample eight schools from the log density alone: the gradient is derived by the program.
//!
//! Effects of coaching in eight schools, partially pooled (Rubin 1981), in the non-centred form.

#![allow(clippy::print_stdout)]

use ergodic::draws::{Block, Layout, Role, Transform};
use ergodic::model::Labelled;
use ergodic::prelude::*;

const EFFECT: [f64; 8] = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0];
const STANDARD_ERROR: [f64; 8] = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0];

#[derive(Clone)]
struct EightSchools;

impl DifferentiableDensity for EightSchools {
    fn dim(&self) -> usize {
        10
    }

    /// μ ~ N(0, 5²), τ ~ half-Cauchy(0, 5), zⱼ ~ N(0, 1), yⱼ ~ N(μ + τ zⱼ, σⱼ²); coordinates μ, ln τ, z.
    fn log_density<T: Scalar>(&self, x: &[T]) -> T {
        let (mu, log_tau, z) = (x[0], x[1], &x[2..]);
        let tau = log_tau.exp();
        let mut log_density = mu.powi(2) * (-0.5 / 25.0);
        // The half-Cauchy's density, and the Jacobian of the logarithm.
        log_density += log_tau - (tau / 5.0).powi(2).ln_1p();
        for ((&z, y), se) in z.iter().zip(EFFECT).zip(STANDARD_ERROR) {
            log_density -= ((mu + tau * z - y) / se).powi(2) * 0.5 + z.powi(2) * 0.5;
        }
        log_density
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = Layout::new(vec![
        Block::new("mu", &[]),
        Block::new("tau", &[]).with_role(Role::Hyperparameter).with_transform(Transform::EXP),
        Block::new("z", &[8]),
    ])?;
    let schools = Labelled::new(AutomaticGradient::new(EightSchools), layout)?;
    println!("{}", check_gradient(&schools, None, 1));
    let draws = sample(&schools, &Nuts::default(), &Run::default())?;
    println!("{}\n{}", summary(&draws), diagnose(&draws, None)?);

    for file in TracePlot::from_draws(&draws, &["mu", "tau", "z[0]"])?.save("output/automatic_gradient_traces")? {
        println!("wrote {}", file.display());
    }
    Ok(())
}
