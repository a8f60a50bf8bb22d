//! Check that checkpoints written while a run goes on lead to the same draws, and are refused for another model.

use crate::determinism::{Bits, bits, run, target};
use crate::meetings::together;
use crate::support::normal;
use ergodic_draws::{ChainSink, DrawRef, RunReport, Schema, Sink, SinkError};
use ergodic_model::density;
use ergodic_sampler::{
    Checkpoint, CheckpointError, CheckpointSchedule, Method, Nuts, Observer, Progress, Run, RunError, Sampler, sample,
};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// As often as they can be written.
const ALWAYS: CheckpointSchedule = CheckpointSchedule { seconds: 0.0, largest_share: 1.0 };

/// Collects the checkpoints that are in the file after every so many transitions of the run.
struct Collects {
    path: PathBuf,
    every: usize,
    seen: AtomicUsize,
    checkpoints: Mutex<Vec<Checkpoint>>,
}

impl Observer for Collects {
    fn progress(&self, _: &Progress) {
        if !self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every) {
            return;
        }
        // A checkpoint that asks for this chain's own state comes only after the next transition, so waiting longer is of no use.
        for _ in 0..20 {
            // The file is replaced all the time, and always whole.
            let checkpoint = Checkpoint::load(&self.path).unwrap();
            let mut checkpoints = self.checkpoints.lock().unwrap();
            if checkpoints.last() != Some(&checkpoint) {
                checkpoints.push(checkpoint);
                return;
            }
            drop(checkpoints);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Goes on from checkpoints of the running run, with other threads, and compares the ends of the chains.
fn go_on_from_anywhere<M: Method>(method: &M, run: Run) {
    let density = target();
    let whole = bits(&sample(&density, method, &run).unwrap());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run.checkpoint");
    let collects = Collects { path: path.clone(), every: 37, seen: AtomicUsize::new(0), checkpoints: Mutex::default() };
    let sampler = Sampler::new(&density, method.clone(), run).observer(&collects).checkpoint_to(&path, ALWAYS);
    assert_eq!(bits(&sampler.run().unwrap()), whole, "{} is another run with checkpoints", M::NAME);
    let checkpoints = collects.checkpoints.into_inner().unwrap();
    assert!(checkpoints.len() >= 3, "{} checkpoints", checkpoints.len());
    for checkpoint in checkpoints {
        let bytes = checkpoint.to_bytes().unwrap();
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let threads = Some(1 + bytes.len() % 3);
        let rest = Sampler::new(&density, method.clone(), Run { threads, ..run }).resume(checkpoint).run().unwrap();
        for (rest, whole) in bits(&rest).iter().zip(&whole) {
            assert!(whole.ends_with(rest), "{} goes another way after a checkpoint", M::NAME);
        }
    }
    // The last checkpoint is that of the finished run, which goes on with more draws.
    let longer = Run { draws: run.draws + 20, ..run };
    let last = Checkpoint::load(&path).unwrap();
    assert_eq!(last.min_draws(), run.draws);
    let rest = bits(&Sampler::new(&density, method.clone(), longer).resume(last).run().unwrap());
    let joined: Vec<Bits> = whole.into_iter().zip(rest).map(|(a, b)| [a, b].concat()).collect();
    assert_eq!(joined, bits(&sample(&density, method, &longer).unwrap()));
}

#[test]
fn a_run_goes_on_from_any_checkpoint_of_its_course() {
    let run = Run { threads: Some(2), chains: 5, ..run() };
    go_on_from_anywhere(&Nuts::default(), run);
    go_on_from_anywhere(&Nuts::default(), Run { threads: Some(1), ..run });
}

#[test]
fn a_run_with_meetings_goes_on_from_any_checkpoint_of_its_course() {
    let run = Run { threads: Some(2), chains: 5, ..run() };
    for every in [1, 7, 40] {
        go_on_from_anywhere(&together(every), run);
    }
}

#[test]
fn checkpoints_are_not_overwritten_by_a_new_run_and_bad_places_are_refused_at_once() {
    let (density, run) = (target(), run());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run.checkpoint");
    let start = |path: &PathBuf| Sampler::new(&density, Nuts::default(), run).checkpoint_to(path, ALWAYS).run();
    start(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = start(&path).unwrap_err();
    assert!(matches!(&error, RunError::Saving(CheckpointError::AlreadyExists(_))));
    assert!(error.to_string().contains("go on from it, or remove it"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let error = start(&place.path().join("no/such/folder")).unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
    let schedule = CheckpointSchedule { largest_share: 2.0, ..ALWAYS };
    let other = place.path().join("other");
    let error = Sampler::new(&density, Nuts::default(), run).checkpoint_to(other, schedule).run().unwrap_err();
    assert!(error.to_string().contains("largest_share is 2.0"), "{error}");
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let (density, run) = (normal(&[1.0, 2.0]), run());
    let (_, checkpoint) = Sampler::new(&density, Nuts::default(), run).run_with_checkpoint().unwrap();
    let refused = Sampler::new(&normal(&[1.0, 2.001]), Nuts::default(), run).resume(checkpoint.clone()).run();
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("log density at a test position"), "{message}");
    // The same density whose gradient is another: a fault that was repaired, for instance.
    let other = density_with_a_fault();
    let message = Sampler::new(&other, Nuts::default(), run).resume(checkpoint.clone()).run().unwrap_err().to_string();
    assert!(message.contains("gradient at a test position"), "{message}");
    let longer = Run { draws: 70, ..run };
    assert_eq!(Sampler::new(&density, Nuts::default(), longer).resume(checkpoint).run().unwrap().min_len(), 10);
}

fn density_with_a_fault() -> impl ergodic_model::LogDensity + Clone + Send + Sync {
    density(2, |x: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(&[-x[0], -x[1] / 4.0 + 0.1]);
        -0.5 * (x[0] * x[0] + x[1] * x[1] / 4.0)
    })
}

/// Takes draws, but cannot make those of chain 1 durable after some.
struct Leaky(usize);

struct LeakyChain {
    left: usize,
    leaks: bool,
}

impl Sink for Leaky {
    fn begin(&self, _: &Schema) -> Result<(), SinkError> {
        Ok(())
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        Ok(Box::new(LeakyChain { left: self.0, leaks: chain == 1 }))
    }

    fn finish(&self, _: &RunReport) -> Result<(), SinkError> {
        Ok(())
    }
}

impl ChainSink for LeakyChain {
    fn record(&mut self, _: &DrawRef<'_>) -> Result<(), SinkError> {
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.leaks && self.left == 0 { Err(SinkError::Misused("the disk is full")) } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.flush()
    }
}

#[test]
fn a_checkpoint_counts_on_no_draw_that_the_sink_could_not_keep() {
    let density = target();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run.checkpoint");
    let run = Run { threads: Some(2), ..run() };
    let sink = Leaky(150);
    let sampler = Sampler::new(&density, Nuts::default(), run).sink(&sink).checkpoint_to(&path, ALWAYS);
    let (report, _) = sampler.run_into_sink().unwrap();
    assert!(report.settings["checkpoints"]["seconds"].as_f64().unwrap() > 0.0);
    assert!(!report.chains[1].outcome.is_completed() && report.chains[0].outcome.is_completed());
    let whole = bits(&sample(&density, &Nuts::default(), &run).unwrap());
    let rest = Sampler::new(&density, Nuts::default(), run).resume(Checkpoint::load(&path).unwrap()).run().unwrap();
    let rest = bits(&rest);
    assert!(rest[1].len() > 60 - 30, "what was not durable is made again: {}", rest[1].len());
    assert!(rest[0].is_empty(), "the other chains' last states are kept");
    assert!(rest.iter().zip(&whole).all(|(rest, whole)| whole.ends_with(rest)));
}
