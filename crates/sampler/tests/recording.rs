//! Check that draws are what the posterior records of positions, and the same after an interruption.

use ergodic_draws::{Block, Layout};
use ergodic_model::{
    ChainRng, EvaluationError, LogDensity, Posterior, Purpose, Recorder, Recording, density, position_of, stream,
};
use ergodic_sampler::{Nuts, Run, Sampler};
use rand_distr::{Distribution, StandardNormal};

/// x ~ N(0, 1) is sampled; stored are 2 x and y | x ~ N(x, 1), which the density has integrated out.
struct Integrated;

impl Posterior for Integrated {
    fn layout(&self) -> Layout {
        Layout::new(vec![Block::new("x", &[])]).unwrap()
    }

    fn evaluator(&self) -> Box<dyn LogDensity + Send + '_> {
        Box::new(density(1, |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -x[0];
            -0.5 * x[0] * x[0]
        }))
    }

    fn draw_layout(&self) -> Layout {
        Layout::new(vec![Block::new("twice", &[]), Block::new("y", &[])]).unwrap()
    }

    fn recorder(&self) -> Option<Box<dyn Recorder + Send + '_>> {
        Some(Box::new(Self))
    }
}

impl Recorder for Integrated {
    fn record(&mut self, position: &[f64], rng: &mut ChainRng, draw: &mut [f64]) -> Result<(), EvaluationError> {
        let noise: f64 = StandardNormal.sample(rng);
        draw.copy_from_slice(&[2.0 * position[0], position[0] + noise]);
        Ok(())
    }

    fn record_mode(&mut self, position: &[f64], draw: &mut [f64]) -> Result<(), EvaluationError> {
        draw.copy_from_slice(&[2.0 * position[0], position[0]]);
        Ok(())
    }

    fn restore(&mut self, draw: &[f64], position: &mut [f64]) -> Result<(), EvaluationError> {
        position[0] = 0.5 * draw[0];
        Ok(())
    }
}

#[test]
fn what_is_recorded_is_stored_and_has_the_joint_moments() {
    let run = Run { chains: 4, warmup: 300, draws: 1000, seed: 3, ..Run::default() };
    let draws = Sampler::new(&Integrated, Nuts::default(), run).run().unwrap();
    assert_eq!(draws.layout().coordinate_name(1), "y");
    let (twice, y) = (draws.coordinate(0).concat(), draws.coordinate(1).concat());
    let n = y.len() as f64;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n;
    // Var 2x = 4, Var y = 2, Cov = 2; at 1,500 effective draws each limit is above four standard errors, a false alarm below 1e-3.
    // Noise drawn again for every chain alike, or left out, moves Var y to 1 or the covariance by as much.
    assert!((product(&twice, &twice) - 4.0).abs() < 0.6);
    assert!((product(&y, &y) - 2.0).abs() < 0.3);
    assert!((product(&twice, &y) - 2.0).abs() < 0.4);
    let residuals = |chain: usize| {
        let chain = &draws.chains()[chain];
        (0..1000).map(|i| chain.position(i)[1] - 0.5 * chain.position(i)[0]).collect::<Vec<f64>>()
    };
    assert!((product(&residuals(0), &residuals(1)) * n / 1000.0).abs() < 0.13, "chains have noise of their own");
}

#[test]
fn an_interrupted_run_records_the_same_draws() {
    let run = Run { chains: 2, warmup: 50, draws: 40, seed: 5, ..Run::default() };
    let whole = Sampler::new(&Integrated, Nuts::default(), run).run().unwrap();
    let (first, checkpoint) =
        Sampler::new(&Integrated, Nuts::default(), Run { draws: 15, ..run }).run_with_checkpoint().unwrap();
    let rest = Sampler::new(&Integrated, Nuts::default(), Run { threads: Some(1), ..run }).resume(checkpoint).run().unwrap();
    for chain in 0..2 {
        let joined: Vec<&[f64]> = first.chains()[chain].positions().chain(rest.chains()[chain].positions()).collect();
        assert_eq!(whole.chains()[chain].positions().collect::<Vec<_>>(), joined);
    }
}

#[test]
fn draws_lead_back_to_positions() {
    assert_eq!(position_of(&Integrated, &[3.0, 9.0]).unwrap(), [1.5]);
    assert!(position_of(&Integrated, &[3.0]).unwrap_err().to_string().contains("2"));
    let mut recording = Recording::new(&Integrated);
    assert_eq!(recording.mode(&[1.5]).unwrap(), [3.0, 1.5]);
    let noise = |chain| {
        let mut recording = Recording::new(&Integrated);
        recording.draw(&[0.0], || stream(1, chain, Purpose::Record)).unwrap()[1]
    };
    assert!(noise(0) == noise(0) && noise(0) != noise(1));
}
