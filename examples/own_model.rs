//! Sample a density of your own on four chains, see whether to believe it, and draw the traces.
//!
//! A straight line through ten points with unknown noise: 15 lines from the trait to the table.

#![allow(clippy::print_stdout)]

use ergodic::prelude::*;

const DOSE: [f64; 10] = [0.1, 0.4, 0.9, 1.3, 1.8, 2.2, 2.7, 3.1, 3.6, 4.0];
const RESPONSE: [f64; 10] = [1.3, 1.1, 2.2, 1.9, 2.8, 3.4, 3.1, 3.9, 4.4, 4.2];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Intercept a, slope b ~ N(0, 10²); logarithm of the noise s ~ N(0, 1); response ~ N(a + b dose, exp(s)²).
    let line = density(3, |x: &[f64], gradient: &mut [f64]| {
        let (a, b, s) = (x[0], x[1], x[2]);
        gradient.copy_from_slice(&[-a / 100.0, -b / 100.0, -s]);
        let mut log_density = -0.5 * (a * a / 100.0 + b * b / 100.0 + s * s);
        for (dose, response) in DOSE.iter().zip(RESPONSE) {
            let z = (response - a - b * dose) / s.exp();
            gradient[0] += z / s.exp();
            gradient[1] += z * dose / s.exp();
            gradient[2] += z * z - 1.0;
            log_density -= 0.5 * z * z + s;
        }
        log_density
    });
    let draws = sample(&line, &Nuts::default(), &Run::default())?;
    println!("{}\n{}", summary(&draws), diagnose(&draws, None)?);

    for file in TracePlot::from_draws(&draws, &["x[0]", "x[1]", "x[2]"])?.save("output/own_model_traces")? {
        println!("wrote {}", file.display());
    }
    Ok(())
}
