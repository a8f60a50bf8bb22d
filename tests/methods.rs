//! Hold every method of the registry to one contract, on a posterior that all can handle.

use ergodic::methods::{METHODS, Request, find};
use ergodic::model::density;
use ergodic::sampler::Run;
use std::sync::atomic::AtomicBool;

const RUN: Run = Run { chains: 3, warmup: 150, draws: 1000, seed: 5, ..Run::DEFAULT };

fn normal() -> impl ergodic::model::LogDensity + Clone + Send + Sync {
    density(3, |x: &[f64], gradient: &mut [f64]| {
        for (i, (g, x)) in gradient.iter_mut().zip(x).enumerate() {
            *g = -(x - i as f64);
        }
        -0.5 * x.iter().enumerate().map(|(i, x)| (x - i as f64).powi(2)).sum::<f64>()
    })
}

#[test]
fn every_method_keeps_its_contract() {
    let posterior = normal();
    for row in METHODS {
        let draws = (row.run)(&Request::new(&posterior, RUN)).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert_eq!(draws.report.method, row.name);
        assert_eq!(draws.origin(), row.origin, "{}", row.name);
        assert_eq!(draws.report.seed, RUN.seed, "{}", row.name);
        assert!(draws.report.gradients() > 0, "{} counts no gradient", row.name);
        assert!(draws.positions().flatten().all(|x| x.is_finite()), "{}", row.name);
        assert!(draws.num_draws() > 0, "{}", row.name);
        // Means of a normal with means 0, 1, 2 and sd 1: far from each other in any method's error.
        let mean = |i: usize| draws.positions().map(|x| x[i]).sum::<f64>() / draws.num_draws() as f64;
        for i in 0..3 {
            assert!((mean(i) - i as f64).abs() < 0.5, "{}: mean {i} is {}", row.name, mean(i));
        }
        // The same seed gives the same bits, on one thread too.
        let again = (row.run)(&Request::new(&posterior, Run { threads: Some(1), ..RUN })).unwrap();
        let bits = |draws: &ergodic::draws::Draws| draws.positions().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&draws), bits(&again), "{}", row.name);
        assert_eq!(row.origin.caveat().is_empty(), row.origin.is_exact(), "{}", row.name);
    }
}

#[test]
fn every_method_stops_when_asked() {
    let posterior = normal();
    let stop = AtomicBool::new(true);
    for row in METHODS {
        let request = Request { stop: &stop, ..Request::new(&posterior, Run { warmup: 100_000, draws: 100_000, ..RUN }) };
        match (row.run)(&request) {
            // Either nothing was done, or what was done is given back with the reason.
            Err(_) => {}
            Ok(draws) => assert!(draws.report.chains.iter().any(|chain| !chain.outcome.is_completed()), "{}", row.name),
        }
    }
}

#[test]
fn names_are_unique_and_unknown_ones_are_refused_with_the_list() {
    for (index, row) in METHODS.iter().enumerate() {
        assert!(METHODS[..index].iter().all(|other| other.name != row.name));
        assert_eq!(find(row.name).unwrap().title, row.title);
    }
    let error = find("nutz").unwrap_err().to_string();
    assert!(error.contains("nutz") && METHODS.iter().all(|row| error.contains(row.name)), "{error}");
}
