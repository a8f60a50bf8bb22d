//! Compare moments of tempered draws with the tempered closed form of a linear network.

use ergodic::diagnostics::{mcse_mean, mcse_sd};
use ergodic::draws::{Draws, Temperatures};
use ergodic::model::{Posterior, Tempered};
use ergodic::sampler::{Nuts, Run, sample};
use ergodic_targets::{KnownMoments, LinearNetwork};
use nalgebra::DMatrix;

const ROWS: usize = 30;
const INPUTS: usize = 3;
const PRIOR_SD: f64 = 0.7;
const NOISE_SD: f64 = 0.9;

/// The linear network at temperatures: normal noise with variance T_likelihood σ² and a normal prior with variance T_prior s².
fn linear(at: Temperatures) -> LinearNetwork {
    let inputs = DMatrix::from_fn(ROWS, INPUTS, |row, column| (1.3 * row as f64 + 2.1 * column as f64).sin());
    let targets: Vec<f64> = (0..ROWS).map(|row| 1.0 + 2.0 * inputs[(row, 0)] - inputs[(row, 1)]).collect();
    LinearNetwork::new(&inputs, &targets, PRIOR_SD * at.prior.sqrt(), NOISE_SD * at.likelihood.sqrt()).unwrap()
}

fn run(posterior: &dyn Posterior) -> Draws {
    sample(posterior, &Nuts::default(), &Run { warmup: 500, draws: 1000, seed: 23, ..Run::default() }).unwrap()
}

/// The largest distance of a mean or a standard deviation from its closed form, in Monte Carlo standard errors.
fn largest_z(draws: &Draws, truth: &LinearNetwork) -> f64 {
    let (means, variances) = (truth.mean().unwrap(), truth.variance().unwrap());
    let mut largest: f64 = 0.0;
    for i in 0..=INPUTS {
        let chains = draws.coordinate(i);
        let values = chains.concat();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let sd = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt();
        let error_of_mean = mcse_mean(&chains).get().unwrap();
        let error_of_sd = mcse_sd(&chains).get().unwrap();
        largest = largest.max(((mean - means[i]) / error_of_mean).abs()).max(((sd - variances[i].sqrt()) / error_of_sd).abs());
    }
    largest
}

/// 5 standard errors. 24 statistics are normal to good approximation at some 4000 effective draws, so that a right sampler with a fresh
/// seed fails with probability 1.4 × 10⁻⁵. The twins' temperatures are off by a factor of 1.3 at least, their standard deviations by
/// 10 % or some 10 standard errors, so that a twin goes unnoticed with probability below 10⁻⁵.
const LIMIT: f64 = 5.0;

#[test]
fn tempered_draws_have_the_tempered_moments() {
    let posterior = linear(Temperatures::POSTERIOR).into_posterior();
    for at in
        [Temperatures::both(0.2), Temperatures { likelihood: 0.3, prior: 1.0 }, Temperatures { likelihood: 1.5, prior: 4.0 }]
    {
        let draws = run(&Tempered::new(&posterior, at).unwrap());
        let z = largest_z(&draws, &linear(at));
        assert!(z < LIMIT, "{at}: {z}");
        assert_eq!(draws.report.temperatures, at);
        // Broken twins: the temperatures swapped, one of them forgotten, or both too high by 30 %.
        let Temperatures { likelihood, prior } = at;
        let twins = [Temperatures::POSTERIOR, Temperatures { likelihood: 1.3 * likelihood, prior: 1.3 * prior }];
        let swapped = (likelihood != prior).then_some(Temperatures { likelihood: prior, prior: likelihood });
        for twin in twins.into_iter().chain(swapped) {
            let z = largest_z(&draws, &linear(twin));
            assert!(z > LIMIT, "{at} passes as {twin}: {z}");
        }
    }
}

#[test]
fn at_temperature_1_draws_are_those_of_the_posterior() {
    let posterior = linear(Temperatures::POSTERIOR).into_posterior();
    let same = Tempered::new(&posterior, Temperatures::POSTERIOR).unwrap();
    let (own, tempered) = (run(&posterior), run(&same));
    let bits = |draws: &Draws| draws.positions().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&own) == bits(&tempered));
    assert_eq!(tempered.caveat(), None);
}
